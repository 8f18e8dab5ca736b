"""What the background work reads and deletes."""

from asyncmy.connection import Connection

from point_service.mysql.store.execution import run

# Oldest first, by the index on (live, expires_at); a member may come up more than once.
DUE_MEMBERS = (
    "SELECT member_id FROM point_ledger WHERE live = 1 AND expires_at <= UTC_TIMESTAMP(6)"
    " ORDER BY expires_at LIMIT %s"
)
FORGET_ANSWERS = (
    "DELETE FROM idempotency WHERE created_at < UTC_TIMESTAMP(6) - INTERVAL %s HOUR"
    " ORDER BY created_at LIMIT %s"
)


async def due_members(connection: Connection, limit: int) -> list[str]:
    """Return members with grants that are due, without locking anything; each once."""
    [result] = await run(connection, [DUE_MEMBERS], [limit])
    return list(dict.fromkeys(row[0] for row in result.rows))


async def forget_answers(connection: Connection, hours: int, limit: int) -> int:
    """Delete up to `limit` answers older than `hours`; return how many went."""
    [result] = await run(connection, [FORGET_ANSWERS], [hours, limit])
    return result.affected
