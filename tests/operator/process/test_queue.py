"""The queue: one look at a time for each key, failures again, nothing lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from point_operator.process.queue import Queue

KEY, OTHER = ("ns", "one"), ("ns", "two")


class Looks:
    """A handler that a test opens and closes."""

    def __init__(self, again: float | None = None) -> None:
        self.count: Counter[tuple[str, str]] = Counter()
        self.running: Counter[tuple[str, str]] = Counter()
        self.most: Counter[tuple[str, str]] = Counter()
        self.open = asyncio.Event()
        self.open.set()
        self.failures = 0
        self.again = again

    async def __call__(self, key: tuple[str, str]) -> float | None:
        self.count[key] += 1
        self.running[key] += 1
        self.most[key] = max(self.most[key], self.running[key])
        await self.open.wait()
        self.running[key] -= 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not yet")
        return self.again


async def _until(condition: Callable[[], object], seconds: float = 3) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition at all
            await asyncio.sleep(0.005)


async def _with(queue: Queue, body: Awaitable[None]) -> None:
    task = asyncio.create_task(queue.run())
    try:
        await body
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_comes_while_it_runs_is_one_more_look_afterwards() -> None:
    looks = Looks()
    queue = Queue(looks, workers=4)

    async def body() -> None:
        looks.open.clear()
        queue.add(KEY)
        await _until(lambda: looks.count[KEY] == 1)
        for _ in range(10):
            queue.add(KEY)
        looks.open.set()
        await _until(lambda: looks.count[KEY] == 2 and not looks.running[KEY])

    await _with(queue, body())
    assert looks.count[KEY] == 2
    assert looks.most[KEY] == 1


async def test_different_keys_are_looked_at_together() -> None:
    looks = Looks()
    queue = Queue(looks, workers=2)

    async def body() -> None:
        looks.open.clear()
        queue.add(KEY)
        queue.add(OTHER)
        await _until(lambda: looks.running[KEY] == 1 and looks.running[OTHER] == 1)
        looks.open.set()

    await _with(queue, body())


async def test_workers_are_limited() -> None:
    looks = Looks()
    queue = Queue(looks, workers=1)

    async def body() -> None:
        looks.open.clear()
        queue.add(KEY)
        queue.add(OTHER)
        await _until(lambda: sum(looks.count.values()) == 1)
        looks.open.set()
        await _until(lambda: sum(looks.count.values()) == 2)

    await _with(queue, body())


async def test_a_failure_is_repeated(caplog: pytest.LogCaptureFixture) -> None:
    looks = Looks()
    looks.failures = 2
    queue = Queue(looks, workers=1)

    async def body() -> None:
        queue.add(KEY)
        await _until(lambda: looks.count[KEY] == 3)

    await _with(queue, body())
    assert caplog.text.count("reconcile failed") == 2


async def test_an_earlier_wish_wins() -> None:
    looks = Looks()
    queue = Queue(looks, workers=1)

    async def body() -> None:
        queue.add(KEY, after=60)
        queue.add(KEY)
        await _until(lambda: looks.count[KEY] == 1)

    await _with(queue, body())


async def test_it_looks_again_after_the_asked_time() -> None:
    looks = Looks(again=0.01)
    queue = Queue(looks, workers=1)

    async def body() -> None:
        queue.add(KEY)
        await _until(lambda: looks.count[KEY] >= 3)

    await _with(queue, body())


async def test_draining_ends_what_runs_and_takes_nothing_more() -> None:
    looks = Looks()
    queue = Queue(looks, workers=1)

    async def body() -> None:
        looks.open.clear()
        queue.add(KEY)
        await _until(lambda: looks.count[KEY] == 1)
        draining = asyncio.create_task(queue.drain(5))
        queue.add(OTHER)
        looks.open.set()
        await draining

    await _with(queue, body())
    assert looks.count[OTHER] == 0
    assert not looks.running[KEY]
