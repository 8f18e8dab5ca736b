"""What is made for a Gateway of Gateway API, and what is not."""

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import gateway_api
from point_operator.model import api, kinds
from point_operator.resources import plan
from point_operator.resources.gateway.gateway import Sharer
from point_operator.resources.mesh import http_route, virtual_service
from point_operator.resources.surroundings import Release, Surroundings

GOLDEN = Path(__file__).parent / "golden/gateway_api.yaml"
PLACE = gateway_api.PLACE
LISTENING = Surroundings(gateway_pods=2, listeners=("https", "shop"))
TARGET = [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared"}]


def _point_service(spec: dict[str, Any], **gateway: Any) -> api.PointService:
    spec = copy.deepcopy(spec)
    spec["gateway"] |= {"parentRef": {"name": "shared", "namespace": "istio-ingress"}} | gateway
    base = {"name": "points", "namespace": "points", "uid": "11111111-2222-3333-4444-555555555555"}
    return api.parse(
        {"metadata": base | {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}, [PLACE]
    )


@pytest.fixture
def attached(spec: dict[str, Any]) -> api.PointService:
    """A PointService at a Gateway of Gateway API, with a page that may call it."""
    return _point_service(spec, cors={"allowOrigins": ["https://shop.example.com"]})


def _made(point_service: api.PointService, surroundings: Surroundings = LISTENING) -> list[dict[str, Any]]:
    release = Release("old:1", canary=2, weight=10)
    return list(plan.build(point_service, surroundings, release).everything)


def _route(point_service: api.PointService) -> dict[str, Any]:
    return next(one for one in _made(point_service) if one["kind"] == kinds.HTTP_ROUTE.kind)["spec"]


def test_the_manifests_are_as_agreed(attached: api.PointService) -> None:
    guard = plan.build_shared(
        kinds.ENVOY_FILTER, PLACE, [Sharer("points", "points", attached.spec.gateway.hosts, "")]
    )
    told = (kinds.HTTP_ROUTE, kinds.ENVOY_FILTER, kinds.REQUEST_AUTHENTICATION, kinds.AUTHORIZATION_POLICY)
    made = [*(one for one in _made(attached) if kinds.of(one) in told), guard]
    text = yaml.safe_dump_all(copy.deepcopy(made), sort_keys=False, width=110)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_a_canary_has_its_share_of_the_api_and_none_of_the_health_check(attached: api.PointService) -> None:
    shares = [
        {one["name"]: one["weight"] for one in rule["backendRefs"]} for rule in _route(attached)["rules"]
    ]
    both = {"points": 90, "points-canary": 10}
    assert shares == [{"points": 100}, both, both, {"points": 100}]


def test_the_route_names_each_listener_so_that_none_without_tls_takes_it(attached: api.PointService) -> None:
    parents = _route(attached)["parentRefs"]
    assert [one["sectionName"] for one in parents] == ["https", "shop"]
    assert {(one["namespace"], one["name"]) for one in parents} == {("istio-ingress", "shared")}


def test_without_a_listener_there_is_no_route_and_what_guards_stays(attached: api.PointService) -> None:
    made = {one["kind"] for one in _made(attached, Surroundings())}
    assert kinds.HTTP_ROUTE.kind not in made
    assert {"EnvoyFilter", "RequestAuthentication", "AuthorizationPolicy"} <= made


def test_no_gateway_and_no_virtual_service_of_istio_is_made(attached: api.PointService) -> None:
    assert "VirtualService" not in {one["kind"] for one in _made(attached)}
    sharer = Sharer("points", "points", attached.spec.gateway.hosts, attached.credential_name)
    assert plan.build_shared(kinds.GATEWAY, PLACE, [sharer]) is None


def test_who_is_at_istios_own_listener_has_it_beside_one_who_is_not(attached: api.PointService) -> None:
    there = Sharer("points", "points", attached.spec.gateway.hosts, attached.credential_name)
    listener = plan.build_shared(kinds.GATEWAY, PLACE, [there, Sharer("b", "b", ("b.localhost",), "b-tls")])
    assert listener is not None
    assert [one["hosts"] for one in listener["spec"]["servers"]] == [["b/*"]]


@pytest.mark.parametrize("limit", [True, False])
def test_every_policy_at_the_gateway_is_for_it_and_by_nothing_else(
    spec: dict[str, Any], *, limit: bool
) -> None:
    made = _made(_point_service(spec, rateLimit={"enabled": limit}))
    guard = plan.build_shared(kinds.ENVOY_FILTER, PLACE, [Sharer("points", "points", ("a",), "")])
    assert guard is not None
    at_gateway = [one for one in made if one["metadata"]["namespace"] == "istio-ingress"]
    assert len(at_gateway) == 3
    for one in [*at_gateway, guard]:
        assert one["spec"]["targetRefs"] == TARGET
        assert not {"selector", "workloadSelector"} & set(one["spec"])


def test_the_limit_is_in_every_route_of_that_gateway(attached: api.PointService) -> None:
    (limits,) = (one for one in _patches(attached) if one["applyTo"] == "ROUTE_CONFIGURATION")
    assert limits["match"] == {"context": "GATEWAY"}


@pytest.mark.parametrize("attempts", [0, 3])
def test_repeats_are_as_the_spec_says_and_none_of_a_write_that_a_pod_may_have(
    spec: dict[str, Any], attempts: int
) -> None:
    point_service = _point_service(spec | {"mesh": {"retries": {"attempts": attempts}}})
    policies = {
        one["match"]["routeConfiguration"]["vhost"]["route"]["name"]: one["patch"]["value"]["route"][
            "retry_policy"
        ]
        for one in http_route.patches(point_service)
    }
    never = {"retry_on": "retriable-headers"}
    unsent = {"num_retries": attempts, "retry_on": virtual_service.UNSENT}
    assert policies["points.points.2"] == (unsent if attempts else never)
    assert policies["points.points.3"] == never
    for read in ("points.points.0", "points.points.1"):
        assert policies[read].get("num_retries", 0) == attempts
        assert (policies[read] == never) == (attempts == 0)


def test_the_mesh_lets_that_gateway_in(attached: api.PointService) -> None:
    made = {(one["kind"], one["metadata"]["namespace"]): one.get("spec") for one in _made(attached)}
    (rule, *_) = made["AuthorizationPolicy", "points"]["rules"]
    assert rule["from"][0]["source"]["principals"] == ["cluster.local/ns/istio-ingress/sa/shared-istio"]
    (peer,) = made["NetworkPolicy", "points"]["ingress"][0]["from"]
    assert peer["podSelector"]["matchLabels"] == PLACE.selector


def _patches(point_service: api.PointService) -> list[dict[str, Any]]:
    (filters,) = (one for one in _made(point_service) if one["kind"] == "EnvoyFilter")
    return filters["spec"]["configPatches"]
