"""Who writes: from what is seen of the three copies, what must be done. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from point_local.failover import gtid
from point_local.failover.gtid import GtidSet

SILENCE_SECONDS = 6.0
"""A writer that has not answered for so long is replaced."""
SERVING = ("a", "c")
"""Zones whose copies may write and be read; the third one stands in for storage and serves nobody."""


@dataclass(frozen=True)
class Copy:
    """One copy of the database, as it answered."""

    executed: GtidSet
    received: GtidSet
    writable: bool
    source: str | None
    """The zone it copies from."""
    receiving: bool
    """Whether it is connected, or tries to be, to its source."""
    applying: bool = True
    """Whether it executes what it receives."""
    owned: GtidSet = field(default_factory=dict[str, frozenset[tuple[int, int]]])
    """Commits under way: in the binary log, maybe on another copy, but waiting for an acknowledgement."""

    def has(self, transactions: GtidSet) -> bool:
        return gtid.contains(self.executed, transactions)

    @property
    def applied(self) -> bool:
        """Whether it has executed all that it has received."""
        return self.has(self.received)


@dataclass(frozen=True)
class Action:
    """One thing to do to the copy in `zone`."""

    zone: str


@dataclass(frozen=True)
class MakeWriter(Action):
    """Stop copying, and accept writes."""


@dataclass(frozen=True)
class Promote(Action):
    """Record it as the writer; it is made so after that, also by a controller that starts anew in between."""


@dataclass(frozen=True)
class Apply(Action):
    """Execute what it has received; a server that was restarted does so only when told."""


@dataclass(frozen=True)
class Freeze(Action):
    """Stop receiving from the silent writer, which then can't get another commit acknowledged."""


@dataclass(frozen=True)
class Follow(Action):
    """Copy from the copy in `source`."""

    source: str


@dataclass(frozen=True)
class Fence(Action):
    """It believes to be the writer and is not: end it before it learns otherwise; it starts read-only."""


@dataclass(frozen=True)
class Rebuild(Action):
    """It has transactions that nobody was told of: replace its data by a clone of the writer's."""


def decide(writer: str, copies: Mapping[str, Copy | None], silent_seconds: float) -> list[Action]:
    """What to do now. A copy that does not answer is None; `silent_seconds` is how long the writer has not.

    The writer is only replaced while both other copies answer: a commit was acknowledged by one of them, and
    with one of them away nobody can tell whether it was that one.
    """
    others = {z: c for z, c in copies.items() if z != writer}
    now = copies[writer]
    if now is not None and not now.writable and _lacks_what_it_had(writer, now, others):
        now, silent_seconds = None, SILENCE_SECONDS  # its data is gone: it is no writer any more
    fences: list[Action] = [Fence(z) for z, c in others.items() if c is not None and c.writable]
    if now is not None:
        actions: list[Action] = [*fences]
        if not now.writable and not fences:
            actions.append(MakeWriter(writer))
        return [*actions, *_join(writer, now, others)]
    if silent_seconds < SILENCE_SECONDS or fences:
        return fences
    present = {z: c for z, c in others.items() if c is not None}
    if len(present) < len(others):
        return []
    return _replace(writer, present)


def reader(writer: str, copies: Mapping[str, Copy | None]) -> str:
    """The zone to read from: the other serving copy while it copies from the writer, else the writer itself."""
    for zone in SERVING:
        copy = copies.get(zone)
        if zone != writer and copy is not None and copy.source == writer and copy.receiving:
            return zone
    return writer


def _lacks_what_it_had(writer: str, now: Copy, others: Mapping[str, Copy | None]) -> bool:
    """Whether somebody has from this writer what the writer itself no longer has."""
    copied = [c for c in others.values() if c is not None and c.source == writer]
    return not all(now.has(c.executed) and now.has(c.received) for c in copied)


def _join(writer: str, now: Copy, others: Mapping[str, Copy | None]) -> list[Action]:
    actions: list[Action] = []
    for zone, copy in others.items():
        if copy is None or copy.writable:
            continue
        if copy.source == writer and copy.receiving:
            if not copy.applying:
                actions.append(Apply(zone))
            continue
        known = gtid.contains(gtid.union(now.executed, now.owned), copy.executed)
        actions.append(Follow(zone, writer) if known else Rebuild(zone))
    # Never both copies at once: the one that is not being rebuilt may be the only one that acknowledges.
    rebuilds = [a for a in actions if isinstance(a, Rebuild)]
    return [a for a in actions if a not in rebuilds[1:]]


def _replace(writer: str, present: Mapping[str, Copy]) -> list[Action]:
    frozen: list[Action] = [Freeze(z) for z, c in present.items() if c.receiving and c.source == writer]
    if frozen:
        return frozen
    behind: list[Action] = [Apply(z) for z, c in present.items() if not c.applied]
    if behind:
        return behind
    best = next(z for z in SERVING if z in present)
    for zone, copy in present.items():
        if not present[best].has(copy.executed):
            # The other copy has more: get it from there first. Following it is not being frozen to the writer.
            return [] if present[best].source == zone and present[best].receiving else [Follow(best, zone)]
    return [Promote(best)]
