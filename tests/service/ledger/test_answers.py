"""Answers past their retention are forgotten: days as a whole, while transactions run, by any number of pods."""

import asyncio
from contextlib import suppress

import pytest
from point_service.contract.errors import MemberBusy, Unavailable
from point_service.ledger.upkeep import forget_answers

pytestmark = pytest.mark.integration

PARTITIONS = 34


async def forget(points, hours, days):
    """Forget answers in so many runs: a day goes in each."""
    for _ in range(days):
        await forget_answers(points.database, hours)


@pytest.fixture(autouse=True)
def nothing_else_is_old(master):
    master.rows("DELETE FROM stored_answer WHERE day <> UTC_DATE()")


async def aged(member_of, points, master, days):
    """Return a member with an answer of each of these ages."""
    member = member_of(points)
    for number in sorted(days, reverse=True):
        await member.earn(10, key=f"k-{number}")
        now = "day = UTC_DATE() AND member_id = %s"
        master.rows(
            f"UPDATE stored_answer SET day = day - INTERVAL %s DAY WHERE {now}", number, member.member_id
        )
    return member


def ages(master, member):
    days = "SELECT TO_DAYS(UTC_DATE()) - TO_DAYS(day) FROM stored_answer WHERE member_id = %s ORDER BY 1"
    return [age for (age,) in master.rows(days, member.member_id)]


@pytest.mark.parametrize(
    ("hours", "kept"),
    [(1, [0, 1]), (24, [0, 1]), (25, [0, 1, 2]), (72, [0, 1, 2, 3]), (720, [0, 1, 2, 3, 4, 30])],
)
async def test_days_past_the_retention_go_and_no_other(member_of, points, master, hours, kept):
    member = await aged(member_of, points, master, [0, 1, 2, 3, 4, 30, 31])
    await forget(points, hours, 6)
    assert ages(master, member) == kept


async def test_a_partition_with_a_day_that_counts_or_is_near_is_left_alone(member_of, points, master):
    """An old day that shares its partition with one of these is passed over, and goes when that one does."""
    near = [
        PARTITIONS + 1,
        PARTITIONS,
        PARTITIONS - 1,
        PARTITIONS - 2,
    ]  # yesterday's, today's and the two days' after
    member = await aged(member_of, points, master, [0, 1, 5, *near, PARTITIONS - 3])
    await forget(points, 24, 3)
    assert ages(master, member) == [0, 1, *reversed(near)]
    assert (await member.earn(10, key="k-1")).replayed


async def insisting(send, *arguments, **named):
    """Send until there is an answer, as a client does that is told to try again."""
    while True:
        with suppress(MemberBusy, Unavailable):
            return await send(*arguments, **named)


async def test_days_go_while_transactions_run_and_pods_are_at_it_together(member_of, points, master):
    old = await aged(member_of, points, master, range(2, 8))
    members, done = [member_of(points) for _ in range(6)], False

    async def trade(member):
        count = 0
        while not done or count < 5:
            count += 1
            assert (await insisting(member.earn, 1, key=f"k-{count}")).status == 201
            assert (await insisting(member.use, 1, f"o-{count}", key=f"u-{count}")).status == 201
        return count

    trading = [asyncio.create_task(trade(member)) for member in members]
    while ages(master, old):
        await asyncio.gather(*(insisting(forget_answers, points.database, 24) for _ in range(3)))
    done = True
    counts = await asyncio.gather(*trading)
    for member, count in zip(members, counts, strict=True):
        assert len(master.answers(member.member_id)) == 2 * count
        assert await member.balance() == 0
        entries = "SELECT COUNT(*) FROM ledger_entry WHERE member_id = %s"
        assert master.rows(entries, member.member_id) == [(2 * count,)]


async def test_a_table_that_somebody_holds_is_left_for_the_next_run(member_of, points, master):
    old = await aged(member_of, points, master, [2])
    member = member_of(points)
    clock = asyncio.get_running_loop().time
    with master.connect() as holder, holder.cursor() as cursor:
        holder.begin()
        cursor.execute("SELECT COUNT(*) FROM stored_answer")  # as a report or a backup does
        began = clock()
        forgetting = asyncio.create_task(forget_answers(points.database, 24))
        earned = await insisting(member.earn, 10)
        with pytest.raises(MemberBusy):
            await forgetting
        assert clock() - began < 30  # seconds, on a machine that has much else to do
        assert earned.status == 201
        assert (await insisting(member.earn, 10)).status == 201
        assert ages(master, old) == [2]
        holder.rollback()
    await forget_answers(points.database, 24)
    assert ages(master, old) == []


async def test_answers_by_member_go_when_they_are_old(member, points, master):
    for hours in (23, 25):
        master.rows(
            "INSERT INTO idempotency_closed"
            " (member_id, caller, idempotency_key, request_hash, status, body, created_at)"
            " VALUES (%s, '', %s, '', 201, '', UTC_TIMESTAMP() - INTERVAL %s HOUR)",
            member.member_id,
            f"k-{hours}",
            hours,
        )
    assert await forget_answers(points.database, 24) == 1
    left = "SELECT idempotency_key FROM idempotency_closed WHERE member_id = %s"
    assert master.rows(left, member.member_id) == [("k-23",)]
    master.rows("DELETE FROM idempotency_closed")
