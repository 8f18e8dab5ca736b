"""Errors that are answers: each carries its status and becomes an RFC 9457 problem document."""

from datetime import datetime
from typing import ClassVar

import msgspec

PROBLEM_MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:point-platform:problem:"


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every refusal (RFC 9457).

    `field` names the input at fault, `used` what an order took, or a reference moved, already.
    """

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    balance: int | None = None
    used: int | None = None
    used_at: datetime | None = None
    request_id: str | None = None


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A request that ends in an error answer."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong here"
    retry_after: ClassVar[int | None] = None  # seconds

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        balance: int | None = None,
        used: int | None = None,
        used_at: datetime | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.balance = balance
        self.used = used
        self.used_at = used_at

    def document(self, request_id: str | None = None) -> ProblemDocument:
        """Return the problem document; `request_id` lets a person find the request in the logs."""
        return ProblemDocument(
            type=TYPE_PREFIX + self.code,
            title=self.title,
            status=self.status,
            detail=self.detail,
            field=self.field,
            balance=self.balance,
            used=self.used,
            used_at=self.used_at,
            request_id=request_id,
        )

    @classmethod
    def headers(cls) -> dict[str, str]:
        """Return the headers that say what the document can't."""
        return {} if cls.retry_after is None else {"retry-after": str(cls.retry_after)}


class InternalError(Problem):
    """A bug. Its cause is in the log, never in the answer."""


class InvalidRequest(Problem):
    status = 400
    code = "invalid-request"
    title = "The request can't be read"


class MalformedJson(Problem):
    status = 400
    code = "malformed-json"
    title = "The body is not JSON"


class InvalidIdempotencyKey(Problem):
    status = 400
    code = "invalid-idempotency-key"
    title = "The Idempotency-Key header is missing or wrong"


class NoMember(Problem):
    status = 401
    code = "no-member"
    title = "The request names no member"


class NoClient(Problem):
    status = 401
    code = "no-client"
    title = "The request names no client"


class RoleMissing(Problem):
    status = 403
    code = "role-missing"
    title = "This caller may not do that"


class OwnGrant(Problem):
    status = 403
    code = "own-grant"
    title = "Nobody grants points to themselves"


class NotFound(Problem):
    status = 404
    code = "not-found"
    title = "There is nothing here"


class MethodNotAllowed(Problem):
    status = 405
    code = "method-not-allowed"
    title = "This address doesn't take that method"


class BodyTooLarge(Problem):
    status = 413
    code = "body-too-large"
    title = "The body is too large"


class UnsupportedMediaType(Problem):
    status = 415
    code = "unsupported-media-type"
    title = "The body must be application/json"


class InvalidField(Problem):
    status = 422
    code = "invalid-field"
    title = "A field is not what it must be"


class IdempotencyKeyReused(Problem):
    status = 422
    code = "idempotency-key-reused"
    title = "This Idempotency-Key was used for another request"


class MemberBusy(Problem):
    status = 409
    code = "request-in-progress"
    title = "Another request of this member is still running"
    retry_after = 1


class Unavailable(Problem):
    status = 503
    code = "unavailable"
    title = "The service can't answer now"
    retry_after = 1


class Overloaded(Problem):
    """Said before anything of the request was begun."""

    status = 503
    code = "overloaded"
    title = "There is more to do than can be done in time"
    retry_after = 1

    @classmethod
    def headers(cls) -> dict[str, str]:
        """Return the header, too, by which Envoy knows that the answer tells of no fault and is not asked for again."""
        return super().headers() | {"x-envoy-overloaded": "true"}


class Refusal(Problem):
    """A decision of the domain: stored under the idempotency key and replayed like a success."""

    status = 409


class InsufficientPoints(Refusal):
    code = "insufficient-points"
    title = "The member doesn't have enough points"


class TooManyGrants(Refusal):
    code = "too-many-grants"
    title = "The points would come from too many grants"


class OrderAlreadyUsed(Refusal):
    code = "order-already-used"
    title = "Points were already used for this order"


class ReferenceReused(Refusal):
    code = "reference-reused"
    title = "This reference has moved points in another request"


class HoldingCapExceeded(Refusal):
    code = "holding-cap-exceeded"
    title = "The member would hold more points than allowed"


class GrantNotFound(Refusal):
    status = 404
    code = "grant-not-found"
    title = "The member has no such grant"


class GrantNotCancellable(Refusal):
    code = "grant-not-cancellable"
    title = "This grant can't be cancelled any more"


class OrderNotFound(Refusal):
    status = 404
    code = "order-not-found"
    title = "The member used no points for this order"


class CancelExceedsUse(Refusal):
    code = "cancel-exceeds-use"
    title = "More can't be given back than was used"


class OrderArchived(Refusal):
    code = "order-archived"
    title = "The order is too long ago to give points of it back"


class InvalidToken(Problem):
    """Said by the gateway, as all from here on: a request that it refuses never gets here."""

    status = 401
    code = "invalid-token"
    title = "The token is not valid"


class NoToken(Problem):
    status = 403
    code = "no-token"
    title = "This needs a token"


class Forbidden(Problem):
    status = 403
    code = "forbidden"
    title = "This caller may not do that"


class TooManyRequests(Problem):
    status = 429
    code = "too-many-requests"
    title = "Too many requests"
    retry_after = 1


class TookTooLong(Unavailable):
    status = 504


GATEWAY = (InvalidToken, NoToken, Forbidden, TooManyRequests, TookTooLong)
"""What every call may be answered before it reaches the service."""


def encode(problem: Problem, request_id: str | None = None) -> bytes:
    """Return the problem document as JSON."""
    return msgspec.json.encode(problem.document(request_id))
