"""What `liability` reads: sums of everybody's rows, so many of them at a time, all of one moment."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from asyncmy.connection import Connection

from point_service.mysql.store.execution import BE_PATIENT, Row, run

# One snapshot for all the pages. It locks nothing; what it costs is the old versions of the rows that change meanwhile,
# which the server keeps until it ends (Aurora's writer keeps those for a reader, too). That is a few minutes of changes
# even of a large ledger: the pages follow each other without a pause, and each row is read once.
SNAPSHOT = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
MOMENT = (
    "SELECT UTC_TIMESTAMP(6), (SELECT COALESCE(MAX(grant_id), 0) FROM point_ledger),"
    " (SELECT COALESCE(MAX(entry_id), 0) FROM ledger_entry),"
    " (SELECT COALESCE(MAX(entry_id), 0) FROM archived_entry)"
)
# Asia/Seoul is UTC+9 all year. 0 is what is past its expiry.
OUTSTANDING = (
    "SELECT page.kind, IF(page.expires_at <= %s, 0, EXTRACT(YEAR_MONTH FROM page.expires_at + INTERVAL 9 HOUR))"
    " AS expires_in, SUM(page.remaining), MAX(page.grant_id)"
    " FROM (SELECT grant_id, kind, expires_at, remaining FROM point_ledger"
    " WHERE grant_id > %s ORDER BY grant_id LIMIT %s) page GROUP BY page.kind, expires_in"
)
# What is given back belongs to the grant that the use took it from, unless it was granted anew. The time is 0 before
# the first border, 1 between the two, 2 from the second one on.
ENTRIES = (
    "SELECT page.kind, COALESCE(page.kind = 'CANCEL_USE' AND u.grant_id <> page.grant_id, 0) AS anew,"
    " CASE WHEN page.created_at < %s THEN 0 WHEN page.created_at < %s THEN 1 ELSE 2 END AS at_time,"
    " SUM(page.amount), MAX(page.entry_id)"
    " FROM (SELECT entry_id, grant_id, kind, amount, reversed_entry_id, created_at FROM ledger_entry"
    " WHERE entry_id > %s ORDER BY entry_id LIMIT %s) page"
    " LEFT JOIN ledger_entry u ON u.entry_id = page.reversed_entry_id GROUP BY page.kind, anew, at_time"
)
# A grant is archived with all its entries, so they sum to 0; but not those of a time.
ARCHIVED_ENTRIES = ENTRIES.replace("ledger_entry", "archived_entry")
BALANCES = (
    "SELECT MAX(page.member_id), SUM(page.balance) FROM (SELECT member_id, balance FROM member_point"
    " WHERE member_id > %s ORDER BY member_id LIMIT %s) page"
)


async def begin(connection: Connection) -> tuple[datetime, int, int, int]:
    """Begin the snapshot; return its moment (UTC, naive) and the last ids of grants, entries and archived entries, 0
    where none is."""
    *_, result = await run(connection, [*SNAPSHOT, MOMENT], [], patience=None)
    moment, *last = result.rows[0]
    grants, entries, archived = (int(number) for number in last)
    return moment, grants, entries, archived


async def end(connection: Connection) -> None:
    """End the snapshot."""
    await run(connection, ["COMMIT", BE_PATIENT], [])


async def outstanding(connection: Connection, moment: datetime, after: int, limit: int) -> Sequence[Row]:
    """Return what is left of up to `limit` grants with ids above `after`: kind, month of expiry, points, last id.

    The month is a number like 202612, 0 where the expiry is past at `moment`.
    """
    return await _read(connection, OUTSTANDING, moment, after, limit)


async def entries(
    connection: Connection, borders: tuple[datetime, datetime], after: int, limit: int, archived: bool
) -> Sequence[Row]:
    """Return the sums of up to `limit` entries, live or `archived`, with ids above `after`: kind, granted anew, time,
    points, last id."""
    return await _read(connection, ARCHIVED_ENTRIES if archived else ENTRIES, *borders, after, limit)


async def balances(connection: Connection, after: str, limit: int) -> tuple[str | None, int]:
    """Return the last of up to `limit` members behind `after`, None when there is none, and their balances' sum."""
    [(last, points)] = await _read(connection, BALANCES, after, limit)
    return last, int(points or 0)


async def _read(connection: Connection, statement: str, *parameters: Any) -> Sequence[Row]:
    [result] = await run(connection, [statement], parameters, patience=None)
    return result.rows
