"""A Gateway of Gateway API as Istio deploys it: its listeners, its certificate, and its pod, the harness' Envoy."""

import base64
from pathlib import Path
from typing import Any

from point_local.build import tools
from point_operator.model import kinds
from point_operator.model.gateways import PARENT, ListedGateway

LABELS = {"istio": "shared"}
"""What the Gateway has its pods labelled with, so that they can't be those of the other gateway of the namespace."""
PLACE = ListedGateway("shared", "istio-ingress", {PARENT: "shared", **LABELS}, "shared-istio")
"""As the operator's list names it."""
MODULE = ("sigs.k8s.io/gateway-api",)
CRD = "config/crd/standard/gateway.networking.k8s.io_{}.yaml"
"""Where the stable kinds are in it, by their plurals."""
SECURE, PLAIN = "https", "http"
"""Its listeners."""
_CERTIFICATE = "shared-tls"


def crds() -> list[Path]:
    """Return the files with the stable kinds, of the version that the pinned Istio is built with."""
    plurals = ("gatewayclasses", "gateways", "httproutes", "referencegrants")
    return [tools.module_dir(*MODULE) / CRD.format(plural) for plural in plurals]


def manifests(
    place: ListedGateway, ports: dict[str, int], certificate: str, key: str
) -> list[dict[str, Any]]:
    """Return the Gateway that takes routes from everywhere, and the Service by which istiod knows its pod; `ports` are
    where the pod listens, by listener."""
    metadata = {"name": place.parent, "namespace": place.namespace}
    pair = {"tls.crt": certificate, "tls.key": key}
    numbers = {SECURE: 443, PLAIN: 80}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": _CERTIFICATE, "namespace": place.namespace},
            "data": {name: base64.b64encode(text.encode()).decode() for name, text in pair.items()},
        },
        {
            "apiVersion": kinds.PARENT.api_version,
            "kind": kinds.PARENT.kind,
            "metadata": metadata,
            "spec": gateway_spec(),
        },
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": place.service_account, "namespace": place.namespace},
            "spec": {
                "hosts": [f"{place.service_account}.{place.namespace}.svc.cluster.local"],
                "ports": [
                    {"number": numbers[name], "name": name, "protocol": "TCP"} for name in (SECURE, PLAIN)
                ],
                "location": "MESH_INTERNAL",
                "resolution": "STATIC",
                # istiod takes the pod's labels from here, as from a Pod
                "endpoints": [{"address": "127.0.0.1", "ports": ports, "labels": place.selector}],
            },
        },
    ]


def gateway_spec() -> dict[str, Any]:
    """Return what the Gateway says."""
    everybody = {"namespaces": {"from": "All"}}
    terminated = {"mode": "Terminate", "certificateRefs": [{"name": _CERTIFICATE}]}
    return {
        "gatewayClassName": "istio",
        "infrastructure": {"labels": LABELS},
        "listeners": [
            {"name": SECURE, "port": 443, "protocol": "HTTPS", "tls": terminated, "allowedRoutes": everybody},
            {"name": PLAIN, "port": 80, "protocol": "HTTP", "allowedRoutes": everybody},
        ],
    }
