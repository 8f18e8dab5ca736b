"""The books as the writer's database has them: what was earned, used, cancelled and expired since a page is open."""

import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

KINDS = ("EARN", "USE", "CANCEL_USE", "CANCEL_EARN", "EXPIRE")
SETTLED_SECONDS = 30.0
"""No transaction is under way for so long: entries seen before it have all lower ones committed."""

Ask = Callable[[str], Sequence[tuple[object, ...]]]


class Line(msgspec.Struct, kw_only=True):
    """How many entries of a kind there are, and how many points they moved."""

    entries: int = 0
    points: int = 0


class Books:
    """Sums since the first look; each reads only what is new, and what may still have been under way before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.opened = time.time()
        self._sums = {kind: Line() for kind in KINDS}
        self._settled: int | None = None
        self._marks: deque[tuple[float, int]] = deque()
        """When the last entry was which."""

    def read(self, ask: Ask) -> dict[str, Line]:
        """The sums now, by kind of entry. Raises what asking raises; the next look then has it all."""
        now, last = self._clock(), _last(ask)
        if self._settled is None:
            self._settled = last
        self._marks.append((now, last))
        settled = self._settled
        old = [mark for at, mark in self._marks if at <= now - SETTLED_SECONDS]
        if old and old[-1] > settled:
            rows = _between(ask, settled, old[-1])
            _add(self._sums, rows)
            self._settled = settled = old[-1]
        for _ in old:
            self._marks.popleft()
        sums = {kind: Line(entries=line.entries, points=line.points) for kind, line in self._sums.items()}
        _add(sums, _between(ask, settled, last))
        return sums


def _last(ask: Ask) -> int:
    ((last,),) = ask("SELECT COALESCE(MAX(entry_id), 0) FROM points.ledger_entry")
    return int(str(last))


def _between(ask: Ask, after: int, last: int) -> Sequence[tuple[object, ...]]:
    if last <= after:
        return ()
    return ask(
        "SELECT kind, COUNT(*), SUM(ABS(amount)) FROM points.ledger_entry"  # noqa: S608 - numbers of our own
        f" WHERE entry_id > {after} AND entry_id <= {last} GROUP BY kind"
    )


def _add(sums: dict[str, Line], rows: Sequence[tuple[object, ...]]) -> None:
    for kind, entries, points in rows:
        line = sums.setdefault(str(kind), Line())
        line.entries += int(str(entries))
        line.points += int(str(points))
