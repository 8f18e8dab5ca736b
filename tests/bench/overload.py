"""`make bench-overload`: more is asked of the service than it can do, through HTTP alone; ratios of one run.

Each connection of `wrk` asks at random moments, so that what is offered does not wait for what is answered, and takes
a refusal for no reason to be quicker. `wrk` runs at a lower priority than what it measures.
"""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import NamedTuple

from bench import Bench, Service, console
from point_local.alone import servers
from point_local.build import packages
from rich.table import Table
from variables import seconds

HERE = Path(__file__).parent
ROWS = 20_000
SECONDS = seconds("POINT_OVERLOAD_SECONDS", 8)
SEARCHED = (32, 64, 128)  # connections without a pause: the most that they get is the maximum
FEWEST, MOST = (
    256,
    1024,
)  # connections at a rate: enough that pauses, not answers, set it; each costs the service, too
LONGEST = 0.3  # seconds of an answer that they are enough for
AFTER = 30.0  # seconds within which the service is as before


class Seen(NamedTuple):
    """Uses a second that were done, offered ones a second, the share refused, latency of the done in ms, CPU shares."""

    done: float
    offered: float
    refused: float
    p50: float
    p99: float
    service: float
    client: float


def ask(
    service: Service, *, connections: int = 0, rate: float | None = None, seconds: float = SECONDS
) -> Seen:
    """Use points at `rate` a second, or as fast as it goes on so many connections."""
    pause = 0.0
    if rate is not None:
        connections = round(min(MOST, max(FEWEST, LONGEST * rate)))
        pause = 1000 * connections / rate
    uses = ["b", str(service.members), f"{pause:.3f}", uuid.uuid4().hex, "1"]
    wrk = ["nice", "-n", "5", "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-T10s"]
    command = [*wrk, "-s", str(HERE / "overload.lua"), service.url, "--", *uses]
    own, children, began = service.cpu(), sum(os.times()[2:4]), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    took = time.perf_counter() - began
    seen = json.loads(done.stdout.splitlines()[-1])
    if seen["lost"]:
        console.print(f"[yellow]{seen['lost']} requests without an answer")
    return Seen(
        seen["done"] / seen["seconds"],
        (seen["done"] + seen["refused"]) / seen["seconds"],
        seen["refused"] / max(1, seen["done"] + seen["refused"]),
        seen["p50"],
        seen["p99"],
        (service.cpu() - own) / took,
        (sum(os.times()[2:4]) - children) / took,
    )


def recovered(service: Service, maximum: float, usual: float) -> float | None:
    """Return the seconds of half the load until the middle answer takes under twice the usual; None: not in time."""
    began = time.perf_counter()
    while True:
        seen = ask(service, rate=maximum / 2, seconds=2)
        passed = time.perf_counter() - began
        if seen.p50 <= 2 * usual:
            return passed
        if passed > AFTER:
            return None


def main() -> None:
    """Measure and print."""
    packages.ensure({**packages.SERVE, "wrk": "wrk"})
    with servers.database("mysql", durable=True) as database, servers.redis() as redis:
        bench = Bench(database, redis)
        members = bench.schema("overload", ROWS, 0)
        for name, more in (("as it is", {}), ("nobody is refused", {"POINT_TARGET_LATENCY_SECONDS": "0"})):
            with bench.service("overload", members, **more) as service:
                _measure(name, service)
        console.print(f"verify: {bench.verify('overload')}")


def _measure(name: str, service: Service) -> None:
    ask(service, connections=8, seconds=3)  # warm
    searched = [ask(service, connections=connections) for connections in SEARCHED]
    maximum = max(seen.done for seen in searched)
    half = ask(service, rate=maximum / 2)
    loads = {"half of it": half}
    for times in (1, 2, 4):
        loads[f"{times} times"] = ask(service, rate=times * maximum)
    after = recovered(service, maximum, half.p50)
    table = Table(
        "offered", "done/s", "ratio", "refused", "p50 ms", "p99 ms", "of half's p99", "service", "wrk"
    )
    table.title = (
        f"{name}: maximum {maximum:.0f}/s of {SEARCHED} connections; {SECONDS:.0f} s each; CPU in cores"
    )
    for what, seen in loads.items():
        table.add_row(
            f"{what}: {seen.offered:.0f}/s", f"{seen.done:.0f}", f"{seen.done / maximum:.2f}", f"{seen.refused:.0%}",
            f"{seen.p50:.0f}", f"{seen.p99:.0f}", f"{seen.p99 / half.p99:.1f}", f"{seen.service:.0%}",
            f"{seen.client:.0%}",
        )  # fmt: skip
    console.print(table)
    console.print(f"after it, p50 within twice of half's: {'never' if after is None else f'{after:.0f} s'}")


if __name__ == "__main__":
    sys.exit(main())
