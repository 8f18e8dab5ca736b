"""When a pod is ready: its own way to the database leads to one that takes writes."""

from collections.abc import Iterator

import pytest
from point_local.alone import mysqld, serve, servers
from point_service.contract.errors import Unavailable
from point_service.http import probes
from point_service.http.probes import Readiness
from point_service.mysql.database import Database
from point_service.mysql.migrate import migrate
from point_service.mysql.pool import Pool, opener
from point_service.mysql.store.execution import run
from point_service.settings import Settings, load
from point_service.telemetry import metrics

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("database_server", ["mysql"], indirect=True),
]


@pytest.fixture(scope="module")
def demoted() -> Iterator[Settings]:
    """A MySQL as Aurora's readers are, a writer that was demoted among them: `read_only` says nothing of it."""
    if (reason := mysqld.available("mysql")) is not None:
        pytest.skip(reason)
    with servers.database("mysql") as server:
        settings = load(serve.environment(server, None))
        migrate(settings.database)
        server.stop()
        nothing = server.directory / "nothing.sql"
        nothing.write_text("")
        usual = server.command()
        server.command = lambda: [*usual, "--innodb-read-only=ON", f"--init-file={nothing}"]
        server.start()
        yield settings


@pytest.fixture
async def pool(demoted):
    pool = Pool(opener(demoted.database, demoted.database.host), 1, 2, 300)
    yield pool
    await pool.close()


async def test_a_demoted_aurora_writer_is_not_ready_although_it_is_not_read_only(pool, points):
    database = Database(pool)
    [result] = await database.read(lambda connection: run(connection, ["SELECT @@global.read_only"], []))
    assert list(result.rows) == [(0,)]
    assert await Readiness(database, points.database.pool).reason_against() == "the database is read-only"


async def test_a_write_on_a_demoted_writer_lets_its_connections_go_and_is_run_again(pool, master):
    del master
    before, generation = metrics.DATABASE_RETRIES.labels("read_only")._value.get(), pool.generation
    for statement in (
        "UPDATE member_point SET balance = 0 WHERE member_id = 'm'",
        "INSERT INTO member_point (member_id, balance, version, created_at, updated_at)"
        " VALUES ('m', 0, 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
    ):
        with pytest.raises(Unavailable):
            await Database(pool, 5).transact(
                lambda connection, statement=statement: run(connection, [statement], [])
            )
        assert pool.generation > generation, statement
        generation = pool.generation
    assert metrics.DATABASE_RETRIES.labels("read_only")._value.get() >= before + 2


async def test_a_probe_that_meets_the_old_writer_discards_no_pool_that_serves(pool, points, member):
    await member.earn(1)
    serving = points.database.pool
    generation = serving.generation
    readiness = Readiness(Database(pool), serving)
    await member.balance()
    assert await readiness.reason_against() is not None
    assert serving.generation == generation


async def test_what_was_open_when_a_writer_was_demoted_is_not_used_on(
    settings, points, member, master, monkeypatch
):
    """Where nobody writes nothing fails there, and what is read is out of date."""
    monkeypatch.setattr(probes, "REMEMBERED", 0.0)
    await member.earn(1)
    probe = Pool(opener(settings.database, settings.database.host), 1, 2, 300)
    serving = points.database.pool
    readiness = probes.Readiness(Database(probe), serving)

    async def session():
        await member.balance()  # sound, as stale reads are
        [result] = await points.database.read(
            lambda connection: run(connection, ["SELECT CONNECTION_ID()"], [])
        )
        return result.rows[0][0]

    try:
        before = await session()
        assert await readiness.reason_against() is None
        assert await session() == before
        async with serving.connection() as lent:
            [result] = await run(lent, ["SELECT CONNECTION_ID()"], [])
            master.rows("SET GLOBAL read_only = 1")
            assert await readiness.reason_against() == "the database is read-only"
        meanwhile = await session()
        assert meanwhile not in (before, result.rows[0][0])
        master.rows("SET GLOBAL read_only = 0")
        assert await readiness.reason_against() is None
        after = await session()
        assert after not in (before, meanwhile)
        assert await readiness.reason_against() is None
        assert await session() == after
    finally:
        master.rows("SET GLOBAL read_only = 0")
        await probe.close()
