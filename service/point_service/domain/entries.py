"""Ledger entries: every movement of points, each of one grant. Amounts are whole points."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec


class EntryKind(StrEnum):
    """What a ledger entry records; the sign of its amount follows from it."""

    EARN = "EARN"
    CANCEL_EARN = "CANCEL_EARN"
    USE = "USE"
    CANCEL_USE = "CANCEL_USE"
    EXPIRE = "EXPIRE"


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


class Filter(msgspec.Struct, frozen=True):
    """Which entries of a member are asked for: of these kinds, from `since` on and before `until`."""

    since: datetime = datetime.min.replace(tzinfo=UTC)
    until: datetime = datetime.max.replace(tzinfo=UTC)
    kinds: Sequence[EntryKind] = tuple(EntryKind)


EVERY_ENTRY = Filter()
