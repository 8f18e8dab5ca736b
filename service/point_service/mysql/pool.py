"""Database connections: a bounded pool that never hands out one whose state is unknown.

A connection goes back only when its user says it is clean; whatever ends in an exception, a cancelled request
above all, is closed instead: its answer may still be on the wire, and the next user would read it
(asyncmy issue 103). Connections end after a lifetime, so that addresses that DNS no longer gives are let go,
and the whole pool can be thrown away at once after a failover. What can't be opened harms nothing that is open.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from asyncmy.connection import Connection
from asyncmy.errors import OperationalError

from point_service.authorities import Authorities
from point_service.contract.errors import Unavailable
from point_service.mysql.faults import RAISED, NotOpenedError
from point_service.mysql.store.execution import BE_PATIENT
from point_service.settings import DatabaseSettings, SettingError

CLOSE_TIMEOUT = 2  # seconds
CONNECT_TIMEOUT = 3  # seconds, for TCP, TLS and login together
OPEN_PAUSE = 0.1  # seconds between attempts to open, once one was refused: such a server is not stormed
OVERTIME = 5.0  # seconds that a connection past its lifetime goes on for when no other can be opened
ACCESS_DENIED = 1045
BUSY = "every database connection is busy"

Login = tuple[str, str]
"""User name and password."""

# READ COMMITTED: a locking read takes no gap locks, so two first requests of a member can't deadlock.
# One second of lock wait is what a request may spend behind its twin before it is told 409.
SESSION = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"{BE_PATIENT}, innodb_lock_wait_timeout = 1, time_zone = '+00:00', "
    "sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "ONLY_FULL_GROUP_BY'",
)


class _AbruptConnection(Connection):
    """A connection whose close cuts it off: a polite one would wait for a server that may be gone."""

    def close(self) -> None:
        transport: asyncio.Transport | None = self._transport  # pyright: ignore
        super().close()
        if transport is not None:
            transport.abort()


class PooledConnection:
    """One connection, when it must end, and whether it may be used again."""

    __slots__ = ("expires", "generation", "raw")

    def __init__(self, raw: Connection, expires: float, generation: int) -> None:
        self.raw = raw
        self.expires = expires
        self.generation = generation


class Pool:
    """At most `size` connections, opened when needed. Times are seconds.

    With `reserve` one of them is only for who asks for it so; a pool of one keeps none back.
    """

    def __init__(
        self,
        open_connection: Callable[[], Awaitable[Connection]],
        size: int,
        acquire_timeout: float,
        lifetime: float,
        *,
        reserve: bool = False,
    ) -> None:
        self._open = open_connection
        self.size = size - 1 if reserve and size > 1 else size
        self._slots = asyncio.Semaphore(self.size)
        self._reserve = asyncio.Semaphore(1) if self.size < size else self._slots
        self._free: list[PooledConnection] = []
        self._lent: set[PooledConnection] = set()
        self._hoping: deque[asyncio.Future[PooledConnection]] = deque()  # for one that is lent
        self._acquire_timeout = acquire_timeout
        self._lifetime = lifetime
        self._generation = 0
        self._retired = 0.0  # what was opened before then is not used twice
        self._answered = 0.0  # when a connection last came back sound
        self._refusal: BaseException | None = None  # why the server lets none be opened,
        self._opens_again = 0.0  # and when that is tried again
        self.in_use = 0  # of `size`

    @asynccontextmanager
    async def connection(self, *, reserved: bool = False) -> AsyncGenerator[Connection]:
        """Lend a connection; it is closed when the block raises, and kept when it ends normally.

        Raises Unavailable when none comes free in time, NotOpenedError when none can be opened.
        """
        slots = self._reserve if reserved else self._slots
        await self._take_slot(slots)
        counted = slots is self._slots
        self.in_use += counted
        try:
            pooled = self._reusable()
            if pooled is None or pooled.expires <= time.monotonic():
                pooled = await self._renewed(pooled)
            clean = False
            self._lent.add(pooled)
            try:
                yield pooled.raw
                clean = True
            finally:
                self._lent.discard(pooled)
                self._give_back(pooled, clean)
        finally:
            self.in_use -= counted
            slots.release()

    @property
    def generation(self) -> int:
        """Another one each time that every connection was thrown away."""
        return self._generation

    def discard(self) -> None:
        """Throw every connection away: the free ones now, those in use when they come back."""
        self._generation += 1
        for pooled in self._free:
            pooled.raw.close()
        self._free.clear()

    def suspect(self, since: float) -> None:
        """Throw every connection away unless one has answered since then (`time.monotonic`): the server may be gone."""
        if self._answered < since:
            self.discard()

    def retire(self) -> None:
        """Have every connection replaced before its next use, if another can be opened: it may lead elsewhere now."""
        self._retired = time.monotonic()
        for pooled in (*self._free, *self._lent):
            pooled.expires = self._retired

    async def close(self) -> None:
        """Take leave of the server on every free connection; call it when nobody uses the pool any more."""
        self._generation += 1
        free, self._free = self._free, []
        for pooled in free:
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await pooled.raw.ensure_closed()
            except OSError:  # a TimeoutError is one
                pooled.raw.close()
        await asyncio.sleep(0)  # what was cut off ends in the loop's next turn

    async def _take_slot(self, slots: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._acquire_timeout):
                await slots.acquire()
        except TimeoutError:
            raise Unavailable(BUSY) from None

    def _reusable(self) -> PooledConnection | None:
        while self._free:
            pooled = self._free.pop()  # the last used first: the others may then age and go
            if not pooled.raw._stream_broken:  # pyright: ignore
                return pooled
            pooled.raw.close()
        return None

    async def _renewed(self, aged: PooledConnection | None) -> PooledConnection:
        """Return a new connection in the place of one past its lifetime, or of none.

        When none can be opened it is that one again, or another's. Raises NotOpenedError, Unavailable.
        """
        try:
            pooled = await self._opened()
        except (NotOpenedError, Unavailable) as error:
            if aged is not None:
                aged.expires = time.monotonic() + OVERTIME
                return aged
            if (free := self._reusable()) is not None:
                return free
            if isinstance(error, NotOpenedError) and error.refused and self._lent:
                return await self._given_back()
            raise
        except BaseException:
            if aged is not None:
                aged.raw.close()
            raise
        if aged is not None:
            aged.raw.close()
        return pooled

    async def _opened(self) -> PooledConnection:
        if self._refusal is not None and time.monotonic() < self._opens_again:
            raise NotOpenedError(self._refusal)
        generation, began = self._generation, time.monotonic()
        try:
            raw = await self._open()
        except SettingError as error:  # a secret that is being replaced
            raise Unavailable("the database's credentials can't be read") from error
        except RAISED as error:
            failed = NotOpenedError(error)
            if failed.refused:
                self._refusal, self._opens_again = error, time.monotonic() + OPEN_PAUSE
            raise failed from error
        self._refusal = None
        # Spread over a fifth, so that connections opened together don't all end together.
        expires = time.monotonic() + self._lifetime * random.uniform(0.8, 1.0)  # noqa: S311 - no secret
        return PooledConnection(raw, expires if began > self._retired else 0.0, generation)

    async def _given_back(self) -> PooledConnection:
        """Wait for a connection that another gives back. Raises Unavailable when none comes in time."""
        place: asyncio.Future[PooledConnection] = asyncio.get_running_loop().create_future()
        self._hoping.append(place)
        try:
            await asyncio.wait((place,), timeout=self._acquire_timeout)
            if place.done():
                return place.result()
            raise Unavailable(BUSY)
        except asyncio.CancelledError:
            if place.done():
                self._give_back(place.result(), True)
            raise
        finally:
            if not place.done():
                self._hoping.remove(place)

    def _give_back(self, pooled: PooledConnection, clean: bool) -> None:
        if clean:
            self._answered = time.monotonic()
        if not (clean and pooled.generation == self._generation and pooled.raw.connected):
            pooled.raw.close()
            return
        if self._hoping:
            self._hoping.popleft().set_result(pooled)
        else:
            self._free.append(pooled)


def opener(
    settings: DatabaseSettings, host: str, session: Sequence[str] = SESSION
) -> Callable[[], Awaitable[Connection]]:
    """Return what opens a connection to `host` as the application user, with the session set up.

    Credentials and CA file are read anew when they changed, so a rotation is picked up. A password that the database
    doesn't know yet (its Secret is changed first, and the migration tells the database) leaves the last one in use that
    it took.
    """
    authorities = Authorities(settings.ca_file) if settings.tls else None
    statement = ";".join(session)
    taken: Login | None = None

    async def log_in(login: Login) -> _AbruptConnection:
        raw = _AbruptConnection(
            host=host,
            port=settings.port,
            user=login[0],
            password=login[1],
            database=settings.name,
            charset="utf8mb4",
            autocommit=True,
            ssl=authorities.context() if authorities else None,
            connect_timeout=CONNECT_TIMEOUT,
        )
        await raw.connect()
        return raw

    async def open_connection() -> Connection:
        nonlocal taken
        login = _login(settings)
        async with asyncio.timeout(CONNECT_TIMEOUT):
            try:
                raw = await log_in(login)
                taken = login
            except OperationalError as error:
                if error.args[0] != ACCESS_DENIED or taken in (None, login):
                    raise
                raw = await log_in(taken)
            try:
                async with raw.cursor() as cursor:
                    await cursor.execute(statement)
                    while await cursor.nextset():
                        pass
            except BaseException:
                raw.close()
                raise
        return raw

    return open_connection


def _login(settings: DatabaseSettings) -> Login:
    credentials = settings.credentials
    if credentials is None:
        return "point", ""
    return credentials.username() or "point", credentials.password()
