"""The route of a PointService at a Gateway API Gateway, and what Gateway API has no stable word for.

What the VirtualService says of repeats, CORS and addresses that are not there, patches of the gateway say here; they
are part of the PointService's EnvoyFilter at the gateway and find the routes by the names that Istio gives them.
"""

from typing import Any

from point_operator.model import kinds, names
from point_operator.model.api import Cors, PointService
from point_operator.resources import metadata
from point_operator.resources.mesh import virtual_service
from point_operator.resources.pods import service
from point_operator.resources.surroundings import Surroundings

READS = ("GET", "HEAD")
HEALTH, READ, WRITE, NOTHING = range(4)
"""Places of the rules."""
_FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
_ALWAYS = {"numerator": 100, "denominator": "HUNDRED"}


def build(
    point_service: PointService, surroundings: Surroundings, canary_weight: int = 0
) -> metadata.Manifest | None:
    """Return the HTTPRoute: the same four rules as the VirtualService's. None at a classic gateway, and while the
    Gateway has no listener for it.

    It names each listener, so that it is never taken by one for plain HTTP: a route without names belongs to all.
    """
    parent = point_service.spec.gateway.parent_ref
    if parent is None or not surroundings.listeners:
        return None
    whole = [_backend(names.serving(point_service), 100)]
    split = [_backend(names.serving(point_service), 100 - canary_weight)]
    if canary_weight:
        split.append(_backend(names.serving(point_service, names.CANARY), canary_weight))
    health = [_match("Exact", service.HEALTH_PATH, method) for method in READS]
    reads = [_match("PathPrefix", service.API_PREFIX, method) for method in READS]
    rules = {
        HEALTH: (health, whole),
        READ: (reads, split),
        WRITE: ([_match("PathPrefix", service.API_PREFIX)], split),
        NOTHING: ([_match("PathPrefix", "/")], whole),
    }
    timeouts = {"request": f"{point_service.spec.mesh.timeout_seconds}s"}
    manifest = metadata.own(kinds.HTTP_ROUTE, point_service, point_service.name)
    manifest["spec"] = {
        "parentRefs": [
            {
                "group": kinds.PARENT.group,
                "kind": kinds.PARENT.kind,
                "namespace": parent.namespace,
                "name": parent.name,
                "sectionName": listener,
            }
            for listener in surroundings.listeners
        ],
        "hostnames": list(point_service.spec.gateway.hosts),
        "rules": [
            {"matches": matches, "backendRefs": backends, "timeouts": timeouts}
            for _, (matches, backends) in sorted(rules.items())
        ],
    }
    return manifest


def patches(point_service: PointService) -> list[dict[str, Any]]:
    """Return what an EnvoyFilter at the gateway says of these routes; nothing at a classic gateway.

    None of it guards: without a patch Istio repeats by rules of its own, pages of other origins can't read answers, and
    what is not there is refused by the policy all the same.
    """
    if point_service.spec.gateway.parent_ref is None:
        return []
    cors = point_service.spec.gateway.cors
    everywhere = {"envoy.filters.http.cors": _cors(cors)} if cors else {}
    abort = {"http_status": 404, "percentage": _ALWAYS}
    nothing = {"envoy.filters.http.fault": {"@type": f"{_FILTERS}.fault.v3.HTTPFault", "abort": abort}}
    return [
        _patch(point_service, HEALTH, _retries(point_service), everywhere),
        _patch(point_service, READ, _retries(point_service), everywhere),
        _patch(point_service, WRITE, _retries(point_service, write=True), everywhere),
        _patch(point_service, NOTHING, _no_retries(), everywhere | nothing),
    ]


def _match(kind: str, value: str, method: str = "") -> dict[str, Any]:
    return {"path": {"type": kind, "value": value}} | ({"method": method} if method else {})


def _backend(name: str, weight: int) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": name, "port": service.PORT, "weight": weight}


def _patch(
    point_service: PointService, rule: int, retries: dict[str, Any], filters: dict[str, Any]
) -> dict[str, Any]:
    name = f"{names.at_gateway(*point_service.key)}.{rule}"
    value = {"route": {"retry_policy": retries}} | ({"typed_per_filter_config": filters} if filters else {})
    return {
        "applyTo": "HTTP_ROUTE",
        "match": {"context": "GATEWAY", "routeConfiguration": {"vhost": {"route": {"name": name}}}},
        "patch": {"operation": "MERGE", "value": value},
    }


def _retries(point_service: PointService, *, write: bool = False) -> dict[str, Any]:
    retries, timeout = point_service.spec.mesh.retries, point_service.spec.mesh.timeout_seconds
    if retries.attempts == 0:
        return _no_retries()
    if write:
        return {"num_retries": retries.attempts, "retry_on": virtual_service.UNSENT}
    return {
        "num_retries": retries.attempts,
        "per_try_timeout": f"{min(retries.per_try_timeout_seconds, timeout)}s",
        "retry_on": virtual_service.RETRY_ON,
    }


def _no_retries() -> dict[str, Any]:
    """Repeat after headers that nobody has named: a number of 0 would be taken for none given, and merged away."""
    return {"retry_on": "retriable-headers"}


def _cors(cors: Cors) -> dict[str, Any]:
    return {
        "@type": f"{_FILTERS}.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": origin} for origin in cors.allow_origins],
        "allow_methods": "GET,HEAD,POST",
        "allow_headers": ",".join(virtual_service.ALLOWED_HEADERS),
        "expose_headers": ",".join(virtual_service.EXPOSED_HEADERS),
        "max_age": str(cors.max_age_seconds),
        "filter_enabled": {"default_value": _ALWAYS},
        "forward_not_matching_preflights": True,  # to the policy at the gateway, which lets no OPTIONS through
    }
