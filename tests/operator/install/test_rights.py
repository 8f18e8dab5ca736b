"""The operator holds no right that it does not use, and misses none that it needs."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import gateway_api
from point_operator.model import kinds, names

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
USER = "system:serviceaccount:point-system:point-operator"
DEPLOY = ROOT / "operator/deploy"

Right = tuple[str, str, str, str]
"""Role, API group, resource (with subresource) and verb."""

NOT_SEEN_HERE = {
    ("ClusterRole", "pointservice.io", "pointservices/finalizers", "update"),  # an admission plugin checks it
}


@pytest.mark.usefixtures("optional_kinds")
def test_every_right_is_used_and_none_is_missing(tenant: Any, server: Any, operator: Any) -> None:
    before = len(server.audit(USER))  # another test restarted the API server, which then refused everything
    _live_a_full_life(tenant)
    records = server.audit(USER)[before:]
    refused = [one for one in records if one.get("responseStatus", {}).get("code") == 403]
    assert [(one["verb"], one["requestURI"]) for one in refused] == []
    operator.stop()  # the watches end, and only then are on record
    try:
        used = {right for one in server.audit(USER) for right in _rights(one)}
    finally:
        operator.start()
    leases = {right for right in _granted() if right[2] == "leases"}  # test_lease.py
    assert sorted(_granted() - used - NOT_SEEN_HERE - leases) == []


def _live_a_full_life(tenant: Any) -> None:
    tenant.ready()
    shared = names.shared_name("istio-ingress", {"istio": "ingressgateway"})
    for kind, name in (
        (kinds.SERVICE_ACCOUNT, "points"),
        (kinds.SERVICE, "points"),
        (kinds.CONFIG_MAP, "points-dashboard"),
        (kinds.DEPLOYMENT, "points"),
        (kinds.AUTOSCALER, "points"),
        (kinds.DISRUPTION_BUDGET, "points"),
        (kinds.PEER_AUTHENTICATION, "points"),
        (kinds.AUTHORIZATION_POLICY, "points"),
        (kinds.DESTINATION_RULE, "points"),
        (kinds.VIRTUAL_SERVICE, "points"),
        *((kind, "points") for kind in kinds.WATCHING),
    ):
        tenant.kube.delete(kind, tenant.namespace, name)
        tenant.kube.wait(f"{kind.kind} to return", lambda k=kind, n=name: tenant.get(k, n))
    tenant.kube.delete(kinds.GATEWAY, "istio-ingress", shared)
    tenant.kube.wait("the Gateway to return", lambda: tenant.kube.get(kinds.GATEWAY, "istio-ingress", shared))
    tenant.spec(
        image="docker.io/library/point-service:0.2.0",
        rollout={"strategy": "Canary"},
        observability={"dashboard": False, "serviceMonitor": False, "alerts": False},
    )
    tenant.migrated()
    tenant.kube.wait("the canary", lambda: tenant.get(kinds.DEPLOYMENT, "points-canary"))
    tenant.spec(rollout={"strategy": "RollingUpdate"})
    for kind in (kinds.DEPLOYMENT, kinds.SERVICE, kinds.DESTINATION_RULE):
        tenant.kube.wait("the canary to go", lambda k=kind: tenant.get(k, "points-canary") is None)
    tenant.kube.wait("the old Job to go", lambda: len(tenant.kube.find(kinds.JOB, tenant.namespace)) == 1)
    tenant.spec(gateway={"rateLimit": {"scope": "Global"}})
    tenant.kube.wait("its rate limit service", lambda: tenant.get(kinds.DEPLOYMENT, "points-rate-limit"))
    tenant.spec(gateway={"rateLimit": {"scope": "Local"}})
    tenant.kube.wait("it to go", lambda: tenant.get(kinds.DEPLOYMENT, "points-rate-limit") is None)
    place = gateway_api.PLACE
    parent = {"name": place.parent, "namespace": place.namespace}
    tenant.kube.create(kinds.PARENT, {"metadata": parent, "spec": gateway_api.gateway_spec()})
    tenant.spec(gateway={"tls": None, "parentRef": parent})
    tenant.kube.wait("its route", lambda: tenant.get(kinds.HTTP_ROUTE))
    tenant.spec(gateway={"parentRef": None, "selector": {"istio": tenant.namespace}})
    own = names.shared_name("istio-ingress", {"istio": tenant.namespace})
    tenant.kube.wait("a listener of its own", lambda: tenant.kube.get(kinds.GATEWAY, "istio-ingress", own))
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)


def _granted() -> set[Right]:
    manifests = [
        manifest
        for file in ("cluster-role.yaml", "gateway-role.yaml", "lease-role.yaml")
        for manifest in yaml.safe_load_all((DEPLOY / file).read_text())
        if manifest["kind"] in ("ClusterRole", "Role")
    ]
    return {
        (_role(manifest["metadata"].get("namespace", "")), group, resource, verb)
        for manifest in manifests
        for rule in manifest["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _role(namespace: str) -> str:
    return f"Role {namespace}" if namespace else "ClusterRole"


def _rights(record: dict[str, Any]) -> list[Right]:
    """The rights that a request may have used: of the cluster or of the namespace it was for."""
    reference = record.get("objectRef", {})
    resource = "/".join(part for part in (reference.get("resource"), reference.get("subresource")) if part)
    right = (reference.get("apiGroup", ""), resource, record["verb"])
    verbs = [right[2]]
    if record["verb"] == "patch" and record.get("responseStatus", {}).get("code") == 201:
        verbs.append("create")  # a server-side apply that makes an object
    namespaces = {"ClusterRole", _role(reference.get("namespace", ""))}
    return [(role, right[0], right[1], verb) for role in namespaces for verb in verbs]
