"""Draw the cluster's dashboards as pictures, from what its Prometheus has: what Grafana would show.

Grafana itself can't be had here. Everything in a picture comes from the dashboard's own JSON: its grid, titles,
units, legends, thresholds and queries.
"""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from point_local.look import picture
from point_local.programs import paths
from point_local.programs.command import LocalError, kubectl
from point_local.programs.progress import console
from point_local.stack import prometheus

LABEL = "grafana_dashboard=1"
FOLDER = paths.STATE / "look"
POINTS = 240
"""Values along the time axis of a graph."""
SCRAPE_SECONDS = 15
"""Grafana's own idea of it, which decides how much a rate looks back."""


@dataclass(frozen=True)
class Span:
    """From when to when, in seconds since 1970."""

    start: float
    end: float

    @property
    def step(self) -> float:
        """Seconds between two values."""
        return max((self.end - self.start) / POINTS, 5)

    def fill(self, query: str) -> str:
        """Put in what Grafana would put in."""
        rate = max(self.step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)
        words = {"$__rate_interval": f"{rate:.0f}s", "$__range": f"{self.end - self.start:.0f}s"}
        return re.sub(r"\$__\w+", lambda found: words[found.group()], query)


def run(minutes: int, folder: Path = FOLDER) -> list[Path]:
    """Draw every dashboard over the last `minutes`; return the pictures. Raises LocalError when there is none."""
    now = time.time()
    span = Span(now - 60 * minutes, now)
    boards = dashboards()
    if not boards:
        raise LocalError(f"no ConfigMap of the cluster has the label {LABEL}: is the PointService there?")
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[Path] = []
    for name, board in boards.items():
        file = folder / f"{name}.png"
        picture.draw(board["title"], panels(board, span), (span.start, span.end), file)
        console.print(f"[green]✓[/] {board['title']}: {file}", highlight=False, soft_wrap=True)
        pictures.append(file)
    return pictures


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard that the cluster has for Grafana, by its file's name."""
    found = json.loads(kubectl("get", "configmaps", "-A", "-l", LABEL, "-o", "json"))
    files = {name: text for one in found["items"] for name, text in one["data"].items()}
    return {name.removesuffix(".json"): json.loads(text) for name, text in sorted(files.items())}


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
