"""The HTTP surface: headers and bodies in, answers out. Every decision is made elsewhere."""

from typing import Any, Final, TypeVar

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from point_service.contract import errors, schemas
from point_service.contract.errors import (
    PROBLEM_MEDIA_TYPE,
    BodyTooLarge,
    GrantNotFound,
    InvalidField,
    InvalidRequest,
    MalformedJson,
    NotFound,
    OrderNotFound,
    UnsupportedMediaType,
)
from point_service.contract.idempotency import Key, check_key, request_hash
from point_service.contract.identity import MEMBER_HEADER, ROLE_HEADER, Caller, Role, identify
from point_service.domain.grants import GrantKind
from point_service.ledger.points import Outcome, Points
from point_service.ledger.views import Views
from point_service.telemetry import logs

Call = Request[Any, Any, State]
Body = TypeVar("Body", bound=schemas.Request)

JSON: Final = "application/json"
EARN = msgspec.json.Decoder(schemas.EarnRequest)
CANCEL_EARN = msgspec.json.Decoder(schemas.CancelEarnRequest)
USE = msgspec.json.Decoder(schemas.UseRequest)
CANCEL_USE = msgspec.json.Decoder(schemas.CancelUseRequest)


@post("/v1/points/earn", status_code=201)
async def earn(request: Call) -> Response[bytes]:
    """Grant points to the member; an admin's grant is MANUAL."""
    caller = _caller(request, Role.SERVICE, Role.ADMIN)
    return await _earn(request, caller, caller.member_id)


@post("/v1/points/earn/{grant_id:str}/cancel", status_code=201)
async def cancel_earn(request: Call, grant_id: FromPath[str]) -> Response[bytes]:
    """Take a whole grant back."""
    caller = _caller(request, Role.SERVICE, Role.ADMIN)
    value = _key(request)
    body = await _body(request, CANCEL_EARN)
    number = _number(grant_id)
    if number is None:
        raise GrantNotFound("the member has no such grant")
    key = Key(caller.scope, caller.member_id, value, request_hash(f"cancel-earn {number}", body))
    return _answer(await _points(request).cancel_earn(key, number))


@post("/v1/points/use", status_code=201)
async def use(request: Call) -> Response[bytes]:
    """Use the member's points for an order."""
    caller = _caller(request)
    value = _key(request)
    body = await _body(request, USE)
    key = Key(caller.scope, caller.member_id, value, request_hash("use", body))
    return _answer(await _points(request).use(key, body))


@post("/v1/points/use/cancel", status_code=201)
async def cancel_use(request: Call) -> Response[bytes]:
    """Give points of an order back."""
    caller = _caller(request, Role.SERVICE, Role.ADMIN)
    value = _key(request)
    body = await _body(request, CANCEL_USE)
    key = Key(caller.scope, caller.member_id, value, request_hash("cancel-use", body))
    return _answer(await _points(request).cancel_use(key, body))


@get("/v1/points")
async def balance(request: Call) -> Response[bytes]:
    """Return what the member can spend now."""
    caller = _caller(request)
    return _read(await _views(request).balance(caller.member_id))


@get("/v1/points/grants")
async def grants(request: Call) -> Response[bytes]:
    """Return the member's grants, newest first."""
    return await _grants(request, _caller(request).member_id)


@get("/v1/points/history")
async def history(request: Call) -> Response[bytes]:
    """Return the member's ledger entries, newest first."""
    return await _history(request, _caller(request).member_id)


@get("/v1/points/orders/{order_id:str}")
async def order(request: Call, order_id: FromPath[str]) -> Response[bytes]:
    """Return where an order's points came from."""
    return await _order(request, _caller(request).member_id, order_id)


@post("/v1/admin/members/{member_id:str}/earn", status_code=201)
async def admin_earn(request: Call, member_id: FromPath[str]) -> Response[bytes]:
    """Grant points to any member; the grant is MANUAL."""
    caller = _caller(request, Role.ADMIN)
    return await _earn(request, caller, _member(member_id))


@get("/v1/admin/members/{member_id:str}")
async def admin_balance(request: Call, member_id: FromPath[str]) -> Response[bytes]:
    """Return what any member can spend now."""
    _caller(request, Role.ADMIN)
    member = _member(member_id)
    return _read(await _views(request).balance(member))


@get("/v1/admin/members/{member_id:str}/grants")
async def admin_grants(request: Call, member_id: FromPath[str]) -> Response[bytes]:
    """Return any member's grants, newest first."""
    _caller(request, Role.ADMIN)
    return await _grants(request, _member(member_id))


@get("/v1/admin/members/{member_id:str}/history")
async def admin_history(request: Call, member_id: FromPath[str]) -> Response[bytes]:
    """Return any member's ledger entries, newest first."""
    _caller(request, Role.ADMIN)
    return await _history(request, _member(member_id))


@get("/v1/admin/members/{member_id:str}/orders/{order_id:str}")
async def admin_order(request: Call, member_id: FromPath[str], order_id: FromPath[str]) -> Response[bytes]:
    """Return where the points of any member's order came from."""
    _caller(request, Role.ADMIN)
    return await _order(request, _member(member_id), order_id)


