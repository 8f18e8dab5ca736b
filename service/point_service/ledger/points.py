"""What changes points: each command in its member's turn, once for its key."""

import asyncio

import msgspec

from point_service import patience
from point_service.contract.idempotency import Key, StoredAnswer
from point_service.domain.operations.operation import Operation
from point_service.ledger.sharing import SharedTransactions
from point_service.ledger.transaction import Command, Result, execute
from point_service.mysql.database import Database
from point_service.mysql.store.answers import Book
from point_service.settings import RETENTION_HOURS, SHARED_REQUESTS
from point_service.telemetry import logs, metrics
from point_service.turns.lock import MemberLock

LARGE_SHARE = 4  # one in so many connections is for members with much to read


class Outcome(msgspec.Struct, frozen=True):
    """An answer to send, and whether it was given before, under the same key or reference."""

    status: int
    body: str
    replayed: bool


class Points:
    """The service's points over its database and lock."""

    def __init__(
        self,
        database: Database,
        lock: MemberLock,
        shared_requests: int = SHARED_REQUESTS,
        retention_hours: int = RETENTION_HOURS,
    ) -> None:
        self._database = database
        self._book = Book(retention_hours)
        self._shared = SharedTransactions(database, shared_requests, self._book)
        self._large = asyncio.Semaphore(max(1, database.pool.size // LARGE_SHARE))
        self._lock = lock

    async def do(self, key: Key, operation: Operation) -> Outcome:
        """Decide and write once for `key`, and once for ever for its reference; answer again what was answered before.

        Raises IdempotencyKeyReused, MemberBusy, Unavailable.
        """
        command = Command(key, operation, logs.REQUEST_ID.get())
        async with self._lock.hold(key) as remembered:
            found = remembered.answer
            # An answer to something else under the same key is the database's to judge.
            if found is not None and found.request_hash == key.request_hash:
                return _replay(found, "cache")
            patience.current().check()
            result = await self._shared.attempt(command)
            if result is None:
                result = await self._alone(command)
            remembered.answer = result.answer if result.kept else None  # as the database
        if result.replayed:
            return _replay(result.answer.for_request(key), "database")
        _count(result)
        return Outcome(result.answer.status, result.answer.body, False)

    async def _alone(self, command: Command) -> Result:
        if self._shared.is_large(command.key.member_id):
            async with self._large:  # they take their time, and never all the connections
                return await self._transact(command)
        return await self._transact(command)

    async def _transact(self, command: Command) -> Result:
        done = await self._database.transact(
            lambda connection: execute(connection, [command], self._book, wait=True)
        )
        self._shared.remember(done.large)
        return done.results[command.key.member_id]


def _replay(answer: StoredAnswer, source: str) -> Outcome:
    metrics.REPLAYS.labels(source).inc()
    return Outcome(answer.status, answer.body, True)


def _count(result: Result) -> None:
    if result.refused is not None:
        metrics.REFUSED.labels(result.refused).inc()
    for entry in result.entries:
        metrics.POINTS.labels(entry.kind).inc(abs(entry.amount))
