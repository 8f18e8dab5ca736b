"""The rules of the point programme: pure decisions over data, no input or output.

Amounts are whole points; moments are aware datetimes in UTC.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from point_service.errors import HoldingCapExceeded, InsufficientPoints, InvalidField
from point_service.settings import Policy


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


def check_earn(policy: Policy, amount: int, expires_in_days: int | None) -> timedelta:
    """Return how long a grant of `amount` points lives. Raises InvalidField when the policy forbids it."""
    if not policy.min_earn <= amount <= policy.max_earn:
        raise InvalidField(f"amount must be from {policy.min_earn} to {policy.max_earn}", field="amount")
    days = policy.default_expiry_days if expires_in_days is None else expires_in_days
    if not 1 <= days <= policy.max_expiry_days:
        raise InvalidField(
            f"expires_in_days must be from 1 to {policy.max_expiry_days}", field="expires_in_days"
        )
    return timedelta(days=days)


def check_holding(policy: Policy, balance: int, amount: int) -> None:
    """Raise HoldingCapExceeded when `amount` more points than `balance` are above the cap."""
    if balance + amount > policy.max_balance:
        raise HoldingCapExceeded(
            f"{balance} points held and {amount} more would pass the cap of {policy.max_balance}",
            balance=balance,
        )


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
