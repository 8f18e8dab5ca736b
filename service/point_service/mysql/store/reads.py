"""What is only read, each with one statement and so one snapshot, or in pages."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from asyncmy.connection import Connection

from point_service.domain.entries import EVERY_ENTRY, Filter
from point_service.domain.orders import OrderPart
from point_service.mysql.store.execution import Row, naive, run
from point_service.mysql.store.questions import ARCHIVED_PARTS, EVERY_ROW, ONE_ORDER, ORDER_PARTS, order_part

# Points past their expiry don't count, entry or no entry. Asia/Seoul is UTC+9 all year; its days are whole ones.
DUE_SUM = (
    "SELECT SUM(g.remaining) FROM point_ledger g FORCE INDEX (point_ledger_member_due)"
    " WHERE g.member_id = m.member_id AND g.live = 1 AND g.expires_at <= UTC_TIMESTAMP(6)"
)
BALANCE = (
    f"SELECT CAST(NULL AS DATE) AS expires_on, m.balance - COALESCE(({DUE_SUM}), 0) AS points"  # noqa: S608 - constants
    " FROM member_point m WHERE m.member_id = %s"
    " UNION ALL SELECT DATE(expires_at + INTERVAL 9 HOUR) AS expires_on, SUM(remaining)"
    " FROM point_ledger FORCE INDEX (point_ledger_member_due)"
    " WHERE member_id = %s AND live = 1 AND expires_at > UTC_TIMESTAMP(6) AND expires_at <"
    " DATE(UTC_TIMESTAMP() + INTERVAL 9 HOUR) + INTERVAL %s DAY - INTERVAL 9 HOUR"
    " GROUP BY expires_on"
)
STATE = (
    "SELECT g.grant_id, g.kind, g.amount, CASE WHEN g.expires_at > UTC_TIMESTAMP(6) THEN g.remaining ELSE 0 END,"
    " g.expires_at, g.expires_at <= UTC_TIMESTAMP(6), g.source_grant_id, g.reason, g.created_at"
)
# The optimizer would rather go through everybody's rows in the order of their ids, hoping to meet one's own soon.
GRANTS = (
    f"{STATE} FROM point_ledger g FORCE INDEX (point_ledger_member_grant)"
    " WHERE g.member_id = %s AND g.grant_id < %s ORDER BY g.grant_id DESC LIMIT %s"
)
# By an index that has what can be spent and nothing of what was: of the grants that don't come onto the page it reads
# the index alone.
LIVE_GRANTS = (
    f"{STATE} FROM (SELECT grant_id FROM point_ledger FORCE INDEX (point_ledger_member_due)"  # noqa: S608 - constants
    " WHERE member_id = %s AND grant_id < %s AND live = 1 AND expires_at > UTC_TIMESTAMP(6)"
    " ORDER BY grant_id DESC LIMIT %s) page STRAIGHT_JOIN point_ledger g ON g.grant_id = page.grant_id"
    " WHERE g.member_id = %s ORDER BY g.grant_id DESC"
)
# One statement and so one snapshot: what is archived meanwhile is seen once.
TRACE = f"({ORDER_PARTS.format(ONE_ORDER)}) UNION ALL ({ARCHIVED_PARTS.format(ONE_ORDER)})"
ENTRIES = (
    "SELECT entry_id, kind, amount, grant_id, order_id, created_at"
    " FROM ledger_entry FORCE INDEX (ledger_entry_member)"
    " WHERE member_id = %s AND entry_id < %s ORDER BY entry_id DESC LIMIT %s"
)
# No index has an entry's kind or moment, so a filter is held against the entries themselves, newest first. It looks at
# LOOKED of them for a page, or till the page is full: where that ends is found in the index alone.
LOOKED = 1_000
END_OF_LOOK = (
    "SELECT entry_id, created_at FROM ledger_entry FORCE INDEX (ledger_entry_member)"
    " WHERE member_id = %s AND entry_id = (SELECT entry_id FROM ledger_entry FORCE INDEX (ledger_entry_member)"
    " WHERE member_id = %s AND entry_id < %s ORDER BY entry_id DESC LIMIT 1 OFFSET %s)"
)
FILTERED_ENTRIES = (
    "SELECT entry_id, kind, amount, grant_id, order_id, created_at"
    " FROM ledger_entry FORCE INDEX (ledger_entry_member)"
    " WHERE member_id = %s AND entry_id < %s AND entry_id >= %s"
    " AND created_at >= %s AND created_at < %s AND FIND_IN_SET(kind, %s) ORDER BY entry_id DESC LIMIT %s"
)
# A member's moments rise with its ids: the writer's clock gives them, no pod's, under the member's lock. But that clock
# may be set back, and after a failover it is another server's. So every entry that is looked at is held against both
# borders, and a look ends for good only below an entry older than `since` by what no clock should be wrong.
ASTRAY = timedelta(hours=1)
# Aurora's readers, a writer that was demoted among them, have the second one only.
SCHEMA_VERSION = "SELECT version_num, @@global.read_only OR @@global.innodb_read_only FROM alembic_version"


async def balance(connection: Connection, member_id: str, days: int) -> tuple[int, list[tuple[str, int]]]:
    """Return the points that can be spent, and those of them that expire by the end of the day in `days` days, by
    the day (Asia/Seoul, ISO). It looks at no grant that expires later."""
    rows = await _read(connection, BALANCE, member_id, member_id, days + 1)
    by_day = {day: int(points) for day, points in rows}
    points = by_day.pop(None, 0)  # a member never seen has none
    return points, [(day.isoformat(), by_day[day]) for day in sorted(by_day)]


async def order_parts(connection: Connection, member_id: str, order_id: str) -> list[OrderPart]:
    """Return what a member's order took from which grants, archived or not, in the order in which it was taken."""
    rows = await _read(connection, TRACE, member_id, order_id, EVERY_ROW, member_id, order_id)
    return [order_part(row[1:]) for row in sorted(rows)]


