"""`make drill`: a blow is struck under load, the stack recovers, and the books are compared."""

import asyncio
import fcntl
import threading
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.table import Table

from point_local.drill import books
from point_local.drill.blows import Blow, whole
from point_local.drill.books import Verdict
from point_local.drill.load import MIXES, Load, Mix, longest_gap, percentile
from point_local.drill.load import Generator as LoadGenerator
from point_local.failover import controller
from point_local.programs import paths
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


class Hand(Protocol):
    """Who strikes a blow."""

    def goes_on(self) -> None:
        """Called again and again while something is waited for. Raises LocalError to give the blow up."""
        ...

    def tell(self, what: str) -> None:
        """Called when there is something new to be told of the blow."""
        ...

    def leave(self, load: Load, what: str, seconds: float) -> None:
        """Leave all as it is for so long. Raises LocalError to give the blow up."""
        ...


class Terminal:
    """Leaves each blow as long as it is to last, with a line every few seconds of how it goes."""

    def goes_on(self) -> None:
        """It always does."""

    def tell(self, what: str) -> None:
        """The lines tell it."""

    def leave(self, load: Load, what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(min(5.0, max(deadline - time.monotonic(), 0)))
            p99 = percentile(load.latencies[-200:], 0.99)
            console.print(
                f"  {what}: {len(load.latencies)} answered, {load.failures} failed tries, p99 {p99 * 1000:.0f} ms",
                highlight=False,
            )


_TERMINAL = Terminal()


def drill(blow: Blow) -> Result:
    """One blow under load of its own. Raises LocalError when the stack does not become whole again."""
    require_failover()
    with loaded(RATE) as load:
        seen = strike(blow, load)
    return Result(seen, books.compare(load))


@contextmanager
def loaded(rate: float, mix: Mix = MIXES["even"]) -> Generator[Load]:
    """Load that is under way in the block, and answered to the last write after it."""
    load = Load(rate, mix)
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


def strike(blow: Blow, load: Load, hand: Hand = _TERMINAL) -> Seen:
    """Strike the blow and wait until all is whole again; what the load saw of it. Raises LocalError.

    One at a time on this machine, whoever strikes.
    """
    with (paths.STATE / "drill.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError("another blow is under way: one at a time") from None
        return _strike(blow, load, hand)


def _strike(blow: Blow, load: Load, hand: Hand) -> Seen:
    def served(after: float) -> bool:
        hand.goes_on()
        return any(t > after for t in reversed(load.write_times))

    def well() -> bool:
        hand.goes_on()
        return whole()

    before = controller.recorded_writer()
    failed, answered = load.failures, len(load.latencies)
    sent = len(load.writes)
    start = time.monotonic()
    with blow.strike():
        struck = time.monotonic()
        hand.tell("struck")
        if blow.survived:
            wait("writes are served again", lambda: served(struck + 5), seconds=180)
            hand.tell("writes are served")
        hand.leave(load, f"{blow.name}: " + ("service is back" if blow.survived else "struck"), blow.lasting)
        hand.tell("being mended")
    mended = time.monotonic()
    hand.tell("mended")
    wait("writes are served", lambda: served(mended), seconds=180)
    wait(f"all is whole again after: {blow.name}", well, seconds=300, every=1)
    hand.tell("all is whole")
    hand.leave(load, f"{blow.name}: all is whole", 5)
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
        hopeless=0.0 if blow.survived else mended - struck,
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


COLUMNS = (
    "blow", "no reads", "no writes", "p99", "failed", "retried", "writer", "done", "lost", "twice", "books",
)  # fmt: skip


def cells(result: Result) -> list[str]:
    """A result as a person reads it, column by column."""
    seen, verdict = result.seen, result.verdict
    return [
        seen.blow,
        f"{seen.without_reads:.1f} s",
        f"{seen.without_writes:.1f} s",
        f"{seen.p99:.1f} s" if seen.p99 >= 1 else f"{seen.p99 * 1000:.0f} ms",
        str(seen.failed),
        str(seen.retried),
        seen.promoted,
        str(verdict.acknowledged),
        str(verdict.missing),
        str(verdict.doubled),
        "clean" if verdict.clean else "broken",
    ]


def table(results: Sequence[Result]) -> Table:
    """The results as a table."""
    made = Table(title="What members saw", title_justify="left")
    for column in COLUMNS[:-1]:
        made.add_column(column, no_wrap=column != "blow", justify="left" if column == "blow" else "right")
    made.add_column(COLUMNS[-1])
    for result in results:
        *figures, books_are = cells(result)
        made.add_row(*figures, f"[{'green' if result.verdict.clean else 'red'}]{books_are}[/]")
    return made
