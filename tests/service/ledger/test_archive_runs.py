"""A run of the archive among others: bounded, under load, killed, and what it says."""

import asyncio
import os
import re
import subprocess
import sys
from contextlib import suppress

import pytest
from harness.history import ARCHIVED, LIVE, body, counted, sound
from point_local.alone import serve
from point_service.ledger import archive

pytestmark = pytest.mark.integration


@pytest.mark.usefixtures("master_alone")
async def test_what_is_too_large_for_a_batch_stays_and_is_told(member, old, history_moves):
    await member.earn(20)
    for number in range(10):
        await member.use(2, f"o-{number}")
    await member.earn(1)
    await member.use(1, "o-small")
    old()
    report = await history_moves(batch=11)
    assert (report.grants, report.large) == (1, 1)
    report = await history_moves(batch=12)
    assert (report.grants, report.entries, report.large) == (1, 11, 0)


async def test_members_in_other_hands_are_left_and_the_others_not(
    master_alone, points, member_of, old, history_moves, monkeypatch
):
    monkeypatch.setattr(archive, "PAUSE", 0)
    busy, other = member_of(points), member_of(points)
    for one in (busy, other):
        await one.earn(1)
        await one.use(1)
    old()
    with master_alone.connect() as holder, holder.cursor() as cursor:
        holder.begin()
        cursor.execute("SELECT 1 FROM member_point WHERE member_id = %s FOR UPDATE", (busy.member_id,))
        report = await history_moves()
        holder.rollback()
    assert (report.grants, report.busy) == (1, 1)
    assert (await history_moves()).grants == 1


async def test_under_load_of_the_same_members_no_request_fails(
    master_alone, points, member_of, old, history_moves
):
    """They buy and give back while what they did a year ago moves, a few rows at a time."""
    members = [member_of(points) for _ in range(3)]
    for each in members:
        for number in range(6):
            await each.earn(10)
            await each.use(10, f"old-{number}")
    old()
    statuses, bought = [], asyncio.Event()
    for each in members:
        await each.earn(100_000)

    async def shop(each):
        while True:
            used = await each.use(10)
            statuses.append(used.status)
            back = await each.cancel_use(5, body(used).get("order_id", "none"))
            again = await each.use(1, "old-3")
            statuses.append(back.status)
            statuses.append(201 if again.status == 409 else again.status)
            bought.set()

    shopping = [asyncio.create_task(shop(each)) for each in members]
    moved = 0
    try:
        async with asyncio.timeout(300):
            await bought.wait()
            while moved < 18:
                moved += (await history_moves(batch=3)).grants  # one grant a transaction
                await sound(points.database)
    finally:
        for task in shopping:
            task.cancel()
        for task in shopping:
            with suppress(asyncio.CancelledError):
                await task
    assert set(statuses) == {201}
    assert counted(master_alone, ARCHIVED) == (18, 36)
    await sound(points.database)


def run_command(database_server, *arguments, program=("-m", "point_service")):
    """Run `point-service archive`."""
    return subprocess.run(
        [sys.executable, *program, "archive", *arguments],
        env={**os.environ, **serve.environment(database_server, None)},
        capture_output=True,
        text=True,
        timeout=60,
    )


KILLED = """
import os
import signal
from point_service.main import main
from point_service.mysql.store import archive

sent, commits = archive.run, 0

async def until_the_third(connection, statements, *rest, **named):
    global commits
    commits += statements[0] == "COMMIT"
    if commits == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return await sent(connection, statements, *rest, **named)

archive.run = until_the_third
main()
"""


async def test_a_run_that_is_killed_loses_and_doubles_nothing_and_goes_on(
    master_alone, database_server, points, member_of, old
):
    """The third transaction has written everything when it ends, and committed nothing."""
    for _ in range(5):
        one = member_of(points)
        await one.earn(10)
        await one.use(10)
    old()
    killed = run_command(database_server, "--older-than", "365", program=("-c", KILLED))
    assert killed.returncode == -9
    assert (counted(master_alone, ARCHIVED), counted(master_alone, LIVE)) == ((2, 4), (3, 6))
    await sound(points.database)
    done = run_command(database_server, "--older-than", "365")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "3 grants and 6 entries moved; left: 0 too large for a batch, 0 of busy members, 0 failed\n"
    )
    assert (counted(master_alone, ARCHIVED), counted(master_alone, LIVE)) == ((5, 10), (0, 0))
    await sound(points.database)


SLOWLY = """
from point_service import maintenance
from point_service.ledger import archive
from point_service.main import main

maintenance.FIRST_PROGRESS, archive.GRANTS_AT_ONCE = 0, 1
main()
"""
PROGRESS = re.compile(r"archive: grant (\d+) of \1, 99%; 1 grants and 2 entries moved, \d+ rows a second\n")


async def test_it_says_how_far_it_is(master_alone, database_server, member, old):
    await member.earn(10)
    await member.use(10)
    old()
    done = run_command(database_server, "--older-than", "365", program=("-c", SLOWLY))
    assert PROGRESS.fullmatch(done.stderr), done.stderr
    assert counted(master_alone, ARCHIVED) == (1, 2)


@pytest.mark.usefixtures("master")
@pytest.mark.parametrize("days", ["29", "-1", "x", "99999999999999999999"])
def test_this_months_orders_can_not_be_archived(database_server, days):
    done = run_command(database_server, "--older-than", days)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no number from 30 to 36500" in done.stderr or "expected one argument" in done.stderr
