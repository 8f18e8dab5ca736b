"""Every SQL statement of the service. Values travel as parameters only, moments as UTC.

MySQL 8.0's subset that MariaDB 10.11 knows too. Statements that need nothing from each other travel in one
round trip: the server runs them one by one, and at READ COMMITTED each sees what was committed before it, so
what follows the locking read sees the member as the lock found it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from asyncmy.connection import Connection

from point_service.domain import Entry, Grant, GrantKind, NewGrant
from point_service.idempotency import Key, StoredAnswer

Row = tuple[Any, ...]

BEGIN = "START TRANSACTION"
LOCK_MEMBER = "SELECT balance, version FROM member_point WHERE member_id = %s FOR UPDATE"
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
GRANTS = (
    "SELECT grant_id, kind, amount, remaining, expires_at FROM point_ledger WHERE member_id = %s AND live = 1"
)
DUE_GRANTS = GRANTS + " AND expires_at <= UTC_TIMESTAMP(6)"
ORDER_USED = "SELECT COUNT(*) FROM ledger_entry WHERE member_id = %s AND used_order_id = %s"

ADD_GRANT = (
    "INSERT INTO point_ledger"
    " (member_id, kind, amount, remaining, expires_at, source_grant_id, reason, created_at)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)
MOVE_GRANTS = (
    "UPDATE point_ledger SET remaining = remaining + CASE grant_id{cases} ELSE 0 END"
    " WHERE member_id = %s AND grant_id IN ({places}) ORDER BY grant_id"
)
ADD_ENTRIES = (
    "INSERT INTO ledger_entry"
    " (member_id, grant_id, kind, amount, order_id, position, reversed_entry_id, created_at) VALUES "
)
ENTRY_VALUES = "(%s, %s, %s, %s, %s, %s, %s, %s)"
MOVE_BALANCE = (
    "UPDATE member_point SET balance = balance + %s, version = version + 1, updated_at = %s"
    " WHERE member_id = %s AND version = %s"
)
ADD_ANSWER = (
    "INSERT INTO idempotency (member_id, caller, idempotency_key, request_hash, status, body, created_at)"
    " VALUES (%s, %s, %s, UNHEX(%s), %s, %s, %s)"
)

# One statement, so one snapshot. Points that are past their expiry don't count, entry or no entry.
# Asia/Seoul is UTC+9 all year.
LIVE_BY_DAY = (
    "SELECT CASE WHEN expires_at < UTC_TIMESTAMP(6) + INTERVAL %s DAY"
    " THEN DATE(expires_at + INTERVAL 9 HOUR) END AS expires_on, SUM(remaining)"
    " FROM point_ledger WHERE member_id = %s AND live = 1 AND expires_at > UTC_TIMESTAMP(6)"
    " GROUP BY expires_on ORDER BY expires_on"
)
ORDER_ENTRIES = (
    "SELECT entry_id, grant_id, kind, amount, created_at FROM ledger_entry"
    " WHERE member_id = %s AND order_id = %s ORDER BY entry_id"
)
SCHEMA_VERSION = "SELECT version_num, @@global.read_only FROM alembic_version"


class Snapshot(msgspec.Struct, frozen=True):
    """A member under its lock: what a decision is made from."""

    balance: int
    version: int
    now: datetime
    grants: list[Grant]
    answer: StoredAnswer | None
    order_used: bool = False


class OrderEntry(msgspec.Struct, frozen=True):
    """One movement of an order."""

    entry_id: int
    grant_id: int
    kind: str
    amount: int
    created_at: datetime


class StaleVersionError(Exception):
    """A row under the member's lock was not as it was read: the lock did not hold."""


async def lock_member(
    connection: Connection, key: Key, *, every_grant: bool, order_id: str | None = None
) -> Snapshot:
    """Begin a transaction, lock the member (made when it is new) and read what a decision needs.

    One round trip, three for a new member. With `every_grant` all live grants are read, otherwise those due.
    """
    statements = [BEGIN, LOCK_MEMBER, FIND_ANSWER, NOW, GRANTS if every_grant else DUE_GRANTS]
    parameters: list[Any] = [key.member_id, key.member_id, key.caller, key.value, key.member_id]
    if order_id is not None:
        statements.append(ORDER_USED)
        parameters += [key.member_id, order_id]
    results = await _run(connection, statements, parameters)
    if not results[1].rows:
        # Made before any child row: a foreign key check would lock the missing parent the other way round.
        await _run(connection, [CREATE_MEMBER], [key.member_id])
        results = [results[0], *await _run(connection, statements[1:], parameters)]
    [(balance, version)] = results[1].rows
    [(now,)] = results[3].rows
    return Snapshot(
        balance=balance,
        version=version,
        now=utc(now),
        grants=[_grant(row) for row in results[4].rows],
        answer=StoredAnswer(*results[2].rows[0]) if results[2].rows else None,
        order_used=order_id is not None and bool(results[5].rows[0][0]),
    )


