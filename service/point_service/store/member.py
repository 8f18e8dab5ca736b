"""A member in a transaction: locked, read, changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from asyncmy.connection import Connection
from asyncmy.errors import MySQLError

from point_service.domain import Entry, Grant, GrantKind, NewGrant, OrderEntry
from point_service.idempotency import Key, StoredAnswer
from point_service.store.execution import Result, Row, naive, run, utc

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

ADD_GRANT = (
    "INSERT INTO point_ledger"
    " (member_id, kind, amount, remaining, expires_at, source_grant_id, reason, created_at)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)
# The next three check each other on the server, so that they and the commit may travel in one round trip: a
# balance that did not move leaves the grants alone, and grants that did not all move make `position` null, which
# the table refuses. The member's lock makes that impossible; this is what holds if it ever were not.
MOVE_BALANCE = (
    "UPDATE member_point SET balance = balance + %s, version = version + 1, updated_at = %s"
    " WHERE member_id = %s AND version = %s"
)
MOVE_GRANTS = (
    "UPDATE point_ledger SET remaining = remaining + CASE grant_id{cases} ELSE 0 END"
    " WHERE member_id = %s AND grant_id IN ({places}) AND ROW_COUNT() = 1 ORDER BY grant_id"
)
ADD_ENTRIES = (
    "INSERT INTO ledger_entry"
    " (member_id, grant_id, kind, amount, order_id, position, reversed_entry_id, created_at) VALUES "
)
FIRST_ENTRY_VALUES = "(%s, %s, %s, %s, %s, IF(ROW_COUNT() = %s, %s, NULL), %s, %s)"
ENTRY_VALUES = "(%s, %s, %s, %s, %s, %s, %s, %s)"
NULL_REFUSED = 1048
ADD_ANSWER = (
    "INSERT INTO idempotency (member_id, caller, idempotency_key, request_hash, status, body, created_at)"
    " VALUES (%s, %s, %s, UNHEX(%s), %s, %s, %s)"
)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision needs to know of the member, besides the grants that are due."""

    live_grants: bool = False
    used_order: str | None = None
    order: str | None = None
    grant: int | None = None


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


class StaleVersionError(Exception):
    """A row under the member's lock was not as it was read: the lock did not hold."""


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
        grants=[_grant(row) for row in grants.rows],
    )


async def add_grants(
    connection: Connection, member_id: str, grants: Sequence[NewGrant], now: datetime
) -> list[int]:
    """Insert grants and return their ids, in order. One round trip."""
    parameters: list[Any] = []
    for grant in grants:
        parameters += [member_id, grant.kind, grant.amount, grant.amount, naive(grant.expires_at)]
        parameters += [grant.source_grant_id, grant.reason, naive(now)]
    results = await run(connection, [ADD_GRANT] * len(grants), parameters)
    return [result.last_id for result in results]


async def commit(
    connection: Connection,
    snapshot: Snapshot,
    moves: Sequence[Entry],
    new_entries: Sequence[Entry] = (),
    answer: tuple[Key, StoredAnswer] | None = None,
) -> None:
    """Write entries, what they change, and the answer, and commit. One round trip.

    `moves` change grants that exist; `new_entries` belong to grants just added, which already hold their
    points. Raises StaleVersionError, with nothing committed, when a row was not as the snapshot says.
    """
    member = snapshot.member_id
    now = naive(snapshot.now)
    entries = [*moves, *new_entries]
    statements: list[str] = []
    parameters: list[Any] = []
    if entries:
        statements.append(MOVE_BALANCE)
        parameters += [sum(entry.amount for entry in entries), now, member, snapshot.version]
        moved = 1
        if moves:
            deltas = _deltas(moves)
            moved = len(deltas)
            cases, places = " WHEN %s THEN %s" * moved, ", ".join(["%s"] * moved)
            statements.append(MOVE_GRANTS.format(cases=cases, places=places))
            parameters += [value for pair in deltas.items() for value in pair]
            parameters += [member, *deltas]
        rest = [ENTRY_VALUES] * (len(entries) - 1)
        statements.append(ADD_ENTRIES + ", ".join([FIRST_ENTRY_VALUES, *rest]))
        for number, entry in enumerate(entries):
            parameters += [member, entry.grant_id, entry.kind, entry.amount, entry.order_id]
            parameters += [moved] if number == 0 else []
            parameters += [entry.position, entry.reversed_entry_id, now]
    if answer is not None:
        key, stored = answer
        statements.append(ADD_ANSWER)
        parameters += [member, key.caller, key.value, key.request_hash, stored.status, stored.body, now]
    try:
        await run(connection, [*statements, "COMMIT"], parameters)
    except MySQLError as error:
        if error.args and error.args[0] == NULL_REFUSED:
            raise StaleVersionError("a row changed under the member's lock") from error
        raise


def _deltas(moves: Sequence[Entry]) -> dict[int, int]:
    """Return by how much each grant moves, in the order of their ids."""
    deltas: dict[int, int] = {}
    for entry in moves:
        deltas[entry.grant_id] = deltas.get(entry.grant_id, 0) + entry.amount
    return dict(sorted(deltas.items()))


def _snapshot(member_id: str, wanted: Wanted, results: Sequence[Result]) -> Snapshot:
    locked, answer, now, grants, *rest = results
    [(balance, version)] = locked.rows
    snapshot = Snapshot(
        member_id=member_id,
        balance=balance,
        version=version,
        now=utc(now.rows[0][0]),
        grants=[_grant(row) for row in grants.rows],
        answer=StoredAnswer(*answer.rows[0]) if answer.rows else None,
    )
    more = iter(rest)
    if wanted.used_order is not None:
        snapshot.order_used = bool(next(more).rows[0][0])
    if wanted.order is not None:
        snapshot.order_entries = [order_entry(row) for row in next(more).rows]
        snapshot.order_grants = [_grant(row) for row in next(more).rows]
    if wanted.grant is not None:
        snapshot.grant = next((_grant(row) for row in next(more).rows), None)
        snapshot.first_entry = next(more).rows[0][0]
    return snapshot


def _grant(row: Row) -> Grant:
    return Grant(row[0], GrantKind(row[1]), row[2], row[3], utc(row[4]))


def order_entry(row: Row) -> OrderEntry:
    """Return one row of ORDER_ENTRIES."""
    return OrderEntry(row[0], row[1], row[2], row[3], row[4], utc(row[5]))
