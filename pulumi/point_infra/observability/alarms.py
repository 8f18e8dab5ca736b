"""What CloudWatch watches, as data: one row an alarm, with its threshold and why it is there."""

from dataclasses import dataclass

from point_infra.config.settings import Settings
from point_infra.observability import database_limits

GIB = 2**30
DAY = 86_400


@dataclass(frozen=True)
class Alarm:
    """An alarm on one metric; `of` names the dimensions that `cloudwatch` fills in."""

    name: str
    namespace: str
    metric: str
    of: str
    comparison: str
    threshold: float
    statistic: str
    why: str
    periods: int = 5
    """It has to be so for this many periods in a row."""
    period: int = 60
    """Seconds: not shorter than the metric's own cadence, or there is never a row of data."""
    missing: str = "notBreaching"
    sum_of_zones: bool = False
    """The metric counts in each zone, and what matters is their sum."""


_ABOVE, _BELOW = "GreaterThanThreshold", "LessThanThreshold"
_ALB, _RDS, _CACHE, _NODES = "AWS/ApplicationELB", "AWS/RDS", "AWS/ElastiCache", "ContainerInsights"
_BACKUP = "AWS/Backup"


def alarms(s: Settings) -> tuple[Alarm, ...]:
    """Alarms on what the stack has. NAT gateways get theirs one by one (`nat`), the health check in us-east-1."""
    return (
        *_balancer(),
        *_database(database_limits.of(s.database_instance_class, s.database_max_capacity)),
        *(_reader() if s.database_instances > 1 else ()),
        # Either node may be the primary: after a failover it is the other one.
        *(alarm for node in range(1, 2 + s.cache_replicas) for alarm in _cache(f"cache-{node}")),
        *(_nodes() if s.container_insights else ()),
        *(_backups(copied=bool(s.backup_copy_region)) if s.backup_vault != "none" else ()),
        Alarm(
            *("certificate", "AWS/CertificateManager", "DaysToExpiry", "certificate"),
            *(_BELOW, 30, "Minimum", "not renewed", 1, DAY),
            # Nothing is said any more of one that has expired: that must not look as if it were well.
            missing="ignore",
        ),
    )


def _balancer() -> tuple[Alarm, ...]:
    return (
        Alarm(
            *("alb-5xx", _ALB, "HTTPCode_ELB_5XX_Count", "alb"),
            *(_ABOVE, 10, "Sum", "the load balancer answers itself"),
        ),
        Alarm("target-5xx", _ALB, "HTTPCode_Target_5XX_Count", "alb", _ABOVE, 10, "Sum", "the service fails"),
        Alarm("latency", _ALB, "TargetResponseTime", "alb", _ABOVE, 1.0, "p99", "seconds; members wait"),
        # Each zone's balancer counts its own, and one without a pod says 0: their least would always be 0, and their
        # average what a share of the zones thinks.
        Alarm(
            *("unhealthy", _ALB, "UnHealthyHostCount", "target"),
            *(_ABOVE, 0, "Maximum", "a gateway pod is not ready"),
        ),
        Alarm(
            *("no-target", _ALB, "HealthyHostCount", "target", _BELOW, 2, "Minimum", "no spare gateway pod"),
            missing="breaching",
            sum_of_zones=True,
        ),
    )


def _database(limits: database_limits.Limits) -> tuple[Alarm, ...]:
    most = limits.connections
    return (
        Alarm(
            "writer-cpu", _RDS, "CPUUtilization", "writer", _ABOVE, 80, "Average", "percent; it is busy", 10
        ),
        Alarm(
            *("connections", _RDS, "DatabaseConnections", "writer"),
            *(_ABOVE, 0.8 * most, "Maximum", f"its class takes {most:,}"),
        ),
        Alarm(
            *("database-memory", _RDS, "FreeableMemory", "writer"),
            *(_BELOW, limits.memory_gib * GIB / 16, "Minimum", "bytes; swapping is next"),
        ),
        Alarm(
            *("database-disk", _RDS, "FreeLocalStorage", "writer"),
            *(_BELOW, 4 * GIB, "Minimum", "bytes for sorts and logs"),
        ),
        Alarm(
            *("deadlocks", _RDS, "Deadlocks", "writer"),
            *(_ABOVE, 1, "Average", "per second; the lock order is broken"),
        ),
    )


def _reader() -> tuple[Alarm, ...]:
    return (
        Alarm(
            "reader-cpu", _RDS, "CPUUtilization", "reader", _ABOVE, 80, "Average", "percent; it is busy", 10
        ),
        Alarm(
            *("replica-lag", _RDS, "AuroraReplicaLag", "reader"),
            *(_ABOVE, 1000, "Maximum", "milliseconds; reads are old"),
        ),
    )


def _nodes() -> tuple[Alarm, ...]:
    return (
        Alarm("node-cpu", _NODES, "node_cpu_utilization", "cluster", _ABOVE, 85, "Average", "percent", 15),
        Alarm(
            "node-memory", _NODES, "node_memory_utilization", "cluster", _ABOVE, 85, "Average", "percent", 15
        ),
        Alarm(
            *("node-failed", _NODES, "cluster_failed_node_count", "cluster"),
            *(_ABOVE, 0, "Maximum", "a node lost"),
        ),
    )


def _cache(of: str) -> tuple[Alarm, ...]:
    return (
        Alarm(
            *(f"{of}-cpu", _CACHE, "EngineCPUUtilization", of),
            *(_ABOVE, 80, "Average", "percent of its one thread"),
        ),
        Alarm(
            *(f"{of}-memory", _CACHE, "DatabaseMemoryUsagePercentage", of),
            *(_ABOVE, 80, "Maximum", "evictions next"),
        ),
        Alarm(f"{of}-evictions", _CACHE, "Evictions", of, _ABOVE, 0, "Sum", "answers are forgotten early"),
        Alarm(f"{of}-lag", _CACHE, "ReplicationLag", of, _ABOVE, 10, "Maximum", "seconds behind the primary"),
    )


def _backups(*, copied: bool) -> tuple[Alarm, ...]:
    failed = ("backup-failed", "NumberOfBackupJobsFailed", "no recovery point tonight")
    copy = ("backup-copy-failed", "NumberOfCopyJobsFailed", "none in the other region")
    return (
        *(
            Alarm(name, _BACKUP, metric, "vault", _ABOVE, 0, "Sum", why, 1, 300)
            for name, metric, why in (failed, *((copy,) if copied else ()))
        ),
        Alarm(
            *("backup-missing", _BACKUP, "NumberOfBackupJobsCompleted", "vault"),
            *(_BELOW, 1, "Sum", "no recovery point for two days, whatever the reason", 2, DAY),
            # A plan that nobody runs says nothing at all; before the first night that is so, too.
            missing="breaching",
        ),
    )


def nat(zone: str) -> Alarm:
    """The alarm of one zone's NAT gateway."""
    return Alarm(
        *(f"nat-ports-{zone[-1]}", "AWS/NATGateway", "ErrorPortAllocation", "nat"),
        *(_ABOVE, 0, "Sum", "no port left for new connections out"),
    )


HEALTH_CHECK = Alarm(
    *("health-check", "AWS/Route53", "HealthCheckStatus", "check"),
    *(_BELOW, 1, "Minimum", "the world can't reach the service", 1),
    missing="breaching",
)
