"""An alarm asks for data as often as there is any, about something that there is, with a limit that fits."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from point_infra.config import sizes
from point_infra.observability import database_limits
from point_infra.observability.alarms import DAY, GIB

CADENCE = {
    "AWS/ApplicationELB": 60,
    "AWS/Backup": 300,
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


def test_every_alarm_leads_somewhere_in_the_runbook(updated: Any) -> None:
    page = (Path(__file__).parents[3] / "docs/runbook.md").read_text()
    table = page[page.index("## Alarms of CloudWatch") : page.index("## After the night")]
    names = {name.removeprefix("observability-") for name in updated.of(":MetricAlarm")}
    said = set(re.findall(r"`([a-z0-9-]+)`", table))
    said |= {f"cache-1{part}" for part in said} | {f"nat-ports{part}" for part in said}
    assert {name.replace("cache-2", "cache-1") for name in names} - said == set()


def test_targets_are_counted_over_all_zones_because_two_pods_can_t_be_in_three(updated: Any) -> None:
    alarm = updated.of(":MetricAlarm")["observability-no-target"]
    total, *zones = alarm["metricQueries"]
    assert [z["metric"]["dimensions"]["AvailabilityZone"][-1] for z in zones] == ["a", "b", "c"]
    assert total["expression"] == "SUM([FILL(zone_a, 0), FILL(zone_b, 0), FILL(zone_c, 0)])"
    assert [q["id"] for q in alarm["metricQueries"] if q.get("returnData")] == ["total"]
    assert (alarm["threshold"], alarm["treatMissingData"]) == (2, "breaching")


def test_a_certificate_that_has_expired_keeps_its_alarm_though_its_metric_ends(updated: Any) -> None:
    """AWS CDK's reference of ICertificate: DaysToExpiry is no longer emitted once the certificate has expired."""
    assert updated.of(":MetricAlarm")["observability-certificate"]["treatMissingData"] == "ignore"


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


AWS_SAYS = {
    "db.t3.small": 45,
    "db.t3.medium": 90,
    "db.t3.large": 135,
    "db.t4g.medium": 90,
    "db.t4g.large": 135,
    "db.r5.large": 1000,
    "db.r5.xlarge": 2000,
    "db.r5.2xlarge": 3000,
    "db.r5.4xlarge": 4000,
    "db.r5.8xlarge": 5000,
    "db.r5.12xlarge": 6000,
    "db.r5.16xlarge": 6000,
    "db.r5.24xlarge": 7000,
    "db.r6g.large": 1000,
    "db.r6g.8xlarge": 5000,
    "db.r6g.12xlarge": 6000,
    "db.r6g.16xlarge": 6000,
    "db.x2g.large": 2000,
    "db.x2g.xlarge": 3000,
    "db.x2g.2xlarge": 4000,
    "db.x2g.4xlarge": 5000,
    "db.x2g.8xlarge": 6000,
    "db.x2g.12xlarge": 7000,
    "db.x2g.16xlarge": 7000,
}
"""max_connections by default, as AWS's table has it (Aurora user guide, "Maximum connections to an Aurora MySQL DB
instance")."""
AWS_SAYS_BY_ACU = {1: 90, 4: 135, 8: 1000, 16: 2000, 32: 3000, 64: 4000, 128: 5000}
"""The same for db.serverless, by the most units ("Maximum connections for Aurora Serverless v2")."""


def test_the_limits_are_those_of_aws_s_tables() -> None:
    assert {c: database_limits.of(c, 8).connections for c in AWS_SAYS} == AWS_SAYS
    found = {acu: database_limits.of("db.serverless", acu).connections for acu in AWS_SAYS_BY_ACU}
    assert found == AWS_SAYS_BY_ACU


def test_units_between_two_rows_have_the_lower_one_s_connections() -> None:
    assert database_limits.of("db.serverless", 7.5).connections == 135
    assert database_limits.of("db.serverless", 12).connections == 1000
    assert database_limits.of("db.serverless", 2).memory_gib == 4


def test_a_class_of_any_family_and_size_has_limits() -> None:
    assert database_limits.of("db.r7g.large", 8) == database_limits.Limits(16, 1000)
    assert database_limits.of("db.r8g.48xlarge", 8) == database_limits.Limits(1536, 8000)


@pytest.mark.parametrize("name", ["db.r6g.huge", "db.r6g.xxlarge", "db.t4g.xlarge"])
def test_a_size_that_there_is_not_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        database_limits.of(name, 8)


@pytest.mark.parametrize("instance_class", sizes.databases())
@pytest.mark.parametrize("units", [0.5, 7.5, 256])
def test_every_class_that_config_takes_has_limits(instance_class: str, units: float) -> None:
    assert database_limits.of(instance_class, units).connections >= 45
