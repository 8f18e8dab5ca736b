"""What somebody is woken for: a PrometheusRule, with a place in the runbook for each alert."""

from collections.abc import Sequence
from typing import Any

import msgspec

from point_operator.model import kinds
from point_operator.model.api import PointService
from point_operator.resources import metadata
from point_operator.resources.surroundings import Surroundings
from point_operator.resources.watching import panels, service_dashboard, slo

RUNBOOK = "docs/runbook.md"
SECONDS = 30
"""How often rules are looked at."""


class Condition(msgspec.Struct, frozen=True):
    """A query and what its value must be compared with. `absent` means that it must have none."""

    query: str
    comparison: str
    threshold: str = ""

    def expression(self) -> str:
        """As Prometheus reads it."""
        if self.comparison == "absent":
            return f"absent({self.query})"
        return f"{self.query} {self.comparison} {self.threshold}"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. All conditions must hold for `lasting`; a `page` wakes somebody, a `ticket` waits for the day."""

    name: str
    severity: str
    summary: str
    conditions: tuple[Condition, ...]
    lasting: str = "2m"
    labels: tuple[tuple[str, str], ...] = ()

    def rule(self, chosen: dict[str, str], labels: dict[str, str]) -> dict[str, Any]:
        """Return the alerting rule; `chosen` are the words of its queries, `labels` tell whom it is about."""
        return {
            "alert": self.name,
            "expr": panels.fill(" and ".join(one.expression() for one in self.conditions), chosen),
            "for": self.lasting,
            "labels": {"severity": self.severity} | labels | dict(self.labels),
            "annotations": {"summary": self.summary, "runbook": f"{RUNBOOK}#{self.name.lower()}"},
        }


def build(point_service: PointService, surroundings: Surroundings) -> metadata.Manifest | None:
    """Return the PrometheusRule, or None when none is wanted or the cluster does not know the kind."""
    if not (surroundings.knows(kinds.PROMETHEUS_RULE) and point_service.spec.observability.alerts):
        return None
    manifest = metadata.own(kinds.PROMETHEUS_RULE, point_service, point_service.name)
    manifest["spec"] = {"groups": [group(point_service)]}
    return manifest


def group(point_service: PointService) -> dict[str, Any]:
    """Return the rules as Prometheus reads them: what is recorded, then what is looked at."""
    chosen = values(point_service)
    whose = {"namespace": point_service.namespace, "point_service": point_service.name}
    recorded = [
        {"record": record, "expr": panels.fill(query, chosen), "labels": whose} for record, query in RECORDED
    ]
    return {
        "name": f"point-service.{point_service.namespace}.{point_service.name}",
        "interval": f"{SECONDS}s",
        "rules": [*recorded, *(alert.rule(chosen, whose) for alert in ALERTS)],
    }


def values(point_service: PointService) -> dict[str, str]:
    """Return the words of these queries: `$whose` is what is recorded for it, `$known` what its operator knows."""
    namespace, name = point_service.key
    return service_dashboard.values(point_service) | {
        "whose": f'namespace="{namespace}",point_service="{name}"',
        "known": f'point_service="{namespace}/{name}"',
    }


def _recorded(objective: slo.Objective, what: str) -> str:
    return f"point_service:{objective.name}_{what}:rate5m"


def _records(objectives: Sequence[slo.Objective]) -> tuple[tuple[str, str], ...]:
    """Two series for each objective: three days of them are read faster than three days of every pod's."""
    return tuple(
        pair
        for one in objectives
        for pair in (
            (_recorded(one, "bad"), one.bad_over("5m")),
            (_recorded(one, "all"), one.every_over("5m")),
        )
    )


def _burns(name: str, objective: slo.Objective, summary: str) -> tuple[Alert, ...]:
    bad, every = (f"{_recorded(objective, what)}{{$whose}}" for what in ("bad", "all"))

    def share(window: str) -> str:
        return f"sum_over_time({bad}[{window}]) / sum_over_time({every}[{window}])"

    return tuple(
        Alert(
            name=name,
            severity=burn.severity,
            summary=f"{summary}: the budget burns {burn.factor:g} times too fast over {burn.long} and {burn.short}",
            conditions=(
                Condition(share(burn.long), ">", f"{burn.factor:g} * {objective.budget}"),
                Condition(share(burn.short), ">", f"{burn.factor:g} * {objective.budget}"),
                Condition(f"{SECONDS} * sum_over_time({bad}[{burn.long}])", ">", str(slo.LEAST_BAD)),
            ),
            labels=(("window", burn.long),),
        )
        for burn in slo.BURNS
    )


