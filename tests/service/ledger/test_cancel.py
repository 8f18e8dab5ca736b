"""Taking a grant back and giving a use back."""

import asyncio
import json

import msgspec
import pytest
from point_service.domain.grants import GrantKind
from point_service.ledger.views import Views
from point_service.mysql.database import Database
from point_service.mysql.pool import Pool, opener

pytestmark = pytest.mark.integration


def body(outcome):
    return json.loads(outcome.body)


def code(outcome):
    return outcome.status, body(outcome).get("type", "").rpartition(":")[2]


async def test_the_worked_example_a_to_e(member, master):
    a = body(await member.earn(1000, days=10))["grant_id"]
    b = body(await member.earn(500, days=20))["grant_id"]
    used = body(await member.use(1200, "o-1"))
    assert used["allocations"] == [{"grant_id": a, "amount": 1000}, {"grant_id": b, "amount": 200}]
    assert used["balance"] == 300
    master.expire(a)
    back = body(await member.cancel_use(1100, "o-1"))
    [anew] = back["regranted"]
    assert (anew["source_grant_id"], anew["amount"]) == (a, 1000)
    assert back["restored"] == [{"grant_id": b, "amount": 100}]
    assert (back["balance"], back["cancellable"]) == (1400, 100)
    trace = await member.views.order(member.member_id, "o-1")
    assert (trace.used, trace.cancelled, trace.cancellable) == (1200, 1100, 100)
    assert [(part.grant_id, part.amount, part.cancelled) for part in trace.allocations] == [
        (a, 1000, 1000),
        (b, 200, 100),
    ]
    assert code(await member.cancel_use(101, "o-1")) == (409, "cancel-exceeds-use")
    last = body(await member.cancel_use(100, "o-1"))
    assert (last["restored"], last["cancellable"]) == ([{"grant_id": b, "amount": 100}], 0)
    assert await member.balance() == 1500


async def test_points_granted_anew_keep_their_manual_mark_and_get_the_usual_expiry(member, master):
    grant = body(await member.earn(100, days=3, kind=GrantKind.MANUAL))["grant_id"]
    await member.use(100, "o-1")
    master.expire(grant)
    [anew] = body(await member.cancel_use(100, "o-1"))["regranted"]
    rows = master.rows(
        "SELECT kind, source_grant_id, DATEDIFF(expires_at, UTC_TIMESTAMP()) FROM point_ledger WHERE grant_id = %s",
        anew["grant_id"],
    )
    assert rows == [("MANUAL", grant, 365)]


async def test_points_granted_anew_can_be_used_cancelled_and_granted_anew_again(member, master):
    first = body(await member.earn(100))["grant_id"]
    for number in range(3):
        await member.use(100, f"o-{number}")
        master.expire(first)
        [anew] = body(await member.cancel_use(100, f"o-{number}"))["regranted"]
        assert anew["source_grant_id"] == first
        first = anew["grant_id"]
    assert await member.balance() == 100


async def test_a_cancelled_use_may_pass_the_holding_cap(member):
    for _ in range(100):
        await member.earn(100_000)
    await member.use(1000, "o-1")
    await member.earn(1000)
    assert body(await member.cancel_use(1000, "o-1"))["balance"] == 10_001_000


async def test_a_use_can_be_cancelled_in_parts_up_to_the_whole_and_the_order_stays_used(member):
    await member.earn(100)
    await member.use(100, "o-1")
    assert [body(await member.cancel_use(30, "o-1"))["cancellable"] for _ in range(3)] == [70, 40, 10]
    assert code(await member.cancel_use(11, "o-1")) == (409, "cancel-exceeds-use")
    assert body(await member.cancel_use(10, "o-1"))["balance"] == 100
    assert code(await member.use(1, "o-1")) == (409, "order-already-used")


async def test_someone_elses_order_or_grant_is_not_found(member, member_of, points):
    grant = body(await member.earn(100))["grant_id"]
    await member.use(50, "o-1")
    other = member_of(points)
    assert code(await other.cancel_use(1, "o-1")) == (404, "order-not-found")
    assert code(await other.cancel_earn(grant)) == (404, "grant-not-found")


