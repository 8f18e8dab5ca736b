"""What the platform asks: alive, ready, metrics."""

import asyncio
import time
from functools import cache
from typing import Final

import msgspec
from litestar import Response, get
from litestar.types import ControllerRouterHandler
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from point_service.contract.errors import Problem
from point_service.http import openapi
from point_service.http.requests import Call
from point_service.mysql import revision
from point_service.mysql.database import Database
from point_service.mysql.pool import Pool
from point_service.mysql.store.reads import schema_version

REMEMBERED = 1.0  # seconds that an answer of the database holds
TIMEOUT = 2.0  # seconds


class Readiness:
    """Tells whether this process can serve: its database takes writes, and its schema is here.

    It asks `database`, on a connection of its own. `pool` is the one that serves requests.
    """

    def __init__(self, database: Database, pool: Pool) -> None:
        self._database = database
        self._pool = pool
        self._checked = time.monotonic() - REMEMBERED
        self._reason: str | None = None
        self._demoted = False  # it was read-only when it was last asked
        self._lock = asyncio.Lock()

    async def reason_against(self) -> str | None:
        """Return why not, or None when it can."""
        async with self._lock:
            if time.monotonic() - self._checked >= REMEMBERED:
                self._reason = await self._ask()
                self._checked = time.monotonic()
            return self._reason

    async def _ask(self) -> str | None:
        try:
            async with asyncio.timeout(TIMEOUT):
                at, read_only = await self._database.read(schema_version)
        except TimeoutError:
            return f"the database does not answer within {TIMEOUT} s"
        except Problem as problem:
            return problem.detail
        except Exception as error:  # no table, no right: the reason is for the operator to read
            return f"the database refuses: {error}"
        if read_only or self._demoted:
            # What is open leads to the old writer, or may: where nobody writes, nothing else tells, and what is read
            # there is out of date. Once more when that is over: the name may have led there until a moment ago.
            self._pool.retire()
        self._demoted = read_only
        if read_only:
            self._database.pool.discard()  # its name is resolved anew
            return "the database is read-only"
        if not revision.serves(at):
            return f"the schema is at {at}, {revision.HEAD} is needed"
        return None


@get("/healthz")
async def healthz() -> Response[bytes]:
    """Alive: this process answers."""
    return Response(b'{"status":"ok"}', media_type="application/json")


@get("/readyz")
async def readyz(request: Call) -> Response[bytes]:
    """Ready: requests may be sent here. Redis is not asked, the service runs without it."""
    if request.app.state.bounded.draining:
        reason = "draining"
    else:
        reason = await request.app.state.readiness.reason_against()
    if reason is None:
        return Response(b'{"status":"ready"}', media_type="application/json")
    body = msgspec.json.encode({"status": "not ready", "reason": reason})
    return Response(body, status_code=503, media_type="application/json")


@get("/metrics")
async def metrics_page() -> Response[bytes]:
    """Return every metric in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@get("/openapi.json")
async def openapi_document() -> Response[bytes]:
    """Return the API's description."""
    return Response(_described(), media_type="application/json")


@cache
def _described() -> bytes:
    return msgspec.json.encode(openapi.document())


HANDLERS: Final[list[ControllerRouterHandler]] = [healthz, readyz, metrics_page, openapi_document]
