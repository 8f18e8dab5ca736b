"""Members in a transaction: locked and read, whatever their number, in one round trip."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from asyncmy.connection import Connection

from point_service.contract.idempotency import Key, StoredAnswer
from point_service.domain.grants import Grant, GrantKind
from point_service.domain.orders import OrderEntry, OrderUse
from point_service.domain.snapshot import Reads, Snapshot
from point_service.mysql.store.execution import run, utc

BEGIN = "START TRANSACTION"
# In the order of their ids, as every transaction that locks more than one.
LOCK_MEMBERS = (
    "SELECT member_id, balance, version FROM member_point WHERE member_id IN ({})"
    " ORDER BY member_id FOR UPDATE"
)
IF_FREE = " SKIP LOCKED"
CREATE_MEMBER = (
    "INSERT INTO member_point (member_id, balance, version, created_at, updated_at)"
    " VALUES (%s, 0, 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))"
    " ON DUPLICATE KEY UPDATE version = version"
)
NOW = "SELECT UTC_TIMESTAMP(6)"  # after the locks were waited for
ANSWERS = "SELECT member_id, LOWER(HEX(request_hash)), status, body FROM idempotency WHERE {}"
GRANTS = "SELECT member_id, grant_id, kind, amount, remaining, expires_at FROM point_ledger WHERE {}"
LIVE_GRANTS = GRANTS.format("live = 1 AND ({})")
DUE_GRANTS = LIVE_GRANTS + " AND expires_at <= UTC_TIMESTAMP(6)"
ORDERS_USED = (
    "SELECT f.member_id, (SELECT -SUM(u.amount) FROM ledger_entry u WHERE u.member_id = f.member_id"
    " AND u.order_id = f.used_order_id AND u.kind = 'USE'), f.created_at FROM ledger_entry f WHERE {}"
)
ORDER_ENTRIES = (
    "SELECT member_id, entry_id, grant_id, kind, amount, reversed_entry_id, created_at FROM ledger_entry"
    " WHERE {} ORDER BY entry_id"
)
ORDER_GRANTS = (
    "SELECT g.member_id, g.grant_id, g.kind, g.amount, g.remaining, g.expires_at"
    " FROM ledger_entry e JOIN point_ledger g ON g.member_id = e.member_id AND g.grant_id = e.grant_id WHERE {}"
)
ONE_GRANT = (
    "SELECT g.member_id, g.grant_id, g.kind, g.amount, g.remaining, g.expires_at,"
    " (SELECT MIN(e.entry_id) FROM ledger_entry e WHERE e.member_id = g.member_id AND e.grant_id = g.grant_id)"
    " FROM point_ledger g WHERE {}"
)


class Wanted(msgspec.Struct, frozen=True):
    """A member to lock, and what to read of it: the answer given under `key`, and what `reads` says."""

    member_id: str
    key: Key | None = None
    reads: Reads = Reads()


class Question(msgspec.Struct, frozen=True):
    """One statement for all the members that need it; its rows begin with the member's id."""

    statement: str  # {} stands for the members' conditions
    condition: str  # one member's
    values: Callable[[Wanted], Sequence[Any]]  # of the condition; none: this member doesn't need it
    keep: Callable[[Snapshot, Sequence[Any]], None]  # puts the rest of a row into the member's snapshot


