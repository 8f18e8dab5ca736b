"""Sets of MySQL's global transaction identifiers: which copy of the database has more."""

from collections.abc import Mapping

GtidSet = Mapping[str, frozenset[tuple[int, int]]]
"""Per server, the intervals of its transactions, both ends included."""


def parse(text: str) -> GtidSet:
    """Read `uuid:1-5:7,uuid:1-3` as MySQL prints it (line breaks allowed)."""
    found: dict[str, frozenset[tuple[int, int]]] = {}
    for part in text.replace("\n", "").split(","):
        if part.strip():
            server, *intervals = part.strip().split(":")
            # gtid_owned names the thread behind each number: 11#45
            found[server] = frozenset(_interval(i.split("#")[0]) for i in intervals)
    return found


def contains(larger: GtidSet, smaller: GtidSet) -> bool:
    """Whether every transaction of `smaller` is in `larger`."""
    return all(
        any(first <= start and end <= last for first, last in larger.get(server, frozenset()))
        for server, intervals in smaller.items()
        for start, end in intervals
    )


def union(one: GtidSet, other: GtidSet) -> GtidSet:
    """Every transaction of either; neighbouring intervals become one."""
    merged: dict[str, frozenset[tuple[int, int]]] = {}
    for server in {*one, *other}:
        intervals: list[tuple[int, int]] = []
        for start, end in sorted(one.get(server, frozenset()) | other.get(server, frozenset())):
            if intervals and start <= intervals[-1][1] + 1:
                intervals[-1] = (intervals[-1][0], max(intervals[-1][1], end))
            else:
                intervals.append((start, end))
        merged[server] = frozenset(intervals)
    return merged


def _interval(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)
