"""Which PointService to look at next: each at most once at a time, failures again after a growing pause.

kopf tells that something happened; what is to be done is read from the cluster each time. So events that
come together are one piece of work, and one that was missed is made up for by the next look.
"""

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Awaitable, Callable

from point_operator import metrics
from point_operator.observe.fleet import Key

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 60.0
"""Seconds until a failed piece of work is repeated; doubled each time."""


class Queue:
    """Runs `handle(key)`, whose result is the seconds until the next look, None for never."""

    def __init__(self, handle: Callable[[Key], Awaitable[float | None]], workers: int) -> None:
        self._handle = handle
        self._workers = workers
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._running: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()
        self._closed = False
        self.beat = 0.0
        """Loop time at which the queue last looked for work; old when the loop is stuck."""

    def add(self, key: Key, after: float = 0.0) -> None:
        """Have a key looked at `after` seconds from now, or earlier if it already is due earlier."""
        due = asyncio.get_running_loop().time() + after
        if self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                loop_time = self.beat = asyncio.get_running_loop().time()
                while (
                    not self._closed
                    and len(self._running) < self._workers
                    and (key := self._next(loop_time)) is not None
                ):
                    self._running.add(key)
                    tasks.create_task(self._work(key))
                metrics.WAITING.set(sum(due <= loop_time for due in self._due.values()))
                await self._pause(loop_time)

    async def drain(self, seconds: float) -> None:
        """Take up nothing more, and return when what runs has ended or `seconds` have passed.

        What runs on then ends with `run`: cancel that, and await it.
        """
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._running:
                    self._changed.clear()
                    await self._changed.wait()

    def _next(self, now: float) -> Key | None:
        """Take the first key that is due and not being worked on."""
        postponed: list[tuple[float, Key]] = []
        taken: Key | None = None
        while taken is None and self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) != due:
                continue  # it was asked for again, earlier
            if key in self._running:
                postponed.append((due, key))
                continue
            del self._due[key]
            taken = key
        for entry in postponed:
            heapq.heappush(self._heap, entry)
        return taken

    async def _pause(self, now: float) -> None:
        ready = [due for due, key in self._heap if key not in self._running]
        wait = min(min(ready, default=now + 5) - now, 5.0)
        if len(self._running) >= self._workers:
            wait = 5.0
        try:
            async with asyncio.timeout(max(wait, 0.0)):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _work(self, key: Key) -> None:
        try:
            again = await self._handle(key)
            self._failures.pop(key, None)
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            again = min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE)
            metrics.ERRORS.labels(type(error).__name__).inc()
            log.warning("reconcile failed, again in %.2f s", again, extra=_who(key), exc_info=error)
        finally:
            self._running.discard(key)
            self._changed.set()
        if again is not None:
            self.add(key, again)


def _who(key: Key) -> dict[str, str]:
    return {"point_service": "/".join(key)}
