"""Grants: points given at once, what is left of them, until when.

Amounts are whole points; moments are aware datetimes in UTC.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from point_service.contract.schemas import Answer
from point_service.domain.entries import Entry, EntryKind

MOST_GRANTS = 5_000  # that one use takes from


class GrantKind(StrEnum):
    """NORMAL: earned. MANUAL: granted by an operator, and used first."""

    NORMAL = "NORMAL"
    MANUAL = "MANUAL"


class Grant(msgspec.Struct, frozen=True):
    """Points granted at once: what was earned, what is left of it, until when."""

    grant_id: int
    kind: GrantKind
    amount: int
    remaining: int
    expires_at: datetime


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


def expire(due: Iterable[Grant]) -> list[Entry]:
    """Return the EXPIRE entries of grants that are due."""
    return [Entry(grant_id=grant.grant_id, kind=EntryKind.EXPIRE, amount=-grant.remaining) for grant in due]


class Allocation(Answer, frozen=True, kw_only=True):
    """How many points came from which grant."""

    grant_id: int
    amount: int


def allocate(grants: Iterable[Grant], amount: int) -> list[Allocation]:
    """Take points from live grants: manual first, then soonest to expire, then the oldest.

    Return `amount` points, or what there is when that is less.
    """
    spendable = sorted(
        grants, key=lambda grant: (grant.kind != GrantKind.MANUAL, grant.expires_at, grant.grant_id)
    )
    allocations: list[Allocation] = []
    missing = amount
    for grant in spendable:
        if missing == 0:
            break
        taken = min(grant.remaining, missing)
        allocations.append(Allocation(grant_id=grant.grant_id, amount=taken))
        missing -= taken
    return allocations
