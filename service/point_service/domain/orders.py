"""The rules of the point programme: pure decisions over data, no input or output.

Amounts are whole points; moments are aware datetimes in UTC.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from point_service.contract.errors import (
    CancelExceedsUse,
    GrantNotCancellable,
    GrantNotFound,
    InsufficientPoints,
    OrderNotFound,
)


class GrantKind(StrEnum):
    """NORMAL: earned. MANUAL: granted by an operator, and used first."""

    NORMAL = "NORMAL"
    MANUAL = "MANUAL"


class EntryKind(StrEnum):
    """What a ledger entry records; the sign of its amount follows from it."""

    EARN = "EARN"
    CANCEL_EARN = "CANCEL_EARN"
    USE = "USE"
    CANCEL_USE = "CANCEL_USE"
    EXPIRE = "EXPIRE"


class Grant(msgspec.Struct, frozen=True):
    """Points granted at once: what was earned, what is left of it, until when."""

    grant_id: int
    kind: GrantKind
    amount: int
    remaining: int
    expires_at: datetime


class Allocation(msgspec.Struct, frozen=True):
    """Points taken from one grant."""

    grant_id: int
    amount: int


def due(grants: Iterable[Grant], now: datetime) -> list[Grant]:
    """Return the grants that have points left and are past their expiry at `now`."""
    return [grant for grant in grants if grant.remaining > 0 and grant.expires_at <= now]


def live(grants: Iterable[Grant], now: datetime) -> list[Grant]:
    """Return the grants whose points can be spent at `now`."""
    return [grant for grant in grants if grant.remaining > 0 and grant.expires_at > now]


def allocate(grants: Sequence[Grant], amount: int, now: datetime) -> list[Allocation]:
    """Take `amount` points from live grants: manual first, then soonest to expire, then the oldest.

    Raises InsufficientPoints when the live grants hold less than `amount`.
    """
    spendable = sorted(
        live(grants, now),
        key=lambda grant: (grant.kind != GrantKind.MANUAL, grant.expires_at, grant.grant_id),
    )
    held = sum(grant.remaining for grant in spendable)
    if held < amount:
        raise InsufficientPoints(f"{amount} points asked for, {held} there", balance=held)
    allocations: list[Allocation] = []
    missing = amount
    for grant in spendable:
        if missing == 0:
            break
        taken = min(grant.remaining, missing)
        allocations.append(Allocation(grant.grant_id, taken))
        missing -= taken
    return allocations


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One signed movement of points of one grant.

    `position` orders the USE entries of an order; the one at 0 carries the order's uniqueness.
    """

    grant_id: int
    kind: EntryKind
    amount: int
    order_id: str | None = None
    position: int = 0
    reversed_entry_id: int | None = None


class NewGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A grant to be made; `entry_kind` says by what (earned, or granted anew by a cancelled use)."""

    kind: GrantKind
    amount: int
    expires_at: datetime
    reason: str | None = None
    source_grant_id: int | None = None
    entry_kind: EntryKind = EntryKind.EARN
    order_id: str | None = None
    reversed_entry_id: int | None = None

    def entry(self, grant_id: int) -> Entry:
        """Return the entry that records this grant once it has its id."""
        return Entry(
            grant_id=grant_id,
            kind=self.entry_kind,
            amount=self.amount,
            order_id=self.order_id,
            reversed_entry_id=self.reversed_entry_id,
        )


def expire(grants: Iterable[Grant], now: datetime) -> list[Entry]:
    """Return the EXPIRE entries that are due at `now`."""
    return [
        Entry(grant_id=grant.grant_id, kind=EntryKind.EXPIRE, amount=-grant.remaining)
        for grant in due(grants, now)
    ]


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


def cancel_earn(grant: Grant | None, now: datetime, reversed_entry_id: int | None) -> Entry:
    """Return the entry that takes a whole grant back.

    Raises GrantNotFound, or GrantNotCancellable when some of it is used, gone, or expired.
    """
    if grant is None:
        raise GrantNotFound("the member has no such grant")
    if grant.expires_at <= now:
        raise GrantNotCancellable("the grant has expired")
    if grant.remaining != grant.amount:
        raise GrantNotCancellable(f"{grant.remaining} of its {grant.amount} points are left; all must be")
    return Entry(
        grant_id=grant.grant_id,
        kind=EntryKind.CANCEL_EARN,
        amount=-grant.amount,
        reversed_entry_id=reversed_entry_id,
    )


class OrderEntry(msgspec.Struct, frozen=True):
    """One movement of an order: a use, or its giving back (then `reversed_entry_id` is the use)."""

    entry_id: int
    grant_id: int
    kind: str
    amount: int
    reversed_entry_id: int | None
    created_at: datetime


class Taken(msgspec.Struct, frozen=True):
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


def taken(entries: Sequence[OrderEntry]) -> list[Taken]:
    """Return what an order took, in the order it was taken."""
    given_back: dict[int | None, int] = {}
    for entry in entries:
        if entry.kind == EntryKind.CANCEL_USE:
            given_back[entry.reversed_entry_id] = given_back.get(entry.reversed_entry_id, 0) + entry.amount
    return [
        Taken(
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
    parts = taken(entries)
    if not parts:
        raise OrderNotFound(f"no points were used for order {order_id}")
    cancellable = sum(part.outstanding for part in parts)
    if amount > cancellable:
        raise CancelExceedsUse(f"{amount} points asked back, {cancellable} can be")
    by_id = {grant.grant_id: grant for grant in grants}
    restored: list[Entry] = []
    regranted: list[NewGrant] = []
    missing = amount
    for part in parts:
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
