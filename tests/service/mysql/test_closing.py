"""The version before and this one together, and the end of answers by member: nothing is done twice, no request fails.

The version before is the real one, from the repository's history. Where that isn't there its tests are left out.
"""

import asyncio
import os
import subprocess
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path

import httpx
import pymysql
import pytest
from point_local.alone import mysqld, serve, servers
from point_service.mysql import migrate as migrating
from point_service.mysql.store.answers import CLOSED, OPEN
from point_service.settings import load

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[3]
BEFORE = "45d4088bad72d271748e3f682098bd2615af8680"
"""The last commit that knew answers by member alone."""
CLIENTS = 4
AS_OF_THIS_VERSION = "UPDATE idempotency SET mark = 1"
COUNTS = "SELECT (SELECT COUNT(*) FROM idempotency_closed), (SELECT COUNT(*) FROM stored_answer)"


@pytest.fixture(scope="module")
def mysql():
    if (reason := mysqld.available("mysql")) is not None:
        pytest.skip(reason)
    with servers.database("mysql") as server:
        yield server


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """The variables that make a process one of the version before."""
    archive = subprocess.run(["git", "archive", BEFORE, "service"], cwd=ROOT, capture_output=True)
    if archive.returncode:
        pytest.skip("the repository's history, with the version before in it, isn't here")
    folder = tmp_path_factory.mktemp("before")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return {"PYTHONPATH": f"{folder}/service"}


@pytest.fixture
def variables(mysql):
    """This version's variables for a database of its own that nobody has migrated."""
    mysql.schema = f"points_{uuid.uuid4().hex[:8]}"
    return serve.environment(mysql, None) | {"POINT_LOG_LEVEL": "INFO", "POINT_REQUEST_TIMEOUT_SECONDS": "20"}


@pytest.fixture
def master(mysql, master_of, variables):
    del variables
    return master_of(mysql)


def migrate_before(variables):
    """Migrate as an image of the version before does; return the exit status and what was printed."""
    command = [sys.executable, "-m", "point_service", "migrate"]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout + done.stderr


def migrate(variables):
    migrating.migrate(load(variables).database)


@pytest.fixture
async def shop():
    """Makes members whose requests are sent to one pod or another."""
    async with httpx.AsyncClient(timeout=30) as client:
        yield lambda: Shop(client)


class Shop:
    def __init__(self, client):
        self.client = client
        self.member = f"m-{uuid.uuid4()}"

    async def post(self, pod, path, body, key):
        headers = {"X-Member-Id": self.member, "X-Member-Role": "service", "Idempotency-Key": key}
        return await self.client.post(f"{pod.url}/v1/points/{path}", json=body, headers=headers)

    async def earn(self, pod, key):
        return await self.post(pod, "earn", {"amount": 10}, key)

    async def use(self, pod, key):
        return await self.post(pod, "use", {"order_id": "o-1", "amount": 1000}, key)

    def grants(self, master):
        [(count,)] = master.rows("SELECT COUNT(*) FROM point_ledger WHERE member_id = %s", self.member)
        return count


def replayed(answer):
    return "idempotency-replayed" in answer.headers


def tables(master):
    return {name for (name,) in master.rows("SHOW TABLES")}


@pytest.fixture
def filled(before, variables):
    """The variables of a database that the version before has migrated: its own, and this version's."""
    status, said = migrate_before(variables | before)
    assert status == 0, said
    return variables | before, variables


