"""Whose an object is, who may have a host, and what is left when a PointService goes."""

from collections.abc import Callable
from typing import Any

import pytest
from harness.tenants import add_certificate, gateway_pod
from point_operator.model import kinds, names

pytestmark = pytest.mark.integration

FOREIGN = {"spec": {"ports": [{"name": "mine", "port": 1}]}}


def test_a_foreign_object_is_refused_and_left_alone(tenant: Any) -> None:
    tenant.kube.create(
        kinds.SERVICE, FOREIGN | {"metadata": {"name": "points", "namespace": tenant.namespace}}
    )
    tenant.create()
    degraded = tenant.wait_reason("Degraded", "NotOwned")
    assert f"Service {tenant.namespace}/points" in degraded["message"]
    assert f"{names.ADOPT}={tenant.namespace}/points" in degraded["message"]
    assert tenant.get(kinds.SERVICE)["spec"]["ports"][0]["name"] == "mine"


def test_a_foreign_object_is_adopted_when_its_annotation_says_so(tenant: Any) -> None:
    metadata = {"annotations": {names.ADOPT: f"{tenant.namespace}/points"}}
    metadata |= {"name": "points", "namespace": tenant.namespace}
    tenant.kube.create(kinds.SERVICE, FOREIGN | {"metadata": metadata})
    tenant.create()
    tenant.kube.wait(
        "the adopted Service",
        lambda: [p["name"] for p in tenant.get(kinds.SERVICE)["spec"]["ports"]] == ["http"],
    )


def test_the_second_one_that_wants_a_host_waits_until_it_is_free(make_tenant: Callable[[], Any]) -> None:
    first, second = make_tenant(), make_tenant()
    first.ready()
    second.host = first.host
    second.create(
        gateway={"namespace": "istio-ingress", "selector": {"istio": "ingressgateway"}}
    )  # which says too little for the admission policy
    refused = second.wait_reason("Ready", "HostConflict")
    assert f"{first.namespace}/points already has {first.host}" in refused["message"]
    assert second.get(kinds.VIRTUAL_SERVICE) is None
    first.kube.delete(kinds.POINT_SERVICE, first.namespace, "points")
    second.kube.wait("its turn", lambda: second.get(kinds.VIRTUAL_SERVICE))


def test_nobody_can_bring_own_keys_for_an_issuer_that_another_one_uses(
    make_tenant: Callable[[], Any],
) -> None:
    first, second = make_tenant(), make_tenant()
    first.ready()
    jwt = {"issuer": "https://issuer.localhost", "jwks": '{"keys": [{"kty": "RSA"}]}'}
    second.create(
        gateway={"jwt": jwt} | {"namespace": "istio-ingress", "selector": {"istio": "ingressgateway"}}
    )
    assert "other keys or claims" in second.wait_reason("Ready", "IssuerConflict")["message"]
    assert second.at_gateway(kinds.REQUEST_AUTHENTICATION) is None


def test_a_gateway_namespace_that_is_not_listed_is_refused(tenant: Any) -> None:
    tenant.create(gateway={"namespace": "istio-system"})
    refused = tenant.wait_reason("Ready", "GatewayNotListed")
    assert "istio-system/*/*" in refused["message"]
    assert tenant.get(kinds.SERVICE) is None


def test_deleting_removes_what_is_at_the_gateway(tenant: Any) -> None:
    tenant.ready()
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
    for kind in (kinds.ENVOY_FILTER, kinds.REQUEST_AUTHENTICATION, kinds.AUTHORIZATION_POLICY):
        assert tenant.at_gateway(kind) is None
    assert tenant.get(kinds.VIRTUAL_SERVICE) is None


def test_children_in_its_namespace_go_as_garbage_of_the_deleted_one(tenant: Any) -> None:
    tenant.ready()
    uid = tenant.get(kinds.POINT_SERVICE)["metadata"]["uid"]
    for kind in kinds.OWN_NAMESPACE:
        for child in tenant.kube.find(kind, tenant.namespace):
            assert [owner["uid"] for owner in child["metadata"]["ownerReferences"]] == [uid]


def test_the_route_goes_before_what_protects_it(tenant: Any, server: Any) -> None:
    tenant.ready()
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
    user = "system:serviceaccount:point-system:point-operator"
    deleted = [
        one["objectRef"]["resource"]
        for one in server.audit(user)
        if one["verb"] == "delete"
        and (
            one["objectRef"]["namespace"] == tenant.namespace or tenant.namespace in one["objectRef"]["name"]
        )
    ]
    assert deleted[0] == "virtualservices"
    assert set(deleted[1:3]) == {"deployments", "jobs"}
    assert set(deleted[3:]) == {"envoyfilters", "requestauthentications", "authorizationpolicies"}


