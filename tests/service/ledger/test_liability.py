"""What is owed, of ledgers that were made by real operations."""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from point_local.alone import serve, servers
from point_service.domain.grants import GrantKind
from point_service.ledger import liability, upkeep
from point_service.ledger.liability import SEOUL, Period

pytestmark = pytest.mark.integration

MOVED = ("granted", "restored", "regranted", "used", "cancelled", "expired")
NOBODY = "127.0.0.9"


def today():
    return datetime.now(UTC).astimezone(SEOUL).date()


async def owed(database, since=None, until=None):
    asked = Period(since or today() - timedelta(days=1), until)
    books = await database.read(lambda connection: liability.read(connection, asked, lambda *_: None))
    return liability.statement(books, asked)


def body(outcome):
    return json.loads(outcome.body)


async def a_bit_of_everything(member, master):
    first = body(await member.earn(1_000, days=10))["grant_id"]
    await member.earn(500, days=20, kind=GrantKind.MANUAL)
    taken_back = body(await member.earn(70))["grant_id"]
    due = body(await member.earn(40, days=5, kind=GrantKind.NORMAL))["grant_id"]
    await member.cancel_earn(taken_back)
    await member.use(1_200, "o-1")  # 500 MANUAL, then 40, which expire first, and 660
    await member.cancel_use(510, "o-1")  # 500 and 10 of the 40
    master.expire(first)  # 340 of it are left
    master.expire(due)
    await upkeep.expire_due(member.database)
    await member.cancel_use(90, "o-1")  # 30 of the 40 and 60 of the 660, granted anew


async def test_a_ledger_with_known_figures(master_alone, member):
    await a_bit_of_everything(member, master_alone)
    late = body(await member.earn(9, kind=GrantKind.MANUAL))["grant_id"]
    master_alone.expire(late)
    said = await owed(member.database)
    assert said.findings == []
    moved = said.movement
    assert (moved.opening, moved.closing) == (0, 599)
    assert [getattr(moved, name) for name in MOVED] == [1_619, 510, 90, -1_200, -70, -350]
    past, *months = said.outstanding
    assert (past.expires, past.normal, past.manual) == ("past", 0, 9)
    assert (said.total.normal, said.total.manual, said.total.total) == (90, 509, 599)
    assert [row.expires for row in months] == sorted(
        {(datetime.now(SEOUL) + timedelta(days=days)).strftime("%Y-%m") for days in (20, 365)}
    )
    assert (said.sums.entries, said.sums.remaining, said.sums.balances) == (599, 599, 599)


async def test_what_was_granted_anew_and_used_again_is_restored(master_alone, member):
    grant = body(await member.earn(100))["grant_id"]
    await member.use(100, "o-1")
    master_alone.expire(grant)
    await member.cancel_use(100, "o-1")
    await member.use(80, "o-2")
    await member.cancel_use(30, "o-2")
    moved = (await owed(member.database)).movement
    assert (moved.regranted, moved.restored, moved.used, moved.closing) == (100, 30, -180, 50)


async def test_days_and_months_end_at_midnight_in_seoul(master_alone, member):
    for _ in range(4):
        await member.earn(1)
    master_alone.rows("DROP TRIGGER IF EXISTS ledger_entry_no_update")
    grants = [grant for (grant,) in master_alone.rows("SELECT grant_id FROM point_ledger ORDER BY grant_id")]
    moments = (  # the second is the first of 2 March in Seoul, the fourth the first of the 4th
        "2026-03-01 14:59:59.999999",
        "2026-03-01 15:00:00",
        "2026-03-03 14:59:59.999999",
        "2026-03-03 15:00:00",
    )
    expiries = (
        "2031-01-31 14:59:59.999999",
        "2031-01-31 15:00:00",
        "2031-02-28 15:00:00",
        "2031-12-31 15:00:00",
    )
    for amount, grant, moment, expiry in zip((1, 10, 100, 1_000), grants, moments, expiries, strict=True):
        for statement, *values in (
            (
                "UPDATE ledger_entry SET created_at = %s, amount = %s WHERE grant_id = %s",
                moment,
                amount,
                grant,
            ),
            (
                "UPDATE point_ledger SET expires_at = %s, amount = %s, remaining = %s WHERE grant_id = %s",
                *(expiry, amount, amount, grant),
            ),
        ):
            master_alone.rows(statement, *values)
    master_alone.rows("UPDATE member_point SET balance = 1111")
    said = await owed(member.database, date(2026, 3, 2), date(2026, 3, 4))
    moved = said.movement
    assert (moved.opening, moved.granted, moved.closing, said.findings) == (1, 110, 111, [])
    assert [(row.expires, row.total) for row in said.outstanding] == [
        *(("past", 0), ("2031-01", 1), ("2031-02", 10), ("2031-03", 100), ("2032-01", 1_000)),
    ]
    now = (await owed(member.database, date(2026, 3, 4))).movement
    assert (now.opening, now.granted, now.closing) == (111, 1_000, 1_111)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_happened_it_ties(master_alone, points, member_of, monkeypatch, seed):
    monkeypatch.setattr(liability, "AT_ONCE", 3)
    chance = random.Random(seed)
    members = [member_of(points, f"m-{number}") for number in range(3)]
    done = dict.fromkeys(MOVED, 0)
    grants, orders = [], []
    for number in range(40):
        one = chance.choice(members)
        match chance.choice(("earn", "earn", "use", "use", "back", "take", "expire", "upkeep")):
            case "earn":
                kind = chance.choice(list(GrantKind))
                said = body(await one.earn(chance.randint(1, 100), days=chance.randint(1, 90), kind=kind))
                grants.append((one, said["grant_id"]))
                done["granted"] += said["amount"]
            case "use":
                said = body(await one.use(chance.randint(1, 120), f"o-{number}"))
                done["used"] -= said.get("amount", 0)
                orders += [(one, f"o-{number}")] * ("amount" in said)
            case "back" if orders:
                owner, order = chance.choice(orders)
                said = body(await owner.cancel_use(chance.randint(1, 60), order))
                for name in ("restored", "regranted"):
                    done[name] += sum(part["amount"] for part in said.get(name, []))
            case "take" if grants:
                owner, grant = chance.choice(grants)
                done["cancelled"] -= body(await owner.cancel_earn(grant)).get("amount", 0)
            case "expire" if grants:
                master_alone.expire(chance.choice(grants)[1])
            case "upkeep":
                await upkeep.expire_due(points.database)
    said = await owed(points.database)
    [(expired, left)] = master_alone.rows(
        "SELECT (SELECT COALESCE(SUM(amount), 0) FROM ledger_entry WHERE kind = 'EXPIRE'),"
        " (SELECT SUM(remaining) FROM point_ledger)"
    )
    assert said.findings == []
    assert {name: getattr(said.movement, name) for name in MOVED} == {**done, "expired": expired}
    assert said.movement.closing == said.total.total == left


