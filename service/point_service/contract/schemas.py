"""What request and answer bodies are made of: fields and their bounds. The bodies lie with what they are for.

Amounts are whole points, never floats or booleans; unknown fields are refused.
"""

import re
from typing import Annotated

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


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer body."""
