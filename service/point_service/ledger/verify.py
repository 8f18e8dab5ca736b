"""`point-service verify`: every invariant of the whole ledger, in bounded memory, while the service runs."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from point_service.mysql.database import Database
from point_service.mysql.store import audit
from point_service.mysql.store.execution import Row

ROWS_AT_ONCE = 1_000


class Finding(msgspec.Struct, frozen=True):
    """One invariant that does not hold, and where."""

    invariant: str
    where: str


class Report(msgspec.Struct):
    """How many rows were looked at, how many of them in the archive, and how many findings there were."""

    checked: int = 0
    archived: int = 0
    findings: int = 0


class Place(NamedTuple):
    """How far a check has come: the part, and the key of the last row of it that was looked at."""

    part: str
    after: str | int

    def __str__(self) -> str:
        return f"{self.part}:{self.after}"


def place_of(text: str) -> Place:
    """Return the place that is written so. Raises ValueError."""
    part, colon, after = text.partition(":")
    if not colon or part not in _PARTS:
        raise ValueError(f"{text!r} is not a place like members:m-1, grants:17 or uses:17")
    if isinstance(_PARTS[part][1], str):
        return Place(part, after)
    if not (after.isascii() and after.isdecimal() and len(after) < 20):
        raise ValueError(f"{text!r} is not a place: {after!r} is no number of up to 19 digits")
    return Place(part, int(after))


async def verify(
    database: Database,
    tell: Callable[[Finding], None],
    start: Place | None = None,
    passed: Callable[[Place, Report], None] | None = None,
) -> Report:
    """Check everything, or what is behind `start`, telling each finding as it is found. Raises Unavailable.

    Each page of rows is one statement and so one snapshot: what is written meanwhile, or reaches a reader late, is in
    all of it or in none of it. `passed` is told of each page.
    """
    report = Report()
    parts = list(_PARTS)
    for part in parts if start is None else parts[parts.index(start.part) :]:
        question, first, check = _PARTS[part]
        after = first if start is None or start.part != part else start.after
        while rows := await database.read(
            lambda connection, question=question, after=after: audit.page(
                connection, question, after, ROWS_AT_ONCE
            )
        ):
            for row in rows:
                report.checked += 1
                report.archived += part.startswith("archived")
                for finding in check(row):
                    report.findings += 1
                    tell(finding)
            after = rows[-1][0]
            if passed is not None:
                passed(Place(part, after), report)
    return report


def write_metrics(report: Report, path: Path) -> None:
    """Leave the result for Prometheus' textfile collector."""
    registry = CollectorRegistry()
    Gauge("point_verify_findings", "Broken invariants of the last check", registry=registry).set(
        report.findings
    )
    Gauge("point_verify_rows", "Rows of the last check", registry=registry).set(report.checked)
    finished = Gauge("point_verify_finished_timestamp_seconds", "When it ended", registry=registry)
    finished.set_to_current_time()
    write_to_textfile(str(path), registry)


def _member(row: Row) -> Iterator[Finding]:
    member, balance, entries, remaining = row
    where = f"member {member}"
    if balance != entries:
        yield Finding(f"the balance {balance} is not the sum of the entries {entries}", where)
    if balance != remaining:
        yield Finding(
            f"the balance {balance} is not the sum of what is left of the grants {remaining}", where
        )
    if balance < 0:
        yield Finding(f"the balance {balance} is below zero", where)


def _grant(row: Sequence[Any]) -> Iterator[Finding]:
    grant, member, amount, remaining, entries, granted, early = row
    where = f"grant {grant} of member {member}"
    if remaining != entries:
        yield Finding(f"what is left, {remaining}, is not the sum of the entries {entries}", where)
    if not 0 <= remaining <= amount:
        yield Finding(f"what is left, {remaining}, is not within 0 and the {amount} granted", where)
    if granted != amount:
        yield Finding(f"the entry of the grant says {granted}, the grant {amount}", where)
    if early:
        yield Finding("its points expired before their time", where)


def _archived_grant(row: Row) -> Iterator[Finding]:
    *before, live, entries_live, strange = row
    yield from _grant(before)
    where = f"archived grant {row[0]} of member {row[1]}"
    if row[3]:
        yield Finding(f"{row[3]} points are left of it", where)
    if live:
        yield Finding("it is live, too", where)
    if entries_live:
        yield Finding(f"{entries_live} of its entries are live, too", where)
    if strange:
        yield Finding(f"{strange} of its entries are another's or give back what is not archived", where)


def _use(row: Row) -> Iterator[Finding]:
    entry, member, order, used, given_back, strange = row
    where = f"entry {entry}: order {order} of member {member}"
    if given_back > used:
        yield Finding(f"{given_back} points were given back of {used} used", where)
    if strange:
        yield Finding(f"{strange} entries that give back belong to another order or member", where)


_PARTS: dict[str, tuple[str, str | int, Callable[[Row], Iterator[Finding]]]] = {
    "members": (audit.MEMBERS, "", _member),
    "grants": (audit.GRANTS, 0, _grant),
    "uses": (audit.USES, 0, _use),
    "archived-grants": (audit.ARCHIVED_GRANTS, 0, _archived_grant),
    "archived-uses": (audit.ARCHIVED_USES, 0, _use),
}
"""The parts of a check, in their order: the question, the key before the first one's, and what must hold of a row."""
