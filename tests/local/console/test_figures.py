"""The figures are those of the PointService's own dashboard."""

import json
from pathlib import Path

from point_local.console import figures

GOLDEN = Path(__file__).parents[2] / "operator" / "resources" / "golden" / "full-dashboard.json"


def test_every_figure_has_its_query_in_the_dashboard() -> None:
    board = json.loads(GOLDEN.read_text())
    queries = figures.expressions(board.get("data", {}).get("points.points.json") or board)
    assert set(queries) == set(figures.PANELS) | set(figures.OWN)
    asked = figures.question(queries)
    assert "$__" not in asked
    assert asked.count('"figure"') == len(queries)


def test_a_figure_that_was_not_measured_is_none() -> None:
    series = [
        {"metric": {"figure": "requests"}, "value": [0, "12.5"]},
        {"metric": {"figure": "p99"}, "value": [0, "NaN"]},
    ]
    assert figures.answer(series) == {"requests": 12.5, "p99": None}
