"""The operations: lock the member, decide, write what was decided, all under the caller's idempotency key."""

from collections.abc import Callable, Sequence

import msgspec
from asyncmy.connection import Connection

from point_service import domain, metrics, schemas, store
from point_service.database import Database
from point_service.domain import Entry, GrantKind, NewGrant
from point_service.errors import OrderAlreadyUsed, OrderNotFound, Refusal, encode
from point_service.idempotency import Key, StoredAnswer
from point_service.lock import MemberLock
from point_service.settings import Policy
from point_service.store import Snapshot

CREATED = 201


class Outcome(msgspec.Struct, frozen=True):
    """An answer to send, and whether it was given before under the same key."""

    status: int
    body: str
    replayed: bool


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation changes, and its answer once the new grants have their ids."""

    answer: Callable[[Sequence[int]], schemas.Answer]
    entries: Sequence[Entry] = ()
    new_grants: Sequence[NewGrant] = ()


class Points:
    """The point service's operations over its database and lock."""

    def __init__(self, database: Database, lock: MemberLock, policy: Policy) -> None:
        self._database = database
        self._lock = lock
        self._policy = policy

    async def earn(self, key: Key, request: schemas.EarnRequest, kind: GrantKind) -> Outcome:
        """Grant points. Raises InvalidField when the policy forbids the amount or the expiry."""
        lifetime = domain.check_earn(self._policy, request.amount, request.expires_in_days)

        def decide(snapshot: Snapshot, balance: int) -> Decision:
            domain.check_holding(self._policy, balance, request.amount)
            grant = NewGrant(
                kind=kind, amount=request.amount, expires_at=snapshot.now + lifetime, reason=request.reason
            )
            return Decision(
                new_grants=[grant],
                answer=lambda ids: schemas.Earned(
                    grant_id=ids[0],
                    amount=grant.amount,
                    remaining=grant.amount,
                    expires_at=grant.expires_at,
                    balance=balance + grant.amount,
                ),
            )

        return await self._once(key, decide, every_grant=False)

    async def use(self, key: Key, request: schemas.UseRequest) -> Outcome:
        """Use points for an order."""

        def decide(snapshot: Snapshot, balance: int) -> Decision:
            if snapshot.order_used:
                raise OrderAlreadyUsed(f"points were already used for order {request.order_id}")
            allocations = domain.allocate(snapshot.grants, request.amount, snapshot.now)
            return Decision(
                entries=domain.use(allocations, request.order_id),
                answer=lambda _: schemas.Used(
                    order_id=request.order_id,
                    amount=request.amount,
                    allocations=[
                        schemas.Allocation(grant_id=taken.grant_id, amount=taken.amount)
                        for taken in allocations
                    ],
                    balance=balance - request.amount,
                ),
            )

        return await self._once(key, decide, every_grant=True, order_id=request.order_id)

    async def balance(self, member_id: str) -> schemas.Balance:
        """Return what the member can spend now; nothing for a member never seen."""
        days = await self._database.read(
            lambda connection: store.live_by_day(connection, member_id, self._policy.expiring_soon_days)
        )
        return schemas.Balance(
            member_id=member_id,
            balance=sum(amount for _, amount in days),
            expiring=[schemas.Expiring(on=day, amount=amount) for day, amount in days if day is not None],
        )

    async def order(self, member_id: str, order_id: str) -> schemas.OrderTrace:
        """Return where an order's points came from. Raises OrderNotFound."""
        entries = await self._database.read(
            lambda connection: store.order_entries(connection, member_id, order_id)
        )
        taken = [entry for entry in entries if entry.kind == domain.EntryKind.USE]
        if not taken:
            raise OrderNotFound(f"no points were used for order {order_id}")
        used = -sum(entry.amount for entry in taken)
        cancelled = sum(entry.amount for entry in entries if entry.kind == domain.EntryKind.CANCEL_USE)
        return schemas.OrderTrace(
            order_id=order_id,
            used=used,
            cancelled=cancelled,
            cancellable=used - cancelled,
            allocations=[
                schemas.TracedAllocation(
                    grant_id=entry.grant_id, amount=-entry.amount, used_at=entry.created_at
                )
                for entry in taken
            ],
        )

    async def _once(
        self,
        key: Key,
        decide: Callable[[Snapshot, int], Decision],
        *,
        every_grant: bool,
        order_id: str | None = None,
    ) -> Outcome:
        """Decide and write once for `key`; answer again what was answered before."""
        async with self._lock.hold(key) as turn:
            if turn.answer is not None:
                return _replay(turn.answer.for_request(key), "cache")

            async def work(connection: Connection) -> Written:
                snapshot = await store.lock_member(
                    connection, key, every_grant=every_grant, order_id=order_id
                )
                if snapshot.answer is not None:
                    await connection.rollback()
                    return Written(snapshot.answer, (), None, replayed=True)
                written = await _decide_and_write(connection, key, snapshot, decide)
                await connection.commit()
                return written

            written = await self._database.transact(work)
            turn.answer = written.answer
        if written.replayed:
            return _replay(written.answer.for_request(key), "database")
        _count(written)
        return Outcome(written.answer.status, written.answer.body, False)


class Written(msgspec.Struct, frozen=True):
    """What a transaction left behind: the answer, the entries it wrote, the refusal's code if it was one."""

    answer: StoredAnswer
    entries: Sequence[Entry]
    refused: str | None
    replayed: bool = False


async def _decide_and_write(
    connection: Connection, key: Key, snapshot: Snapshot, decide: Callable[[Snapshot, int], Decision]
) -> Written:
    """Write the EXPIRE entries that are due, then the decision, refusals too. Nothing is committed here."""
    moves = domain.expire(snapshot.grants, snapshot.now)
    added: list[Entry] = []
    refused: str | None = None
    try:
        decision = decide(snapshot, snapshot.balance + sum(entry.amount for entry in moves))
    except Refusal as refusal:
        refused = refusal.code
        answer = StoredAnswer(key.request_hash, refusal.status, encode(refusal).decode())
    else:
        ids: Sequence[int] = ()
        if decision.new_grants:
            ids = await store.add_grants(connection, key.member_id, decision.new_grants, snapshot.now)
        added = [grant.entry(grant_id) for grant, grant_id in zip(decision.new_grants, ids, strict=True)]
        moves = [*moves, *decision.entries]
        answer = StoredAnswer(key.request_hash, CREATED, msgspec.json.encode(decision.answer(ids)).decode())
    await store.record(connection, key, snapshot, moves, added, answer)
    return Written(answer, [*moves, *added], refused)


def _replay(answer: StoredAnswer, source: str) -> Outcome:
    metrics.REPLAYS.labels(source).inc()
    return Outcome(answer.status, answer.body, True)


def _count(written: Written) -> None:
    if written.refused is not None:
        metrics.REFUSED.labels(written.refused).inc()
    for entry in written.entries:
        metrics.POINTS.labels(entry.kind).inc(abs(entry.amount))
