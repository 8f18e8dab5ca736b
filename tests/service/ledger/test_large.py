"""Members with very many grants: they cost nobody else anything, and themselves only what they ask for."""

import asyncio
import json

import pytest
from point_local.alone import serve
from point_service.domain.grants import MOST_GRANTS
from point_service.domain.snapshot import Reads
from point_service.ledger import upkeep
from point_service.ledger.points import Points
from point_service.ledger.upkeep import expire_due
from point_service.mysql.migrate import migrate
from point_service.mysql.store.execution import rollback
from point_service.mysql.store.member import lock_members
from point_service.mysql.store.questions import DUE_AT_ONCE, Wanted
from point_service.settings import load
from point_service.telemetry import metrics
from point_service.turns.lock import MemberLock

pytestmark = pytest.mark.integration


@pytest.fixture
def master(master_alone):
    return master_alone


@pytest.fixture
def settings(master, database_server, redis):
    del master
    return load(serve.environment(database_server, redis) | {"POINT_CACHE_TIMEOUT_SECONDS": "0.5"})


def body(outcome):
    return json.loads(outcome.body)


async def rows_read(master, work):
    """Return how many rows the server reads for some work."""
    before = master.rows_read()
    await work
    return master.rows_read() - before


def together():
    """Return how many requests went into shared transactions."""
    samples = metrics.SHARED.collect()[0].samples
    return next(sample.value for sample in samples if sample.name.endswith("_sum"))


async def test_a_use_and_a_balance_read_no_more_of_five_thousand_grants_than_of_ten(
    member, member_of, points, master
):
    few = member_of(points)
    master.grant_many(few.member_id, 10, amount=100)
    master.grant_many(member.member_id, 5_000, amount=100)
    await asyncio.gather(few.use(1), member.use(1))
    for request in (lambda each: each.use(10), lambda each: each.balance(), lambda each: each.earn(1)):
        little = await rows_read(master, request(few))
        assert await rows_read(master, request(member)) <= little + 50


async def test_a_page_of_grants_or_history_reads_none_that_are_spent_or_somebody_elses(
    member, member_of, points, master
):
    few = member_of(points)
    for each, spent in ((few, 10), (member, 4_000)):
        live = [body(await each.earn(10))["grant_id"] for _ in range(3)]
        master.grant_many(each.member_id, spent)
        await each.use(spent)
        for limit in (2, 10):
            listed = await each.views.grants(each.member_id, 2**62, limit, only_live=True)
            assert [grant.grant_id for grant in listed.grants] == live[: -limit - 1 : -1]
    idle = await rows_read(master, asyncio.sleep(0))
    for each in (few, member):
        for read in (
            each.views.grants(each.member_id, 2**62, 10, only_live=True),
            each.views.grants(each.member_id, 2**62, 10, only_live=False),
            each.views.history(each.member_id, 2**62, 10),
        ):
            assert await rows_read(master, read) < idle + 100


async def test_a_page_of_live_grants_follows_the_one_before_past_what_is_due(member, master):
    master.grant_many(member.member_id, 60)
    rows = master.rows(
        "SELECT grant_id FROM point_ledger WHERE member_id = %s ORDER BY 1 DESC", member.member_id
    )
    numbers = [grant for (grant,) in rows]
    for grant in numbers[::3]:
        master.expire(grant)
    found, before = [], 2**62
    while True:
        page = await member.views.grants(member.member_id, before, 7, only_live=True)
        found += [grant.grant_id for grant in page.grants]
        if page.next_cursor is None:
            break
        before = int(page.next_cursor)
    assert found == [grant for place, grant in enumerate(numbers) if place % 3]


async def test_an_order_given_back_in_many_parts_is_read_by_the_grants_that_it_took(member):
    await member.earn(3, days=1)
    await member.earn(100)
    await member.use(103, "o")
    for _ in range(6):
        await member.cancel_use(1, "o")

    async def read(connection):
        wanted = [Wanted(member.member_id, reads=Reads(order="o"))]
        locked = await lock_members(connection, wanted, wait=True, rows=3)
        await rollback(connection)
        return locked.snapshots[member.member_id]

    snapshot = await member.database.transact(read)
    assert snapshot.whole
    assert [(part.amount, part.given_back) for part in snapshot.order_parts] == [(3, 3), (100, 3)]
    trace = await member.views.order(member.member_id, "o")
    assert [(part.amount, part.cancelled) for part in trace.allocations] == [(3, 3), (100, 3)]


