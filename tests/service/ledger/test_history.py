"""A member's history by time and kind: exactly what was asked for, page by page, and no page reads without bound."""

import asyncio
from datetime import UTC, datetime, timedelta

import pymysql
import pymysql.cursors
import pytest
from point_local.alone import serve
from point_service.domain.entries import EVERY_ENTRY, EntryKind, Filter
from point_service.mysql.store import reads
from point_service.mysql.store.execution import naive
from point_service.settings import load

pytestmark = pytest.mark.integration

NEWEST = 2**63 - 1
START = datetime(2035, 3, 1, tzinfo=UTC)  # after all that the service itself writes here
MICROSECOND = timedelta(microseconds=1)
EARNED = Filter(kinds=(EntryKind.EARN,))
ADD = (
    "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, position, created_at)"
    " SELECT %s, %s, kind, amount, 0, created_at FROM JSON_TABLE(%s, '$[*]' COLUMNS ("
    "kind VARCHAR(12) PATH '$[0]', amount BIGINT PATH '$[1]', created_at VARCHAR(26) PATH '$[2]')) told"
)


@pytest.fixture
def master(master_alone):
    return master_alone


@pytest.fixture
def settings(master, database_server, redis):
    del master
    return load(serve.environment(database_server, redis) | {"POINT_CACHE_TIMEOUT_SECONDS": "0.5"})


async def rows_read(master, work):
    """Return how many rows the server reads for some work."""
    before = master.rows_read()
    await work
    return master.rows_read() - before


async def write(member, master, told):
    """Write entries of EARN and EXPIRE at given moments, oldest first; the books add up after it."""
    grant = (await member.views.grants(member.member_id, NEWEST, 1, False)).grants
    if not grant:
        await member.earn(1)
        grant = (await member.views.grants(member.member_id, NEWEST, 1, False)).grants
    rows = [(kind.value, 1 if kind is EntryKind.EARN else -1, str(naive(at))) for kind, at in told]
    text = "[" + ",".join(f'["{kind}",{amount},"{at}"]' for kind, amount, at in rows) + "]"
    master.rows(ADD, member.member_id, grant[0].grant_id, text)
    total = sum(amount for _, amount, _ in rows)
    master.rows(
        "UPDATE point_ledger SET amount = amount + %s, remaining = remaining + %s WHERE grant_id = %s",
        max(total, 0),
        total,
        grant[0].grant_id,
    )
    master.rows(
        "UPDATE member_point SET balance = balance + %s WHERE member_id = %s", total, member.member_id
    )


async def pages(member, limit, wanted):
    """Return all pages of a filter."""
    found, cursor = [], NEWEST
    while cursor is not None:
        page = await member.views.history(member.member_id, int(cursor), limit, wanted)
        found.append(page.entries)
        assert len(page.entries) <= limit
        assert page.next_cursor is None or int(page.next_cursor) < int(cursor)
        cursor = page.next_cursor
    return found


def flat(found):
    return [entry for page in found for entry in page]


def fits(entry, wanted):
    return wanted.since <= entry.at < wanted.until and entry.kind in wanted.kinds


async def test_from_is_inclusive_and_to_exclusive_to_the_microsecond(member, master):
    moments = [START + place * MICROSECOND for place in range(5)]
    await write(member, master, [(EntryKind.EARN, at) for at in moments])
    for since, until in ((1, 3), (1, 1), (0, 5), (4, 5)):
        wanted = Filter(since=START + since * MICROSECOND, until=START + until * MICROSECOND)
        told = flat(await pages(member, 10, wanted))
        assert [entry.at for entry in told] == moments[since:until][::-1]
    assert [entry.at for entry in flat(await pages(member, 10, Filter(since=moments[2])))] == moments[:1:-1]
    before = flat(await pages(member, 10, Filter(until=moments[2])))
    assert [entry.at for entry in before][:-1] == moments[1::-1]
    assert before[-1].at < START  # the grant's own