async def test_what_one_version_did_the_other_answers_in_both_directions(filled, master, service, shop):
    theirs, ours = filled
    with service(theirs) as old:
        await asyncio.to_thread(migrate, ours)
        with service(ours) as new:
            for first, then in ((old, new), (new, old)):
                one = shop()
                for send in (one.earn, one.use):
                    done = await send(first, send.__name__)
                    again = [await send(pod, send.__name__) for pod in (then, first)]
                    assert not replayed(done)
                    assert [(replayed(each), each.status_code, each.text) for each in again] == [
                        (True, done.status_code, done.text)
                    ] * 2
                assert one.grants(master) == 1
            for _ in range(5):
                one = shop()
                await one.earn(old, "first")
                twins = await asyncio.gather(*(one.earn(pod, "twin") for pod in [old, new] * 3))
                assert [replayed(each) for each in twins if each.status_code == 201].count(False) == 1
                assert one.grants(master) == 2
            assert (await asyncio.to_thread(migrate_before, theirs))[0] == 0  # an image that is set back
            one = shop()
            assert (await one.earn(old, "k")).text == (await one.earn(new, "k")).text
            assert master.broken() == {}


async def test_answers_by_member_stay_while_the_version_before_writes(filled, master, service, shop):
    theirs, ours = filled
    with service(theirs) as old:
        await asyncio.to_thread(migrate, ours)
        await shop().earn(old, "k")
        for _ in range(2):
            await asyncio.to_thread(migrate, ours)
            assert OPEN in tables(master)


async def test_once_they_are_closed_the_version_before_does_nothing(filled, master, service, shop):
    theirs, ours = filled
    with service(theirs) as old:
        earlier = shop()
        told = await earlier.earn(old, "k")
        await asyncio.to_thread(migrate, ours)
        master.rows(AS_OF_THIS_VERSION)
        await asyncio.to_thread(migrate, ours)
        assert OPEN not in tables(master)
        with service(ours) as new:
            again = await earlier.earn(new, "k")
            assert (replayed(again), again.text) == (True, told.text)
            one = shop()
            await one.earn(new, "k")
            assert [(await one.earn(old, key)).status_code for key in ("k", "another")] == [500] * 2
            assert one.grants(master) == 1
            assert replayed(await one.earn(new, "k"))
            status, said = await asyncio.to_thread(migrate_before, theirs)
            assert status == 1, said  # so none of its pods comes back
            assert "1146" in said
            new.verify()


async def test_closing_fails_no_request_of_this_version(variables, master, service, shop):
    await asyncio.to_thread(migrate, variables)
    master.reopen()
    with service(variables) as pod:
        answers, closed = [], False

        async def trade(one):
            number = 0
            while not closed:
                number += 1
                answers.extend([await one.earn(pod, f"k-{number}") for _ in range(2)])

        async def more():
            wanted = len(answers) + 10 * CLIENTS
            async with asyncio.timeout(60):
                while len(answers) < wanted:  # noqa: ASYNC110 - it is a number, not an event
                    await asyncio.sleep(0.01)

        shops = [shop() for _ in range(CLIENTS)]
        trading = [asyncio.create_task(trade(one)) for one in shops]
        await more()
        await asyncio.to_thread(migrate, variables)
        await more()
        closed = True
        await asyncio.gather(*trading)
        assert OPEN not in tables(master)
        assert {answer.status_code for answer in answers} == {201}
        assert sum(map(replayed, answers)) * 2 == len(answers)
        by_member, by_day = master.rows(COUNTS)[0]
        assert by_member > 0
        assert by_day > 0
        assert by_member + by_day == len(answers) / 2 == sum(one.grants(master) for one in shops)
        assert master.broken() == {}


def test_closing_waits_for_every_transaction_that_has_looked_and_none_looks_after_it(variables, master):
    migrate(variables)
    master.reopen()
    look = "SELECT COUNT(*) FROM idempotency WHERE member_id = 'm'"
    closing = f"RENAME TABLE {OPEN} TO {CLOSED}"
    with ExitStack() as stack:
        looking = stack.enter_context(master.connect())
        one, other = (
            stack.enter_context(each.cursor()) for each in (looking, stack.enter_context(master.connect()))
        )
        looking.begin()
        one.execute(look)
        other.execute("SET lock_wait_timeout = 1")
        with pytest.raises(pymysql.err.OperationalError, match="1205"):
            other.execute(closing)
        looking.rollback()
        other.execute(closing)
        with pytest.raises(pymysql.err.ProgrammingError, match="1146"):
            one.execute(look)
