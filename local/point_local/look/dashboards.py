"""Draw the cluster's dashboards as pictures, from what its Prometheus has: what Grafana would show.

Grafana itself can't be had here. Everything in a picture comes from the dashboard's own JSON: its grid, titles,
units, legends, thresholds and queries.
"""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

from point_local.look import boards, picture
from point_local.look.boards import Span
from point_local.programs import paths
from point_local.programs.command import LocalError
from point_local.programs.progress import console
from point_local.stack import prometheus

FOLDER = paths.STATE / "look"


def run(minutes: int, folder: Path = FOLDER) -> list[Path]:
    """Draw every dashboard over the last `minutes`; return the pictures. Raises LocalError when there is none."""
    now = time.time()
    span = Span(now - 60 * minutes, now)
    found = boards.dashboards()
    if not found:
        raise LocalError(
            f"no ConfigMap of the cluster has the label {boards.LABEL}: is the PointService there?"
        )
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[Path] = []
    for name, board in found.items():
        file = folder / f"{name}.png"
        picture.draw(board["title"], panels(board, span), (span.start, span.end), file)
        console.print(f"[green]✓[/] {board['title']}: {file}", highlight=False, soft_wrap=True)
        pictures.append(file)
    return pictures


def panels(board: dict[str, Any], span: Span) -> list[picture.Panel]:
    """The panels of a dashboard with the series that each one shows."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(_panel, board["panels"], repeat(span)))


def _panel(panel: dict[str, Any], span: Span) -> picture.Panel:
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    at = panel["gridPos"]
    return picture.Panel(
        kind=panel["type"],
        title=panel["title"],
        cell=(at["x"], at["y"], at["w"], at["h"]),
        unit=defaults.get("unit", "none"),
        decimals=defaults.get("decimals"),
        stacked=defaults.get("custom", {}).get("stacking", {}).get("mode") == "normal",
        thresholds=[
            (step["value"] if step["value"] is not None else float("-inf"), step["color"])
            for step in defaults.get("thresholds", {}).get("steps", [])
        ],
        series=[one for target in panel.get("targets", []) for one in _series(target, span)],
    )


def _series(target: dict[str, Any], span: Span) -> list[picture.Series]:
    found = prometheus.query_range(span.fill(target["expr"]), span.start, span.end, span.step)
    made = [
        picture.Series(
            name=_legend(target["legendFormat"], one["metric"]),
            times=[float(moment) for moment, _ in one["values"]],
            values=[float(value) for _, value in one["values"]],
        )
        for one in found
    ]
    return sorted(made, key=lambda one: one.name)


def _legend(pattern: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found.group(1), ""), pattern)
