"""Orders: which points each took from which grants, and their giving back.

Amounts are whole points; moments are aware datetimes in UTC.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from point_service.contract.errors import CancelExceedsUse, OrderNotFound
from point_service.domain.entries import Entry, EntryKind
from point_service.domain.grants import Allocation, Grant, NewGrant


def use(allocations: Sequence[Allocation], order_id: str) -> list[Entry]:
    """Return the USE entries of an order."""
    return [
        Entry(
            grant_id=allocation.grant_id,
            kind=EntryKind.USE,
            amount=-allocation.amount,
            order_id=order_id,
            position=position,
        )
        for position, allocation in enumerate(allocations)
    ]


class OrderEntry(msgspec.Struct, frozen=True):
    """One movement of an order: a use, or its giving back (then `reversed_entry_id` is the use)."""

    entry_id: int
    grant_id: int
    kind: str
    amount: int
    reversed_entry_id: int | None
    created_at: datetime


class OrderPart(msgspec.Struct, frozen=True):
    """What an order took from one grant, and how much of it was given back."""

    entry_id: int
    grant_id: int
    amount: int
    given_back: int
    at: datetime

    @property
    def outstanding(self) -> int:
        """What can still be given back."""
        return self.amount - self.given_back


def parts(entries: Sequence[OrderEntry]) -> list[OrderPart]:
    """Return what an order took, in the order it was taken."""
    given_back: dict[int | None, int] = {}
    for entry in entries:
        if entry.kind == EntryKind.CANCEL_USE:
            given_back[entry.reversed_entry_id] = given_back.get(entry.reversed_entry_id, 0) + entry.amount
    return [
        OrderPart(
            entry.entry_id, entry.grant_id, -entry.amount, given_back.get(entry.entry_id, 0), entry.created_at
        )
        for entry in entries
        if entry.kind == EntryKind.USE
    ]


class GivenBack(msgspec.Struct, frozen=True):
    """A cancelled use: entries on grants that still live, new grants for what expired meanwhile."""

    restored: Sequence[Entry]
    regranted: Sequence[NewGrant]
    cancellable: int


def cancel_use(
    order_id: str,
    entries: Sequence[OrderEntry],
    grants: Sequence[Grant],
    amount: int,
    now: datetime,
    lifetime: timedelta,
) -> GivenBack:
    """Give `amount` points of an order back, in the order in which they were taken.

    What came from a grant that expired meanwhile is granted anew for `lifetime`, with the old grant's kind.
    Raises OrderNotFound, or CancelExceedsUse when less than `amount` is left to give back.
    """
    taken = parts(entries)
    if not taken:
        raise OrderNotFound(f"no points were used for order {order_id}")
    cancellable = sum(part.outstanding for part in taken)
    if amount > cancellable:
        raise CancelExceedsUse(f"{amount} points asked back, {cancellable} can be")
    by_id = {grant.grant_id: grant for grant in grants}
    restored: list[Entry] = []
    regranted: list[NewGrant] = []
    missing = amount
    for part in taken:
        back = min(part.outstanding, missing)
        if back == 0:
            continue
        missing -= back
        grant = by_id[part.grant_id]
        if grant.expires_at > now:
            restored.append(
                Entry(
                    grant_id=grant.grant_id,
                    kind=EntryKind.CANCEL_USE,
                    amount=back,
                    order_id=order_id,
                    reversed_entry_id=part.entry_id,
                )
            )
        else:
            regranted.append(
                NewGrant(
                    kind=grant.kind,
                    amount=back,
                    expires_at=now + lifetime,
                    source_grant_id=grant.grant_id,
                    entry_kind=EntryKind.CANCEL_USE,
                    order_id=order_id,
                    reversed_entry_id=part.entry_id,
                )
            )
    return GivenBack(restored, regranted, cancellable - amount)