HANDLERS: Final[list[ControllerRouterHandler]] = [
    earn,
    cancel_earn,
    use,
    cancel_use,
    balance,
    grants,
    history,
    order,
    admin_earn,
    admin_balance,
    admin_grants,
    admin_history,
    admin_order,
]


async def _earn(request: Call, caller: Caller, member_id: str) -> Response[bytes]:
    value = _key(request)
    body = await _body(request, EARN)
    kind = GrantKind.MANUAL if caller.role is Role.ADMIN else GrantKind.NORMAL
    key = Key(caller.scope, member_id, value, request_hash("earn", body))
    return _answer(await _points(request).earn(key, body, kind))


async def _grants(request: Call, member_id: str) -> Response[bytes]:
    before, limit = _page(request)
    live = request.query_params.get("live", "false")
    if live not in ("true", "false"):
        raise InvalidField("live must be true or false", field="live")
    return _read(await _views(request).grants(member_id, before, limit, live == "true"))


async def _history(request: Call, member_id: str) -> Response[bytes]:
    before, limit = _page(request)
    return _read(await _views(request).history(member_id, before, limit))


async def _order(request: Call, member_id: str, order_id: str) -> Response[bytes]:
    if not schemas.ORDER_ID.fullmatch(order_id):
        raise OrderNotFound("no order has such an id")
    return _read(await _views(request).order(member_id, order_id))


def _points(request: Call) -> Points:
    return request.app.state.points


def _views(request: Call) -> Views:
    return request.app.state.views


def _caller(request: Call, *roles: Role) -> Caller:
    """Return the caller. Raises NoMember, or RoleMissing when it acts in none of `roles` (none: any will do)."""
    headers = request.headers
    caller = identify(headers.getall(MEMBER_HEADER, []), headers.getall(ROLE_HEADER, []))
    request.scope["state"]["member"] = logs.hashed(caller.member_id)
    if roles:
        caller.require(*roles)
    return caller


def _member(member_id: str) -> str:
    if not schemas.MEMBER_ID.fullmatch(member_id):
        raise NotFound("no member has such an id")
    return member_id


def _key(request: Call) -> str:
    return check_key(request.headers.getall("idempotency-key", []))


def _number(text: str) -> int | None:
    """Return an id as the number it is, None when it can't be one."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    number = int(text)
    return number if 0 < number <= schemas.MAX_ID else None


def _page(request: Call) -> tuple[int, int]:
    """Return the id to begin below and the number of rows. Raises InvalidField."""
    cursor, limit = request.query_params.get("cursor"), request.query_params.get("limit")
    before = schemas.MAX_ID if cursor is None else _number(cursor)
    if before is None:
        raise InvalidField("cursor must be a next_cursor that an earlier page gave", field="cursor")
    size = schemas.USUAL_PAGE if limit is None else _number(limit)
    if size is None or size > schemas.MAX_PAGE:
        raise InvalidField(f"limit must be from 1 to {schemas.MAX_PAGE}", field="limit")
    return before, size


async def _body(request: Call, decoder: msgspec.json.Decoder[Body]) -> Body:
    """Return the decoded body. Raises UnsupportedMediaType, MalformedJson, InvalidField with the field."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType("send Content-Type: application/json", field="Content-Type")
    try:
        return decoder.decode(await _read_whole(request))
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        field = path.strip(".`") or (
            message.rpartition("field `")[2].strip("`") if "field `" in message else None
        )
        raise InvalidField(message.replace("`", ""), field=field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson("the body must be one JSON object in UTF-8") from None


async def _read_whole(request: Call) -> bytes:
    """Return the body. Raises BodyTooLarge, InvalidRequest when the client went away in the middle of it.

    What is too large is read all the same, within reason, and not kept: a connection that is closed on bytes
    nobody read takes its answer with it.
    """
    pieces: list[bytes] = []
    size, more = 0, True
    while more and size <= schemas.MAX_READ_BYTES:
        message = await request.receive()
        if message["type"] != "http.request":
            raise InvalidRequest("the body ended too soon")
        size += len(message["body"])
        more = message["more_body"]
        if size <= schemas.MAX_BODY_BYTES:
            pieces.append(message["body"])
    if size > schemas.MAX_BODY_BYTES:
        raise BodyTooLarge(f"a body may have {schemas.MAX_BODY_BYTES} bytes")
    return b"".join(pieces)


def _answer(outcome: Outcome) -> Response[bytes]:
    return Response(
        outcome.body.encode(),
        status_code=outcome.status,
        media_type=JSON if outcome.status < 400 else PROBLEM_MEDIA_TYPE,
        headers={"idempotency-replayed": "true"} if outcome.replayed else None,
    )


def _read(answer: schemas.Answer) -> Response[bytes]:
    # A member's points are nobody else's, and stale at once.
    return Response(msgspec.json.encode(answer), media_type=JSON, headers={"cache-control": "no-store"})


def problem_response(problem: errors.Problem) -> Response[bytes]:
    """Return a problem as its answer."""
    headers = {"retry-after": str(problem.retry_after)} if problem.retry_after is not None else {}
    return Response(
        errors.encode(problem, logs.REQUEST_ID.get()),
        status_code=problem.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers=headers,
    )
