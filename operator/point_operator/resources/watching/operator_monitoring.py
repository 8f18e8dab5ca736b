"""What is watched of the operator itself: `operator/generate.py` puts it into the chart."""

from point_operator.resources.watching.alerts import Alert
from point_operator.resources.watching.panels import (
    RATE,
    Panel,
    Row,
    Stat,
    by_pod,
    each,
    increase,
    percentiles,
)


def values(namespace: str) -> dict[str, str]:
    """Return the words of these queries: `$operator` are the pods of the operator that runs in `namespace`."""
    return {"operator": f'namespace="{namespace}",pod=~"point-operator-[a-z0-9]+-[a-z0-9]+"'}


_LEADS = (
    "max by (pod) (point_operator_leader{$operator} and last_over_time(point_operator_leader{$operator}[1m]))"
)
"""Told within the last minute: after a restart of Prometheus, one that led before would seem to for five more."""
_LOOKS = f"sum(rate(point_operator_reconciles_total{{$operator}}[{RATE}]))"


def _or_none(metric: str, by: str, matchers: str = "$operator") -> tuple[tuple[str, str], ...]:
    """Only what happens; while nothing does, a line at 0."""
    ((legend, query),) = increase(metric, matchers, by)
    return ((legend, f'({query} > 0) or label_replace(0 * {_LOOKS}, "{by}", "none", "", "")'),)


ROWS = (
    Row(
        "",
        (
            Stat("PointServices", "none", "max(point_operator_point_services{$operator})"),
            Stat(
                "Replicas that lead",
                "none",
                f"sum({_LEADS})",
                ((0, "red"), (1, "green"), (2, "red")),
                about="One works; the others wait for its Lease.",
            ),
            Stat("Replicas", "none", f"count({_LEADS})", ((0, "red"), (2, "green"))),
            Stat(
                "Degraded",
                "none",
                "sum(point_operator_degraded{$operator})",
                ((0, "green"), (1, "red")),
                about="PointServices that are not what their spec says; `kubectl get pts -A -o wide` tells why.",
            ),
            Stat(
                "Due and not taken up",
                "none",
                "sum(point_operator_queue_waiting{$operator})",
                ((0, "green"), (1, "yellow"), (20, "red")),
            ),
            Stat(
                "Failed looks",
                "ops",
                f"sum(rate(point_operator_errors_total{{$operator}}[{RATE}])) or 0 * {_LOOKS}",
                ((0, "green"), (0.05, "red")),
                decimals=2,
            ),
        ),
    ),
    Row(
        "Work",
        (
            Panel(
                "Looks by result",
                "ops",
                increase("point_operator_reconciles_total", "$operator", "result"),
                "Each PointService is looked at once a minute, and when something of it changes. A conflict "
                "means that something changed meanwhile and it looked again.",
                stacked=True,
            ),
            Panel(
                "Duration of a look",
                "s",
                percentiles("point_operator_reconcile_duration_seconds", "$operator", 50, 95, 99),
                "From taking a PointService up to its status being written.",
            ),
            Panel(
                "Due and not taken up",
                "none",
                each("pod", by_pod("point_operator_queue_waiting", "$operator")),
            ),
            Panel(
                "Writes by kind",
                "ops",
                _or_none("point_operator_writes_total", "kind", '$operator,kind!="Lease"'),
                "0 when nothing changes. Without the Lease, which is renewed every two seconds.",
                stacked=True,
            ),
            Panel(
                "Drift repaired",
                "ops",
                _or_none("point_operator_drift_repaired_total", "kind"),
                "Children that someone changed. All the time: somebody fights with the operator.",
            ),
            Panel(
                "Failed looks by reason",
                "ops",
                _or_none("point_operator_errors_total", "reason"),
                stacked=True,
            ),
        ),
    ),
    Row(
        "Processes",
        (
            Panel("Who leads", "none", each("pod", _LEADS)),
            Panel(
                "CPU (cores)",
                "none",
                each("pod", f"sum by (pod) (rate(process_cpu_seconds_total{{$operator}}[{RATE}]))"),
            ),
            Panel(
                "Memory",
                "bytes",
                each("pod", by_pod("process_resident_memory_bytes", "$operator")),
            ),
        ),
    ),
)

_ERRORS, _ALL_LOOKS = (
    f"sum(rate(point_operator_{what}_total{{$operator}}[10m]))" for what in ("errors", "reconciles")
)

ALERTS = (
    Alert("PointOperatorAbsent", "page", "5m",
          "No replica of the point operator holds its Lease, so nothing is reconciled",
          ("absent(point_operator_leader{$operator} == 1)",)),
    Alert("PointOperatorTwoLeaders", "page", "2m", "Two replicas of the point operator work at once",
          (f"sum({_LEADS}) > 1",)),
    Alert("PointOperatorWithoutStandby", "ticket", "15m",
          "Only one replica of the point operator runs: nobody takes over when it ends",
          (f"count({_LEADS}) < 2",)),
    Alert("PointOperatorFailing", "ticket", "10m", "The point operator's looks fail again and again",
          (f"({_ERRORS} or 0 * {_ALL_LOOKS}) > 0.05",)),
    Alert("PointOperatorSlow", "ticket", "5m", "PointServices wait minutes for the point operator",
          ("max(min_over_time(point_operator_queue_waiting{$operator}[5m])) > 0",)),
    Alert("PointOperatorFights", "ticket", "30m",
          "Children of kind {{ $labels.kind }} are changed by someone else all the time",
          ("sum by (kind) (rate(point_operator_drift_repaired_total{$operator}[15m])) > 0.02",)),
)  # fmt: skip
