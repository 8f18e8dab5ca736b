"""Orders: which points each took, and how much of it was given back. Amounts are whole points."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from point_service.domain.entries import EntryKind


class OrderEntry(msgspec.Struct, frozen=True):
    """One movement of an order: a use, or its giving back (then `reversed_entry_id` is the use)."""

    entry_id: int
    grant_id: int
    kind: str
    amount: int
    reversed_entry_id: int | None
    created_at: datetime


class OrderUse(msgspec.Struct, frozen=True):
    """What an order took, and when: more of it is asked for in vain."""

    amount: int
    at: datetime


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
