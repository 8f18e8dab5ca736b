"""Work on the database that is run again when the fault that ended it allows it."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from asyncmy.connection import Connection

from point_service import patience
from point_service.breaker import Breaker
from point_service.contract.errors import Unavailable
from point_service.mysql import faults
from point_service.mysql.pool import Pool
from point_service.mysql.store.execution import rollback
from point_service.telemetry import metrics, traces

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]
log = logging.getLogger(__name__)

TRANSACTION_ATTEMPTS = 10
READ_ATTEMPTS = 3
FIRST_BACKOFF = 0.01  # seconds; doubles each time, with full jitter
LONGEST_BACKOFF = 0.5  # seconds
READER_LIMIT = 0.5  # seconds for the reader's one attempt, connecting included; then the writer is asked


class Database:
    """One server by its pool: runs work on a connection, again when the fault allows it (`faults.py`).

    After `limit` seconds a call is given up; None: it ends with the request that waits for it.
    """

    def __init__(self, pool: Pool, limit: float | None = None) -> None:
        self.pool = pool
        self._limit = limit

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads. Raises Unavailable when the database can't be reached."""
        with traces.span("read", "mysql"):
            return await self._run(work, READ_ATTEMPTS, "the database can't be reached")

    async def transact(self, work: Work[T]) -> T:
        """Run `work`, which begins and commits by itself, until it ends without a fault that is run again.

        Raises MemberBusy when a row stays locked, Unavailable when the attempts are used up, and whatever else
        `work` raises. A rerun after a lost connection is safe only because `work` finds what it did before: its
        own idempotency row, or nothing left to do.
        """
        gave_up = "the database did not take the transaction; try again with the same key"
        with traces.span("transaction", "mysql"):
            return await self._run(work, TRANSACTION_ATTEMPTS, gave_up)

    async def attempt(self, work: Work[T], *, limit: float | None = None, reserved: bool = False) -> T:
        """Run `work` once, for `limit` seconds at most, and see to the pool when that fails.

        Raises what is in `faults.RAISED` as it came, Unavailable when every connection is busy, and whatever else
        `work` raises.
        """
        began = time.monotonic()
        error: Exception
        try:
            async with asyncio.timeout(limit), self.pool.connection(reserved=reserved) as connection:
                try:
                    with patience.current().work():
                        return await work(connection)
                except faults.RAISED as raised:
                    if not faults.classify(raised).keeps_connection:
                        raise
                    await rollback(connection)
                    error = raised
                except patience.NobodyWaitsError as nobody:  # the connection is as good as before
                    error = nobody
        except faults.RAISED as raised:
            error = raised
        if isinstance(error, patience.NobodyWaitsError):
            raise error
        fault = faults.classify(error)
        if fault not in faults.TOLD_ELSEWHERE:
            log.warning("database fault", extra={"fault": fault.name, "error": faults.described(error)})
        if fault.drops_pool:
            self.pool.discard()
        elif fault.suspects_pool:
            self.pool.suspect(began)
        raise error

    async def _run(self, work: Work[T], attempts: int, gave_up: str) -> T:
        ends = None if self._limit is None else time.monotonic() + self._limit
        for attempt in range(1, attempts + 1):
            left = None if ends is None else ends - time.monotonic()
            if left is not None and left <= 0:
                break
            try:
                return await self.attempt(work, limit=left)
            except faults.RAISED as error:
                fault = faults.classify(error)
                if not fault.run_again:
                    if fault.answer is not None:
                        raise fault.answer() from None
                    # Not the server's words: they quote keys, and what is raised here is logged.
                    described = faults.StatementError(faults.described(error))
                    raise described.with_traceback(error.__traceback__) from None
                metrics.DATABASE_RETRIES.labels(fault.name).inc()
            if attempt < attempts:
                await asyncio.sleep(backoff(attempt))
        raise Unavailable(gave_up)


class Reader:
    """A copy that may be away: asked once, shortly, and left alone for a while when it fails (`breaker.py`).

    The writer has everything too, so nothing is tried twice here.
    """

    def __init__(self, pool: Pool) -> None:
        self._database = Database(pool)
        self._breaker = Breaker()

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads. Raises Unavailable when the reader does not do it at once."""
        if not self._breaker.permits():
            metrics.READER_UNAVAILABLE.inc()
            raise Unavailable("the reader failed a moment ago")
        try:
            with traces.span("read", "mysql"):
                answer = await self._database.attempt(work, limit=READER_LIMIT)
        except Unavailable:  # busy is not away
            metrics.READER_UNAVAILABLE.inc()
            raise
        except faults.RAISED as error:
            metrics.READER_UNAVAILABLE.inc()
            was_open = self._breaker.open
            self._breaker.failed()
            if self._breaker.open and not was_open:
                log.warning(
                    "the reader is away, the writer is asked", extra={"error": faults.described(error)}
                )
            raise Unavailable("the reader does not answer") from None
        if self._breaker.open:
            log.info("the reader is back")
        self._breaker.succeeded()
        return answer


def backoff(attempt: int) -> float:
    """Return how long to wait before the attempt after `attempt` (1 is the first), seconds."""
    longest = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**attempt)
    return random.uniform(0, longest)  # noqa: S311 - spreads load, hides nothing
