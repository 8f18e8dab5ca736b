"""What happened, told in lines: what was done from a page, and what changed between two looks."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence

import msgspec

from point_local.console.state import Pod, Zone

KEPT = 300
"""So many lines are kept; the oldest goes."""


ALIKE = {
    "gateway": "gateway pods",
    "service": "service pods",
    "limit": "rate limit pods",
    "operator": "operators",
    "istiod": "istiods",
}
"""Tiers whose pods are told of by their number."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened; `at` in seconds since 1970."""

    number: int
    """One more than that of the line before."""
    at: float
    bad: bool
    text: str


class Timeline:
    """The lines, oldest first. Any thread may tell."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[Line] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)

    def tell(self, text: str, *, bad: bool = False, at: float | None = None) -> None:
        """Add a line, of now unless it says when it was; none is older than the one before it."""
        with self._lock:
            when = time.time() if at is None else at
            last = self._lines[-1].at if self._lines else when
            line = Line(number=next(self._numbers), at=max(when, last), bad=bad, text=text)
            self._lines.append(line)

    def lines(self) -> Sequence[Line]:
        """What is kept."""
        with self._lock:
            return list(self._lines)


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What changes are told of; `at` in seconds since 1970."""

    at: float
    zones: Sequence[Zone]
    pods: Sequence[Pod]
    answers: int | None
    """What the edge answers, None: nothing."""


class Changes:
    """Compares each look with what was known before it, and remembers since when something is missing."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._since: dict[str, float] = {}

    def forget(self) -> None:
        """Nobody looks any more: the next look is a first one."""
        self._known.clear()
        self._since.clear()

    def seen(self, now: Sight) -> list[tuple[str, bool]]:
        """The lines, and whether each is bad; none of what is seen for the first time."""
        changed = [
            (what, old, new) for what, new in facts(now).items() if (old := self._known.get(what, new)) != new
        ]
        self._known |= facts(now)
        return [self._line(what, old, new, now.at) for what, old, new in changed]

    def _line(self, what: str, old: str, new: str, at: float) -> tuple[str, bool]:
        kind, _, name = what.partition(" ")
        match kind:
            case "zone":
                return f"{name} {new}{self._took(what, at, over=new == 'runs')}", new != "runs"
            case "mysql" if new.endswith("silent"):
                writes = new.startswith("writer")
                if writes:
                    self._since.setdefault("writer", at)
                return f"{'writer' if writes else 'copy'} {name} is silent", True
            case "mysql" if _writes(new) and not _writes(old):
                return f"{name} is the writer{self._took('writer', at, over=True)}", False
            case "redis" if new == "silent":
                if old == "primary":
                    self._since.setdefault("primary", at)
                return f"Redis {name}, {old}, is silent", True
            case "redis" if new == "primary":
                return f"{name} is the primary of Redis{self._took('primary', at, over=True)}", False
            case "mysql" | "redis":
                return f"{'MySQL' if kind == 'mysql' else 'Redis'} {name}: {new}", "nobody" in new
            case "leader":
                return f"{new} leads the operators, before {old}", False
            case "edge":
                return f"the edge: {new}{self._took(what, at, over=new == 'answers')}", new != "answers"
            case _:
                return f"{name}: {new} ready, before {old}", int(new) < int(old)

    def _took(self, what: str, at: float, *, over: bool) -> str:
        """How long it was missing, when that is over; else it is noted."""
        if not over:
            self._since.setdefault(what, at)
            return ""
        since = self._since.pop(what, None)
        return "" if since is None else f", {at - since:.1f} s"


def facts(sight: Sight) -> dict[str, str]:
    """What is known by a look, without what did not answer."""
    found = {f"zone {zone.node}": "runs" if zone.runs else "is dark" for zone in sight.zones}
    counts: dict[str, int] = {}
    for pod in sight.pods:
        server, _, rest = pod.name.partition("-")
        if server in ("mysql", "valkey") and pod.role:
            found[f"{'redis' if server == 'valkey' else server} {rest.partition('-')[0]}"] = pod.role
        elif pod.role == "leader":
            found["leader"] = pod.name.rpartition("-")[2]
        if pod.tier in ALIKE:
            counts[pod.tier] = counts.get(pod.tier, 0) + pod.ready
    answers = {200: "answers", None: "no answer"}.get(sight.answers, f"answers {sight.answers}")
    return found | {f"ready {ALIKE[tier]}": str(count) for tier, count in counts.items()} | {"edge": answers}


def _writes(role: str) -> bool:
    return role.startswith("writer") and not role.endswith(("silent", "read-only"))
