"""The identity of the pods: a name for the mesh, no token for the Kubernetes API."""

from point_operator.model import kinds
from point_operator.model.api import PointService
from point_operator.resources import metadata


def build(point_service: PointService) -> metadata.Manifest:
    """Return the ServiceAccount of service and migration pods."""
    manifest = metadata.own(kinds.SERVICE_ACCOUNT, point_service, point_service.name)
    if annotations := point_service.spec.pod_template.service_account.annotations:
        manifest["metadata"]["annotations"] = annotations
    return manifest | {"automountServiceAccountToken": False}
