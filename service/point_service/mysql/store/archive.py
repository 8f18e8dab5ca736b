"""What moves closed grants and their entries into the archive, of one member at a time.

A grant goes together with those that were granted anew in its place, and those in theirs: its family. So a use, which
is an entry of the grant that it took from, and whatever gave points of it back are always on one side, and how much of
it was given back is counted there alone.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
from asyncmy.connection import Connection

from point_service.mysql.store.execution import BE_PATIENT, run
from point_service.mysql.store.member import BEGIN, IF_FREE, LOCK_MEMBERS
from point_service.mysql.store.questions import TAKE_MOMENT

LIMITS = "SELECT UTC_TIMESTAMP(6) - INTERVAL %s DAY, (SELECT COALESCE(MAX(grant_id), 0) FROM point_ledger)"
# Of everybody, in the order of their ids: which of the next grants may head a family that goes, and which are old.
PAGE = (
    "SELECT grant_id, member_id, remaining = 0 AND source_grant_id IS NULL AND created_at < %s, created_at < %s"
    " FROM point_ledger WHERE grant_id > %s ORDER BY grant_id LIMIT %s"
)
FAMILIES = (
    "WITH RECURSIVE family (head, grant_id, remaining) AS ("
    "SELECT g.grant_id, g.grant_id, g.remaining FROM point_ledger g"
    " WHERE g.member_id = %s AND g.grant_id IN ({places}) AND g.source_grant_id IS NULL"
    " UNION ALL SELECT f.head, g.grant_id, g.remaining FROM family f"
    " STRAIGHT_JOIN point_ledger g FORCE INDEX (point_ledger_source) ON g.source_grant_id = f.grant_id"
    " WHERE g.member_id = %s)"
    " SELECT f.head, f.grant_id, COUNT(*), f.remaining = 0 AND MAX(e.created_at) < %s FROM family f"
    " STRAIGHT_JOIN ledger_entry e FORCE INDEX (ledger_entry_grant) ON e.grant_id = f.grant_id"
    " WHERE e.member_id = %s GROUP BY f.head, f.grant_id, f.remaining"
)
OF_GRANTS = "WHERE member_id = %s AND grant_id IN ({places})"
GRANT_COLUMNS = (
    "grant_id, member_id, kind, amount, remaining, expires_at, source_grant_id, reason, created_at"
)
ENTRY_COLUMNS = (
    "entry_id, member_id, grant_id, kind, amount, order_id, position, reversed_entry_id, created_at"
)
ADD_GRANTS = (
    f"INSERT INTO archived_grant ({GRANT_COLUMNS}) SELECT {GRANT_COLUMNS} FROM point_ledger {OF_GRANTS}"  # noqa: S608 - constants
)
ADD_ENTRIES = (
    f"INSERT INTO archived_entry ({ENTRY_COLUMNS}) SELECT {ENTRY_COLUMNS} FROM ledger_entry {OF_GRANTS}"  # noqa: S608 - constants
)
# Newest first: what gives points of a use back names the use, and what is granted anew its source.
TAKE_ENTRIES = f"DELETE FROM ledger_entry {OF_GRANTS} ORDER BY entry_id DESC"  # noqa: S608 - constants
TAKE_GRANTS = f"DELETE FROM point_ledger {OF_GRANTS} ORDER BY grant_id DESC"  # noqa: S608 - constants


class Family(msgspec.Struct):
    """A grant and all that was granted anew in its place: their ids, how many entries they have, and whether all of it
    is closed and old."""

    grants: list[int] = []
    entries: int = 0
    goes: bool = True

    @property
    def rows(self) -> int:
        """How many rows move."""
        return len(self.grants) + self.entries


class MiscountError(Exception):
    """As many rows as were counted under the member's lock did not move: the lock did not hold."""


async def limits(connection: Connection, days: int) -> tuple[datetime, int]:
    """Return the moment `days` days ago (UTC, naive) and the last grant's id, 0 without one."""
    [result] = await run(connection, [LIMITS], [days], patience=None)
    moment, last = result.rows[0]
    return moment, int(last)


async def page(
    connection: Connection, before: datetime, after: int, limit: int
) -> tuple[dict[str, list[int]], int | None]:
    """Return of up to `limit` grants with ids above `after` those that may head a family that goes, by member.

    And the last one's id; None when there is none that is old, and so hardly one after it.
    """
    [result] = await run(connection, [PAGE], [before, before, after, limit], patience=None)
    heads: dict[str, list[int]] = {}
    for grant_id, member_id, may_go, _ in result.rows:
        if may_go:
            heads.setdefault(member_id, []).append(grant_id)
    return heads, result.rows[-1][0] if any(old for *_, old in result.rows) else None


async def families(
    connection: Connection, member_id: str, heads: Collection[int], before: datetime
) -> dict[int, Family]:
    """Return the families of a member's grants, by their heads. Locks nothing."""
    statement, values = _families(member_id, heads, before)
    [result] = await run(connection, [statement], values, patience=None)
    return _family_of(result.rows)


async def lock(
    connection: Connection, member_id: str, heads: Collection[int], before: datetime
) -> dict[int, Family] | None:
    """Begin a transaction, lock a member and return the families as they are now; None when somebody has the member.

    It waits for nobody. One round trip.
    """
    statement, values = _families(member_id, heads, before)
    statements = [BEGIN, LOCK_MEMBERS.format("%s") + IF_FREE, TAKE_MOMENT, statement]
    _, locked, _, read = await run(connection, statements, [member_id, *values], patience=None)
    return _family_of(read.rows) if locked.rows else None


async def move(connection: Connection, member_id: str, moving: Mapping[int, Family]) -> tuple[int, int]:
    """Move families of a member that is locked, and commit; return how many grants and entries went. Two round trips.

    Raises MiscountError, with nothing committed.
    """
    grants = [grant_id for family in moving.values() for grant_id in family.grants]
    entries = sum(family.entries for family in moving.values())
    statements = [
        statement.format(places=_places(grants))
        for statement in (ADD_GRANTS, ADD_ENTRIES, TAKE_ENTRIES, TAKE_GRANTS)
    ]
    moved = await run(connection, statements, [member_id, *grants] * len(statements), patience=None)
    if [result.affected for result in moved] != [len(grants), entries, entries, len(grants)]:
        raise MiscountError("not as many rows moved as were counted under the member's lock")
    await run(connection, ["COMMIT", BE_PATIENT], [])
    return len(grants), entries


def _families(
    member_id: str, heads: Collection[int], before: datetime
) -> tuple[str, Sequence[str | int | datetime]]:
    return FAMILIES.format(places=_places(heads)), [member_id, *heads, member_id, before, member_id]


def _family_of(rows: Sequence[Sequence[int]]) -> dict[int, Family]:
    found: dict[int, Family] = {}
    for head, grant_id, entries, goes in rows:
        family = found.setdefault(head, Family())
        family.grants.append(grant_id)
        family.entries += entries
        family.goes = family.goes and bool(goes)
    return found


def _places(keys: Collection[int]) -> str:
    return ", ".join(["%s"] * len(keys))
