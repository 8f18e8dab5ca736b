"""What a PointService's dashboard shows of what serves its requests: pods, database, Redis, gateway and mesh."""

from point_operator.resources.watching.panels import (
    RATE,
    Panel,
    Row,
    by_pod,
    each,
    increase,
    label,
    percentiles,
)
from point_operator.resources.watching.service_requests import POD_P99
from point_operator.resources.watching.slo import limited

PODS = f"count({by_pod('point_requests_in_flight', '$pods')})"
_GATEWAY_P99 = percentiles("envoy_cluster_upstream_rq_time", "$gateway", 99)[0][1]

SATURATION = Row(
    "Saturation",
    (
        Panel(
            "Pods",
            "none",
            (
                ("pods", PODS),
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
)

ADMISSION = Row(
    "Admission",
    (
        Panel(
            "Under way, and the most that may be",
            "none",
            (
                (label("kind"), "sum by (kind) (point_admission_under_way{$pods})"),
                (f"{label('kind')}, most", "sum by (kind) (point_admission_limit{$pods})"),
            ),
            "Of all pods together. A limit shrinks while answers take longer than is aimed at, and grows while it is"
            " full and they don't.",
        ),
        Panel(
            "Refused because of overload",
            "reqps",
            increase("point_admission_refused_total", "$pods", "kind"),
            "503 within a moment, nothing of it begun: more is asked for than can be done in time.",
            stacked=True,
        ),
    ),
)

DATABASE_AND_REDIS = Row(
    "Database and Redis",
    (
        Panel(
            "Database connections",
            "none",
            (
                ("in use", "sum(point_database_pool_in_use{$pods})"),
                ("most", "sum(point_database_pool_size{$pods})"),
                ("in use, to the reader", "sum(point_reader_pool_in_use{$pods})"),
                ("most, to the reader", "sum(point_reader_pool_size{$pods})"),
            ),
            "At most, requests wait for a connection; to the reader they don't, and go to the writer.",
        ),
        Panel(
            "Transactions run again",
            "ops",
            increase("point_database_retries_total", "$pods", "fault"),
            "Deadlocks are ordinary in small numbers; lost_connection and read_only come with a failover, limit and"
            " not_opened with a database that refuses.",
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
)

GATEWAY_AND_MESH = Row(
    "Gateway and mesh",
    (
        Panel(
            "Answers at the gateway",
            "reqps",
            increase("envoy_cluster_upstream_rq", '$gateway,response_code_class!=""', "response_code_class"),
            "What members get for requests that were let through to the service.",
            stacked=True,
        ),
        Panel(
            "Duration at the gateway and in the pods (p99)",
            "s",
            (("at the gateway", f"{_GATEWAY_P99} / 1000"), ("in the pods", POD_P99)),
            "The gap is the way through both proxies, and what is tried again.",
        ),
        Panel(
            "Refused before the service",
            "reqps",
            (
                ("over the rate limit", limited(RATE)),
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
            each("pod", "sum by (pod) (envoy_cluster_outlier_detection_ejections_active{$gateway})"),
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
            each(
                "pod",
                "sum by (pod) (rate("
                f'container_cpu_usage_seconds_total{{$pods,container="istio-proxy"}}[{RATE}]))',
            ),
        ),
    ),
)
