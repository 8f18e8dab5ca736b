"""One transaction: members locked, requests decided each on its own, everything written and committed at once."""

from collections.abc import Callable, Sequence

import msgspec
from asyncmy.connection import Connection

from point_service.contract import schemas
from point_service.contract.errors import Refusal, encode
from point_service.contract.idempotency import Key, StoredAnswer
from point_service.domain.entries import Entry
from point_service.domain.grants import NewGrant, expire
from point_service.mysql.store.change import Change, add_grants, commit
from point_service.mysql.store.member import Snapshot, Wanted, lock_member
from point_service.mysql.store.shared import lock_free_members

CREATED = 201


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation changes, and its answer once the new grants have their ids."""

    answer: Callable[[Sequence[int]], schemas.Answer]
    entries: Sequence[Entry] = ()
    new_grants: Sequence[NewGrant] = ()


Decide = Callable[[Snapshot, int], Decision]
"""Decides from a member's snapshot and its balance without the points that are due to expire."""


class Asked(msgspec.Struct, frozen=True):
    """One request: under which key, what its decision needs to know, and how it is made."""

    key: Key
    wanted: Wanted
    decide: Decide


class Written(msgspec.Struct, frozen=True):
    """What a transaction left behind: the answer, the entries it wrote, the refusal's code if it was one."""

    answer: StoredAnswer
    entries: Sequence[Entry] = ()
    refused: str | None = None
    replayed: bool = False


async def alone(connection: Connection, asked: Asked) -> Written:
    """Do one request in a transaction of its own, behind whoever has its member.

    Two round trips, one more when it grants points, two more for a new member.
    """
    snapshot = await lock_member(connection, asked.key, asked.wanted)
    if snapshot.answer is not None:
        await connection.rollback()
        return Written(snapshot.answer, replayed=True)
    [written] = await _write(connection, [(asked, snapshot)])
    return written


async def together(connection: Connection, requests: Sequence[Asked]) -> list[Written | None]:
    """Do requests of different members in one transaction; None for each that has to go alone.

    Those are the ones whose member is new or in other hands: this never waits for a lock, so it can't be part of
    a deadlock. As many round trips as for one request.
    """
    snapshots = await lock_free_members(connection, [(asked.key, asked.wanted) for asked in requests])
    fresh = [
        (asked, snapshot)
        for asked, snapshot in zip(requests, snapshots, strict=True)
        if snapshot is not None and snapshot.answer is None
    ]
    if fresh:
        written = iter(await _write(connection, fresh))
    else:
        await connection.rollback()
        written = iter(())
    return [
        None
        if snapshot is None
        else Written(snapshot.answer, replayed=True)
        if snapshot.answer is not None
        else next(written)
        for snapshot in snapshots
    ]


async def _write(connection: Connection, requests: Sequence[tuple[Asked, Snapshot]]) -> list[Written]:
    """Write the EXPIRE entries that are due, then each decision, refusals too, and commit."""
    decided = [_decide(asked, snapshot) for asked, snapshot in requests]
    grants = [
        (snapshot, grant)
        for (_, snapshot), (_, decision) in zip(requests, decided, strict=True)
        if isinstance(decision, Decision)
        for grant in decision.new_grants
    ]
    ids = iter(await add_grants(connection, grants) if grants else ())
    changes: list[Change] = []
    written: list[Written] = []
    for (asked, snapshot), (moves, decision) in zip(requests, decided, strict=True):
        added: list[Entry] = []
        request_hash = asked.key.request_hash
        if isinstance(decision, Refusal):
            answer = StoredAnswer(request_hash, decision.status, encode(decision).decode())
        else:
            own = [next(ids) for _ in decision.new_grants]
            added = [grant.entry(grant_id) for grant, grant_id in zip(decision.new_grants, own, strict=True)]
            moves = [*moves, *decision.entries]
            answer = StoredAnswer(request_hash, CREATED, msgspec.json.encode(decision.answer(own)).decode())
        changes.append(Change(snapshot, moves, added, (asked.key, answer)))
        refused = decision.code if isinstance(decision, Refusal) else None
        written.append(Written(answer, [*moves, *added], refused))
    await commit(connection, changes)
    return written


def _decide(asked: Asked, snapshot: Snapshot) -> tuple[list[Entry], Decision | Refusal]:
    expired = expire(snapshot.grants, snapshot.now)
    try:
        return expired, asked.decide(snapshot, snapshot.balance + sum(entry.amount for entry in expired))
    except Refusal as refusal:
        return expired, refusal
