"""What the service's container and the migration's have in common: environment, files, rights.

The variables and paths are the contract with the image (`service/point_service/settings.py`).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from point_operator.model import names
from point_operator.model.api import PointService, Tls, Tracing

CONFIG = "/etc/point"
Value = str | int | float | bool | None

VARIABLES = (
    "POINT_CACHE_ANSWER_TTL_SECONDS", "POINT_CACHE_CA_FILE", "POINT_CACHE_CLUSTER_MODE",
    "POINT_CACHE_CREDENTIALS_DIR", "POINT_CACHE_HOST", "POINT_CACHE_PORT", "POINT_CACHE_TIMEOUT_SECONDS",
    "POINT_CACHE_TLS", "POINT_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "POINT_DATABASE_CA_FILE",
    "POINT_DATABASE_CONNECTION_LIFETIME_SECONDS", "POINT_DATABASE_CREDENTIALS_DIR", "POINT_DATABASE_HOST",
    "POINT_DATABASE_MIGRATION_CREDENTIALS_DIR", "POINT_DATABASE_NAME", "POINT_DATABASE_POOL_SIZE",
    "POINT_DATABASE_PORT", "POINT_DATABASE_READER_HOST", "POINT_DATABASE_TLS",
    "POINT_DRAIN_TIMEOUT_SECONDS", "POINT_HTTP_ADDRESS", "POINT_HTTP_PORT",
    "POINT_IDEMPOTENCY_RETENTION_HOURS", "POINT_IDEMPOTENCY_SCOPE", "POINT_LOCK_ENABLED",
    "POINT_LOG_KEY_FILE", "POINT_LOG_LEVEL", "POINT_POD_NAME",
    "POINT_POLICY_DEFAULT_EXPIRY_DAYS", "POINT_POLICY_EXPIRING_SOON_DAYS", "POINT_POLICY_MAX_BALANCE",
    "POINT_POLICY_MAX_EARN", "POINT_POLICY_MAX_EXPIRY_DAYS", "POINT_POLICY_MIN_EARN",
    "POINT_REQUEST_TIMEOUT_SECONDS", "POINT_SHARED_TRANSACTION_REQUESTS", "POINT_TARGET_LATENCY_SECONDS",
    "POINT_UPKEEP_INTERVAL_SECONDS", "POINT_ZONE",
)  # fmt: skip
"""Every variable of ours that the image reads."""


class Files(msgspec.Struct, frozen=True):
    """One Secret as files of a container."""

    volume: str
    secret: str
    items: tuple[str, ...]
    """Keys to show as files; none means all of them."""

    @property
    def path(self) -> str:
        """Where the container sees them."""
        return f"{CONFIG}/{self.volume}"

    def as_volume(self) -> dict[str, Any]:
        """The pod's volume. Mode 0440 and the pod's fsGroup let only our user read it."""
        secret: dict[str, Any] = {"secretName": self.secret, "defaultMode": 0o440}
        if self.items:
            secret["items"] = [{"key": key, "path": key} for key in self.items]
        return {"name": self.volume, "secret": secret}

    def as_mount(self) -> dict[str, Any]:
        """The container's mount."""
        return {"name": self.volume, "mountPath": self.path, "readOnly": True}


TMP_VOLUME: dict[str, Any] = {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}
TMP_MOUNT: dict[str, Any] = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - the container's own, in memory


def service_files(point_service: PointService) -> list[Files]:
    """Secrets that the service's pods mount."""
    spec = point_service.spec
    files = [Files("database", spec.database.credentials_secret, ("username", "password"))]
    files += _authority("database-ca", spec.database.tls)
    if spec.cache.auth_secret:
        files.append(Files("cache", spec.cache.auth_secret, ()))  # the user name is optional in it
    if spec.log_key_secret:
        files.append(Files("log", spec.log_key_secret, ("key",)))
    return files + cache_authority(point_service)


def cache_authority(point_service: PointService) -> list[Files]:
    """The Secret with the authority of the cache, if one is named."""
    return _authority("cache-ca", point_service.spec.cache.tls)


def cache_authority_file(point_service: PointService) -> str:
    """Where a container that mounts it sees the authority of the cache; empty for the system's."""
    return _authority_file("cache-ca", point_service.spec.cache.tls)


def migration_files(point_service: PointService) -> list[Files]:
    """Secrets that the migration mounts: the master's besides the application's, whose user it creates."""
    database = point_service.spec.database
    return [
        Files("database", database.credentials_secret, ("username", "password")),
        Files("database-master", database.migration_secret, ("username", "password")),
        *_authority("database-ca", database.tls),
    ]


