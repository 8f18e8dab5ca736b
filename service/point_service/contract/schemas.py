"""What goes over the wire: request and answer bodies, and the bounds of identifiers.

Amounts are whole points, never floats or booleans; unknown fields are refused.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec

MAX_BODY_BYTES = 16_384
MAX_READ_BYTES = 4_194_304  # of a body that is too large
# No comma (a header sent twice arrives joined by one), no slash (the id is also a path segment), no space.
IDENTIFIER_CHARACTERS = r"[A-Za-z0-9._:@|+=~-]"
# The end and nothing after it: a `$` alone would let a line end pass.
END = r"$(?!\n)"
MEMBER_ID = re.compile(IDENTIFIER_CHARACTERS + r"{1,128}")
ORDER_ID = re.compile(IDENTIFIER_CHARACTERS + r"{1,64}")
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
MAX_ID = 2**63 - 1
MAX_PAGE = 100
USUAL_PAGE = 20

Amount = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000, description="Whole points")]
OrderId = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^{IDENTIFIER_CHARACTERS}{{1,64}}{END}",
        max_length=64,
        description="The shop's order number, unique for a member",
    ),
]
Reason = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=200,
        pattern=rf"^[^\x00-\x1f\x7f]*{END}",
        description="Why the points are granted, for people",
    ),
]
Days = Annotated[int, msgspec.Meta(ge=1, le=36_500, description="Days of 24 hours")]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body."""


class EarnRequest(Request, frozen=True, kw_only=True):
    """Grant points to the member."""

    amount: Amount
    expires_in_days: Days | None = None
    reason: Reason | None = None


class UseRequest(Request, frozen=True, kw_only=True):
    """Use the member's points for an order."""

    order_id: OrderId
    amount: Amount


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer body."""


class Earned(Answer, frozen=True, kw_only=True):
    """A new grant, and the member's balance after it."""

    grant_id: int
    amount: int
    remaining: int
    expires_at: datetime
    balance: int


class Allocation(Answer, frozen=True, kw_only=True):
    """How many points came from which grant."""

    grant_id: int
    amount: int


class Used(Answer, frozen=True, kw_only=True):
    """A use, and the member's balance after it."""

    order_id: str
    amount: int
    allocations: list[Allocation]
    balance: int


class Expiring(Answer, frozen=True, kw_only=True):
    """Points that expire on one day (Asia/Seoul)."""

    on: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A date in Asia/Seoul")]
    amount: int


class Balance(Answer, frozen=True, kw_only=True):
    """What the member can spend now, and what of it expires soon."""

    member_id: str
    balance: int
    expiring: list[Expiring]


class CancelEarnRequest(Request, frozen=True, kw_only=True):
    """Take a whole grant back: an empty object."""


class CancelUseRequest(Request, frozen=True, kw_only=True):
    """Give points of an order back, all or some."""

    order_id: OrderId
    amount: Amount


class EarnCancelled(Answer, frozen=True, kw_only=True):
    """A grant taken back, and the member's balance after it."""

    grant_id: int
    amount: int
    balance: int


class Restored(Answer, frozen=True, kw_only=True):
    """Points given back to the grant they came from."""

    grant_id: int
    amount: int


class Regranted(Answer, frozen=True, kw_only=True):
    """Points granted anew because the grant they came from expired."""

    grant_id: int
    source_grant_id: int
    amount: int
    expires_at: datetime


class UseCancelled(Answer, frozen=True, kw_only=True):
    """What was given back, what still can be, and the member's balance after it."""

    order_id: str
    cancelled: int
    restored: list[Restored]
    regranted: list[Regranted]
    cancellable: int
    balance: int


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
    """A page of entries, newest first; `next_cursor` is null on the last page."""

    entries: list[HistoryEntry]
    next_cursor: str | None
