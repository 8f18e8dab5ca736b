"""Members in a transaction: locked and read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from asyncmy.connection import Connection

from point_service.contract.idempotency import Key, StoredAnswer
from point_service.domain.grants import Grant, GrantKind
from point_service.domain.orders import OrderEntry
from point_service.mysql.store.execution import Result, Row, run, utc

BEGIN = "START TRANSACTION"
LOCK_MEMBER = "SELECT balance, version FROM member_point WHERE member_id = %s FOR UPDATE"
# For the expiry job: a member somebody works on is left to them, they expire what is due themselves.
LOCK_MEMBER_IF_FREE = LOCK_MEMBER + " SKIP LOCKED"
CREATE_MEMBER = (
    "INSERT INTO member_point (member_id, balance, version, created_at, updated_at)"
    " VALUES (%s, 0, 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))"
    " ON DUPLICATE KEY UPDATE version = version"
)
FIND_ANSWER = (
    "SELECT LOWER(HEX(request_hash)), status, body FROM idempotency"
    " WHERE member_id = %s AND caller = %s AND idempotency_key = %s"
)
NOW = "SELECT UTC_TIMESTAMP(6)"
GRANTS = "SELECT grant_id, kind, amount, remaining, expires_at FROM point_ledger WHERE member_id = %s"
LIVE_GRANTS = GRANTS + " AND live = 1"
DUE_GRANTS = LIVE_GRANTS + " AND expires_at <= UTC_TIMESTAMP(6)"
ONE_GRANT = GRANTS + " AND grant_id = %s"
FIRST_ENTRY = "SELECT MIN(entry_id) FROM ledger_entry WHERE member_id = %s AND grant_id = %s"
ORDER_USED = "SELECT COUNT(*) FROM ledger_entry WHERE member_id = %s AND used_order_id = %s"
ORDER_ENTRIES = (
    "SELECT entry_id, grant_id, kind, amount, reversed_entry_id, created_at FROM ledger_entry"
    " WHERE member_id = %s AND order_id = %s ORDER BY entry_id"
)
ORDER_GRANTS = (
    "SELECT grant_id, kind, amount, remaining, expires_at FROM point_ledger WHERE member_id = %s AND grant_id IN"
    " (SELECT grant_id FROM ledger_entry WHERE member_id = %s AND order_id = %s)"
)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision needs to know of the member, besides the grants that are due."""

    live_grants: bool = False
    used_order: str | None = None
    order: str | None = None
    grant: int | None = None

    @property
    def shareable(self) -> bool:
        """Tell whether it can be read for many members at once."""
        return self.order is None and self.grant is None


class Snapshot(msgspec.Struct, kw_only=True):
    """A member under its lock: what a decision is made from, as far as it was wanted."""

    member_id: str
    balance: int
    version: int
    now: datetime
    grants: list[Grant]
    answer: StoredAnswer | None = None
    order_used: bool = False
    order_entries: list[OrderEntry] = []
    order_grants: list[Grant] = []
    grant: Grant | None = None
    first_entry: int | None = None


async def lock_member(connection: Connection, key: Key, wanted: Wanted) -> Snapshot:
    """Begin a transaction, lock the member (made when it is new) and read what a decision needs.

    One round trip, three for a new member.
    """
    member = key.member_id
    batch: list[tuple[str, tuple[Any, ...]]] = [
        (LOCK_MEMBER, (member,)),
        (FIND_ANSWER, (member, key.caller, key.value)),
        (NOW, ()),
        (LIVE_GRANTS if wanted.live_grants else DUE_GRANTS, (member,)),
    ]
    if wanted.used_order is not None:
        batch.append((ORDER_USED, (member, wanted.used_order)))
    if wanted.order is not None:
        batch.append((ORDER_ENTRIES, (member, wanted.order)))
        batch.append((ORDER_GRANTS, (member, member, wanted.order)))
    if wanted.grant is not None:
        batch.append((ONE_GRANT, (member, wanted.grant)))
        batch.append((FIRST_ENTRY, (member, wanted.grant)))
    statements = [statement for statement, _ in batch]
    parameters = [value for _, values in batch for value in values]
    _, *results = await run(connection, [BEGIN, *statements], parameters)
    if not results[0].rows:
        # Made before any child row: a foreign key check would lock the missing parent the other way round.
        await run(connection, [CREATE_MEMBER], [member])
        results = await run(connection, statements, parameters)
    return _snapshot(member, wanted, results)


async def lock_member_if_free(connection: Connection, member_id: str) -> Snapshot | None:
    """Begin a transaction, lock the member and read its due grants; None when somebody has it."""
    statements = [BEGIN, LOCK_MEMBER_IF_FREE, NOW, DUE_GRANTS]
    _, locked, now, grants = await run(connection, statements, [member_id, member_id])
    if not locked.rows:
        return None
    [(balance, version)] = locked.rows
    return Snapshot(
        member_id=member_id,
        balance=balance,
        version=version,
        now=utc(now.rows[0][0]),
        grants=[grant_of(row) for row in grants.rows],
    )


def _snapshot(member_id: str, wanted: Wanted, results: Sequence[Result]) -> Snapshot:
    locked, answer, now, grants, *rest = results
    [(balance, version)] = locked.rows
    snapshot = Snapshot(
        member_id=member_id,
        balance=balance,
        version=version,
        now=utc(now.rows[0][0]),
        grants=[grant_of(row) for row in grants.rows],
        answer=StoredAnswer(*answer.rows[0]) if answer.rows else None,
    )
    more = iter(rest)
    if wanted.used_order is not None:
        snapshot.order_used = bool(next(more).rows[0][0])
    if wanted.order is not None:
        snapshot.order_entries = [order_entry(row) for row in next(more).rows]
        snapshot.order_grants = [grant_of(row) for row in next(more).rows]
    if wanted.grant is not None:
        snapshot.grant = next((grant_of(row) for row in next(more).rows), None)
        snapshot.first_entry = next(more).rows[0][0]
    return snapshot


def grant_of(row: Sequence[Any]) -> Grant:
    """Return one row of GRANTS."""
    return Grant(row[0], GrantKind(row[1]), row[2], row[3], utc(row[4]))


def order_entry(row: Row) -> OrderEntry:
    """Return one row of ORDER_ENTRIES."""
    return OrderEntry(row[0], row[1], row[2], row[3], row[4], utc(row[5]))