async def test_grants_are_spent_in_their_order_however_many_pages_they_are(member, master):
    master.grant_many(member.member_id, 2_600, amount=2)
    order = master.rows(
        "SELECT grant_id FROM point_ledger WHERE member_id = %s"
        " ORDER BY kind = 'NORMAL', expires_at, grant_id",
        member.member_id,
    )
    first = body(await member.use(1, "o-1"))["allocations"]
    assert first == [{"grant_id": order[0][0], "amount": 1}]
    used = body(await member.use(5_000, "o-2"))
    assert [part["grant_id"] for part in used["allocations"]] == [grant for (grant,) in order[:2_501]]
    assert [part["amount"] for part in used["allocations"]] == [1, *[2] * 2_499, 1]
    assert used["balance"] == await member.balance() == 199
    trace = await member.views.order(member.member_id, "o-2")
    assert [part.grant_id for part in trace.allocations] == [grant for (grant,) in order[:2_501]]
    back = body(await member.cancel_use(4_000, "o-2"))
    assert [part["grant_id"] for part in back["restored"]] == [grant for (grant,) in order[:2_001]]
    assert back["balance"] == await member.balance() == 4_199


async def test_a_use_takes_from_five_thousand_grants_and_says_so_when_it_would_take_from_more(
    member, master, settings
):
    master.grant_many(member.member_id, MOST_GRANTS + 500)
    refused = body(await member.use(MOST_GRANTS + 1))
    assert refused["type"].endswith("too-many-grants")
    assert f"{MOST_GRANTS} can be used at once" in refused["detail"]
    async with asyncio.timeout(settings.request_timeout):
        used = body(await member.use(MOST_GRANTS, "o-1", key="k"))
    assert len(used["allocations"]) == MOST_GRANTS
    assert body(await member.use(MOST_GRANTS, "o-1", key="k")) == used
    assert (await member.use(501)).status == 409
    assert (await member.use(500)).status == 201
    assert await member.balance() == 0


async def test_what_falls_due_at_once_expires_piece_by_piece_and_the_member_goes_on(member, master):
    master.grant_many(member.member_id, 1_700, days=-1)
    live = body(await member.earn(100))
    assert live["balance"] == 100
    used = body(await member.use(30))
    assert used["allocations"] == [{"grant_id": live["grant_id"], "amount": 30}]
    assert await member.balance() == used["balance"] == 70
    assert (await member.use(71)).status == 409
    pieces = (
        "SELECT -SUM(amount) FROM ledger_entry WHERE kind = 'EXPIRE' GROUP BY created_at ORDER BY created_at"
    )
    assert [points for (points,) in master.rows(pieces)] == [DUE_AT_ONCE] * 3
    assert await expire_due(member.database) == 1_700 - 3 * DUE_AT_ONCE
    later = [points for (points,) in master.rows(pieces)][3:]
    assert later == [upkeep.GRANTS_AT_ONCE] * 2 + [100]
    assert await member.balance() == 70


async def test_a_member_is_served_while_very_much_of_it_expires(member, master):
    master.grant_many(member.member_id, 4_000, days=-1)
    await member.earn(1_000)

    async def expire():
        while master.rows(
            "SELECT 1 FROM point_ledger WHERE live = 1 AND expires_at <= UTC_TIMESTAMP(6) LIMIT 1"
        ):
            await expire_due(member.database)  # ends early when the member is in other hands

    expiring = asyncio.create_task(expire())
    served = 0
    while not expiring.done():
        assert body(await member.use(1))["balance"] == 999 - served
        served += 1
        assert await member.balance() == 1_000 - served
    assert served > 2
    await expiring
    assert master.rows("SELECT COUNT(*) FROM point_ledger WHERE live = 1") == [(1,)]


