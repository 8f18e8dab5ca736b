"""How the gateway words its own refusals: as the service does, in problem documents (RFC 9457).

Codes that the service has as well are the service's (`point_service/contract/errors.py`); docs/api.md lists all.
"""

import re
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from point_operator.resources.gateway.gateway import Sharer
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
    becomes: int = 0
    """The status that is said in place of `status`."""


NO_MEMBER = Refusal(
    status=403,
    becomes=401,
    code="no-member",
    title="The request names no member",
    detail="the token is good, but its claim that names the member is missing, empty or no text",
)
"""Said when the policy refused a token, which says of none why."""
SPACED = msgspec.structs.replace(
    NO_MEMBER,
    detail="the token is good, but its claim that names the member begins or ends with a space, which a header loses",
)
TOKEN_CHECK = "envoy.filters.http.jwt_authn"  # noqa: S105 - a filter
CLAIMS = "payload"
"""Where the token check leaves a good token's claims, as Istio has it."""
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
        detail="the token is good, but not for this service or not for this address",
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


def local_replies(sharers: Sequence[Sharer] = ()) -> dict[str, Any]:
    """Return Envoy's `local_reply_config`: for what the gateway answers itself, whosever host it is.

    Answers of the service are no local replies and pass as they are. What cross-origin pages may read is added by
    the CORS filter, which knows the host's origins.
    """
    # A number has become a header all the same. Of the claim `sub` the token check itself says so.
    numbers = {(one.member_claim, one.hosts) for one in sharers if one.member_claim != "sub"}
    return {
        "mappers": [
            *(_mapper(_number(claim), *_is_number(claim, hosts)) for claim, hosts in sorted(numbers)),
            _mapper(NO_MEMBER, _a_claim("iss", {"present_match": True}), _member_header(present_match=False)),
            _mapper(SPACED, _member_header(string_match={"safe_regex": {"regex": " .*|.* "}})),
            *(_mapper(refusal) for refusal in REFUSALS),
        ]
    }


def _number(claim: str) -> Refusal:
    detail = (
        f"the token is good, but its claim {claim}, which names the member, is a number: it must be a text"
    )
    return msgspec.structs.replace(NO_MEMBER, detail=detail)


def _is_number(claim: str, hosts: Sequence[str]) -> list[dict[str, Any]]:
    ours = f"(?i)({'|'.join(map(re.escape, hosts))})(:.*)?"
    host = {"header": {"name": ":authority", "string_match": {"safe_regex": {"regex": ours}}}}
    largest = sys.float_info.max
    return [
        {"header_filter": host},
        _a_claim(claim, {"double_match": {"range": {"start": -largest, "end": largest}}}),
    ]


def _a_claim(claim: str, value: dict[str, Any]) -> dict[str, Any]:
    path = [{"key": CLAIMS}, {"key": claim}]
    matcher = {"filter": TOKEN_CHECK, "path": path, "value": value}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}


def _member_header(**matching: Any) -> dict[str, Any]:
    return {"header_filter": {"header": {"name": MEMBER_HEADER, **matching}}}


def _mapper(refusal: Refusal, *only: dict[str, Any]) -> dict[str, Any]:
    headers = {"x-request-id": REQUEST_ID} | ({"retry-after": "1"} if refusal.retry else {})
    return {
        **({"status_code": refusal.becomes} if refusal.becomes else {}),
        "filter": _filter(refusal, *only),
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


def _filter(refusal: Refusal, *only: dict[str, Any]) -> dict[str, Any]:
    comparison = {
        "op": "GE" if refusal.and_above else "EQ",
        "value": {"default_value": refusal.status, "runtime_key": f"pointservice.io.{refusal.code}"},
    }
    status = {"status_code_filter": {"comparison": comparison}}
    filters = [status, *([_member_header(present_match=True)] if refusal.verified else []), *only]
    return {"and_filter": {"filters": filters}} if len(filters) > 1 else status
