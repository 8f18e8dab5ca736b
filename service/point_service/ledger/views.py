"""What is only looked at: balance, grants, history, an order's trace. Each with its answer."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from asyncmy.connection import Connection

from point_service.contract.errors import OrderNotFound, Unavailable
from point_service.contract.schemas import Answer
from point_service.domain.entries import EVERY_ENTRY, Filter
from point_service.domain.policy import Policy
from point_service.mysql.database import Database, Reader
from point_service.mysql.store import reads
from point_service.mysql.store.execution import utc

T = TypeVar("T")


class Expiring(Answer, frozen=True, kw_only=True):
    """Points that expire on one day (Asia/Seoul)."""

    on: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A date in Asia/Seoul")]
    amount: int


class Balance(Answer, frozen=True, kw_only=True):
    """What the member can spend now, and what of it expires soon."""

    member_id: str
    balance: int
    expiring: list[Expiring]


class TracedAllocation(Answer, frozen=True, kw_only=True):
    """What an order took from one grant, and how much of it was given back."""

    grant_id: int
    amount: int
    cancelled: int
    used_at: datetime


class OrderTrace(Answer, frozen=True, kw_only=True):
    """Where an order's points came from, and what of them can still be given back."""

    order_id: str
    used: int
    cancelled: int
    cancellable: int
    allocations: list[TracedAllocation]


class GrantState(Answer, frozen=True, kw_only=True):
    """One grant as it is now; what is left of an expired one is nothing."""

    grant_id: int
    kind: Literal["NORMAL", "MANUAL"]
    amount: int
    remaining: int
    expires_at: datetime
    expired: bool
    source_grant_id: int | None
    reason: str | None
    granted_at: datetime


class Grants(Answer, frozen=True, kw_only=True):
    """A page of grants, newest first; `next_cursor` is null on the last page."""

    grants: list[GrantState]
    next_cursor: str | None


class HistoryEntry(Answer, frozen=True, kw_only=True):
    """One movement of points: positive into the balance, negative out of it."""

    entry_id: int
    kind: Literal["EARN", "CANCEL_EARN", "USE", "CANCEL_USE", "EXPIRE"]
    amount: int
    grant_id: int
    order_id: str | None
    at: datetime


class History(Answer, frozen=True, kw_only=True):
    """A page of entries, newest first; `next_cursor` is null on the last page.

    With a filter a page may be short, or empty, and not the last.
    """

    entries: list[HistoryEntry]
    next_cursor: str | None


class Views:
    """Reads of one member. What tolerates a reader's lag goes there, a balance never does."""

    def __init__(self, writer: Database, reader: Reader | None, policy: Policy) -> None:
        self._writer = writer
        self._reader = reader
        self._policy = policy

    async def balance(self, member_id: str) -> Balance:
        """Return what the member can spend now; nothing for a member never seen."""
        points, days = await self._writer.read(
            lambda connection: reads.balance(connection, member_id, self._policy.expiring_soon_days)
        )
        return Balance(
            member_id=member_id,
            balance=points,
            expiring=[Expiring(on=day, amount=amount) for day, amount in days],
        )

    async def order(self, member_id: str, order_id: str) -> OrderTrace:
        """Return where an order's points came from. Raises OrderNotFound."""
        # From the writer: a shop asks this right after it used or cancelled.
        taken = await self._writer.read(lambda connection: reads.order_parts(connection, member_id, order_id))
        if not taken:
            raise OrderNotFound(f"no points were used for order {order_id}")
        used, cancelled = sum(part.amount for part in taken), sum(part.given_back for part in taken)
        return OrderTrace(
            order_id=order_id,
            used=used,
            cancelled=cancelled,
            cancellable=used - cancelled,
            allocations=[
                TracedAllocation(
                    grant_id=part.grant_id, amount=part.amount, cancelled=part.given_back, used_at=part.at
                )
                for part in taken
            ],
        )

    async def grants(self, member_id: str, before: int, limit: int, only_live: bool) -> Grants:
        """Return up to `limit` grants older than the grant `before`, newest first."""
        rows = await self._lagging(
            lambda connection: reads.grants(connection, member_id, before, limit + 1, only_live)
        )
        return Grants(
            grants=[
                GrantState(
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

    async def history(self, member_id: str, before: int, limit: int, wanted: Filter = EVERY_ENTRY) -> History:
        """Return up to `limit` wanted entries older than the entry `before`, newest first."""
        rows, following = await self._lagging(
            lambda connection: reads.entries(connection, member_id, before, limit, wanted)
        )
        return History(
            entries=[
                HistoryEntry(
                    entry_id=row[0],
                    kind=row[1],
                    amount=row[2],
                    grant_id=row[3],
                    order_id=row[4],
                    at=utc(row[5]),
                )
                for row in rows
            ],
            next_cursor=str(following) if following is not None else None,
        )

    async def _lagging(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if self._reader is not None:
            try:
                return await self._reader.read(work)
            except Unavailable:
                pass  # the writer has it too
        return await self._writer.read(work)
