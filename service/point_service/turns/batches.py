"""What arrives while one batch is under way goes into the next one: a round trip is then everybody's.

Nothing waits for company: what finds no batch under way goes at once, alone if it is alone.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batches(Generic[Item, Result]):
    """Does one batch at a time, of up to `most` items in the order they came.

    `work` returns a result for each item of a batch, in their order. What it raises, everybody of the batch gets.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._working: asyncio.Task[None] | None = None

    def put(self, item: Item) -> asyncio.Future[Result]:
        """Return the result to come. An item whose future is cancelled before its batch begins is left out."""
        place: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, place))
        if self._working is None or self._working.done():
            # In a context of its own: what it logs belongs to no single request.
            self._working = asyncio.create_task(self._go_on(), context=contextvars.Context())
        return place

    async def done(self) -> None:
        """Wait until nothing is under way."""
        while self._working is not None and not self._working.done():
            await asyncio.wait((self._working,))

    async def _go_on(self) -> None:
        while places := self._board():
            try:
                results = await self._work([item for item, _ in places])
            except asyncio.CancelledError:  # the process ends
                for _, place in places:
                    place.cancel()
                raise
            except Exception as error:
                for _, place in places:
                    if not place.done():
                        place.set_exception(error)
                continue
            for (_, place), result in zip(places, results, strict=True):
                if not place.done():
                    place.set_result(result)

    def _board(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        places: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._waiting and len(places) < self._most:
            item, place = self._waiting.popleft()
            if not place.done():
                places.append((item, place))
        return places
