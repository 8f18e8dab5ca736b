"""How the gateway words its own refusals: as the service does, in problem documents (RFC 9457).

Codes that the service has as well are the service's (`point_service/contract/errors.py`); docs/api.md lists all.
"""

from typing import Any

import msgspec

from point_operator.resources.gateway.request_authentication import MEMBER_HEADER

TYPE_PREFIX = "urn:point-platform:problem:"
MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "%REQ(X-REQUEST-ID)%"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What is said when the gateway answers with `status`, or with any from it up to 599 when `and_above`."""

    status: int
    code: str
    title: str
    detail: str
    and_above: bool = False
    verified: bool = False
    """Only when a token was verified: its claims have become headers."""
    retry: bool = False


REFUSALS = (
    Refusal(
        status=401,
        code="invalid-token",
        title="The token is not valid",
        detail="%LOCAL_REPLY_BODY%",  # "Jwt is expired" and the like, words of Envoy's own
    ),
    Refusal(
        status=403,
        code="forbidden",
        title="This caller may not do that",
        detail="the token is good, but not for this address",
        verified=True,
    ),
    Refusal(
        status=403,
        code="no-token",
        title="This needs a token",
        detail="send a token that is meant for this service in the header Authorization, after Bearer",
    ),
    Refusal(
        status=404,
        code="not-found",
        title="There is nothing here",
        detail="no such address",
    ),
    Refusal(
        status=413,
        code="body-too-large",
        title="The body is too large",
        detail="the gateway takes no body of this size",
    ),
    Refusal(
        status=429,
        code="too-many-requests",
        title="Too many requests",
        detail="RateLimit-Policy names the limit, Retry-After says when to come back",
        retry=True,
    ),
    # What went wrong behind the gateway is for its log; it names pods and certificates.
    Refusal(
        status=500,
        code="unavailable",
        title="The service can't answer now",
        detail="the service did not answer the gateway; send the request again, with the same key",
        and_above=True,
        retry=True,
    ),
    Refusal(
        status=400,
        code="invalid-request",
        title="The request can't be read",
        detail="the gateway can't read this request",
        and_above=True,
    ),
)
"""The first that fits is said. Statuses below 400, redirects that is, stay as they are."""


def local_replies() -> dict[str, Any]:
    """Return Envoy's `local_reply_config`: for what the gateway answers itself, whosever host it is.

    Answers of the service are no local replies and pass as they are. What cross-origin pages may read is added by
    the CORS filter, which knows the host's origins.
    """
    return {"mappers": [_mapper(refusal) for refusal in REFUSALS]}


def _mapper(refusal: Refusal) -> dict[str, Any]:
    headers = {"x-request-id": REQUEST_ID} | ({"retry-after": "1"} if refusal.retry else {})
    return {
        "filter": _filter(refusal),
        "body_format_override": {
            "content_type": MEDIA_TYPE,
            "json_format": {
                "type": TYPE_PREFIX + refusal.code,
                "title": refusal.title,
                "status": "%RESPONSE_CODE%",
                "detail": refusal.detail,
                "request_id": REQUEST_ID,
            },
        },
        "headers_to_add": [
            {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": {"key": key, "value": value}}
            for key, value in headers.items()
        ],
    }


def _filter(refusal: Refusal) -> dict[str, Any]:
    comparison = {
        "op": "GE" if refusal.and_above else "EQ",
        "value": {"default_value": refusal.status, "runtime_key": f"pointservice.io.{refusal.code}"},
    }
    status = {"status_code_filter": {"comparison": comparison}}
    if not refusal.verified:
        return status
    member = {"header_filter": {"header": {"name": MEMBER_HEADER, "present_match": True}}}
    return {"and_filter": {"filters": [status, member]}}
