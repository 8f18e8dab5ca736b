"""Dashboards as pictures: what is put into queries and legends, and how values are written."""

import math
from pathlib import Path

import pytest
from matplotlib.image import imread
from point_local.look import boards, picture

NOW = 1_800_000_000.0


def test_a_query_gets_the_windows_that_grafana_would_give_it() -> None:
    half_an_hour, a_day = boards.Span(NOW - 1800, NOW), boards.Span(NOW - 86400, NOW)
    assert half_an_hour.fill("rate(x[$__rate_interval])") == "rate(x[60s])"
    assert a_day.fill("rate(x[$__rate_interval])") == "rate(x[375s])"
    assert half_an_hour.fill("increase(x[$__range])") == "increase(x[1800s])"


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.0123, "s", None, "12.3 ms"),
        (0.00042, "s", None, "420 µs"),
        (5400, "s", None, "1.5 h"),
        (0, "s", None, "0 s"),
        (0.99954, "percentunit", 3, "99.954%"),
        (0.7, "percentunit", None, "70%"),
        (402653184, "bytes", None, "384 MiB"),
        (0, "bytes", None, "0 B"),
        (12.34, "reqps", None, "12.3 req/s"),
        (0.5, "ops", None, "0.5/s"),
        (123456, "none", None, "123k"),
        (1234, "none", None, "1234"),
        (math.nan, "s", None, "none"),
    ],
)
def test_values_are_written_with_their_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert picture.written(value, unit, decimals) == text


def test_a_picture_has_the_grid_of_its_dashboard(tmp_path: Path) -> None:
    times = [NOW + n for n in range(60)]
    line = picture.Series("p99", times, [0.01] * 60)
    panels = [
        picture.Panel("row", "Heading", (0, 0, 24, 1)),
        picture.Panel("timeseries", "Drawn", (0, 1, 12, 8), unit="s", series=[line]),
        picture.Panel("timeseries", "Empty", (12, 1, 12, 8), unit="bytes"),
        picture.Panel("stat", "Number", (0, 9, 24, 4), thresholds=[(-math.inf, "green")], series=[line]),
    ]
    file = tmp_path / "x.png"
    picture.draw("A board", panels, (NOW, NOW + 60), file)
    pixels = imread(file)
    assert pixels.shape[:2] == (picture.HEAD + 13 * picture.CELL_HEIGHT + picture.GAP, picture.WIDTH)
    middle = picture.HEAD + 5 * picture.CELL_HEIGHT
    drawn, empty = (
        pixels[middle - 90 : middle + 60, left : left + 700, :3] for left in (100, picture.WIDTH // 2 + 100)
    )
    green = picture.COLOURS[0].lstrip("#")
    colour = [int(green[n : n + 2], 16) / 255 for n in (0, 2, 4)]

    def shows(part: object) -> bool:
        return bool((abs(part - colour).max(axis=2) < 0.1).any())  # type: ignore[operator]

    assert shows(drawn)
    assert not shows(empty)
