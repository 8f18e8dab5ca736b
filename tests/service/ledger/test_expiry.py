"""Very many members whose points are due: any number of pods expire them together, each grant once."""

import asyncio
import os
import sys
from datetime import datetime

import pytest
from point_local.alone import serve
from point_service.contract.errors import Unavailable
from point_service.ledger import upkeep
from point_service.ledger.upkeep import FEWEST, GRANTS_AT_ONCE, HOLD, MOST, expire_due, together
from point_service.mysql.database import TRANSACTION_ATTEMPTS
from point_service.mysql.store.upkeep import STRIPES, Due, due
from point_service.settings import load
from point_service.telemetry import metrics

pytestmark = pytest.mark.integration

MEMBERS = 4_000
POINTS = 10  # that each has due
EXPIRED = "SELECT COUNT(*), COUNT(DISTINCT grant_id) FROM ledger_entry WHERE kind = 'EXPIRE'"
TRANSACTIONS = "SELECT COUNT(*) FROM ledger_entry WHERE kind = 'EXPIRE' GROUP BY created_at"


@pytest.fixture
def master(master_alone):
    return master_alone


@pytest.fixture
def settings(master, database_server):
    del master
    return load(serve.environment(database_server, None))


def failures():
    return metrics.UPKEEP_FAILURES.labels("member")._value.get()


async def test_three_pods_share_the_members_and_each_grant_expires_once(pod, master, monkeypatch):
    monkeypatch.setattr(upkeep, "HOLD", 60)  # a busy machine is no reason for small transactions here
    master.make_due(MEMBERS)
    async with pod() as one, pod() as two, pod() as three:
        expired = await asyncio.gather(*(expire_due(each.database) for each in (one, two, three)))
    assert sum(expired) == MEMBERS * POINTS
    assert min(expired) > MEMBERS * POINTS / 10
    assert master.rows(EXPIRED) == [(MEMBERS, MEMBERS)]
    sizes = [size for (size,) in master.rows(TRANSACTIONS)]
    assert len(sizes) < MEMBERS / 10
    assert max(sizes) <= MOST
    assert master.rows("SELECT SUM(balance), MIN(balance) FROM member_point") == [(MEMBERS * 5, 5)]


async def test_one_broken_member_and_one_in_other_hands_stop_nobody_in_their_transaction(points, master):
    master.make_due(200)
    balance = "UPDATE member_point SET balance = %s WHERE member_id = %s"
    master.rows(balance, 3, "d-50")  # less than what expires: the table's own rule refuses
    before = failures()
    try:
        with master.connect() as holder, holder.cursor() as cursor:
            holder.begin()
            cursor.execute("SELECT 1 FROM member_point WHERE member_id = 'd-120' FOR UPDATE")
            async with asyncio.timeout(20):
                assert await expire_due(points.database) == 198 * POINTS
            holder.rollback()
    finally:
        master.rows(balance, 15, "d-50")
    assert failures() == before + 2  # once for each time that all was gone through
    assert await expire_due(points.database) == 2 * POINTS


def page_of(members):
    """Return a page of what is due that has these members, a grant of each."""
    return [Due(member, datetime(2026, 1, 1), 1) for member in members]


async def test_a_transaction_has_few_grants_and_members_for_whom_there_is_no_room_are_in_the_next(
    points, master
):
    members = [f"a-{number}" for number in range(6)]
    for member in members:
        master.grant_many(member, 200, days=-1)
    done = await upkeep._Expiry(points.database)._expire_page(page_of(members))
    assert (done.points, done.members) == (2 * GRANTS_AT_ONCE, 6)
    assert [size for (size,) in master.rows(TRANSACTIONS)] == [GRANTS_AT_ONCE] * 2
    assert await expire_due(points.database) == 200


async def test_very_much_of_a_member_in_other_hands_stops_nobody_behind_it(points, master):
    master.grant_many("a", 600, days=-1)
    members = ["a", *(f"b-{number}" for number in range(5))]
    for member in members[1:]:
        master.grant_many(member, 10, days=-1)
    with master.connect() as holder, holder.cursor() as cursor:
        holder.begin()
        cursor.execute("SELECT 1 FROM member_point WHERE member_id = 'a' FOR UPDATE")
        done = await upkeep._Expiry(points.database)._expire_page(page_of(members))
        assert (done.points, done.members) == (50, 5)
        holder.rollback()
    assert await expire_due(points.database) == 600


async def test_a_pod_that_is_killed_leaves_the_rest_to_the_others(
    points, master, database_server, eventually
):
    master.make_due(MEMBERS)
    variables = {**os.environ, **serve.environment(database_server, None)}
    command = [sys.executable, "-m", "point_service", "expire"]
    running = await asyncio.create_subprocess_exec(*command, env=variables)
    try:
        await eventually(lambda: master.rows(EXPIRED) != [(0, 0)], 60)
    finally:
        running.kill()
        await running.wait()
    assert master.broken() == {}
    [(before, _)] = master.rows(EXPIRED)
    assert 0 < before < MEMBERS
    assert (
        await expire_due(points.database) <= (MEMBERS - before) * POINTS
    )  # it may still have been committing
    assert master.rows(EXPIRED) == [(MEMBERS, MEMBERS)]


async def test_a_database_that_takes_no_writes_ends_the_run_at_its_first_transaction(points, master):
    master.make_due(200)
    retries = metrics.DATABASE_RETRIES.labels("read_only")._value
    before, failed = retries.get(), failures()
    master.rows("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(Unavailable):
            await expire_due(points.database)
    finally:
        master.rows("SET GLOBAL read_only = 0")
    assert (retries.get() - before, failures()) == (TRANSACTION_ATTEMPTS, failed)
    assert await expire_due(points.database) == 200 * POINTS


async def test_what_falls_due_at_one_moment_is_read_page_by_page_and_no_row_twice(points, master):
    master.make_due(1_500)
    master.rows(
        "UPDATE point_ledger SET expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 DAY WHERE expires_at <"
        " UTC_TIMESTAMP(6)"
    )
    with master.connect() as watching, watching.cursor() as cursor:

        def rows_read():
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Handler_read%'")
            return sum(int(count) for _, count in cursor.fetchall())

        looking = -rows_read() + rows_read()
        for stripes in ((None,), range(STRIPES)):
            seen = []
            for stripe in stripes:
                page = None
                while page is None or page:
                    place = (stripe, page[-1] if page else None)
                    before = rows_read()
                    page = await points.database.read(
                        lambda connection, place=place: due(connection, 70, *place)
                    )
                    assert rows_read() - before - looking <= 2 * 70
                    seen += [each.grant_id for each in page]
            assert len(seen) == len(set(seen)) == 1_500


def test_a_transaction_has_as_many_members_as_it_can_hold_for_a_moment():
    assert together(50, 50, HOLD / 10) == 100
    assert together(MOST, MOST, HOLD / 10) == MOST
    assert together(50, 50, HOLD / 2) == 50
    assert together(50, 3, HOLD / 10) == 50  # the others were somebody else's: it says nothing of fifty
    assert together(50, 3, 2 * HOLD) == 25
    assert together(FEWEST, FEWEST, 2 * HOLD) == FEWEST
