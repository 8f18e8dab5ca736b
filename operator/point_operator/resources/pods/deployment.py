"""The service's pods: spread over zones, probed, drained before they end."""

from typing import Any

from point_operator.model import kinds, names
from point_operator.model.api import PointService, Spec
from point_operator.model.pods import Resources
from point_operator.resources import metadata
from point_operator.resources.pods import container, pod_template

DRAIN_SECONDS = 5
"""From leaving the endpoints to SIGTERM, so that every gateway has heard of it (istio 55138)."""
SERVICE_DRAIN_SECONDS = 20
"""For how long the service then finishes what it has: its own default (`server.drainTimeoutSeconds`)."""
MARGIN_SECONDS = 15
"""After both, for the proxy to end."""
COUNTED = "proxyStatsMatcher: {inclusionRegexps: ['http.inbound_.*downstream_rq_.*']}\n"
"""Has the proxy count what comes in, which `traffic` reads; Istio leaves that out otherwise."""


def build(point_service: PointService, image: str, config_hash: str) -> metadata.Manifest:
    """Return the Deployment of the service's own pods. `replicas` is left out: it belongs to the autoscaler."""
    return _build(point_service, names.SERVICE, image, config_hash)


def build_canary(point_service: PointService, replicas: int, config_hash: str) -> metadata.Manifest | None:
    """Return the Deployment that tries the spec's image, or None when it has no pods."""
    if not replicas:
        return None
    manifest = _build(point_service, names.CANARY, point_service.spec.image, config_hash)
    manifest["spec"]["replicas"] = replicas
    return manifest


