"""Who calls, as the gateway says: it alone sets these headers, from a token it verified."""

import base64
import hashlib
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from point_service.contract.errors import NoClient, NoMember, OwnGrant, RoleMissing
from point_service.contract.schemas import CLIENT_ID, MEMBER_ID

MEMBER_HEADER = "x-member-id"
ROLE_HEADER = "x-member-role"
CLIENT_HEADER = "x-client-id"


class Role(StrEnum):
    """MEMBER: a member's own token. SERVICE: the shop's systems. ADMIN: an operator."""

    MEMBER = "member"
    SERVICE = "service"
    ADMIN = "admin"


NO_CLIENT = ""
"""The source of the shop's systems, and of operators, whose client nobody knows: all of them share it."""
NO_CLIENT_OF_A_MEMBER = " member"
"""The same of members' own tokens. No client is called so: its id begins with no space."""
_ROLES = tuple(role.value for role in Role)  # the later, the more it may
LONGEST_SCOPED = 128
"""Characters of a member's id that are in its scope as they are, as they always were; of a longer one its digest is."""


class Caller(msgspec.Struct, frozen=True):
    """The verified caller: the token's subject, the role it acts in, and the client that the token was given to.

    `client` is None where the gateway says none.
    """

    member_id: str
    role: Role
    client: str | None = None

    @property
    def scope(self) -> str:
        """The caller's own space of idempotency keys: up to 160 characters, which the database's column holds."""
        if len(self.member_id) <= LONGEST_SCOPED:
            return f"{self.role}:{self.member_id}"
        return f"{self.role}#{hashlib.sha256(self.member_id.encode()).hexdigest()}"

    @property
    def client_scope(self) -> str | None:
        """The space of keys of the caller's client alone, None without one. It is no other caller's `scope`, and sorts
        behind its own."""
        if self.client is None:
            return None
        pair = f"{self.client}\n{self.member_id}"
        return f"{self.role}@{hashlib.sha256(pair.encode()).hexdigest()}"

    @property
    def sources(self) -> tuple[str, str]:
        """Whose the caller's references are: its own source, and the one that it had while nobody knew its client.

        A member's own token is kept apart: it must not take the reference by which the shop will take points back.
        """
        nameless = NO_CLIENT_OF_A_MEMBER if self.role is Role.MEMBER else NO_CLIENT
        return self.client or nameless, nameless

    def require_client(self) -> None:
        """Raise NoClient when one of the shop's systems, or an operator, has no client. Members grant nothing."""
        if self.client is None and self.role is not Role.MEMBER:
            raise NoClient(
                "the token's claim that names the client is missing: the Idempotency-Key belongs to the client",
                field="X-Client-Id",
            )

    def require(self, *roles: Role) -> None:
        """Raise RoleMissing when the caller acts in none of `roles`."""
        if self.role not in roles:
            raise RoleMissing(f"this needs the role {' or '.join(roles)}; the caller's is {self.role}")

    def require_another(self, member_id: str) -> None:
        """Raise OwnGrant when the member is the caller itself."""
        if member_id == self.member_id:
            raise OwnGrant("the member in the path is the token's own; nobody grants points to themselves")


def identify(members: list[str], roles: list[str], clients: Sequence[str] = ()) -> Caller:
    """Return the caller from the values of its headers. Raises NoMember, NoClient.

    A role that is missing, repeated or unknown is that of a plain member: less can't be done.
    """
    if len(members) != 1:
        raise NoMember("the gateway's X-Member-Id header must name one member", field="X-Member-Id")
    if not MEMBER_ID.fullmatch(members[0]):
        raise NoMember(
            "the token's claim that names the member must be a text of 1 to 255 printable ASCII characters"
            " that neither begins nor ends with a space",
            field="X-Member-Id",
        )
    role = _role(roles[0]) if len(roles) == 1 else Role.MEMBER
    return Caller(members[0], role, _client(clients) if clients else None)


def _client(clients: Sequence[str]) -> str:
    if len(clients) != 1 or not CLIENT_ID.fullmatch(clients[0]):
        raise NoClient(
            "the token's claim that names the client must be a text of 1 to 255 printable ASCII characters"
            " that neither begins nor ends with a space",
            field="X-Client-Id",
        )
    return clients[0]


def _role(value: str) -> Role:
    """Return the role that a header says; of several the one that may do most."""
    said = [value] if value in _ROLES else _listed(value)
    return Role(max((role for role in said if role in _ROLES), key=_ROLES.index, default=Role.MEMBER))


def _listed(value: str) -> list[str]:
    """Return the texts of a claim that is a list, which Envoy's token check writes as JSON in base64url."""
    try:
        return msgspec.json.decode(decode(value), type=list[str])
    except (ValueError, msgspec.MsgspecError):
        return []


def decode(value: str) -> bytes:
    """Return what is written in base64url, with or without its padding. Raises ValueError."""
    bare = value.rstrip("=")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), b"-_", validate=True)