RECORDED = _records((slo.ERRORS, slo.SLOW))

ALERTS = (
    *_burns("PointServiceErrorBudgetBurn", slo.ERRORS, "Members get server errors"),
    *_burns("PointServiceLatencyBudgetBurn", slo.SLOW, "Members wait longer than half a second"),
    Alert(
        name="PointServiceDown",
        severity="page",
        summary="No pod of the service can be seen",
        conditions=(Condition("point_requests_in_flight{$pods}", "absent"),),
    ),
    Alert(
        name="PointServiceDegraded",
        severity="ticket",
        summary="The operator can't make the service what its spec says",
        conditions=(Condition("max(point_operator_degraded{$known})", ">", "0"),),
        lasting="10m",
    ),
    Alert(
        name="PointServiceTooFewPods",
        severity="ticket",
        summary="Fewer pods run than the least that should",
        conditions=(Condition("count(count by (pod) (point_requests_in_flight{$pods}))", "<", "$min_pods"),),
        lasting="10m",
    ),
    Alert(
        name="PointServiceSaturated",
        severity="ticket",
        summary="The autoscaler is at its end and the pods' CPU is used up",
        conditions=(
            Condition("count(count by (pod) (point_requests_in_flight{$pods}))", ">=", "$max_pods"),
            Condition("avg(rate(process_cpu_seconds_total{$pods}[5m])) / $cpu", ">", "0.9"),
        ),
        lasting="10m",
    ),
    Alert(
        name="PointServiceRestarts",
        severity="ticket",
        summary="The process of a pod starts again and again",
        conditions=(Condition("max by (pod) (changes(process_start_time_seconds{$pods}[15m]))", ">", "2"),),
    ),
    Alert(
        name="PointServiceMemoryHigh",
        severity="ticket",
        summary="A pod is about to be killed for its memory",
        conditions=(Condition("max by (pod) (process_resident_memory_bytes{$pods}) / $memory", ">", "0.9"),),
        lasting="10m",
    ),
    Alert(
        name="PointServiceDatabasePoolFull",
        severity="page",
        summary="Every database connection is in use, so requests wait for one",
        conditions=(
            Condition(
                "sum(point_database_pool_in_use{$pods}) / sum(point_database_pool_size{$pods})", ">=", "1"
            ),
        ),
        lasting="5m",
    ),
    Alert(
        name="PointServiceWithoutRedis",
        severity="ticket",
        summary="The service goes on without Redis: right, but each write costs the database more",
        conditions=(Condition("sum(rate(point_redis_unavailable_total{$pods}[5m]))", ">", "0"),),
        lasting="5m",
    ),
    Alert(
        name="PointServiceExpiryLate",
        severity="ticket",
        summary="Expired points have not been removed for a day (nobody can spend them all the same)",
        conditions=(Condition("time() - max(point_expiry_finished_timestamp_seconds{$pods})", ">", "86400"),),
        lasting="2h",  # a service that has just started has not come to it yet
    ),
    Alert(
        name="PointServiceRateLimited",
        severity="ticket",
        summary="The gateway refuses more than one request in twenty for the rate limit",
        conditions=(
            Condition(
                f"({slo.limited('5m')}) / ({slo.limited('5m')} + ({slo.ERRORS.every_over('5m')}))",
                ">",
                "0.05",
            ),
        ),
        lasting="15m",
    ),
    Alert(
        name="PointServicePodsTakenOut",
        severity="ticket",
        summary="The circuit breaker keeps pods out: they answer with errors",
        conditions=(Condition("max(envoy_cluster_outlier_detection_ejections_active{$gateway})", ">", "0"),),
        lasting="5m",
    ),
)
