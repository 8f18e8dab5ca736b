"""Steady load of earns, uses, cancels and reads by many members, and the client's own ledger of it."""

import asyncio
import contextlib
import itertools
import math
import random
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import httpx

from point_local.stack import application, edge, issuer


@dataclass(frozen=True)
class Mix:
    """How many of a load's requests are what, as shares of all; what they leave are cancels."""

    reads: float
    earns: float
    uses: float


MIXES = {"even": Mix(0.4, 0.2, 0.3), "reads": Mix(0.85, 0.05, 0.08), "writes": Mix(0.1, 0.35, 0.35)}
"""By name; every one has reads and writes, or nobody could say how long there were none."""


@dataclass
class Write:
    """One write, sent under one key until it is answered."""

    member: str
    kind: str
    reference: str
    amount: int
    tries: int = 0
    status: int | None = None
    refusal: str = ""


@dataclass
class Load:
    """What was sent and what was answered; times are seconds of the monotonic clock."""

    rate: float
    mix: Mix = MIXES["even"]
    writes: list[Write] = field(default_factory=list[Write])
    write_times: list[float] = field(default_factory=list[float])
    read_times: list[float] = field(default_factory=list[float])
    latencies: list[float] = field(default_factory=list[float])
    answer_times: list[float] = field(default_factory=list[float])
    """When each of `latencies` was measured."""
    failure_times: list[float] = field(default_factory=list[float])
    failure_reasons: Counter[str] = field(default_factory=Counter[str])

    @property
    def failures(self) -> int:
        """Tries that got no answer, or none that is the last word."""
        return len(self.failure_times)

    def failed(self, reason: str) -> None:
        """Note a try that got no answer, or none that is the last word."""
        self.failure_times.append(time.monotonic())
        self.failure_reasons[reason] += 1

    def answered(self, started: float, times: list[float]) -> None:
        """Note an answer to what was sent at `started`, in `times` too."""
        now = time.monotonic()
        times.append(now)
        self.answer_times.append(now)
        self.latencies.append(now - started)

    def acknowledged(self, kind: str) -> list[Write]:
        """Writes of a kind that were answered as done."""
        return [w for w in self.writes if w.kind == kind and w.status == 201]


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the values do not exceed; 0 of none."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)] if values else 0.0


def longest_gap(times: list[float], start: float, end: float) -> float:
    """The longest time without a success between `start` and `end`, in seconds."""
    marks = [start, *sorted(t for t in times if start < t < end), end]
    return max(b - a for a, b in itertools.pairwise(marks))


class Generator:
    """Sends load through the edge until told to stop; each write is repeated under its key until answered."""

    def __init__(self, load: Load, members: int = 20) -> None:
        self.load = load
        self._members = [f"m-{secrets.token_hex(4)}" for _ in range(members)]
        self._random = random.Random(7)  # noqa: S311  (which member does what next is no secret)
        self._shop = {m: issuer.token(m, "service") for m in self._members}
        self._own = {m: issuer.token(m) for m in self._members}
        self._orders: dict[str, list[Write]] = {m: [] for m in self._members}
        """Used and not cancelled yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Offer the load's rate until `stopped()`, then wait for what is under way."""
        context = ssl.create_default_context(cafile=str(edge.ca()))
        url = edge.url(application.hosts()[0])
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=url, verify=context, timeout=6, limits=limits) as client:
            # Before anything is used: on a slow machine a use would come first and be refused.
            first = (Write(member, "earn", secrets.token_hex(8), 100_000) for member in self._members)
            await asyncio.gather(*(self._write(client, one, stopped) for one in first))
            due = time.monotonic()
            while not stopped():
                member = self._random.choice(self._members)
                self._start(self._one(client, member, stopped))
                due += 1 / self.load.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*self._tasks), 30)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, client: httpx.AsyncClient, member: str, stopped: Callable[[], bool]) -> None:
        choice, mix = self._random.random(), self.load.mix
        if choice < mix.reads:
            await self._read(client, member)
        elif choice < mix.reads + mix.earns:
            amount = self._random.randint(1, 100)
            await self._write(client, Write(member, "earn", secrets.token_hex(8), amount), stopped)
        elif choice < mix.reads + mix.earns + mix.uses:
            amount = self._random.randint(1, 50)
            await self._write(client, Write(member, "use", f"o-{secrets.token_hex(8)}", amount), stopped)
        elif orders := self._orders[member]:
            order = orders.pop(self._random.randrange(len(orders)))
            await self._write(client, Write(member, "cancel", order.reference, order.amount), stopped)

    async def _read(self, client: httpx.AsyncClient, member: str) -> None:
        started = time.monotonic()
        try:
            answer = await client.get("/v1/points", headers={"Authorization": f"Bearer {self._own[member]}"})
        except httpx.HTTPError as error:
            self.load.failed(f"read: {type(error).__name__}")
            return
        if answer.status_code == 200:
            self.load.answered(started, self.load.read_times)
        else:
            self.load.failed(f"read: {answer.status_code} {_told(answer)}")

    async def _write(self, client: httpx.AsyncClient, write: Write, stopped: Callable[[], bool]) -> None:
        self.load.writes.append(write)
        path, body, token = self._request(write)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(12)}
        give_up: float | None = None
        while give_up is None or time.monotonic() < give_up:
            if stopped() and give_up is None:
                give_up = time.monotonic() + 20
            write.tries += 1
            started = time.monotonic()
            try:
                answer = await client.post(path, json=body, headers=headers)
            except httpx.HTTPError as error:
                self.load.failed(f"{write.kind}: {type(error).__name__}")
            else:
                # 409 while the first try, or another of the member's requests, is still at work, 429 and 5xx are not
                # the last word. The first is no failure either: the service says when to come back.
                final = answer.status_code < 500 and answer.status_code != 429
                still_running = answer.status_code == 409 and "running" in answer.text
                if final and not still_running:
                    write.status = answer.status_code
                    if answer.status_code != 201:
                        write.refusal = f"{write.kind}: {answer.status_code} {_title(answer)}"
                    self.load.answered(started, self.load.write_times)
                    if write.kind == "use" and write.status == 201:
                        self._orders[write.member].append(write)
                    return
                if not still_running:
                    self.load.failed(f"{write.kind}: {answer.status_code} {_told(answer)}")
            await asyncio.sleep(0.2 + self._random.random() * 0.3)

    def _request(self, write: Write) -> tuple[str, dict[str, object], str]:
        match write.kind:
            case "earn":
                return (
                    "/v1/points/earn",
                    {"amount": write.amount, "reason": write.reference},
                    self._shop[write.member],
                )
            case "use":
                body: dict[str, object] = {"order_id": write.reference, "amount": write.amount}
                return "/v1/points/use", body, self._own[write.member]
            case _:
                body = {"order_id": write.reference, "amount": write.amount}
                return "/v1/points/use/cancel", body, self._shop[write.member]


def _told(answer: httpx.Response) -> str:
    """What a problem document is called and tells, or how another answer begins."""
    try:
        problem = answer.json()
        return f"{problem['title']} ({problem.get('detail', '')})"
    except (ValueError, KeyError, TypeError):
        return answer.text[:80]


def _title(answer: httpx.Response) -> str:
    """What a problem document is called, or how another answer begins."""
    return _told(answer).partition(" (")[0]
