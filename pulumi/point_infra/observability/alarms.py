"""What CloudWatch watches, as data: one row an alarm, with its threshold and why it is there."""

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Alarm:
    """An alarm on one metric; `of` names the dimensions that `observability` fills in."""

    name: str
    namespace: str
    metric: str
    of: str
    comparison: str
    threshold: float
    statistic: str
    why: str
    minutes: int = 5
    """It has to be so for this long: one-minute periods."""
    missing: str = "notBreaching"


_ABOVE, _BELOW = "GreaterThanThreshold", "LessThanThreshold"
_ALB, _RDS, _CACHE = "AWS/ApplicationELB", "AWS/RDS", "AWS/ElastiCache"

CACHE_NODES = (1, 2)
"""Either may be the primary: after a failover it is the other one."""


def _cache(node: int) -> tuple[Alarm, ...]:
    of = f"cache-{node}"
    return (
        Alarm(
            f"{of}-cpu",
            _CACHE,
            "EngineCPUUtilization",
            of,
            _ABOVE,
            80,
            "Average",
            "percent of its one thread",
        ),
        Alarm(
            f"{of}-memory",
            _CACHE,
            "DatabaseMemoryUsagePercentage",
            of,
            _ABOVE,
            80,
            "Maximum",
            "evictions next",
        ),
        Alarm(f"{of}-evictions", _CACHE, "Evictions", of, _ABOVE, 0, "Sum", "answers are forgotten early"),
        Alarm(f"{of}-lag", _CACHE, "ReplicationLag", of, _ABOVE, 10, "Maximum", "seconds behind the primary"),
    )


ALARMS = (
    Alarm(
        "alb-5xx",
        _ALB,
        "HTTPCode_ELB_5XX_Count",
        "alb",
        _ABOVE,
        10,
        "Sum",
        "the load balancer answers itself",
    ),
    Alarm("target-5xx", _ALB, "HTTPCode_Target_5XX_Count", "alb", _ABOVE, 10, "Sum", "the service fails"),
    Alarm("latency", _ALB, "TargetResponseTime", "alb", _ABOVE, 1.0, "p99", "seconds; members wait"),
    Alarm(
        "unhealthy", _ALB, "UnHealthyHostCount", "target", _ABOVE, 0, "Maximum", "a gateway pod is not ready"
    ),
    Alarm(
        "no-target",
        _ALB,
        "HealthyHostCount",
        "target",
        _BELOW,
        2,
        "Minimum",
        "no spare",
        missing="breaching",
    ),
    Alarm(
        "writer-cpu",
        _RDS,
        "CPUUtilization",
        "writer",
        _ABOVE,
        80,
        "Average",
        "percent; the writer is busy",
        10,
    ),
    Alarm(
        "reader-cpu",
        _RDS,
        "CPUUtilization",
        "reader",
        _ABOVE,
        80,
        "Average",
        "percent; the reader is busy",
        10,
    ),
    Alarm(
        "connections", _RDS, "DatabaseConnections", "writer", _ABOVE, 800, "Maximum", "r5.large takes 1,000"
    ),
    Alarm(
        "database-memory", _RDS, "FreeableMemory", "writer", _BELOW, GIB, "Minimum", "bytes; swapping is next"
    ),
    Alarm(
        "database-disk",
        _RDS,
        "FreeLocalStorage",
        "writer",
        _BELOW,
        4 * GIB,
        "Minimum",
        "bytes for sorts and logs",
    ),
    Alarm(
        "replica-lag",
        _RDS,
        "AuroraReplicaLag",
        "reader",
        _ABOVE,
        1000,
        "Maximum",
        "milliseconds; reads are old",
    ),
    Alarm(
        "deadlocks", _RDS, "Deadlocks", "writer", _ABOVE, 1, "Average", "per second; the lock order is broken"
    ),
    *(alarm for node in CACHE_NODES for alarm in _cache(node)),
    Alarm(
        "node-cpu",
        "ContainerInsights",
        "node_cpu_utilization",
        "cluster",
        _ABOVE,
        85,
        "Average",
        "percent",
        15,
    ),
    Alarm(
        "node-memory",
        "ContainerInsights",
        "node_memory_utilization",
        "cluster",
        _ABOVE,
        85,
        "Average",
        "percent",
        15,
    ),
    Alarm(
        "node-failed",
        "ContainerInsights",
        "cluster_failed_node_count",
        "cluster",
        _ABOVE,
        0,
        "Maximum",
        "a node lost",
    ),
    Alarm(
        "certificate",
        "AWS/CertificateManager",
        "DaysToExpiry",
        "certificate",
        _BELOW,
        30,
        "Minimum",
        "not renewed",
    ),
)
"""Alarms that every stack has. NAT gateways get theirs per gateway, the health check in us-east-1."""
