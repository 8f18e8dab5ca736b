"""A request and its answer, once: keys, request hashes and stored answers (IETF Idempotency-Key draft)."""

import hashlib
from datetime import datetime

import msgspec

from point_service.contract.errors import IdempotencyKeyReused, InvalidIdempotencyKey, ReferenceReused
from point_service.contract.identity import NO_CLIENT, Role
from point_service.contract.schemas import IDEMPOTENCY_KEY, Request


class Key(msgspec.Struct, frozen=True):
    """Names one request for ever: the caller's key, scoped to the caller and the member it acts for.

    `request_hash` is 64 hexadecimal digits over the operation and its canonical body. `client` is the space of the
    caller's client, None without one; `by_client` says whether answers are kept there (docs/decisions/0039).
    `reference` is what the request is for, None when it doesn't say, in the first of `sources` (`Caller.sources`).
    """

    caller: str
    member_id: str
    value: str
    request_hash: str
    client: str | None = None
    by_client: bool = False
    reference: str | None = None
    sources: tuple[str, str] = (NO_CLIENT, NO_CLIENT)

    @property
    def own(self) -> str:
        """The narrowest space that is the caller's."""
        return self.caller if self.client is None else self.client

    @property
    def kept_in(self) -> str:
        """The space in which the answer is kept."""
        return self.own if self.by_client else self.caller

    @property
    def by_member(self) -> bool:
        """Whether a plain member asks, and none of the shop's systems."""
        return self.caller.startswith((f"{Role.MEMBER}:", f"{Role.MEMBER}#"))

    def digest(self, space: str) -> str:
        """Return what stands for the key in a space that it may belong to: 32 hexadecimal digits.

        Their first bit tells a client's space from a caller's.
        """
        value = hashlib.sha256(f"{space}\n{self.member_id}\n{self.value}".encode()).digest()
        first = value[0] | 0x80 if space == self.client else value[0] & 0x7F
        return bytes((first, *value[1:16])).hex()


class StoredAnswer(msgspec.Struct, frozen=True):
    """An answer as it was given: status, JSON body, and the hash of the request it belongs to."""

    request_hash: str
    status: int
    body: str

    def for_request(self, key: Key) -> "StoredAnswer":
        """Return the answer when `key` is of the same request. Raises IdempotencyKeyReused otherwise."""
        if self.request_hash != key.request_hash:
            raise IdempotencyKeyReused(
                "this Idempotency-Key came with a different request before; use a new key for a new request"
            )
        return self


class Movement(msgspec.Struct, frozen=True):
    """What moved points under a reference: the operation's name, how many points, when, and the answer to it."""

    operation: str
    amount: int
    at: datetime
    answer: StoredAnswer

    def refusal(self, reference: str) -> ReferenceReused:
        """Return what another request with the reference is told."""
        return ReferenceReused(
            f"the reference {reference} was used for another request: {self.operation}, {self.amount} points",
            field="reference",
            used=self.amount,
            used_at=self.at,
        )


def check_key(values: list[str]) -> str:
    """Return the one key of the request's headers. Raises InvalidIdempotencyKey."""
    if len(values) != 1:
        raise InvalidIdempotencyKey(
            "send the Idempotency-Key header exactly once, the same one when the request is retried",
            field="Idempotency-Key",
        )
    if not IDEMPOTENCY_KEY.fullmatch(values[0]):
        raise InvalidIdempotencyKey(
            "Idempotency-Key must be 1 to 255 printable ASCII characters without spaces",
            field="Idempotency-Key",
        )
    return values[0]


def request_hash(operation: str, request: Request) -> str:
    """Return the hash by which a repeated request is known: the same fields, however they were written.

    A field that is absent is no part of it: one that a later version adds changes no request without it, so two
    versions that run together know each other's requests.
    """
    said = {
        name: value
        for name, value in msgspec.structs.asdict(request).items()
        if value is not None or name in request.hashed_when_absent
    }
    return hashlib.sha256(msgspec.json.encode([operation, said])).hexdigest()
