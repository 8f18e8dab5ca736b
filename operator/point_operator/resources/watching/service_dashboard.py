"""What the dashboard of a PointService shows.

Only metrics of the service itself (`service/point_service/telemetry/metrics.py`), of any Python process, of the
proxies and of kubelets are asked for, so no other exporter is needed.
"""

from kubernetes.utils.quantity import parse_quantity

from point_operator.model import names
from point_operator.model.api import PointService
from point_operator.resources.watching.panels import (
    RATE,
    Panel,
    Row,
    Stat,
    Thresholds,
    burns,
    by_pod,
    increase,
    label,
    percentiles,
)
from point_operator.resources.watching.slo import ERRORS, PROBES, SLOW, limited


def values(point_service: PointService) -> dict[str, str]:
    """Return what takes the place of each word with a dollar sign in a query."""
    name, namespace, spec = point_service.name, point_service.namespace, point_service.spec
    canary = f"(-{names.CANARY})?"
    # Character classes rather than backslashes, which PromQL and JSON would each want doubled.
    cluster = f"outbound[|][0-9]+[|][^|]*[|]{name}{canary}[.]{namespace}[.]svc[.]cluster[.]local"
    return {
        "pods": f'namespace="{namespace}",pod=~"{name}{canary}-[a-z0-9]+-[a-z0-9]+"',
        "gateways": f'namespace="{spec.gateway.namespace}"',
        "gateway": f'namespace="{spec.gateway.namespace}",cluster_name=~"{cluster}"',
        "limited": f'namespace="{spec.gateway.namespace}",component="{namespace}/{name}"',
        "min_pods": str(spec.autoscaling.min_replicas),
        "max_pods": str(spec.autoscaling.max_replicas),
        "cpu": f"{parse_quantity(spec.resources.requests.cpu):f}",
        "cpu_target": str(spec.autoscaling.target_cpu_utilization_percentage / 100),
        "memory": f"{parse_quantity(spec.resources.limits.memory):f}",
    }


_API = f"$pods,{PROBES}"
_GATEWAY_P99 = percentiles("envoy_cluster_upstream_rq_time", "$gateway", 99)[0][1]
_POD_P99 = percentiles("point_request_duration_seconds", _API, 99)[0][1]
_PODS = f"count({by_pod('point_requests_in_flight', '$pods')})"
_BURN_COLOURS: Thresholds = ((0, "green"), (1, "yellow"), (6, "red"))

