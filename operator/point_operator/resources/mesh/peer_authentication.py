"""Nobody talks to the pods in plain text."""

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata


def build(point_service: PointService) -> metadata.Manifest:
    """Return the PeerAuthentication: mutual TLS or no connection."""
    manifest = metadata.own(kinds.PEER_AUTHENTICATION, point_service, point_service.name)
    manifest["spec"] = {
        "selector": {"matchLabels": names.every_pod(point_service)},
        "mtls": {"mode": "STRICT"},
    }
    return manifest