def test_it_can_be_made_again_after_it_was_deleted(tenant: Any) -> None:
    tenant.ready()
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
    uid = tenant.create()["metadata"]["uid"]

    def owner() -> str:
        return (tenant.get(kinds.SERVICE) or {})["metadata"]["ownerReferences"][0]["uid"]

    tenant.kube.wait("the Service to be the new one's", lambda: owner() == uid)
    tenant.kube.wait("the route", lambda: tenant.get(kinds.VIRTUAL_SERVICE))


def test_an_orphaning_deletion_leaves_everything(tenant: Any) -> None:
    tenant.ready(deletionPolicy="Orphan")
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
    assert "ownerReferences" not in tenant.get(kinds.DEPLOYMENT)["metadata"]
    assert tenant.get(kinds.VIRTUAL_SERVICE) is not None
    assert tenant.at_gateway(kinds.REQUEST_AUTHENTICATION) is not None


def test_the_listener_and_guard_of_a_gateway_go_with_its_last_user(tenant: Any) -> None:
    selector = {"istio": tenant.namespace}
    gateway_pod(tenant.kube, tenant.namespace, selector)
    tenant.ready(gateway={"selector": selector})
    shared = names.shared_name("istio-ingress", selector)
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
    for kind in (kinds.GATEWAY, kinds.ENVOY_FILTER):
        assert tenant.kube.get(kind, "istio-ingress", shared) is None


def test_a_gateway_that_nobody_uses_any_more_is_swept(tenant: Any, operator: Any) -> None:
    selector = {"istio": tenant.namespace}
    gateway_pod(tenant.kube, tenant.namespace, selector)
    tenant.ready(gateway={"selector": selector})
    left = names.shared_name("istio-ingress", selector)
    tenant.spec(gateway={"selector": {"istio": "ingressgateway"}})
    tenant.kube.wait("the move", lambda: left not in str(tenant.get(kinds.VIRTUAL_SERVICE)))
    operator.stop()  # it sweeps when it starts and every five minutes
    operator.start()
    for kind in (kinds.GATEWAY, kinds.ENVOY_FILTER):
        tenant.kube.wait("it to be swept", lambda k=kind: tenant.kube.get(k, "istio-ingress", left) is None)


def test_what_an_orphaned_route_needs_stays(make_tenant: Callable[[], Any], operator: Any) -> None:
    orphan, other = make_tenant(), make_tenant()
    selector = {"istio": orphan.namespace}
    gateway_pod(orphan.kube, orphan.namespace, selector)
    orphan.ready(gateway={"selector": selector}, deletionPolicy="Orphan")
    other.ready(gateway={"selector": selector})
    for one in (orphan, other):
        one.kube.delete(kinds.POINT_SERVICE, one.namespace, "points")
        one.kube.wait("it to be gone", lambda one=one: one.get(kinds.POINT_SERVICE) is None)
    operator.stop()
    operator.start()
    for kind in (kinds.GATEWAY, kinds.ENVOY_FILTER):
        assert (
            orphan.kube.get(kind, "istio-ingress", names.shared_name("istio-ingress", selector)) is not None
        )


def test_two_point_services_share_a_gateway(make_tenant: Callable[[], Any]) -> None:
    first, second = make_tenant(), make_tenant()
    add_certificate(first.kube, "other-tls")
    first.ready()
    second.ready(gateway={"rateLimit": {"requestsPerSecond": 5}, "tls": {"credentialName": "other-tls"}})
    limits = [str(one.at_gateway(kinds.ENVOY_FILTER)["spec"]) for one in (first, second)]
    assert "'tokens_per_fill': 1000" in limits[0]
    assert "'tokens_per_fill': 5" in limits[1]
    shared = names.shared_name("istio-ingress", {"istio": "ingressgateway"})
    servers = first.kube.get(kinds.GATEWAY, "istio-ingress", shared)["spec"]["servers"]
    assert {f"{first.namespace}/*", f"{second.namespace}/*"} <= set(servers[0]["hosts"])
    own = [one for one in servers if one["hosts"] == [f"{second.namespace}/{second.host}"]]
    assert [one["tls"]["credentialName"] for one in own] == ["other-tls"]
