"""Who is let in: what can be done in time, each kind of request within a limit of its own. The newest is refused.

A refusal costs a fraction of what is refused: it is made of the request's head, before a task, a route or a log line.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from point_service.contract.errors import PROBLEM_MEDIA_TYPE, Overloaded, encode
from point_service.limit import Limit
from point_service.patience import Patience
from point_service.telemetry import metrics

USE, CANCEL, READ = "use", "cancel", "read"
LEAST = {USE: 32, CANCEL: 8, READ: 16}
"""Requests under way that each kind may always have: none takes another's place."""
HOLD = 0.05  # seconds that a refusal is kept back: who is refused and at once comes again must not be quicker than work
MOST_HELD = 1000
TOLD = 10.0  # seconds between two lines of the log about refusals

TELLING = frozenset(
    {200, 201, 409}
)  # statuses of what was worked on; and what failed by itself, 500 and more
SEPARATOR = "\0"

log = logging.getLogger(__name__)


def kind_of(method: bytes, target: bytes) -> str | None:
    """Return the kind of a request; None for what is always let in: the platform's own questions."""
    if b"/v1/" not in target:
        return None
    if method != b"POST":
        return READ
    return CANCEL if target.partition(b"?")[0].endswith(b"/cancel") else USE


class Admission:
    """Lets requests in and counts them out. `target` is the most seconds that the middle one of a kind may take."""

    def __init__(self, target: float) -> None:
        self._limits = {kind: Limit(target, least) for kind, least in LEAST.items()}
        self._held = 0
        self._refused = 0
        self._told = -TOLD
        metrics.REFUSED.labels(Overloaded.code)
        for kind, limit in self._limits.items():
            metrics.ADMISSION_REFUSED.labels(kind)
            metrics.ADMISSION_LIMIT.labels(kind).set_function(lambda limit=limit: int(limit.most))
            metrics.ADMISSION_UNDER_WAY.labels(kind).set_function(lambda limit=limit: limit.under_way)

    def enter(self, method: bytes, target: bytes) -> Patience | None:
        """Return what goes with a request that is let in, None for one that is not."""
        kind = kind_of(method, target)
        if kind is None:
            return Patience()
        limit = self._limits[kind]
        if limit.enter():
            return Patience(limit)
        self._refused += 1
        metrics.REFUSED.labels(Overloaded.code).inc()
        metrics.ADMISSION_REFUSED.labels(kind).inc()
        metrics.REQUESTS.labels("other", "GET" if kind is READ else "POST", str(Overloaded.status)).inc()
        now = time.monotonic()
        if now - self._told >= TOLD:
            log.warning(
                "overloaded, the newest are refused",
                extra={"kind": kind, "limit": int(limit.most), "refused": self._refused},
            )
            self._told, self._refused = now, 0
        return None

    def hold(self, answer: Callable[[], None]) -> None:
        """Send a refusal in a moment; at once when there are very many."""
        if self._held >= MOST_HELD:
            answer()
            return

        def let_go() -> None:
            self._held -= 1
            answer()

        self._held += 1
        asyncio.get_running_loop().call_later(HOLD, let_go)


def leave(patience: Patience, status: int) -> None:
    """Count a request out that was answered with `status`."""
    patience.done()
    if patience.limit is None:
        return
    now = time.monotonic()
    telling = status in TELLING or status >= 500
    seconds = now - patience.arrived - patience.aside
    patience.limit.leave(now, seconds if telling else None, among_few=patience.among_few)


def _pieces() -> tuple[bytes, bytes]:
    """Return the refusal's document around the request's id."""
    text = encode(Overloaded("more was asked for than can be done in time; come again"), SEPARATOR)
    before, _, after = text.partition(b"\\u0000")
    return before, after


_BEFORE, _AFTER = _pieces()
_HEAD = (
    f"HTTP/1.1 503 Service Unavailable\r\ncontent-type: {PROBLEM_MEDIA_TYPE}\r\n"
    + "".join(f"{name}: {value}\r\n" for name, value in Overloaded.headers().items())
    + "x-request-id: "
).encode()


def refusal(request_id: bytes, *, head: bool, close: bool) -> bytes:
    """Return the whole answer to who is not let in; without its body when only its `head` was asked for."""
    length = len(_BEFORE) + len(request_id) + len(_AFTER)
    ending = b"\r\nconnection: close\r\n\r\n" if close else b"\r\n\r\n"
    start = _HEAD + request_id + b"\r\ncontent-length: %d" % length + ending
    return start if head else start + _BEFORE + request_id + _AFTER
