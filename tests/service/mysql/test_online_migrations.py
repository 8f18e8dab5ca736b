"""Migrations while the service runs: no request fails, and a migration that would make one fail is found.

A service of one version meets the schema of the next whenever a release is rolled out. The version before the
newest can't be run here, so two things stand in for it. What each revision after the first does is held to rules
that keep any version before it alive. And a revision that comes after the newest is rehearsed: the service as it
is now is then the old version, and runs under load meanwhile.
"""

import asyncio
import os
import random
import re
import shutil
import subprocess
import sys
import uuid
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import point_service.mysql.migrations
import pytest
from point_local.alone import mysqld, serve, servers
from point_service.mysql import migrate as migrating
from point_service.mysql import revision
from point_service.settings import load
from sqlalchemy import event
from sqlalchemy.engine import Engine

CLIENTS = 6
HERE = Path(point_service.mysql.migrations.__file__).parent

INSTANT = "ALTER TABLE ledger_entry ADD COLUMN channel VARCHAR(16) NULL, ALGORITHM=INSTANT"
IN_PLACE = "ALTER TABLE point_ledger ADD KEY rehearsed (expires_at), ALGORITHM=INPLACE, LOCK=NONE"
WIDENING = (
    "ALTER TABLE idempotency MODIFY caller VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
    " ALGORITHM=INPLACE, LOCK=NONE"
)
DROPPING = "ALTER TABLE point_ledger DROP COLUMN reason, ALGORITHM=INSTANT"
DEMANDING = "ALTER TABLE ledger_entry ADD COLUMN channel VARCHAR(16) NOT NULL, ALGORITHM=INSTANT"


WIDER = re.compile(
    r"ALTER TABLE \w+ MODIFY \w+ VARCHAR\(\d+\) CHARACTER SET ASCII COLLATE ASCII_BIN NOT NULL,"
    r" ALGORITHM=INPLACE, LOCK=NONE"
)
"""In place a server makes a text only longer: a shorter one, or one of another kind, would have to be copied."""


def objection(statement: str) -> str | None:
    """Return why the version before can't live with a statement, or can't work while it runs; None when it can."""
    words = " ".join(statement.upper().split())
    if re.match(r"(DROP|TRUNCATE|RENAME) TABLE|LOCK TABLES", words):
        return "takes a table away"
    if re.match(r"(UPDATE|DELETE) ", words) and " LIMIT " not in words and "ALEMBIC_VERSION" not in words:
        return "locks rows without a limit"
    if not re.match(r"ALTER TABLE |CREATE (UNIQUE )?INDEX |DROP INDEX ", words):
        return None
    if re.search(r"\b(DROP COLUMN|RENAME|CHANGE|MODIFY)\b", words) and not WIDER.fullmatch(words):
        return "changes what the version before knows"
    if re.search(r"ADD (COLUMN )?`?\w+`? [^,]*NOT NULL(?![^,]*DEFAULT)(?![^,]*GENERATED)", words):
        return "asks the version before for a value that it doesn't know of"
    if "ALGORITHM=INSTANT" not in words and not ("ALGORITHM=INPLACE" in words and "LOCK=NONE" in words):
        return "doesn't say that it locks nobody out, so that the database could refuse"
    return None


@pytest.mark.parametrize(
    "statement", [INSTANT, IN_PLACE, WIDENING, "UPDATE alembic_version SET version_num='2'"]
)
def test_what_the_version_before_can_live_with_is_allowed(statement):
    assert objection(statement) is None


@pytest.mark.parametrize(
    "statement",
    [
        DROPPING,
        DEMANDING,
        "ALTER TABLE member_point ADD KEY k (balance)",
        "ALTER TABLE member_point ADD KEY k (balance), ALGORITHM=COPY",
        "ALTER TABLE member_point RENAME COLUMN balance TO points, ALGORITHM=INSTANT",
        "ALTER TABLE point_ledger MODIFY reason TEXT, ALGORITHM=COPY",
        WIDENING.replace("INPLACE", "COPY"),
        WIDENING.replace(" NOT NULL", ""),
        WIDENING.replace("VARCHAR(255)", "INT"),
        "CREATE INDEX k ON member_point (balance)",
        "DROP TABLE idempotency",
        "UPDATE ledger_entry SET position = 0",
        "DELETE FROM idempotency",
    ],
)
def test_what_it_can_not_live_with_is_found(statement):
    assert objection(statement)


