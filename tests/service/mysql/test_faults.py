"""What the database may do to a transaction, and what the service makes of it."""

import asyncio
from contextlib import suppress

import msgspec
import pytest
from asyncmy import errors as driver
from point_service.contract.errors import Unavailable
from point_service.domain.operations.use import Use, UseRequest
from point_service.mysql import faults
from point_service.mysql.database import backoff
from point_service.mysql.pool import Pool, opener
from point_service.mysql.store import rows
from point_service.mysql.store.change import Change, StaleVersionError, commit
from point_service.mysql.store.execution import run
from point_service.mysql.store.member import lock_members, read_rest
from point_service.mysql.store.questions import Wanted
from point_service.telemetry import metrics


def retries(fault):
    return metrics.DATABASE_RETRIES.labels(fault)._value.get()


@pytest.mark.integration
async def test_a_deadlocked_use_is_run_again_and_succeeds(member, member_of, points, master, eventually):
    other = member_of(points)
    await member.earn(1000)
    for _ in range(30):
        await other.earn(1)
    before = retries("deadlock")
    with master.connect() as rival, rival.cursor() as cursor:
        rival.begin()
        # Much work done makes the rival the dearer one to roll back, so the use becomes the victim.
        ids = (member.member_id, other.member_id)
        cursor.execute("UPDATE point_ledger SET reason = 'x' WHERE member_id IN (%s, %s)", ids)
        using = asyncio.create_task(member.use(100))
        await eventually(master.sees_a_lock_wait)
        locking = "SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE"
        await asyncio.to_thread(cursor.execute, locking, (member.member_id,))
        await eventually(lambda: retries("deadlock") > before)
        rival.rollback()
    assert (await using).status == 201
    assert await member.balance() == 900


@pytest.mark.integration
async def test_a_use_during_a_failover_waits_for_the_new_writer(member, master, eventually):
    await member.earn(1000)
    before = retries("read_only")
    master.rows("SET GLOBAL read_only = 1")
    try:
        using = asyncio.create_task(member.use(100))
        await eventually(lambda: retries("read_only") > before)
    finally:
        master.rows("SET GLOBAL read_only = 0")
    assert (await using).status == 201
    assert await member.balance() == 900


@pytest.mark.integration
async def test_a_use_on_a_database_that_stays_read_only_is_told_to_come_back(member, master):
    await member.earn(1000)
    master.rows("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(Unavailable):
            await member.use(100, "o-1", key="k-1")
    finally:
        master.rows("SET GLOBAL read_only = 0")
    assert (await member.use(100, "o-1", key="k-1")).status == 201


@pytest.mark.integration
async def test_connections_that_the_server_closed_are_replaced_unnoticed(member, master):
    await member.earn(1000)
    for (number,) in master.rows("SELECT id FROM information_schema.processlist WHERE user = 'point'"):
        master.rows(f"KILL {number}")
    assert (await member.use(100)).status == 201


@pytest.mark.integration
async def test_a_use_during_a_restart_of_the_database_is_done_once(database_server, member):
    await member.earn(1000)

    async def restart():
        await asyncio.to_thread(database_server.stop)
        database_server.launch()
        await asyncio.to_thread(database_server.wait_ready)

    restarting = asyncio.create_task(restart())
    used = None
    while used is None:
        with suppress(Unavailable):
            used = await member.use(100, "o-1", key="k-1")
    await restarting
    assert used.status == 201
    assert await member.balance() == 900


@pytest.mark.integration
async def test_a_cancelled_use_leaves_no_trace_and_nobody_its_connection(pod, member_of, master, eventually):
    async with pod(size=1, cached=False) as points:
        member = member_of(points)
        await member.earn(1000)
        with master.connect() as holder, holder.cursor() as cursor:
            holder.begin()
            cursor.execute("SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE", (member.member_id,))
            using = asyncio.create_task(member.use(100))
            await eventually(master.sees_a_lock_wait)
            using.cancel()
            with pytest.raises(asyncio.CancelledError):
                await using
            other = member_of(points)
            assert (await other.earn(7)).status == 201
            assert (await other.balance(), await member.balance()) == (7, 1000)
            holder.rollback()
        assert (await member.use(1000)).status == 201


@pytest.mark.integration
async def test_a_cancelled_query_never_answers_the_next_one(settings, master):
    del master
    pool = Pool(opener(settings.database, settings.database.host), 1, 5, 300)

    async def ask(statement):
        async with pool.connection() as connection, connection.cursor() as cursor:
            await cursor.execute(statement)
            return await cursor.fetchone()

    try:
        await ask("SELECT 1")
        for number in range(20):
            slow = asyncio.create_task(ask(f"SELECT SLEEP(0.02), {number}"))
            async with asyncio.timeout(5):
                while pool.in_use == 0:  # noqa: ASYNC110 - it is a number, not an event
                    await asyncio.sleep(0)
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            assert await ask(f"SELECT 'after {number}'") == (f"after {number}",)
    finally:
        await pool.close()


@pytest.mark.integration
async def test_connections_past_their_lifetime_are_not_used_again(settings, master):
    del master
    pool = Pool(opener(settings.database, settings.database.host), 1, 5, 0)
    seen = set()
    try:
        for _ in range(3):
            async with pool.connection() as connection:
                seen.add(connection.thread_id())
    finally:
        await pool.close()
    assert len(seen) == 3


@pytest.mark.integration
async def test_a_request_that_gets_no_connection_in_time_is_told_so(settings, master):
    del master
    pool = Pool(opener(settings.database, settings.database.host), 1, 0.05, 300)
    try:
        async with pool.connection():
            with pytest.raises(Unavailable, match="busy"):
                async with pool.connection():
                    pass
    finally:
        await pool.close()


# Connections, of a user, an hour or at all; a host that is blocked or unknown; a user locked out; memory, disk.
LIMITS = (1021, 1040, 1041, 1045, 1114, 1129, 1130, 1203, 1226, 3032, 3118, 3159, 3955)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (driver.OperationalError(1213, "Deadlock found"), faults.DEADLOCK),
        (driver.OperationalError(1205, "Lock wait timeout"), faults.LOCK_WAIT),
        (driver.ProgrammingError(1146, "Table doesn't exist"), faults.MOVED),
        (driver.OperationalError(1290, "read-only"), faults.READ_ONLY),
        (driver.OperationalError(1836, "read-only"), faults.READ_ONLY),
        (driver.OperationalError(2013, "Lost connection"), faults.LOST),
        (driver.InterfaceError(0, "Not connected"), faults.LOST),
        (ConnectionResetError(), faults.LOST),
        (TimeoutError(), faults.LOST),
        *((driver.OperationalError(number, "full"), faults.LIMIT) for number in LIMITS),
        *((faults.NotOpenedError(driver.OperationalError(number)), faults.NOT_OPENED) for number in LIMITS),
        (faults.NotOpenedError(TimeoutError()), faults.NOT_OPENED),
        (driver.OperationalError(1036, "Table is read only"), faults.READ_ONLY),
        (driver.OperationalError(1317, "Query execution was interrupted"), faults.ENDED),
        (driver.IntegrityError(1062, "Duplicate"), faults.OTHER),
        (driver.ProgrammingError("Cursor closed"), faults.OTHER),
        (ValueError(), faults.OTHER),
    ],
)
def test_faults_are_told_apart(error, fault):
    assert faults.classify(error) is fault


