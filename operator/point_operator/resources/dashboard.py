"""The Grafana dashboard, as a ConfigMap that Grafana's sidecar finds by its label."""

from typing import Any

import msgspec

from point_operator import kinds, names
from point_operator.api import PointService
from point_operator.resources import metadata, panels
from point_operator.resources.surroundings import Surroundings

LABEL = "grafana_dashboard"
"""What the Grafana Helm chart's dashboard sidecar looks for, with value "1"."""

PANEL_WIDTH, PANEL_HEIGHT, GRID_WIDTH = 12, 8, 24


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


def build_for_operator(point_service: PointService, surroundings: Surroundings) -> metadata.Manifest | None:
    """Return the same for the Grafana operator, or None when the cluster does not know its kind."""
    if not (surroundings.knows(kinds.GRAFANA_DASHBOARD) and point_service.spec.observability.dashboard):
        return None
    manifest = metadata.own(kinds.GRAFANA_DASHBOARD, point_service, point_service.name)
    manifest["spec"] = {
        "instanceSelector": {"matchLabels": {"dashboards": "grafana"}},
        "json": msgspec.json.encode(model(point_service), order="deterministic").decode(),
    }
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
        "panels": [_panel(point_service, number, panel) for number, panel in enumerate(panels.PANELS)],
    }


def _panel(point_service: PointService, number: int, panel: panels.Panel) -> dict[str, Any]:
    ours = panels.pods(point_service.namespace, point_service.name)
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
                "expr": query.replace("$pods", ours),
            }
            for place, (legend, query) in enumerate(panel.queries)
        ],
    }
