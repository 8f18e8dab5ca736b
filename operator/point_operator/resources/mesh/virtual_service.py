"""The route from the gateway to the pods: what is reachable, what is repeated, how long it may take."""

from typing import Any

from point_operator.model import kinds, names
from point_operator.model.api import Cors, PointService
from point_operator.resources import metadata
from point_operator.resources.pods import service

READ = {"regex": "GET|HEAD"}
RETRY_ON = "connect-failure,refused-stream,reset,gateway-error"
"""Failures that a read is repeated after: nothing was answered, or 502, 503, 504."""
UNSENT = "connect-failure,refused-stream,reset-before-request"
"""Failures that came before a pod had anything of a request: whatever it asks for may go to another pod."""


def build(point_service: PointService, canary_weight: int = 0) -> metadata.Manifest | None:
    """Return the VirtualService: /healthz and /v1/ only, everything else is 404, said by the gateway itself. None at a
    Gateway API Gateway, which takes an HTTPRoute.

    A canary gets `canary_weight` percent of /v1/; the health check stays with the service's own pods, so that
    a bad image can't have a load balancer take the whole gateway out.

    It removes no header: removing X-Member-Id here would delete the verified value that the gateway has
    just set. `gateway_guard` removes a client's own before the token is looked at.
    """
    spec = point_service.spec
    gateway = spec.gateway
    if gateway.parent_ref is not None:
        return None
    timeout = {"timeout": f"{spec.mesh.timeout_seconds}s"}
    whole = {**timeout, "route": [_destination(point_service)]}
    route = {**timeout, "route": _split(point_service, canary_weight)}
    cors = {"corsPolicy": _cors(gateway.cors)} if gateway.cors else {}
    manifest = metadata.own(kinds.VIRTUAL_SERVICE, point_service, point_service.name)
    manifest["spec"] = {
        "hosts": list(gateway.hosts),
        "gateways": [f"{gateway.namespace}/{names.shared_name(gateway.namespace, gateway.selector)}"],
        "http": [
            {
                "name": "health",
                "match": [{"uri": {"exact": service.HEALTH_PATH}, "method": READ}],
                "retries": _retries(point_service),
                **cors,
                **whole,
            },
            {
                "name": "read",
                "match": [{"uri": {"prefix": service.API_PREFIX}, "method": READ}],
                "retries": _retries(point_service),
                **cors,
                **route,
            },
            {
                # Repeating a write that a pod may have is the client's decision, under its Idempotency-Key.
                "name": "write",
                "match": [{"uri": {"prefix": service.API_PREFIX}}],
                "retries": _retries(point_service, write=True),
                **cors,
                **route,
            },
            {
                # A direct response would bear no CORS header.
                "name": "nothing",
                "match": [{"uri": {"prefix": "/"}}],
                "fault": {"abort": {"httpStatus": 404, "percentage": {"value": 100}}},
                **cors,
                **whole,
            },
        ],
    }
    return manifest


def _destination(point_service: PointService, component: str = names.SERVICE) -> dict[str, Any]:
    host = names.service_host(point_service, component)
    return {"destination": {"host": host, "port": {"number": service.PORT}}}


def _split(point_service: PointService, canary_weight: int) -> list[dict[str, Any]]:
    if not canary_weight:
        return [_destination(point_service)]
    return [
        _destination(point_service) | {"weight": 100 - canary_weight},
        _destination(point_service, names.CANARY) | {"weight": canary_weight},
    ]


def _retries(point_service: PointService, *, write: bool = False) -> dict[str, Any]:
    retries, timeout = point_service.spec.mesh.retries, point_service.spec.mesh.timeout_seconds
    if retries.attempts == 0:
        return {"attempts": 0}
    if write:
        return {"attempts": retries.attempts, "retryOn": UNSENT}
    return {
        "attempts": retries.attempts,
        "perTryTimeout": f"{min(retries.per_try_timeout_seconds, timeout)}s",
        "retryOn": RETRY_ON,
    }


ALLOWED_HEADERS = (
    "authorization",
    "content-type",
    "idempotency-key",
    "x-request-id",
    "baggage",
    "traceparent",
    "tracestate",
)
"""What a page may send: what the API takes, and what tracing in a browser adds (W3C Trace Context and Baggage)."""
EXPOSED_HEADERS = (
    "idempotency-replayed",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
    "x-request-id",
)
"""What a page may read besides status and body: what docs/api.md says of answers."""


def _cors(cors: Cors) -> dict[str, Any]:
    return {
        "allowOrigins": [{"exact": origin} for origin in cors.allow_origins],
        "allowMethods": ["GET", "HEAD", "POST"],
        "allowHeaders": list(ALLOWED_HEADERS),
        "exposeHeaders": list(EXPOSED_HEADERS),
        "maxAge": f"{cors.max_age_seconds}s",
        "unmatchedPreflights": "FORWARD",  # to the policy at the gateway, which lets no OPTIONS through
    }