def database_environment(point_service: PointService) -> list[dict[str, Any]]:
    """Variables that say where the database is; secrets are files that they name."""
    database = point_service.spec.database
    values = {
        "POINT_DATABASE_HOST": database.host,
        "POINT_DATABASE_READER_HOST": database.reader_host,
        "POINT_DATABASE_PORT": database.port,
        "POINT_DATABASE_NAME": database.name,
        "POINT_DATABASE_POOL_SIZE": database.pool_size,
        "POINT_DATABASE_ACQUIRE_TIMEOUT_SECONDS": database.acquire_timeout_seconds,
        "POINT_DATABASE_CONNECTION_LIFETIME_SECONDS": database.connection_lifetime_seconds,
        "POINT_DATABASE_CREDENTIALS_DIR": f"{CONFIG}/database",
        "POINT_DATABASE_TLS": database.tls.enabled,
        "POINT_DATABASE_CA_FILE": _authority_file("database-ca", database.tls),
    }
    return variables(values)


def service_environment(point_service: PointService) -> list[dict[str, Any]]:
    """Every variable of the service."""
    cache, policy, server = point_service.spec.cache, point_service.spec.policy, point_service.spec.server
    values = {
        "POINT_LOG_LEVEL": point_service.spec.log_level,
        "POINT_LOG_KEY_FILE": f"{CONFIG}/log/key" if point_service.spec.log_key_secret else "",
        "POINT_CACHE_HOST": cache.host,
        "POINT_CACHE_PORT": cache.port,
        "POINT_CACHE_CLUSTER_MODE": cache.cluster_mode,
        "POINT_CACHE_CREDENTIALS_DIR": f"{CONFIG}/cache" if cache.auth_secret else "",
        "POINT_CACHE_TLS": cache.tls.enabled,
        "POINT_CACHE_CA_FILE": cache_authority_file(point_service),
        "POINT_CACHE_TIMEOUT_SECONDS": cache.timeout_seconds,
        "POINT_CACHE_ANSWER_TTL_SECONDS": cache.answer_ttl_seconds,
        "POINT_HTTP_PORT": names.PORT,
        "POINT_LOCK_ENABLED": True,
        "POINT_REQUEST_TIMEOUT_SECONDS": server.request_timeout_seconds,
        "POINT_TARGET_LATENCY_SECONDS": server.target_latency_seconds,
        "POINT_DRAIN_TIMEOUT_SECONDS": server.drain_timeout_seconds,
        "POINT_IDEMPOTENCY_RETENTION_HOURS": server.idempotency_retention_hours,
        "POINT_IDEMPOTENCY_SCOPE": server.idempotency_scope,
        "POINT_UPKEEP_INTERVAL_SECONDS": server.upkeep_interval_seconds,
        "POINT_SHARED_TRANSACTION_REQUESTS": server.shared_transaction_requests,
        "POINT_POLICY_MIN_EARN": policy.min_earn,
        "POINT_POLICY_MAX_EARN": policy.max_earn,
        "POINT_POLICY_MAX_BALANCE": policy.max_balance,
        "POINT_POLICY_DEFAULT_EXPIRY_DAYS": policy.default_expiry_days,
        "POINT_POLICY_MAX_EXPIRY_DAYS": policy.max_expiry_days,
        "POINT_POLICY_EXPIRING_SOON_DAYS": policy.expiring_soon_days,
        **_tracing(point_service.spec.observability.tracing),
    }
    # Kubernetes copies a node's zone to its pods' labels from 1.35 on; before, the variable is empty.
    return (
        database_environment(point_service)
        + variables(values)
        + [
            _from_field("POINT_POD_NAME", "metadata.name"),
            _from_field("POINT_ZONE", "metadata.labels['topology.kubernetes.io/zone']"),
        ]
    )


def migration_environment(point_service: PointService) -> list[dict[str, Any]]:
    """Every variable of the migration."""
    return database_environment(point_service) + variables(
        {"POINT_DATABASE_MIGRATION_CREDENTIALS_DIR": f"{CONFIG}/database-master"}
    )


def pod_security() -> dict[str, Any]:
    """Rights of the pod: the "restricted" Pod Security Standard."""
    return {
        "runAsNonRoot": True,
        "runAsUser": names.USER,
        "runAsGroup": names.USER,
        "fsGroup": names.USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Rights of the container: nothing to write, nothing to gain."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _authority(volume: str, tls: Tls) -> list[Files]:
    return [Files(volume, tls.ca_secret, ("ca.crt",))] if tls.enabled and tls.ca_secret else []


def _authority_file(volume: str, tls: Tls) -> str:
    return f"{CONFIG}/{volume}/ca.crt" if tls.enabled and tls.ca_secret else ""


def variables(values: Mapping[str, Value]) -> list[dict[str, Any]]:
    """Environment variables of a container; an empty value, or None, leaves its variable out."""
    return [
        {"name": name, "value": _text(value)}
        for name, value in values.items()
        if value is not None and value != ""
    ]


def _text(value: str | float | bool) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tracing(tracing: Tracing | None) -> dict[str, Value]:
    """The standard variables, which the service goes by."""
    if tracing is None:
        return {}
    percent = tracing.sampling_percent
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": tracing.endpoint,
        "OTEL_TRACES_SAMPLER": None if percent is None else "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": None if percent is None else percent / 100,
    }


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