async def test_a_member_with_much_to_read_goes_alone_and_the_others_together(
    member, member_of, points, master
):
    others = [member_of(points) for _ in range(8)]
    for other in others:
        await other.earn(100)
    master.grant_many(member.member_id, 3_000)
    outcomes = await asyncio.gather(*(each.use(60) for each in [*others, member]))
    assert [outcome.status for outcome in outcomes] == [201] * 9
    before = together()
    outcomes = await asyncio.gather(*(each.use(30) for each in [*others, member]))
    assert [outcome.status for outcome in outcomes] == [201] * 9
    assert together() - before == len(others)


async def test_what_many_members_have_due_is_read_in_one_shared_transaction_only_so_far(
    member_of, points, master
):
    members = [member_of(points) for _ in range(6)]
    for each in members:
        master.grant_many(each.member_id, 90, days=-1)
        await each.earn(10)
        master.grant_many(each.member_id, 90, days=-1)
    outcomes = await asyncio.gather(*(each.use(10) for each in members))
    assert [body(outcome)["balance"] for outcome in outcomes] == [0] * 6


async def test_a_cancelled_order_of_many_grants_holds_no_stranger_up(member, member_of, points, master):
    other = member_of(points)
    await other.earn(10)
    master.grant_many(member.member_id, 700)
    await member.use(700, "o")
    outcomes = await asyncio.gather(member.cancel_use(650, "o"), other.use(10), member.cancel_use(50, "o"))
    assert [outcome.status for outcome in outcomes] == [201] * 3
    assert await member.balance() == 700


async def test_an_order_whose_many_grants_have_expired_is_granted_anew_grant_by_grant(member, master):
    master.grant_many(member.member_id, 700)
    used = body(await member.use(700, "o"))
    master.rows("UPDATE point_ledger SET expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND")
    back = body(await member.cancel_use(600, "o"))
    assert back["restored"] == []
    assert [part["source_grant_id"] for part in back["regranted"]] == [
        part["grant_id"] for part in used["allocations"][:600]
    ]
    written = master.rows(
        "SELECT grant_id, source_grant_id FROM point_ledger WHERE live = 1 ORDER BY grant_id"
    )
    assert written == [(part["grant_id"], part["source_grant_id"]) for part in back["regranted"]]
    assert await member.balance() == back["balance"] == 600


async def test_the_last_day_of_what_expires_soon_is_a_whole_day_in_seoul(member, master):
    [(midnight,)] = master.rows(
        "SELECT DATE(UTC_TIMESTAMP() + INTERVAL 9 HOUR) + INTERVAL 30 DAY - INTERVAL 9 HOUR"
    )
    for amount, seconds in ((1, -1), (10, 0), (100, 86_399), (1_000, 86_400)):
        grant = body(await member.earn(amount))["grant_id"]
        master.rows(
            "UPDATE point_ledger SET expires_at = %s + INTERVAL %s SECOND WHERE grant_id = %s",
            midnight,
            seconds,
            grant,
        )
    [(last,)] = master.rows("SELECT DATE(%s + INTERVAL 9 HOUR)", midnight)
    balance = await member.views.balance(member.member_id)
    assert balance.balance == 1_111
    assert [(each.on, each.amount) for each in balance.expiring][-1] == (str(last), 110)
    assert [each.amount for each in balance.expiring] == [1, 110]


def test_a_migration_that_ended_before_its_number_was_written_goes_on(master, database_server):
    master.rows("UPDATE alembic_version SET version_num = '0002'")
    migrate(load(serve.environment(database_server, None)).database)
    assert master.rows("SELECT version_num FROM alembic_version") != [("0002",)]


@pytest.mark.parametrize("most", [1, 32])
async def test_a_large_member_is_known_for_one_also_where_nobody_shares(points, member_of, master, most):
    points = points._replace(points=Points(points.database, MemberLock(None), most))
    member, few = member_of(points), member_of(points)
    master.grant_many(member.member_id, 200, amount=1)
    master.grant_many(few.member_id, 10, amount=100)
    await few.use(60)
    await member.use(60)
    assert points.points._shared.is_large(member.member_id)
    assert not points.points._shared.is_large(few.member_id)
