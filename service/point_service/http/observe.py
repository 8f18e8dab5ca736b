"""Around every request: its id, its deadline, its metrics and its log line; and the drain at the end."""

import asyncio
import logging
import re
import time
import uuid
from contextlib import nullcontext

from litestar.types import ASGIApp, HTTPResponseStartEvent, HTTPScope, Message, Receive, Scope, Send

from point_service.contract import errors
from point_service.contract.errors import PROBLEM_MEDIA_TYPE, Unavailable
from point_service.telemetry import logs, metrics, traces

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})

log = logging.getLogger("point_service.access")


class Observed:
    """An ASGI application with the service's own view of each request. `deadline` is seconds."""

    def __init__(self, application: ASGIApp, deadline: float) -> None:
        self._application = application
        self._deadline = deadline
        self._in_flight = 0
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
                while self._in_flight or self._seen != seen:
                    seen = self._seen
                    await self._idle.wait()
                    await asyncio.sleep(quiet)
        except TimeoutError:
            return self._in_flight == 0
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass the life of the server through."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        traced = TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
        logs.REQUEST_ID.set(request_id)
        logs.TRACE_ID.set(traced.group(1).decode() if traced else None)
        self._in_flight += 1
        self._seen += 1
        self._idle.clear()
        metrics.IN_FLIGHT.inc()
        quiet = scope["path"] in QUIET
        try:
            with nullcontext() if quiet else traces.request(scope["method"], headers):
                await self._answer(scope, receive, send, request_id)
        finally:
            metrics.IN_FLIGHT.dec()
            self._in_flight -= 1
            if self._in_flight == 0:
                self._idle.set()

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send, request_id: str) -> None:
        started = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = [(b"x-request-id", request_id.encode())]
                if self.draining:  # the client's next request then goes to another pod
                    added.append((b"connection", b"close"))
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        try:
            async with asyncio.timeout(self._deadline):
                await self._application(scope, receive, sending)
        except TimeoutError:
            if status:
                raise
            late = Unavailable("the request took too long; try again with the same key")
            await _send_problem(sending, late, request_id)
        finally:
            _record(scope, status or 500, time.perf_counter() - started)


def _record(scope: HTTPScope, status: int, seconds: float) -> None:
    # Only known routes become labels: a scan of made-up paths must not fill the metrics.
    route = scope.get("path_template") or "other"
    method = scope["method"] if scope["method"] in ("GET", "POST") else "other"
    metrics.REQUESTS.labels(route, method, str(status)).inc()
    metrics.DURATION.labels(route, method).observe(seconds)
    if route not in QUIET:
        traces.answered(method, route, status)
        log.info(
            "request",
            extra={
                "method": scope["method"],
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 2),
                "member": scope.get("state", {}).get("member"),
            },
        )


def _request_id(headers: dict[bytes, bytes]) -> str:
    value = headers.get(b"x-request-id", b"")
    return value.decode() if REQUEST_ID.fullmatch(value) else str(uuid.uuid4())


async def _send_problem(send: Send, problem: errors.Problem, request_id: str) -> None:
    body = errors.encode(problem, request_id)
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
