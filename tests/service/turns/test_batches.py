"""Batches: what arrives while one is under way goes into the next."""

import asyncio

import pytest
from point_service.turns.batches import Batches


class Work:
    """Doubles numbers, a batch at a time, each when it is let go."""

    def __init__(self):
        self.batches = []
        self.gate = asyncio.Semaphore(0)

    async def __call__(self, numbers):
        self.batches.append(list(numbers))
        await self.gate.acquire()
        return [2 * number for number in numbers]


@pytest.fixture
def work():
    return Work()


async def test_what_arrives_meanwhile_goes_into_the_next_batch_in_its_order(work):
    batches = Batches(work, 3)
    first = batches.put(1)
    await asyncio.sleep(0)
    rest = [batches.put(number) for number in (2, 3, 4, 5)]
    for _ in range(3):
        work.gate.release()
    assert await asyncio.gather(first, *rest) == [2, 4, 6, 8, 10]
    assert work.batches == [[1], [2, 3, 4], [5]]


async def test_what_nobody_waits_for_any_more_is_left_out_unless_it_is_under_way(work):
    batches = Batches(work, 3)
    under_way, given_up, kept = batches.put(1), batches.put(2), batches.put(3)
    given_up.cancel()
    await asyncio.sleep(0)
    under_way.cancel()
    work.gate.release()
    assert await kept == 6
    assert work.batches == [[1, 3]]


async def test_an_error_is_its_batchs_and_the_next_one_goes_on():
    async def work(numbers):
        return [1 // number for number in numbers]

    batches = Batches(work, 2)
    results = await asyncio.gather(*map(batches.put, (1, 0, 1, 1)), return_exceptions=True)
    assert [type(result) for result in results] == [ZeroDivisionError, ZeroDivisionError, int, int]


async def test_it_is_done_when_nothing_is_under_way(work):
    batches = Batches(work, 1)
    await batches.done()
    puts = [batches.put(1), batches.put(2)]
    done = asyncio.create_task(batches.done())
    for put in puts:
        await asyncio.sleep(0)
        assert not done.done()
        work.gate.release()
        await put
    await done
    assert [put.result() for put in puts] == [2, 4]


async def test_who_waits_for_a_batch_that_the_end_of_the_process_cancels_is_cancelled(work):
    batches = Batches(work, 1)
    put = batches.put(1)
    await asyncio.sleep(0)
    batches._working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
