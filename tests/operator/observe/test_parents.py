"""What a Gateway of Gateway API and the route there say of themselves."""

import copy
from typing import Any

import pytest
from harness import gateway_api
from point_operator.model import api, gateways, kinds, names
from point_operator.model.gateways import ParentRef
from point_operator.observe import parents

WANTED = ParentRef(name="shared", namespace="istio-ingress")
MADE, SOON, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z", "2026-01-01T00:01:00Z"
HERE = {"namespace": "istio-ingress", "name": "shared"}
NEWEST = 3
"""Generation of what is read."""
FOREIGN = {
    "controllerName": "example.com/other",
    "parentRef": HERE | {"sectionName": "https"},
    "conditions": [{"type": "Accepted", "status": "True", "reason": "A", "observedGeneration": NEWEST}],
}
"""What another controller says of a route counts for nothing."""
ACCEPTED = {"type": "Accepted", "status": "True", "reason": "Accepted"}
RESOLVED = {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs"}
REFUSED = {
    "type": "Accepted",
    "status": "False",
    "reason": "NotAllowedByListeners",
    "message": "not from here",
}
UNRESOLVED = {"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound"}


def _gateway(seen: int = NEWEST, **told: dict[str, str]) -> dict[str, Any]:
    """A Gateway with a listener for HTTPS and one for HTTP; `told` are conditions by listener."""
    failed = {"type": "Programmed", "status": "False", "observedGeneration": seen}
    listeners = [{"name": name, "conditions": [one | failed]} for name, one in told.items()]
    return {
        "metadata": {"generation": NEWEST},
        "spec": gateway_api.gateway_spec(),
        "status": {"listeners": listeners},
    }


def _read(live: dict[str, Any], wanted: ParentRef, *hosts: str) -> parents.Parent:
    return parents.read(live, wanted, hosts or ("points.localhost",))


def _listeners(**hostnames: str) -> dict[str, Any]:
    """A Gateway with these HTTPS listeners."""
    listeners = [
        {"name": name, "protocol": "HTTPS"} | ({"hostname": hostname} if hostname else {})
        for name, hostname in hostnames.items()
    ]
    return {"metadata": {"generation": NEWEST}, "spec": {"listeners": listeners}}


def _section(name: str) -> ParentRef:
    return ParentRef(name="shared", namespace="istio-ingress", section_name=name)


def test_only_listeners_for_https_are_meant() -> None:
    assert _read(_gateway(), WANTED) == parents.Parent(("https",))
    assert _read(_gateway(), _section("https")) == parents.Parent(("https",))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("http", "takes no HTTPS: its listener http is of another protocol"),
        ("gone", "has no listener gone (it has https, http)"),
    ],
)
def test_a_listener_that_can_t_be_meant_is_none(section: str, said: str) -> None:
    seen = _read(_gateway(), _section(section))
    assert seen.listeners == ()
    assert seen.problem is not None
    assert seen.problem.reason == "ListenerAbsent"
    assert said in seen.problem.message


def test_a_gateway_without_https_has_none() -> None:
    plain = {
        "metadata": {"generation": NEWEST},
        "spec": {"listeners": [{"name": "http", "protocol": "HTTP"}]},
    }
    assert _read(plain, WANTED).listeners == ()
    assert _read({"spec": {}}, WANTED).problem is not None


def test_a_listener_without_its_certificate_is_a_problem_and_stays_meant() -> None:
    seen = _read(_gateway(https={"reason": "Invalid", "message": "no such secret"}), WANTED)
    assert seen.listeners == ("https",)
    assert seen.problem is not None
    assert seen.problem.message.endswith("does not listen: https: Invalid: no such secret")


@pytest.mark.parametrize(
    ("listener", "host", "fits"),
    [
        ("", "a.example.com", True),
        ("a.example.com", "a.example.com", True),
        ("b.example.com", "a.example.com", False),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "badexample.com", False),
    ],
)
def test_a_listener_is_meant_when_a_host_fits_it(listener: str, host: str, *, fits: bool) -> None:
    live = _listeners(any="", one=listener)
    assert _read(live, WANTED, "other.example.net", host).listeners == (("any", "one") if fits else ("any",))


