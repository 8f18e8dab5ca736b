"""The Envoy rate limit service (github.com/envoyproxy/ratelimit): one count for all gateway pods.

Made for a PointService whose limit has the scope Global. It counts in the PointService's own Redis, in one
key for each second of the clock, and only its gateway may ask it.
"""

from typing import Any

import yaml

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata
from point_operator.resources.pods import container, deployment, pod_template
from point_operator.resources.surroundings import Surroundings

SERVICE, MEMBER = "service", "member"
"""What is counted, as the descriptors' keys name it: all requests of the service, and each member's."""
ASK = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
"""The gRPC method by which the gateway asks."""

COMPONENT = "rate-limit"
GRPC_PORT, HTTP_PORT = 8081, 8080
REPLICAS = 2
CONFIG = "/etc/rate-limit/config"
DRAIN_SECONDS = 5


def name(point_service: PointService) -> str:
    """Name of everything that belongs to it."""
    return f"{point_service.name}-{COMPONENT}"


def host(point_service: PointService) -> str:
    """Its name inside the cluster."""
    return f"{name(point_service)}.{point_service.namespace}.svc.cluster.local"


def cluster(point_service: PointService) -> str:
    """Istio's name for it at the gateway, with the mesh's mutual TLS."""
    return f"outbound|{GRPC_PORT}||{host(point_service)}"


def is_wanted(point_service: PointService) -> bool:
    """Whether a PointService has one."""
    limit = point_service.spec.gateway.rate_limit
    return limit.enabled and limit.scope == "Global"


def build(point_service: PointService, surroundings: Surroundings) -> tuple[metadata.Manifest, ...]:
    """Return it and how the gateway reaches it; nothing for a limit that each gateway pod counts alone."""
    if not is_wanted(point_service):
        return ()
    return (
        _config(point_service),
        _service(point_service),
        _destination_rule(point_service),
        _disruption_budget(point_service),
        _deployment(point_service, surroundings),
    )


def _start(kind: kinds.Kind, point_service: PointService) -> metadata.Manifest:
    return metadata.own(kind, point_service, name(point_service), COMPONENT)


def _pod_labels(point_service: PointService) -> dict[str, str]:
    return names.pod_labels(point_service, COMPONENT)


def _limits(point_service: PointService) -> str:
    limit = point_service.spec.gateway.rate_limit
    whole: dict[str, Any] = {
        "key": SERVICE,
        "value": names.in_gateway(point_service),
        "rate_limit": _per_second(limit.requests_per_second),
    }
    if limit.per_member:
        member = {"key": MEMBER, "rate_limit": _per_second(limit.per_member.requests_per_second)}
        whole["descriptors"] = [member]  # no value: each member is counted apart
    return yaml.safe_dump(
        {"domain": names.in_gateway(point_service), "descriptors": [whole]}, sort_keys=False
    )


def _per_second(requests: int) -> dict[str, Any]:
    return {"unit": "second", "requests_per_unit": requests}


def _config(point_service: PointService) -> metadata.Manifest:
    manifest = _start(kinds.CONFIG_MAP, point_service)
    manifest["data"] = {"limits.yaml": _limits(point_service)}
    return manifest


def _service(point_service: PointService) -> metadata.Manifest:
    manifest = _start(kinds.SERVICE, point_service)
    port = {"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc", "protocol": "TCP", "appProtocol": "grpc"}
    manifest["spec"] = {"type": "ClusterIP", "selector": _pod_labels(point_service), "ports": [port]}
    return manifest


def _destination_rule(point_service: PointService) -> metadata.Manifest:
    """Leave out a pod that fails at once: without an answer the gateway decides alone and waits for nobody."""
    manifest = _start(kinds.DESTINATION_RULE, point_service)
    manifest["spec"] = {
        "host": host(point_service),
        "trafficPolicy": {
            "tls": {"mode": "ISTIO_MUTUAL"},
            "loadBalancer": {"simple": "ROUND_ROBIN", "localityLbSetting": {"enabled": False}},
            "connectionPool": {"tcp": {"connectTimeout": "1s"}},
            "outlierDetection": {
                "consecutive5xxErrors": 5,
                "interval": "1s",
                "baseEjectionTime": "5s",
                "maxEjectionPercent": 100,
            },
        },
    }
    return manifest


def _disruption_budget(point_service: PointService) -> metadata.Manifest:
    manifest = _start(kinds.DISRUPTION_BUDGET, point_service)
    manifest["spec"] = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": _pod_labels(point_service)},
    }
    return manifest


def _deployment(point_service: PointService, surroundings: Surroundings) -> metadata.Manifest:
    manifest = _start(kinds.DEPLOYMENT, point_service)
    manifest["spec"] = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": _pod_labels(point_service)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "progressDeadlineSeconds": 120,
        "revisionHistoryLimit": 3,
        "template": pod_template.build(
            point_service,
            _pod_metadata(point_service, surroundings),
            _pod(point_service, surroundings),
            with_variables=False,
        ),
    }
    return manifest


