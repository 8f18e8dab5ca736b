"""How many pods a drain may take at once."""

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata


def build(point_service: PointService) -> metadata.Manifest:
    """Return the PodDisruptionBudget. Pods that are not ready never block a drain."""
    manifest = metadata.own(kinds.DISRUPTION_BUDGET, point_service, point_service.name)
    manifest["spec"] = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": names.pod_labels(point_service)},
    }
    return manifest
