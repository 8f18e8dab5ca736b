"""A member's turn: who works on a member now, and the answers already given.

Inside a process requests for one member queue in order. Between processes a lock in Redis does the same: a
token with a short lease that is renewed while the work goes on, released by its token only; contenders block
on a list that the release fills, so they neither poll nor stampede, and the longest waiting gets the turn.

None of it decides anything: the member's row in the database does. This only keeps contenders from queueing
for database connections, and spares a replay its transaction. Without Redis everything goes on, slower.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from point_service import patience
from point_service.contract.errors import MemberBusy
from point_service.contract.idempotency import Key, StoredAnswer
from point_service.telemetry import metrics, traces
from point_service.turns.cache import Cache, CacheAwayError, Script

LEASE = 2.0  # seconds a lock outlives its last renewal
LONGEST_WAIT = 3.0  # seconds to wait for a turn
TAGGED = str.maketrans({"%": "%25", "}": "%7D"})  # a hash tag ends at the first brace, and may not be empty

# Each returns at once. KEYS share the member's hash tag, so they lie on one node. A release whose lock is
# gone wakes the next one too: nobody else will.
ACQUIRE = Script("""
local answer = redis.call('GET', KEYS[2])
if answer then return {answer, 0, 0} end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'', 1, 0} end
if redis.call('GET', KEYS[1]) == ARGV[1] then return {'', 1, 0} end
redis.call('SET', KEYS[3], '1', 'PX', ARGV[2])
return {'', 0, redis.call('PTTL', KEYS[1])}
""")
RENEW = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
""")
RELEASE = Script("""
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3]) end
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then redis.call('DEL', KEYS[1]) elseif owner then return 0 end
if redis.call('EXISTS', KEYS[3]) == 1 and redis.call('LLEN', KEYS[4]) == 0 then
  redis.call('RPUSH', KEYS[4], '1')
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
end
return 1
""")


def prefix_of(ledger: str) -> str:
    """Return what every key of a ledger begins with (`DatabaseSettings.ledger`)."""
    return f"point:{ledger}"


async def forget_answers(cache: Cache, ledger: str) -> int:
    """Delete every answer that is remembered for a ledger; return how many went. Raises CacheAwayError."""
    return await cache.forget(f"{prefix_of(ledger)}:*:answer:*")


class Remembered:
    """The answer that goes with a key: the one given before, or the one to be given again from now on."""

    __slots__ = ("answer",)

    def __init__(self, answer: StoredAnswer | None = None) -> None:
        self.answer = answer


class MemberLock:
    """Gives one request at a time its member, as well as it can; `cache` None leaves Redis out.

    `prefix` begins every key. Services with ledgers of their own that share a Redis must differ in it: one's answer
    is none of the other's.
    """

    def __init__(self, cache: Cache | None, prefix: str = "point") -> None:
        self._cache = cache
        self._prefix = prefix
        self._queue = _Queue()

    @asynccontextmanager
    async def hold(self, key: Key) -> AsyncGenerator[Remembered]:
        """Wait for the member's turn and hold it for the block. Raises MemberBusy when it doesn't come."""
        started = time.perf_counter()
        deadline = started + LONGEST_WAIT
        async with self._queue.turn(key.member_id, LONGEST_WAIT):
            lease = _Lease(self._cache, self._prefix, key) if self._cache is not None else None
            remembered, found = Remembered(), None
            try:
                if lease is not None:
                    remembered.answer = found = await lease.acquire(deadline)
                metrics.LOCK_WAIT.observe(time.perf_counter() - started)
                yield remembered
            finally:
                if lease is not None and found is None:
                    lease.release(remembered.answer)


class _Lease:
    """One request's hold of its member in Redis."""

    def __init__(self, cache: Cache, prefix: str, key: Key) -> None:
        self._cache = cache
        self._token = secrets.token_hex(8)
        self._held = False  # True too while nobody knows
        self._renewal: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        tag = f"{prefix}:{{{key.member_id.translate(TAGGED)}}}"
        request = hashlib.sha256(f"{key.own}\n{key.value}".encode()).hexdigest()[:32]
        self._lock, self._answer = f"{tag}:lock", f"{tag}:answer:{request}"
        self._wanted, self._wake = f"{tag}:wanted", f"{tag}:wake"

    async def acquire(self, deadline: float) -> StoredAnswer | None:
        """Take the lock, or return the answer given before. Without Redis it returns at once."""
        with traces.span("lock", "redis"):
            return await self._acquire(deadline)

    async def _acquire(self, deadline: float) -> StoredAnswer | None:
        keys = (self._lock, self._answer, self._wanted)
        try:
            while True:
                self._held = True
                answer, held, lasts = await self._cache.run(
                    "lock", ACQUIRE, keys, (self._token, int(LEASE * 1000))
                )
                self._held = bool(held)
                if answer:
                    return msgspec.json.decode(answer, type=StoredAnswer)
                if held:
                    self._renew_later()
                    return None
                left = deadline - time.perf_counter()
                if left <= 0:
                    return None  # the database's own lock decides
                with patience.current().stand_aside():
                    await self._cache.pop("lock", self._wake, min(left, max(lasts, 1) / 1000))
        except CacheAwayError:
            return None
        except msgspec.DecodeError:
            return None  # another version's answer: the database has it too

    def release(self, answer: StoredAnswer | None) -> None:
        """Let the next one in, and leave the answer for a repeated request; nobody waits until that is done.

        If it fails, the lease ends by itself, and the answer is in the database.
        """
        if self._renewal is not None:
            self._renewal.cancel()
        if not self._held and answer is None:
            return
        body = msgspec.json.encode(answer).decode() if answer is not None else ""
        keys = (self._lock, self._answer, self._wanted, self._wake)
        arguments = (self._token, body, self._cache.answer_ttl, int(LEASE * 1000))
        self._cache.send("answer", RELEASE, keys, arguments)
        self._held = False

    def _renew_later(self) -> None:
        self._renewal = asyncio.get_running_loop().call_later(LEASE / 3, self._renew)

    def _renew(self) -> None:
        self._renewing = asyncio.create_task(self._extend())

    async def _extend(self) -> None:
        try:
            kept = await self._cache.run("lock", RENEW, (self._lock,), (self._token, int(LEASE * 1000)))
        except CacheAwayError:
            return
        if kept and self._held:
            self._renew_later()


class _Queue:
    """First come, first served, for each member of this process."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def turn(self, member_id: str, wait: float) -> AsyncGenerator[None]:
        """Wait up to `wait` seconds for the member. Raises MemberBusy."""
        line = self._lines.setdefault(member_id, _Line())
        line.length += 1
        try:
            try:
                with patience.current().stand_aside():
                    async with asyncio.timeout(wait):
                        await line.lock.acquire()
            except TimeoutError:
                raise MemberBusy("other requests of this member are still running; try again") from None
            try:
                yield
            finally:
                line.lock.release()
        finally:
            line.length -= 1
            if line.length == 0:
                del self._lines[member_id]


class _Line:
    """Who waits for one member, the one whose turn it is counted in."""

    __slots__ = ("length", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.length = 0
