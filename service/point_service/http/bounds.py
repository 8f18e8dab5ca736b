"""When requests end: each at its deadline, or with whoever asked; the last ones before the process."""

import asyncio
from collections.abc import Iterable

from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from point_service.admission import leave
from point_service.contract import errors
from point_service.contract.errors import PROBLEM_MEDIA_TYPE, Unavailable
from point_service.patience import Patience
from point_service.telemetry import logs

PATIENCE = "patience"
"""Under that name the request's state holds what was known of it when it came."""
EXPECTED = b"x-envoy-expected-rq-timeout-ms"
"""The gateway says so how long it waits for an answer, milliseconds."""
LONGEST = 9  # digits of it that are believed


class Bounded:
    """An ASGI application whose requests end within `deadline` seconds, and whose last ones can be waited for.

    A gateway that waits less says so with the request, and a client that is gone waits no longer at all.
    """

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
        status = 0
        patience: Patience = scope.get("state", {}).get(PATIENCE) or Patience()
        task = asyncio.current_task()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.draining:  # the client's next request then goes to another pod
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        patience.begin(task, expected(scope["headers"], self._deadline))
        try:
            async with asyncio.timeout_at(patience.ends):
                await self._application(scope, receive, sending)
        except TimeoutError:
            if status:
                raise
            await _refuse(sending, Unavailable("the request took too long; try again with the same key"))
        except asyncio.CancelledError:
            if not patience.gone or task is None:
                raise
            task.uncancel()
            if not status:  # for the log and the metrics: nobody reads it
                await _refuse(sending, Unavailable("whoever asked for it is gone"))
        finally:
            leave(patience, status)


def expected(headers: Iterable[tuple[bytes, bytes]], most: float) -> float:
    """Return the seconds in which an answer is of use: what the gateway says, and never more than `most`."""
    for name, value in headers:
        if name == EXPECTED and value.isdigit() and len(value) <= LONGEST and int(value):
            most = min(most, int(value) / 1000)
    return most


async def _refuse(send: Send, problem: errors.Problem) -> None:
    body = errors.encode(problem, logs.REQUEST_ID.get())
    start: HTTPResponseStartEvent = {
        "type": "http.response.start",
        "status": problem.status,
        "headers": [
            (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *((name.encode(), value.encode()) for name, value in problem.headers().items()),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
