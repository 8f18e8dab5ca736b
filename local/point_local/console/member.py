"""One member's story through the edge: a token, points earned, used and given back; and what an attacker may try."""

import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import httpx
import msgspec
from joserfc.jwk import RSAKey

from point_local.commands.demo import Client
from point_local.drill import attacks
from point_local.programs.command import LocalError
from point_local.stack import issuer

KEPT = 20
"""So many requests are kept."""
STEPS = ("mint", "earn", "look", "use", "cancel")
REFUSED = (400, 401, 403)
TOLD = ("content-type", "x-request-id", "www-authenticate", "retry-after", "idempotency-replayed")
"""The answer's headers that are shown."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the member does: one of STEPS, or `try` with the name of an attack; `amount` in points."""

    do: str
    amount: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 100
    attack: str = ""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its answer; `at` in seconds since 1970."""

    at: float
    title: str
    request: str
    answer: str
    status: int | None
    """None where nothing was asked."""
    well: bool
    """Whether the answer is as it must be: done, or refused if it was an attack."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The story so far, the newest first."""

    member: str | None
    order: str | None
    """The order that can be cancelled."""
    exchanges: Sequence[Exchange]
    attacks: Sequence[str]


class _Forger:
    """The local issuer, whose tokens an attacker changes."""

    def __init__(self, member: str) -> None:
        self._member = member

    @property
    def key(self) -> RSAKey:
        return issuer.key()

    def claims(self, **changes: object) -> dict[str, object]:
        return {k: v for k, v in (issuer.payload(self._member) | changes).items() if v is not None}


def _attacks() -> dict[str, Callable[[str], dict[str, Any]]]:
    """What is sent beside method and path, by name; each is given the attacker's own member."""
    grant = {"method": "POST", "path": "/v1/points/earn", "body": {"amount": 1000}}
    made: dict[str, Callable[[str], dict[str, Any]]] = {
        "no token": lambda _: {"token": ""},
        "a member grants himself points": lambda _: grant,
    }
    for name, forge in attacks.FORGERIES.items():
        made[f"a forged token: {name}"] = lambda member, forge=forge: {"token": forge(_Forger(member))}
    for name, headers in attacks.SPOOFS.items():
        made[f"an identity header, no token: {name}"] = lambda _, h=headers: {"token": "", "headers": dict(h)}
    for name, headers in attacks.SPOOFS.items():
        made[f"an identity header beside a good token: {name}"] = lambda _, h=headers: (
            grant | {"headers": dict(h)}
        )
    return made


ATTACKS = _attacks()


class Member:
    """One member for all pages. What can't be done raises LocalError."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._member: str | None = None
        self._order: str | None = None
        self._used = 0
        self._exchanges: deque[Exchange] = deque(maxlen=KEPT)

    def do(self, step: Step) -> None:
        """Do one step, and keep what was asked and answered."""
        if step.do not in (*STEPS, "try"):
            raise LocalError(f"do is {step.do!r}: allowed are {', '.join((*STEPS, 'try'))}")
        if step.do == "try" and step.attack not in ATTACKS:
            raise LocalError(f"attack is {step.attack!r}: there is no such")
        with self._lock:
            if step.do == "mint":
                self._mint()
                return
            if self._member is None:
                raise LocalError("mint a token first")
            if step.do == "try":
                how = dict(ATTACKS[step.attack](self._member))
                method, path = how.pop("method", "GET"), how.pop("path", "/v1/points")
                self._ask(self._member, step.attack, REFUSED, method, path, **how)
            else:
                self._act(self._member, step)

    def shown(self) -> Shown:
        """The story so far."""
        return Shown(
            member=self._member,
            order=self._order,
            exchanges=list(self._exchanges),
            attacks=tuple(ATTACKS),
        )

    def _mint(self) -> None:
        self._member, self._order = f"m-{secrets.token_hex(4)}", None
        claims = json.dumps(issuer.payload(self._member), indent=1)
        told = f"signed by {issuer.ISSUER}, RS256, key {issuer.key().kid}"
        self._keep(f"a token for {self._member}", told, claims, None, well=True)

    def _act(self, member: str, step: Step) -> None:
        match step.do:
            case "earn":
                body: dict[str, object] = {"amount": step.amount}
                self._ask(member, "earn", (201,), "POST", "/v1/points/earn", body=body, role="service")
            case "use":
                order = f"o-{secrets.token_hex(4)}"
                body = {"order_id": order, "amount": step.amount}
                if self._ask(member, "use", (201, 409), "POST", "/v1/points/use", body=body) == 201:
                    self._order, self._used = order, step.amount
            case "cancel":
                if self._order is None:
                    raise LocalError("use some points first: there is nothing to cancel")
                body = {"order_id": self._order, "amount": self._used}
                path = "/v1/points/use/cancel"
                if self._ask(member, "cancel", (201,), "POST", path, body=body, role="service") == 201:
                    self._order = None
            case _:
                self._ask(member, "look", (200,), "GET", "/v1/points")

    def _ask(  # what a request is made of
        self, member: str, title: str, wanted: Sequence[int], method: str, path: str, **how: Any
    ) -> int:
        with Client(member) as client:
            answer = client.call(method, path, **how)
        self._keep(
            title, _request(answer.request), _answer(answer), answer.status_code, answer.status_code in wanted
        )
        return answer.status_code

    def _keep(self, title: str, request: str, answer: str, status: int | None, well: bool) -> None:
        self._exchanges.appendleft(
            Exchange(at=time.time(), title=title, request=request, answer=answer, status=status, well=well)
        )


def _request(request: httpx.Request) -> str:
    usual = ("host", "accept", "accept-encoding", "connection", "user-agent", "content-length")
    headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
    lines = [f"{name}: {_short(value)}" for name, value in headers if name.lower() not in usual]
    return "\n".join([f"{request.method} {request.url.path}", *lines, *_body(request.content)])


def _answer(answer: httpx.Response) -> str:
    lines = [f"{name}: {answer.headers[name]}" for name in TOLD if name in answer.headers]
    return "\n".join([f"{answer.status_code} {answer.reason_phrase}".strip(), *lines, *_body(answer.content)])


def _body(content: bytes) -> list[str]:
    return ["", content.decode(errors="replace")] if content else []


def _short(value: str) -> str:
    """A token without its middle: whoever sees the page need not have it."""
    return value if len(value) <= 60 else f"{value[:24]}…{value[-8:]}"
