"""What the background work reads and deletes."""

from datetime import datetime
from typing import Any

import msgspec
from asyncmy.connection import Connection

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
FORGET_ANSWERS = (
    "DELETE FROM {} WHERE created_at < UTC_TIMESTAMP(6) - INTERVAL %s HOUR ORDER BY created_at LIMIT %s"
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


async def forget_answers(connection: Connection, table: str, hours: int, limit: int) -> int:
    """Delete up to `limit` answers older than `hours` from a table of answers by member; return how many went."""
    [result] = await run(connection, [FORGET_ANSWERS.format(table)], [hours, limit], patience=None)
    return result.affected
