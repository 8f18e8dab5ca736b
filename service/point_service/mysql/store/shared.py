"""Many members in one transaction: those that are free are locked and read, whatever their number, in one trip."""

from collections.abc import Sequence
from typing import Any

from asyncmy.connection import Connection

from point_service.contract.idempotency import Key, StoredAnswer
from point_service.mysql.store.execution import run, utc
from point_service.mysql.store.member import BEGIN, NOW, Snapshot, Wanted, grant_of

# In the order of their ids, as every transaction that locks more than one.
LOCK_FREE_MEMBERS = (
    "SELECT member_id, balance, version FROM member_point WHERE member_id IN ({})"
    " ORDER BY member_id FOR UPDATE SKIP LOCKED"
)
ANSWERS = "SELECT member_id, LOWER(HEX(request_hash)), status, body FROM idempotency WHERE {}"
ONE_ANSWER = "(member_id = %s AND caller = %s AND idempotency_key = %s)"
LIVE_GRANTS = (
    "SELECT grant_id, kind, amount, remaining, expires_at, member_id FROM point_ledger"
    " WHERE live = 1 AND member_id IN ({})"
)
DUE_GRANTS = LIVE_GRANTS + " AND expires_at <= UTC_TIMESTAMP(6)"
ORDERS_USED = "SELECT member_id FROM ledger_entry WHERE {}"
ONE_ORDER = "(member_id = %s AND used_order_id = %s)"


async def lock_free_members(
    connection: Connection, requests: Sequence[tuple[Key, Wanted]]
) -> list[Snapshot | None]:
    """Begin a transaction, lock the members of shareable requests and read what their decisions need.

    It waits for nobody: a member that is new or in other hands gives None. Each request has a member of its own.
    """
    keys = [key for key, _ in requests]
    users = [(key.member_id, wanted.used_order) for key, wanted in requests if wanted.live_grants]
    others = [key.member_id for key, wanted in requests if not wanted.live_grants]
    batch: list[tuple[str, Sequence[Any]]] = [
        (LOCK_FREE_MEMBERS.format(_places(keys)), [key.member_id for key in keys]),
        (
            ANSWERS.format(_any_of(ONE_ANSWER, keys)),
            [v for k in keys for v in (k.member_id, k.caller, k.value)],
        ),
        (NOW, ()),
    ]
    if users:
        batch.append((ORDERS_USED.format(_any_of(ONE_ORDER, users)), [v for user in users for v in user]))
        batch.append((LIVE_GRANTS.format(_places(users)), [member_id for member_id, _ in users]))
    if others:
        batch.append((DUE_GRANTS.format(_places(others)), others))
    statements = [BEGIN, *(statement for statement, _ in batch)]
    results = await run(connection, statements, [value for _, values in batch for value in values])
    _, locked, answers, now, *more = (result.rows for result in results)
    answered = {member_id: StoredAnswer(*answer) for member_id, *answer in answers}
    orders_used = {member_id for (member_id,) in more.pop(0)} if users else frozenset[str]()
    snapshots = {
        member_id: Snapshot(
            member_id=member_id,
            balance=balance,
            version=version,
            now=utc(now[0][0]),
            grants=[],
            answer=answered.get(member_id),
            order_used=member_id in orders_used,
        )
        for member_id, balance, version in locked
    }
    for *grant, member_id in (row for rows in more for row in rows):
        if member_id in snapshots:
            snapshots[member_id].grants.append(grant_of(grant))
    return [snapshots.get(key.member_id) for key in keys]


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))


def _any_of(condition: str, values: Sequence[Any]) -> str:
    return " OR ".join([condition] * len(values))
