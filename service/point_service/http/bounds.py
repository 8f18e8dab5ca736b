"""When requests end: each at its deadline, the last ones before the process."""

import asyncio

from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from point_service.contract import errors
from point_service.contract.errors import PROBLEM_MEDIA_TYPE, Unavailable
from point_service.telemetry import logs


class Bounded:
    """An ASGI application whose requests end within `deadline` seconds, and whose last ones can be waited for."""

    def __init__(self, application: ASGIApp, deadline: float) -> None:
        self._application = application
        self._deadline = deadline
        self.in_flight = 0
        self._seen = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    async def drained(self, timeout: float, quiet: float = 0) -> bool:  # noqa: ASYNC109 - the wait is this object's own
        """Wait until no request has been answered for `quiet` seconds; False when one still is after `timeout` seconds.

        A client that had its answer before the drain began may just be sending its next request.
        """
        try:
            async with asyncio.timeout(timeout):
                seen = -1
                while self.in_flight or self._seen != seen:
                    seen = self._seen
                    await self._idle.wait()
                    await asyncio.sleep(quiet)
        except TimeoutError:
            return self.in_flight == 0
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass the life of the server through."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        self.in_flight += 1
        self._seen += 1
        self._idle.clear()
        try:
            await self._answer(scope, receive, send)
        finally:
            self.in_flight -= 1
            if self.in_flight == 0:
                self._idle.set()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                if self.draining:  # the client's next request then goes to another pod
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        try:
            async with asyncio.timeout(self._deadline):
                await self._application(scope, receive, sending)
        except TimeoutError:
            if begun:
                raise
            await _refuse(sending, Unavailable("the request took too long; try again with the same key"))


async def _refuse(send: Send, problem: errors.Problem) -> None:
    body = errors.encode(problem, logs.REQUEST_ID.get())
    start: HTTPResponseStartEvent = {
        "type": "http.response.start",
        "status": problem.status,
        "headers": [
            (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(problem.retry_after or 1).encode()),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
