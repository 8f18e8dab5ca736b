"""What can be switched from a page: a load, and one blow at a time, by the drill's own code."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from point_local.console.timeline import Timeline
from point_local.drill import blows, books, zones
from point_local.drill.blows import Blow
from point_local.drill.load import MIXES, Load, percentile
from point_local.programs.command import LocalError, wait

COUNT_SECONDS = 5.0
SELDOM_SECONDS = 30.0
COUNT_SHARE = 10
"""The books are counted this often at most and at least, in between for one part in so many of the time."""
DARK_SECONDS = 300.0
"""The longest that a zone is left dark."""
KEPT = 20
"""So many results are kept."""
EVERY = {blow.name: blow for blow in (*blows.zones("abc", zones.MODES), *blows.smaller())}


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A load: requests a second, and what they are."""

    rate: Annotated[float, msgspec.Meta(ge=5, le=100)] = zones.RATE
    mix: str = "even"


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """The load's acknowledged writes, and what the database had of them at the last count."""

    acknowledged: int
    at: float | None = None
    """When they were counted, in seconds since 1970; None before the first count."""
    counted: int = 0
    lost: int = 0
    twice: int = 0


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The switches as a page shows them."""

    running: bool
    """Whether a load is."""
    stopping: bool
    """Whether it is being stopped: what is under way is answered first."""
    load: Wanted
    answered: int
    failed: int
    p99: float | None
    """Of the last 200 answers, in seconds."""
    books: Books
    blow: str | None
    stage: str
    """How far the blow is."""
    mendable: bool
    """Whether the blow waits to be mended."""
    results: Sequence[Sequence[str]]
    """A row a blow, the newest first, as `make drill` prints them."""
    passed: bool | None
    """Whether the last one passed."""
    columns: Sequence[str] = zones.COLUMNS
    blows: Sequence[str] = tuple(EVERY)
    mixes: Sequence[str] = tuple(MIXES)


class Switches:
    """One load and one blow at most, each with a thread. What was refused raises LocalError."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._lock = threading.Lock()
        self._wanted = Wanted()
        self._load: Load | None = None
        self._driver: threading.Thread | None = None
        self._stopped = threading.Event()
        self._under_way = threading.Event()
        self._books = Books(acknowledged=0)
        self._striker: _Striker | None = None
        self._results: deque[list[str]] = deque(maxlen=KEPT)
        self._passed: bool | None = None
        self._ending = False

    def start(self, wanted: Wanted) -> None:
        """Start a load; its books begin with it."""
        if wanted.mix not in MIXES:
            raise LocalError(f"mix is {wanted.mix!r}: allowed are {', '.join(MIXES)}")
        with self._lock:
            self._start(wanted)

    def _start(self, wanted: Wanted) -> None:
        if self._ending:
            raise LocalError("the console ends")
        if _alive(self._driver):
            raise LocalError("a load is under way: stop it first")
        self._wanted, self._load, self._books = wanted, None, Books(acknowledged=0)
        self._stopped, self._under_way = threading.Event(), threading.Event()
        self._driver = threading.Thread(target=self._drive, args=(wanted, self._stopped), name="load")
        self._driver.start()
        self._timeline.tell(f"a load starts: {wanted.rate:g} requests a second, {wanted.mix}")

    def stop(self) -> None:
        """Stop the load; what is under way is answered first."""
        with self._lock:
            if not _alive(self._driver) or self._stopped.is_set():
                raise LocalError("no load is under way")
            if _alive(self._striker):
                raise LocalError("the blow is judged by the load: mend it first, and let it end")
            self._stopped.set()

    def strike(self, name: str) -> None:
        """Strike a blow, under the load that is there or else a new one."""
        if name not in EVERY:
            raise LocalError(f"blow is {name!r}: allowed are {', '.join(EVERY)}")
        zones.require_failover()
        with self._lock:
            if _alive(self._striker):
                raise LocalError("a blow is under way: one at a time")
            if self._stopped.is_set() and _alive(self._driver):
                raise LocalError("the load is just being stopped")
            if not _alive(self._driver):
                self._start(Wanted())
            self._striker = _Striker(EVERY[name], self._struck, self._timeline)
            self._striker.start()

    def mend(self) -> None:
        """Mend the blow that was struck."""
        striker = self._striker
        if striker is None or not striker.mendable:
            raise LocalError("there is nothing to mend")
        striker.mended.set()

    def end(self) -> None:
        """Mend what is struck, stop the load, and return when both are over."""
        with self._lock:
            self._ending = True
        if self._striker is not None:
            self._striker.given_up.set()
            self._striker.mended.set()
            self._striker.join()
        self._stopped.set()
        if self._driver is not None:
            self._driver.join()

    def busy(self) -> bool:
        """Whether a blow is under way."""
        return _alive(self._striker)

    def shown(self) -> Shown:
        """How all is now."""
        load, striker = self._load, self._striker
        struck = striker if striker is not None and striker.is_alive() else None
        done = sum(w.status == 201 for w in load.writes) if load else 0
        return Shown(
            running=_alive(self._driver),
            stopping=_alive(self._driver) and self._stopped.is_set(),
            load=self._wanted,
            answered=len(load.latencies) if load else 0,
            failed=load.failures if load else 0,
            p99=percentile(load.latencies[-200:], 0.99) if load and load.latencies else None,
            books=msgspec.structs.replace(self._books, acknowledged=done),
            blow=struck.blow.name if struck else None,
            stage=struck.stage if struck else "",
            mendable=struck.mendable if struck else False,
            results=list(self._results),
            passed=self._passed,
        )

    def _drive(self, wanted: Wanted, stopped: threading.Event) -> None:
        try:
            with zones.loaded(wanted.rate, MIXES[wanted.mix]) as load:
                self._load = load
                self._under_way.set()
                pause = COUNT_SECONDS
                while not stopped.wait(pause):
                    pause = self._count(load)
            self._count(load)
            found = self._books
            self._timeline.tell(
                f"the load ends: {found.counted} writes acknowledged, {found.lost} lost, {found.twice} twice",
                bad=bool(found.lost or found.twice),
            )
        except LocalError as error:
            self._timeline.tell(f"the load: {_first_line(error)}", bad=True)
        finally:
            stopped.set()
            self._under_way.set()

    def _count(self, load: Load) -> float:
        """Count the books, unless nobody can say; the seconds until the next time."""
        asked = time.monotonic()
        with contextlib.suppress(LocalError):
            self._note(books.count(load))
        return min(max(COUNT_SECONDS, COUNT_SHARE * (time.monotonic() - asked)), SELDOM_SECONDS)

    def _note(self, found: books.Count) -> None:
        if (found.missing, found.doubled) != (self._books.lost, self._books.twice):
            self._timeline.tell(f"the books: {found.missing} lost, {found.doubled} twice", bad=True)
        done = found.acknowledged
        self._books = Books(
            acknowledged=done, at=time.time(), counted=done, lost=found.missing, twice=found.doubled
        )

    def _struck(self, blow: Blow, hand: "_Striker") -> None:
        """Strike it, let all become whole, and judge as the drill does."""
        self._under_way.wait()
        hand.goes_on()
        load = self._load
        if load is None:
            raise LocalError("there is no load to judge it by")
        self._timeline.tell(f"{blow.name}: begins", bad=True)
        seen = zones.strike(blow, load, hand)
        sent = len(load.writes)

        def answered() -> bool:
            hand.goes_on()
            return all(w.status is not None for w in load.writes[:sent])

        with contextlib.suppress(LocalError):
            wait("what was sent is answered", answered, seconds=60)
        hand.goes_on()
        hand.stage = "the books are compared"
        result = zones.Result(seen, books.compare(load, sent))
        self._note(result.verdict)
        self._results.appendleft(zones.cells(result))
        self._passed = result.passed
        judged = "passed" if result.passed else "did not pass"
        self._timeline.tell(
            f"{blow.name} {judged}: {seen.without_reads:.1f} s without reads, {seen.without_writes:.1f} s without"
            f" writes, {_judged(result.verdict)}",
            bad=not result.passed,
        )


