"""The cluster's dashboards as JSON, and their queries with what Grafana would put into them."""

import json
import re
from dataclasses import dataclass
from typing import Any

from point_local.stack import api

LABEL = "grafana_dashboard=1"
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
        return fill(query, rate, self.end - self.start)


def fill(query: str, rate: float, whole: float) -> str:
    """Put in how far a rate looks back and how long all of it is, in seconds."""
    words = {"$__rate_interval": f"{rate:.0f}s", "$__range": f"{whole:.0f}s"}
    return re.sub(r"\$__\w+", lambda found: words[found.group()], query)


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard that the cluster has for Grafana, by its file's name. Raises LocalError."""
    found = api.get("/api/v1/configmaps", labelSelector=LABEL)
    files = {name: text for one in found["items"] for name, text in one["data"].items()}
    return {name.removesuffix(".json"): json.loads(text) for name, text in sorted(files.items())}
