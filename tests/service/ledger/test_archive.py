"""Old history moves out whole, and what is asked about it is answered as before or refused."""

import msgspec
import pymysql
import pytest
from harness.history import ARCHIVED, LIVE, body, counted, sound
from point_service.contract.errors import OrderNotFound
from point_service.ledger import liability
from point_service.ledger.liability import Period
from point_service.ledger.verify import verify

pytestmark = pytest.mark.integration

ORDERS = ("o-1", "o-2", "o-3", "o-4")


async def a_year_ago(member, old, master):
    """Leave o-1 of a closed grant alone, o-2 of a closed and a live one, o-3 granted anew in part and used up."""
    await member.earn(100, days=10)
    await member.earn(100, days=20)
    await member.use(60, "o-1")
    await member.cancel_use(10, "o-1")
    await member.use(70, "o-2")  # 50 of the first, 20 of the second
    lost = body(await member.earn(50, days=1))["grant_id"]
    await member.use(50, "o-3")
    master.expire(lost)
    anew = body(await member.cancel_use(30, "o-3"))["regranted"][0]["grant_id"]
    master.rows(
        "UPDATE point_ledger SET expires_at = UTC_TIMESTAMP(6) + INTERVAL 1 HOUR WHERE grant_id = %s", anew
    )
    await member.use(30, "o-4")
    old()
    return lost, anew


async def test_what_is_closed_and_old_moves_and_the_books_are_right(master_alone, member, old, history_moves):
    await a_year_ago(member, old, master_alone)
    before = counted(master_alone, LIVE)
    report = await history_moves()
    assert (report.grants, report.entries, report.large, report.busy, report.failed) == (3, 8, 0, 0, 0)
    moved = counted(master_alone, ARCHIVED)
    assert moved == (3, 8)
    assert tuple(map(sum, zip(moved, counted(master_alone, LIVE), strict=True))) == before
    assert await member.balance() == 80
    checked = await sound(member.database)
    assert checked.archived == 3 + 4  # grants, and uses: o-1, o-2 in part, o-3, o-4
    again = await history_moves()
    assert (again.grants, again.entries) == (0, 0)


async def test_what_is_live_or_young_or_has_a_live_grant_in_its_place_stays(
    master_alone, member, old, history_moves
):
    grant = body(await member.earn(100, days=1))["grant_id"]
    await member.use(100, "o-1")
    master_alone.expire(grant)
    await member.earn(10)
    await member.cancel_use(40, "o-1")  # a grant in its place
    old()
    used = body(await member.use(45, "o-2"))["allocations"]
    # The 10 are closed now, but not for long; of the grant in its place 5 are left.
    assert [part["amount"] for part in used] == [10, 35]
    live = counted(master_alone, LIVE)
    assert (await history_moves()).grants == 0
    assert counted(master_alone, LIVE) == live


async def test_an_order_is_traced_as_before_wherever_its_parts_are(master_alone, member, old, history_moves):
    await a_year_ago(member, old, master_alone)
    before = [await member.views.order(member.member_id, order) for order in ORDERS]
    assert [(trace.used, trace.cancelled, len(trace.allocations)) for trace in before] == [
        *((60, 10, 1), (70, 0, 2), (50, 30, 1), (30, 0, 1)),
    ]
    assert (await history_moves()).grants == 3
    assert [await member.views.order(member.member_id, order) for order in ORDERS] == before
    with pytest.raises(OrderNotFound):
        await member.views.order(f"{member.member_id}-other", "o-1")


async def test_an_archived_order_is_not_used_anew(master_alone, member, old, history_moves):
    await a_year_ago(member, old, master_alone)
    before = [body(await member.use(1, order)) for order in ORDERS]
    assert [refusal["used"] for refusal in before] == [60, 70, 50, 30]
    await history_moves()
    for order, refusal in zip(ORDERS, before, strict=True):
        said = await member.use(1, order)
        assert (said.status, body(said)) == (409, refusal)
    assert await member.balance() == 80


