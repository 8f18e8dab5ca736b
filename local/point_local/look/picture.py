"""One dashboard as one picture: dark, on the dashboard's own grid of 24 columns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator

WIDTH, CELL_HEIGHT, HEAD, GAP = 1800, 34, 64, 5
"""Pixels: of the picture, of a grid's row, of the title, around a panel."""
DPI = 100
COLUMNS = 24
LEGEND_LINES = 3
CLOCK = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
"""Round times in seconds."""
_LEGEND_FONT = FontProperties(size=9)
PAGE, PANEL, EDGE, GRID, TEXT, DIM = "#0f1014", "#181b1f", "#26292f", "#2c3038", "#d5d6e0", "#8e919c"
COLOURS = (
    *("#73bf69", "#5794f2", "#f2cc0c", "#ff9830", "#b877d9", "#56d2d2", "#f2495c", "#c0d8ff", "#e0b400"),
    *("#8f9bb3", "#fa6400", "#a352cc", "#37872d", "#ffa6b0"),
)
NAMED = {"green": "#73bf69", "yellow": "#f2cc0c", "red": "#f2495c"}


@dataclass(frozen=True)
class Series:
    """One line: values at times in seconds since 1970."""

    name: str
    times: Sequence[float]
    values: Sequence[float]

    @property
    def last(self) -> float:
        """The last value that is one."""
        return next((value for value in reversed(self.values) if math.isfinite(value)), math.nan)


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard; `cell` is x, y, width and height on the grid."""

    kind: str
    title: str
    cell: tuple[int, int, int, int]
    unit: str = "none"
    decimals: int | None = None
    stacked: bool = False
    thresholds: Sequence[tuple[float, str]] = ()
    series: Sequence[Series] = field(default_factory=list[Series])


def draw(title: str, panels: Sequence[Panel], span: tuple[float, float], file: Path) -> None:
    """Write the picture as PNG."""
    rows = max(y + h for _, y, _, h in (panel.cell for panel in panels))
    height = HEAD + rows * CELL_HEIGHT + GAP
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor=PAGE)
    canvas = FigureCanvasAgg(figure)
    start, end = (datetime.fromtimestamp(moment, UTC) for moment in span)
    figure.text(12 / WIDTH, 1 - 26 / height, title, color=TEXT, fontsize=17, weight="bold", va="center")
    when = f"{start:%d %B %Y, %H:%M} to {end:%H:%M} UTC"
    figure.text(12 / WIDTH, 1 - 50 / height, when, color=DIM, fontsize=10, va="center")
    for panel in panels:
        _Place(canvas, panel, span, height).draw()
    figure.savefig(file, dpi=DPI, facecolor=PAGE)


class _Place:
    """Where a panel is in the figure, in pixels from the top left."""

    def __init__(self, canvas: FigureCanvasAgg, panel: Panel, span: tuple[float, float], height: int) -> None:
        x, y, w, h = panel.cell
        self._canvas, self._figure = canvas, canvas.figure
        self._panel, self._span, self._height = panel, span, height
        self._left, self._width = x * WIDTH / COLUMNS + GAP, w * WIDTH / COLUMNS - 2 * GAP
        self._top, self._tall = HEAD + y * CELL_HEIGHT + GAP, h * CELL_HEIGHT - 2 * GAP

    def draw(self) -> None:
        if self._panel.kind == "row":
            self._text(4, self._tall / 2, self._panel.title, size=13, weight="bold")
            return
        box = FancyBboxPatch(
            (self._left / WIDTH, 1 - (self._top + self._tall) / self._height),
            self._width / WIDTH,
            self._tall / self._height,
            boxstyle="round,pad=0,rounding_size=0.001",
            facecolor=PANEL,
            edgecolor=EDGE,
            linewidth=0.8,
            transform=self._figure.transFigure,
            zorder=-1,  # behind the graph
        )
        self._figure.add_artist(box)
        self._text(10, 15, self._panel.title, size=11)
        if self._panel.kind == "stat":
            self._number()
        else:
            self._graph()

    def _number(self) -> None:
        panel = self._panel
        if not panel.series or not math.isfinite(panel.series[0].last):
            self._text(self._width / 2, self._tall * 0.6, "No data", size=14, colour=DIM, align="center")
            return
        series = panel.series[0]
        colour = next((name for least, name in reversed(panel.thresholds) if series.last >= least), "green")
        colour = NAMED.get(colour, colour)
        axes = self._axes(0, self._tall * 0.62, self._width, self._tall * 0.36)
        axes.set_axis_off()
        axes.plot(series.times, series.values, color=colour, linewidth=1.2, alpha=0.8)
        axes.fill_between(series.times, series.values, color=colour, alpha=0.15, linewidth=0)
        axes.set_ylim(bottom=min(0.0, *(v for v in series.values if math.isfinite(v)), 0.0))
        value = written(series.last, panel.unit, panel.decimals)
        self._text(
            self._width / 2, self._tall * 0.45, value, size=25, weight="bold", colour=colour, align="center"
        )

    def _graph(self) -> None:
        panel = self._panel
        lines = self._legend()
        bottom = 20 + 17 * lines
        axes = self._axes(74, 34, self._width - 88, self._tall - 40 - bottom)
        axes.set_facecolor(PANEL)
        for side in ("top", "right", "left", "bottom"):
            axes.spines[side].set_visible(False)
        axes.grid(visible=True, color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(colors=DIM, labelsize=9, length=0)
        axes.set_xlim(*self._span)
        ticks = [self._span[0] + (self._span[1] - self._span[0]) * n / 6 for n in range(1, 6)]
        axes.set_xticks(ticks, [f"{datetime.fromtimestamp(tick, UTC):%H:%M}" for tick in ticks])
        axes.yaxis.set_major_formatter(FuncFormatter(self._tick))
        values = [value for one in panel.series for value in one.values if math.isfinite(value)]
        if not values:
            self._text(self._width / 2, self._tall / 2, "No data", size=14, colour=DIM, align="center")
            axes.set_yticks([])
            return
        self._stack(axes) if panel.stacked else self._lines(axes)
        top = axes.get_ylim()[1] if any(values) else 1.0
        axes.set_ylim(-top / 60, top)  # a line at 0 is seen whole
        axes.yaxis.set_major_locator(_ticks(top, panel.unit))

    def _tick(self, value: float, _: int | None = None) -> str:
        return written(value, self._panel.unit)

    def _lines(self, axes: Axes) -> None:
        for number, one in enumerate(self._panel.series):
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(one.times, one.values, color=colour, linewidth=1.4)
            if len(self._panel.series) <= 4:
                axes.fill_between(one.times, one.values, color=colour, alpha=0.07, linewidth=0)

    def _stack(self, axes: Axes) -> None:
        """Each series on top of those before it; where one has no value it is 0 high."""
        times = sorted({moment for one in self._panel.series for moment in one.times})
        below = [0.0] * len(times)
        for number, one in enumerate(self._panel.series):
            at = dict(zip(one.times, one.values, strict=True))
            values = [at.get(moment, 0.0) for moment in times]
            above = [
                low + (value if math.isfinite(value) else 0) for low, value in zip(below, values, strict=True)
            ]
            colour = COLOURS[number % len(COLOURS)]
            axes.fill_between(times, below, above, color=colour, alpha=0.35, linewidth=0)
            axes.plot(times, above, color=colour, linewidth=1.1)
            below = above

    def _legend(self) -> int:
        """Write names and last values under the graph; return how many lines they take."""
        place: list[list[tuple[float, int, str, str]]] = [[]]
        used = 0.0
        for number, one in enumerate(self._panel.series):
            name, value = one.name or self._panel.title, written(one.last, self._panel.unit)
            wide = 16 + self._wide(name) + 6 + self._wide(value) + 18
            if used + wide > self._width - 20 and place[-1]:
                place.append([])
                used = 0.0
            place[-1].append((used, number, name, value))
            used += wide
        shown = place[:LEGEND_LINES]
        for line, row in enumerate(shown):
            y = self._tall - 12 - 17 * (len(shown) - 1 - line)
            for x, number, name, value in row:
                self._text(14 + x, y, "▬", size=9, colour=COLOURS[number % len(COLOURS)])
                self._text(30 + x, y, name, size=9)
                self._text(30 + x + self._wide(name) + 6, y, value, size=9, colour=DIM)
        return len(shown)

    def _wide(self, text: str) -> float:
        """How many pixels a text of the legend takes."""
        width, _, _ = self._canvas.get_renderer().get_text_width_height_descent(
            text, _LEGEND_FONT, ismath=False
        )
        return width

    def _axes(self, x: float, y: float, width: float, tall: float) -> Axes:
        """Axes at a place inside the panel."""
        bottom = 1 - (self._top + y + tall) / self._height
        place = ((self._left + x) / WIDTH, bottom, width / WIDTH, tall / self._height)
        axes = self._figure.add_axes(place)
        axes.patch.set_alpha(0)
        return axes

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        weight: str = "normal",
        colour: str = TEXT,
        align: str = "left",
    ) -> None:
        at = ((self._left + x) / WIDTH, 1 - (self._top + y) / self._height)
        self._figure.text(*at, text, fontsize=size, weight=weight, color=colour, ha=align, va="center")


def _ticks(top: float, unit: str) -> Locator:
    """About four round values from 0 to `top`: round in MiB and in minutes too."""
    if unit == "bytes":
        return MultipleLocator(2 ** math.ceil(math.log2(max(top, 4) / 4)))
    if unit == "s" and top > 120:
        return MultipleLocator(next((size for size in CLOCK if size >= top / 4), 86400))
    return MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit, as short as it stays readable."""
    if not math.isfinite(value):
        return "none"
    if unit == "percentunit":
        return f"{value * 100:.{decimals}f}%" if decimals is not None else f"{_short(value * 100)}%"
    if unit == "s":
        scales = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
        size, name = next((one for one in scales if abs(value) >= one[0]), (1, "s"))
        return f"{_short(value / size)} {name}"
    if unit == "bytes":
        power = min(int(math.log(abs(value), 1024)), 4) if abs(value) >= 1 else 0
        return f"{_short(value / 1024**power)} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
    suffix = {"reqps": " req/s", "ops": "/s"}.get(unit, "")
    return (f"{value:.{decimals}f}" if decimals is not None else _short(value)) + suffix


def _short(value: float) -> str:
    """Three digits, and thousands as k."""
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 10:
            return f"{value / size:.3g}{name}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
