"""Who gets an answer: a page of this address alone, by its own name, with the token where something is told.

The page can be asked by every program of this machine and by every site that its user's browser has open. A site that
gives its name this address (DNS rebinding) has another `Host`, a script of another site another `Origin`. The token is
in the address's fragment, which a browser sends to nobody; the page's script sends it as a header, which a script of
another site could not do without being allowed to. No cookie: other ports of this host would get it.
"""

import hmac
from collections.abc import Sequence

from litestar.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{what}-src 'self'" for what in ("script", "style", "img", "connect")),
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
SCRIPTS = tuple(
    f"/{name}.js" for name in ("acts", "console", "elements", "picture", "reports", "switches", "words")
)
OPEN = ("/", "/console.css", "/icon.svg", *SCRIPTS)
"""What tells nothing, so needs no token: the page itself, still empty."""


def refusal(path: str, headers: Sequence[tuple[bytes, bytes]], port: int, token: str) -> str | None:
    """Why a request is refused, None when it isn't."""
    hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
    host, origin, authorization = (_values(headers, n) for n in ("host", "origin", "authorization"))
    if len(host) != 1 or host[0] not in hosts:
        return "this is no name of the console"
    if origin and origin != [f"http://{host[0]}"]:
        return "another site may not ask"
    given = authorization[0] if len(authorization) == 1 else ""
    if path not in OPEN and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return "the token is wrong: open the address that `make console` printed"
    return None


def _values(headers: Sequence[tuple[bytes, bytes]], name: str) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name.encode()]


class Guard:
    """Refuses with 403 before the application is asked, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self._app, self._port, self._token = app, port, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        why = refusal(scope["path"], scope["headers"], self._port, self._token)
        if why is None:
            await self._app(scope, receive, guarded)
            return
        body = f"403: {why}\n".encode()
        told = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await guarded({"type": "http.response.start", "status": 403, "headers": told})
        await guarded({"type": "http.response.body", "body": body, "more_body": False})
