"""Limits that all gateway pods count together: what is made for them, and what holds while it can't be had."""

import copy
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from point_operator.control import status
from point_operator.model import api, kinds
from point_operator.observe import workload
from point_operator.observe.look import Seen
from point_operator.resources import plan
from point_operator.resources.gateway import rate_limit, rate_limit_service
from point_operator.resources.mesh import authorization_policy
from point_operator.resources.surroundings import Release, Surroundings

GOLDEN = Path(__file__).parent / "golden/rate_limit.yaml"
READY = Surroundings(gateway_pods=3, rate_limit_image="ratelimit:1", rate_limit_service_ready=True)
ABSENT = msgspec.structs.replace(READY, rate_limit_service_ready=False)


def _point_service(spec: dict[str, Any], **limit: Any) -> api.PointService:
    spec = copy.deepcopy(spec)
    spec["gateway"]["rateLimit"] = {"requestsPerSecond": 100} | limit
    base = {"name": "points", "namespace": "points", "uid": "11111111-2222-3333-4444-555555555555"}
    return api.parse({"metadata": base | {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec})


@pytest.fixture
def everywhere(spec: dict[str, Any]) -> api.PointService:
    """A limit of scope Global, for the whole and for each member."""
    return _point_service(spec, scope="Global", perMember={"requestsPerSecond": 5})


def test_the_manifests_are_as_agreed(everywhere: api.PointService) -> None:
    made = plan.build(everywhere, READY, Release(everywhere.spec.image)).everything
    ours = [
        one
        for one in made
        if one["kind"] == kinds.ENVOY_FILTER.kind or one["metadata"]["name"] == "points-rate-limit"
    ]
    assert len(ours) == 6
    text = yaml.safe_dump_all(copy.deepcopy(ours), sort_keys=False, width=110)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_a_limit_that_each_pod_counts_needs_no_service(spec: dict[str, Any]) -> None:
    assert rate_limit_service.build(_point_service(spec), READY) == ()
    assert rate_limit_service.build(_point_service(spec, scope="Global", enabled=False), READY) == ()
    assert "ratelimit.v3.RateLimit" not in str(rate_limit.build(_point_service(spec), READY)).replace(
        "local_ratelimit.v3.LocalRateLimit", ""
    )


@pytest.mark.parametrize(
    ("scope", "surroundings", "tokens", "seconds", "at_once"),
    [
        ("Local", READY, 100, "3s", 4),
        ("Global", READY, 100, "1s", 100),
        ("Global", ABSENT, 100, "3s", 4),
    ],
    ids=["each pod its share", "the service counts", "the service is not there"],
)
def test_a_gateway_pods_own_bucket(
    spec: dict[str, Any], scope: str, surroundings: Surroundings, tokens: int, seconds: str, at_once: int
) -> None:
    manifest = rate_limit.build(_point_service(spec, scope=scope), surroundings)
    assert manifest is not None
    configs = manifest["spec"]["configPatches"][-1]["patch"]["value"]["typed_per_filter_config"]
    (bucket,) = configs["pointservice.io.rate_limit.points.points"]["descriptors"]
    assert bucket["token_bucket"] == {
        "max_tokens": at_once,
        "tokens_per_fill": tokens,
        "fill_interval": seconds,
    }


def test_the_service_is_asked_before_the_pods_own_bucket_and_about_the_member_first(
    everywhere: api.PointService,
) -> None:
    manifest = rate_limit.build(everywhere, READY)
    assert manifest is not None
    # Each is inserted right before the router, so that the first one comes to stand furthest from it.
    filters = [patch["patch"]["value"].get("name") for patch in manifest["spec"]["configPatches"][:-1]]
    assert filters == [
        f"pointservice.io.rate_limit.{which}points.points"
        for which in ("member.", "service.", "member_share.", "", "health.")
    ]
    for patch in manifest["spec"]["configPatches"][:2]:
        assert patch["patch"]["value"]["typed_config"]["failure_mode_deny"] is False


def test_losing_the_service_changes_no_listener(everywhere: api.PointService) -> None:
    with_it, without = (rate_limit.build(everywhere, one) for one in (READY, ABSENT))
    assert with_it is not None
    assert without is not None
    assert with_it["spec"]["configPatches"][:-1] == without["spec"]["configPatches"][:-1]
    assert with_it["spec"]["configPatches"][-1] != without["spec"]["configPatches"][-1]


def test_only_the_gateway_may_ask(everywhere: api.PointService, spec: dict[str, Any]) -> None:
    asked = {"to": [{"operation": {"paths": [rate_limit_service.ASK]}}]}
    source = [{"source": {"principals": ["cluster.local/ns/istio-ingress/sa/istio-ingressgateway"]}}]
    rules = authorization_policy.build_workload(everywhere)["spec"]["rules"]
    assert rules[-1] == {"from": source} | asked
    assert len(authorization_policy.build_workload(_point_service(spec))["spec"]["rules"]) == 2


def test_its_pods_meet_the_restricted_standard(everywhere: api.PointService) -> None:
    pod = _deployment(everywhere, READY)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    spread = [(one["topologyKey"], one["whenUnsatisfiable"]) for one in pod["topologySpreadConstraints"]]
    assert spread == [
        ("topology.kubernetes.io/zone", "ScheduleAnyway"),
        ("kubernetes.io/hostname", "DoNotSchedule"),
    ]


def test_another_limit_or_secret_rolls_its_pods(spec: dict[str, Any]) -> None:
    template = [
        _deployment(_point_service(spec, scope="Global", requestsPerSecond=limit), surroundings)["spec"][
            "template"
        ]
        for limit, surroundings in (
            (100, READY),
            (200, READY),
            (100, msgspec.structs.replace(READY, config_hash="other")),
            (100, ABSENT),
        )
    ]
    assert template[0] == template[3]
    assert template[0] != template[1]
    assert template[0] != template[2]


@pytest.mark.parametrize(("named", "user"), [(True, None), (False, "default")])
def test_it_logs_in_to_redis_as_the_service_does(
    everywhere: api.PointService, named: bool, user: str | None
) -> None:
    surroundings = msgspec.structs.replace(READY, cache_user_named=named)
    (container,) = _deployment(everywhere, surroundings)["spec"]["template"]["spec"]["containers"]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert variables["CACHE_USER"] == user
    assert variables["CACHE_PASSWORD"] is None
    assert variables["REDIS_AUTH"] == "$(CACHE_USER):$(CACHE_PASSWORD)"


def test_what_is_in_force_is_told(everywhere: api.PointService) -> None:
    told = [_status(everywhere, surroundings)["rateLimit"] for surroundings in (READY, ABSENT)]
    assert [(one["scope"], one["requestsPerSecondPerPod"]) for one in told] == [
        ("Global", 100),
        ("Local", 34),
    ]


@pytest.mark.parametrize(
    ("deployment", "down"),
    [
        (None, False),
        ({"status": {}}, False),
        ({"status": {"conditions": [{"type": "Progressing", "reason": "ReplicaSetUpdated"}]}}, False),
        ({"status": {"conditions": [{"type": "Progressing", "reason": "NewReplicaSetAvailable"}]}}, True),
        ({"status": {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}}, True),
        (
            {
                "status": {
                    "availableReplicas": 1,
                    "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}],
                }
            },
            False,
        ),
    ],
    ids=["none", "new", "starting", "lost", "never came", "one is there"],
)
def test_a_service_is_down_when_no_pod_is_there_or_coming(
    deployment: dict[str, Any] | None, down: bool
) -> None:
    assert workload.is_down(deployment) is down


def test_a_service_that_is_down_is_told_and_takes_nothing_down(everywhere: api.PointService) -> None:
    seen = Seen(surroundings=ABSENT, migration=workload.Migration("Succeeded"), rate_limit_service_down=True)
    outcome = status.Outcome(
        running=workload.Rollout(exists=True, available=True, complete=True), routed=True
    )
    after, _ = status.compute(everywhere, seen, outcome, {}, "2026-01-01T00:00:00Z")
    conditions = {one["type"]: (one["status"], one["reason"]) for one in after["conditions"]}
    assert conditions["Degraded"] == ("True", "RateLimitServiceDown")
    assert conditions["Ready"] == ("True", "Available")


def _deployment(point_service: api.PointService, surroundings: Surroundings) -> dict[str, Any]:
    made = rate_limit_service.build(point_service, surroundings)
    return next(one for one in made if one["kind"] == kinds.DEPLOYMENT.kind)


def _status(point_service: api.PointService, surroundings: Surroundings) -> dict[str, Any]:
    seen = Seen(surroundings=surroundings)
    after, _ = status.compute(point_service, seen, status.Outcome(), {}, "2026-01-01T00:00:00Z")
    return after
