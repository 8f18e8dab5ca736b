"""Who calls, as the gateway says: it alone sets these headers, from a token it verified."""

from enum import StrEnum

import msgspec

from point_service.contract.errors import NoMember, RoleMissing
from point_service.contract.schemas import MEMBER_ID

MEMBER_HEADER = "x-member-id"
ROLE_HEADER = "x-member-role"


class Role(StrEnum):
    """MEMBER: a member's own token. SERVICE: the shop's systems. ADMIN: an operator."""

    MEMBER = "member"
    SERVICE = "service"
    ADMIN = "admin"


_ROLES = frozenset(role.value for role in Role)


class Caller(msgspec.Struct, frozen=True):
    """The verified caller: the token's subject and the role it acts in."""

    member_id: str
    role: Role

    @property
    def scope(self) -> str:
        """The caller's own space of idempotency keys."""
        return f"{self.role}:{self.member_id}"

    def require(self, *roles: Role) -> None:
        """Raise RoleMissing when the caller acts in none of `roles`."""
        if self.role not in roles:
            raise RoleMissing(f"this needs the role {' or '.join(roles)}; the caller's is {self.role}")


def identify(members: list[str], roles: list[str]) -> Caller:
    """Return the caller from the values of its two headers. Raises NoMember.

    A role that is missing, repeated or unknown is that of a plain member: less can't be done.
    """
    if len(members) != 1 or not MEMBER_ID.fullmatch(members[0]):
        raise NoMember("the gateway's X-Member-Id header must name one member", field="X-Member-Id")
    role = Role.MEMBER
    if len(roles) == 1 and roles[0] in _ROLES:
        role = Role(roles[0])
    return Caller(members[0], role)
