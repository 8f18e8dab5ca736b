"""What PointServices were admitted to, as their status records it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

MOST = 16
"""Claims that a status may record."""


class Claim(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a PointService was admitted to at a gateway. While its status records it, nobody else gets it."""

    gateway: str
    """`names.gateway_key`."""
    hosts: tuple[str, ...]
    issuer: str
    keys: str
    """Digest of what the issuer's tokens are checked by and of the claims that say who the member is."""
    credential_name: str
    since: str
    """When it was first admitted there (RFC 3339, UTC)."""


def recorded(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return claims as status has them."""
    return msgspec.json.decode(msgspec.json.encode(claims))


def read(body: Mapping[str, Any]) -> tuple[Claim, ...]:
    """What its status records; nothing when another version wrote it that this one can't read."""
    try:
        return msgspec.convert((body.get("status") or {}).get("claims") or (), tuple[Claim, ...])
    except msgspec.ValidationError:
        return ()
