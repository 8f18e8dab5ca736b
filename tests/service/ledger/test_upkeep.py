"""Background work: expiring points and forgetting answers, by any number of pods at once."""

import asyncio
import json
import time

import pytest
from point_service.contract.errors import Unavailable
from point_service.ledger import upkeep
from point_service.ledger.upkeep import expire_due, forget_answers, keep_up
from point_service.mysql.database import Database
from point_service.telemetry import metrics

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
async def nothing_else_is_due(points):
    await expire_due(points.database)
    await forget_answers(points.database, 24)


def grant_of(outcome):
    return json.loads(outcome.body)["grant_id"]


def expire_entries(master, member):
    return master.rows(
        "SELECT amount FROM ledger_entry WHERE member_id = %s AND kind = 'EXPIRE' ORDER BY entry_id",
        member.member_id,
    )


async def test_what_is_left_of_an_expired_grant_leaves_the_balance_by_an_entry(member, master):
    grant = grant_of(await member.earn(100))
    await member.use(30)
    await member.earn(5)
    master.expire(grant)
    assert await expire_due(member.database) == 70
    assert expire_entries(master, member) == [(-70,)]
    assert master.rows("SELECT balance FROM member_point WHERE member_id = %s", member.member_id) == [(5,)]
    assert await expire_due(member.database) == 0


async def test_many_pods_expire_each_grant_once(pod, member_of, master):
    async with pod(cached=False) as one, pod(cached=False) as two:
        members = [member_of(one) for _ in range(20)]
        for member in members:
            for grant in [grant_of(await member.earn(10)) for _ in range(2)]:
                master.expire(grant)
        expired = await asyncio.gather(*(expire_due(pod.database) for pod in (one, two, one, two)))
        assert sum(expired) == 400
        assert all(expire_entries(master, member) == [(-10,), (-10,)] for member in members)


async def test_a_member_somebody_works_on_is_left_to_them(member, master):
    master.expire(grant_of(await member.earn(10)))
    with master.connect() as holder, holder.cursor() as cursor:
        holder.begin()
        cursor.execute("SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE", (member.member_id,))
        async with asyncio.timeout(0.9):  # a lock wait would take a second
            assert await expire_due(member.database) == 0
        holder.rollback()
    assert await expire_due(member.database) == 10


async def test_a_use_and_the_expiry_at_once_agree(member, master):
    for number in range(10):
        grant = grant_of(await member.earn(10))
        live = grant_of(await member.earn(1))
        master.expire(grant)
        used, expired = await asyncio.gather(member.use(1, f"o-{number}"), expire_due(member.database))
        assert json.loads(used.body)["allocations"] == [{"grant_id": live, "amount": 1}]
        assert expired in (0, 10)
        assert await member.balance() == 0


async def test_an_expiry_that_was_cut_short_goes_on_where_it_ended(
    member, member_of, points, master, eventually
):
    members = [member, *(member_of(points) for _ in range(9))]
    for each in members:
        master.expire(grant_of(await each.earn(10)))
    running = asyncio.create_task(expire_due(member.database))
    await eventually(lambda: any(expire_entries(master, each) for each in members))
    running.cancel()
    await asyncio.wait((running,))
    await expire_due(member.database)
    assert all(expire_entries(master, each) == [(-10,)] for each in members)


async def test_only_answers_past_their_retention_are_forgotten(member, master):
    master.rows("DELETE FROM stored_answer WHERE day <> UTC_DATE()")
    await member.earn(10, key="old")
    master.age_answers(member.member_id, 2)
    await member.earn(10, key="new")
    await forget_answers(member.database, 24)
    assert len(master.answers(member.member_id)) == 1
    assert (await member.earn(10, key="new")).replayed


def failures(work):
    return metrics.UPKEEP_FAILURES.labels(work)._value.get()


async def test_one_bad_member_stops_neither_the_others_nor_the_rest_and_is_counted(
    member, member_of, points, master, eventually
):
    others = [member_of(points) for _ in range(3)]
    for each in (member, *others):
        master.expire(grant_of(await each.earn(10)))
    master.age_answers(member.member_id, 2)
    balance = "UPDATE member_point SET balance = %s WHERE member_id = %s"
    master.rows(balance, 3, member.member_id)  # less than what expires: the table's own rule refuses
    before = failures("member")
    running = asyncio.create_task(keep_up(points.database, 0.1, 24))
    try:
        await eventually(lambda: failures("member") >= before + 2, 60)
        await eventually(lambda: master.answers(member.member_id) == [], 60)
    finally:
        running.cancel()
        await asyncio.wait((running,))
        master.rows(balance, 10, member.member_id)
    assert all(expire_entries(master, each) == [(-10,)] for each in others)
    assert await expire_due(points.database) == 10


async def test_members_in_other_hands_at_the_front_stop_nobody_behind_them(
    member_of, points, master, monkeypatch
):
    monkeypatch.setattr(upkeep, "DUE_AT_ONCE", 2)
    members = [member_of(points) for _ in range(9)]
    for each in members:
        master.expire(grant_of(await each.earn(10)))
    held = [each.member_id for each in members[:5]]
    with master.connect() as holder, holder.cursor() as cursor:
        holder.begin()
        cursor.execute("SELECT 1 FROM member_point WHERE member_id IN %s FOR UPDATE", (held,))
        assert await expire_due(points.database) == 40
        holder.rollback()
    assert await expire_due(points.database) == 50


async def test_a_silent_database_ends_a_run_in_its_time(member, points, database_server):
    await member.earn(10)
    limited = Database(points.database.pool, 0.5)
    database_server.freeze()
    try:
        for work in (expire_due(limited), forget_answers(limited, 24)):
            started = time.monotonic()
            with pytest.raises(Unavailable):
                await work
            assert time.monotonic() - started < 3
    finally:
        database_server.thaw()
    assert await expire_due(points.database) == 0


async def test_an_expiry_that_cant_be_done_does_not_keep_answers_from_being_forgotten(
    member, points, master, eventually
):
    await member.earn(10)
    master.age_answers(member.member_id, 2)
    before = failures("expiry")
    with master.connect() as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLES point_ledger WRITE")
        running = asyncio.create_task(keep_up(Database(points.database.pool, 1), 0.1, 24))
        try:
            await eventually(lambda: failures("expiry") > before)
            await eventually(lambda: master.answers(member.member_id) == [], 60)
        finally:
            running.cancel()
            await asyncio.wait((running,))
            cursor.execute("UNLOCK TABLES")