def _build(point_service: PointService, component: str, image: str, config_hash: str) -> metadata.Manifest:
    name = names.serving(point_service, component)
    manifest = metadata.own(kinds.DEPLOYMENT, point_service, name, component)
    manifest["spec"] = {
        "selector": {"matchLabels": names.pod_labels(point_service, component)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        "minReadySeconds": 2,
        "progressDeadlineSeconds": point_service.spec.rollout.progress_deadline_seconds,
        "revisionHistoryLimit": 3,
        "template": pod_template.build(
            point_service,
            _pod_metadata(point_service, component, image, config_hash),
            _pod(point_service, component, image),
        ),
    }
    return manifest


def drain_seconds(spec: Spec | None) -> int:
    """How long a pod that is asked to end may take until it has answered everything; None asks for the defaults."""
    given = spec and spec.server.drain_timeout_seconds
    return DRAIN_SECONDS + (SERVICE_DRAIN_SECONDS if given is None else given)


def grace_seconds(spec: Spec | None) -> int:
    """How long a pod that is asked to end may take at most; None asks for the defaults."""
    given = spec and spec.pod_template.termination_grace_period_seconds
    return drain_seconds(spec) + MARGIN_SECONDS if given is None else given


def start(point_service: PointService) -> metadata.Manifest:
    """Return how many pods a new Deployment starts with: the autoscaler would take 15 s to ask for them."""
    name, namespace = point_service.name, point_service.namespace
    return {
        "apiVersion": kinds.DEPLOYMENT.api_version,
        "kind": kinds.DEPLOYMENT.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": point_service.spec.autoscaling.min_replicas},
    }


def _pod_metadata(
    point_service: PointService, component: str, image: str, config_hash: str
) -> dict[str, Any]:
    database, cache = point_service.spec.database, point_service.spec.cache
    ports = sorted({database.port, cache.port})
    labels = names.labels(point_service) | names.pod_labels(point_service, component)
    return {
        "labels": labels
        | {
            "app": point_service.name,  # Kiali groups pods by `app` and `version`
            "version": names.version(image),
            "sidecar.istio.io/inject": "true",
        },
        "annotations": {
            names.CONFIG_HASH: config_hash,
            "kubectl.kubernetes.io/default-container": names.APPLICATION,
            "proxy.istio.io/config": _proxy(point_service, component),
            # Without a request of the proxy's own, autoscaling on CPU has nothing to divide by (istio 13977).
            "sidecar.istio.io/proxyCPU": "100m",
            "sidecar.istio.io/proxyMemory": "96Mi",
            "sidecar.istio.io/proxyMemoryLimit": "256Mi",
            # Database and cache speak TLS of their own; through the proxy each round trip would cost more.
            "traffic.sidecar.istio.io/excludeOutboundPorts": ",".join(str(port) for port in ports),
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(names.PORT),
            "prometheus.io/path": "/metrics",
        },
    }


def _proxy(point_service: PointService, component: str) -> str:
    drain = f"terminationDrainDuration: {drain_seconds(point_service.spec)}s\n"
    return "holdApplicationUntilProxyStarts: true\n" + drain + (COUNTED if component == names.CANARY else "")


def _pod(point_service: PointService, component: str, image: str) -> dict[str, Any]:
    files = container.service_files(point_service)
    two_at_most = component == names.SERVICE and point_service.spec.autoscaling.max_replicas <= 2
    return {
        "serviceAccountName": point_service.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_seconds(point_service.spec),
        "securityContext": container.pod_security(),
        "topologySpreadConstraints": spread(names.pod_labels(point_service, component), apart=two_at_most),
        "tolerations": tolerations(),
        "containers": [_container(point_service, image, files)],
        "volumes": [container.TMP_VOLUME, *(one.as_volume() for one in files)],
    }


def _container(point_service: PointService, image: str, files: list[container.Files]) -> dict[str, Any]:
    spec = point_service.spec
    return {
        "name": names.APPLICATION,
        "image": image,
        "imagePullPolicy": spec.image_pull_policy,
        "args": ["serve"],
        "env": container.service_environment(point_service),
        "ports": [{"name": "http", "containerPort": names.PORT, "protocol": "TCP"}],
        "startupProbe": _probe("/healthz", period=1, failures=60),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        "readinessProbe": _probe("/readyz", period=2, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "resources": _resources(spec.resources),
        "securityContext": container.container_security(),
        "volumeMounts": [container.TMP_MOUNT, *(one.as_mount() for one in files)],
    }


def _resources(resources: Resources) -> dict[str, Any]:
    limits = {"memory": str(resources.limits.memory)}
    if resources.limits.cpu:
        limits["cpu"] = str(resources.limits.cpu)
    requests = {"cpu": str(resources.requests.cpu), "memory": str(resources.requests.memory)}
    return {"requests": requests, "limits": limits}


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def spread(labels: dict[str, str], *, apart: bool) -> list[dict[str, Any]]:
    """Two pods with these labels in two zones, three in three, per revision of the pods, as far as there is room.

    Two nodes are a must where they shall be `apart`, which is only right where there are never more than two pods. A
    maxSkew of S keeps the others at S pods while one has none, and one that is full may have none for good: S = 1
    makes the first two a must and stops at one in each other, S = half of the most says nothing of the first two;
    `minDomains` counts those that there are, not those that have pods. Zones are never a must: a node that is in no
    zone would take no pod at all, and a node always has a name. Counted are only nodes whose taints a pod tolerates:
    a zone that is down drops out.
    """
    zones = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": labels},
        "matchLabelKeys": ["pod-template-hash"],
    }
    nodes = zones | {"topologyKey": "kubernetes.io/hostname"}
    return [zones, nodes | {"whenUnsatisfiable": "DoNotSchedule"} if apart else nodes]


def tolerations() -> list[dict[str, Any]]:
    """How long pods stay on a node that is not ready or can't be reached."""
    return [_tolerate("not-ready"), _tolerate("unreachable")]


def _tolerate(condition: str) -> dict[str, Any]:
    # 30 s instead of the default 300 s until the pods of a dead node are replaced elsewhere.
    return {
        "key": f"node.kubernetes.io/{condition}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 30,
    }