async def test_a_use_is_replayed_under_its_key_after_it_was_archived(
    master_alone, member, old, history_moves
):
    await member.earn(10)
    first = await member.use(10, "o-1", key="once")
    old()
    assert (await history_moves()).grants == 1
    again = await member.use(10, "o-1", key="once")
    assert (again.status, again.body, counted(master_alone, LIVE)) == (201, first.body, (0, 0))


async def test_an_archived_use_is_not_given_back_and_says_so(master_alone, member, old, history_moves):
    await a_year_ago(member, old, master_alone)
    await history_moves()
    live, archived = counted(master_alone, LIVE), counted(master_alone, ARCHIVED)
    for order in ORDERS:
        said = await member.cancel_use(1, order)
        assert (said.status, body(said)["type"]) == (409, "urn:point-platform:problem:order-archived")
    assert (counted(master_alone, LIVE), counted(master_alone, ARCHIVED)) == (live, archived)
    await sound(member.database)


async def test_the_version_before_can_not_use_an_archived_order_either(
    master_alone, member, old, history_moves
):
    """It looks in the live tables alone; then the database refuses."""
    await member.earn(10)
    await member.use(10, "o-1")
    old()
    await history_moves()
    grant = body(await member.earn(10))["grant_id"]
    with pytest.raises(pymysql.err.MySQLError, match="the order is in the archive"):
        master_alone.rows(
            "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, order_id, position, created_at)"
            " VALUES (%s, %s, 'USE', -10, 'o-1', 0, UTC_TIMESTAMP(6))",
            member.member_id,
            grant,
        )


async def test_liability_says_the_same_of_a_time_whose_history_is_archived(
    master_alone, member, old, history_moves
):
    await a_year_ago(member, old, master_alone)
    [(moment,)] = master_alone.rows("SELECT MIN(created_at) FROM ledger_entry")
    master_alone.rows("UPDATE ledger_entry SET created_at = created_at + INTERVAL 3 DAY WHERE kind = 'USE'")
    day = moment.date()
    periods = [Period(day, None), Period(day.replace(year=2020), day), Period(liability.FIRST_DAY, None)]
    periods.append(Period(day, day.fromordinal(day.toordinal() + 2)))

    async def owed(asked):
        books = await member.database.read(lambda one: liability.read(one, asked, lambda *_: None))
        said = liability.statement(books, asked)
        assert said.findings == []
        moved = msgspec.structs.asdict(said.movement)
        assert moved.pop("until").tzinfo is not None
        return moved, said.total

    before = [await owed(asked) for asked in periods]
    assert before[-1][0]["closing"] not in (0, 80)  # granted within, used after
    assert (await history_moves()).grants == 3
    assert [await owed(asked) for asked in periods] == before


BREAKING = (
    (
        "is not the sum of the entries",
        "UPDATE archived_entry SET amount = amount {} 1 WHERE kind = 'USE'",
        "-",
        "+",
    ),
    ("the entry of the grant says", "UPDATE archived_grant SET amount = amount {} 1", "+", "-"),
    (
        "give back what is not archived",
        "UPDATE archived_entry SET reversed_entry_id = reversed_entry_id {} 1000",
        *("+", "-"),
    ),
    (
        "points were given back of",
        "UPDATE archived_entry SET amount = amount {} 90 WHERE kind = 'CANCEL_USE'",
        "+",
        "-",
    ),
    (
        "it is live, too",
        "INSERT INTO point_ledger (grant_id, member_id, kind, amount, remaining, expires_at, created_at)"
        " SELECT grant_id, member_id, kind, amount, 0, expires_at, created_at FROM archived_grant {}",
        *("", None),
    ),
)


async def test_the_check_finds_what_is_broken_in_the_archive(master_alone, member, old, history_moves):
    await a_year_ago(member, old, master_alone)
    await history_moves()
    for said, statement, breaking, mending in BREAKING:
        await sound(member.database)
        master_alone.rows(statement.format(breaking))
        found = []
        await verify(member.database, found.append)
        assert any(said in finding.invariant for finding in found), (said, found)
        if mending is not None:
            master_alone.rows(statement.format(mending))
