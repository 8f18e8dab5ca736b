"""`make bench`: the point service against a durable MySQL and Redis on this machine, every figure from one run.

Figures of one run are compared with each other only: each round does all of them in turn, and medians count.
POINT_BENCH_ROWS, POINT_BENCH_REQUESTS, POINT_BENCH_SECONDS and POINT_BENCH_ROUNDS make it larger or smaller.
"""

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import rows
from point_local.alone import ports, serve, servers
from point_local.build import packages
from rich.console import Console
from rich.table import Table
from variables import seconds, whole

HERE = Path(__file__).parent
ROWS = whole("POINT_BENCH_ROWS", 100_000)  # ledger entries of the grown schema
REQUESTS = whole("POINT_BENCH_REQUESTS", 60_000)  # for the memory; 360000 is an hour at 100/s
SECONDS = seconds("POINT_BENCH_SECONDS", 6)
ROUNDS = whole("POINT_BENCH_ROUNDS", 3)
CONNECTIONS = 32  # of the client and of the pool alike
FEW_GRANTS, MANY_GRANTS = 10, whole("POINT_BENCH_GRANTS", 100_000)  # live, of one member
PATIENT_CONNECTIONS = 128  # of the client at half the rate: enough that pauses, not answers, set the pace
FEW_ROWS = 1_000
DUE_DEADLINE = 60  # seconds
MIB = 2**20

console = Console(width=120)


class Service(NamedTuple):
    """A running `point-service serve` and the members of its schema."""

    url: str
    process: psutil.Process
    members: int

    def cpu(self) -> float:
        """Return the CPU seconds it has used."""
        times = self.process.cpu_times()
        return times.user + times.system


class Load(NamedTuple):
    """What a load saw: uses, their rate per second, CPU milliseconds a use by process, latency in milliseconds."""

    uses: int
    rate: float
    service: float
    client: float
    database: float
    redis: float
    p50: float
    p99: float


