"""A member as it was read under its lock: all that a decision is made from."""

from datetime import datetime

import msgspec

from point_service.contract.idempotency import Movement, StoredAnswer
from point_service.domain.entries import Entry
from point_service.domain.grants import Grant, expire
from point_service.domain.orders import OrderPart, OrderUse


class Reads(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision needs to know of the member, besides the points that are due to expire."""

    points: int = 0  # grants that hold this many, in the order in which they are spent
    used_order: str | None = None  # whether points were used for it, however long ago
    order: str | None = None  # what it took from which grants, and how much of it was given back
    grant: int | None = None


class Snapshot(msgspec.Struct, kw_only=True):
    """A member, as far as `Reads` asked for it, at one moment.

    `balance` is the row's: points that are due to expire are still in it. `answer` is the one given before, and with
    `own_answer` to this very client. `moved` is what moved before under the request's reference. `refusals` are the
    member's own that were kept today. A snapshot that is not `whole` lacks something that a decision needs: the member
    has much of it.
    """

    member_id: str
    balance: int
    version: int
    now: datetime
    refusals: int = 0
    whole: bool = True
    answer: StoredAnswer | None = None
    own_answer: bool = False
    moved: Movement | None = None
    due: list[Grant] = []  # to expire: all that are due, or the first of very many
    due_points: int | None = None  # of all that are due, when `due` may lack some
    grants: list[Grant] = []  # none of which is due
    order_used: OrderUse | None = None
    order_archived: bool = False  # some of what it took, or all
    order_parts: list[OrderPart] = []  # in the order in which they were taken
    grant: Grant | None = None
    first_entry: int | None = None  # of the grant

    @property
    def expired(self) -> list[Entry]:
        """The EXPIRE entries of the grants in `due`."""
        return expire(self.due)

    @property
    def held(self) -> int:
        """The balance without the points that are due to expire."""
        if self.due_points is not None:
            return self.balance - self.due_points
        return self.balance - sum(grant.remaining for grant in self.due)
