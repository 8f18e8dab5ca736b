"""How the number of pods follows the load."""

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata


def build(point_service: PointService) -> metadata.Manifest:
    """Return the autoscaler: CPU of the application container alone, in percent of its request."""
    autoscaling = point_service.spec.autoscaling
    target = {"type": "Utilization", "averageUtilization": autoscaling.target_cpu_utilization_percentage}
    manifest = metadata.own(kinds.AUTOSCALER, point_service, point_service.name)
    manifest["spec"] = {
        "scaleTargetRef": {
            "apiVersion": kinds.DEPLOYMENT.api_version,
            "kind": kinds.DEPLOYMENT.kind,
            "name": point_service.name,
        },
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": [
            {
                "type": "ContainerResource",
                "containerResource": {"name": "cpu", "container": names.APPLICATION, "target": target},
            }
        ],
        "behavior": {
            "scaleUp": {  # at once, to double or by four, whichever is more
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Max",
                "policies": [
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                ],
            },
            "scaleDown": {  # a sale comes in waves
                "stabilizationWindowSeconds": 300,
                "selectPolicy": "Max",
                "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
            },
        },
    }
    return manifest
