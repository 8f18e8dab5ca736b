"""The check of the whole ledger finds what is broken, and where."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from point_local.alone import serve, servers
from point_service.ledger import verify as checking
from point_service.ledger.verify import Report, place_of, verify, write_metrics

pytestmark = pytest.mark.integration


async def findings(member):
    found = []
    report = await verify(member.database, found.append)
    assert report.findings == len(found)
    return [finding for finding in found if member.member_id in finding.where], report


@pytest.fixture
async def busy(member, master):
    """A member with a bit of everything."""
    expired = json.loads((await member.earn(100)).body)["grant_id"]
    await member.earn(50)
    await member.use(120, "o-1")
    master.expire(expired)
    await member.cancel_use(110, "o-1")
    return member


async def test_a_sound_ledger_has_no_findings(busy):
    found, report = await findings(busy)
    assert found == []
    assert report.checked > 0


async def test_it_goes_through_everything_in_small_pages(busy, monkeypatch):
    _, whole = await findings(busy)
    monkeypatch.setattr(checking, "ROWS_AT_ONCE", 2)
    _, paged = await findings(busy)
    assert paged.checked == whole.checked


@pytest.mark.parametrize(
    ("said", "breaking", "mending"),
    [
        ("is not the sum of the entries", "balance = balance + 1", "balance = balance - 1"),
        ("is not the sum of what is left of the grants", "balance = balance + 1", "balance = balance - 1"),
    ],
)
async def test_a_balance_that_does_not_add_up_is_found(busy, master, said, breaking, mending):
    change = "UPDATE member_point SET {} WHERE member_id = %s"
    master.rows(change.format(breaking), busy.member_id)
    try:
        found, _ = await findings(busy)
    finally:
        master.rows(change.format(mending), busy.member_id)
    assert any(said in finding.invariant for finding in found)


async def test_a_grant_that_does_not_add_up_is_found(busy, master):
    change = "UPDATE point_ledger SET remaining = remaining {} 1 WHERE member_id = %s AND amount = 50"
    master.rows(change.format("-"), busy.member_id)
    try:
        found, _ = await findings(busy)
    finally:
        master.rows(change.format("+"), busy.member_id)
    assert any("is not the sum of the entries" in f.invariant and "grant" in f.where for f in found)


async def test_it_goes_on_where_it_was_stopped(busy, monkeypatch):
    monkeypatch.setattr(checking, "ROWS_AT_ONCE", 3)
    _, whole = await findings(busy)
    places = []
    await verify(busy.database, print, None, lambda place, report: places.append((place, report.checked)))
    assert {place.part for place, _ in places} == {"members", "grants", "uses"}
    for place, checked in places:
        rest = await verify(busy.database, print, place_of(str(place)))
        assert checked + rest.checked == whole.checked


async def test_what_is_written_meanwhile_is_no_finding(member, member_of, points, monkeypatch):
    monkeypatch.setattr(checking, "ROWS_AT_ONCE", 2)
    members = [member_of(points) for _ in range(4)]
    for each in members:
        await each.earn(1_000)

    async def shop(each):
        while True:
            order = json.loads((await each.use(10)).body)["order_id"]
            await each.cancel_use(5, order)

    shopping = [asyncio.create_task(shop(each)) for each in members]
    try:
        for _ in range(3):
            assert (await verify(member.database, print)).findings == 0
    finally:
        for task in shopping:
            task.cancel()
        for task in shopping:
            with suppress(asyncio.CancelledError):
                await task


NOBODY = "127.0.0.9"


def checked(database_server, *arguments, **variables):
    """Run `point-service verify`."""
    return subprocess.run(
        [sys.executable, "-m", "point_service", "verify", *arguments],
        env={**os.environ, **serve.environment(database_server, None), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.usefixtures("master")
def test_the_reader_is_read_where_there_is_one_and_the_writer_when_it_is_asked_for(database_server):
    at_the_reader = {"POINT_DATABASE_HOST": NOBODY, "POINT_DATABASE_READER_HOST": servers.HOST}
    done = checked(database_server, **at_the_reader)
    assert done.returncode == 0
    assert done.stdout.endswith("0 findings\n")
    assert checked(database_server, "--writer", **at_the_reader).returncode == 1
    done = checked(database_server, POINT_DATABASE_READER_HOST=NOBODY)
    assert done.returncode == 1
    assert f"{NOBODY}: the database can't be reached; --writer asks the writer" in done.stdout
    assert checked(database_server, "--writer", POINT_DATABASE_READER_HOST=NOBODY).returncode == 0


MANY = 600
SLOWLY = """
import asyncio
import signal
from point_service.ledger import verify
from point_service.main import main

page = verify.audit.page

async def later(*asked):
    await asyncio.sleep(0.01)
    return await page(*asked)

verify.audit.page, verify.ROWS_AT_ONCE = later, 1
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started without it
main()
"""
PROGRESS = re.compile(r"verify: members \d+%; \d+ rows checked, \d+ a second, 0 findings; at members:d-\d+\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_check_that_takes_long_says_how_far_it_is_and_when_it_is_stopped_where_to_go_on(
    master_alone, database_server, number
):
    master_alone.make_due(MANY)
    master_alone.rows("ANALYZE TABLE member_point")  # the share is by the server's estimate
    slow = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "verify"],
        env={**os.environ, **serve.environment(database_server, None)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert slow.stderr is not None
        line = slow.stderr.readline()
        assert PROGRESS.fullmatch(line), line
        slow.send_signal(number)
        said, told = slow.communicate(timeout=30)
    finally:
        slow.kill()
        slow.wait()
    assert (slow.returncode, said) == (130, "")
    assert "Traceback" not in told
    before, place = told.splitlines()[-1].split(" --after ")
    assert before == "verify: not finished, go on with"
    rest = checked(database_server, "--after", place)
    assert rest.returncode == 0
    done = master_alone.rows("SELECT COUNT(*) FROM member_point WHERE member_id <= %s", place.split(":")[1])
    assert rest.stdout == f"{3 * MANY - done[0][0]} rows checked behind {place}, 0 findings\n"


def test_the_result_is_left_for_prometheus(tmp_path):
    write_metrics(Report(checked=7, findings=2), tmp_path / "verify.prom")
    text = (tmp_path / "verify.prom").read_text()
    assert "point_verify_findings 2.0" in text
    assert "point_verify_rows 7.0" in text
