"""What the dashboard shows: each panel's title, unit and queries.

Only metrics of the service itself are asked for (`service/point_service/metrics.py`) and those that every
Python process has, so the panels need no other exporter.
"""

import msgspec

ERROR_BUDGET = 0.001
"""Share of answers that may be errors: 99.9% of them must not be."""


class Panel(msgspec.Struct, frozen=True):
    """One graph: title, unit (Grafana's name), pairs of legend and PromQL; `$pods` are label matchers."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


PANELS = (
    Panel(
        "Requests by route",
        "reqps",
        (
            (
                "{{method}} {{route}}",
                "sum by (method, route) (rate(point_requests_total{$pods}[$__rate_interval]))",
            ),
        ),
    ),
    Panel(
        "Errors (share of answers that are 5xx)",
        "percentunit",
        (
            (
                "5xx",
                '(sum(rate(point_requests_total{$pods,status=~"5.."}[$__rate_interval])) or vector(0)) '
                "/ sum(rate(point_requests_total{$pods}[$__rate_interval]))",
            ),
        ),
    ),
    Panel(
        "Duration",
        "s",
        tuple(
            (
                f"p{percent}",
                f"histogram_quantile(0.{percent}, "
                "sum by (le) (rate(point_request_duration_seconds_bucket{$pods}[$__rate_interval])))",
            )
            for percent in (50, 95, 99)
        ),
    ),
    Panel(
        "In flight by pod",
        "short",
        (("{{pod}}", "sum by (pod) (point_requests_in_flight{$pods})"),),
    ),
    Panel(
        "Points moved by kind of entry",
        "short",
        (("{{kind}}", "sum by (kind) (rate(point_moved_points_total{$pods}[$__rate_interval]))"),),
    ),
    Panel(
        "Refused by reason",
        "reqps",
        (("{{reason}}", "sum by (reason) (rate(point_refused_total{$pods}[$__rate_interval]))"),),
    ),
    Panel(
        "Database connections",
        "short",
        (
            ("in use", "sum(point_database_pool_in_use{$pods})"),
            ("most", "sum(point_database_pool_size{$pods})"),
        ),
    ),
    Panel(
        "Wait for the member's lock",
        "s",
        (
            (
                "p99",
                "histogram_quantile(0.99, "
                "sum by (le) (rate(point_lock_wait_seconds_bucket{$pods}[$__rate_interval])))",
            ),
        ),
    ),
    Panel(
        "Transactions run again, Redis missed",
        "ops",
        (
            (
                "again: {{fault}}",
                "sum by (fault) (rate(point_database_retries_total{$pods}[$__rate_interval]))",
            ),
            (
                "Redis missed: {{purpose}}",
                "sum by (purpose) (rate(point_redis_unavailable_total{$pods}[$__rate_interval]))",
            ),
        ),
    ),
    Panel(
        "Answers repeated under their key",
        "reqps",
        (("{{source}}", "sum by (source) (rate(point_idempotent_replays_total{$pods}[$__rate_interval]))"),),
    ),
    Panel(
        "CPU by pod (cores)",
        "short",
        (("{{pod}}", "sum by (pod) (rate(process_cpu_seconds_total{$pods}[$__rate_interval]))"),),
    ),
    Panel(
        "Memory by pod",
        "bytes",
        (("{{pod}}", "sum by (pod) (process_resident_memory_bytes{$pods})"),),
    ),
    Panel(
        "Error budget burn (1 = exactly used up in 30 days)",
        "short",
        tuple(
            (
                window,
                f'(sum(rate(point_requests_total{{$pods,status=~"5.."}}[{window}])) or vector(0)) '
                f"/ sum(rate(point_requests_total{{$pods}}[{window}])) / {ERROR_BUDGET}",
            )
            for window in ("5m", "1h", "6h")
        ),
    ),
    Panel(
        "Since expired points were last removed",
        "s",
        (("{{pod}}", "time() - max by (pod) (point_expiry_finished_timestamp_seconds{$pods} > 0)"),),
    ),
)


def pods(namespace: str, name: str) -> str:
    """Label matchers of the service's pods, which take the place of `$pods` in a query."""
    return f'namespace="{namespace}",pod=~"{name}-[a-z0-9]+-[a-z0-9]+"'