async def grants(
    connection: Connection, member_id: str, before: int, limit: int, only_live: bool
) -> Sequence[Row]:
    """Return the newest grants with an id below `before`: id, kind, amount, what is left, expiry, expired,
    source, reason, moment of the grant."""
    if only_live:
        return await _read(connection, LIVE_GRANTS, member_id, before, limit, member_id)
    return await _read(connection, GRANTS, member_id, before, limit)


async def entries(
    connection: Connection, member_id: str, before: int, limit: int, wanted: Filter
) -> tuple[Sequence[Row], int | None]:
    """Return the newest entries with an id below `before` that are wanted: id, kind, amount, grant, order, moment.

    And the id below which to look on, None when there is nothing more.
    """
    if wanted == EVERY_ENTRY:
        rows, end = await _read(connection, ENTRIES, member_id, before, limit + 1), None
    else:
        # Entries that come between the two statements are newer: the second one looks at them, too.
        ends = await _read(connection, END_OF_LOOK, member_id, member_id, before, LOOKED - 1)
        end, reached = ends[0] if ends else (None, None)
        since, until = naive(wanted.since), naive(wanted.until)
        values = [before, end or 0, since, until, ",".join(wanted.kinds), limit + 1]
        rows = await _read(connection, FILTERED_ENTRIES, member_id, *values)
        if reached is not None and since - reached > ASTRAY:
            end = None
    return rows[:limit], rows[limit - 1][0] if len(rows) > limit else end


async def schema_version(connection: Connection) -> tuple[str | None, bool]:
    """Return the schema's revision (None when there is none) and whether the server is read-only."""
    rows = await _read(connection, SCHEMA_VERSION)
    return (rows[0][0], bool(rows[0][1])) if rows else (None, False)


async def _read(connection: Connection, statement: str, *parameters: Any) -> Sequence[Row]:
    [result] = await run(connection, [statement], parameters)
    return result.rows
