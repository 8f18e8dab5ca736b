"""`make bench-stack`: the whole stack, idle and through its edge, beside the service alone, all in one run.

The service alone is a process of its own beside the stack, on a durable MySQL and a Redis of its own, with as many
members; the stack is what `make up` started: edge, gateway, sidecars, two pods, a writer whose commits wait for another
zone. Both are asked in turn by the same `wrk`, which has half a core at the most. The rate limit is lifted for it, and
the autoscaler held; both are put back whatever happens. POINT_STACK_SECONDS, POINT_STACK_ROUNDS, POINT_STACK_IDLE.
"""

import asyncio
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import stack_tables
from bench import Bench, Service, console
from point_local.alone import servers
from point_local.build import packages
from point_local.drill import books, observe
from point_local.failover import controller
from point_local.look import cost, cpu
from point_local.machine import cluster
from point_local.programs.command import LocalError, kubectl, succeeds, wait
from point_local.stack import application, edge, issuer
from point_service.settings import pool_size
from share import Share
from variables import seconds, whole

HERE = Path(__file__).parent
SECONDS = whole("POINT_STACK_SECONDS", 6)  # of each load
ROUNDS = whole("POINT_STACK_ROUNDS", 3)
IDLE = seconds("POINT_STACK_IDLE", 30)
PICTURE = Path(os.environ.get("POINT_STACK_PICTURE", ".reports/bench-stack.png"))
CONNECTIONS = (16, 64, 256)
MEMBERS = 1_000
EARN, EARNED = "/v1/points/earn", 100_000
AT_ONCE = 16  # earns
CLIENT_CORES = 0.5
LIFTED = 1_000_000  # requests a second
SHARED = "point_shared_transaction_requests"
KINDS = {"uses": 1, "reads": 0}  # the points of each


class Target(NamedTuple):
    """Who is asked, with what to say who a member is, and what it counted: requests in transactions, transactions."""

    name: str
    url: str
    writer: str | None
    arguments: list[str]
    shared: Callable[[], tuple[float, float]]


class Run(NamedTuple):
    """What all loads share: members' prefix, processes by name, an idle second, the client's group."""

    prefix: str
    known: Mapping[int, str]
    idle: Mapping[str, cpu.Used]
    client: Share


class Seen(NamedTuple):
    """What one load saw: requests done a second and refused, latency in ms, requests a transaction, who used what."""

    rate: float
    refused: int
    p50: float
    p99: float
    batch: float
    client: float  # share of a core
    other: float  # cores that other work on the machine had
    places: Mapping[str, cpu.Used]


def idle(seconds: float) -> Mapping[str, cpu.Used]:
    """Return what each program uses in a second while nothing is asked of the stack."""
    known = {os.getpid(): cost.CLIENT}
    before, began = cpu.look(known), time.monotonic()
    time.sleep(seconds)
    used, took = cpu.spent(before, cpu.look(known)), time.monotonic() - began
    return {
        name: cpu.Used(one.user / took, one.kernel / took)
        for name, one in used.items()
        if name != cost.CLIENT
    }


@contextmanager
def unlimited() -> Generator[None]:
    """Lift the rate limit and hold the autoscaler for the block; then, whatever happens, they are as they were."""
    name = ("pts", application.NAME, "-n", application.NAMESPACE)
    found = observe.get("pts", application.NAME)
    if found is None:
        raise LocalError(f"there is no PointService {application.NAME}: `make up` applies it")
    before = found["spec"]
    if before["gateway"]["rateLimit"]["requestsPerSecond"] == LIFTED:
        raise LocalError("the rate limit is lifted already: another run does it, or `make up` puts it back")
    fewest = before["autoscaling"]["minReplicas"]
    limit = {"enabled": True, "scope": "Local", "requestsPerSecond": LIFTED}
    try:
        change = _change(limit, fewest)
        kubectl("patch", *name, "--type=json", "-p", json.dumps(change))
        wait("the gateway has the lifted limit", lambda: _limit() >= 0.99 * LIFTED, seconds=90, every=1)
        wait(
            "as many pods as at the least",
            lambda: len(observe.service_pods()) == fewest,
            seconds=120,
            every=1,
        )
        yield
    finally:
        with _undisturbed():
            _put_back(name, before)


def _change(limit: dict[str, Any], pods: int) -> list[dict[str, Any]]:
    """The patch of what is changed meanwhile, and of nothing that somebody else may change."""
    return [
        {"op": "replace", "path": "/spec/gateway/rateLimit", "value": limit},
        {"op": "replace", "path": "/spec/autoscaling/maxReplicas", "value": pods},
    ]


