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
"""Where the runbook is in the repository; where people open it is a setting of the operator."""
SECONDS = 30
"""How often rules are looked at."""


class Alert(msgspec.Struct, frozen=True):
    """One alert: a `page` wakes somebody, a `ticket` waits for the day. Its name leads to its place in the runbook."""

    name: str
    severity: str
    lasting: str
    """So long all conditions must hold."""
    summary: str
    conditions: tuple[str, ...]
    """PromQL comparisons, or an `absent`."""
    labels: tuple[tuple[str, str], ...] = ()

    def rule(self, chosen: dict[str, str], labels: dict[str, str], runbook_url: str = "") -> dict[str, Any]:
        """Return the alerting rule; `chosen` are the words of its queries, `labels` tell whom it is about.

        Without `runbook_url`, the page that holds the runbook, the annotation is its place in the repository.
        """
        page = {"runbook_url": runbook_url} if runbook_url else {"runbook": RUNBOOK}
        place = {name: f"{where}#{self.name.lower()}" for name, where in page.items()}
        return {
            "alert": self.name,
            "expr": panels.fill(" and ".join(self.conditions), chosen),
            "for": self.lasting,
            "labels": {"severity": self.severity} | labels | dict(self.labels),
            "annotations": {"summary": self.summary} | place,
        }


def build(point_service: PointService, surroundings: Surroundings) -> metadata.Manifest | None:
    """Return the PrometheusRule, or None when none is wanted or the cluster does not know the kind."""
    if not (surroundings.knows(kinds.PROMETHEUS_RULE) and point_service.spec.observability.alerts):
        return None
    manifest = metadata.own(kinds.PROMETHEUS_RULE, point_service, point_service.name)
    manifest["metadata"]["labels"] |= point_service.spec.observability.labels
    manifest["spec"] = {"groups": [group(point_service, surroundings.runbook_url)]}
    return manifest


def group(point_service: PointService, runbook_url: str = "") -> dict[str, Any]:
    """Return the rules as Prometheus reads them: what is recorded, then what is looked at."""
    chosen = values(point_service)
    whose = {"namespace": point_service.namespace, "point_service": point_service.name}
    recorded = [
        {"record": record, "expr": panels.fill(query, chosen), "labels": whose} for record, query in RECORDED
    ]
    return {
        "name": f"point-service.{point_service.namespace}.{point_service.name}",
        "interval": f"{SECONDS}s",
        "rules": [*recorded, *(alert.rule(chosen, whose, runbook_url) for alert in ALERTS)],
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


def _burns(name: str, summary: str, objective: slo.Objective) -> tuple[Alert, ...]:
    bad, every = (f"{_recorded(objective, what)}{{$whose}}" for what in ("bad", "all"))

    def share(window: str) -> str:
        return f"sum_over_time({bad}[{window}]) / sum_over_time({every}[{window}])"

    return tuple(
        Alert(
            name,
            burn.severity,
            "2m",
            f"{summary}: the budget burns {burn.factor:g} times too fast over {burn.long} and {burn.short}",
            (
                f"{share(burn.long)} > {burn.factor:g} * {objective.budget}",
                f"{share(burn.short)} > {burn.factor:g} * {objective.budget}",
                f"{SECONDS} * sum_over_time({bad}[{burn.long}]) > {slo.LEAST_BAD}",
            ),
            (("window", burn.long),),
        )
        for burn in slo.BURNS
    )


_SEEN = "point_service:pods_seen"
RECORDED = (
    *_records((slo.ERRORS, slo.SLOW)),
    # 1 from the first pod on, and kept for as long as the rules are looked at: what has never been up is not down.
    (_SEEN, f"max(point_requests_in_flight{{$pods}} * 0 + 1) or max(last_over_time({_SEEN}{{$whose}}[1h]))"),
)

_PODS = "count(count by (pod) (point_requests_in_flight{$pods}))"
_LIMITED = slo.limited("5m")
_SHED = "sum(rate(point_admission_refused_total{$pods}[5m]))"
_ASKED = f"sum(rate(point_requests_total{{$pods,{slo.PROBES}}}[5m]))"

ALERTS = (
    *_burns("PointServiceErrorBudgetBurn", "Members get server errors", slo.ERRORS),
    *_burns("PointServiceLatencyBudgetBurn", "Members wait longer than half a second", slo.SLOW),
    Alert("PointServiceDown", "page", "2m", "No pod of the service can be seen",
          ("absent(point_requests_in_flight{$pods})", f"on () {_SEEN}{{$whose}}")),
    Alert("PointServiceDegraded", "ticket", "10m", "The operator can't make the service what its spec says",
          ("max(point_operator_degraded{$known}) > 0",)),
    Alert("PointServiceTooFewPods", "ticket", "10m", "Fewer pods run than the least that should",
          (f"{_PODS} < $min_pods",)),
    Alert("PointServiceSaturated", "ticket", "10m", "The autoscaler is at its end and the pods' CPU is used up",
          (f"{_PODS} >= $max_pods", "avg(rate(process_cpu_seconds_total{$pods}[5m])) / $cpu > 0.9")),
    Alert("PointServiceOverloaded", "ticket", "10m",
          "Pods refuse more than one request in twenty because more is asked for than they can do in time",
          (f"{_SHED} / {_ASKED} > 0.05",)),
    Alert("PointServiceRestarts", "ticket", "2m", "The process of a pod starts again and again",
          ("max by (pod) (changes(process_start_time_seconds{$pods}[15m])) > 2",)),
    Alert("PointServiceMemoryHigh", "ticket", "10m", "A pod is about to be killed for its memory",
          ("max by (pod) (process_resident_memory_bytes{$pods}) / $memory > 0.9",)),
    Alert("PointServiceDatabasePoolFull", "page", "5m", "Every database connection is in use, so requests wait for one",
          ("sum(point_database_pool_in_use{$pods}) / sum(point_database_pool_size{$pods}) >= 1",)),
    Alert("PointServiceWithoutRedis", "ticket", "5m",
          "The service goes on without Redis: right, but each write costs the database more",
          ("sum(rate(point_redis_unavailable_total{$pods}[5m])) > 0",)),
    Alert("PointServiceExpiryLate", "ticket", "2h",  # a service that has just started has not come to it yet
          "Expired points have not been removed for a day (nobody can spend them all the same)",
          ("time() - max(point_expiry_finished_timestamp_seconds{$pods}) > 86400",)),
    Alert("PointServiceUpkeepFailing", "ticket", "1h",
          "Background work fails again and again: a member's expiry, or the forgetting of answers",
          ("sum by (work) (rate(point_upkeep_failures_total{$pods}[15m])) > 0",)),
    Alert("PointServiceRateLimited", "ticket", "15m",
          "The gateway refuses more than one request in twenty for the rate limit",
          (f"({_LIMITED}) / ({_LIMITED} + ({slo.ERRORS.every_over('5m')})) > 0.05",)),
    Alert("PointServicePodsTakenOut", "ticket", "5m", "The circuit breaker keeps pods out: they answer with errors",
          ("max(envoy_cluster_outlier_detection_ejections_active{$gateway}) > 0",)),
)  # fmt: skip
