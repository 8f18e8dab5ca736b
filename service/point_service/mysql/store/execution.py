"""Sending statements and taking their results."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from asyncmy.connection import Connection

Row = tuple[Any, ...]

# Seconds of silence after which the server ends a connection, and what was begun on it: a pod may be gone without a
# word, its node dead or its zone cut, and what it locked stays locked until then. Between two round trips of a
# transaction nobody who is alive is silent for long. Both limits go with statements that are sent in any case.
SILENT_IN_TRANSACTION = 10
SILENT = 600  # twice what a connection usually lives
BE_PATIENT = f"SET SESSION wait_timeout = {SILENT}"

# Seconds for the answer of one round trip. A connection that takes longer counts as silent: it is closed, and the work
# done again on another one in what is left of a request's 4.5 s. A lock wait of one second may take a server two.
TRIP = 2.2


class Result(msgspec.Struct, frozen=True):
    """What one statement gave."""

    rows: Sequence[Row]
    affected: int


async def run(
    connection: Connection,
    statements: Sequence[str],
    parameters: Sequence[Any],
    *,
    patience: float | None = TRIP,
) -> list[Result]:
    """Run statements in one round trip. The first error ends the batch and is raised.

    Raises TimeoutError when it takes longer than `patience` (seconds; None: as long as it takes).
    """
    results: list[Result] = []
    async with asyncio.timeout(patience), connection.cursor() as cursor:
        await cursor.execute(";".join(statements), tuple(parameters))
        while True:
            rows: Sequence[Row] = await cursor.fetchall() if cursor.description else ()
            results.append(Result(rows, cast("int", cursor.rowcount)))
            if not await cursor.nextset():
                return results


async def rollback(connection: Connection) -> None:
    """Undo what was begun. One round trip."""
    await run(connection, ["ROLLBACK", BE_PATIENT], [])


def utc(moment: datetime) -> datetime:
    """Return a moment as the database gives it (UTC, naive) as an aware one."""
    return moment.replace(tzinfo=UTC)


def naive(moment: datetime) -> datetime:
    """Return an aware moment as the database takes it."""
    return moment.astimezone(UTC).replace(tzinfo=None)
