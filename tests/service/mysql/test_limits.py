"""What the database refuses: a fault of what is refused, and of nothing that is open."""

import asyncio
import traceback

import pytest
from point_service.contract.errors import MemberBusy, Unavailable
from point_service.ledger.upkeep import forget_answers
from point_service.mysql import faults
from point_service.mysql.pool import Pool, opener
from point_service.mysql.store.execution import run
from point_service.telemetry import metrics

pytestmark = pytest.mark.integration


def counted(fault):
    return metrics.DATABASE_RETRIES.labels(fault)._value.get()


@pytest.fixture
def account(master, database_server):
    """Says something of the application's user; whatever it was, it is taken back."""
    password = (database_server.application / "password").read_text()

    def alter(clause):
        master.rows(f"ALTER USER 'point'@'%' {clause}")

    yield alter
    # What may not be said in one statement everywhere.
    for clause in (f"IDENTIFIED BY '{password}'", "ACCOUNT UNLOCK", "WITH MAX_USER_CONNECTIONS 0"):
        alter(clause)
    alter("WITH MAX_QUERIES_PER_HOUR 0")
    master.rows("FLUSH USER_RESOURCES")


async def sessions(pool, number):
    """Open so many connections, or show that there are; return the server's ids of them."""

    async def session(together):
        async with pool.connection() as connection:
            await together.wait()
            [result] = await run(connection, ["SELECT CONNECTION_ID()"], [])
            return result.rows[0][0]

    together = asyncio.Barrier(number)
    return set(await asyncio.gather(*(session(together) for _ in range(number))))


@pytest.mark.parametrize(
    ("before", "refused"),
    [
        ("WITH MAX_USER_CONNECTIONS 3", "ACCOUNT UNLOCK"),
        ("ACCOUNT UNLOCK", "IDENTIFIED BY 'rotated'"),
        ("ACCOUNT UNLOCK", "ACCOUNT LOCK"),
    ],
)
async def test_when_no_connection_can_be_opened_those_that_are_open_serve_everybody(
    pod, member_of, account, before, refused
):
    account(before)
    async with pod(size=9, cached=False) as points:
        member = member_of(points)
        await member.earn(100)
        pool = points.database.pool
        open_already = await sessions(pool, 3)
        account(refused)
        assert {await member.balance() for _ in range(3)} == {100}
        assert await asyncio.gather(*(member.balance() for _ in range(30))) == [100] * 30
        assert (await member.use(1)).status == 201
        assert await sessions(pool, 3) == open_already


async def test_a_connection_past_its_lifetime_serves_on_while_no_other_can_be_opened(
    settings, master, account, monkeypatch
):
    del master
    monkeypatch.setattr("point_service.mysql.pool.OVERTIME", 0)
    monkeypatch.setattr("point_service.mysql.pool.OPEN_PAUSE", 0)
    pool = Pool(opener(settings.database, settings.database.host), 1, 1, 0)
    try:
        first = await sessions(pool, 1)
        account("ACCOUNT LOCK")
        assert [await sessions(pool, 1) for _ in range(3)] == [first] * 3
        account("ACCOUNT UNLOCK")
        assert await sessions(pool, 1) != first
    finally:
        await pool.close()


async def test_when_the_first_connection_is_refused_callers_are_told_to_come_back(pod, member_of, account):
    account("ACCOUNT LOCK")
    async with pod(cached=False) as points:
        with pytest.raises(Unavailable):
            await member_of(points).balance()
        before = counted("not_opened")
        with pytest.raises(Unavailable) as told:
            await member_of(points).earn(1)
        assert (told.value.status, told.value.retry_after) == (503, 1)
        assert counted("not_opened") > before


async def test_a_user_over_its_queries_an_hour_is_unavailable_and_no_bug(pod, member_of, account):
    account("WITH MAX_QUERIES_PER_HOUR 20")
    async with pod(size=2, cached=False) as points:
        refused = 0
        for _ in range(40):
            try:
                await member_of(points).balance()
            except Unavailable:
                refused += 1
        assert refused


async def test_a_lock_wait_in_a_read_costs_no_connection(points, member, master):
    await member.earn(1)
    database = points.database
    before = database.pool.generation, await sessions(database.pool, 4)
    with master.connect() as holder, holder.cursor() as cursor:
        holder.begin()
        cursor.execute("SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE", (member.member_id,))
        locking = "SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE"
        reads = [
            database.read(lambda connection: run(connection, [locking], [member.member_id])) for _ in range(4)
        ]
        answers = await asyncio.gather(*reads, return_exceptions=True)
        holder.rollback()
    assert {type(answer) for answer in answers} == {MemberBusy}
    assert (database.pool.generation, await sessions(database.pool, 4)) == before


