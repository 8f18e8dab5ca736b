"""`make bench-answers`: what an answer costs by member and by day, in rounds in turn, on a durable MySQL.

The service's own statements, as the master user: answers kept, 8 a transaction, and keys that are new looked for, 8 a
statement, in tables of so many rows. Then a day of them goes, by deletes of a thousand and by its partition.
POINT_BENCH_ROWS and POINT_BENCH_ROUNDS make it larger or smaller.
"""

import asyncio
import statistics
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import psutil
from asyncmy.connection import Connection
from point_local.alone import serve, servers
from point_service.contract.idempotency import Key, StoredAnswer
from point_service.domain.snapshot import Snapshot
from point_service.mysql.migrate import migrate
from point_service.mysql.pool import opener
from point_service.mysql.store import upkeep
from point_service.mysql.store.answers import Answers
from point_service.mysql.store.execution import run
from point_service.mysql.store.questions import TAKE_MOMENT, Wanted
from point_service.settings import Credentials, load
from rich.console import Console
from rich.table import Table
from variables import whole

ROWS = whole("POINT_BENCH_ROWS", 200_000)
ROUNDS = whole("POINT_BENCH_ROUNDS", 3)
TOGETHER = 8
MEASURED = 400  # transactions, and statements, a round
BODY = (
    '{"order_id":"0c9c1e6a-3f5a-4bd3-9d52-6a7d1f4f5d10","amount":1,'
    '"allocations":[{"grant_id":100000,"amount":1}],"balance":1000000}'
)
WAYS = {
    "by member": Answers(by_day=False),
    "by day, 24 hours": Answers(),
    "by day, 30 days": Answers(days=30),
}
TABLES = {"by member": "idempotency", "by day": "stored_answer"}

console = Console(width=120)


def some(count: int, now: datetime) -> list[tuple[Snapshot, Key, StoredAnswer]]:
    """Return answers to keys that are as long as UUIDs, of members whose ids are."""
    given: list[tuple[Snapshot, Key, StoredAnswer]] = []
    for _ in range(count):
        member = str(uuid.uuid4())
        key = Key(f"service:{member}", member, str(uuid.uuid4()), uuid.uuid4().hex * 2)
        given.append(
            (
                Snapshot(member_id=member, balance=0, version=0, now=now),
                key,
                StoredAnswer(key.request_hash, 201, BODY),
            )
        )
    return given


async def keep(
    connection: Connection, answers: Answers, given: Sequence[tuple[Snapshot, Key, StoredAnswer]]
) -> None:
    """Keep answers in a transaction."""
    statement, values = answers.keeping(given)
    await run(connection, ["START TRANSACTION", statement, "COMMIT"], values, patience=None)


async def look(connection: Connection, answers: Answers) -> None:
    """Look for keys that are new."""
    wanted = [Wanted(key.member_id, key) for _, key, _ in some(TOGETHER, datetime.now(UTC))]
    asked = [question.ask([question.values(one) for one in wanted], 0) for question in answers.questions]
    values = [value for _, each in asked for value in each]
    await run(connection, [TAKE_MOMENT, *(statement for statement, _ in asked)], values)


class Meter:
    """What the server has done since it was asked last."""

    def __init__(self, server: servers.DatabaseServer, connection: Connection) -> None:
        self._process, self._connection = psutil.Process(server.pid), connection

    async def read(self) -> tuple[float, float, int]:
        """Return the clock and the server's CPU, in seconds, and the bytes of its redo log."""
        [log] = await run(self._connection, ["SHOW GLOBAL STATUS LIKE 'Innodb_os_log_written'"], [])
        return time.monotonic(), sum(self._process.cpu_times()[:2]), int(log.rows[0][1])


async def measure(server: servers.DatabaseServer, connection: Connection) -> dict[str, list[float]]:
    """Fill the tables, and return the medians of each way: milliseconds, CPU and redo of an answer kept, and CPU of a
    key looked for."""
    now = datetime.now(UTC)
    for answers in (WAYS["by member"], WAYS["by day, 24 hours"]):
        for _ in range(ROWS // 1000):
            await keep(connection, answers, some(1000, now))
    meter = Meter(server, connection)
    found: dict[str, list[list[float]]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, answers in WAYS.items():
            batches = [some(TOGETHER, now) for _ in range(MEASURED)]
            before = await meter.read()
            for batch in batches:
                await keep(connection, answers, batch)
            kept = await meter.read()
            for _ in range(MEASURED):
                await look(connection, answers)
            looked = await meter.read()
            each = MEASURED * TOGETHER
            took, cpu, redo = (after - earlier for after, earlier in zip(kept, before, strict=True))
            found[name].append(
                [1000 * took / each, 1000 * cpu / each, redo / each, 1000 * (looked[1] - kept[1]) / each]
            )
    return {
        name: [statistics.median(column) for column in zip(*rounds, strict=True)]
        for name, rounds in found.items()
    }


async def forget(
    server: servers.DatabaseServer, connection: Connection
) -> dict[str, tuple[int, list[float]]]:
    """Let everything be old and forget it; return rows, and seconds, CPU and redo, by table."""
    old = "SET foreign_key_checks = 0"
    await run(
        connection,
        [old, "UPDATE idempotency SET created_at = created_at - INTERVAL 2 DAY"],
        [],
        patience=None,
    )
    day = datetime.now(UTC).date() - timedelta(days=2)
    await run(connection, ["UPDATE stored_answer SET day = %s"], [day], patience=None)
    meter = Meter(server, connection)
    gone: dict[str, tuple[int, list[float]]] = {}
    for name, table in TABLES.items():
        [count] = await run(connection, [f"SELECT COUNT(*) FROM {table}"], [], patience=None)
        before = await meter.read()
        if name == "by member":
            while await upkeep.forget_answers(connection, False, 24, 1000):
                pass
        else:
            await upkeep.forget_day(connection, 1)
        after = await meter.read()
        gone[name] = int(count.rows[0][0]), [one - other for one, other in zip(after, before, strict=True)]
    return gone


async def main() -> None:
    """Measure and print."""
    with servers.database("mysql", durable=True) as server:
        variables = serve.environment(server, None)
        settings = load(variables).database
        migrate(settings)
        master = msgspec.structs.replace(settings, credentials=Credentials(server.master))
        connection = await opener(master, settings.host)()
        await run(connection, ["CREATE TABLE idempotency LIKE idempotency_closed"], [])
        medians = await measure(server, connection)
        shown = Table("", "ms", "CPU ms", "redo bytes", "CPU ms to look", title="An answer")
        for name, figures in medians.items():
            shown.add_row(name, *(f"{figure:.3f}" for figure in figures))
        console.print(shown)
        await run(connection, [f"ANALYZE TABLE {', '.join(TABLES.values())}"], [], patience=None)
        for name, table in TABLES.items():
            size = (
                "SELECT (data_length + index_length) / table_rows FROM information_schema.tables"
                " WHERE table_schema = DATABASE() AND table_name = %s"
            )
            _, one = await run(connection, ["SET information_schema_stats_expiry = 0", size], [table])
            console.print(f"{name}: {one.rows[0][0]:.0f} bytes a row with its indexes")
        for name, (count, (took, cpu, redo)) in (await forget(server, connection)).items():
            console.print(
                f"{name}: {count} rows gone in {took:.2f} s, {cpu:.2f} s of CPU, {redo / 1e6:.1f} MB of redo"
            )
        connection.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
