"""What a page may ask to be done: each by its name, with a JSON body that is checked before anything is done."""

import asyncio
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from point_local.console.looker import Desk
from point_local.console.member import Step
from point_local.console.service import Patch, command
from point_local.console.switches import Wanted
from point_local.console.watch import Watch
from point_local.programs.command import LocalError, kubectl

MOST_BYTES = 4096
"""A larger body is none of a page's."""


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of what needs no more to be said: {}."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A blow, by the name that it has in the drill's table."""

    blow: str


@dataclass(frozen=True)
class Act:
    """What its body must be, and what is done with it; LocalError says why it was not."""

    body: type[Any]
    do: Callable[[Any], None]


def acts(desk: Desk) -> dict[str, Act]:
    """Everything that can be done, by name."""
    switches = desk.switches
    return {
        "load": Act(Wanted, switches.start),
        "load-stop": Act(Nothing, lambda _: switches.stop()),
        "blow": Act(Chosen, lambda chosen: switches.strike(chosen.blow)),
        "mend": Act(Nothing, lambda _: switches.mend()),
        "member": Act(Step, desk.member.do),
        "patch": Act(Patch, lambda patch: _patch(desk, patch)),
    }


def handler(desk: Desk, watch: Watch) -> HTTPRouteHandler:
    """POST /acts/NAME: 200 with the desk as it is then, 400 with what is wrong about the body, 409 with why not."""
    known = acts(desk)

    @post("/acts/{name:str}", status_code=200)
    async def act(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
        if name not in known:
            return _answer(404, {"error": f"no such act: {name}"})
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _answer(415, {"error": "the body must be application/json"})
        body = await request.body()
        try:
            wanted = msgspec.json.decode(body, type=known[name].body)
        except msgspec.MsgspecError as error:
            return _answer(400, {"error": str(error)})
        try:
            await asyncio.to_thread(known[name].do, wanted)
        except LocalError as error:
            return _answer(409, {"error": str(error)})
        watch.nudge()
        return _answer(200, desk.shown())

    return act


def _answer(status: int, body: object) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")


def _patch(desk: Desk, patch: Patch) -> None:
    words = [*command(patch), *(["--dry-run=server"] if patch.dry else [])]
    desk.command = shlex.join(["kubectl", *words])
    kubectl(*words, timeout=30)
    if not patch.dry:
        desk.timeline.tell(desk.command)
