"""The manifests, word for word. After a wanted change run this file with UPDATE_GOLDEN=1."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from point_operator.model import api, gateways, kinds, names
from point_operator.resources import plan
from point_operator.resources.gateway import (
    gateway,
    gateway_guard,
    rate_limit,
    refusals,
    request_authentication,
)
from point_operator.resources.gateway.gateway import Sharer
from point_operator.resources.mesh import authorization_policy, virtual_service
from point_operator.resources.pods import deployment, migration
from point_operator.resources.surroundings import Release, Surroundings
from point_service.contract import errors

GOLDEN = Path(__file__).parent / "golden"
SURROUNDINGS = Surroundings(
    gateway_pods=2, config_hash="0123456789abcdef", optional_kinds=frozenset(kinds.OPTIONAL)
)


def _plan(point_service: api.PointService) -> plan.Plan:
    return plan.build(point_service, SURROUNDINGS, Release(point_service.spec.image))


def _deployment(point_service: api.PointService) -> dict[str, Any]:
    return deployment.build(point_service, point_service.spec.image, SURROUNDINGS.config_hash)


def _migration(point_service: api.PointService) -> dict[str, Any]:
    return migration.build(point_service, SURROUNDINGS.login)


def _point_service(spec: dict[str, Any], **metadata: Any) -> api.PointService:
    base = {"name": "points", "namespace": "points", "uid": "11111111-2222-3333-4444-555555555555"}
    return api.parse(
        {"metadata": base | {"creationTimestamp": "2026-01-01T00:00:00Z"} | metadata, "spec": spec}
    )


@pytest.fixture
def minimal(spec: dict[str, Any]) -> api.PointService:
    """A PointService that says as little as it may."""
    return _point_service(spec)


@pytest.fixture
def full(example: dict[str, Any]) -> api.PointService:
    """The example."""
    return _point_service(example["spec"])


def test_a_pool_is_as_large_as_is_said_and_else_the_service_s_to_choose(spec: dict[str, Any]) -> None:
    def pool(**database: int) -> list[str]:
        asked = _point_service({**spec, "database": {**spec["database"], **database}})
        (container,) = _deployment(asked)["spec"]["template"]["spec"]["containers"]
        return [e["value"] for e in container["env"] if e["name"] == "POINT_DATABASE_POOL_SIZE"]

    assert pool(poolSize=3) == ["3"]
    assert pool() == []


@pytest.mark.parametrize("name", ["minimal", "full"])
def test_the_manifests_are_as_agreed(name: str, request: pytest.FixtureRequest) -> None:
    point_service = request.getfixturevalue(name)
    sharer = Sharer(
        point_service.namespace, point_service.name, point_service.spec.gateway.hosts, "points-tls"
    )
    shared = [
        plan.build_shared(kind, gateways.DEFAULT, [sharer]) for kind in (kinds.ENVOY_FILTER, kinds.GATEWAY)
    ]
    manifests = [*_plan(point_service).everything, *shared]
    manifests = copy.deepcopy(manifests)
    (board,) = {_dashboard_taken_from(one) for one in manifests} - {""}
    texts = {
        f"{name}.yaml": yaml.safe_dump_all(manifests, sort_keys=False, width=110),
        f"{name}-dashboard.json": json.dumps(json.loads(board), indent=1) + "\n",
    }
    for file, text in texts.items():
        if os.environ.get("UPDATE_GOLDEN"):
            (GOLDEN / file).write_text(text)
        assert text == (GOLDEN / file).read_text()


def _dashboard_taken_from(manifest: dict[str, Any]) -> str:
    """Take the dashboard out of a manifest, for a file of its own; empty when there is none."""
    place = manifest.get("data", {}) if manifest["kind"] == "ConfigMap" else manifest.get("spec", {})
    return next((place.pop(name) for name in list(place) if name.endswith("json")), "")


def test_the_same_spec_makes_the_same_manifests(full: api.PointService) -> None:
    assert _plan(full) == _plan(full)


def test_the_replicas_are_left_to_the_autoscaler(minimal: api.PointService) -> None:
    assert "replicas" not in _deployment(minimal)["spec"]


def test_a_canary_is_the_service_with_another_image_and_a_selector_of_its_own(
    minimal: api.PointService,
) -> None:
    made = plan.build(minimal, SURROUNDINGS, Release("old:1", canary=1, weight=10)).everything
    manifests = {(one["kind"], one["metadata"]["name"]): one for one in made}
    own, canary = (manifests["Deployment", name]["spec"] for name in ("points", "points-canary"))
    assert own["template"]["spec"]["containers"][0]["image"] == "old:1"
    assert canary["template"]["spec"]["containers"][0]["image"] == minimal.spec.image
    assert (canary["replicas"], "replicas" in own) == (1, False)
    assert manifests["Service", "points-canary"]["spec"]["selector"] == canary["selector"]["matchLabels"]
    assert manifests["Service", "points"]["spec"]["selector"] == own["selector"]["matchLabels"]
    assert not own["selector"]["matchLabels"].items() <= canary["template"]["metadata"]["labels"].items()
    for kind in ("AuthorizationPolicy", "PeerAuthentication"):
        guarded = manifests[kind, "points"]["spec"]["selector"]["matchLabels"]
        assert guarded.items() <= canary["template"]["metadata"]["labels"].items()


def test_without_a_canary_nothing_of_it_is_wanted(minimal: api.PointService) -> None:
    names_made = {one["metadata"]["name"] for one in _plan(minimal).everything}
    assert "points-canary" not in names_made


def test_secrets_are_files_and_never_values(full: api.PointService) -> None:
    pod = _deployment(full)["spec"]["template"]["spec"]
    mounted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert mounted == {"points-db", "points-db-ca", "points-redis", "points-redis-ca"}
    assert not any("secretKeyRef" in str(one) for one in pod["containers"][0]["env"])


def test_the_key_of_pseudonyms_is_a_file_of_the_service_alone(spec: dict[str, Any]) -> None:
    point_service = _point_service(spec | {"logKeySecret": "points-log"})
    pod = _deployment(point_service)["spec"]["template"]["spec"]
    (volume,) = (one["secret"] for one in pod["volumes"] if one["name"] == "log")
    assert volume == {
        "secretName": "points-log",
        "defaultMode": 0o440,
        "items": [{"key": "key", "path": "key"}],
    }
    assert {"name": "POINT_LOG_KEY_FILE", "value": "/etc/point/log/key"} in pod["containers"][0]["env"]
    assert "points-log" not in str(_migration(point_service))


def test_only_the_migration_sees_the_master(full: api.PointService) -> None:
    assert "points-db-master" in str(_migration(full))
    assert "points-db-master" not in str(_deployment(full))


@pytest.mark.parametrize("build", [_migration, _deployment])
def test_pods_meet_the_restricted_standard(full: api.PointService, build: Any) -> None:
    pod = build(full)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_another_image_or_login_is_another_migration(spec: dict[str, Any]) -> None:
    one, other = _point_service(spec), _point_service(spec | {"image": "docker.io/library/point-service:2"})
    assert migration.name(one, "") != migration.name(other, "")
    assert migration.name(one, "") != migration.name(one, "another")
    same = spec | {"logLevel": "DEBUG", "database": spec["database"] | {"poolSize": 3}}
    assert migration.name(one, "") == migration.name(_point_service(same), "")


def test_a_migration_is_named_after_what_the_user_wrote(minimal: api.PointService) -> None:
    """Another name would have a new release of the operator run every migration again."""
    assert migration.name(minimal, "login") == "points-migrate-5833146049"


def test_a_migration_has_no_deadline_but_the_users(spec: dict[str, Any], minimal: api.PointService) -> None:
    assert "activeDeadlineSeconds" not in migration.build(minimal, "")["spec"]
    asked = _point_service(spec | {"rollout": {"migrationDeadlineSeconds": 900}})
    assert migration.build(asked, "")["spec"]["activeDeadlineSeconds"] == 900


def test_a_write_that_a_pod_may_have_is_never_repeated_by_the_mesh(full: api.PointService) -> None:
    routes = {route["name"]: route for route in virtual_service.build(full)["spec"]["http"]}
    unsent = "connect-failure,refused-stream,reset-before-request"
    assert routes["write"]["retries"] == {"attempts": 2, "retryOn": unsent}
    assert routes["read"]["match"][0]["method"] == {"regex": "GET|HEAD"}
    assert routes["read"]["retries"]["attempts"] == 2
    assert list(routes) == ["health", "read", "write", "nothing"]


def test_the_route_leaves_headers_alone(full: api.PointService) -> None:
    assert "headers" not in str(virtual_service.build(full)).replace("allowHeaders", "").replace(
        "exposeHeaders", ""
    )


def test_a_token_is_only_looked_for_in_the_authorization_header(full: api.PointService) -> None:
    rule = request_authentication.build(full)["spec"]["jwtRules"][0]
    assert rule["fromHeaders"] == [{"name": "Authorization", "prefix": "Bearer "}]
    assert "fromParams" not in rule
    assert rule["forwardOriginalToken"] is False


def test_an_issuer_that_only_starts_like_ours_is_not_enough(full: api.PointService) -> None:
    rule = authorization_policy.build_gateway(full)["spec"]["rules"][0]
    assert {"key": "request.auth.claims[iss]", "values": ["https://issuer.localhost"]} in rule["when"]


def test_audiences_in_another_claim_are_the_policys_to_check(spec: dict[str, Any]) -> None:
    jwt = spec["gateway"]["jwt"] | {"audiences": ["7abc"], "audienceClaim": "client_id"}
    made = _point_service(spec | {"gateway": spec["gateway"] | {"jwt": jwt}})
    rule = authorization_policy.build_gateway(made)["spec"]["rules"][0]
    assert {"key": "request.auth.claims[client_id]", "values": ["7abc"]} in rule["when"]
    assert "request.auth.audiences" not in str(rule)
    assert "audiences" not in request_authentication.build(made)["spec"]["jwtRules"][0]


def test_every_gateway_rule_names_the_hosts(full: api.PointService) -> None:
    for rule in authorization_policy.build_gateway(full)["spec"]["rules"]:
        assert rule["to"][0]["operation"]["hosts"] == ["points.localhost", "points.localhost:*"]


def test_the_gateway_lets_no_options_through_with_cors_or_without(
    minimal: api.PointService, full: api.PointService
) -> None:
    for point_service in (minimal, full):
        rules = authorization_policy.build_gateway(point_service)["spec"]["rules"]
        methods = [rule["to"][0]["operation"]["methods"] for rule in rules]
        assert methods == [["GET", "HEAD", "POST"], ["GET", "HEAD"]]


def test_only_the_gateway_may_call_the_pods(full: api.PointService) -> None:
    for rule in authorization_policy.build_workload(full)["spec"]["rules"]:
        principals = rule["from"][0]["source"]["principals"]
        assert principals == ["cluster.local/ns/istio-ingress/sa/istio-ingressgateway"]


def test_the_gateway_refuses_in_the_words_of_the_services_contract() -> None:
    contract, kinds_left = set[tuple[str, str]](), [errors.Problem]
    while kinds_left:
        kind = kinds_left.pop()
        contract.add((kind.code, kind.title))
        kinds_left += kind.__subclasses__()
    said = [*refusals.REFUSALS, refusals.NO_MEMBER]
    assert {(one.code, one.title) for one in said} <= contract
    assert refusals.TYPE_PREFIX == errors.TYPE_PREFIX
    assert refusals.MEDIA_TYPE == errors.PROBLEM_MEDIA_TYPE


def test_the_guard_knows_every_spelling() -> None:
    assert gateway_guard.FORGEABLE == [
        "x-client-id", "x-client_id", "x-member-id", "x-member-role", "x-member_id", "x-member_role",
        "x_client-id", "x_client_id", "x_member-id", "x_member-role", "x_member_id", "x_member_role",
    ]  # fmt: skip


def test_a_client_is_said_where_a_claim_names_it(spec: dict[str, Any]) -> None:
    def said(**jwt: str) -> dict[str, str]:
        gateway = spec["gateway"] | {"jwt": spec["gateway"]["jwt"] | jwt}
        made = request_authentication.build(_point_service(spec | {"gateway": gateway}))
        return {one["header"]: one["claim"] for one in made["spec"]["jwtRules"][0]["outputClaimToHeaders"]}

    usual = {"x-member-id": "sub", "x-member-role": "role"}
    assert said() == usual
    assert said(clientClaim="azp") == usual | {"x-client-id": "azp"}


def test_the_limit_is_divided_among_gateway_pods() -> None:
    assert [rate_limit.per_pod(1000, pods) for pods in (0, 1, 2, 3)] == [1000, 1000, 500, 334]


@pytest.mark.parametrize(("rate", "burst"), [(1000, 100), (100, 10), (5, 5), (50, 10)])
def test_a_second_never_sees_twice_the_limit(rate: int, burst: int) -> None:
    assert rate_limit.burst(api.RateLimit(requests_per_second=rate)) == burst


def _servers(*sharers: Sharer) -> list[tuple[list[str], str]]:
    manifest = gateway.build(gateways.DEFAULT, sharers)
    assert len({one["port"]["name"] for one in manifest["spec"]["servers"]}) == len(
        manifest["spec"]["servers"]
    )
    return [(one["hosts"], one["tls"]["credentialName"]) for one in manifest["spec"]["servers"]]


def test_one_listener_for_every_certificate() -> None:
    first, second = (
        Sharer("points", "points", ("a.x",), "a"),
        Sharer("elsewhere", "points", ("b.x", "c.x"), "b"),
    )
    both = ["elsewhere/*", "points/*"]
    assert _servers(first, second) == [(both, "a"), (["elsewhere/b.x", "elsewhere/c.x"], "b")]
    assert _servers(first, msgspec.structs.replace(second, credential_name="a")) == [(both, "a")]


def test_a_certificate_that_is_missing_darkens_nobody_else() -> None:
    first = Sharer("points", "points", ("a.x",), "a", valid=False)
    second = Sharer("elsewhere", "points", ("b.x",), "b")
    assert _servers(first, second) == [(["elsewhere/*", "points/*"], "b")]
    assert _servers(first) == [(["points/*"], "a")]


def test_names_at_the_gateway_never_meet(spec: dict[str, Any]) -> None:
    one, other = (
        _point_service(spec, namespace="a-b", name="c"),
        _point_service(spec, namespace="a", name="b-c"),
    )
    assert names.in_gateway(one) != names.in_gateway(other)


def test_pods_tell_which_version_they_are() -> None:
    digest = "docker.io/library/point-service@sha256:" + "ab" * 32
    images = {
        "docker.io/library/point-service:0.1.0": "0.1.0",
        digest: "abababababab",
        "registry:5000/point": "latest",
    }
    assert {image: names.version(image) for image in images} == images