def _put_back(name: tuple[str, ...], before: dict[str, Any]) -> None:
    """Let both be as they were, and wait until the gateway's limit is. Raises LocalError, which says what is left."""
    change = json.dumps(_change(before["gateway"]["rateLimit"], before["autoscaling"]["maxReplicas"]))
    patch = ["kubectl", "patch", *name, "--type=json", "-p", change]
    try:
        wait("the PointService is as it was", lambda: succeeds(patch, timeout=20), seconds=120, every=2)
        wait("the gateway has the usual limit", lambda: _limit() < LIFTED / 2, seconds=90, every=1)
    except LocalError:
        console.print("[red]the rate limit may still be lifted: `make up` puts it back")
        raise
    console.print("the rate limit and the autoscaler are as before")


def _limit() -> float:
    """Requests a second that the gateway's pods let through, all together."""
    return sum(observe.per_second(observe.bucket(pod)) for pod in observe.gateway_pods())


@contextmanager
def _undisturbed() -> Generator[None]:
    """No signal ends the block."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def through_the_stack(folder: Path, prefix: str) -> Target:
    """Make members and their tokens, and return how the stack is asked."""
    host = application.hosts()[0]
    names = [f"{prefix}-{number}" for number in range(1, MEMBERS + 1)]
    earners = [{"Authorization": f"Bearer {issuer.token(name, 'service')}"} for name in names]
    url = edge.url(host)
    asyncio.run(_earn(url, earners, prefix, ssl.create_default_context(cafile=str(edge.ca()))))
    tokens = folder / "tokens"
    tokens.touch(0o600)
    tokens.write_text("".join(f"{issuer.token(name)}\n" for name in names))
    pods = [str(pod["metadata"]["name"]) for pod in observe.service_pods()]

    def shared() -> tuple[float, float]:
        path = f"/api/v1/namespaces/{application.NAMESPACE}/pods/{{}}:15020/proxy/stats/prometheus"
        counts = [_counts(kubectl("get", "--raw", path.format(pod))) for pod in pods]
        return sum(one[0] for one in counts), sum(one[1] for one in counts)

    return Target("stack", url, controller.recorded_writer(), [host, str(tokens)], shared)


def alone(service: Service, prefix: str) -> Target:
    """Make members and return how the service alone is asked."""
    roles = [
        {"X-Member-Id": f"{prefix}-{number}", "X-Member-Role": "service"} for number in range(1, MEMBERS + 1)
    ]
    asyncio.run(_earn(service.url, roles, prefix, False))

    def shared() -> tuple[float, float]:
        with urllib.request.urlopen(f"{service.url}/metrics", timeout=5) as answer:
            return _counts(answer.read().decode())

    return Target("alone", service.url, None, [], shared)


async def _earn(url: str, earners: list[dict[str, str]], prefix: str, verify: ssl.SSLContext | bool) -> None:
    """Each member earns once; an earn that is refused for the moment is sent again."""
    body = {"amount": EARNED}
    left: Iterator[tuple[int, dict[str, str]]] = iter(enumerate(earners))
    async with httpx.AsyncClient(base_url=url, verify=verify, timeout=10) as client:

        async def worker() -> None:
            for number, who in left:
                headers = who | {"Idempotency-Key": f"{prefix}-{number}"}
                tries = 0
                while (answer := await client.post(EARN, json=body, headers=headers)).status_code != 201:
                    tries += 1
                    if tries == 20:
                        told = f"{answer.status_code} {answer.text[:200]}"
                        raise LocalError(f"an earn at {url} is refused: {told}")
                    await asyncio.sleep(0.5)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def _counts(metrics: str) -> tuple[float, float]:
    """Requests that went into transactions together, and those transactions."""
    told = dict(line.split(" ")[:2] for line in metrics.splitlines() if line.startswith(SHARED))
    requests, transactions = (float(told.get(f"{SHARED}_{what}", 0)) for what in ("sum", "count"))
    return requests, transactions


def ask(target: Target, kind: str, connections: int, run: "Run") -> Seen:
    """Load it once."""
    uses = [run.prefix, str(MEMBERS), "0", uuid.uuid4().hex, str(KINDS[kind]), *target.arguments]
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-T10s", "-s", str(HERE / "use.lua")]
    requests, transactions = target.shared()
    before, began = cpu.look(run.known), time.monotonic()
    done = subprocess.run(
        [*wrk, target.url, "--", *uses],
        capture_output=True,
        text=True,
        timeout=SECONDS + 60,
        preexec_fn=run.client.join,
    )
    used, took = cpu.spent(before, cpu.look(run.known)), time.monotonic() - began
    if done.returncode != 0:
        raise LocalError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
    more_requests, more_transactions = target.shared()
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    answered = seen["requests"] - seen["refused"]
    lost = seen["failed"] - seen["refused"]
    if lost:
        console.print(f"[yellow]{lost} of {seen['requests']} requests without an answer")
    return Seen(
        answered / seen["seconds"],
        seen["refused"],
        seen["p50"],
        seen["p99"],
        (more_requests - requests) / max(1, more_transactions - transactions),
        used.get(cost.CLIENT, cpu.Used()).seconds / took,
        used[cpu.OTHER].seconds / took,
        cost.of_a_request(cost.beyond(used, run.idle, took), answered, target.writer),
    )


def main() -> None:
    """Measure, verify, print and draw."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit("ended"))
    try:
        if not (cluster.running() and edge.healthy(application.hosts()[0])):
            raise LocalError("the stack does not run: `make up` starts it, `make status` says how it is")
        packages.ensure({**packages.SERVE, "wrk": "wrk"})
        measure()
    except LocalError as error:
        sys.exit(f"error: {error}")


