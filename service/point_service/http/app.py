"""The application: what lives as long as the process, and the routes over it."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import msgspec
from litestar import Litestar, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from point_service.contract.errors import (
    BodyTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Problem,
)
from point_service.contract.schemas import MAX_BODY_BYTES
from point_service.http import answers, handlers, probes
from point_service.http.bounds import Bounded
from point_service.http.observe import Observed
from point_service.http.requests import Call
from point_service.ledger import upkeep
from point_service.ledger.points import Points
from point_service.ledger.views import Views
from point_service.mysql.database import READER_LIMIT, Database, Reader
from point_service.mysql.pool import Pool, opener
from point_service.settings import DatabaseSettings, Settings
from point_service.telemetry import metrics, traces
from point_service.turns.cache import Cache
from point_service.turns.lock import MemberLock, prefix_of

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> tuple[Observed, Bounded]:
    """Return the ASGI application, and within it what ends requests.

    Its pools open with the server and close after the last request.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        database = settings.database
        if settings.traces_endpoint is not None:
            traces.start(settings.traces_endpoint, pod=settings.pod_name, zone=settings.zone)
        pool = _pool(database, database.host, reserve=settings.shared_requests > 1)
        reader = _reader_pool(database, database.reader_host) if database.reader_host is not None else None
        metrics.IN_FLIGHT.set_function(lambda: bounded.in_flight)
        metrics.POOL_SIZE.set(pool.size)
        metrics.POOL_IN_USE.set_function(lambda: pool.in_use)
        writer = Database(pool)
        cache = Cache(settings.cache) if settings.cache is not None and settings.lock_enabled else None
        if cache is not None:
            await cache.warm_up()
        lock = MemberLock(cache, prefix_of(database.ledger))
        app.state.points = Points(
            writer, lock, settings.shared_requests, settings.idempotency_retention_hours
        )
        app.state.policy = settings.policy
        app.state.views = Views(writer, Reader(reader) if reader else None, settings.policy)
        # Asked on a connection of its own: a busy pool is no reason to send the load to fewer pods.
        probe = _pool(msgspec.structs.replace(database, pool_size=1), database.host)
        app.state.readiness = probes.Readiness(Database(probe), pool)
        app.state.bounded = bounded
        interval = settings.upkeep_interval
        keeping_up = (
            asyncio.create_task(
                upkeep.keep_up(Database(pool, upkeep.LIMIT), interval, settings.idempotency_retention_hours)
            )
            if interval
            else None
        )
        try:
            yield
        finally:
            await bounded.drained(settings.drain_timeout)
            if keeping_up is not None:
                keeping_up.cancel()
                await asyncio.wait((keeping_up,))
            await pool.close()
            await probe.close()
            if reader is not None:
                await reader.close()
            if cache is not None:
                await cache.close()
            traces.stop()

    application = Litestar(
        [*handlers.handlers(), *probes.HANDLERS],
        lifespan=[lifespan],
        state=State({"keys_by_client": settings.keys_by_client}),
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        exception_handlers={Problem: _problem, HTTPException: _http_error, Exception: _bug},
    )
    bounded = Bounded(_as_routed(application), settings.request_timeout)
    return Observed(bounded), bounded


def _as_routed(application: ASGIApp) -> ASGIApp:
    """Route by the path as it was sent, so that a member's %2F is no border between two parts of it.

    And answer HEAD as GET is answered (RFC 9110, 9.3.2); the server leaves the body out.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = scope["raw_path"].decode("ascii")
            if scope["method"] == "HEAD":
                got = cast("HTTPScope", {**scope, "method": "GET"})
                try:
                    await application(got, receive, send)
                finally:  # what is counted and logged under it
                    if "path_template" in got:
                        scope["path_template"] = got["path_template"]
                return
        await application(scope, receive, send)

    return answer


def _pool(settings: DatabaseSettings, host: str, *, reserve: bool = False) -> Pool:
    return Pool(
        opener(settings, host),
        settings.pool_size,
        settings.acquire_timeout,
        settings.connection_lifetime,
        reserve=reserve,
    )


def _reader_pool(settings: DatabaseSettings, host: str) -> Pool:
    """A pool that nobody waits for longer than for the reader itself: the writer is behind it."""
    wait = min(settings.acquire_timeout, READER_LIMIT / 2)
    pool = _pool(msgspec.structs.replace(settings, acquire_timeout=wait), host)
    metrics.READER_POOL_SIZE.set(pool.size)
    metrics.READER_POOL_IN_USE.set_function(lambda: pool.in_use)
    return pool


def _problem(_: Call, problem: Problem) -> Response[bytes]:
    metrics.REFUSED.labels(problem.code).inc()
    return answers.refused(problem)


def _http_error(request: Call, error: HTTPException) -> Response[bytes]:
    """Translate the framework's own errors."""
    problem: Problem
    match error.status_code:
        case 404:
            problem = NotFound("no such address; the API is under /v1/points and /v1/members")
        case 405:
            problem = MethodNotAllowed(f"{request.method} is not for this address")
        case 413:
            problem = BodyTooLarge(f"a body may have {MAX_BODY_BYTES} bytes")
        case status if status < 500:
            problem = InvalidRequest("the request can't be read")
        case _:
            return _bug(request, error)
    response = _problem(request, problem)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def _bug(_: Call, error: Exception) -> Response[bytes]:
    log.error("unexpected error", exc_info=error)
    return answers.refused(InternalError("the error is in the log under this request's id"))