async def test_cancelling_in_parallel_never_gives_back_more_than_was_used(member):
    await member.earn(100)
    await member.use(100, "o-1")
    outcomes = await asyncio.gather(*(member.cancel_use(30, "o-1") for _ in range(10)))
    assert [outcome.status for outcome in outcomes].count(201) == 3
    assert await member.balance() == 90


async def test_a_whole_grant_can_be_taken_back_once(member, master):
    grant = body(await member.earn(100))["grant_id"]
    cancelled = body(await member.cancel_earn(grant))
    assert cancelled == {"grant_id": grant, "amount": 100, "balance": 0}
    assert code(await member.cancel_earn(grant)) == (409, "grant-not-cancellable")
    rows = master.rows(
        "SELECT c.amount, e.kind FROM ledger_entry c JOIN ledger_entry e ON e.entry_id = c.reversed_entry_id"
        " WHERE c.grant_id = %s",
        grant,
    )
    assert rows == [(-100, "EARN")]


async def test_a_grant_is_taken_back_after_its_use_was_cancelled_in_full_and_not_before(member):
    grant = body(await member.earn(100))["grant_id"]
    await member.use(60, "o-1")
    assert code(await member.cancel_earn(grant)) == (409, "grant-not-cancellable")
    await member.cancel_use(59, "o-1")
    assert code(await member.cancel_earn(grant)) == (409, "grant-not-cancellable")
    await member.cancel_use(1, "o-1")
    assert (await member.cancel_earn(grant)).status == 201
    assert await member.balance() == 0


async def test_an_expired_grant_can_not_be_taken_back(member, master):
    grant = body(await member.earn(100))["grant_id"]
    master.expire(grant)
    assert code(await member.cancel_earn(grant)) == (409, "grant-not-cancellable")


async def test_a_use_and_a_cancel_earn_at_once_end_with_one_of_them(member):
    for number in range(10):
        grant = body(await member.earn(100))["grant_id"]
        used, cancelled = await asyncio.gather(member.use(100, f"o-{number}"), member.cancel_earn(grant))
        assert sorted([used.status, cancelled.status]) == [201, 409]
        assert await member.balance() == 0


async def test_cancels_are_done_once_for_their_key(member):
    grant = body(await member.earn(100))["grant_id"]
    await member.use(100, "o-1")
    first = await member.cancel_use(100, "o-1", key="k-1")
    assert (await member.cancel_use(100, "o-1", key="k-1")).body == first.body
    taken = await member.cancel_earn(grant, key="k-2")
    again = await member.cancel_earn(grant, key="k-2")
    assert (again.body, again.replayed) == (taken.body, True)


async def test_history_and_grants_are_paged_from_the_newest(member):
    for amount in range(1, 8):
        await member.earn(amount)
    pages, cursor = [], 2**63 - 1
    while cursor is not None:
        page = await member.views.history(member.member_id, int(cursor), 3)
        pages.append([entry.amount for entry in page.entries])
        cursor = page.next_cursor
    assert pages == [[7, 6, 5], [4, 3, 2], [1]]
    grants = await member.views.grants(member.member_id, 2**63 - 1, 5, False)
    assert ([grant.amount for grant in grants.grants], grants.next_cursor is None) == ([7, 6, 5, 4, 3], False)


async def test_an_expired_grant_is_listed_with_nothing_left_and_not_among_the_live(member, master):
    grant = body(await member.earn(100))["grant_id"]
    await member.earn(50)
    master.expire(grant)
    listed = await member.views.grants(member.member_id, 2**63 - 1, 10, False)
    assert [(g.remaining, g.expired) for g in listed.grants] == [(50, False), (0, True)]
    live = await member.views.grants(member.member_id, 2**63 - 1, 10, True)
    assert [g.amount for g in live.grants] == [50]


async def test_pages_come_from_the_writer_when_the_reader_is_away(member, settings, points):
    await member.earn(10)
    away = Pool(opener(msgspec.structs.replace(settings.database, port=1), settings.database.host), 1, 1, 300)
    views = Views(points.database, Database(away), settings.policy)
    history = await views.history(member.member_id, 2**63 - 1, 5)
    assert [entry.amount for entry in history.entries] == [10]