async def test_kinds_are_what_was_asked_for(member):
    await member.earn(100)
    await member.use(60, "o-1")
    await member.cancel_use(10, "o-1")
    await member.earn(5)
    for kinds, amounts in (
        ((EntryKind.EARN,), [5, 100]),
        ((EntryKind.USE,), [-60]),
        ((EntryKind.USE, EntryKind.CANCEL_USE), [10, -60]),
        ((EntryKind.EXPIRE,), []),
        (tuple(EntryKind), [5, 10, -60, 100]),
    ):
        for limit in (1, 2, 100):
            told = flat(await pages(member, limit, Filter(kinds=kinds)))
            assert [entry.amount for entry in told] == amounts


@pytest.mark.parametrize("looked", [1, 3, 7, 50])
async def test_the_pages_of_a_filter_are_the_filtered_whole(
    member, member_of, points, master, monkeypatch, looked
):
    kinds = [EntryKind.EXPIRE if place % 5 == 4 else EntryKind.EARN for place in range(40)]
    # An hour apart, and one after a failover to a server whose clock is behind.
    moments = [START + timedelta(hours=place, minutes=-90 if place == 20 else 0) for place in range(40)]
    other = member_of(points)
    for one in (other, member, other):
        await write(one, master, list(zip(kinds, moments, strict=True)))
    whole = flat(await pages(member, 100, EVERY_ENTRY))
    assert len(whole) == 41
    monkeypatch.setattr(reads, "LOOKED", looked)
    for wanted in (
        Filter(kinds=(EntryKind.EXPIRE,)),
        Filter(since=START + timedelta(hours=10), until=START + timedelta(hours=20)),
        Filter(since=START + timedelta(hours=19), kinds=(EntryKind.EARN,)),
        Filter(until=START),
        Filter(since=START + timedelta(days=90)),
        Filter(since=START + timedelta(hours=18, minutes=45), until=START + timedelta(hours=19, minutes=1)),
    ):
        for limit in (1, 4, 100):
            told = flat(await pages(member, limit, wanted))
            assert told == [entry for entry in whole if fits(entry, wanted)]


async def test_a_page_of_a_filter_reads_so_much_and_no_more_however_long_the_history(
    member, member_of, points, master
):
    moments = [START + timedelta(minutes=place) for place in range(6_000)]
    for one in (member_of(points, "a"), member, member_of(points, "z")):  # on either side of it in the index
        await write(one, master, [(EntryKind.EARN, at) for at in moments])
    idle = await rows_read(master, asyncio.sleep(0))
    most = idle + 2 * reads.LOOKED + 50
    nowhere = await member.views.history(member.member_id, NEWEST, 10, Filter(kinds=(EntryKind.USE,)))
    assert nowhere.entries == []
    assert nowhere.next_cursor is not None
    for wanted in (
        Filter(kinds=(EntryKind.USE,)),
        Filter(until=moments[10]),
        Filter(since=moments[-10]),
        Filter(since=moments[5], until=moments[2_000]),
    ):
        for before in (NEWEST, int(nowhere.next_cursor)):
            page = member.views.history(member.member_id, before, 10, wanted)
            assert await rows_read(master, page) < most
    found = await pages(member, 100, Filter(kinds=(EntryKind.USE,)))
    assert len(found) == 6_001 // reads.LOOKED + 1
    # What is older than the range by more than clocks are wrong is not looked at.
    assert [len(page) for page in await pages(member, 100, Filter(since=moments[-10]))] == [10]
    # A page that is full early ends there: all the rest is the look for its end, in the index.
    full = member.views.history(member.member_id, NEWEST, 10, EARNED)
    assert await rows_read(master, full) < idle + reads.LOOKED + 50
    for statement, values in (
        (reads.END_OF_LOOK, (member.member_id, member.member_id, NEWEST, reads.LOOKED - 1)),
        (reads.FILTERED_ENTRIES, (member.member_id, NEWEST, 5, moments[0], moments[9], "EARN,USE", 21)),
    ):
        plan = explained(master, statement, values)
        assert {row["key"] for row in plan} <= {"ledger_entry_member", "PRIMARY"}, plan
        assert not any("filesort" in (row["Extra"] or "") for row in plan), plan


def explained(master, statement, values):
    """Return how the server would run a statement."""
    with master.connect(cursorclass=pymysql.cursors.DictCursor) as connection, connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {statement}", values)
        return cursor.fetchall()
