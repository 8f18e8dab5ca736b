"""What is known of every request: its id and its trace, its metrics and its log line."""

import logging
import re
import time
import uuid
from contextlib import nullcontext

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from point_service.telemetry import logs, metrics, traces

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})

log = logging.getLogger("point_service.access")


class Observed:
    """An ASGI application with the service's own view of each request."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass the life of the server through."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = request_id_of(headers.get(b"x-request-id", b""))
        traced = TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
        logs.REQUEST_ID.set(request_id)
        logs.TRACE_ID.set(traced.group(1).decode() if traced else None)
        quiet = scope["path"] in QUIET
        with nullcontext() if quiet else traces.request(scope["method"], headers):
            await self._answer(scope, receive, send, request_id)

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send, request_id: str) -> None:
        started = time.perf_counter()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._application(scope, receive, sending)
        finally:
            _record(scope, status, time.perf_counter() - started)


def _record(scope: HTTPScope, status: int, seconds: float) -> None:
    # Only known routes become labels: a scan of made-up paths must not fill the metrics.
    route = scope.get("path_template") or "other"
    method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
    metrics.REQUESTS.labels(route, method, str(status)).inc()
    metrics.DURATION.labels(route, method).observe(seconds)
    if route not in QUIET:
        state = scope.get("state", {})
        traces.answered(method, route, status)
        log.info(
            "request",
            extra={
                "method": scope["method"],
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 2),
                "member": state.get("member"),
                **({"about": state["about"]} if "about" in state else {}),
            },
        )


def request_id_of(value: bytes) -> str:
    """Return the id that a request brought, or one of its own when that is none."""
    return value.decode() if REQUEST_ID.fullmatch(value) else str(uuid.uuid4())
