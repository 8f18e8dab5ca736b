"""An alarm asks for data as often as there is any, about something that there is, with a limit that fits."""

from collections.abc import Callable
from typing import Any

import pytest
from point_infra.config import sizes
from point_infra.observability import database_limits
from point_infra.observability.alarms import DAY, GIB

CADENCE = {
    "AWS/ApplicationELB": 60,
    "AWS/ElastiCache": 60,
    "AWS/NATGateway": 60,
    "AWS/RDS": 60,
    "AWS/Route53": 60,
    "ContainerInsights": 60,
    "AWS/CertificateManager": DAY // 2,
}
"""Seconds between two values of a metric, by each service's own page of CloudWatch metrics."""


def _metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics that an alarm asks for, each with namespace, metricName, dimensions and period."""
    return [q["metric"] for q in alarm.get("metricQueries", []) if "metric" in q] or [alarm]


def test_every_alarm_has_a_value_in_each_of_its_periods_and_can_fire(updated: Any) -> None:
    alarms = updated.of(":MetricAlarm")
    assert len(alarms) > 25
    for name, alarm in alarms.items():
        for metric in _metrics(alarm):
            assert metric["period"] >= CADENCE[metric["namespace"]], name
            # CloudWatch looks back a day, and seven with periods of an hour and longer (PutMetricAlarm).
            most = 7 * DAY if metric["period"] >= 3600 else DAY
            assert metric["period"] * alarm["evaluationPeriods"] <= most, name


def test_targets_are_counted_over_all_zones_because_two_pods_can_t_be_in_three(updated: Any) -> None:
    alarm = updated.of(":MetricAlarm")["observability-no-target"]
    total, *zones = alarm["metricQueries"]
    assert [z["metric"]["dimensions"]["AvailabilityZone"][-1] for z in zones] == ["a", "b", "c"]
    assert total["expression"] == "SUM([FILL(zone_a, 0), FILL(zone_b, 0), FILL(zone_c, 0)])"
    assert [q["id"] for q in alarm["metricQueries"] if q.get("returnData")] == ["total"]
    assert (alarm["threshold"], alarm["treatMissingData"]) == (2, "breaching")


@pytest.mark.parametrize(
    ("instance_class", "connections", "memory"),
    [("db.r5.large", 800, GIB), ("db.r6g.xlarge", 1600, 2 * GIB)],
)
def test_the_database_s_limits_are_those_of_its_class(
    run_stack: Callable[..., Any], instance_class: str, connections: float, memory: float
) -> None:
    alarms = run_stack("prod", preview=False, databaseInstanceClass=instance_class).of(":MetricAlarm")
    assert alarms["observability-connections"]["threshold"] == connections
    assert alarms["observability-database-memory"]["threshold"] == memory


def test_a_burstable_class_takes_far_fewer_connections() -> None:
    assert database_limits.of("db.t4g.medium", 8).connections == 90
    assert database_limits.of("db.r6g.large", 8).connections == 1000


@pytest.mark.parametrize("instance_class", sizes.databases())
@pytest.mark.parametrize("units", [0.5, 7.5, 256])
def test_every_class_that_config_takes_has_limits(instance_class: str, units: float) -> None:
    assert database_limits.of(instance_class, units).connections >= 45