class _Striker(threading.Thread):
    """The drill's hand: leaves a zone dark until it is told to mend it, all else as long as the drill does."""

    def __init__(self, blow: Blow, strike: "Callable[[Blow, _Striker], None]", timeline: Timeline) -> None:
        super().__init__(name="blow")
        self.blow, self._strike, self._timeline = blow, strike, timeline
        self.stage = "the load gets under way"
        self.mended, self.given_up = threading.Event(), threading.Event()
        self._struck = False

    @property
    def mendable(self) -> bool:
        """Whether it was struck and is yet to be mended."""
        return self._struck and not self.mended.is_set()

    def run(self) -> None:
        try:
            self._strike(self.blow, self)
        except Exception as error:  # also a fault of ours is told where it is looked for
            what = "" if isinstance(error, LocalError) else f"{type(error).__name__}: "
            self._timeline.tell(f"{self.blow.name}: {what}{_first_line(error)}", bad=True)

    def goes_on(self) -> None:
        if self.given_up.is_set():
            raise LocalError("given up, and mended")

    def tell(self, what: str) -> None:
        self.stage = what
        if what == "struck":
            self._struck = True
        if what == "being mended":
            self.mended.set()
        self._timeline.tell(f"{self.blow.name}: {what}", bad=what == "struck")

    def leave(self, load: Load, what: str, seconds: float) -> None:  # noqa: ARG002 - a page shows the load
        if self.stage == "all is whole":
            self.given_up.wait(seconds)
        else:
            self.mended.wait(DARK_SECONDS if self.blow.name.startswith("zone ") else seconds)
        self.goes_on()


def _judged(verdict: books.Verdict) -> str:
    """The books in words; what is usual is not said."""
    unanswered = f", {verdict.unanswered} without an answer" if verdict.unanswered else ""
    fails = "" if verdict.verified else ", and `point-service verify` fails"
    return f"{verdict.missing} lost, {verdict.doubled} twice{unanswered}{fails}"


def _alive(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
