"""`make bench-expiry`: how fast one pod expires what is due, and how fast several do, in turn, on a durable MySQL.

A pod is a process, `point-service expire`. Here pods share the cores with the database. So the same is measured with
the database some way off, too: what pods gain where a transaction takes time more than it takes CPU.
POINT_BENCH_MEMBERS and POINT_BENCH_ROUNDS make it larger or smaller.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple

import psutil
import rows
from point_local.alone import ports, serve, servers
from point_local.build import packages
from rich.console import Console
from rich.table import Table
from variables import whole

MEMBERS = whole("POINT_BENCH_MEMBERS", 30_000)  # a million at the most; each has a grant that is due
ROUNDS = whole("POINT_BENCH_ROUNDS", 2)
PODS = (1, 3)
WAYS = (0.0, 0.01)  # seconds to the database, and as many back

console = Console(width=120)


class Run(NamedTuple):
    """What came of one run: members a second, transactions that expired something and that found nothing to do,
    milliseconds of CPU a member."""

    rate: float
    transactions: float
    in_vain: float
    service: float
    database: float


async def expire(server: servers.DatabaseServer, pods: int, way: float) -> Run:
    """Let so many pods expire what is due in a schema of its own, which is checked and dropped after it."""
    schema = f"expiry_{time.monotonic_ns()}"
    environment = serve.environment(server, None) | {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "POINT_DATABASE_NAME": schema,
        "POINT_LOG_LEVEL": "WARNING",
    }
    await _do("migrate", environment)
    rows.due_members(server, schema, MEMBERS)
    mysql = psutil.Process(server.pid)
    async with _some_way_off(server.port, way) as port:
        far = environment | {"POINT_DATABASE_PORT": str(port)}
        before = [_children(), sum(mysql.cpu_times()[:2]), rows.rollbacks(server)]
        await asyncio.gather(*(_do("expire", far) for _ in range(pods)))
        after = [_children(), sum(mysql.cpu_times()[:2]), rows.rollbacks(server)]
    service, database, in_vain = (b - a for a, b in zip(before, after, strict=True))
    expired, transactions, seconds = rows.expired(server, schema)
    if expired != MEMBERS:
        sys.exit(f"{expired} of {MEMBERS} grants expired")
    await _do("verify", environment)
    rows.drop(server, schema)
    return Run(MEMBERS / seconds, transactions, in_vain, 1000 * service / MEMBERS, 1000 * database / MEMBERS)


async def main() -> None:
    """Measure and print."""
    packages.ensure(packages.SERVE)
    seen: dict[tuple[float, int], list[Run]] = {}
    with servers.database("mysql", durable=True) as database:
        for number in range(ROUNDS):
            console.print(f"round {number + 1} of {ROUNDS}")
            for way in WAYS:
                for pods in PODS:
                    run = await expire(database, pods, way)
                    seen.setdefault((way, pods), []).append(run)
                    console.print(f"{pods} pods, {1000 * way:.0f} ms: {run.rate:.0f} members a second")
    table = Table("pods", "way", "members/s", "ratio", "transactions", "in vain", "service", "MySQL")
    table.title = f"{MEMBERS} members, medians of {ROUNDS} rounds; ratio to one pod; CPU in ms a member"
    for (way, pods), runs in seen.items():
        ratio = statistics.median(
            run.rate / one.rate for run, one in zip(runs, seen[way, PODS[0]], strict=True)
        )
        rate, transactions, in_vain, *cpu = (statistics.median(column) for column in zip(*runs, strict=True))
        counts = (f"{rate:.0f}", f"{ratio:.2f}", f"{transactions:.0f}", f"{in_vain:.0f}")
        table.add_row(str(pods), f"{1000 * way:.0f} ms", *counts, *(f"{ms:.2f}" for ms in cpu))
    console.print(table)


async def _do(command: str, environment: dict[str, str]) -> None:
    """Run a command of the service. Ends the bench when it fails."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "point_service", command),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        sys.exit(f"{command} failed:\n{said.decode()}")


@asynccontextmanager
async def _some_way_off(target: int, way: float) -> AsyncGenerator[int]:
    """Give a port of loopback that leads to `target`, everything `way` seconds late."""
    if way == 0:
        yield target
        return
    tasks: set[asyncio.Task[None]] = set()

    async def carry(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await source.read(2**20):
            await asyncio.sleep(way)
            to.write(data)
        to.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onwards, back = await asyncio.open_connection(servers.HOST, target)
        for pair in ((reader, back), (onwards, writer)):
            tasks.add(task := asyncio.create_task(carry(*pair)))
            task.add_done_callback(tasks.discard)

    async with await asyncio.start_server(relay, servers.HOST, ports.free_port()) as server:
        yield server.sockets[0].getsockname()[1]


def _children() -> float:
    """Return the CPU seconds of the programs that were run and have ended."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    asyncio.run(main())
