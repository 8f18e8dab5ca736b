"""What the background work reads and deletes."""

from datetime import date, datetime
from typing import Any

import msgspec
from asyncmy.connection import Connection
from asyncmy.errors import MySQLError

from point_service.mysql.store.execution import run

STRIPES = 64
# Oldest first, by the index on (live, expires_at), which ends in the grant's id; a member may come up more than once.
# A stripe is each 64th hundred of ids, which lie together; the index alone tells.
DUE = (
    "SELECT member_id, expires_at, grant_id FROM point_ledger FORCE INDEX (point_ledger_due)"
    " WHERE live = 1 AND expires_at <= UTC_TIMESTAMP(6){stripe}{after} ORDER BY expires_at, grant_id LIMIT %s"
)
STRIPE = f" AND MOD(grant_id DIV 100, {STRIPES}) = %s"
AFTER = " AND (expires_at > %s OR (expires_at = %s AND grant_id > %s))"
OLD = "WHERE created_at < UTC_TIMESTAMP(6) - INTERVAL %s HOUR ORDER BY created_at LIMIT %s"
FORGET_OPEN = f"DELETE FROM idempotency {OLD}"  # noqa: S608 - constants
FORGET_CLOSED = f"DELETE FROM idempotency_closed {OLD}"  # noqa: S608 - constants

PARTITIONS = 34  # of `stored_answer`, by the number of the day
AHEAD = 2  # days from today on whose partitions are left alone: a statement may be late
TRUNCATING = "CONCAT('point-answers-', LEFT(SHA2(DATABASE(), 256), 32))"
# Everybody waits behind a change of the table that waits itself: so it gives up soon.
TRY_TRUNCATING = f"SELECT GET_LOCK({TRUNCATING}, 0)"
GIVE_UP_SOON = "SET SESSION lock_wait_timeout = 1"
DONE_TRUNCATING = (f"DO RELEASE_LOCK({TRUNCATING})", "SET SESSION lock_wait_timeout = DEFAULT")
OLD_DAY = (
    "SELECT day, UTC_DATE() FROM stored_answer FORCE INDEX (PRIMARY)"
    " WHERE day > %s AND day < UTC_DATE() - INTERVAL %s DAY ORDER BY day LIMIT 1"
)


class Due(msgspec.Struct, frozen=True):
    """A grant that is due to expire; `expires_at` as the database has it, UTC without a zone."""

    member_id: str
    expires_at: datetime
    grant_id: int


async def due(
    connection: Connection, limit: int, stripe: int | None = None, after: Due | None = None
) -> list[Due]:
    """Return up to `limit` grants that are due, of one stripe (0 to `STRIPES` - 1) or of all, those behind `after`.

    Locks nothing.
    """
    values: list[Any] = [] if stripe is None else [stripe]
    if after is not None:
        values += [after.expires_at, after.expires_at, after.grant_id]
    statement = DUE.format(stripe="" if stripe is None else STRIPE, after="" if after is None else AFTER)
    [result] = await run(connection, [statement], [*values, limit], patience=None)
    return [Due(*row) for row in result.rows]


async def forget_answers(connection: Connection, closed: bool, hours: int, limit: int) -> int:
    """Delete up to `limit` answers older than `hours` from the table by member, which is `closed` or not yet; return
    how many went."""
    statement = FORGET_CLOSED if closed else FORGET_OPEN
    [result] = await run(connection, [statement], [hours, limit], patience=None)
    return result.affected


async def forget_day(connection: Connection, days: int) -> date | None:
    """Empty the partition of one day that is more than `days` before today; return that day, None without one.

    Somebody else who is at it is let go on alone. Raises MySQLError (1205) when the table is in use for too long.
    """
    [taken] = await run(connection, [TRY_TRUNCATING], [])
    if taken.rows[0][0] != 1:
        return None
    try:
        gone = await _empty(connection, days)
    except MySQLError:
        await run(connection, DONE_TRUNCATING, [])
        raise
    await run(connection, DONE_TRUNCATING, [])
    return gone


async def _empty(connection: Connection, days: int) -> date | None:
    await run(connection, [GIVE_UP_SOON], [])
    after = date.min
    while True:
        [result] = await run(connection, [OLD_DAY], [after, days], patience=None)
        if not result.rows:
            return None
        after, today = result.rows[0]
        wanted = {_partition(today, number) for number in range(-days, AHEAD + 1)}
        if _partition(after) not in wanted:
            statement = f"ALTER TABLE stored_answer TRUNCATE PARTITION p{_partition(after)}"
            await run(connection, [statement], [], patience=None)
            return after


def _partition(day: date, later: int = 0) -> int:
    """Return the partition of a day, or of one so many days later, as the server counts (TO_DAYS)."""
    return (day.toordinal() + 365 + later) % PARTITIONS
