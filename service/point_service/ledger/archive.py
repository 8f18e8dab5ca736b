"""`point-service archive`: closed grants and their entries leave the live tables, while the service runs."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import msgspec
from asyncmy.connection import Connection

from point_service.contract.errors import MemberBusy, Unavailable
from point_service.mysql.database import Database
from point_service.mysql.store import archive as store
from point_service.mysql.store.archive import Family
from point_service.mysql.store.execution import rollback
from point_service.telemetry import logs

log = logging.getLogger(__name__)

GRANTS_AT_ONCE = 1_000  # in a page that is looked at
ATTEMPTS, PAUSE = 20, 0.05  # at a member in other hands; seconds
LIMIT = 60.0  # seconds for each transaction and read, reruns included


class Report(msgspec.Struct):
    """What a run has done: grants and entries that moved, closed families that are too large for a transaction, and
    members that were left because somebody had them (`busy`) or because it failed."""

    grants: int = 0
    entries: int = 0
    large: int = 0
    busy: int = 0
    failed: int = 0


async def archive(
    database: Database, days: int, batch: int, passed: Callable[[int, int, Report], None] | None = None
) -> Report:
    """Move what was closed more than `days` days ago, up to `batch` rows a transaction, each of one member.

    May be stopped at any point and run again: a transaction moves whole families of grants, or nothing. `passed` is
    told of each page: the last grant's id that was looked at, the last that there is, and the report so far. Raises
    Unavailable.
    """
    before, last = await database.read(lambda connection: store.limits(connection, days))
    report = Report()
    after: int | None = 0
    while after is not None:
        heads, after = await database.read(
            lambda connection, after=after: store.page(connection, before, after, GRANTS_AT_ONCE)
        )
        for member_id, mine in heads.items():
            await _archive_member(database, member_id, mine, before, batch, report)
        if after is not None and passed is not None:
            passed(after, last, report)
    return report


async def _archive_member(
    database: Database, member_id: str, heads: list[int], before: datetime, batch: int, report: Report
) -> None:
    """Move what goes of the families of a member's grants; count a member that has to be left."""
    # Looked at without the lock first: most that is closed has moved long ago or has to wait for its family.
    found = await database.read(lambda connection: store.families(connection, member_id, heads, before))
    closed = {head: family for head, family in found.items() if family.goes}
    small = {head: family for head, family in closed.items() if family.rows <= batch}
    report.large += len(closed) - len(small)
    try:
        for some in _transactions(small, batch):
            moved = await _move(database, member_id, some, before)
            if moved is None:
                report.busy += 1
                return
            report.grants += moved[0]
            report.entries += moved[1]
    except Unavailable:
        raise
    except Exception:  # one broken member must not keep the others' history here
        report.failed += 1
        log.exception("a member's history did not move", extra={"member": logs.hashed(member_id)})


async def _move(
    database: Database, member_id: str, heads: list[int], before: datetime
) -> tuple[int, int] | None:
    """Move some families in one transaction; return how many grants and entries, None when others have the member."""

    async def work(connection: Connection) -> tuple[int, int] | None:
        locked = await store.lock(connection, member_id, heads, before)
        moving = {head: family for head, family in (locked or {}).items() if family.goes}
        if not moving:  # somebody has the member, or another run was here
            await rollback(connection)
            return None if locked is None else (0, 0)
        return await store.move(connection, member_id, moving)

    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSE)
        try:
            moved = await database.transact(work)
        except MemberBusy:
            continue
        if moved is not None:
            return moved
    return None


def _transactions(families: Mapping[int, Family], batch: int) -> Iterator[list[int]]:
    """Put families of up to `batch` rows each together into transactions of up to `batch` rows."""
    some: list[int] = []
    rows = 0
    for head, family in families.items():
        if some and rows + family.rows > batch:
            yield some
            some, rows = [], 0
        some.append(head)
        rows += family.rows
    if some:
        yield some
