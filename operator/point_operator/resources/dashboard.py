"""The Grafana dashboard, as a ConfigMap that Grafana's sidecar finds by its label."""

from typing import Any

import msgspec

from point_operator import kinds, names
from point_operator.api import PointService
from point_operator.resources import metadata

LABEL = "grafana_dashboard"
"""What the Grafana Helm chart's dashboard sidecar looks for, with value "1"."""

PANEL_WIDTH, PANEL_HEIGHT, GRID_WIDTH = 12, 8, 24


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
                'sum(rate(point_requests_total{$pods,status=~"5.."}[$__rate_interval])) '
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
)


def build(point_service: PointService) -> metadata.Manifest | None:
    """Return the ConfigMap, or None when no dashboard is wanted."""
    if not point_service.spec.observability.dashboard:
        return None
    manifest = metadata.own(kinds.CONFIG_MAP, point_service, f"{point_service.name}-dashboard")
    manifest["metadata"]["labels"][LABEL] = "1"
    file = f"{names.in_gateway(point_service)}.json"
    text = msgspec.json.encode(model(point_service), order="deterministic")
    manifest["data"] = {file: msgspec.json.format(text, indent=1).decode()}
    return manifest


def model(point_service: PointService) -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON model."""
    return {
        "uid": names.digest(point_service.key)[:16],
        "title": f"Point service {point_service.namespace}/{point_service.name}",
        "tags": ["point-service"],
        "timezone": "browser",
        "schemaVersion": 41,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
            ]
        },
        "panels": [_panel(point_service, number, panel) for number, panel in enumerate(PANELS)],
    }


def pods(point_service: PointService) -> str:
    """Label matchers of the service's pods."""
    return f'namespace="{point_service.namespace}",pod=~"{point_service.name}-[a-z0-9]+-[a-z0-9]+"'


def _panel(point_service: PointService, number: int, panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    per_row = GRID_WIDTH // PANEL_WIDTH
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": source,
        "gridPos": {
            "x": number % per_row * PANEL_WIDTH,
            "y": number // per_row * PANEL_HEIGHT,
            "w": PANEL_WIDTH,
            "h": PANEL_HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": source,
                "legendFormat": legend,
                "expr": query.replace("$pods", pods(point_service)),
            }
            for place, (legend, query) in enumerate(panel.queries)
        ],
    }