async def add_grants(
    connection: Connection, member_id: str, grants: Sequence[NewGrant], now: datetime
) -> list[int]:
    """Insert grants and return their ids, in order. One round trip."""
    parameters: list[Any] = []
    for grant in grants:
        parameters += [
            member_id,
            grant.kind,
            grant.amount,
            grant.amount,
            _naive(grant.expires_at),
            grant.source_grant_id,
            grant.reason,
            _naive(now),
        ]
    results = await _run(connection, [ADD_GRANT] * len(grants), parameters)
    return [result.last_id for result in results]


async def record(
    connection: Connection,
    key: Key,
    snapshot: Snapshot,
    moves: Sequence[Entry],
    new_entries: Sequence[Entry],
    answer: StoredAnswer,
) -> None:
    """Write entries, what they change, and the answer. One round trip.

    `moves` change grants that exist; `new_entries` belong to grants just added, which already hold their
    points.
    Raises StaleVersionError when a row was not as the snapshot says.
    """
    statements: list[str] = []
    parameters: list[Any] = []
    expected: list[tuple[int, int]] = []
    now = _naive(snapshot.now)
    entries = [*moves, *new_entries]
    if moves:
        statements.append(_move_grants(moves, key.member_id, parameters))
        expected.append((len(statements) - 1, len({entry.grant_id for entry in moves})))
    if entries:
        statements.append(ADD_ENTRIES + ", ".join([ENTRY_VALUES] * len(entries)))
        for entry in entries:
            parameters += [
                key.member_id,
                entry.grant_id,
                entry.kind,
                entry.amount,
                entry.order_id,
                entry.position,
                entry.reversed_entry_id,
                now,
            ]
        statements.append(MOVE_BALANCE)
        parameters += [sum(entry.amount for entry in entries), now, key.member_id, snapshot.version]
        expected.append((len(statements) - 1, 1))
    statements.append(ADD_ANSWER)
    parameters += [key.member_id, key.caller, key.value, key.request_hash, answer.status, answer.body, now]
    results = await _run(connection, statements, parameters)
    for index, count in expected:
        if results[index].affected != count:
            raise StaleVersionError(f"{results[index].affected} rows changed where {count} should have")


def _move_grants(moves: Sequence[Entry], member_id: str, parameters: list[Any]) -> str:
    """Return the statement that adds each entry's amount to its grant, appending its parameters."""
    deltas: dict[int, int] = {}
    for entry in moves:
        deltas[entry.grant_id] = deltas.get(entry.grant_id, 0) + entry.amount
    ordered = sorted(deltas)
    for grant_id in ordered:
        parameters += [grant_id, deltas[grant_id]]
    parameters += [member_id, *ordered]
    cases = " WHEN %s THEN %s" * len(ordered)
    places = ", ".join(["%s"] * len(ordered))
    return MOVE_GRANTS.format(cases=cases, places=places)


async def live_by_day(connection: Connection, member_id: str, days: int) -> list[tuple[str | None, int]]:
    """Return live points by the day (Asia/Seoul, ISO) they expire on; None: later than `days` from now."""
    [result] = await _run(connection, [LIVE_BY_DAY], [days, member_id])
    return [(row[0].isoformat() if row[0] else None, int(row[1])) for row in result.rows]


async def order_entries(connection: Connection, member_id: str, order_id: str) -> list[OrderEntry]:
    """Return the movements of a member's order, in the order they happened."""
    [result] = await _run(connection, [ORDER_ENTRIES], [member_id, order_id])
    return [OrderEntry(row[0], row[1], row[2], row[3], utc(row[4])) for row in result.rows]


async def schema_version(connection: Connection) -> tuple[str | None, bool]:
    """Return the schema's revision (None when there is none) and whether the server is read-only."""
    [result] = await _run(connection, [SCHEMA_VERSION], [])
    return (result.rows[0][0], bool(result.rows[0][1])) if result.rows else (None, False)


class Result(msgspec.Struct, frozen=True):
    """What one statement gave."""

    rows: Sequence[Row]
    affected: int
    last_id: int


async def _run(connection: Connection, statements: Sequence[str], parameters: Sequence[Any]) -> list[Result]:
    """Run statements in one round trip. The first error ends the batch and is raised."""
    results: list[Result] = []
    async with connection.cursor() as cursor:
        await cursor.execute(";".join(statements), tuple(parameters))
        while True:
            rows: Sequence[Row] = await cursor.fetchall() if cursor.description else ()
            results.append(Result(rows, cast("int", cursor.rowcount), cursor.lastrowid))
            if not await cursor.nextset():
                return results


def _grant(row: Row) -> Grant:
    return Grant(row[0], GrantKind(row[1]), row[2], row[3], utc(row[4]))


def utc(moment: datetime) -> datetime:
    """Return a moment as the database gives it (UTC, naive) as an aware one."""
    return moment.replace(tzinfo=UTC)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
