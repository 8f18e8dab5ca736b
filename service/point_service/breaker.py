"""Whether to call what may be away: after some failures in a row nobody does for a while, then one tries again."""

import time

FAILURES_TO_OPEN = 3  # in a row: one slow call is no outage
SHORTEST_PAUSE = 0.5  # seconds without calls after a failure; doubles while failures go on
LONGEST_PAUSE = 10.0  # seconds


class Breaker:
    """Tells whether to call; remembers failures. Times are seconds on the monotonic clock."""

    def __init__(self) -> None:
        self._closed_at = 0.0
        self._pause = SHORTEST_PAUSE
        self._failures = 0
        self.open = False

    def permits(self) -> bool:
        """Tell whether a call may be made now; while failing, one caller at a time is let through."""
        if not self.open:
            return True
        now = time.monotonic()
        if now < self._closed_at:
            return False
        self._closed_at = now + self._pause
        return True

    def failed(self) -> None:
        """Remember a failure."""
        self._failures += 1
        if self._failures < FAILURES_TO_OPEN:
            return
        if self.open:
            self._pause = min(LONGEST_PAUSE, self._pause * 2)
        self.open = True
        self._closed_at = time.monotonic() + self._pause

    def succeeded(self) -> None:
        """Forget the failures."""
        self.open = False
        self._failures = 0
        self._pause = SHORTEST_PAUSE
