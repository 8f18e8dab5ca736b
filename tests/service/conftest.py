"""Real servers for the integration tests, started once."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from asyncmy.connection import Connection
from harness.service import Master, Member, Pod, Proxy, Served
from harness.sizes import LONG
from hypothesis import settings as limits
from point_local.alone import mysqld, serve, servers
from point_service.ledger.points import Points
from point_service.ledger.views import Views
from point_service.mysql.database import Database
from point_service.mysql.migrate import migrate
from point_service.mysql.pool import SESSION, Pool, opener
from point_service.settings import Settings, load
from point_service.turns.cache import Cache
from point_service.turns.lock import MemberLock

# A busy machine is no reason for a rule to be wrong.
limits.register_profile("patient", deadline=None)
limits.load_profile("patient")

FLAVOURS = ("mysql", "mariadb")
DIALECT = frozenset(
    {
        "test_ledger",
        "test_history",
        "test_migrate",
        "test_use",
        "test_cancel",
        "test_idempotency",
        "test_sharing",
        "test_faults",
    }
    | {
        "test_verify",
        "test_liability",
        "test_routing",
        "test_examples",
        "test_answers",
        "test_answers_by_day",
    }
)
"""What MariaDB, which stands in where MySQL can't be had, goes through in the gate: each statement, each fault."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What else MySQL has proved is proved of it by `make test-long`."""
    there = {item.nodeid for item in items}
    rest = [
        item
        for item in items
        if _on_mariadb(item)
        and item.path.stem not in DIALECT
        and item.nodeid.replace("mariadb", "mysql") in there
    ]
    for item in rest:
        item.add_marker("long")
    if rest and not LONG:
        config.hook.pytest_deselected(items=rest)
        items[:] = [item for item in items if item not in set(rest)]


def _on_mariadb(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("database_server") == "mariadb"


@pytest.fixture(scope="session", params=FLAVOURS)
def database_server(request: pytest.FixtureRequest) -> Iterator[servers.DatabaseServer]:
    """A migrated database; the tests that use one run on each."""
    if (reason := mysqld.available(request.param)) is not None:
        pytest.skip(reason)
    with servers.database(request.param) as server:
        migrate(load(serve.environment(server, None)).database)
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.RedisServer]:
    """Redis in cluster mode with TLS, as in production."""
    with servers.redis() as server:
        yield server


@pytest.fixture
def redis(redis_server: servers.RedisServer) -> Iterator[servers.RedisServer]:
    """Redis, running and empty again after the test, whatever the test did to it."""
    yield redis_server
    redis_server.thaw()
    if redis_server.pid is None:
        redis_server.start()
    redis_server.call("FLUSHALL")


@pytest.fixture
def master(database_server: servers.DatabaseServer) -> Iterator[Master]:
    """The master user. Whatever the test did, the ledger must add up after it."""
    master = Master(database_server)
    yield master
    assert master.broken() == {}


@pytest.fixture
def master_alone(database_server: servers.DatabaseServer) -> Iterator[Master]:
    """The master user of an empty schema: the others' tests look at every row of theirs again and again."""
    usual, database_server.schema = database_server.schema, f"alone_{uuid.uuid4().hex[:8]}"
    try:
        migrate(load(serve.environment(database_server, None)).database)
        master = Master(database_server)
        yield master
        assert master.broken() == {}
        master.rows(f"DROP DATABASE {database_server.schema}")
    finally:
        database_server.schema = usual


@pytest.fixture
def settings(database_server: servers.DatabaseServer, redis: servers.RedisServer) -> Settings:
    """The service's settings for the servers of the tests."""
    # Twice the usual patience with Redis: on a busy machine it is no failure to need it.
    return load(serve.environment(database_server, redis) | {"POINT_CACHE_TIMEOUT_SECONDS": "0.5"})


Opener = Callable[[], Awaitable[Connection]]


@asynccontextmanager
async def running_pod(
    settings: Settings,
    *,
    size: int = 10,
    cached: bool = True,
    wrap: Callable[[Opener], Opener] = lambda raw: raw,
) -> AsyncIterator[Pod]:
    """One pod's worth of the service, without HTTP. `wrap` may make its connections fail."""
    pool = Pool(wrap(opener(settings.database, settings.database.host, SESSION)), size, 2, 300, reserve=True)
    cache = Cache(settings.cache) if cached and settings.cache is not None else None
    try:
        writer = Database(pool)
        points = Points(writer, MemberLock(cache))
        yield Pod(points, Views(writer, None, settings.policy), writer, settings.policy)
    finally:
        await pool.close()
        if cache is not None:
            await cache.close()


@pytest.fixture
async def points(settings: Settings, master: Master) -> AsyncIterator[Pod]:
    """The service on the real database and Redis."""
    del master
    async with running_pod(settings) as points:
        yield points


@pytest.fixture
def pod(settings: Settings, master: Master) -> Callable[..., Any]:
    """Starts pods of the service; the tests that need two, or one that fails."""
    del master
    return partial(running_pod, settings)


@pytest.fixture
def member(points: Pod) -> Member:
    """A member nobody knows yet."""
    return Member(points)


@pytest.fixture
def member_of() -> type[Member]:
    """Makes members of a given pod."""
    return Member


@pytest.fixture(scope="session")
def service() -> type[Served]:
    """Runs the service as processes of their own."""
    return Served


@pytest.fixture(scope="session")
def master_of() -> type[Master]:
    """Makes the master user of a given database."""
    return Master


@pytest.fixture
def proxy() -> type[Proxy]:
    """Makes addresses of loopback that can be led elsewhere or be slow."""
    return Proxy


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """Waits until a condition is true."""

    async def wait(condition: Callable[[], bool], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - another process changes it
                await asyncio.sleep(0.005)

    return wait
