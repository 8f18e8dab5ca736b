"""Requests that share a transaction: fewer commits, and each request as if it were alone."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
from point_service.contract.idempotency import StoredAnswer
from point_service.domain.operations.use import Use, UseRequest
from point_service.mysql.store.change import Change, StaleVersionError, commit
from point_service.mysql.store.member import lock_members
from point_service.mysql.store.questions import Wanted
from point_service.telemetry import metrics

pytestmark = pytest.mark.integration


def shared():
    """How many shared transactions there were, and how many requests went into them."""
    samples = {
        sample.name: sample.value for sample in metrics.SHARED.collect()[0].samples if not sample.labels
    }
    return (
        samples["point_shared_transaction_requests_count"],
        samples["point_shared_transaction_requests_sum"],
    )


@pytest.fixture
async def members(points, member_of):
    """Members with 100 points each."""
    members = [member_of(points) for _ in range(40)]
    for some in range(0, len(members), 8):  # each first earn goes alone, and the pool is small
        await asyncio.gather(*(member.earn(100) for member in members[some : some + 8]))
    return members


async def test_uses_and_earns_that_arrive_together_share_transactions_and_each_is_its_own(members):
    transactions, requests = shared()
    outcomes = await asyncio.gather(
        *(member.use(60, "o") if number % 2 else member.earn(60) for number, member in enumerate(members))
    )
    assert {outcome.status for outcome in outcomes} == {201}
    assert [await member.balance() for member in members] == [160, 40] * 20
    after = shared()
    assert after[1] - requests == len(members)
    assert after[0] - transactions < len(members) / 4


async def test_what_is_refused_fails_only_itself_and_is_kept(members):
    poor = members[7]
    await poor.use(95)
    outcomes = await asyncio.gather(*(member.use(10, "o", key="k") for member in members))
    assert [outcome.status for outcome in outcomes] == [201] * 7 + [409] + [201] * 32
    assert json.loads(outcomes[7].body)["balance"] == 5
    again = await asyncio.gather(*(member.use(10, "o", key="k") for member in members))
    assert [outcome.body for outcome in again] == [outcome.body for outcome in outcomes]
    assert all(outcome.replayed for outcome in again)


async def test_a_member_in_other_hands_holds_nobody_up(members, master):
    taken, *others = members
    with master.connect() as holder, holder.cursor() as cursor:
        holder.begin()
        cursor.execute("SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE", (taken.member_id,))
        waiting = asyncio.create_task(taken.use(10, "o"))
        done = await asyncio.gather(*(member.use(10, "o") for member in others))
        assert {outcome.status for outcome in done} == {201}
        assert not waiting.done()
        holder.rollback()
    assert (await waiting).status == 201


async def test_an_error_in_one_decision_is_that_requests_alone(members):
    class Failing(Use, frozen=True):
        def decide(self, snapshot):
            raise ZeroDivisionError(snapshot)

    broken, *others = members
    outcomes = await asyncio.gather(
        broken.do(Failing(UseRequest(order_id="o", amount=1))),
        *(member.use(10, "o") for member in others),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], ZeroDivisionError)
    assert {outcome.status for outcome in outcomes[1:]} == {201}
    assert await broken.balance() == 100


async def test_a_request_that_is_given_up_is_done_or_not_and_its_key_tells(members):
    uses = [asyncio.create_task(member.use(10, "o", key="k")) for member in members]
    await asyncio.sleep(0)
    for use in uses[::2]:
        use.cancel()
    await asyncio.gather(*uses, return_exceptions=True)
    again = await asyncio.gather(*(member.use(10, "o", key="k") for member in members))
    assert {outcome.status for outcome in again} == {201}
    assert [await member.balance() for member in members] == [90] * 40


async def test_one_row_that_is_not_as_it_was_read_stops_the_whole_transaction(members):
    use = Use(UseRequest(order_id="o", amount=1))
    keys = [member.key(use, "k") for member in members[:5]]

    async def work(connection):
        wanted = [Wanted(key.member_id, key, use.reads) for key in keys]
        snapshots, _ = await lock_members(connection, wanted, wait=False)
        snapshots[keys[3].member_id].version += 1
        changes = [
            Change(
                snapshots[key.member_id],
                use.decide(snapshots[key.member_id]).entries,
                (),
                (key, StoredAnswer(key.request_hash, 201, "{}")),
            )
            for key in keys
        ]
        await commit(connection, changes)

    with pytest.raises(StaleVersionError):
        await members[0].database.transact(work)
    assert [await member.balance() for member in members[:5]] == [100] * 5


async def test_after_a_lost_connection_everybody_goes_alone_for_a_moment_and_together_again(
    members, database_server, eventually
):
    lost = metrics.DATABASE_RETRIES.labels("lost_connection")._value
    before = lost.get()
    generation = members[0].database.pool.generation
    database_server.freeze()
    try:
        first = asyncio.create_task(members[0].use(10, "o"))
        await eventually(lambda: lost.get() > before)
        assert members[0].database.pool.generation != generation
        transactions = shared()
        second = asyncio.create_task(members[1].use(10, "o"))
        await asyncio.sleep(0)
    finally:
        database_server.thaw()
    assert [(await first).status, (await second).status] == [201, 201]
    assert shared() == transactions
    async with asyncio.timeout(10):
        while shared() == transactions:
            assert (await members[2].earn(1)).status == 201


async def test_with_every_connection_lent_requests_still_share_one(members):
    pool = members[0].database.pool
    transactions, requests = shared()
    async with AsyncExitStack() as lent:
        for _ in range(pool.size):
            await lent.enter_async_context(pool.connection())
        outcomes = await asyncio.gather(*(member.use(10, "o") for member in members))
    assert {outcome.status for outcome in outcomes} == {201}
    after = shared()
    assert after[1] - requests == len(members)
    assert after[0] - transactions < len(members) / 4


async def test_a_slow_shared_transaction_is_no_lost_database(members, master):
    """While another connection answers, the server is there: nobody is sent alone for it, no connection is closed."""
    lost = metrics.DATABASE_RETRIES.labels("lost_connection")._value
    before = lost.get()
    pool = members[0].database.pool
    generation = pool.generation
    with master.connect() as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLES ledger_entry WRITE")
        using = asyncio.create_task(members[0].use(10, "o"))
        async with asyncio.timeout(10):
            while lost.get() == before:
                assert await members[1].balance() == 100
                await asyncio.sleep(0.1)
        transactions = shared()
        cursor.execute("UNLOCK TABLES")
    assert (await members[2].use(10, "o")).status == 201
    assert shared() != transactions
    assert (await using).status == 201
    assert pool.generation == generation
