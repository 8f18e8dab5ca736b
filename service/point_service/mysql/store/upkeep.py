"""What the background work reads and deletes."""

from datetime import datetime

import msgspec
from asyncmy.connection import Connection

from point_service.mysql.store.execution import run

# Oldest first, by the index on (live, expires_at), which ends in the grant's id; a member may come up more than once.
DUE = (
    "SELECT member_id, expires_at, grant_id FROM point_ledger WHERE live = 1 AND expires_at <= UTC_TIMESTAMP(6)"
    "{after} ORDER BY expires_at, grant_id LIMIT %s"
)
AFTER = " AND expires_at >= %s AND (expires_at > %s OR grant_id > %s)"
FORGET_ANSWERS = (
    "DELETE FROM idempotency WHERE created_at < UTC_TIMESTAMP(6) - INTERVAL %s HOUR"
    " ORDER BY created_at LIMIT %s"
)


class Due(msgspec.Struct, frozen=True):
    """A grant that is due to expire; `expires_at` as the database has it, UTC without a zone."""

    member_id: str
    expires_at: datetime
    grant_id: int


async def due(connection: Connection, limit: int, after: Due | None) -> list[Due]:
    """Return up to `limit` grants that are due, those behind `after`, without locking anything."""
    values = [] if after is None else [after.expires_at, after.expires_at, after.grant_id]
    statement = DUE.format(after="" if after is None else AFTER)
    [result] = await run(connection, [statement], [*values, limit], patience=None)
    return [Due(*row) for row in result.rows]


async def forget_answers(connection: Connection, hours: int, limit: int) -> int:
    """Delete up to `limit` answers older than `hours`; return how many went."""
    [result] = await run(connection, [FORGET_ANSWERS], [hours, limit], patience=None)
    return result.affected