class Bench:
    """The servers, and what is measured on them."""

    def __init__(self, database: servers.DatabaseServer, redis: servers.RedisServer) -> None:
        self._database = database
        self._redis = redis
        self._others = [psutil.Process(server.pid) for server in (database, redis)]

    def environment(self, schema: str, **more: str) -> dict[str, str]:
        """Return the service's variables for a schema."""
        return serve.environment(self._database, self._redis) | {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "POINT_DATABASE_NAME": schema,
            "POINT_DATABASE_POOL_SIZE": str(CONNECTIONS),
            "POINT_HTTP_ADDRESS": servers.HOST,
            "POINT_UPKEEP_INTERVAL_SECONDS": "0",
            **more,
        }

    def schema(self, name: str, entries: int, uses: int) -> int:
        """Make a schema with `entries` ledger rows, `uses` of each member's for orders; return its members."""
        command = [sys.executable, "-m", "point_service", "migrate"]
        subprocess.run(command, env=self.environment(name), check=True, stdout=subprocess.DEVNULL)
        return rows.load(self._database, name, entries, uses) if entries else 0

    @contextmanager
    def service(self, schema: str, members: int, **more: str) -> Generator[Service]:
        """Run the service for the block."""
        port = ports.free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "point_service", "serve"],
            env=self.environment(schema, POINT_HTTP_PORT=str(port), **more),
            stdout=subprocess.DEVNULL,
        )
        url = f"http://{servers.HOST}:{port}"
        try:
            while not _ready(url):
                if process.poll() is not None:
                    sys.exit(f"the service ended with status {process.returncode}")
                time.sleep(0.1)
            yield Service(url, psutil.Process(process.pid), members)
        finally:
            process.terminate()
            process.wait(30)

    def http(
        self,
        service: Service,
        *,
        prefix: str = "b",
        members: int | None = None,
        amount: int = 1,
        connections: int = CONNECTIONS,
        rate: float | None = None,
    ) -> Load:
        """Use points through HTTP as fast as it goes, or at `rate` uses per second."""
        connections = connections if rate is None else PATIENT_CONNECTIONS
        pause = 0 if rate is None else 1000 * connections / rate
        uses = [prefix, str(members or service.members), f"{pause:.3f}", uuid.uuid4().hex, str(amount)]
        before = [service.cpu(), *self._cpu(), _children()]
        done = subprocess.run(_wrk(service, connections, uses), capture_output=True, text=True, check=True)
        after = [service.cpu(), *self._cpu(), _children()]
        seen = json.loads(done.stdout.splitlines()[-1])
        if seen["failed"]:
            sys.exit(f"{seen['failed']} requests failed:\n{done.stdout}")
        uses = seen["requests"]
        own, database, redis, client = (1000 * (b - a) / uses for a, b in zip(before, after, strict=True))
        return Load(uses, uses / seen["seconds"], own, client, database, redis, seen["p50"], seen["p99"])

    def beside(self, service: Service, prefix: str) -> Load:
        """Use points as ever, while one member of its own uses some as fast as it can."""
        uses = [prefix, "1", "0", uuid.uuid4().hex, "10"]
        with subprocess.Popen(_wrk(service, 1, uses), stdout=subprocess.DEVNULL):
            return self.http(service)

    def bare(self, schema: str, members: int) -> Load:
        """Use points over bare connections as fast as it goes."""
        command = [sys.executable, str(HERE / "bare.py"), "b", str(members), str(CONNECTIONS)]
        before = self._cpu()
        done = subprocess.run(
            [*command, str(SECONDS), uuid.uuid4().hex],
            env=self.environment(schema),
            stdout=subprocess.PIPE,
            check=True,
        )
        database, _ = (b - a for a, b in zip(before, self._cpu(), strict=True))
        seen = json.loads(done.stdout)
        uses = seen["requests"]
        rate = uses / seen["seconds"]
        return Load(uses, rate, 0, 1000 * seen["cpu"] / uses, 1000 * database / uses, 0, 0, 0)

    def verify(self, schema: str) -> str:
        """Check every invariant of a schema; return what it says. Ends the bench when one does not hold."""
        command = [sys.executable, "-m", "point_service", "verify"]
        done = subprocess.run(command, env=self.environment(schema), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        return done.stdout.strip()

    def _cpu(self) -> list[float]:
        return [sum(process.cpu_times()[:2]) for process in self._others]


def main() -> None:
    """Measure and print."""
    packages.ensure({**packages.SERVE, "wrk": "wrk"})
    with servers.database("mysql", durable=True) as database, servers.redis() as redis:
        bench = Bench(database, redis)
        started = time.perf_counter()
        few, many = bench.schema("few", FEW_ROWS, 0), bench.schema("many", ROWS, 8)
        rows.grants(database, "many", "small-1", FEW_GRANTS)
        rows.grants(database, "many", "large-1", MANY_GRANTS)
        console.print(f"{ROWS} ledger rows of {many} members made in {time.perf_counter() - started:.0f} s")
        with ExitStack() as stack:
            usual = stack.enter_context(bench.service("many", many))
            others = {
                "no Redis": stack.enter_context(bench.service("many", many, POINT_LOCK_ENABLED="false")),
                "a transaction each": stack.enter_context(
                    bench.service("many", many, POINT_SHARED_TRANSACTION_REQUESTS="1")
                ),
                "neither": stack.enter_context(
                    bench.service(
                        "many", many, POINT_LOCK_ENABLED="false", POINT_SHARED_TRANSACTION_REQUESTS="1"
                    )
                ),
                f"{FEW_ROWS} rows": stack.enter_context(bench.service("few", few)),
            }
            loads: dict[str, list[Load]] = {}
            for round_number in range(ROUNDS):
                console.print(f"round {round_number + 1} of {ROUNDS}")
                loads.setdefault("bare connections", []).append(bench.bare("many", many))
                loads.setdefault("the service", []).append(bench.http(usual))
                for name, service in others.items():
                    loads.setdefault(name, []).append(bench.http(service))
                loads.setdefault("one hot member", []).append(bench.http(usual, members=1))
                for prefix, count in (("small", FEW_GRANTS), ("large", MANY_GRANTS)):
                    alone = bench.http(usual, prefix=prefix, members=1, connections=1, amount=10)
                    loads.setdefault(f"one with {count} grants", []).append(alone)
                    loads.setdefault(f"beside {count} grants", []).append(bench.beside(usual, prefix))
                half = loads["the service"][-1].rate / 2
                loads.setdefault("half of the maximum", []).append(bench.http(usual, rate=half))
            _print_loads(loads)
            _print_memory(bench, usual)
        _print_due(bench, database, many)
        for schema in ("few", "many"):
            console.print(f"verify {schema}: {bench.verify(schema)}")


def _print_loads(loads: Mapping[str, Sequence[Load]]) -> None:
    usual = loads["the service"]
    table = Table("", "uses/s", "ratio", "service", "client", "MySQL", "Redis", "p50 ms", "p99 ms")
    table.title = f"medians of {ROUNDS} rounds of {SECONDS:.0f} s; ratio to the service; CPU in ms a use"
    for name, seen in loads.items():
        ratio = statistics.median(own.rate / other.rate for own, other in zip(seen, usual, strict=True))
        middle = [statistics.median(column) for column in zip(*seen, strict=True)]
        _, rate, *cpu, p50, p99 = middle
        table.add_row(
            name, f"{rate:.0f}", f"{ratio:.2f}", *(f"{ms:.2f}" for ms in cpu), f"{p50:.1f}", f"{p99:.1f}"
        )
    console.print(table)


def _print_memory(bench: Bench, service: Service) -> None:
    sent = 0
    seen: list[tuple[int, float]] = []
    while sent < REQUESTS:
        sent += bench.http(service).uses
        seen.append((sent, service.process.memory_info().rss / MIB))
    console.print("memory: " + ", ".join(f"{mib:.0f} MiB after {count} more uses" for count, mib in seen))


def _print_due(bench: Bench, database: servers.DatabaseServer, members: int) -> None:
    """Let very many grants of one member be due at once, and use its others until they have expired."""
    rows.grants(database, "many", "due-1", MANY_GRANTS, days=-1)
    rows.grants(database, "many", "due-1", FEW_GRANTS)
    seen: list[Load] = []
    started = time.perf_counter()
    with bench.service("many", members, POINT_UPKEEP_INTERVAL_SECONDS="1") as service:
        while (left := rows.due(database, "many")) and time.perf_counter() - started < DUE_DEADLINE:
            seen.append(bench.http(service, prefix="due", members=1, connections=1))
    p50, p99 = statistics.median(load.p50 for load in seen), max(load.p99 for load in seen)
    console.print(
        f"{MANY_GRANTS - left} of {MANY_GRANTS} due grants of one member expired in"
        f" {time.perf_counter() - started:.0f} s; {sum(load.uses for load in seen)} uses of it meanwhile:"
        f" p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    )


def _wrk(service: Service, connections: int, uses: Sequence[str]) -> list[str]:
    """Return the command that sends uses as fast as `use.lua` makes them."""
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS:.0f}s", "-T5s", "-s", str(HERE / "use.lua")]
    return [*wrk, service.url, "--", *uses]


def _children() -> float:
    """Return the CPU seconds of the programs that were run and have ended."""
    times: Any = os.times()
    return times.children_user + times.children_system


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    main()
