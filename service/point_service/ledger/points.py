"""The operations that change points: lock the member, decide, write, all under the caller's idempotency key."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from point_service.contract import schemas
from point_service.contract.errors import OrderAlreadyUsed
from point_service.contract.idempotency import Key, StoredAnswer
from point_service.domain import grants, orders, policy
from point_service.domain.grants import GrantKind, NewGrant
from point_service.domain.policy import Policy
from point_service.ledger.sharing import SharedTransactions
from point_service.ledger.transaction import Asked, Decide, Decision, Written, alone
from point_service.mysql.database import Database
from point_service.mysql.store.member import Snapshot, Wanted
from point_service.settings import SHARED_REQUESTS
from point_service.telemetry import metrics
from point_service.turns.lock import MemberLock


class Outcome(msgspec.Struct, frozen=True):
    """An answer to send, and whether it was given before under the same key."""

    status: int
    body: str
    replayed: bool


class Points:
    """The point service's operations over its database and lock."""

    def __init__(
        self, database: Database, lock: MemberLock, policy: Policy, shared_requests: int = SHARED_REQUESTS
    ) -> None:
        self._database = database
        self._shared = SharedTransactions(database.pool, shared_requests)
        self._lock = lock
        self._policy = policy

    async def earn(self, key: Key, request: schemas.EarnRequest, kind: GrantKind) -> Outcome:
        """Grant points. Raises InvalidField when the policy forbids the amount or the expiry."""
        lifetime = policy.check_earn(self._policy, request.amount, request.expires_in_days)

        def decide(snapshot: Snapshot, balance: int) -> Decision:
            policy.check_holding(self._policy, balance, request.amount)
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

        return await self._once(key, decide, Wanted())

    async def cancel_earn(self, key: Key, grant_id: int) -> Outcome:
        """Take a whole grant back."""

        def decide(snapshot: Snapshot, balance: int) -> Decision:
            entry = grants.cancel_earn(snapshot.grant, snapshot.now, snapshot.first_entry)
            return Decision(
                entries=[entry],
                answer=lambda _: schemas.EarnCancelled(
                    grant_id=grant_id, amount=-entry.amount, balance=balance + entry.amount
                ),
            )

        return await self._once(key, decide, Wanted(grant=grant_id))

    async def use(self, key: Key, request: schemas.UseRequest) -> Outcome:
        """Use points for an order."""

        def decide(snapshot: Snapshot, balance: int) -> Decision:
            if snapshot.order_used:
                raise OrderAlreadyUsed(f"points were already used for order {request.order_id}")
            allocations = grants.allocate(snapshot.grants, request.amount, snapshot.now)
            return Decision(
                entries=orders.use(allocations, request.order_id),
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

        return await self._once(key, decide, Wanted(live_grants=True, used_order=request.order_id))

    async def cancel_use(self, key: Key, request: schemas.CancelUseRequest) -> Outcome:
        """Give points of an order back; what expired meanwhile is granted anew, past the holding cap too."""
        lifetime = timedelta(days=self._policy.default_expiry_days)

        def decide(snapshot: Snapshot, balance: int) -> Decision:
            back = orders.cancel_use(
                request.order_id,
                snapshot.order_entries,
                snapshot.order_grants,
                request.amount,
                snapshot.now,
                lifetime,
            )
            return Decision(
                entries=back.restored,
                new_grants=back.regranted,
                answer=lambda ids: _use_cancelled(request, back, ids, balance + request.amount),
            )

        return await self._once(key, decide, Wanted(order=request.order_id))

    async def _once(self, key: Key, decide: Decide, wanted: Wanted) -> Outcome:
        """Decide and write once for `key`; answer again what was answered before."""
        asked = Asked(key, wanted, decide)
        async with self._lock.hold(key) as turn:
            if turn.answer is not None:
                return _replay(turn.answer.for_request(key), "cache")
            written = await self._shared.attempt(asked)
            if written is None:
                written = await self._database.transact(lambda connection: alone(connection, asked))
            turn.answer = written.answer
        if written.replayed:
            return _replay(written.answer.for_request(key), "database")
        _count(written)
        return Outcome(written.answer.status, written.answer.body, False)


def _use_cancelled(
    request: schemas.CancelUseRequest, back: orders.GivenBack, ids: Sequence[int], balance: int
) -> schemas.UseCancelled:
    return schemas.UseCancelled(
        order_id=request.order_id,
        cancelled=request.amount,
        restored=[schemas.Restored(grant_id=entry.grant_id, amount=entry.amount) for entry in back.restored],
        regranted=[
            schemas.Regranted(
                grant_id=grant_id,
                source_grant_id=grant.source_grant_id or 0,
                amount=grant.amount,
                expires_at=grant.expires_at,
            )
            for grant, grant_id in zip(back.regranted, ids, strict=True)
        ],
        cancellable=back.cancellable,
        balance=balance,
    )


def _replay(answer: StoredAnswer, source: str) -> Outcome:
    metrics.REPLAYS.labels(source).inc()
    return Outcome(answer.status, answer.body, True)


def _count(written: Written) -> None:
    if written.refused is not None:
        metrics.REFUSED.labels(written.refused).inc()
    for entry in written.entries:
        metrics.POINTS.labels(entry.kind).inc(abs(entry.amount))
