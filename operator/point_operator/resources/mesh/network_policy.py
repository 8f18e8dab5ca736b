"""Who may open a connection to the pods, where the cluster's network enforces it."""

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata
from point_operator.resources.gateway import rate_limit_service

STATISTICS_PORT = 15020
"""Where a pod's proxy serves metrics: its own and the application's."""


def build(point_service: PointService) -> metadata.Manifest:
    """Return the NetworkPolicy: the gateway's pods and, for metrics alone, every pod of the cluster.

    The pods believe X-Member-Id. Their proxies turn everybody but the gateway away (`authorization_policy`); a pod
    that came up without its proxy has only this.
    """
    gateway = point_service.spec.gateway
    ports = [names.PORT]
    if rate_limit_service.is_wanted(point_service):
        ports.append(rate_limit_service.GRPC_PORT)
    place = {"matchLabels": {"kubernetes.io/metadata.name": gateway.namespace}}
    from_gateway = {"namespaceSelector": place, "podSelector": {"matchLabels": gateway.selector}}
    manifest = metadata.own(kinds.NETWORK_POLICY, point_service, point_service.name)
    manifest["spec"] = {
        "podSelector": {"matchLabels": names.every_pod(point_service)},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [from_gateway], "ports": [{"port": port, "protocol": "TCP"} for port in ports]},
            {"from": [{"namespaceSelector": {}}], "ports": [{"port": STATISTICS_PORT, "protocol": "TCP"}]},
        ],
    }
    return manifest
