"""Group commit: requests that arrive while a transaction runs share the next one.

Nothing waits for company: a request that finds none running goes at once, alone if it is alone. One runs at a time, so
that the next one is as large as it can be. The shared transaction is only ever a first try. Whatever it can't do or
doesn't end in, a member in other hands, a fault, a bug in somebody else's decision, is done again by each request
alone, under its own key.
"""

import asyncio
import contextvars
import logging
import time
from collections import deque

from point_service import metrics, traces
from point_service.database import Fault, classify
from point_service.pool import Pool
from point_service.transaction import Asked, Written, together

log = logging.getLogger(__name__)

TIMEOUT = 2.0  # seconds; then each goes alone, with what is left of its own time
# Seconds in which everybody goes alone after the database was lost: an outage then takes a request's time only once.
PAUSE = 1.0


class SharedTransactions:
    """Puts what arrives together into one transaction, up to `most` requests."""

    def __init__(self, pool: Pool, most: int) -> None:
        self._pool = pool
        self._most = most
        self._waiting: deque[tuple[Asked, asyncio.Future[Written | None]]] = deque()
        self._carrying: asyncio.Task[None] | None = None
        self._paused_until = 0.0

    async def attempt(self, asked: Asked) -> Written | None:
        """Do a request together with others; None when it has to go alone, done or not."""
        if self._most == 1 or not asked.wanted.shareable or time.monotonic() < self._paused_until:
            return None
        place: asyncio.Future[Written | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, place))
        if self._carrying is None or self._carrying.done():
            # In a context of its own: what it logs belongs to no single request.
            self._carrying = asyncio.create_task(self._carry(), context=contextvars.Context())
        with traces.span("shared transaction", "mysql"):
            return await place

    async def _carry(self) -> None:
        while places := self._board():
            outcomes: list[Written | None] = [None] * len(places)
            try:
                async with asyncio.timeout(TIMEOUT), self._pool.connection() as connection:
                    outcomes = await together(connection, [asked for asked, _ in places])
            except Exception as error:
                fault = classify(error)
                metrics.DATABASE_RETRIES.labels(fault.value).inc()
                log.warning("shared transaction failed", extra={"fault": fault.value, "error": repr(error)})
                if fault in (Fault.LOST, Fault.READ_ONLY):
                    self._pause()
            except asyncio.CancelledError:  # the process ends
                for _, place in places:
                    place.cancel()
                raise
            metrics.SHARED.observe(len(places))
            for (_, place), outcome in zip(places, outcomes, strict=True):
                if not place.done():
                    place.set_result(outcome)

    def _pause(self) -> None:
        """Let who waits go alone at once, and whoever comes in the next moment too."""
        self._paused_until = time.monotonic() + PAUSE
        while places := self._board():
            for _, place in places:
                place.set_result(None)

    def _board(self) -> list[tuple[Asked, asyncio.Future[Written | None]]]:
        """Return the next requests, without those whose caller is gone."""
        places: list[tuple[Asked, asyncio.Future[Written | None]]] = []
        while self._waiting and len(places) < self._most:
            asked, place = self._waiting.popleft()
            if not place.done():
                places.append((asked, place))
        return places
