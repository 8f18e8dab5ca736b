"""Figures of the picture's lines: the queries of the PointService's own dashboard, all of them in one question."""

import math
from collections.abc import Mapping
from typing import Any

from point_local.look.boards import fill

RATE_SECONDS = 20
"""How far a rate looks back: Prometheus asks every 5 s here."""

PANELS = {
    "requests": ("Requests", ""),
    "errors": ("Share of answers that are server errors", "at the gateway"),
    "p99": ("Duration at the gateway and in the pods (p99)", "at the gateway"),
    "p99_pods": ("Duration at the gateway and in the pods (p99)", "in the pods"),
    "limited": ("Refused before the service", "over the rate limit"),
    "unauthenticated": ("Refused before the service", "token refused (whole gateway)"),
    "forbidden": ("Refused before the service", "not allowed (whole gateway)"),
    "connections": ("Database connections", "in use"),
    "retries": ("Transactions run again", "{{fault}}"),
    "lock_wait": ("Wait for the member's lock", "p99"),
    "replays": ("Answers repeated under their key", "{{source}}"),
    "redis_missed": ("Redis missed", "{{purpose}}"),
}
"""Each figure's panel by its title, and the series by its legend."""

_SHARED = 'point_shared_transaction_requests_{}{{namespace="points"}}[$__rate_interval]'
OWN = {
    "transactions": f"sum(rate({_SHARED.format('count')}))",
    "batch": f"sum(rate({_SHARED.format('sum')})) / sum(rate({_SHARED.format('count')}))",
}
"""What the dashboard has no panel for."""


def expressions(board: Mapping[str, Any]) -> dict[str, str]:
    """The query of each figure that the dashboard has."""
    there = {
        (panel["title"], target.get("legendFormat", "")): target["expr"]
        for panel in board["panels"]
        for target in panel.get("targets", [])
    }
    return {name: there[at] for name, at in PANELS.items() if at in there} | OWN


def question(wanted: Mapping[str, str]) -> str:
    """One query for all figures; each series has its figure's name as label `figure`."""
    parts = [f'label_replace(sum({query}), "figure", "{name}", "", "")' for name, query in wanted.items()]
    return fill(" or ".join(parts), RATE_SECONDS, RATE_SECONDS)


def answer(series: list[dict[str, Any]]) -> dict[str, float | None]:
    """The figures by name; None where nothing was measured, such as a latency without requests."""
    values = {one["metric"].get("figure", ""): float(one["value"][1]) for one in series}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