async def test_what_is_written_meanwhile_is_in_all_of_it_or_in_none(
    master_alone, points, member_of, monkeypatch
):
    del master_alone
    monkeypatch.setattr(liability, "AT_ONCE", 2)
    members = [member_of(points) for _ in range(3)]
    for each in members:
        await each.earn(1_000)

    bought = asyncio.Semaphore(0)

    async def shop(each):
        while True:
            order = body(await each.use(10))["order_id"]
            await each.cancel_use(5, order)
            bought.release()

    shopping = [asyncio.create_task(shop(each)) for each in members]
    try:
        for _ in range(3):
            async with asyncio.timeout(60):
                await bought.acquire()
            assert (await owed(points.database)).findings == []
    finally:
        for task in shopping:
            task.cancel()
        for task in shopping:
            with suppress(asyncio.CancelledError):
                await task


def asked(database_server, *arguments, program=("-m", "point_service"), **variables):
    """Run `point-service liability`."""
    return subprocess.run(
        [sys.executable, *program, "liability", *arguments],
        env={**os.environ, **serve.environment(database_server, None), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


async def test_books_that_do_not_tie_are_status_1_and_say_what(
    master_alone, member, database_server, tmp_path
):
    await member.earn(100)
    change = "UPDATE member_point SET balance = balance {} 1"
    master_alone.rows(change.format("+"))
    try:
        done = asked(database_server, "--format", "json", "--output", str(tmp_path / "owed.json"))
    finally:
        master_alone.rows(change.format("-"))
    said = "the sum of the entries 100 is not the sum of the balances 101"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"liability: {said}; verify says where\n"
    assert json.loads((tmp_path / "owed.json").read_text())["findings"] == [said]


@pytest.mark.usefixtures("master_alone")
def test_the_reader_is_read_where_there_is_one_and_the_writer_when_it_is_asked_for(database_server):
    at_the_reader = {"POINT_DATABASE_HOST": NOBODY, "POINT_DATABASE_READER_HOST": servers.HOST}
    done = asked(database_server, **at_the_reader)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Outstanding points at 2")
    done = asked(database_server, POINT_DATABASE_READER_HOST=NOBODY)
    assert done.returncode == 1
    assert f"{NOBODY}: the database can't be reached; --writer asks the writer" in done.stdout
    assert asked(database_server, "--writer", POINT_DATABASE_READER_HOST=NOBODY).returncode == 0


SAID_AT_ONCE = """
from point_service import maintenance
from point_service.ledger import liability
from point_service.main import main

liability.AT_ONCE, maintenance.FIRST_PROGRESS = 100, 0.0
main()
"""


def test_what_takes_long_says_how_far_it_is(master_alone, database_server):
    master_alone.make_due(100)
    done = asked(database_server, "--format", "csv", program=("-c", SAID_AT_ONCE))
    assert done.returncode == 0
    assert re.fullmatch(r"liability: grants \d\d%", done.stderr.splitlines()[0])
    assert done.stdout.splitlines()[0].startswith("as_of,from,to,part,row")
    assert ",outstanding,total,1500,0,1500\n" in done.stdout
