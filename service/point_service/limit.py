"""How many requests may be under way at once: as many as end in good time, found out by how long they take.

It reads no clock: moments are told to it, seconds of whichever clock never goes back.
"""

import math
import statistics

FIRST = 100  # requests under way at first
MOST = 1000
WINDOW = 0.1  # seconds between two changes, unless requests take longer than that: an effect is awaited
SAMPLES = 8  # the fewest that say something,
LONGEST_WINDOW = 1.0  # seconds after which fewer must do
CUT = 0.7  # the most that is taken away at once
TOLERANCE = 5.0  # times what a request takes when few are under way; a use takes that long when one waits for the next
FEW, FEW_SHARE = 4, 8  # under way: so many, or one in so many of the limit
SOONER, LATER = 0.2, 0.03  # how much of a shorter or a longer request is believed of those among few


class Limit:
    """The limit and what is under way within it.

    It aims at a time for the middle one of the requests: `TOLERANCE` times what one takes among few others, and never
    more than `target` seconds. A time that is absolute alone would be too long for a fast database and too short for a
    slow one; the shortest time ever seen would be learned anew, too high, from an overload that lasts. This one is
    learned only while there is little to do. The limit does not go below `least`.
    """

    def __init__(self, target: float, least: int) -> None:
        self.target = target
        self.least = least
        self.most = float(max(FIRST, least))
        self.under_way = 0
        self._usual: float | None = None  # seconds of a request among few others
        self._samples: list[float] = []
        self._window_began = -math.inf
        self._window = WINDOW
        self._was_full = False

    @property
    def aim(self) -> float:
        """Seconds that the middle one of the requests may take."""
        return self.target if self._usual is None else min(self.target, TOLERANCE * self._usual)

    def enter(self) -> bool:
        """Count a request in, if there is room for it. Who is counted in must `leave`."""
        if self.under_way >= int(self.most):
            self._was_full = True
            return False
        self.under_way += 1
        return True

    def among_few(self) -> bool:
        """Tell whether what is counted in now has little beside it."""
        return self.under_way <= max(FEW, self.most / FEW_SHARE)

    def leave(self, now: float, seconds: float | None = None, *, among_few: bool = False) -> None:
        """Count a request out that took `seconds` from its arrival; None: what it took says nothing."""
        self.under_way -= 1
        if seconds is not None:
            self._samples.append(seconds)
            if among_few:
                self._learn(seconds)
        passed = now - self._window_began
        if passed >= self._window and (len(self._samples) >= SAMPLES or passed >= LONGEST_WINDOW):
            self._adjust(now)

    def _learn(self, seconds: float) -> None:
        if self._usual is None:
            self._usual = seconds
            return
        share = SOONER if seconds < self._usual else LATER
        self._usual += share * (min(seconds, self.target) - self._usual)

    def _adjust(self, now: float) -> None:
        if self._samples:
            middle = statistics.median(self._samples)
            if middle > self.aim:
                self.most = max(float(self.least), self.most * max(CUT, self.aim / middle))
            elif self._was_full:
                self.most = min(float(MOST), self.most + math.sqrt(self.most) / 2)
            self._window = max(WINDOW, min(middle, LONGEST_WINDOW))
        self._samples.clear()
        self._was_full = False
        self._window_began = now
