"""Look at the running stack: objects, pods by zone, and what the proxies are doing."""

import json
from collections.abc import Iterator
from typing import Any, cast

from point_local.machine.cluster import WORKERS
from point_local.programs.command import kubectl
from point_local.stack.application import NAME, NAMESPACE
from point_local.stack.istio import GATEWAY_NAMESPACE

Object = dict[str, Any]


def get(kind: str, name: str, namespace: str = NAMESPACE) -> Object | None:
    """An object, None when it is not there."""
    out = kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
    return cast("Object", json.loads(out)) if out.strip() else None


def items(kind: str, namespace: str = NAMESPACE, selector: str = "") -> list[Object]:
    """The objects of a kind, by label selector if one is given."""
    out = kubectl("get", kind, "-n", namespace, "-o", "json", f"--selector={selector}")
    return cast("list[Object]", json.loads(out)["items"])


def service_pods() -> list[Object]:
    """The point service's pods that are ready and not going away."""
    return [p for p in items("pods", selector="app.kubernetes.io/component=service") if _serving(p)]


def gateway_pods() -> list[str]:
    """Names of the ingress gateway's ready pods."""
    pods = items("pods", GATEWAY_NAMESPACE, "istio=ingressgateway")
    return [str(p["metadata"]["name"]) for p in pods if _serving(p)]


def gateway_address() -> tuple[str, int]:
    """Where a gateway pod can be reached past the edge: its machine's address, and the port there (TLS)."""
    pods = items("pods", GATEWAY_NAMESPACE, "istio=ingressgateway")
    name = next(p["spec"]["nodeName"] for p in pods if _serving(p))
    return next(n.address for n in WORKERS if n.name == name), 30443


def zone(pod: Object) -> str:
    """The availability zone a pod runs in."""
    return next(str(n.zone) for n in WORKERS if n.name == pod["spec"]["nodeName"])


def proxy_admin(pod: str, path: str, namespace: str = GATEWAY_NAMESPACE) -> str:
    """What a pod's proxy answers to GET `path` on its admin interface."""
    request = ["pilot-agent", "request", "GET", path]
    return kubectl("exec", "-n", namespace, pod, "-c", "istio-proxy", "--", *request)


def bucket(pod: str, service: str = f"{NAMESPACE}.{NAME}") -> Object:
    """A PointService's own token bucket in a gateway pod's live configuration; empty when it has none."""
    config = json.loads(proxy_admin(pod, "config_dump?resource=dynamic_route_configs"))
    for one in _objects(config):
        entries = cast("list[Object]", one.get("entries") or [])
        if "token_bucket" in one and [entry.get("value") for entry in entries] == [service]:
            return cast("Object", one["token_bucket"])
    return {}


def per_second(bucket: Object) -> float:
    """Requests a second that a token bucket lets through; 0 of none."""
    if not bucket:
        return 0.0
    return float(bucket["tokens_per_fill"]) / float(str(bucket["fill_interval"]).removesuffix("s"))


def _objects(value: Any) -> Iterator[Object]:
    """Every JSON object in a value."""
    if isinstance(value, dict):
        yield cast("Object", value)
        value = list(cast("Object", value).values())
    if isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _objects(inner)


def ready(pod: Object) -> bool:
    """Whether a pod says that it is ready."""
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def workload(pod: Object) -> str:
    """The name of what a pod belongs to, such as its Deployment; its own when it belongs to nothing."""
    owner = pod["metadata"].get("ownerReferences", [{"kind": "Pod", "name": pod["metadata"]["name"]}])[0]
    name = str(owner["name"])
    return name.rsplit("-", 1)[0] if owner["kind"] == "ReplicaSet" else name


def _serving(pod: Object) -> bool:
    return ready(pod) and not pod["metadata"].get("deletionTimestamp")