def test_no_limit_and_no_lock_throws_a_pool_away():
    thrown = [
        fault.name
        for fault in vars(faults).values()
        if isinstance(fault, faults.Fault) and (fault.drops_pool or fault.suspects_pool)
    ]
    assert sorted(thrown) == ["lost_connection", "read_only"]


def test_every_limit_is_answered_by_when_to_come_again():
    assert faults.LIMIT.answer is not None
    assert (faults.LIMIT.answer().status, faults.LIMIT.answer().retry_after) == (503, 1)


def test_the_wait_before_another_attempt_grows_but_stays_bounded():
    assert all(0 <= backoff(attempt) <= 0.5 for attempt in range(1, 20))


@pytest.mark.integration
@pytest.mark.parametrize("stolen", ["balance", "grant"])
@pytest.mark.parametrize("grants", [1, rows.PLAIN + 1], ids=["few", "many"])
async def test_a_row_that_changed_under_the_lock_commits_nothing(member, master, stolen, grants):
    """The lock makes it impossible; here it is forced, by a decision made on another version of the member."""
    for _ in range(grants):
        await member.earn(1)
    use = Use(UseRequest(order_id="o-1", amount=grants))

    async def work(connection):
        wanted = Wanted(member.member_id, None, use.reads)
        snapshot = (await lock_members(connection, [wanted], wait=True)).snapshots[member.member_id]
        if not snapshot.whole:
            await read_rest(connection, snapshot, wanted)
        if stolen == "balance":
            snapshot.version += 1
        entries = use.decide(snapshot).entries
        if stolen == "grant":
            entries = [
                msgspec.structs.replace(entry, grant_id=entry.grant_id + 1_000_000) for entry in entries
            ]
        await commit(connection, [Change(snapshot, entries)])

    with pytest.raises(StaleVersionError):
        await member.database.transact(work)
    assert await member.balance() == grants
    assert master.rows("SELECT COUNT(*) FROM ledger_entry WHERE member_id = %s", member.member_id) == [
        (grants,)
    ]


@pytest.mark.integration
async def test_a_batch_cancelled_between_two_results_ends_as_cancelled(settings, master, eventually):
    del master
    pool = Pool(opener(settings.database, settings.database.host), 1, 5, 300)

    async def batch():
        async with pool.connection() as connection:
            await run(connection, ["SELECT 1", "SELECT SLEEP(3)"], [])

    try:
        async with asyncio.timeout(2):
            slow = asyncio.create_task(batch())
            await eventually(lambda: pool.in_use == 1)
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
    finally:
        await pool.close()
