"""Who may have which host and issuer at a gateway."""

import copy
from typing import Any

import pytest
from point_operator.model import api
from point_operator.observe.fleet import Fleet, refusals

ALLOWED = ("istio-ingress",)


@pytest.fixture
def make(spec: dict[str, Any]) -> Any:
    """Make a PointService's body; `created` is a day in January."""

    def body(tenant: str, created: int, host: str = "points.localhost", **gateway: Any) -> dict[str, Any]:
        wanted = copy.deepcopy(spec)
        wanted["gateway"] |= {"hosts": [host]} | gateway
        metadata = {"name": "points", "namespace": tenant, "uid": tenant}
        metadata["creationTimestamp"] = f"2026-01-{created:02}T00:00:00Z"
        return {"metadata": metadata, "spec": wanted}

    return body


def _reasons(*bodies: dict[str, Any]) -> dict[str, str]:
    found = refusals([api.parse(body) for body in bodies], ALLOWED)
    return {key[0]: refusal.reason for key, refusal in found.items()}


def test_the_older_one_keeps_the_host(make: Any) -> None:
    assert _reasons(make("new", 2), make("old", 1)) == {"new": "HostConflict"}


def test_a_host_at_another_gateway_is_another_host(make: Any) -> None:
    assert _reasons(make("a", 1), make("b", 2, selector={"istio": "other"})) == {}


def test_a_refused_one_takes_no_host_from_a_third(make: Any) -> None:
    first, second = make("a", 1, "x.localhost"), make("b", 2, "x.localhost")
    second["spec"]["gateway"]["hosts"].append("y.localhost")
    assert _reasons(first, second, make("c", 3, "y.localhost")) == {"b": "HostConflict"}


@pytest.mark.parametrize(
    "change",
    [
        {"jwks": '{"keys": [{}]}'},
        {"jwks": "", "jwksUri": "https://k"},
        {"memberClaim": "m"},
        {"roleClaim": "r"},
    ],
    ids=str,
)
def test_one_issuer_means_one_set_of_keys_and_claims(
    make: Any, spec: dict[str, Any], change: dict[str, Any]
) -> None:
    other = make("b", 2, "b.localhost", jwt=spec["gateway"]["jwt"] | change)
    assert _reasons(make("a", 1), other) == {"b": "IssuerConflict"}


def test_other_audiences_and_other_issuers_are_no_conflict(make: Any, spec: dict[str, Any]) -> None:
    jwt = spec["gateway"]["jwt"]
    second = make("b", 2, "b.localhost", jwt=jwt | {"audiences": ["b"]})
    third = make("c", 3, "c.localhost", jwt=jwt | {"issuer": "https://c", "memberClaim": "m"})
    assert _reasons(make("a", 1), second, third) == {}


def test_istio_system_is_never_allowed(make: Any) -> None:
    fleet = Fleet(["istio-system", "istio-ingress"])
    assert fleet.allowed_namespaces == ("istio-ingress",)
    assert _reasons(make("a", 1, namespace="istio-system")) == {"a": "GatewayNamespaceNotAllowed"}


def test_sharers_are_the_accepted_ones_oldest_first(make: Any) -> None:
    fleet = Fleet(ALLOWED)
    fleet.replace([make("new", 3, "n.localhost"), make("old", 1), make("refused", 2)])
    found = fleet.sharers("istio-ingress", {"istio": "ingressgateway"})
    assert [one.namespace for one in found] == ["old", "new"]


def test_what_goes_frees_its_host(make: Any) -> None:
    fleet = Fleet(ALLOWED)
    fleet.replace([make("old", 1), make("new", 2)])
    assert fleet.refused() == [("new", "points")]
    assert fleet.forget(("old", "points"))
    assert fleet.refused() == []
