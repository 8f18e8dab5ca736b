"""How the gateway treats the pods: mutual TLS, circuit breaker, ejection of a failing pod."""

from typing import Any

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata
from point_operator.resources.pods import service

IDLE_TIMEOUT = "60s"
OVERLOADED = "x-envoy-overloaded"
"""Header of an answer that a pod, or a proxy before it, gave without beginning anything. Envoy repeats none such."""
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def build(point_service: PointService, component: str = names.SERVICE) -> metadata.Manifest:
    """Return the DestinationRule of a component.

    `minHealthPercent` above zero also keeps Istio 1.31 from sending to pods that are not ready. Outlier
    detection would switch on routing by zone, which sends all load of one gateway pod to one service pod.
    """
    breaker = point_service.spec.mesh.circuit_breaker
    manifest = metadata.own(kinds.DESTINATION_RULE, point_service, names.serving(point_service, component))
    manifest["spec"] = {
        "host": names.service_host(point_service, component),
        "trafficPolicy": {
            "tls": {"mode": "ISTIO_MUTUAL"},
            "loadBalancer": {"simple": "LEAST_REQUEST", "localityLbSetting": {"enabled": False}},
            "connectionPool": {
                "tcp": {"maxConnections": breaker.max_connections, "connectTimeout": "1s"},
                "http": {
                    "http1MaxPendingRequests": breaker.max_pending_requests,
                    "http2MaxRequests": breaker.max_connections,
                    "idleTimeout": IDLE_TIMEOUT,
                    # The patches below say HTTP/1.1, whatever the mesh says.
                    "h2UpgradePolicy": "DO_NOT_UPGRADE",
                },
            },
            # While many requests fail, trying them all again would make it worse.
            "retryBudget": {"percent": 20, "minRetryConcurrency": 3},
            "outlierDetection": {
                "consecutive5xxErrors": breaker.consecutive_5xx_errors,
                "consecutiveGatewayErrors": breaker.consecutive_5xx_errors,
                "interval": f"{breaker.interval_seconds}s",
                "baseEjectionTime": f"{breaker.base_ejection_seconds}s",
                "maxEjectionPercent": breaker.max_ejection_percent,
                "minHealthPercent": breaker.min_health_percent,
            },
        },
    }
    return manifest


def patches(point_service: PointService) -> list[dict[str, Any]]:
    """Return what an EnvoyFilter at the gateway says of failures of a pod: 5xx are, but no refusals for overload.

    A pod that refuses what is too much does its best. Ejected, it would leave its share to pods that refuse, too.
    No DestinationRule can say so. These options replace Istio's whole, so they repeat what Istio puts there.
    """
    failed = _headers({"name": ":status", "string_match": {"prefix": "5"}})
    refused = _headers({"name": OVERLOADED, "present_match": True})
    options = {
        "@type": f"type.googleapis.com/{_OPTIONS}",
        "common_http_protocol_options": {"idle_timeout": IDLE_TIMEOUT},
        "explicit_http_config": {"http_protocol_options": {}},
        "outlier_detection": {"error_matcher": {"and_match": {"rules": [failed, {"not_match": refused}]}}},
    }
    return [
        {
            "applyTo": "CLUSTER",
            "match": {
                "context": "GATEWAY",
                "cluster": {
                    "service": names.service_host(point_service, component),
                    "portNumber": service.PORT,
                },
            },
            "patch": {
                "operation": "MERGE",
                "value": {"typed_extension_protocol_options": {_OPTIONS: options}},
            },
        }
        for component in (names.SERVICE, names.CANARY)
    ]


def _headers(matcher: dict[str, Any]) -> dict[str, Any]:
    return {"http_response_headers_match": {"headers": [matcher]}}
