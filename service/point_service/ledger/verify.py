"""`point-service verify`: every invariant of the whole ledger, in bounded memory, while the service runs."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from point_service.mysql.database import Database
from point_service.mysql.store import audit
from point_service.mysql.store.execution import Row

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 1_000


class Finding(msgspec.Struct, frozen=True):
    """One invariant that does not hold, and where."""

    invariant: str
    where: str


class Report(msgspec.Struct):
    """How many rows were looked at, and how many findings there were."""

    checked: int = 0
    findings: int = 0


async def verify(database: Database, tell: Callable[[Finding], None]) -> Report:
    """Check everything, telling each finding as it is found. Raises Unavailable."""
    report = Report()
    checks: tuple[tuple[str, str | int, Callable[[Row], Iterator[Finding]]], ...] = (
        (audit.MEMBERS, "", _member),
        (audit.GRANTS, 0, _grant),
        (audit.USES, 0, _use),
    )
    for question, first, check in checks:
        async for row in _rows(database, question, first):
            report.checked += 1
            for finding in check(row):
                report.findings += 1
                tell(finding)
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


async def _rows(database: Database, question: str, first: str | int) -> AsyncGenerator[Row]:
    after = first
    while rows := await database.read(
        lambda connection, after=after: audit.page(connection, question, after, ROWS_AT_ONCE)
    ):
        for row in rows:
            yield row
        after = rows[-1][0]


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


def _grant(row: Row) -> Iterator[Finding]:
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


def _use(row: Row) -> Iterator[Finding]:
    entry, member, order, used, given_back, strange = row
    where = f"entry {entry}: order {order} of member {member}"
    if given_back > used:
        yield Finding(f"{given_back} points were given back of {used} used", where)
    if strange:
        yield Finding(f"{strange} entries that give back belong to another order or member", where)
