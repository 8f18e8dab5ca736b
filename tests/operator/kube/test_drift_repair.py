"""What someone changes or deletes by hand is put right within two seconds."""

from typing import Any

import pytest
from point_operator.model import kinds, names

pytestmark = pytest.mark.integration

SECONDS = 2.0

EDITS: list[tuple[kinds.Kind, str, dict[str, Any]]] = [
    (kinds.SERVICE_ACCOUNT, "points", {"automountServiceAccountToken": True}),
    (kinds.SERVICE, "points", {"spec": {"selector": {"app.kubernetes.io/component": "other"}}}),
    (kinds.CONFIG_MAP, "points-dashboard", {"metadata": {"labels": {"grafana_dashboard": "0"}}}),
    (kinds.AUTOSCALER, "points", {"spec": {"maxReplicas": 99}}),
    (kinds.DISRUPTION_BUDGET, "points", {"spec": {"maxUnavailable": 9}}),
    (kinds.PEER_AUTHENTICATION, "points", {"spec": {"mtls": {"mode": "PERMISSIVE"}}}),
    (kinds.AUTHORIZATION_POLICY, "points", {"spec": {"rules": [{}]}}),
    (kinds.DESTINATION_RULE, "points", {"spec": {"trafficPolicy": {"tls": {"mode": "DISABLE"}}}}),
    (kinds.VIRTUAL_SERVICE, "points", {"spec": {"hosts": ["evil.localhost"]}}),
    (kinds.DEPLOYMENT, "points", {"spec": {"template": {"spec": {"hostNetwork": True}}}}),
    (
        kinds.DEPLOYMENT,
        "points",
        {"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "false"}}}}},
    ),
    (kinds.DEPLOYMENT, "points", {"metadata": {"labels": {"app.kubernetes.io/component": None}}}),
]
EDITS_AT_GATEWAY: list[tuple[kinds.Kind, dict[str, Any]]] = [
    (kinds.ENVOY_FILTER, {"spec": {"configPatches": []}}),
    (kinds.REQUEST_AUTHENTICATION, {"spec": {"jwtRules": None}}),
    (kinds.AUTHORIZATION_POLICY, {"spec": {"rules": [{}]}}),
]


@pytest.fixture
def settled(tenant: Any) -> Any:
    """A PointService that is Ready."""
    tenant.ready()
    return tenant


def test_every_edit_is_undone(settled: Any) -> None:
    for kind, name, edit in EDITS:
        before = _content(settled.get(kind, name))
        assert _content(settled.edit(kind, edit, name)) != before
        settled.kube.wait(
            f"{kind.kind} to be as before",
            lambda k=kind, n=name, b=before: _content(settled.get(k, n)) == b,
            SECONDS,
        )


def test_the_same_edit_is_undone_as_often_as_it_is_made(settled: Any) -> None:
    for kind, name, edit in [EDITS[3], EDITS[6], EDITS[0]]:
        before = _content(settled.get(kind, name))
        for _ in range(3):
            settled.edit(kind, edit, name)
            settled.kube.wait(
                f"{kind.kind} to be as before",
                lambda k=kind, n=name, b=before: _content(settled.get(k, n)) == b,
                SECONDS,
            )


def test_every_edit_at_the_gateway_is_undone(settled: Any) -> None:
    name = f"{settled.namespace}.points"
    for kind, edit in EDITS_AT_GATEWAY:
        before = _content(settled.at_gateway(kind))
        settled.kube.patch(kind, "istio-ingress", name, edit)
        settled.kube.wait(
            f"{kind.kind} to be as before",
            lambda k=kind, b=before: _content(settled.at_gateway(k)) == b,
            SECONDS,
        )


def test_every_deleted_child_returns(settled: Any) -> None:
    for kind, name, _ in EDITS:
        settled.kube.delete(kind, settled.namespace, name)
        settled.kube.wait(f"{kind.kind} to return", lambda k=kind, n=name: settled.get(k, n), SECONDS)
        if kind is kinds.DEPLOYMENT:
            break


def test_every_child_deleted_at_the_gateway_returns(settled: Any) -> None:
    for kind, _ in EDITS_AT_GATEWAY:
        settled.kube.delete(kind, "istio-ingress", f"{settled.namespace}.points")
        settled.kube.wait(f"{kind.kind} to return", lambda k=kind: settled.at_gateway(k), SECONDS)


@pytest.mark.parametrize("kind", [kinds.GATEWAY, kinds.ENVOY_FILTER], ids=lambda kind: kind.kind)
def test_what_is_shared_returns_as_well(settled: Any, kind: kinds.Kind) -> None:
    name = names.shared_name("istio-ingress", {"istio": "ingressgateway"})
    settled.kube.delete(kind, "istio-ingress", name)
    settled.kube.wait(
        f"{kind.kind} to return", lambda: settled.kube.get(kind, "istio-ingress", name), SECONDS
    )


def _content(body: dict[str, Any]) -> dict[str, Any]:
    """What counts of an object: not its versions, not its status."""
    labels = body["metadata"].get("labels")
    return {key: value for key, value in body.items() if key not in ("metadata", "status")} | {
        "labels": labels
    }
