"""Where a request's processor time goes: what was used under load, by the places on its way, and a picture of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from point_local.look.cpu import KERNEL, OTHER, Used
from point_local.look.picture import COLOURS, DIM, EDGE, PAGE, PANEL, TEXT

CLIENT = "client"
ALONE = "alone: "
"""Before the name of a server that belongs to the service alone."""
REST = "rest of the stack"
WRITER, COPIES = "MySQL, writer", "MySQL, copies"
PLACES = (
    *("Envoy, edge", "Envoy, gateway", "Envoy, sidecar", "service", WRITER, COPIES, "Redis", KERNEL, REST),
)
"""In the order of a request's way; then what is on nobody's."""
_COLOURS = {**dict(zip(PLACES, COLOURS, strict=False)), REST: DIM}
_ALONE = ("service", WRITER, "Redis", KERNEL)


@dataclass(frozen=True)
class Bar:
    """Milliseconds of processor time a request, by place."""

    name: str
    places: Mapping[str, float]


def beyond(used: Mapping[str, Used], idle: Mapping[str, Used], seconds: float) -> Mapping[str, Used]:
    """What was used in so many seconds beyond what is used in each of them (`idle`) while nothing is asked."""
    none = Used()
    return {
        name: Used(
            max(0.0, one.user - seconds * idle.get(name, none).user),
            max(0.0, one.kernel - seconds * idle.get(name, none).kernel),
        )
        for name, one in used.items()
    }


def of_a_request(used: Mapping[str, Used], done: int, writer: str | None) -> Mapping[str, Used]:
    """Milliseconds a request by place, of so many that were done through the stack; `writer` is the zone of its MySQL.

    Without a writer: of those that the service alone did. Neither has the client in it, nor the other's servers, nor
    other work on the machine.
    """
    total = dict.fromkeys(PLACES if writer else _ALONE, Used())
    for name, one in used.items():
        place = _place(name, writer)
        if place in total:
            total[place] += one
    return {
        name: Used(1000 * one.user / max(1, done), 1000 * one.kernel / max(1, done))
        for name, one in total.items()
    }


def whole(places: Mapping[str, Used]) -> Used:
    """All places together."""
    return sum(places.values(), Used())


def _place(name: str, writer: str | None) -> str | None:
    if name in (CLIENT, OTHER):
        return None
    if name == KERNEL:
        return KERNEL
    if writer is None or name.startswith(ALONE):
        return name.removeprefix(ALONE) if writer is None and name.startswith(ALONE) else None
    if name.startswith("MySQL "):
        return WRITER if name == f"MySQL {writer}" else COPIES
    return name if name in PLACES else REST


def draw(title: str, under: str, bars: Sequence[Bar], file: Path) -> None:
    """Write a picture of stacked bars, the first on top, as PNG."""
    figure = Figure(figsize=(12, 1.9 + 0.62 * len(bars)), dpi=100, facecolor=PAGE, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=PANEL)
    longest = max(sum(bar.places.values()) for bar in bars)
    left = [0.0] * len(bars)
    for place in PLACES:
        values = [bar.places.get(place, 0.0) for bar in bars]
        drawn = axes.barh(
            range(len(bars)),
            values,
            left=left,
            height=0.68,
            color=_COLOURS[place],
            label=place,
            edgecolor=PAGE,
        )
        told = [f"{value:.2f}" if value > longest / 28 else "" for value in values]
        axes.bar_label(drawn, told, label_type="center", color=PAGE, fontsize=9)
        left = [low + value for low, value in zip(left, values, strict=True)]
    for row, end in enumerate(left):
        axes.annotate(
            f"{end:.2f} ms", (end, row), xytext=(6, 0), textcoords="offset points", color=TEXT, va="center"
        )
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 1.09)
    axes.tick_params(colors=TEXT, length=0)
    axes.set_xlabel("milliseconds of processor time a request", color=DIM)
    for spine in axes.spines.values():
        spine.set_color(EDGE)
    figure.suptitle(title, color=TEXT, x=0.01, ha="left", weight="bold")
    axes.set_title(under, color=DIM, fontsize=9, loc="left")
    figure.legend(
        loc="outside lower left", ncols=len(PLACES), frameon=False, labelcolor=TEXT, fontsize=9,
        handlelength=1, columnspacing=1.1, handletextpad=0.4,
    )  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, facecolor=PAGE)
