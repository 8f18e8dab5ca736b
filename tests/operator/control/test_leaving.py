"""A PointService that goes is never held up by what has gone before it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from point_local.alone import apiserver
from point_local.programs.command import wait_established
from point_operator.model import kinds, names
from point_operator.model.kinds import Kind

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

NAMESPACE = Kind("", "v1", "namespaces", "Namespace")
ISTIO = (
    "envoyfilters.networking.istio.io",
    "gateways.networking.istio.io",
    "virtualservices.networking.istio.io",
    "requestauthentications.security.istio.io",
)


def test_one_leaves_a_namespace_that_is_being_deleted(tenant: Any) -> None:
    tenant.ready()
    tenant.kube.delete(NAMESPACE, "", tenant.namespace)
    tenant.kube.wait("the namespace to refuse new objects", lambda: _is_ending(tenant))
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")  # as the namespace's controller does
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
    assert tenant.at_gateway(kinds.REQUEST_AUTHENTICATION) is None


def test_pods_end_before_the_policies_that_guard_them(tenant: Any) -> None:
    tenant.ready()
    template = tenant.get(kinds.DEPLOYMENT)["spec"]["template"]
    metadata = {"name": "serving", "namespace": tenant.namespace, "labels": template["metadata"]["labels"]}
    tenant.kube.create(kinds.POD, {"metadata": metadata, "spec": template["spec"]})
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("the Deployment to go", lambda: tenant.get(kinds.DEPLOYMENT) is None)
    assert tenant.get(kinds.VIRTUAL_SERVICE) is None, "the route is gone before"
    looked = _looks(tenant)
    tenant.kube.wait("another look", lambda: _looks(tenant) > looked)
    assert tenant.get(kinds.POINT_SERVICE) is not None, "else its policies would go as garbage"
    for kind in (kinds.REQUEST_AUTHENTICATION, kinds.AUTHORIZATION_POLICY):
        assert tenant.at_gateway(kind) is not None
    tenant.kube.client.delete(f"{kinds.POD.path(tenant.namespace, 'serving')}?gracePeriodSeconds=0")
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
    assert tenant.at_gateway(kinds.REQUEST_AUTHENTICATION) is None


def test_a_route_that_somebody_elses_finalizer_holds_does_not_keep_it_for_ever(tenant: Any) -> None:
    tenant.ready(server={"drainTimeoutSeconds": 0}, podTemplate={"terminationGracePeriodSeconds": 10})
    finalizers = {"metadata": {"finalizers": ["example.com/gone"]}}
    tenant.edit(kinds.VIRTUAL_SERVICE, finalizers)
    deleted = time.monotonic()
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("the Deployment to go", lambda: tenant.get(kinds.DEPLOYMENT) is None, 45)
    assert time.monotonic() - deleted > 25, "first it is waited for the route"
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None, 45)
    assert tenant.at_gateway(kinds.REQUEST_AUTHENTICATION) is None
    tenant.edit(kinds.VIRTUAL_SERVICE, {"metadata": {"finalizers": None}})


@pytest.fixture
def without_istio(server: Any) -> Iterator[Any]:
    """How to uninstall some of Istio's kinds; they are back afterwards."""

    def uninstall() -> None:
        server.kubectl("delete", "crd", *ISTIO)

    yield uninstall
    crds = str(apiserver.istio_crds())
    server.kubectl("apply", "--server-side", "-f", crds)
    wait_established(server.kubectl, "-f", crds)


def test_one_leaves_a_cluster_whose_mesh_is_uninstalled(tenant: Any, without_istio: Any) -> None:
    tenant.ready()
    without_istio()
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": "look"}}})
    tenant.wait_reason("Degraded", "NotInstalled")
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)


def test_a_mesh_that_is_installed_again_is_used_again(tenant: Any, operator: Any) -> None:
    tenant.ready()
    shared = names.shared_name("istio-ingress", {"istio": "ingressgateway"})
    assert tenant.kube.get(kinds.GATEWAY, "istio-ingress", shared) is not None
    tenant.kube.delete(kinds.VIRTUAL_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("the route to return", lambda: tenant.get(kinds.VIRTUAL_SERVICE), 30)
    assert operator.process.poll() is None


def test_one_whose_gateway_is_not_allowed_any_more_leaves(
    tenant: Any, operator: Any, server: Any, account: Any, process: Any
) -> None:
    tenant.ready(gateway={"name": "default"})
    operator.stop()
    other = process(
        server, account, "--no-lease", name="elsewhere", POINT_OPERATOR_GATEWAYS="gone=gone/a=b/c"
    )
    other.start()
    try:
        tenant.wait_reason("Ready", "GatewayNotListed")
        started = time.monotonic()
        tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
        tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
        assert time.monotonic() - started < 15
    finally:
        other.stop()
        operator.start()


def _looks(tenant: Any) -> int:
    """How often the operator has asked for its pods."""
    records = tenant.kube.server.audit("system:serviceaccount:point-system:point-operator")
    return sum(f"/namespaces/{tenant.namespace}/pods" in one["requestURI"] for one in records)


def _is_ending(tenant: Any) -> bool:
    found = tenant.kube.client.get(f"/api/v1/namespaces/{tenant.namespace}").json()
    return found["status"]["phase"] == "Terminating"