async def test_a_deadlock_of_two_pods_forgetting_answers_costs_no_connection(
    points, member, master, eventually
):
    await member.earn(1)
    for number in range(40):
        master.rows(
            "INSERT INTO idempotency_closed"
            " (member_id, caller, idempotency_key, request_hash, status, body, created_at)"
            " VALUES (%s, '', %s, '', 201, '', UTC_TIMESTAMP() - INTERVAL 30 HOUR)",
            member.member_id,
            f"k-{number:02}",
        )
    pool = points.database.pool
    before, open_already = counted("deadlock"), await sessions(pool, 4)
    generation = pool.generation
    keys = "member_id = %s AND idempotency_key"
    with master.connect() as rival, rival.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        rival.begin()
        # The rival has done more, so it is the upkeep that is rolled back.
        cursor.execute(f"UPDATE idempotency_closed SET body = 'x' WHERE {keys} > 'k-05'", (member.member_id,))
        forgetting = asyncio.create_task(forget_answers(points.database, 24))
        await eventually(master.sees_a_lock_wait)
        locking = f"SELECT 1 FROM idempotency_closed WHERE {keys} < 'k-05' FOR UPDATE"
        await asyncio.to_thread(cursor.execute, locking, (member.member_id,))
        await eventually(lambda: counted("deadlock") > before)
        rival.rollback()
    assert await forgetting >= 40
    assert pool.generation == generation
    assert await sessions(pool, 4) == open_already


async def test_one_connection_that_is_ended_leaves_the_others_alone(points, member, master):
    await member.earn(1)
    pool = points.database.pool
    await sessions(pool, 4)
    generation = pool.generation

    async def slow(connection):
        [result] = await run(connection, ["SELECT CONNECTION_ID()"], [])
        ids.append(result.rows[0][0])
        return await run(connection, ["SELECT SLEEP(0.3)" if len(ids) > 1 else "SELECT SLEEP(30)"], [])

    ids = []
    reading = asyncio.create_task(points.database.read(slow))
    async with asyncio.timeout(5):
        while not ids:  # noqa: ASYNC110 - it is a list, not an event
            await asyncio.sleep(0.01)
    await member.balance()
    await asyncio.to_thread(master.rows, f"KILL {ids[0]}")
    await reading
    assert len(ids) == 2
    assert pool.generation == generation


async def test_a_connection_lost_while_no_other_answers_drops_them_all(points, member, database_server):
    await member.earn(1)
    pool = points.database.pool
    await sessions(pool, 4)
    generation = pool.generation
    database_server.freeze()
    try:
        with pytest.raises(TimeoutError):
            await points.database.attempt(lambda connection: run(connection, ["SELECT 1"], []), limit=0.3)
    finally:
        database_server.thaw()
    assert pool.generation != generation


async def test_a_refused_statement_names_nobody_in_the_log(points, member):
    await member.earn(1)
    again = (
        "INSERT INTO member_point (member_id, balance, version, created_at, updated_at)"
        " VALUES (%s, 0, 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))"
    )
    with pytest.raises(faults.StatementError) as caught:
        await points.database.transact(lambda connection: run(connection, [again], [member.member_id]))
    told = "".join(traceback.format_exception(caught.value))
    assert member.member_id not in told
    assert "1062" in told
    assert "execution.py" in told


async def test_a_waiting_request_that_is_given_up_loses_no_connection(pod, member_of, account):
    """It waits for another's connection, since no more can be opened, and goes just as one comes."""
    async with pod(size=5, cached=False) as points:
        member = member_of(points)
        await member.earn(100)
        pool = points.database.pool
        open_already = await sessions(pool, 1)
        account("ACCOUNT LOCK")
        for number in range(20):
            async with pool.connection():
                waiting = [asyncio.create_task(member.balance()) for _ in range(3)]
                await asyncio.sleep(0.001 * number)
                if number % 2:
                    _give_up(waiting)
            _give_up(waiting)  # the one whose turn it is has been told, and has not run yet
            await asyncio.gather(*waiting, return_exceptions=True)
        assert await sessions(pool, 1) == open_already


def _give_up(waiting):
    for one in waiting:
        one.cancel()
