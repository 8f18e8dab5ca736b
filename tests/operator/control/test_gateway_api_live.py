"""A PointService at a Gateway of Gateway API, on a real API server; a test speaks for Istio."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import gateway_api
from harness.tenants import gateway_pod
from point_operator.kube import connection
from point_operator.kube.cluster import Cluster
from point_operator.model import kinds, names
from point_operator.process import check
from point_operator.settings import Settings

pytestmark = pytest.mark.integration

PLACE = gateway_api.PLACE
PARENT = {"name": "shared", "namespace": "istio-ingress"}
AT_PARENT = {"parentRef": PARENT, "tls": {}}
SHARED = names.shared_name(PLACE.namespace, PLACE.selector)


@pytest.fixture
def parent(kube: Any, optional_kinds: None) -> Iterator[None]:  # noqa: ARG001 - they are its kinds
    """The Gateway and a pod of it."""
    pod = f"{PLACE.service_account}-1"
    gateway_pod(kube, pod, PLACE.selector, PLACE.service_account)
    kube.create(kinds.PARENT, {"metadata": PARENT, "spec": gateway_api.gateway_spec()})
    yield
    kube.delete(kinds.POD, PLACE.namespace, pod)


def _up(tenant: Any) -> dict[str, Any]:
    """Make a PointService there with all its pods; return its route, of which nobody has said anything."""
    tenant.create(gateway=AT_PARENT)
    tenant.migrated()
    tenant.rolled_out()
    return tenant.kube.wait("the route", lambda: tenant.get(kinds.HTTP_ROUTE))


def _say(tenant: Any, status: str, reason: str, message: str = "") -> None:
    """Say as Istio what becomes of the route."""
    told = {
        "type": "Accepted", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": tenant.get(kinds.HTTP_ROUTE)["metadata"]["generation"],
    }  # fmt: skip
    where = PARENT | {"sectionName": gateway_api.SECURE}
    of = {"parentRef": where, "controllerName": "istio.io/gateway-controller", "conditions": [told]}
    change = {"status": {"parents": [of]}}
    tenant.kube.patch(kinds.HTTP_ROUTE, tenant.namespace, "points", change, "status")


async def _checked(account: Path) -> str:
    """What `point-operator check` says of that gateway."""
    async with await connection.connect(str(account)) as client:
        found = [str(one) async for one in check.look(Cluster(client), Settings(gateways=(PLACE,)))]
    return found[-1]


@pytest.mark.usefixtures("parent")
def test_it_is_ready_when_the_gateway_takes_its_route(tenant: Any) -> None:
    route = _up(tenant)
    assert [one["sectionName"] for one in route["spec"]["parentRefs"]] == ["https"]
    assert route["spec"]["hostnames"] == [tenant.host]
    tenant.wait_reason("Ready", "NotRouted")
    _say(tenant, "True", "Accepted")
    tenant.wait_reason("Ready", "Available")
    _say(tenant, "False", "NotAllowedByListeners", "namespace not allowed")
    ready = tenant.wait_reason("Ready", "RouteNotAccepted")
    assert "NotAllowedByListeners: namespace not allowed" in ready["message"]
    _say(tenant, "True", "Accepted")
    tenant.wait_reason("Ready", "Available")
    assert tenant.get(kinds.VIRTUAL_SERVICE) is None
    assert tenant.kube.get(kinds.GATEWAY, PLACE.namespace, SHARED) is None
    for kind in kinds.AT_GATEWAY:
        assert tenant.at_gateway(kind)["spec"]["targetRefs"][0]["name"] == "shared"


@pytest.mark.usefixtures("parent")
def test_a_change_is_at_work_when_the_gateway_has_looked_at_the_route_as_it_is(tenant: Any) -> None:
    _up(tenant)
    _say(tenant, "True", "Accepted")
    before = tenant.wait_reason("Ready", "Available")["observedGeneration"]
    tenant.wait_reason("Progressing", "Complete")
    tenant.spec(mesh={"timeoutSeconds": 7})
    assert "newest route" in tenant.wait_reason("Progressing", "RollingOut")["message"]
    ready = tenant.condition("Ready")
    assert (ready["status"], ready["observedGeneration"]) == ("True", before)
    _say(tenant, "True", "Accepted")
    tenant.wait_reason("Progressing", "Complete")
    assert tenant.condition("Ready")["observedGeneration"] == before + 1


@pytest.mark.usefixtures("parent")
def test_without_the_gateway_there_is_no_route_and_what_guards_stays(tenant: Any) -> None:
    _up(tenant)
    tenant.kube.delete(kinds.PARENT, PARENT["namespace"], PARENT["name"])
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"labels": {"look": "again"}}})
    assert (
        "There is no Gateway istio-ingress/shared" in tenant.wait_reason("Ready", "GatewayAbsent")["message"]
    )
    assert tenant.get(kinds.HTTP_ROUTE) is None
    assert tenant.at_gateway(kinds.AUTHORIZATION_POLICY) is not None


@pytest.mark.usefixtures("parent")
def test_a_gateway_of_somebody_elses_gets_no_route(tenant: Any, account: Path) -> None:
    assert asyncio.run(_checked(account)) == "ok    Gateway shared: 1 of 1 pods in istio-ingress are ready"
    klass = {"metadata": {"name": "other"}, "spec": {"controllerName": "example.com/other"}}
    tenant.kube.create(kinds.GATEWAY_CLASS, klass)
    tenant.kube.patch(
        kinds.PARENT, PARENT["namespace"], PARENT["name"], {"spec": {"gatewayClassName": "other"}}
    )
    tenant.create(gateway=AT_PARENT)
    tenant.migrated()
    tenant.rolled_out()
    checked = asyncio.run(_checked(account))
    assert checked.startswith("WRONG Gateway shared: Gateway istio-ingress/shared")
    assert "example.com/other looks after" in checked
    assert "example.com/other looks after" in tenant.wait_reason("Ready", "GatewayForeign")["message"]
    assert tenant.get(kinds.HTTP_ROUTE) is None


@pytest.mark.usefixtures("parent")
def test_what_somebody_changes_of_the_route_is_taken_back(tenant: Any) -> None:
    wanted = _up(tenant)["spec"]
    tenant.edit(kinds.HTTP_ROUTE, {"spec": {"hostnames": ["other.localhost"], "rules": wanted["rules"][-1:]}})
    tenant.kube.wait("the repair", lambda: tenant.get(kinds.HTTP_ROUTE)["spec"] == wanted)
    tenant.kube.delete(kinds.HTTP_ROUTE, tenant.namespace, "points")
    tenant.kube.wait("the route to return", lambda: tenant.get(kinds.HTTP_ROUTE))


@pytest.mark.usefixtures("parent")
def test_it_moves_there_and_back_and_leaves_nothing(tenant: Any) -> None:
    tenant.ready()
    tenant.spec(gateway={"parentRef": PARENT, "tls": None})
    tenant.kube.wait("the route", lambda: tenant.get(kinds.HTTP_ROUTE))
    tenant.kube.wait("the old one to go", lambda: tenant.get(kinds.VIRTUAL_SERVICE) is None)
    guard = tenant.kube.get(kinds.ENVOY_FILTER, PLACE.namespace, SHARED)
    assert guard["spec"]["targetRefs"] == [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared"}
    ]
    tenant.spec(gateway={"parentRef": None, "tls": {"credentialName": "points-tls"}})
    tenant.kube.wait("the first one to return", lambda: tenant.get(kinds.VIRTUAL_SERVICE))
    tenant.kube.wait("the route to go", lambda: tenant.get(kinds.HTTP_ROUTE) is None)


@pytest.mark.usefixtures("parent")
def test_it_leaves_the_route_first_and_nothing_at_all(tenant: Any) -> None:
    _up(tenant)
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
    assert tenant.get(kinds.HTTP_ROUTE) is None
    assert all(tenant.at_gateway(kind) is None for kind in kinds.AT_GATEWAY)
    assert tenant.kube.get(kinds.ENVOY_FILTER, PLACE.namespace, SHARED) is None


@pytest.mark.usefixtures("parent")
def test_what_can_t_be_had_is_told_when_it_is_applied(make_tenant: Callable[[], Any]) -> None:
    first, second = make_tenant(), make_tenant()
    _up(first)
    for change, said in [
        (
            {"parentRef": PARENT | {"name": "other"}},
            "spec.gateway.parentRef: istio-ingress/other is not on the",
        ),
        ({"hosts": [first.host]}, f"another PointService already has {first.host} at gateway shared"),
    ]:
        with pytest.raises(httpx.HTTPStatusError) as error:
            second.create(gateway=AT_PARENT | change)
        assert said in error.value.response.json()["message"]


def test_where_the_kinds_are_not_installed_it_says_so(tenant: Any) -> None:
    tenant.create(gateway=AT_PARENT)
    tenant.migrated()
    tenant.rolled_out()
    message = tenant.wait_reason("Ready", "NotInstalled")["message"]
    assert "does not know httproutes.gateway.networking.k8s.io/v1" in message
