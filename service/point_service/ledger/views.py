"""What is only looked at: balance, grants, history, an order's trace."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from asyncmy.connection import Connection

from point_service.contract import schemas
from point_service.contract.errors import OrderNotFound, Unavailable
from point_service.domain import orders
from point_service.domain.policy import Policy
from point_service.mysql.database import Database
from point_service.mysql.store import reads
from point_service.mysql.store.execution import utc

T = TypeVar("T")


class Views:
    """Reads of one member. What tolerates a reader's lag goes there, a balance never does."""

    def __init__(self, writer: Database, reader: Database | None, policy: Policy) -> None:
        self._writer = writer
        self._reader = reader
        self._policy = policy

    async def balance(self, member_id: str) -> schemas.Balance:
        """Return what the member can spend now; nothing for a member never seen."""
        days = await self._writer.read(
            lambda connection: reads.live_by_day(connection, member_id, self._policy.expiring_soon_days)
        )
        return schemas.Balance(
            member_id=member_id,
            balance=sum(amount for _, amount in days),
            expiring=[schemas.Expiring(on=day, amount=amount) for day, amount in days if day is not None],
        )

    async def order(self, member_id: str, order_id: str) -> schemas.OrderTrace:
        """Return where an order's points came from. Raises OrderNotFound."""
        # From the writer: a shop asks this right after it used or cancelled.
        entries = await self._writer.read(
            lambda connection: reads.order_entries(connection, member_id, order_id)
        )
        parts = orders.parts(entries)
        if not parts:
            raise OrderNotFound(f"no points were used for order {order_id}")
        used, cancelled = sum(part.amount for part in parts), sum(part.given_back for part in parts)
        return schemas.OrderTrace(
            order_id=order_id,
            used=used,
            cancelled=cancelled,
            cancellable=used - cancelled,
            allocations=[
                schemas.TracedAllocation(
                    grant_id=part.grant_id, amount=part.amount, cancelled=part.given_back, used_at=part.at
                )
                for part in parts
            ],
        )

    async def grants(self, member_id: str, before: int, limit: int, only_live: bool) -> schemas.Grants:
        """Return up to `limit` grants older than the grant `before`, newest first."""
        rows = await self._lagging(
            lambda connection: reads.grants(connection, member_id, before, limit + 1, only_live)
        )
        return schemas.Grants(
            grants=[
                schemas.GrantState(
                    grant_id=row[0],
                    kind=row[1],
                    amount=row[2],
                    remaining=row[3],
                    expires_at=utc(row[4]),
                    expired=bool(row[5]),
                    source_grant_id=row[6],
                    reason=row[7],
                    granted_at=utc(row[8]),
                )
                for row in rows[:limit]
            ],
            next_cursor=str(rows[limit - 1][0]) if len(rows) > limit else None,
        )

    async def history(self, member_id: str, before: int, limit: int) -> schemas.History:
        """Return up to `limit` entries older than the entry `before`, newest first."""
        rows = await self._lagging(lambda connection: reads.entries(connection, member_id, before, limit + 1))
        return schemas.History(
            entries=[
                schemas.HistoryEntry(
                    entry_id=row[0],
                    kind=row[1],
                    amount=row[2],
                    grant_id=row[3],
                    order_id=row[4],
                    at=utc(row[5]),
                )
                for row in rows[:limit]
            ],
            next_cursor=str(rows[limit - 1][0]) if len(rows) > limit else None,
        )

    async def _lagging(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if self._reader is not None:
            try:
                return await self._reader.read(work)
            except Unavailable:
                pass  # the writer has it too
        return await self._writer.read(work)
