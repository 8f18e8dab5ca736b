"""Members who earn, use and take back through two pods, each request sent to both at once under its key."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx

AT_ONCE = 24  # requests under way, each twice
PATIENCE = 300.0  # seconds in which an answer must be final
HOT, HOT_USES = 8, 25  # members who have 100 points each, and uses of 7: 14 can be done
READS = ("", "/history", "/grants")


class Trade:
    """What was asked, what was answered, and what each member must have left by it."""

    def __init__(self, pods: Sequence[httpx.AsyncClient]) -> None:
        self._pods = pods
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.left: Counter[str] = Counter()
        self.done: Counter[tuple[str, int]] = Counter()  # by kind and status, a key once
        self.again = 0  # answers that said to try again
        self.failed = 0  # answers of 500
        self.wrong: list[str] = []

    async def earn(self, member: str, amount: int) -> int:
        """Earn points; return the grant's id."""
        done = await self._both("earn", member, "/earn", {"amount": amount})
        self.left[member] += amount
        return done["grant_id"]

    async def use(self, member: str, amount: int, order: str | None = None) -> None:
        """Use points if they are there."""
        body = {"order_id": order or str(uuid.uuid4()), "amount": amount}
        if await self._both("use", member, "/use", body):
            self.left[member] -= amount

    async def cancel_use(self, member: str, amount: int, order: str) -> None:
        """Take a part of an order back."""
        if await self._both("cancel use", member, "/use/cancel", {"order_id": order, "amount": amount}):
            self.left[member] += amount

    async def cancel_earn(self, member: str, grant: int) -> None:
        """Take a grant back, if nothing of it is used."""
        if done := await self._both("cancel earn", member, f"/earn/{grant}/cancel", {}):
            self.left[member] -= done["amount"]

    async def read(self, member: str, what: str) -> None:
        """Read while others write."""
        async with self._slots:
            answer = await self._pods[0].get(f"/v1/points{what}", headers={"X-Member-Id": member})
        self.done["read", answer.status_code] += 1

    async def check(self, member: str) -> None:
        """The balance and the history, page by page, say what the answers have said."""
        headers = {"X-Member-Id": member}
        balance = (await self._pods[1].get("/v1/points", headers=headers)).json()["balance"]
        total, cursor = 0, ""
        while cursor is not None:
            more = {"limit": "50"} | ({"cursor": cursor} if cursor else {})
            page = (await self._pods[0].get("/v1/points/history", params=more, headers=headers)).json()
            total, cursor = total + sum(entry["amount"] for entry in page["entries"]), page["next_cursor"]
        if not balance == total == self.left[member]:
            self.wrong.append(
                f"{member}: balance {balance}, history {total}, by the answers {self.left[member]}"
            )

    async def _both(self, kind: str, member: str, path: str, body: Mapping[str, Any]) -> Any:
        """Send a request to both pods at once under one key; return the body of its answer if it was done."""
        headers = {
            "X-Member-Id": member,
            "X-Member-Role": "service",
            "Idempotency-Key": str(uuid.uuid4()),
        }
        async with self._slots, asyncio.timeout(PATIENCE):
            one, other = await asyncio.gather(
                *(self._final(pod, f"/v1/points{path}", body, headers) for pod in self._pods)
            )
        if (one.status_code, one.content) != (other.status_code, other.content):
            self.wrong.append(f"{kind}: one key, two answers: {one.text} and {other.text}")
        self.done[kind, one.status_code] += 1
        return one.json() if one.status_code == 201 else None

    async def _final(
        self, pod: httpx.AsyncClient, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx.Response:
        while True:
            try:
                answer = await pod.post(path, json=body, headers=headers)
            except httpx.TransportError:
                self.again += 1
                continue
            if "retry-after" not in answer.headers and answer.status_code < 500:
                return answer
            self.again += "retry-after" in answer.headers
            self.failed += answer.status_code == 500
            await asyncio.sleep(0.05)


async def trade(urls: Sequence[str], prefix: str, members: int, uses: int) -> Trade:
    """Let so many members trade: races within a member, and members beside each other."""
    ones = [
        httpx.AsyncClient(base_url=url, timeout=30, limits=httpx.Limits(max_connections=None)) for url in urls
    ]
    shop = Trade(ones)
    try:
        await _trade(shop, prefix, members, uses)
    finally:
        for one in ones:
            await one.aclose()
    return shop


async def _trade(shop: Trade, prefix: str, members: int, uses: int) -> None:
    usual = [f"{prefix}-{number}" for number in range(members)]
    hot = [f"{prefix}-hot-{number}" for number in range(HOT)]
    await _together(lambda who=who: shop.earn(who, 100) for who in (*usual * 3, *hot))
    await _together(lambda who=who: shop.use(who, 30, f"first-{who}") for who in usual)
    fresh = dict(zip(usual, await asyncio.gather(*(shop.earn(who, 11) for who in usual)), strict=True))
    todo: list[Callable[[], Awaitable[Any]]] = [
        lambda who=who: shop.use(who, 7) for who in (*hot * HOT_USES, *usual * (uses // members))
    ]
    todo += [lambda who=who: shop.cancel_use(who, 9, f"first-{who}") for who in usual * 4]  # three fit
    todo += [lambda who=who: shop.cancel_earn(who, fresh[who]) for who in usual]
    todo += [lambda who=who: shop.use(who, 5, f"once-{who}") for who in usual * 3]  # one order, one use
    todo += [lambda who=who: shop.earn(who, 10) for who in usual]
    todo += [lambda who=who, what=what: shop.read(who, what) for who in usual for what in READS]
    random.shuffle(todo)
    await _together(todo)
    await asyncio.gather(*(shop.check(who) for who in (*usual, *hot)))
    for who in hot:
        if shop.left[who] != 2:
            shop.wrong.append(f"{who} has {shop.left[who]} points left of 100 used by 7")


async def _together(todo: Any) -> None:
    await asyncio.gather(*(one() for one in todo))
