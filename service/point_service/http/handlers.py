"""Serves the routes: who may call is let in, what is asked is done by the ledger."""

import msgspec
from litestar import Response, get, post
from litestar.types import ControllerRouterHandler

from point_service.contract.idempotency import Key, request_hash
from point_service.http import answers, requests
from point_service.http.requests import Call, Context
from point_service.http.routes import ROUTES, Read, Write


def handlers() -> list[ControllerRouterHandler]:
    """Return what answers each route."""
    return [_writing(route) if isinstance(route, Write) else _reading(route) for route in ROUTES]


def _writing(route: Write) -> ControllerRouterHandler:
    decoder = msgspec.json.Decoder(route.body)

    async def write(request: Call) -> Response[bytes]:
        state = request.app.state
        caller = requests.caller(request, route.roles)
        member_id = requests.member_id(request, caller)
        if route.to_others:
            caller.require_another(member_id)
        by_client = state.keys_by_client
        if by_client:
            caller.require_client()
        value = requests.idempotency_key(request)
        body = await requests.body(request, decoder)
        operation = route.operation(body, Context(request, caller, state.policy))
        hashed = request_hash(operation.name, body)
        key = Key(
            caller.scope,
            member_id,
            value,
            hashed,
            caller.client_scope,
            by_client,
            body.reference,
            caller.sources,
        )
        return answers.written(await state.points.do(key, operation))

    return post(_path(route), status_code=201)(write)


def _reading(route: Read) -> ControllerRouterHandler:
    async def read(request: Call) -> Response[bytes]:
        caller = requests.caller(request, route.roles)
        member_id = requests.member_id(request, caller)
        return answers.seen(await route.view(request, request.app.state.views, member_id))

    return get(_path(route))(read)


def _path(route: Write | Read) -> str:
    """Return the address as Litestar writes it, each parameter a string: what it must be is said in `requests.py`."""
    return route.path.replace("}", ":str}")