def measure() -> None:
    """Measure all of it."""
    console.print(f"idle: the stack is watched for {IDLE:.0f} s")
    shares = idle(IDLE)
    stack_tables.console.print(stack_tables.idle(shares, os.cpu_count() or 1))
    loads: dict[tuple[str, int], dict[str, list[Seen]]] = {}
    with ExitStack() as stack:
        everything, client = Share("point-bench"), Share("point-bench-client", CLIENT_CORES)
        stack.callback(everything.remove)
        stack.callback(client.remove)
        stack.enter_context(everything.joined())
        stack.enter_context(unlimited())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="point-bench-")))
        database = stack.enter_context(servers.database("mysql", durable=True))
        redis = stack.enter_context(servers.redis())
        bench = Bench(database, redis)
        bench.schema("alone", 0, 0)
        # As a pod has it: the bench of the service has as many connections as its client.
        service = stack.enter_context(bench.service("alone", 0, POINT_DATABASE_POOL_SIZE=str(pool_size())))
        names = ((service.process.pid, "service"), (database.pid, cost.WRITER), (redis.pid, "Redis"))
        known = {os.getpid(): cost.CLIENT} | {pid: f"{cost.ALONE}{name}" for pid, name in names if pid}
        prefix = f"bench-{uuid.uuid4().hex[:8]}"
        run = Run(prefix, known, shares, client)
        started = time.monotonic()
        targets = [alone(service, prefix), through_the_stack(folder, prefix)]
        console.print(
            f"{MEMBERS} members made at each, with their tokens, in {time.monotonic() - started:.0f} s"
        )
        for target in targets:
            for kind in KINDS:
                ask(target, kind, CONNECTIONS[0], run)  # warm
        for number in range(ROUNDS):
            console.print(f"round {number + 1} of {ROUNDS}: {datetime.now(UTC):%H:%M:%S}")
            for connections in CONNECTIONS:
                for kind in KINDS:
                    for target in targets:
                        seen = ask(target, kind, connections, run)
                        loads.setdefault((kind, connections), {}).setdefault(target.name, []).append(seen)
        console.print(f"verify, the service alone: {bench.verify('alone')}")
        if not books.verify():
            raise LocalError("the stack's books are wrong: see above")
        console.print("verify, the stack: every invariant holds")
    figures = {one: {name: middle(seen) for name, seen in both.items()} for one, both in loads.items()}
    for table in stack_tables.loads(figures):
        stack_tables.console.print(table)
    others = max(seen.other for both in figures.values() for seen in both.values())
    console.print(f"other work on the machine had {others:.2f} cores at the most")
    draw(figures)


def draw(figures: Mapping[tuple[str, int], Mapping[str, Seen]]) -> None:
    """Draw where a request's processor time goes, on the middle number of connections."""
    connections = CONNECTIONS[1]
    bars = [
        cost.Bar(name.format(kind), {place: used.seconds for place, used in seen.places.items()})
        for kind, one in (("a use", "uses"), ("a read", "reads"))
        for name, seen in (
            ("{} through the stack", figures[one, connections]["stack"]),
            ("{}, service alone", figures[one, connections]["alone"]),
        )
    ]
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=HERE, capture_output=True, text=True).stdout.strip()
    under = (
        f"{connections} connections; {os.cpu_count()} cores; {datetime.now(UTC):%Y-%m-%d}, commit {commit}"
    )
    cost.draw("Where a request's processor time goes", under, bars, PICTURE)
    console.print(f"picture: {PICTURE}")


def middle(seen: list[Seen]) -> Seen:
    """The median of each figure."""
    figures = [statistics.median(column) for column in zip(*(one[:-1] for one in seen), strict=True)]
    places = {
        name: cpu.Used(
            statistics.median(one.places[name].user for one in seen),
            statistics.median(one.places[name].kernel for one in seen),
        )
        for name in seen[0].places
    }
    return Seen(*figures, places)


if __name__ == "__main__":
    main()