def _pod_metadata(point_service: PointService, surroundings: Surroundings) -> dict[str, Any]:
    return {
        "labels": names.labels(point_service)
        | _pod_labels(point_service)
        | {
            "app": name(point_service),
            "version": names.version(surroundings.rate_limit_image),
            "sidecar.istio.io/inject": "true",
        },
        "annotations": {
            # A mounted ConfigMap is only seen a minute later, and the Secrets are read at the start only.
            names.CONFIG_HASH: names.digest([_limits(point_service), surroundings.config_hash])[:16],
            "proxy.istio.io/config": "holdApplicationUntilProxyStarts: true\n",
            "sidecar.istio.io/proxyCPU": "50m",
            "sidecar.istio.io/proxyMemory": "64Mi",
            "sidecar.istio.io/proxyMemoryLimit": "128Mi",
            "traffic.sidecar.istio.io/excludeOutboundPorts": str(point_service.spec.cache.port),
        },
    }


def _pod(point_service: PointService, surroundings: Surroundings) -> dict[str, Any]:
    files = container.cache_authority(point_service)
    config = {"name": "config", "configMap": {"name": name(point_service)}}
    probe = {"httpGet": {"path": "/healthcheck", "port": "http"}, "timeoutSeconds": 2}
    application = {
        "name": names.APPLICATION,
        "image": surroundings.rate_limit_image,
        "imagePullPolicy": point_service.spec.image_pull_policy,
        "command": ["/bin/ratelimit"],
        "env": _environment(point_service, surroundings),
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
        ],
        "startupProbe": probe | {"periodSeconds": 1, "failureThreshold": 30},
        # Not ready without Redis: then the gateway asks nobody, instead of one who can't answer.
        "readinessProbe": probe | {"periodSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {"tcpSocket": {"port": "grpc"}, "periodSeconds": 10, "timeoutSeconds": 2},
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": container.container_security(),
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG, "readOnly": True},
            *(one.as_mount() for one in files),
        ],
    }
    return {
        "serviceAccountName": point_service.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 2 * DRAIN_SECONDS,
        "securityContext": container.pod_security(),
        "topologySpreadConstraints": deployment.spread(_pod_labels(point_service), apart=True),
        "tolerations": deployment.tolerations(),
        "containers": [application],
        "volumes": [config, *(one.as_volume() for one in files)],
    }


def _environment(point_service: PointService, surroundings: Surroundings) -> list[dict[str, Any]]:
    """Its settings (README of envoyproxy/ratelimit). It takes the password from its environment only."""
    cache = point_service.spec.cache
    root, subdirectory, directory = CONFIG.rsplit("/", 2)
    values = {
        "LOG_LEVEL": "warn",
        "LOG_FORMAT": "json",
        "USE_STATSD": False,
        "GOSTATS_LOGGING_SINK_DISABLED": True,
        "GRPC_PORT": GRPC_PORT,
        "PORT": HTTP_PORT,
        "DEBUG_HOST": "127.0.0.1",
        "RUNTIME_ROOT": root,
        "RUNTIME_SUBDIRECTORY": subdirectory,
        "RUNTIME_APPDIRECTORY": directory,
        "RUNTIME_WATCH_ROOT": False,
        "RUNTIME_IGNOREDOTFILES": True,  # a ConfigMap is mounted with its versions beside it
        "HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED": True,
        "EXPIRATION_JITTER_MAX_SECONDS": 0,  # a count of a second is of no use afterwards
        "LOCAL_CACHE_SIZE_IN_BYTES": 1
        << 20,  # who is over the limit is remembered without asking Redis again
        "BACKEND_TYPE": "redis",
        "REDIS_SOCKET_TYPE": "tcp",
        "REDIS_TYPE": "CLUSTER" if cache.cluster_mode else "SINGLE",
        "REDIS_URL": f"{cache.host}:{cache.port}",
        "REDIS_PIPELINE_WINDOW": "150us",
        "REDIS_HEALTH_CHECK_ACTIVE_CONNECTION": True,
        "REDIS_TLS": cache.tls.enabled,
        "REDIS_TLS_CACERT": container.cache_authority_file(point_service),
    }
    login = _login(cache.auth_secret, named=surroundings.cache_user_named) if cache.auth_secret else []
    return container.variables(values) + login


def _login(secret: str, *, named: bool) -> list[dict[str, Any]]:
    def key(variable: str, name: str) -> dict[str, Any]:
        return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}

    user = key("CACHE_USER", "username") if named else {"name": "CACHE_USER", "value": "default"}
    return [
        user,
        key("CACHE_PASSWORD", "password"),
        {"name": "REDIS_AUTH", "value": "$(CACHE_USER):$(CACHE_PASSWORD)"},
    ]
