"""Group commit: requests that arrive while a transaction runs share the next one.

One runs at a time, so that the next one is as large as it can be. The shared transaction is only ever a first try.
Whatever it can't do or doesn't end in, a member in other hands or with much to read, a fault, a bug in somebody else's
decision, is done again by each request alone, under its own key.
"""

import logging
import time
from collections.abc import Sequence

from point_service.contract.errors import Problem
from point_service.ledger.transaction import Command, Result, execute
from point_service.mysql.database import Database
from point_service.mysql.faults import NOT_OPENED, OTHER, classify, described
from point_service.mysql.store.answers import Book
from point_service.telemetry import metrics, traces
from point_service.turns.batches import Batches

log = logging.getLogger(__name__)

TIMEOUT = 2.0  # seconds; then each goes alone, with what is left of its own time
# Seconds in which everybody goes alone after the database was lost: an outage then takes a request's time only once.
PAUSE = 1.0
LARGE = 10.0  # seconds in which a large member goes alone at once
MOST_LARGE = 10_000  # members that are remembered


class SharedTransactions:
    """Puts what arrives together into one transaction, up to `most` requests."""

    def __init__(self, database: Database, most: int, book: Book) -> None:
        self._database = database
        self._book = book
        self._alone = most == 1
        self._batches = Batches(self._share, most)
        self._paused_until = 0.0
        self._large: dict[str, float] = {}  # members, until when they go alone

    async def attempt(self, command: Command) -> Result | None:
        """Do a command together with others; None when it has to go alone, done or not."""
        if self._alone or self._paused() or self.is_large(command.key.member_id):
            return None
        with traces.span("shared transaction", "mysql"):
            return await self._batches.put(command)

    async def _share(self, commands: Sequence[Command]) -> Sequence[Result | None]:
        results: dict[str, Result] = {}
        large: Sequence[str] = ()
        if self._paused():  # since they began to wait
            return [None] * len(commands)
        generation = self._database.pool.generation
        try:
            results, large = await self._database.attempt(
                lambda connection: execute(connection, commands, self._book, wait=False),
                limit=TIMEOUT,
                reserved=True,
            )
        except Problem as problem:  # busy: no fault of the database
            log.info("shared transaction put off", extra={"reason": problem.detail})
        except Exception as error:
            fault = classify(error)
            if fault is not OTHER:
                metrics.DATABASE_RETRIES.labels(fault.name).inc()
            log.warning("shared transaction failed", extra={"fault": fault.name, "error": described(error)})
            # Slow is not lost: the pool knows by its other connections.
            if fault is NOT_OPENED or self._database.pool.generation != generation:
                self._paused_until = time.monotonic() + PAUSE
        metrics.SHARED.observe(len(commands))
        self.remember(large)
        return [results.get(command.key.member_id) for command in commands]

    def remember(self, large: Sequence[str]) -> None:
        """Let members with much to read go alone for a while."""
        if len(self._large) > MOST_LARGE:
            self._large.clear()
        self._large |= dict.fromkeys(large, time.monotonic() + LARGE)

    def is_large(self, member_id: str) -> bool:
        """Tell whether a member had much to read not long ago."""
        if self._large.get(member_id, 0.0) > time.monotonic():
            return True
        self._large.pop(member_id, None)
        return False

    def _paused(self) -> bool:
        return time.monotonic() < self._paused_until
