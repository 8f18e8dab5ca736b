"""The schema migration: a Job per image, database and login, which must end well before pods with them start."""

from typing import Any

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata
from point_operator.resources.pods import container, pod_template

RETRIES = 2
"""Tries after the first one; pods that were evicted are none."""


def name(point_service: PointService, login: str) -> str:
    """Name of the Job: another image, database or login makes another one, since a Job can't be changed.

    It follows what the user wrote and not the manifest: a new release of the operator runs no migration again.
    """
    attempt = [point_service.spec.image, target(point_service, login)]
    return f"{point_service.name}-migrate-{names.digest(attempt)[:10]}"


def target(point_service: PointService, login: str) -> str:
    """Return what changes with the database that is migrated or with the login (`Surroundings.login`) to it."""
    database = point_service.spec.database
    written = [
        database.host,
        database.port,
        database.name,
        database.credentials_secret,
        database.migration_secret,
        database.tls.enabled,
        database.tls.ca_secret,
        login,
    ]
    return names.digest(written)[:16]


def build(point_service: PointService, login: str) -> metadata.Manifest:
    """Return the Job. It has no proxy, whose end a Job would wait for (istio 11045).

    There is no `ttlSecondsAfterFinished`: the Job that succeeded is the record that it did. The operator
    removes those of earlier images.
    """
    manifest = metadata.own(kinds.JOB, point_service, name(point_service, login), "migration")
    manifest["spec"] = _spec(point_service)
    return manifest


def _spec(point_service: PointService) -> dict[str, Any]:
    labels = names.labels(point_service) | {
        "app.kubernetes.io/component": "migration",
        "sidecar.istio.io/inject": "false",
    }
    seconds = point_service.spec.rollout.migration_deadline_seconds
    deadline = {} if seconds is None else {"activeDeadlineSeconds": seconds}
    evicted = {"type": "DisruptionTarget", "status": "True"}
    return {
        **deadline,
        "backoffLimit": RETRIES,
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [evicted]}]},
        "template": pod_template.build(point_service, {"labels": labels}, _pod(point_service)),
    }


def _pod(point_service: PointService) -> dict[str, Any]:
    files = container.migration_files(point_service)
    return {
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
    }
