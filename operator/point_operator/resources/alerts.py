"""What somebody is woken for: a PrometheusRule, with a place in the runbook for each alert."""

from typing import Any

import msgspec

from point_operator import kinds
from point_operator.api import PointService
from point_operator.resources import metadata, panels
from point_operator.resources.surroundings import Surroundings

RUNBOOK = "docs/operator.md#alerts-of-a-point-service"


class Burn(msgspec.Struct, frozen=True):
    """One pair of windows of the error budget: both must burn at `factor` times the rate that lasts 30 days."""

    long: str
    short: str
    factor: float
    severity: str


BURNS = (  # Google's SRE workbook, chapter 5, table 5-8
    Burn("1h", "5m", 14.4, "page"),
    Burn("6h", "30m", 6, "page"),
    Burn("3d", "6h", 1, "ticket"),
)


def build(point_service: PointService, surroundings: Surroundings) -> metadata.Manifest | None:
    """Return the PrometheusRule, or None when none is wanted or the cluster does not know the kind."""
    if not (surroundings.knows(kinds.PROMETHEUS_RULE) and point_service.spec.observability.alerts):
        return None
    manifest = metadata.own(kinds.PROMETHEUS_RULE, point_service, point_service.name)
    group = f"point-service.{point_service.namespace}.{point_service.name}"
    manifest["spec"] = {"groups": [{"name": group, "rules": rules(point_service)}]}
    return manifest


def rules(point_service: PointService) -> list[dict[str, Any]]:
    """Return the alerting rules as Prometheus reads them."""
    pods = panels.pods(point_service.namespace, point_service.name)
    burns = [
        _rule(
            point_service,
            "PointServiceErrorBudgetBurn",
            f"{_errors(pods, one.long)} > {one.factor} * {panels.ERROR_BUDGET} "
            f"and {_errors(pods, one.short)} > {one.factor} * {panels.ERROR_BUDGET}",
            one.severity,
            f"5xx answers use up the error budget {one.factor} times too fast (over {one.long} and {one.short})",
            window=one.long,
        )
        for one in BURNS
    ]
    return [
        *burns,
        _rule(
            point_service,
            "PointServiceSlow",
            "histogram_quantile(0.99, sum by (le) "
            f"(rate(point_request_duration_seconds_bucket{{{pods}}}[5m]))) > 0.5",
            "ticket",
            "One request in a hundred takes over half a second",
            lasting="10m",
        ),
        _rule(
            point_service,
            "PointServiceDatabasePoolFull",
            f"sum(point_database_pool_in_use{{{pods}}}) >= sum(point_database_pool_size{{{pods}}})",
            "page",
            "Every database connection is in use, so requests wait for one",
            lasting="5m",
        ),
        _rule(
            point_service,
            "PointServiceWithoutRedis",
            f"sum(rate(point_redis_unavailable_total{{{pods}}}[5m])) > 0",
            "ticket",
            "The service goes on without Redis: correct, but each write costs the database more",
            lasting="5m",
        ),
        _rule(
            point_service,
            "PointServiceExpiryLate",
            f"time() - max(point_expiry_finished_timestamp_seconds{{{pods}}} > 0) > 86400",
            "ticket",
            "Expired points have not been removed for a day (nobody can spend them all the same)",
        ),
    ]


def _errors(pods: str, window: str) -> str:
    """Share of answers that are errors."""
    return (
        f'(sum(rate(point_requests_total{{{pods},status=~"5.."}}[{window}])) '
        f"/ sum(rate(point_requests_total{{{pods}}}[{window}])))"
    )


def _rule(
    point_service: PointService,
    name: str,
    expression: str,
    severity: str,
    summary: str,
    *,
    lasting: str = "2m",
    **labels: str,
) -> dict[str, Any]:
    whose = {"namespace": point_service.namespace, "point_service": point_service.name}
    return {
        "alert": name,
        "expr": expression,
        "for": lasting,
        "labels": {"severity": severity} | whose | labels,
        "annotations": {"summary": summary, "runbook": RUNBOOK},
    }