def test_where_no_host_fits_it_says_so_and_a_listener_that_is_named_is_meant_all_the_same() -> None:
    live = _listeners(https="other.localhost")
    problem = _read(live, WANTED).problem
    assert problem is not None
    assert problem.message.endswith("has no HTTPS listener whose hostname fits points.localhost")
    assert _read(live, _section("https")) == parents.Parent(("https",)), "Istio says what is wrong with it"


def test_of_a_gateway_for_many_a_route_names_its_own_listeners_and_never_more_than_it_may() -> None:
    many = {f"l{number}": f"{number}.localhost" for number in range(60)}
    assert _read(_listeners(**many), WANTED, "7.localhost") == parents.Parent(("l7",))
    seen = _read(_listeners(**dict.fromkeys(many, "")), WANTED)
    assert seen.listeners == tuple(many)[:32]
    assert seen.problem is not None
    assert "a route may name 32 listeners, so these don't serve it: l32, l33" in seen.problem.message


def test_what_was_said_before_the_gateway_was_changed_tells_nothing_of_it() -> None:
    assert _read(_gateway(NEWEST - 1, https={"reason": "Invalid"}), WANTED) == parents.Parent(("https",))


def test_one_of_two_that_listens_is_enough() -> None:
    both = _gateway(https={"reason": "Invalid"})
    both["spec"]["listeners"].append({"name": "other", "protocol": "HTTPS"})
    assert _read(both, WANTED) == parents.Parent(("https", "other"))


def _children(
    *told: list[dict[str, Any]],
    kind: kinds.Kind = kinds.HTTP_ROUTE,
    seen: int = NEWEST,
    where: dict[str, str] = HERE,
    changed: str = MADE,
) -> Any:
    """A route to listeners of the Gateway, and what Istio says of each `where`, which it has looked at when it was in
    generation `seen`."""
    places = [{"sectionName": "https"}, {"sectionName": "other"}]
    said = [
        {
            "controllerName": parents.CONTROLLER,
            "parentRef": where | place,
            "conditions": [one | {"observedGeneration": seen} for one in conditions],
        }
        for place, conditions in zip(places, told, strict=False)
    ]
    ours = {"manager": names.FIELD_MANAGER, "operation": "Apply", "time": changed, "fieldsV1": {}}
    metadata = {
        "namespace": "points",
        "generation": NEWEST,
        "creationTimestamp": MADE,
        "managedFields": [ours],
    }
    spec = {"parentRefs": [HERE | place for place in places]}
    status = {"parents": [FOREIGN, *said]}
    return {(kind.kind, "points", "points"): {"metadata": metadata, "spec": spec, "status": status}}


@pytest.fixture
def attached(spec: dict[str, Any]) -> api.PointService:
    """A PointService at that Gateway."""
    spec = copy.deepcopy(spec)
    spec["gateway"]["parentRef"] = {"name": "shared", "namespace": "istio-ingress"}
    metadata = {"name": "points", "namespace": "points", "uid": "u"}
    return api.parse({"metadata": metadata, "spec": spec}, [gateway_api.PLACE])


@pytest.mark.parametrize(
    ("told", "routed", "problem"),
    [
        ([], False, "no controller has said anything of it"),
        ([[ACCEPTED, RESOLVED]], True, ""),
        ([[REFUSED, RESOLVED]], False, "does not take the HTTPRoute: NotAllowedByListeners: not from here"),
        ([[ACCEPTED, UNRESOLVED]], True, "BackendNotFound"),
        ([[REFUSED, RESOLVED], [ACCEPTED, RESOLVED]], True, ""),
    ],
)
def test_a_route_is_one_when_a_listener_takes_it(
    attached: api.PointService, told: list[Any], problem: str, *, routed: bool
) -> None:
    children = _children(*told)
    assert parents.is_routed(attached, children) == routed
    found = parents.route_problem(attached, children, LATER)
    assert (found is not None) == bool(problem)
    if found is not None:
        assert found.reason == "RouteNotAccepted"
        assert problem in found.message


def test_a_new_route_is_given_a_moment(attached: api.PointService) -> None:
    assert parents.route_problem(attached, _children(), SOON) is None
    assert parents.route_problem(attached, {}, LATER) is None


