"""Redis or Valkey, as something that may be away: calls are short, and after a failure it is left alone.

Scripts that are asked for together go in one pipeline, in the order they were asked for: a client's own work for a
command is far more than Redis' own.

The breaker keeps a dead, hanging or slow Redis from adding its time to every request.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from redis import exceptions as client_errors
from redis.asyncio import RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from point_service.authorities import version
from point_service.breaker import Breaker
from point_service.settings import CacheSettings
from point_service.telemetry import logs, metrics
from point_service.turns.batches import Batches
from point_service.turns.client import MAX_CONNECTIONS, connect

log = logging.getLogger(__name__)

MOST_TOGETHER = 64  # scripts in one pipeline
WARM_UP = 2.0  # seconds at the start for a connection, which no request then waits for
SLOW_SHARE = (
    0.4  # of the longest that a call may take: three in a row that take more, and Redis is left alone
)
LOOK_AROUND = 5.0  # seconds to learn anew who is in the cluster
KEYS_AT_ONCE = 1_000  # that are looked at, or deleted, in one round trip

FAILURES = (RedisError, RedisClusterException, OSError)


class CacheAwayError(Exception):
    """Redis did not answer, or is not being asked."""


class Script:
    """A Lua script, sent whole only when the server doesn't know it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode()).hexdigest()  # noqa: S324 - the name Redis gives it


class _Call(msgspec.Struct, frozen=True):
    """One call of a script, and what is missed without it."""

    purpose: str
    script: Script
    keys: Sequence[str]
    arguments: Sequence[str | int]

    def command(self, *how: str) -> tuple[str | int, ...]:
        return (*how, len(self.keys), *self.keys, *self.arguments)


class _Slow:
    """Sees whether a block takes longer than `wait` and `most` seconds; not when it is this process that is late."""

    def __init__(self, wait: float, most: float) -> None:
        self.seen = False
        self._due, self._most = wait + most, most

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        self._due += loop.time()
        self._timer = loop.call_at(self._due, self._notice)

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _notice(self) -> None:
        self.seen = asyncio.get_running_loop().time() < self._due + self._most / 2


