"""The Grafana dashboard, as a ConfigMap that Grafana's sidecar finds by its label."""

import functools
import json
from collections.abc import Sequence

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata
from point_operator.resources.surroundings import Surroundings
from point_operator.resources.watching import panels, service_dashboard

LABEL = "grafana_dashboard"
"""What the Grafana Helm chart's dashboard sidecar looks for, with value "1"."""

GRID_WIDTH = 24
STAT_HEIGHT, GRAPH_HEIGHT = 4, 8
_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")


def build(point_service: PointService) -> metadata.Manifest | None:
    """Return the ConfigMap, or None when no dashboard is wanted."""
    if not point_service.spec.observability.dashboard:
        return None
    manifest = metadata.own(kinds.CONFIG_MAP, point_service, f"{point_service.name}-dashboard")
    manifest["metadata"]["labels"][LABEL] = "1"
    manifest["data"] = {f"{names.in_gateway(point_service)}.json": of(point_service)}
    return manifest


def build_for_operator(point_service: PointService, surroundings: Surroundings) -> metadata.Manifest | None:
    """Return the same for the Grafana operator, or None when the cluster does not know its kind."""
    if not (surroundings.knows(kinds.GRAFANA_DASHBOARD) and point_service.spec.observability.dashboard):
        return None
    manifest = metadata.own(kinds.GRAFANA_DASHBOARD, point_service, point_service.name)
    manifest["spec"] = {
        "instanceSelector": {"matchLabels": {"dashboards": "grafana"}},
        "allowCrossNamespaceImport": True,  # Grafana has a namespace of its own
        "json": of(point_service),
    }
    return manifest


def of(point_service: PointService) -> str:
    """Return a PointService's dashboard as Grafana's JSON."""
    chosen = service_dashboard.values(point_service) | {
        "uid": names.digest(point_service.key)[:16],
        "title": f"Point service {point_service.namespace}/{point_service.name}",
    }
    return panels.fill_json(_template(), chosen)


@functools.cache
def _template() -> str:
    """What all PointServices' dashboards share: built once, as every reconcile needs one."""
    return render("$uid", "$title", ["point-service"], service_dashboard.ROWS)


def render(uid: str, title: str, tags: list[str], shown: Sequence[panels.Row]) -> str:
    """Return a dashboard as Grafana's JSON. `uid` is how links find it."""
    board = (
        dashboard.Dashboard(title)
        .uid(uid)
        .tags(tags)
        .readonly()
        .refresh("10s")
        .time("now-30m", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    number = 0
    for row in shown:
        if row.title:
            board.with_row(dashboard.Row(row.title).id(100 + number))
        for panel in row.panels:
            number += 1
            board.with_panel(_panel(panel, row).id(number))
    return json.dumps(board.build(), cls=JSONEncoder, sort_keys=True, separators=(",", ":"))


def _panel(panel: panels.Panel | panels.Stat, row: panels.Row) -> stat.Panel | timeseries.Panel:
    width = GRID_WIDTH // _across(row)
    made = _number(panel) if isinstance(panel, panels.Stat) else _graph(panel)
    made.title(panel.title).unit(panel.unit).datasource(_SOURCE).span(width)
    if panel.about:
        made.description(panel.about)
    return made


def _across(row: panels.Row) -> int:
    """How many panels stand side by side."""
    if all(isinstance(panel, panels.Stat) for panel in row.panels):
        return len(row.panels)
    return 3 if len(row.panels) % 3 == 0 else 2


def _number(panel: panels.Stat) -> stat.Panel:
    made = (
        stat.Panel()
        .height(STAT_HEIGHT)
        .thresholds(_thresholds(panel.thresholds))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(looks.BigValueGraphMode.AREA)
        .with_target(_query(0, "", panel.query))
    )
    return made if panel.decimals is None else made.decimals(panel.decimals)


def _graph(panel: panels.Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .height(GRAPH_HEIGHT)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if panel.stacked else 8)
        .show_points(looks.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(looks.LegendDisplayMode.LIST)
            .placement(looks.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING)
        )
    )
    if panel.stacked:
        made.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))
    for place, (legend, query) in enumerate(panel.queries):
        made.with_target(_query(place, legend, query))
    return made


def _query(place: int, legend: str, query: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .ref_id(chr(ord("A") + place))
        .datasource(_SOURCE)
        .legend_format(legend)
        .expr(query)
        .range()
    )


def _thresholds(steps: panels.Thresholds) -> dashboard.ThresholdsConfig:
    # The first step holds from minus infinity, which JSON can't say: Grafana reads null as that.
    values = [None, *(value for value, _ in steps[1:])]
    colours = [colour for _, colour in steps]
    made = [models.Threshold(value, colour) for value, colour in zip(values, colours, strict=True)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(made)
