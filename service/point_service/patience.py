"""How long whoever asked for something waits, and whether it still does: what nobody waits for is not begun.

Moments are `time.monotonic`.
"""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from point_service.contract.errors import Unavailable
from point_service.limit import Limit


class NobodyWaitsError(Unavailable):
    """What was asked for was not begun."""


class Patience:
    """One request's, from its arrival on. `limit` is what it is counted in, None when in none."""

    __slots__ = ("_left", "_task", "_working", "among_few", "arrived", "aside", "ends", "limit")

    def __init__(self, limit: Limit | None = None) -> None:
        self.arrived = time.monotonic()
        self.ends = float("inf")
        self.limit = limit
        self.among_few = limit is not None and limit.among_few()
        self.aside = 0.0  # seconds that it spent waiting for its own kind
        self._task: asyncio.Task[object] | None = None
        self._working = False
        self._left = False

    @property
    def gone(self) -> bool:
        """Tell whether whoever asked has left."""
        return self._left

    def begin(self, task: asyncio.Task[object] | None, seconds: float) -> None:
        """Let `task` do what is asked for, within `seconds` from the arrival."""
        self._task = task
        self.ends = self.arrived + seconds
        _CURRENT.set(self)

    def leave(self) -> None:
        """Whoever asked is gone: end what still waits. What works on a connection may as well come to its end."""
        self._left = True
        if self._task is not None and not self._working:
            self._task.cancel()

    def done(self) -> None:
        """Count the request out; nobody can leave it any more."""
        self._task = None

    def check(self) -> None:
        """Raise NobodyWaitsError when nobody waits any more."""
        if self._left:
            raise NobodyWaitsError("whoever asked for it is gone")
        if time.monotonic() >= self.ends:
            raise NobodyWaitsError("the request waited too long; try again with the same key")

    @contextmanager
    def work(self) -> Generator[None]:
        """Not to be disturbed for the block. Raises NobodyWaitsError instead of beginning."""
        self.check()
        self._working = True
        try:
            yield
        finally:
            self._working = False

    @contextmanager
    def stand_aside(self) -> Generator[None]:
        """Leave one's place to others for the block: a wait for one's own kind is no sign of too much to do."""
        began = time.monotonic()
        if self.limit is not None:
            self.limit.under_way -= 1
        try:
            yield
        finally:
            self.aside += time.monotonic() - began
            if self.limit is not None:
                self.limit.under_way += 1


_CURRENT: ContextVar[Patience | None] = ContextVar("patience", default=None)


def current() -> Patience:
    """Return the patience with the request that is being answered, an endless one when it is none."""
    return _CURRENT.get() or Patience()
