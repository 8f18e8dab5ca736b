"""The HTTP surface: headers and bodies in, answers out. Every decision is made elsewhere."""

from typing import Any, Final, TypeVar

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from point_service import errors, logs, schemas
from point_service.domain import GrantKind
from point_service.errors import (
    PROBLEM_MEDIA_TYPE,
    InvalidField,
    MalformedJson,
    OrderNotFound,
    UnsupportedMediaType,
)
from point_service.idempotency import Key, check_key, request_hash
from point_service.identity import MEMBER_HEADER, ROLE_HEADER, Caller, Role, identify
from point_service.points import Outcome, Points

Call = Request[Any, Any, State]
Body = TypeVar("Body", bound=schemas.Request)

JSON: Final = "application/json"
EARN = msgspec.json.Decoder(schemas.EarnRequest)
USE = msgspec.json.Decoder(schemas.UseRequest)


@post("/v1/points/earn", status_code=201)
async def earn(request: Call) -> Response[bytes]:
    """Grant points to the member; an admin's grant is MANUAL."""
    caller = _caller(request)
    caller.require(Role.SERVICE, Role.ADMIN)
    key = check_key(request.headers.getall("idempotency-key", []))
    body = await _body(request, EARN)
    kind = GrantKind.MANUAL if caller.role is Role.ADMIN else GrantKind.NORMAL
    return _answer(await _points(request).earn(_scoped(caller, key, "earn", body), body, kind))


@post("/v1/points/use", status_code=201)
async def use(request: Call) -> Response[bytes]:
    """Use the member's points for an order."""
    caller = _caller(request)
    key = check_key(request.headers.getall("idempotency-key", []))
    body = await _body(request, USE)
    return _answer(await _points(request).use(_scoped(caller, key, "use", body), body))


@get("/v1/points")
async def balance(request: Call) -> Response[bytes]:
    """Return what the member can spend now."""
    caller = _caller(request)
    return _read(await _points(request).balance(caller.member_id))


@get("/v1/points/orders/{order_id:str}")
async def order(request: Call, order_id: FromPath[str]) -> Response[bytes]:
    """Return where an order's points came from."""
    caller = _caller(request)
    if not schemas.ORDER_ID.fullmatch(order_id):
        raise OrderNotFound("no order has such an id")
    return _read(await _points(request).order(caller.member_id, order_id))


HANDLERS: Final[list[ControllerRouterHandler]] = [earn, use, balance, order]


def _points(request: Call) -> Points:
    return request.app.state.points


def _caller(request: Call) -> Caller:
    headers = request.headers
    caller = identify(headers.getall(MEMBER_HEADER, []), headers.getall(ROLE_HEADER, []))
    request.scope["state"]["member"] = logs.hashed(caller.member_id)
    return caller


def _scoped(caller: Caller, key: str, operation: str, body: schemas.Request) -> Key:
    return Key(caller.scope, caller.member_id, key, request_hash(operation, body))


async def _body(request: Call, decoder: msgspec.json.Decoder[Body]) -> Body:
    """Return the decoded body. Raises UnsupportedMediaType, MalformedJson, InvalidField with the field."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType("send Content-Type: application/json", field="Content-Type")
    try:
        return decoder.decode(await request.body())
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        field = path.strip(".`") or (
            message.rpartition("field `")[2].strip("`") if "field `" in message else None
        )
        raise InvalidField(message.replace("`", ""), field=field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson("the body must be one JSON object in UTF-8") from None


def _answer(outcome: Outcome) -> Response[bytes]:
    return Response(
        outcome.body.encode(),
        status_code=outcome.status,
        media_type=JSON if outcome.status < 400 else PROBLEM_MEDIA_TYPE,
        headers={"idempotency-replayed": "true"} if outcome.replayed else None,
    )


def _read(answer: schemas.Answer) -> Response[bytes]:
    # A balance is nobody else's, and stale at once.
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