class Traffic:
    """What a few clients of one pod saw while the schema changed: every answer that wasn't one."""

    def __init__(self, url):
        self.url = url
        self.failed = []
        self.answered = 0
        self.closed = False
        self._random = random.Random(3)

    async def trade(self):
        """Earn, use, give back and read, one after the other, until the traffic is closed."""
        member, order = f"m-{uuid.uuid4()}", None
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            while not self.closed:
                previous, order = order, str(uuid.uuid4())
                for path, body in (
                    ("/earn", {"amount": 50, "reason": "rehearsal"}),
                    ("/use", {"order_id": order, "amount": self._random.randint(1, 50)}),
                    *([("/use/cancel", {"order_id": previous, "amount": 1})] if previous else []),
                    ("/history", None),
                    ("/grants?live=true", None),
                    (f"/orders/{order}", None),
                ):
                    await self._send(client, member, f"/v1/points{path}", body)

    async def _send(self, client, member, path, body):
        headers = {"X-Member-Id": member, "X-Member-Role": "service", "Idempotency-Key": str(uuid.uuid4())}
        method = "GET" if body is None else "POST"
        try:
            answer = await client.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            self.failed.append((path, repr(error)))
            return
        if answer.status_code not in (200, 201):
            self.failed.append((path, answer.text))
        self.answered += 1

    async def more(self):
        """Wait until everybody was answered some more."""
        wanted = self.answered + 10 * CLIENTS
        async with asyncio.timeout(110):
            while self.answered < wanted:  # noqa: ASYNC110 - it is a number, not an event
                await asyncio.sleep(0.005)


@pytest.fixture(scope="module")
def mysql():
    if (reason := mysqld.available("mysql")) is not None:
        pytest.skip(reason)
    with servers.database("mysql") as server:
        yield server


@pytest.fixture
def variables(mysql):
    """The service's variables for a database of its own on the server, at the newest revision."""
    mysql.schema = f"points_{uuid.uuid4().hex[:8]}"
    variables = serve.environment(mysql, None)
    migrating.migrate(load(variables).database)
    # A machine that is busy with something else is no migration's fault.
    return variables | {"POINT_LOG_LEVEL": "ERROR", "POINT_REQUEST_TIMEOUT_SECONDS": "20"}


@pytest.fixture
def traffic(variables, service):
    """Runs traffic to a pod for a block; afterwards it says what failed."""

    @asynccontextmanager
    async def flowing():
        with service(variables) as pod:
            traffic = Traffic(pod.url)
            clients = [asyncio.create_task(traffic.trade()) for _ in range(CLIENTS)]
            try:
                await traffic.more()
                yield traffic
                await traffic.more()
                assert await asyncio.to_thread(pod.readiness) == 200
            finally:
                traffic.closed = True
                await asyncio.gather(*clients, return_exceptions=True)

    return flowing


@pytest.fixture
def rehearse(variables, tmp_path, monkeypatch):
    """Runs `migrate` with one more revision after the newest, made of the statements it is given."""

    async def run(*statements):
        scripts = tmp_path / "migrations"
        shutil.copytree(HERE, scripts, ignore=shutil.ignore_patterns("__pycache__"))
        (scripts / "versions" / "9999_rehearsal.py").write_text(
            f"from alembic import op\nrevision, down_revision = '9999', {revision.HEAD!r}\n"
            f"def upgrade():\n    for statement in {statements!r}:\n        op.execute(statement)\n"
        )
        monkeypatch.setattr(migrating, "SCRIPTS", str(scripts))
        await asyncio.to_thread(migrating.migrate, load(variables).database)

    return run