async def lock_members(
    connection: Connection, wanted: Sequence[Wanted], *, wait: bool
) -> dict[str, Snapshot]:
    """Begin a transaction, lock members and read what their decisions need. Each is wanted once.

    With `wait` it waits for members in other hands and makes those that are new; without, it waits for nobody, and
    leaves both out. One round trip, three when it makes members.
    """
    members = [one.member_id for one in wanted]
    locking = LOCK_MEMBERS.format(", ".join(["%s"] * len(members)))
    batch: list[tuple[str, Sequence[Any]]] = [(locking if wait else locking + IF_FREE, members), (NOW, ())]
    asked: list[Question] = []
    for question in QUESTIONS:
        values = [each for one in wanted if (each := question.values(one))]
        if values:
            asked.append(question)
            conditions = " OR ".join([question.condition] * len(values))
            batch.append(
                (question.statement.format(conditions), [value for each in values for value in each])
            )
    statements = [statement for statement, _ in batch]
    parameters = [value for _, values in batch for value in values]
    _, *results = await run(connection, [BEGIN, *statements], parameters)
    if wait and len(results[0].rows) < len(members):
        # Made before any child row: a foreign key check would lock the missing parent the other way round.
        new = sorted(set(members) - {row[0] for row in results[0].rows})
        await run(connection, [CREATE_MEMBER] * len(new), new)
        results = await run(connection, statements, parameters)
    locked, now, *answers = (result.rows for result in results)
    moment = utc(now[0][0])
    snapshots = {
        member_id: Snapshot(member_id=member_id, balance=balance, version=version, now=moment)
        for member_id, balance, version in locked
    }
    for question, rows in zip(asked, answers, strict=True):
        for member_id, *row in rows:
            if member_id in snapshots:
                question.keep(snapshots[member_id], row)
    return snapshots


def grant_of(row: Sequence[Any]) -> Grant:
    """Return a grant from its id, kind, amount, what remains, and expiry."""
    return Grant(row[0], GrantKind(row[1]), row[2], row[3], utc(row[4]))


def order_entry(row: Sequence[Any]) -> OrderEntry:
    """Return an entry from its id, grant, kind, amount, the entry it reverses, and moment."""
    return OrderEntry(row[0], row[1], row[2], row[3], row[4], utc(row[5]))


def _answer(snapshot: Snapshot, row: Sequence[Any]) -> None:
    snapshot.answer = StoredAnswer(*row)


def _grant(snapshot: Snapshot, row: Sequence[Any]) -> None:
    snapshot.grants.append(grant_of(row))


def _order_used(snapshot: Snapshot, row: Sequence[Any]) -> None:
    snapshot.order_used = OrderUse(int(row[0]), utc(row[1]))


def _order_entry(snapshot: Snapshot, row: Sequence[Any]) -> None:
    snapshot.order_entries.append(order_entry(row))


def _order_grant(snapshot: Snapshot, row: Sequence[Any]) -> None:
    snapshot.order_grants.append(grant_of(row))


def _one_grant(snapshot: Snapshot, row: Sequence[Any]) -> None:
    snapshot.grant, snapshot.first_entry = grant_of(row), row[5]


def _of_order(one: Wanted) -> Sequence[Any]:
    return (one.member_id, one.reads.order) if one.reads.order is not None else ()


ONE_ANSWER = "(member_id = %s AND caller = %s AND idempotency_key = %s)"
ONE_MEMBER = "member_id = %s"
ONE_ORDER = "(member_id = %s AND order_id = %s)"

QUESTIONS = (
    Question(
        ANSWERS,
        ONE_ANSWER,
        lambda one: (one.member_id, one.key.caller, one.key.value) if one.key is not None else (),
        _answer,
    ),
    Question(LIVE_GRANTS, ONE_MEMBER, lambda one: (one.member_id,) if one.reads.live_grants else (), _grant),
    Question(DUE_GRANTS, ONE_MEMBER, lambda one: () if one.reads.live_grants else (one.member_id,), _grant),
    Question(
        ORDERS_USED,
        "(f.member_id = %s AND f.used_order_id = %s)",
        lambda one: (one.member_id, one.reads.used_order) if one.reads.used_order is not None else (),
        _order_used,
    ),
    Question(ORDER_ENTRIES, ONE_ORDER, _of_order, _order_entry),
    Question(ORDER_GRANTS, "(e.member_id = %s AND e.order_id = %s)", _of_order, _order_grant),
    Question(
        ONE_GRANT,
        "(g.member_id = %s AND g.grant_id = %s)",
        lambda one: (one.member_id, one.reads.grant) if one.reads.grant is not None else (),
        _one_grant,
    ),
)
