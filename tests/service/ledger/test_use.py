"""Earning and using points on a real database."""

import asyncio
import json
import uuid

import msgspec
import pytest
from point_service.contract.errors import OrderNotFound
from point_service.domain.grants import GrantKind

pytestmark = pytest.mark.integration


def body(outcome):
    return json.loads(outcome.body)


async def test_what_was_earned_can_be_used_and_no_more(member):
    assert body(await member.earn(1000))["balance"] == 1000
    used = await member.use(700)
    assert (used.status, body(used)["balance"]) == (201, 300)
    refused = await member.use(301)
    assert (refused.status, body(refused)["type"].rpartition(":")[2]) == (409, "insufficient-points")
    assert await member.balance() == 300


async def test_a_new_member_has_no_points(member):
    assert await member.balance() == 0
    assert (await member.use(1)).status == 409


async def test_manual_grants_are_used_first_then_the_soonest_to_expire(member):
    late = body(await member.earn(100, days=300))["grant_id"]
    soon = body(await member.earn(100, days=10))["grant_id"]
    manual = body(await member.earn(100, days=365, kind=GrantKind.MANUAL))["grant_id"]
    taken = body(await member.use(250))["allocations"]
    assert [(t["grant_id"], t["amount"]) for t in taken] == [(manual, 100), (soon, 100), (late, 50)]


async def test_an_expired_grant_is_never_spent_though_no_job_ran(member, master):
    grant = body(await member.earn(500))["grant_id"]
    await member.earn(200)
    master.expire(grant)
    assert await member.balance() == 200
    refused = await member.use(201)
    assert (refused.status, body(refused)["balance"]) == (409, 200)
    assert body(await member.use(200))["balance"] == 0
    entries = master.rows(
        "SELECT kind, amount FROM ledger_entry WHERE grant_id = %s ORDER BY entry_id", grant
    )
    assert entries == [("EARN", 500), ("EXPIRE", -500)]


async def test_an_expired_grant_does_not_count_against_the_holding_cap(pod, member_of, master):
    async with pod() as points:
        member = member_of(points)
        for _ in range(100):
            last = await member.earn(100_000)
        refused = await member.earn(1)
        assert body(refused)["type"].endswith("holding-cap-exceeded")
        master.expire(body(last)["grant_id"])
        assert (await member.earn(100_000)).status == 201


async def test_an_order_is_used_only_once(member):
    await member.earn(60)
    await member.earn(940)
    order = str(uuid.uuid4())
    assert (await member.use(100, order)).status == 201
    again = await member.use(500, order)
    assert (again.status, body(again)["type"].rpartition(":")[2]) == (409, "order-already-used")
    # Whoever took a guessed order's place for a trifle gets no discount by it.
    assert body(again)["used"] == 100
    trace = await member.views.order(member.member_id, order)
    assert body(again)["used_at"] == json.loads(msgspec.json.encode(trace.allocations[0].used_at))
    assert await member.balance() == 900


async def test_two_members_may_use_the_same_order_number(member, member_of, points):
    other = member_of(points)
    await asyncio.gather(member.earn(10), other.earn(10))
    outcomes = await asyncio.gather(member.use(5, "o-1"), other.use(5, "o-1"))
    assert [outcome.status for outcome in outcomes] == [201, 201]


async def test_the_database_itself_refuses_a_second_use_of_an_order(member, master):
    await member.earn(10)
    await member.use(5, "o-1")
    with pytest.raises(Exception, match="one_use_per_order"):
        master.rows(
            "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, order_id, position, created_at)"
            " SELECT member_id, grant_id, kind, amount, order_id, position, created_at FROM ledger_entry"
            " WHERE member_id = %s AND kind = 'USE'",
            member.member_id,
        )


async def test_an_order_is_traced_to_its_grants(member):
    first = body(await member.earn(100, days=1))["grant_id"]
    second = body(await member.earn(100, days=2))["grant_id"]
    await member.use(150, "o-7")
    trace = await member.views.order(member.member_id, "o-7")
    assert (trace.used, trace.cancelled, trace.cancellable) == (150, 0, 150)
    assert [(a.grant_id, a.amount) for a in trace.allocations] == [(first, 100), (second, 50)]


async def test_another_members_order_is_not_found(member, member_of, points):
    await member.earn(10)
    await member.use(5, "o-8")
    with pytest.raises(OrderNotFound):
        await points.views.order(member_of(points).member_id, "o-8")


async def test_the_balance_says_what_expires_soon_by_the_day_in_seoul(member, master):
    grant = body(await member.earn(70, days=10))["grant_id"]
    await member.earn(30, days=300)
    # 16:00 UTC is 01:00 of the next day in Seoul.
    [(day,)] = master.rows("SELECT DATE(UTC_TIMESTAMP() + INTERVAL 5 DAY)")
    master.rows("UPDATE point_ledger SET expires_at = %s + INTERVAL 16 HOUR WHERE grant_id = %s", day, grant)
    [(next_day,)] = master.rows("SELECT %s + INTERVAL 1 DAY", day)
    balance = await member.views.balance(member.member_id)
    assert balance.balance == 100
    assert [(e.on, e.amount) for e in balance.expiring] == [(str(next_day)[:10], 70)]


async def test_a_hundred_parallel_uses_never_overspend(member):
    await member.earn(1000)
    outcomes = await asyncio.gather(*(member.use(30) for _ in range(100)))
    accepted = [outcome for outcome in outcomes if outcome.status == 201]
    assert len(accepted) == 33
    assert {outcome.status for outcome in outcomes} == {201, 409}
    assert await member.balance() == 10


async def test_two_pods_without_redis_never_overspend(pod, member_of):
    async with pod(cached=False) as one, pod(cached=False) as two:
        member = member_of(one)
        twin = member_of(two, member.member_id)
        await member.earn(1000)
        outcomes = await asyncio.gather(*(m.use(30) for m in [member, twin] * 40))
        assert [outcome.status for outcome in outcomes].count(201) == 33
        assert await member.balance() == 10


async def test_first_earns_of_one_new_member_in_parallel_all_count(pod, member_of):
    async with pod(cached=False) as one, pod(cached=False) as two:
        member = member_of(one)
        twin = member_of(two, member.member_id)
        await asyncio.gather(*(m.earn(1) for m in [member, twin] * 20))
        assert await member.balance() == 40


async def test_a_use_takes_five_round_trips_or_fewer(pod, member_of):
    calls = []

    class Counting:
        def __init__(self, raw):
            self._raw = raw

        def __getattr__(self, name):
            if name in ("cursor", "commit", "rollback"):
                calls.append(name)
            return getattr(self._raw, name)

    def counting(open_connection):
        async def wrapped():
            return Counting(await open_connection())

        return wrapped

    async with pod(wrap=counting) as points:
        member = member_of(points)
        await member.earn(100)
        calls.clear()
        await member.use(10)
        assert calls == ["cursor", "cursor"]
