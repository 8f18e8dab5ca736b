"""A member as it was read under its lock: all that a decision is made from."""

from datetime import datetime

import msgspec

from point_service.contract.idempotency import StoredAnswer
from point_service.domain.entries import Entry
from point_service.domain.grants import Grant, due, expire
from point_service.domain.orders import OrderEntry, OrderUse


class Reads(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision needs to know of the member, besides the grants that are due to expire."""

    live_grants: bool = False
    used_order: str | None = None  # whether points were used for it
    order: str | None = None  # its entries, and the grants they are of
    grant: int | None = None


class Snapshot(msgspec.Struct, kw_only=True):
    """A member, as far as `Reads` asked for it, at one moment.

    `balance` is the row's: points that are due to expire are still in it. `answer` is the one given before.
    """

    member_id: str
    balance: int
    version: int
    now: datetime
    answer: StoredAnswer | None = None
    grants: list[Grant] = []
    order_used: OrderUse | None = None
    order_entries: list[OrderEntry] = []
    order_grants: list[Grant] = []
    grant: Grant | None = None
    first_entry: int | None = None  # of the grant

    @property
    def expired(self) -> list[Entry]:
        """The EXPIRE entries that are due."""
        return expire(self.grants, self.now)

    @property
    def held(self) -> int:
        """The balance without the points that are due to expire."""
        return self.balance - sum(grant.remaining for grant in due(self.grants, self.now))
