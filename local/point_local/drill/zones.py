"""`make drill`: a blow is struck under load, the stack recovers, and the books are compared."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.table import Table

from point_local.drill import books
from point_local.drill.blows import Blow, whole
from point_local.drill.books import Verdict
from point_local.drill.load import Generator as LoadGenerator
from point_local.drill.load import Load, longest_gap, percentile
from point_local.failover import controller
from point_local.programs.command import LocalError, wait
from point_local.programs.progress import console

MODES = ("stop", "cut")
RATE = 30.0
"""Requests a second that are offered; the books can be compared at any rate, the machine has two cores."""
NO_READS_SECONDS = 30.0
NO_WRITES_SECONDS = 60.0
"""What members are promised: so long without reads, or without writes, at most."""


@dataclass(frozen=True)
class Seen:
    """What members saw of one blow."""

    blow: str
    without_reads: float
    without_writes: float
    failed: int
    retried: int
    refused: Mapping[str, int]
    """Writes that were answered, and not as done, by what the answer said: none is expected."""
    p99: float
    """Of the answers from the blow to the end, in seconds."""
    promoted: str
    hopeless: float = 0.0
    """Seconds of the blow in which nobody can write, whatever is done: a full disk until there is room."""

    @property
    def served(self) -> bool:
        """Whether the promise was kept."""
        writes_in_time = self.without_writes <= self.hopeless + NO_WRITES_SECONDS
        return self.without_reads <= NO_READS_SECONDS and writes_in_time and not self.refused


@dataclass(frozen=True)
class Result:
    """What members saw, and whether the books are right."""

    seen: Seen
    verdict: Verdict

    @property
    def passed(self) -> bool:
        return self.seen.served and self.verdict.clean


def require_failover() -> None:
    """Raise LocalError when nothing would replace a writer that is gone."""
    if controller.DAEMON.process() is None:
        raise LocalError(
            "the failover controller does not run, so no zone may go dark: `make up` starts it (MySQL only)"
        )


def drill(blow: Blow) -> Result:
    """One blow under load of its own. Raises LocalError when the stack does not become whole again."""
    require_failover()
    with loaded(RATE) as load:
        seen = strike(blow, load)
    return Result(seen, books.compare(load))


@contextmanager
def loaded(rate: float) -> Generator[Load]:
    """Load that is under way in the block, and answered to the last write after it."""
    load = Load(rate)
    ended = threading.Event()
    generator = LoadGenerator(load)
    thread = threading.Thread(target=lambda: asyncio.run(generator.run(ended.is_set)))
    thread.start()
    try:
        wait("the load is under way", lambda: len(load.write_times) > rate, seconds=60)
        yield load
    finally:
        ended.set()
        thread.join(90)


def strike(blow: Blow, load: Load) -> Seen:
    """Strike the blow and wait until all is whole again; what the load saw of it."""
    before = controller.recorded_writer()
    failed, answered = load.failures, len(load.latencies)
    sent = len(load.writes)
    start = time.monotonic()
    with blow.strike():
        struck = time.monotonic()
        if blow.survived:
            wait(
                "writes are served again", lambda: any(t > struck + 5 for t in load.write_times), seconds=180
            )
        _tell(load, f"{blow.name}: " + ("service is back" if blow.survived else "struck"), blow.lasting)
    mended = time.monotonic()
    wait("writes are served", lambda: any(t > mended for t in load.write_times), seconds=180)
    wait(f"all is whole again after: {blow.name}", whole, seconds=300, every=1)
    _tell(load, f"{blow.name}: all is whole", 5)
    end = time.monotonic()
    after = controller.recorded_writer()
    return Seen(
        blow=blow.name,
        without_reads=longest_gap(load.read_times, start, end),
        without_writes=longest_gap(load.write_times, start, end),
        failed=load.failures - failed,
        retried=sum(w.tries > 1 for w in load.writes[sent:]),
        refused=Counter(w.refusal for w in load.writes[sent:] if w.refusal),
        p99=percentile(load.latencies[answered:], 0.99),
        promoted=f"{before} → {after}" if before != after else "-",
        hopeless=0.0 if blow.survived else blow.lasting,
    )


def run_all(blows: Sequence[Blow]) -> bool:
    """Strike each blow, print the table, and say whether all passed; one that fails does not keep others back."""
    results: list[Result] = []
    broken: list[str] = []
    for blow in blows:
        console.rule(blow.name, align="left")
        try:
            results.append(drill(blow))
        except LocalError as error:
            console.print(f"[red]error:[/] {error}", highlight=False)
            broken.append(blow.name)
    console.print(table(results))
    for result in results:
        for what, times in result.seen.refused.items():
            console.print(f"[red]refused {times} times:[/] {what}", highlight=False)
    for name in broken:
        console.print(f"[red]not finished:[/] {name}", highlight=False)
    return not broken and all(r.passed for r in results)


def table(results: Sequence[Result]) -> Table:
    """The results as a person reads them."""
    made = Table(title="What members saw", title_justify="left")
    for column in (
        "blow",
        "no reads",
        "no writes",
        "p99",
        "failed",
        "retried",
        "writer",
        "done",
        "lost",
        "twice",
    ):
        made.add_column(column, no_wrap=column != "blow", justify="left" if column == "blow" else "right")
    made.add_column("books")
    for r in results:
        made.add_row(
            r.seen.blow,
            f"{r.seen.without_reads:.1f} s",
            f"{r.seen.without_writes:.1f} s",
            f"{r.seen.p99:.1f} s" if r.seen.p99 >= 1 else f"{r.seen.p99 * 1000:.0f} ms",
            str(r.seen.failed),
            str(r.seen.retried),
            r.seen.promoted,
            str(r.verdict.acknowledged),
            str(r.verdict.missing),
            str(r.verdict.doubled),
            "[green]clean[/]" if r.verdict.clean else "[red]broken[/]",
        )
    return made


def _tell(load: Load, what: str, seconds: float) -> None:
    """A line every few seconds with how it goes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(min(5.0, max(deadline - time.monotonic(), 0)))
        p99 = percentile(load.latencies[-200:], 0.99)
        console.print(
            f"  {what}: {len(load.latencies)} answered, {load.failures} failed tries, p99 {p99 * 1000:.0f} ms",
            highlight=False,
        )
