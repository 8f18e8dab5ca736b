"""What a request says: who calls, for whose points, under which key, what exactly."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec
from litestar import Request
from litestar.datastructures import State

from point_service.contract import schemas
from point_service.contract.errors import (
    BodyTooLarge,
    GrantNotFound,
    InvalidField,
    InvalidRequest,
    MalformedJson,
    NotFound,
    OrderNotFound,
    UnsupportedMediaType,
)
from point_service.contract.idempotency import check_key
from point_service.contract.identity import (
    CLIENT_HEADER,
    MEMBER_HEADER,
    ROLE_HEADER,
    Caller,
    Role,
    decode,
    identify,
)
from point_service.domain.entries import EVERY_ENTRY, EntryKind, Filter
from point_service.domain.policy import Policy
from point_service.telemetry import logs

Call = Request[Any, Any, State]
Body = TypeVar("Body", bound=schemas.Request)

JSON = "application/json"
BASE64URL = "base64url"
MOMENT = re.compile(schemas.MOMENT_PATTERN)


def caller(call: Call, roles: Sequence[Role]) -> Caller:
    """Return the caller.

    Raises NoMember, NoClient, or RoleMissing when it acts in none of `roles` (none: any will do).
    """
    said = (call.headers.getall(header, []) for header in (MEMBER_HEADER, ROLE_HEADER, CLIENT_HEADER))
    known = identify(*said)
    call.scope["state"]["member"] = logs.hashed(known.member_id)
    if roles:
        known.require(*roles)
    return known


def member_id(call: Call, known: Caller) -> str:
    """Return whose points it is about: the path's member, or else the caller itself. Raises NotFound, InvalidField."""
    if "member_id" not in call.path_params:
        return known.member_id
    named = _in_path(call, "member_id")
    encoding = call.query_params.get("encoding")
    if encoding is not None:
        if encoding != BASE64URL:
            raise InvalidField(f"encoding must be {BASE64URL}, or be left out", field="encoding")
        try:
            named = decode(named).decode()
        except ValueError:
            raise NotFound("the address names no member in base64url") from None
    if not schemas.MEMBER_ID.fullmatch(named):
        raise NotFound("no member has such an id")
    call.scope["state"]["about"] = logs.hashed(named)
    return named


def order_id(call: Call) -> str:
    """Return the path's order. Raises OrderNotFound when no order can be called that."""
    named = _in_path(call, "order_id")
    if not schemas.ORDER_ID.fullmatch(named):
        raise OrderNotFound("no order has such an id")
    return named


def grant_id(call: Call) -> int:
    """Return the path's grant. Raises GrantNotFound when no grant can have that number."""
    number = _number(_in_path(call, "grant_id"))
    if number is None:
        raise GrantNotFound("the member has no such grant")
    return number


def page(call: Call) -> tuple[int, int]:
    """Return the id to begin below and the number of rows. Raises InvalidField."""
    cursor, limit = call.query_params.get("cursor"), call.query_params.get("limit")
    before = schemas.MAX_ID if cursor is None else _number(cursor)
    if before is None:
        raise InvalidField("cursor must be a next_cursor that an earlier page gave", field="cursor")
    size = schemas.USUAL_PAGE if limit is None else _number(limit)
    if size is None or size > schemas.MAX_PAGE:
        raise InvalidField(f"limit must be from 1 to {schemas.MAX_PAGE}", field="limit")
    return before, size


def only_live(call: Call) -> bool:
    """Tell whether only live grants are asked for. Raises InvalidField."""
    live = call.query_params.get("live", "false")
    if live not in ("true", "false"):
        raise InvalidField("live must be true or false", field="live")
    return live == "true"


def only(call: Call) -> Filter:
    """Return which entries are asked for. Raises InvalidField."""
    since, until = _moment(call, "from"), _moment(call, "to")
    if since is not None and until is not None and since > until:
        raise InvalidField("from must not be after to", field="from")
    kinds = call.query_params.getall("kind", [])
    if not set(kinds) <= set(EntryKind):
        raise InvalidField(f"kind must be one of {', '.join(EntryKind)}; it may be repeated", field="kind")
    return Filter(
        since=since or EVERY_ENTRY.since,
        until=until or EVERY_ENTRY.until,
        kinds=tuple(kind for kind in EntryKind if kind in kinds) if kinds else EVERY_ENTRY.kinds,
    )


def idempotency_key(call: Call) -> str:
    """Return the key. Raises InvalidIdempotencyKey."""
    return check_key(call.headers.getall("idempotency-key", []))


class Context(msgspec.Struct, frozen=True):
    """What an operation may depend on besides its body."""

    call: Call
    caller: Caller
    policy: Policy


async def body(call: Call, decoder: msgspec.json.Decoder[Body]) -> Body:
    """Return the decoded body. Raises UnsupportedMediaType, MalformedJson, InvalidField with the field."""
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType("send Content-Type: application/json", field="Content-Type")
    try:
        return decoder.decode(await _read_whole(call))
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        field = path.strip(".`") or (
            message.rpartition("field `")[2].strip("`") if "field `" in message else None
        )
        if " matching regex " in message and field is not None:
            message = schemas.EXPECTED.get(field, message)
        raise InvalidField(message.replace("`", ""), field=field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson("the body must be one JSON object in UTF-8") from None


async def _read_whole(call: Call) -> bytes:
    """Return the body. Raises BodyTooLarge, InvalidRequest when the client went away in the middle of it.

    What is too large is read all the same, within reason, and not kept: a connection that is closed on bytes
    nobody read takes its answer with it.
    """
    pieces: list[bytes] = []
    size, more = 0, True
    while more and size <= schemas.MAX_READ_BYTES:
        message = await call.receive()
        if message["type"] != "http.request":
            raise InvalidRequest("the body ended too soon")
        size += len(message["body"])
        more = message["more_body"]
        if size <= schemas.MAX_BODY_BYTES:
            pieces.append(message["body"])
    if size > schemas.MAX_BODY_BYTES:
        raise BodyTooLarge(f"a body may have {schemas.MAX_BODY_BYTES} bytes")
    return b"".join(pieces)


def _in_path(call: Call, name: str) -> str:
    """Return a part of the path, decoded, once; what is no UTF-8 is no name of anything."""
    return unquote(call.path_params[name])


def _moment(call: Call, name: str) -> datetime | None:
    """Return a moment of the query, None when it names none. Raises InvalidField."""
    text = call.query_params.get(name)
    if text is None:
        return None
    try:
        if MOMENT.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # there is no such day, or it is past what a moment can be
    raise InvalidField(
        f"{name} must be a moment of RFC 3339, to the microsecond, with Z or an offset: 2026-11-24T03:00:00Z or"
        " 2026-11-24T12:00:00%2B09:00 (in a query a + is sent as %2B, or it arrives as a space)",
        field=name,
    )


def _number(text: str) -> int | None:
    """Return an id as the number it is, None when it can't be one."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    number = int(text)
    return number if 0 < number <= schemas.MAX_ID else None