class Cache:
    """Runs scripts and blocking pops on Redis behind the breaker."""

    def __init__(self, settings: CacheSettings) -> None:
        self._settings = settings
        self._trusted = version(settings.ca_file)
        self._client = connect(settings)
        self._timeout = settings.timeout
        self._sent: set[str] = set()  # digests of scripts
        self._batches = Batches(self._run_together, MOST_TOGETHER)
        self._waiting = asyncio.Semaphore(MAX_CONNECTIONS - 1)
        self._looking_around: asyncio.Task[None] | None = None
        self.breaker = Breaker()
        self.answer_ttl = settings.answer_ttl

    async def warm_up(self) -> None:
        """Open a connection, if Redis is there; without it the service starts all the same."""
        with suppress(Exception):
            async with asyncio.timeout(WARM_UP):
                await self._evaluate([_Call("warm", Script("return 1"), ["warm"], [])])

    async def run(
        self, purpose: str, script: Script, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> Any:
        """Run a script on the node that holds `keys` (one hash tag) and return its answer.

        Raises CacheAwayError; `purpose` then says in the metrics what was missed.
        """
        return _given(await self._batches.put(_Call(purpose, script, keys, arguments)))

    def send(self, purpose: str, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> None:
        """Run a script before those that are asked for later; wait neither for it nor for its failure."""
        self._batches.put(_Call(purpose, script, keys, arguments))

    async def pop(self, purpose: str, key: str, wait: float) -> bool:
        """Wait up to `wait` seconds for an element of a list and take it.

        Raises CacheAwayError, at once when every connection waits like this already.
        """

        async def call() -> Sequence[Any]:
            return [await self._client.execute_command("BLPOP", key, f"{max(wait, 0.01):.3f}")]

        if self._waiting.locked():
            raise _away(purpose, RuntimeError("too many wait already"))
        async with self._waiting:
            [popped] = await self._call([purpose], wait, call)
        return _given(popped) is not None

    async def forget(self, pattern: str) -> int:
        """Delete every key that matches, on every node; return how many went. Raises CacheAwayError."""
        gone, some = 0, list[str]()
        try:
            async for key in self._client.scan_iter(pattern, count=KEYS_AT_ONCE):
                some.append(key)
                if len(some) == KEYS_AT_ONCE:
                    gone += await self._unlink(some)
                    some = []
            return gone + await self._unlink(some)
        except FAILURES as error:
            raise CacheAwayError(f"Redis does not answer: {type(error).__name__}") from error

    async def close(self) -> None:
        """Send what is not sent yet, and close the connections, those to a hanging server too."""
        await self._batches.done()
        if self._looking_around is not None:
            self._looking_around.cancel()
            await asyncio.wait((self._looking_around,))
        with suppress(Exception):
            await self._client.aclose()

    async def _run_together(self, asked: Sequence[_Call]) -> Sequence[Any]:
        return await self._call([call.purpose for call in asked], 0.0, lambda: self._evaluate(asked))

    async def _call(
        self, purposes: Sequence[str], wait: float, call: Callable[[], Awaitable[Sequence[Any]]]
    ) -> Sequence[Any]:
        """Return for each purpose an answer of the call, which may wait for `wait` seconds, or the CacheAwayError there
        is instead."""
        if self.breaker.permits():
            slow = _Slow(wait, SLOW_SHARE * self._timeout)
            try:
                with slow:
                    async with asyncio.timeout(wait + self._timeout):
                        answers = await call()
            except Exception as error:  # whatever the client makes of it, the database decides
                answers = [error] * len(purposes)
            # One script's own error is no outage.
            worked = any(not isinstance(answer, Exception) for answer in answers)
            self._learn(None if worked else answers[0], slow=slow.seen)
        else:
            answers = [CacheAwayError("Redis failed a moment ago")] * len(purposes)
        return [
            _away(purpose, answer) if isinstance(answer, Exception) else answer
            for purpose, answer in zip(purposes, answers, strict=True)
        ]

    def _learn(self, failure: Exception | None, *, slow: bool) -> None:
        """Tell the breaker, and the log when that changes something."""
        was_open = self.breaker.open
        if failure is None and slow:
            self.breaker.failed()
            if self.breaker.open and not was_open:
                log.warning("Redis is slow, going on without")
            return
        if failure is None:
            if was_open:
                log.info("Redis is back")
            self.breaker.succeeded()
            return
        self.breaker.failed()
        if self.breaker.open and not was_open:
            reason = described(failure)
            surprising = None if isinstance(failure, FAILURES) else failure
            log.warning("Redis is away, going on without", extra={"error": reason}, exc_info=surprising)
        replaced = version(self._settings.ca_file) != self._trusted
        if (self.breaker.open or replaced) and (self._looking_around is None or self._looking_around.done()):
            self._looking_around = asyncio.create_task(self._look_around())

    async def _look_around(self) -> None:
        """Learn anew who is in the cluster, in no request's time.

        A primary that hangs, or whose zone is dark, fails no call within its limit: the client by itself would go
        on asking it, and never the replica that took over. Nor would its connections, opened again, read a CA file that
        was replaced.
        """
        trusted = version(self._settings.ca_file)
        if trusted != self._trusted:
            before, self._client, self._trusted = self._client, connect(self._settings), trusted
            with suppress(Exception):
                await before.aclose()
        elif isinstance(self._client, RedisCluster):
            with suppress(Exception):
                async with asyncio.timeout(LOOK_AROUND):
                    await self._client.aclose()
                    await self._client.initialize()

    async def _evaluate(self, asked: Sequence[_Call]) -> Sequence[Any]:
        """Return each script's answer or error.

        A script that was not sent yet goes whole: by its digest it would be refused, and then be run after those behind
        it.
        """
        commands = [
            call.command("EVALSHA", call.script.digest)
            if call.script.digest in self._sent
            else call.command("EVAL", call.script.source)
            for call in asked
        ]
        answers = await self._pipeline(commands)
        self._sent.update(call.script.digest for call in asked)
        unknown = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:  # another server, or one that was started anew
            again = [asked[place].command("EVAL", asked[place].script.source) for place in unknown]
            for place, answer in zip(unknown, await self._pipeline(again), strict=True):
                answers[place] = answer
        return answers

    async def _unlink(self, keys: Sequence[str]) -> int:
        if not keys:
            return 0
        answers = await self._pipeline([("UNLINK", key) for key in keys])
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return sum(answers)

    async def _pipeline(self, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=False)


def described(error: BaseException) -> str:
    """Return an error in words for the log. The client's own may quote a command, and its keys name a member."""
    if isinstance(error, (client_errors.ConnectionError, client_errors.TimeoutError)):
        return f"{type(error).__name__}: {error}"
    cause = f" ({described(error.__cause__)})" if error.__cause__ is not None else ""
    return logs.told(error) + cause


def _away(purpose: str, error: Exception) -> CacheAwayError:
    metrics.REDIS_UNAVAILABLE.labels(purpose).inc()
    return CacheAwayError(described(error))


def _given(answer: Any) -> Any:
    """Return an answer. Raises CacheAwayError when that is what it is."""
    if isinstance(answer, CacheAwayError):
        raise answer
    return answer