def test_what_was_accepted_before_a_change_serves_and_is_not_the_newest(attached: api.PointService) -> None:
    children = _children([ACCEPTED, RESOLVED], seen=NEWEST - 1, changed=SOON)
    assert parents.is_routed(attached, children)
    assert not parents.is_told(attached, children)
    assert parents.route_problem(attached, children, "2026-01-01T00:00:12Z") is None, "it was changed 7 s ago"
    assert parents.route_problem(attached, children, LATER) is not None
    assert parents.is_told(attached, _children([ACCEPTED, RESOLVED]))


def test_what_was_refused_before_a_change_is_no_problem_of_the_newest(attached: api.PointService) -> None:
    children = _children([REFUSED, RESOLVED], seen=NEWEST - 1, changed=SOON)
    assert not parents.is_routed(attached, children)
    assert parents.route_problem(attached, children, SOON) is None


@pytest.mark.parametrize("other", [{"name": "other"}, {"namespace": "elsewhere"}, {"sectionName": "gone"}])
def test_what_is_said_of_another_gateway_or_listener_counts_for_nothing(
    attached: api.PointService, other: dict[str, str]
) -> None:
    children = _children([ACCEPTED, RESOLVED])
    (route,) = children.values()
    route["status"]["parents"][-1]["parentRef"] |= other
    assert not parents.is_routed(attached, children)
    assert not parents.is_told(attached, children)
    assert parents.route_problem(attached, children, LATER) is not None


def test_a_route_that_still_leads_to_the_gateway_before_is_none(attached: api.PointService) -> None:
    children = _children([ACCEPTED, RESOLVED])
    (route,) = children.values()
    for one in (*route["spec"]["parentRefs"], route["status"]["parents"][-1]["parentRef"]):
        one["name"] = "before"
    assert not parents.is_routed(attached, children)


def test_a_virtual_service_is_a_route_of_its_own(spec: dict[str, Any]) -> None:
    metadata = {"name": "points", "namespace": "points", "uid": "u"}
    classic = api.parse({"metadata": metadata, "spec": spec})
    assert parents.is_routed(classic, _children(kind=kinds.VIRTUAL_SERVICE))
    assert not parents.is_routed(classic, {})
    assert parents.route_problem(classic, _children(kind=kinds.VIRTUAL_SERVICE), LATER) is None


def test_the_gateway_must_be_on_the_list(spec: dict[str, Any]) -> None:
    def found(*listed: gateways.ListedGateway, **parent: str) -> str:
        where = {"name": "shared", "namespace": "istio-ingress"} | parent
        return str(gateways.find_parent(listed, ParentRef(**where)))

    both = gateways.read(f"{gateways.DEFAULT};{gateway_api.PLACE}")
    assert found(*both) == str(gateway_api.PLACE)
    assert "istio-ingress/other is not on the operator's list (default=" in found(*both, name="other")
    assert "other/shared is not on the operator's list" in found(*both, namespace="other")
    assert "list (none)" in found()
    assert "gateway.parentRef istio-ingress/other" in _no_gateway(
        spec, *both, parentRef={"name": "other", "namespace": "istio-ingress"}
    )


def test_a_gateway_of_gateway_api_gets_no_listener_of_istios_own_beside_its_own(spec: dict[str, Any]) -> None:
    said = "is a Gateway of Gateway API: give gateway.parentRef istio-ingress/shared instead"
    for described in ({"name": "shared"}, {"selector": gateway_api.PLACE.selector}):
        assert said in _no_gateway(spec, gateways.DEFAULT, gateway_api.PLACE, **described)
    assert said in _no_gateway(spec, gateway_api.PLACE)
    assert _no_gateway(spec, gateways.DEFAULT, gateway_api.PLACE) == ""


def _no_gateway(spec: dict[str, Any], *listed: gateways.ListedGateway, **gateway: Any) -> str:
    metadata = {"name": "points", "namespace": "points", "uid": "u"}
    body = {"metadata": metadata, "spec": spec | {"gateway": spec["gateway"] | gateway}}
    return api.parse(body, listed).no_gateway
