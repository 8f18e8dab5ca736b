"""The service's address inside the cluster, and what of it the world may ask for."""

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata

PORT = 80
API_PREFIX, HEALTH_PATH = "/v1/", "/healthz"
"""What the gateway lets through: the calls, with a token, and the health check, open to everyone."""


def build(point_service: PointService, component: str = names.SERVICE) -> metadata.Manifest:
    """Return the Service of a component. The port's name makes Istio treat it as HTTP."""
    manifest = metadata.own(kinds.SERVICE, point_service, names.serving(point_service, component))
    manifest["spec"] = {
        "type": "ClusterIP",
        "selector": names.pod_labels(point_service, component),
        "ports": [
            {"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
        ],
    }
    return manifest
