"""How the gateway treats the pods: mutual TLS, circuit breaker, ejection of a failing pod."""

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata


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
                    "idleTimeout": "60s",
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
