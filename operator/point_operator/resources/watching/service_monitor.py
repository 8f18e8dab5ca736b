"""How the Prometheus operator finds the pods' metrics."""

from point_operator.model import kinds
from point_operator.model.api import PointService
from point_operator.resources import metadata
from point_operator.resources.surroundings import Surroundings

MERGED_PORT = 15020
"""Where the proxy serves its own metrics and the application's together; strict mutual TLS leaves it open."""


def build(point_service: PointService, surroundings: Surroundings) -> metadata.Manifest | None:
    """Return the ServiceMonitor, or None when none is wanted or the cluster does not know the kind."""
    if not (surroundings.knows(kinds.SERVICE_MONITOR) and point_service.spec.observability.service_monitor):
        return None
    manifest = metadata.own(kinds.SERVICE_MONITOR, point_service, point_service.name)
    manifest["spec"] = {
        "selector": {"matchLabels": dict(manifest["metadata"]["labels"])},
        "endpoints": [
            {
                "port": "http",
                "path": "/stats/prometheus",
                "interval": "15s",
                "relabelings": [
                    {
                        "sourceLabels": ["__meta_kubernetes_pod_ip"],
                        "targetLabel": "__address__",
                        "replacement": f"$1:{MERGED_PORT}",
                    }
                ],
            }
        ],
    }
    manifest["metadata"]["labels"] |= point_service.spec.observability.labels
    return manifest
