"""What request and answer bodies are made of: fields and their bounds. The bodies lie with what they are for.

Amounts are whole points, never floats or booleans; unknown fields are refused.
"""

import re
from typing import Annotated, ClassVar

import msgspec

MAX_BODY_BYTES = 16_384
MAX_READ_BYTES = 4_194_304  # of a body that is too large
# What an issuer may call somebody (OpenID Connect Core, 2: 255 ASCII characters). A space at an end would be lost on
# the way, in a header's value.
MEMBER_ID_PATTERN = r"[!-~]([ -~]{0,253}[!-~])?"
ORDER_ID_PATTERN = r"[A-Za-z0-9._:@|+=~-]{1,64}"
# The end and nothing after it: a `$` alone would let a line end pass.
END = r"$(?!\n)"
MEMBER_ID = re.compile(MEMBER_ID_PATTERN)
CLIENT_ID = re.compile(MEMBER_ID_PATTERN)
ORDER_ID = re.compile(ORDER_ID_PATTERN)
# RFC 3339, to the microsecond: what is finer would be cut off, and a border moved.
MOMENT_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
MAX_ID = 2**63 - 1
MAX_PAGE = 100
USUAL_PAGE = 20

Amount = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000, description="Whole points")]
OrderId = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^{ORDER_ID_PATTERN}{END}",
        max_length=64,
        description="The shop's order number, unique for a member",
    ),
]
# Dots alone mean another address: whoever carries /orders/.. away leaves them out, percent-encoded or not.
NewOrderId = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^(?!\.{{1,2}}$){ORDER_ID_PATTERN}{END}",
        max_length=64,
        description="The shop's order number, unique for a member; it becomes part of an address, so neither . nor ..",
    ),
]
Reference = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^{ORDER_ID_PATTERN}{END}",
        max_length=64,
        description="What it is for, in the words of the system that asks: a purchase, a campaign, a refund. For a"
        " member and a system it moves points once, for ever",
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
EXPECTED = {
    "order_id": "Expected 1 to 64 letters, digits and . _ : @ | + = ~ - (it becomes part of an address: not . or ..)",
    "reference": "Expected 1 to 64 letters, digits and . _ : @ | + = ~ -",
    "reason": "Expected text without control characters",
}
"""What is said, in place of a regular expression, of a field that doesn't match its own."""
Days = Annotated[int, msgspec.Meta(ge=1, le=36_500, description="Days of 24 hours")]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body.

    `reference` is what the request is for: with it points move once, for ever.
    `hashed_when_absent` names fields that are part of `request_hash` as null when they are absent. Those that the first
    version had are; none that comes later may be.
    """

    reference: Reference | None = None
    hashed_when_absent: ClassVar[tuple[str, ...]] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer body."""