@pytest.mark.integration
def test_every_revision_after_the_first_leaves_the_version_before_alive(mysql):
    said = []

    def remember(_connection, _cursor, statement, *_):
        said.append(statement)

    mysql.schema = f"points_{uuid.uuid4().hex[:8]}"
    database = load(serve.environment(mysql, None)).database
    event.listen(Engine, "before_cursor_execute", remember)
    try:
        migrating.migrate(database)
    finally:
        event.remove(Engine, "before_cursor_execute", remember)
    recorded = [number for number, statement in enumerate(said) if "alembic_version SET" in statement]
    first = next(
        number for number, statement in enumerate(said) if "INSERT INTO alembic_version" in statement
    )
    # What comes after the last one closes answers by member, which has tests of its own (test_answers_by_day).
    objections = {statement: objection(statement) for statement in said[first : recorded[-1]]}
    assert {statement: why for statement, why in objections.items() if why} == {}


@pytest.mark.integration
async def test_migrating_to_where_it_is_fails_no_request(variables, traffic):
    """Every roll-out does: the schema is looked at, the application user and its rights are set again."""
    async with traffic() as seen:
        jobs = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "point_service",
                "migrate",
                env=os.environ | variables,
                stdout=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]
        assert [await job.wait() for job in jobs] == [0, 0]
    assert seen.failed == []


@pytest.mark.integration
async def test_a_later_revision_fails_no_request_of_the_running_version(traffic, rehearse):
    async with traffic() as seen:
        await rehearse(INSTANT, IN_PLACE)
    assert seen.failed == []


NARROW = "ALTER TABLE {} MODIFY member_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
WIDTHS = (
    "SELECT table_name, character_maximum_length FROM information_schema.columns"
    " WHERE table_schema = %s AND column_name = 'member_id' AND table_name IN"
    " ('idempotency', 'ledger_entry', 'member_point', 'point_ledger') ORDER BY table_name"
)


@pytest.mark.integration
async def test_longer_member_ids_fail_no_request(mysql, master_of, variables, traffic):
    """Taken back while nobody is there, the revision comes again under load."""
    master, tables = master_of(mysql), ("idempotency", "ledger_entry", "member_point", "point_ledger")
    master.reopen()
    with master.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0")
        for table in tables:
            cursor.execute(NARROW.format(table))
    async with traffic() as seen:
        master.rows("UPDATE alembic_version SET version_num = '0001'")
        assert [*master.rows(WIDTHS, mysql.schema)] == [(table, 128) for table in tables]
        await asyncio.to_thread(migrating.migrate, load(variables).database)
        assert [*master.rows(WIDTHS, mysql.schema)] == [(table, 255) for table in tables]
    assert seen.failed == []


@pytest.mark.integration
async def test_the_version_before_migrates_on_a_later_schema(
    mysql, master_of, variables, rehearse, monkeypatch
):
    """An image that is set back runs its migration, too: there is nothing to do, and that is no failure."""
    newest = migrating.SCRIPTS
    await rehearse(INSTANT)
    monkeypatch.setattr(migrating, "SCRIPTS", newest)
    await asyncio.to_thread(migrating.migrate, load(variables).database)
    assert list(master_of(mysql).rows("SELECT version_num FROM alembic_version")) == [("9999",)]


@pytest.mark.integration
async def test_a_change_of_a_table_in_use_lets_the_requests_pass(
    mysql, master_of, traffic, rehearse, eventually
):
    master = master_of(mysql)

    def waiting():
        return any("metadata lock" in str(row[6]) for row in master.rows("SHOW PROCESSLIST"))

    async with traffic() as seen:
        with master.connect() as holder, holder.cursor() as cursor:
            holder.begin()
            cursor.execute("SELECT COUNT(*) FROM ledger_entry")  # as a report or a backup does
            change = asyncio.create_task(rehearse(INSTANT))
            for _ in range(2):
                await eventually(waiting)
                await eventually(lambda: not waiting())
            assert not change.done()
            holder.rollback()
        await change
    assert seen.failed == []


@pytest.mark.integration
@pytest.mark.parametrize(
    ("statement", "path"),
    [(DROPPING, "/v1/points/earn"), (DEMANDING, "/v1/points/use")],
    ids=["drop", "demand"],
)
async def test_a_revision_that_the_running_version_can_not_live_with_is_noticed(
    traffic, rehearse, statement, path
):
    async with traffic() as seen:
        await rehearse(statement)
    assert path in {where for where, _ in seen.failed}
