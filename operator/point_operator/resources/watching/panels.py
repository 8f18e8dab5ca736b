"""The words of a dashboard: panels, rows, and the queries that many of them share.

Words with a dollar sign in a query are filled in later (`fill`); those that begin with two underscores are
Grafana's own.
"""

import string

import msgspec

from point_operator.resources.watching.slo import Objective

Queries = tuple[tuple[str, str], ...]
"""Pairs of legend and PromQL."""
Thresholds = tuple[tuple[float, str], ...]
"""From which value on which colour."""


RATE = "$__rate_interval"
"""The window that suits the time shown and the scrape interval."""


class Panel(msgspec.Struct, frozen=True):
    """One graph; its unit has Grafana's name."""

    title: str
    unit: str
    queries: Queries
    about: str = ""
    """What it tells, for somebody who sees it for the first time."""
    stacked: bool = False


class Stat(msgspec.Struct, frozen=True):
    """One number as it is now."""

    title: str
    unit: str
    query: str
    thresholds: Thresholds = ((0, "green"),)
    decimals: int | None = None
    about: str = ""


class Row(msgspec.Struct, frozen=True):
    """What stands together under a heading."""

    title: str
    panels: tuple[Panel | Stat, ...]


def fill(text: str, chosen: dict[str, str]) -> str:
    """Put values in place of their words; other words with a dollar sign stay."""
    return string.Template(text).safe_substitute(chosen)


def fill_json(text: str, chosen: dict[str, str]) -> str:
    """The same inside JSON's strings."""
    return fill(text, {word: msgspec.json.encode(value).decode()[1:-1] for word, value in chosen.items()})


def each(name: str, query: str) -> Queries:
    """One line for each value of a label that the query keeps."""
    return ((label(name), query),)


def increase(metric: str, matchers: str, *by: str) -> Queries:
    """What a counter gains per second, for each value of the labels `by`."""
    legend = " ".join(label(one) for one in by)
    return ((legend, f"sum by ({', '.join(by)}) (rate({metric}{{{matchers}}}[{RATE}]))"),)


def percentiles(histogram: str, matchers: str, *percents: int, by: str = "") -> Queries:
    """Percentiles of a histogram in its own unit; with `by`, one percentile for each value of that label."""
    labels = f"le, {by}" if by else "le"
    buckets = f"sum by ({labels}) (rate({histogram}_bucket{{{matchers}}}[{RATE}]))"
    return tuple(
        (label(by) if by else f"p{percent}", f"histogram_quantile(0.{percent}, {buckets})")
        for percent in percents
    )


def by_pod(metric: str, matchers: str) -> str:
    """PromQL: a gauge's value in each pod. A pod may have two series for minutes, when it got another address."""
    return f"max by (pod) ({metric}{{{matchers}}})"


def burns(objective: Objective) -> Queries:
    """How fast an error budget is used up over the windows that alerts look at."""
    return tuple((window, objective.burn(window)) for window in ("5m", "30m", "1h", "6h"))


def label(name: str) -> str:
    """Grafana's word for a label's value."""
    return f"{{{{{name}}}}}"
