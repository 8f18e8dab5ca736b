"""What a PointService's dashboard shows of requests: what members are promised and get, what becomes of points."""

from point_operator.resources.watching.panels import (
    RATE,
    Panel,
    Row,
    burns,
    by_pod,
    each,
    increase,
    percentiles,
)
from point_operator.resources.watching.slo import ERRORS, PROBES, SLOW

API = f"$pods,{PROBES}"
POD_P99 = percentiles("point_request_duration_seconds", API, 99)[0][1]

PROMISES = Row(
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
                    f'(sum(rate(point_requests_total{{{API},status=~"5.."}}[{RATE}])) '
                    f"or 0 * sum(rate(point_requests_total{{{API}}}[{RATE}]))) "
                    f"/ sum(rate(point_requests_total{{{API}}}[{RATE}]))",
                ),
            ),
            "More at the gateway than of the pods means that pods are not reached or don't answer in time.",
        ),
    ),
)

REQUESTS = Row(
    "Requests",
    (
        Panel(
            "Requests by route",
            "reqps",
            increase("point_requests_total", API, "method", "route"),
            stacked=True,
        ),
        Panel("Answers by status", "reqps", increase("point_requests_total", API, "status"), stacked=True),
        Panel("Duration", "s", percentiles("point_request_duration_seconds", API, 50, 95, 99)),
        Panel(
            "Duration by route (p99)",
            "s",
            percentiles("point_request_duration_seconds", API, 99, by="route"),
        ),
        Panel(
            "Being answered now",
            "none",
            each("pod", by_pod("point_requests_in_flight", "$pods")),
            "By Little's law requests per second times their duration; a jump means that pods wait.",
        ),
        Panel(
            "Answers repeated under their key",
            "reqps",
            increase("point_idempotent_replays_total", "$pods", "source"),
            "Callers that asked again with the same Idempotency-Key and got the first answer.",
        ),
    ),
)

POINTS = Row(
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
            each("pod", "time() - max by (pod) (point_expiry_finished_timestamp_seconds{$pods} > 0)"),
            "Nobody can spend an expired point meanwhile; only the ledger's entries wait.",
        ),
    ),
)
