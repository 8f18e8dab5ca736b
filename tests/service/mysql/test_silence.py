"""Who says nothing any more: a pod that is gone, a server that ends an idle connection, a connection that is cut."""

import asyncio
import time

import msgspec
import pytest
from harness.service import Member, Pod
from point_local.alone import servers
from point_service.contract.errors import MemberBusy
from point_service.ledger.points import Points
from point_service.ledger.upkeep import expire_due
from point_service.ledger.views import Views
from point_service.mysql.database import Database
from point_service.mysql.pool import Pool, opener
from point_service.mysql.store.execution import SILENT, run
from point_service.mysql.store.member import lock_members
from point_service.mysql.store.questions import Wanted
from point_service.turns.lock import MemberLock

pytestmark = pytest.mark.integration

REQUEST = 4.5  # seconds that a request has


async def asked(pool, statement):
    """Run a statement on each connection of a pool, its reserve too; return what they answer."""

    async def ask(reserved):
        async with pool.connection(reserved=reserved) as connection:
            await together.wait()
            [result] = await run(connection, [statement], [])
            return result.rows

    together = asyncio.Barrier(pool.size + 1)
    return await asyncio.gather(ask(True), *(ask(False) for _ in range(pool.size)))


async def test_members_of_a_pod_that_is_gone_without_a_word_are_soon_free(settings, member):
    await member.earn(100)
    gone = await opener(settings.database, settings.database.host)()
    try:
        await lock_members(gone, [Wanted(member.member_id)], wait=False)
        refused, used = 0, None
        async with asyncio.timeout(30):
            while used is None:
                try:
                    used = await member.use(10, "o", key="k")
                except MemberBusy:
                    refused += 1
    finally:
        gone.close()
    assert refused
    assert used.status == 201


async def test_whatever_ends_a_transaction_its_connection_may_be_idle_again(pod, member_of, master):
    async with pod(size=3, cached=False) as points:
        member = member_of(points)
        await member.earn(100)
        await asyncio.gather(*(member_of(points).earn(1) for _ in range(6)))
        await member.use(10, "o", key="k")
        assert (await member.use(10, "o", key="k")).replayed
        assert (await member.use(1000)).status == 409
        with master.connect() as holder, holder.cursor() as cursor:
            holder.begin()
            cursor.execute("SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE", (member.member_id,))
            with pytest.raises(MemberBusy):
                await member.use(10)
            holder.rollback()
        await expire_due(points.database)
        patience = await asked(points.database.pool, "SELECT @@SESSION.wait_timeout")
        assert [list(rows) for rows in patience] == [[(SILENT,)]] * 3


async def test_idle_connections_that_the_server_ended_cost_no_attempt(pod, member_of, master, eventually):
    async with pod(size=5, cached=False) as points:
        member = member_of(points)
        await member.earn(100)
        pool = points.database.pool
        ids = [rows[0][0] for rows in await asked(pool, "SELECT CONNECTION_ID()")]
        await asked(pool, "SET SESSION wait_timeout = 1")
        listed = f"SELECT 1 FROM information_schema.processlist WHERE id IN ({', '.join(map(str, ids))})"
        await eventually(lambda: not master.rows(listed))
        for _ in range(pool.size):
            await points.database.attempt(lambda connection: run(connection, ["SELECT 1"], []))
        assert (await member.use(10)).status == 201


@pytest.fixture
async def way(proxy, database_server):
    """A way to the database on which single connections can fall silent."""
    async with proxy(database_server.port) as way:
        yield way


async def silenced(way, eventually, working):
    """Let what is sent now be late for ever, on its connection alone."""
    way.delay = 600.0
    work = asyncio.create_task(working)
    await eventually(lambda: way.late)
    way.delay = 0.0
    return await work


@pytest.fixture
async def far(settings, master, way):
    """A member of a pod on that way, whose transactions go alone."""
    del master
    at = msgspec.structs.replace(settings.database, port=way.port)
    pool = Pool(opener(at, servers.HOST), 4, 2, 300)
    database = Database(pool)
    yield Member(
        Pod(
            Points(database, MemberLock(None), 1),
            Views(database, None, settings.policy),
            database,
            settings.policy,
        )
    )
    await pool.close()


@pytest.mark.parametrize("work", ["read", "transaction"])
async def test_on_a_connection_that_falls_silent_nobody_stays_for_a_whole_request(far, way, eventually, work):
    await far.earn(100)
    began = time.monotonic()
    if work == "read":
        assert await silenced(way, eventually, far.balance()) == 100
    else:
        assert (await silenced(way, eventually, far.use(10))).status == 201
    assert time.monotonic() - began < REQUEST
    assert await far.balance() == 100 - 10 * (work == "transaction")
