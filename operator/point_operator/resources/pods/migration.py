"""The schema migration: a Job per image and database, which must end well before pods of that image start."""

from typing import Any

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata
from point_operator.resources.pods import container

DEADLINE_SECONDS = 600
"""Longest that all tries together may take."""
RETRIES = 2


def name(point_service: PointService) -> str:
    """Name of the Job: another image or database makes another one, since a Job can't be changed."""
    return f"{point_service.name}-migrate-{names.digest(_spec(point_service))[:10]}"


def build(point_service: PointService) -> metadata.Manifest:
    """Return the Job. It has no proxy, whose end a Job would wait for (istio 11045).

    There is no `ttlSecondsAfterFinished`: the Job that succeeded is the record that it did. The operator
    removes those of earlier images.
    """
    manifest = metadata.own(kinds.JOB, point_service, name(point_service), "migration")
    manifest["spec"] = _spec(point_service)
    return manifest


def _spec(point_service: PointService) -> dict[str, Any]:
    files = container.migration_files(point_service)
    labels = names.labels(point_service) | {
        "app.kubernetes.io/component": "migration",
        "sidecar.istio.io/inject": "false",
    }
    return {
        "backoffLimit": RETRIES,
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": point_service.name,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "restartPolicy": "Never",  # the log of a failed try stays readable
                "securityContext": container.pod_security(),
                "containers": [
                    {
                        "name": "migrate",
                        "image": point_service.spec.image,
                        "imagePullPolicy": point_service.spec.image_pull_policy,
                        "args": ["migrate"],
                        "env": container.migration_environment(point_service),
                        "resources": {
                            "requests": {"cpu": "50m", "memory": "128Mi"},
                            "limits": {"memory": "384Mi"},
                        },
                        "securityContext": container.container_security(),
                        "volumeMounts": [container.TMP_MOUNT, *(one.as_mount() for one in files)],
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                    }
                ],
                "volumes": [container.TMP_VOLUME, *(one.as_volume() for one in files)],
            },
        },
    }
