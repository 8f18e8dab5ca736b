"""Who says nothing any more: a pod that is gone, a server that ended an idle connection."""

import asyncio

import pytest
from point_service.contract.errors import MemberBusy
from point_service.ledger.upkeep import expire_due
from point_service.mysql.pool import opener
from point_service.mysql.store.execution import SILENT, run
from point_service.mysql.store.member import lock_members
from point_service.mysql.store.questions import Wanted

pytestmark = pytest.mark.integration


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
