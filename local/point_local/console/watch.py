"""Looks only while somebody watches: one look for all pages, each of which gets the newest state."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable


class Watch:
    """While it has followers, runs `look` in a thread, again `every()` seconds after its end; then `forget`."""

    def __init__(
        self, look: Callable[[], str], every: Callable[[], float], forget: Callable[[], None] = lambda: None
    ) -> None:
        self._look, self._every, self._forget = look, every, forget
        self._followers = 0
        self._task: asyncio.Task[None] | None = None
        self._newest: str | None = None
        self._number = 0
        self._changed = asyncio.Condition()
        self._asked = asyncio.Event()
        self._ended = False

    async def follow(self) -> AsyncGenerator[str]:
        """Every new state, beginning with the one that is there; ends when the watch does."""
        self._followers += 1
        self._task = self._task or asyncio.create_task(self._repeat())
        seen = 0
        try:
            while not self._ended:
                if self._newest is not None and seen != self._number:
                    seen = self._number
                    yield self._newest
                    continue
                async with self._changed:
                    if not self._ended and seen == self._number:
                        await self._changed.wait()
        finally:
            self._followers -= 1
            if not self._followers:
                self._stop()

    def nudge(self) -> None:
        """Something was switched: look at once."""
        self._asked.set()

    async def end(self) -> None:
        """Let every follower go."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task, self._newest, self._number = None, None, 0
        self._forget()

    async def _repeat(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                state = await asyncio.to_thread(self._look)
                async with self._changed:
                    self._newest = state
                    self._number += 1
                    self._changed.notify_all()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._asked.wait(), self._every())
                self._asked.clear()
