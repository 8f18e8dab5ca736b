"""`make soak`: load for an hour while blows fall at random, then the books, and a picture of how it went."""

import datetime
import random
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from point_local.drill import blows, books, zones
from point_local.drill.blows import Blow
from point_local.drill.books import Verdict
from point_local.drill.load import Load, percentile
from point_local.drill.zones import Result, Seen
from point_local.programs import paths
from point_local.programs.command import LocalError
from point_local.programs.progress import console

_SAMPLE_SECONDS = 5.0
_MIB = 1024**2
_PROGRAMS = {"service": "point-service", "operator": "point-operator", "gateway and sidecars": "envoy"}
"""What a line of the memory's picture is called, and the program whose largest process it shows."""


@dataclass
class _Memory:
    """Resident memory of the largest process of each kind, over time."""

    times: list[float] = field(default_factory=list[float])
    mib: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _PROGRAMS})

    def sample(self) -> None:
        largest = dict.fromkeys(_PROGRAMS, 0.0)
        for process in psutil.process_iter(["cmdline", "memory_info"]):
            words = " ".join((process.info["cmdline"] or [])[:3])
            for name, program in _PROGRAMS.items():
                if program in words and process.info["memory_info"]:
                    largest[name] = max(largest[name], process.info["memory_info"].rss / _MIB)
        self.times.append(time.monotonic())
        for name, mib in largest.items():
            self.mib[name].append(mib)


def soak(minutes: float, picture: Path, seed: int) -> bool:
    """Strike random blows for so long; whether members were served as promised and the books are clean."""
    zones.require_failover()
    chosen = _random_blows(seed)
    seen: list[tuple[float, Seen]] = []
    broken: list[str] = []
    memory = _Memory()
    started = time.monotonic()
    with _sampled(memory), zones.loaded(zones.RATE) as load:
        while (left := started + minutes * 60 - time.monotonic()) > 0:
            blow = next(chosen)
            console.rule(f"{left / 60:.0f} min left: {blow.name}", align="left")
            struck = time.monotonic()
            try:
                seen.append((struck, zones.strike(blow, load)))
            except LocalError as error:
                console.print(f"[red]error:[/] {error}", highlight=False)
                broken.append(blow.name)
                break
        ended = time.monotonic()
    verdict = books.compare(load)
    _draw(picture, load, memory, [(at, s.blow) for at, s in seen], started, ended)
    console.print(zones.table([Result(s, verdict) for _, s in seen]))
    return _tell(
        seen=[s for _, s in seen], broken=broken, verdict=verdict, load=load, memory=memory, picture=picture
    )


def _random_blows(seed: int) -> Generator[Blow]:
    """Every blow there is, in random order, again and again."""
    order = random.Random(seed)  # noqa: S311 - which blow comes next is no secret
    every = [*blows.zones("abc", zones.MODES), *blows.smaller()]
    while True:
        order.shuffle(every)
        yield from every


@contextmanager
def _sampled(memory: _Memory) -> Generator[None]:
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            memory.sample()

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tell(
    *,
    seen: Sequence[Seen],
    broken: Sequence[str],
    verdict: Verdict,
    load: Load,
    memory: _Memory,
    picture: Path,
) -> bool:
    growth = {name: f"{mib[0]:.0f} to {mib[-1]:.0f} MiB" for name, mib in memory.mib.items() if mib}
    for line in (
        f"{len(seen)} blows, {len(load.latencies)} answers, {len(load.failure_times)} failed tries",
        f"p50 {percentile(load.latencies, 0.5) * 1000:.0f} ms, p99 {percentile(load.latencies, 0.99) * 1000:.0f} ms",
        f"writes acknowledged {verdict.acknowledged}, lost {verdict.missing}, twice {verdict.doubled}, "
        f"verify {'clean' if verdict.verified else 'broken'}",
        f"memory: {', '.join(f'{k} {v}' for k, v in growth.items())}",
        f"picture: {picture}",
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True)
    late = [s.blow for s in seen if not s.served]
    for name in (*late, *broken):
        console.print(f"[red]not served as promised:[/] {name}", highlight=False)
    return verdict.clean and not late and not broken


def _draw(
    picture: Path,
    load: Load,
    memory: _Memory,
    marks: Sequence[tuple[float, str]],
    started: float,
    ended: float,
) -> None:
    figure = Figure(figsize=(14, 9), layout="constrained")
    FigureCanvasAgg(figure)
    latency, answers, mebibytes = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
    minutes = [(t - started) / 60 for t in load.answer_times]
    slots: dict[int, list[float]] = {}
    for minute, seconds in zip(minutes, load.latencies, strict=True):
        slots.setdefault(int(minute * 6), []).append(seconds * 1000)
    at = [slot / 6 for slot in sorted(slots)]
    for share, colour in ((0.5, "tab:blue"), (0.99, "tab:orange")):
        values = [percentile(slots[s], share) for s in sorted(slots)]
        latency.plot(at, values, color=colour, label=f"p{share * 100:.0f}")
    latency.set_yscale("log")
    latency.set_ylabel("latency, ms")
    latency.legend(loc="upper right")
    span = (0, (ended - started) / 60)
    bins = max(1, int(span[1] * 6))
    failures = [(t - started) / 60 for t in load.failure_times]
    for times, colour, label in ((minutes, "tab:green", "answered"), (failures, "tab:red", "failed tries")):
        answers.hist(times, bins=bins, range=span, histtype="step", color=colour, label=label)
    answers.set_ylabel("in 10 s")
    answers.legend(loc="upper right")
    for name, mib in memory.mib.items():
        mebibytes.plot([(t - started) / 60 for t in memory.times], mib, label=name)
    mebibytes.set_ylabel("largest process, MiB")
    mebibytes.set_ylim(bottom=0)
    mebibytes.set_xlabel("minutes")
    mebibytes.legend(loc="upper right")
    for when, name in marks:
        for axes in (latency, answers, mebibytes):
            axes.axvline((when - started) / 60, color="grey", linewidth=0.6)
        latency.annotate(
            name, ((when - started) / 60, 1), xycoords=("data", "axes fraction"), rotation=60, fontsize=7
        )
    today = datetime.datetime.now(datetime.UTC).date()
    figure.suptitle(f"{span[1]:.0f} minutes of load under blows, {today}", x=0.01, ha="left")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


def default_picture() -> Path:
    """Where the picture goes unless told otherwise."""
    return paths.STATE / "soak.png"
