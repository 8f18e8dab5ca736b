"""Calls that go out side by side."""

import asyncio

import pytest
from point_operator.kube.cluster import together


async def test_one_that_fails_leaves_no_sibling_at_work() -> None:
    wrote: list[str] = []

    async def write(name: str, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        wrote.append(name)

    async def refused() -> None:
        raise RuntimeError("refused")

    with pytest.raises(RuntimeError):
        await together([write("early", 0), refused(), write("late", 9)])
    assert wrote == ["early", "late"]


async def test_ending_it_ends_them_all() -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    task = asyncio.create_task(together(work(number) for number in range(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2]
