"""Orders: which points each took, and how much of it was given back. Amounts are whole points."""

from datetime import datetime

import msgspec

from point_service.domain.grants import GrantKind


class OrderUse(msgspec.Struct, frozen=True):
    """What an order took, and when: more of it is asked for in vain."""

    amount: int
    at: datetime


class OrderPart(msgspec.Struct, frozen=True):
    """What an order took from one grant by an entry, and how much of that was given back.

    `kind` and `expires_at` are the grant's.
    """

    entry_id: int
    grant_id: int
    kind: GrantKind
    expires_at: datetime
    amount: int
    given_back: int
    at: datetime

    @property
    def outstanding(self) -> int:
        """What can still be given back."""
        return self.amount - self.given_back
