"""Transactions that are run again when the database asks for it, and the faults that ask for it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeVar

from asyncmy import errors as driver
from asyncmy.connection import Connection

from point_service.contract.errors import MemberBusy, Unavailable
from point_service.mysql.pool import Pool
from point_service.telemetry import metrics, traces

T = TypeVar("T")
log = logging.getLogger(__name__)

MAX_ATTEMPTS = 10
READ_ATTEMPTS = 3
FIRST_BACKOFF = 0.01  # seconds; doubles each time, with full jitter
LONGEST_BACKOFF = 0.5  # seconds


class Fault(Enum):
    """Why a transaction failed, by what must be done about it."""

    DEADLOCK = "deadlock"  # the whole transaction is rolled back
    LOCK_WAIT = "lock_wait"  # only the statement is
    READ_ONLY = "read_only"  # this server no longer is the writer
    LOST = "lost_connection"  # whether it committed is unknown: the idempotency key decides
    OTHER = "other"


_BY_NUMBER = {
    1213: Fault.DEADLOCK,
    1205: Fault.LOCK_WAIT,
    1290: Fault.READ_ONLY,  # --read-only or --super-read-only
    1836: Fault.READ_ONLY,  # read-only mode
    1792: Fault.READ_ONLY,  # read-only transaction
    1040: Fault.LOST,  # too many connections
    1045: Fault.LOST,  # access denied: the password was changed, and is read anew for the next connection
    1053: Fault.LOST,  # server shutdown in progress
    1077: Fault.LOST,
    1079: Fault.LOST,
    1152: Fault.LOST,  # aborted connection
    1158: Fault.LOST,  # network errors
    1159: Fault.LOST,
    1160: Fault.LOST,
    1161: Fault.LOST,
    1317: Fault.LOST,  # query execution was interrupted
    1927: Fault.LOST,  # connection was killed (MariaDB)
    2002: Fault.LOST,
    2003: Fault.LOST,
    2006: Fault.LOST,
    2013: Fault.LOST,
    2014: Fault.LOST,
    2055: Fault.LOST,
    3169: Fault.LOST,  # session was killed
    4031: Fault.LOST,  # disconnected for inactivity
}


def classify(error: BaseException) -> Fault:
    """Return what kind of fault `error` is; OTHER is a bug or a broken invariant, never retried."""
    if isinstance(error, driver.InterfaceError):
        return Fault.LOST
    if isinstance(error, driver.MySQLError):
        number = error.args[0] if error.args else None
        return _BY_NUMBER.get(number, Fault.OTHER) if isinstance(number, int) else Fault.OTHER
    if isinstance(error, (OSError, EOFError, TimeoutError)):
        return Fault.LOST
    return Fault.OTHER


class Database:
    """The writer: runs work in transactions, again when the fault allows it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work`, which only reads, again on a new connection when the old one was lost.

        Raises Unavailable when the database can't be reached.
        """
        with traces.span("read", "mysql"):
            return await self._read(work)

    async def _read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                async with self.pool.connection() as connection:
                    return await work(connection)
            except (driver.MySQLError, OSError, EOFError) as error:
                fault = classify(error)
                if fault is Fault.OTHER:
                    raise
                metrics.DATABASE_RETRIES.labels(fault.value).inc()
                log.warning("database fault", extra={"fault": fault.value, "error": str(error)})
                self.pool.discard()
            await asyncio.sleep(backoff(attempt))
        raise Unavailable("the database can't be reached")

    async def transact(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work`, which begins and commits by itself, until it ends without a retryable fault.

        Raises MemberBusy when the member's row stays locked, Unavailable when the attempts are used up, and
        whatever else `work` raises. A rerun after a lost connection is safe only because `work` looks for its
        own idempotency row first.
        """
        with traces.span("transaction", "mysql"):
            return await self._transact(work)

    async def _transact(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            fault: Fault
            try:
                return await self._once(work)
            except _RolledBackError as rolled_back:
                fault = rolled_back.fault
            except (driver.MySQLError, OSError, EOFError) as error:
                fault = classify(error)
                if fault is Fault.OTHER:
                    raise
                log.warning("database fault", extra={"fault": fault.value, "error": str(error)})
                self.pool.discard()
            if fault is Fault.LOCK_WAIT:
                raise MemberBusy("another request of this member held its lock for a second; try again")
            metrics.DATABASE_RETRIES.labels(fault.value).inc()
            if attempt < MAX_ATTEMPTS:
                await asyncio.sleep(backoff(attempt))
        raise Unavailable("the database did not take the transaction; try again with the same key")

    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        fault: Fault
        async with self.pool.connection() as connection:
            try:
                return await work(connection)
            except driver.MySQLError as error:
                fault = classify(error)
                if fault not in (Fault.DEADLOCK, Fault.LOCK_WAIT):
                    raise
                # The connection itself is sound: end the transaction and keep it.
                await connection.rollback()
        raise _RolledBackError(fault)


class _RolledBackError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def backoff(attempt: int) -> float:
    """Return how long to wait before the attempt after `attempt` (1 is the first), seconds."""
    longest = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**attempt)
    return random.uniform(0, longest)  # noqa: S311 - spreads load, hides nothing
