"""The tables of `make bench-stack`, in Markdown, as docs/benchmarks.md has them."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from point_local.look import cost, cpu
from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from stack import Seen

console = Console(width=180)  # no cell is folded
LEAST = 0.002  # of a core: less is told together


def idle(used: Mapping[str, cpu.Used], cores: int) -> Table:
    """Who uses the processor while nothing is asked: shares of a core, the largest first."""
    table = Table("Program", "% of a core", box=box.MARKDOWN)
    own = {name: one.seconds for name, one in used.items() if name != cpu.OTHER}
    for name, share in sorted(own.items(), key=lambda one: -one[1]):
        if share >= LEAST:
            table.add_row(name, f"{100 * share:.1f}")
    whole = sum(own.values())
    table.add_row(f"the idle stack, {100 * whole / cores:.0f}% of {cores} cores", f"{100 * whole:.0f}")
    table.add_row(f"({cpu.OTHER})", f"{100 * used[cpu.OTHER].seconds:.0f}")
    return table


def loads(figures: "Mapping[tuple[str, int], Mapping[str, Seen]]") -> Iterator[Table]:
    """What was done, at what cost, each beside the service alone; then the cost by place."""
    done = Table(
        *("Load", "done/s, alone", "ratio", "p50, alone", "p99, alone", "CPU a request, alone", "ratio"),
        *("a transaction, alone", "refused", "client"),
        box=box.MARKDOWN,
    )
    for (kind, connections), both in figures.items():
        stack, alone = both["stack"], both["alone"]
        ours, theirs = cost.whole(stack.places).seconds, cost.whole(alone.places).seconds
        done.add_row(
            f"{kind}, {connections} connections",
            f"{stack.rate:.0f}, {alone.rate:.0f}",
            f"{stack.rate / alone.rate:.2f}",
            f"{stack.p50:.0f}, {alone.p50:.0f} ms",
            f"{stack.p99:.0f}, {alone.p99:.0f} ms",
            f"{ours:.2f}, {theirs:.2f} ms",
            f"{ours / theirs:.1f}",
            f"{stack.batch:.1f}, {alone.batch:.1f}" if kind == "uses" else "",
            f"{stack.refused:.0f}, {alone.refused:.0f}",
            f"{stack.client:.0%}, {alone.client:.0%}",
        )
    yield done
    where = Table("CPU, ms a request (of it in the kernel)", box=box.MARKDOWN)
    for kind, connections in figures:
        where.add_column(f"{kind}, {connections}")
    for place in cost.PLACES:
        where.add_row(place, *(_told(both["stack"].places[place]) for both in figures.values()))
    for name, target in (("all of it", "stack"), ("the service alone", "alone")):
        where.add_row(name, *(_told(cost.whole(both[target].places)) for both in figures.values()))
    yield where


def _told(used: cpu.Used) -> str:
    return f"{used.seconds:.2f} ({used.kernel:.2f})"