ROWS = (
    Row(
        "",
        (
            Stat("Requests", "reqps", ERRORS.every_over(RATE)),
            Stat(
                "Answers without a server error",
                "percentunit",
                f"1 - ({ERRORS.bad_over('$__range')}) / ({ERRORS.every_over('$__range')})",
                ((0, "red"), (1 - ERRORS.budget, "green")),
                decimals=3,
                about="Over the time shown. The promise is 99.9%.",
            ),
            Stat("99 of 100 answered within", "s", _POD_P99, ((0, "green"), (0.25, "yellow"), (0.5, "red"))),
            Stat(
                "Error budget burns",
                "none",
                ERRORS.burn("1h"),
                _BURN_COLOURS,
                decimals=2,
                about="Over one hour: at 1 the budget lasts exactly 30 days, at 14.4 two days.",
            ),
            Stat("Pods", "none", _PODS),
            Stat(
                "Over the rate limit",
                "reqps",
                limited(RATE),
                ((0, "green"), (1, "yellow")),
                about="Requests per second that the gateway refuses with 429.",
            ),
        ),
    ),
    Row(
        "Promises",
        (
            Panel(
                "Error budget: how fast it burns",
                "none",
                burns(ERRORS),
                "Server errors as members see them, over four windows. 1 uses the budget of 30 days up in 30 "
                "days. A page goes out when 1h and 5m are over 14.4, or 6h and 30m over 6.",
            ),
            Panel(
                "Latency budget: how fast it burns",
                "none",
                burns(SLOW),
                "The same for answers slower than half a second, of which one in a hundred is allowed.",
            ),
            Panel(
                "Share of answers that are server errors",
                "percentunit",
                (
                    ("at the gateway", f"({ERRORS.bad_over(RATE)}) / ({ERRORS.every_over(RATE)})"),
                    (
                        "of the pods",
                        f'(sum(rate(point_requests_total{{{_API},status=~"5.."}}[{RATE}])) '
                        f"or 0 * sum(rate(point_requests_total{{{_API}}}[{RATE}]))) "
                        f"/ sum(rate(point_requests_total{{{_API}}}[{RATE}]))",
                    ),
                ),
                "More at the gateway than of the pods means that pods are not reached or don't answer in time.",
            ),
        ),
    ),
    Row(
        "Requests",
        (
            Panel(
                "Requests by route",
                "reqps",
                increase("point_requests_total", _API, "method", "route"),
                stacked=True,
            ),
            Panel(
                "Answers by status", "reqps", increase("point_requests_total", _API, "status"), stacked=True
            ),
            Panel("Duration", "s", percentiles("point_request_duration_seconds", _API, 50, 95, 99)),
            Panel(
                "Duration by route (p99)",
                "s",
                percentiles("point_request_duration_seconds", _API, 99, by="route"),
            ),
            Panel(
                "Being answered now",
                "none",
                ((label("pod"), by_pod("point_requests_in_flight", "$pods")),),
                "By Little's law requests per second times their duration; a jump means that pods wait.",
            ),
            Panel(
                "Answers repeated under their key",
                "reqps",
                increase("point_idempotent_replays_total", "$pods", "source"),
                "Callers that asked again with the same Idempotency-Key and got the first answer.",
            ),
        ),
    ),
    Row(
        "Points",
        (
            Panel(
                "Points moved by kind of entry",
                "none",
                increase("point_moved_points_total", "$pods", "kind"),
                "Points per second: earned, used, given back, expired.",
            ),
            Panel(
                "Refused by reason",
                "reqps",
                increase("point_refused_total", "$pods", "reason"),
                "The shop's rules and the callers' mistakes. A rise of one reason after a release of a caller "
                "is that caller's.",
                stacked=True,
            ),
            Panel(
                "Since expired points were last removed",
                "s",
                (
                    (
                        label("pod"),
                        "time() - max by (pod) (point_expiry_finished_timestamp_seconds{$pods} > 0)",
                    ),
                ),
                "Nobody can spend an expired point meanwhile; only the ledger's entries wait.",
            ),
        ),
    ),
    Row(
        "Saturation",
        (
            Panel(
                "Pods",
                "none",
                (
                    ("pods", _PODS),
                    ("fewest", "vector($min_pods)"),
                    ("most", "vector($max_pods)"),
                ),
            ),
            Panel(
                "CPU (share of what is requested)",
                "percentunit",
                (
                    (
                        label("pod"),
                        f"sum by (pod) (rate(process_cpu_seconds_total{{$pods}}[{RATE}])) / $cpu",
                    ),
                    ("aimed at", "vector($cpu_target)"),
                ),
                "The autoscaler keeps the average at the line; one process uses one core at most.",
            ),
            Panel(
                "Memory",
                "bytes",
                (
                    (label("pod"), by_pod("process_resident_memory_bytes", "$pods")),
                    ("limit", "vector($memory)"),
                ),
            ),
        ),
    ),
    Row(
        "Database and Redis",
        (
            Panel(
                "Database connections",
                "none",
                (
                    ("in use", "sum(point_database_pool_in_use{$pods})"),
                    ("most", "sum(point_database_pool_size{$pods})"),
                ),
                "At most, requests wait for a connection.",
            ),
            Panel(
                "Transactions run again",
                "ops",
                increase("point_database_retries_total", "$pods", "fault"),
                "Deadlocks are ordinary in small numbers; lost_connection and read_only come with a failover.",
            ),
            Panel(
                "Wait for the member's lock",
                "s",
                percentiles("point_lock_wait_seconds", "$pods", 50, 99),
                "Requests of the same member queue in Redis rather than in the database.",
            ),
            Panel(
                "Redis missed",
                "ops",
                increase("point_redis_unavailable_total", "$pods", "purpose"),
                "Calls that went on without Redis: right, but dearer for the database.",
            ),
        ),
    ),
    Row(
        "Gateway and mesh",
        (
            Panel(
                "Answers at the gateway",
                "reqps",
                increase(
                    "envoy_cluster_upstream_rq", '$gateway,response_code_class!=""', "response_code_class"
                ),
                "What members get for requests that were let through to the service.",
                stacked=True,
            ),
            Panel(
                "Duration at the gateway and in the pods (p99)",
                "s",
                (("at the gateway", f"{_GATEWAY_P99} / 1000"), ("in the pods", _POD_P99)),
                "The gap is the way through both proxies, and what is tried again.",
            ),
            Panel(
                "Refused before the service",
                "reqps",
                (
                    (
                        "over the rate limit",
                        limited(RATE),
                    ),
                    (
                        "token refused (whole gateway)",
                        f"sum(rate(envoy_http_https_jwt_authn_denied{{$gateways}}[{RATE}]))",
                    ),
                    (
                        "not allowed (whole gateway)",
                        f'sum(rate(envoy_http_https_rbac{{$gateways,authz_enforce_result="denied"}}[{RATE}]))',
                    ),
                ),
            ),
            Panel(
                "Circuit breaker: pods taken out",
                "none",
                (
                    (
                        label("pod"),
                        "sum by (pod) (envoy_cluster_outlier_detection_ejections_active{$gateway})",
                    ),
                ),
                "For each gateway pod: how many pods of the service it sends nothing to.",
            ),
            Panel(
                "Reads tried again by the gateway",
                "ops",
                (("again", f"sum(rate(envoy_cluster_upstream_rq_retry{{$gateway}}[{RATE}]))"),),
                "Writes are never tried again by the mesh; their callers do it under their key.",
            ),
            Panel(
                "CPU of the proxies (cores)",
                "none",
                (
                    (
                        label("pod"),
                        "sum by (pod) (rate("
                        f'container_cpu_usage_seconds_total{{$pods,container="istio-proxy"}}[{RATE}]))',
                    ),
                ),
            ),
        ),
    ),
)
