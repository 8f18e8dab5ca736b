"""The schema and the rights: what the database itself refuses."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress

import pymysql
import pytest
from asyncmy.errors import OperationalError
from point_local.alone import serve, servers
from point_service.mysql.faults import StatementError
from point_service.mysql.migrate import migrate
from point_service.mysql.pool import opener
from point_service.settings import load

pytestmark = pytest.mark.integration


@pytest.fixture
def application(database_server):
    with (
        pymysql.connect(
            host=servers.HOST,
            port=database_server.port,
            user="point",
            password=(database_server.application / "password").read_text(),
            database=database_server.schema,
            autocommit=True,
            ssl_ca=str(database_server.ca_file),
        ) as connection,
        connection.cursor() as cursor,
    ):
        yield cursor


async def test_a_password_that_the_database_does_not_know_yet_is_not_missed(database_server, tmp_path):
    """Its Secret is changed first, and its files with it; the migration then tells the database."""
    user, password = tmp_path / "username", tmp_path / "password"
    user.write_text("rotating")
    password.write_text("before")
    variables = serve.environment(database_server, None) | {"POINT_DATABASE_CREDENTIALS_DIR": str(tmp_path)}
    settings = load(variables).database
    connect = opener(settings, settings.host)
    with pytest.raises(OperationalError, match="1045"):
        await connect()
    await asyncio.to_thread(migrate, settings)
    (await connect()).close()
    password.write_text("after")
    assert await _is_refused(settings)
    (await connect()).close()  # as before, in a pod that runs
    await asyncio.to_thread(migrate, settings)
    assert not await _is_refused(settings)
    (await connect()).close()


async def _is_refused(settings):
    """Whether a pod that starts now, with the files as they are, is sent away."""
    try:
        (await opener(settings, settings.host)()).close()
    except OperationalError:
        return True
    return False


def start_migration(database_server, variables=None):
    return subprocess.Popen(
        [sys.executable, "-m", "point_service", "migrate"],
        env={**os.environ, **serve.environment(database_server, None), **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_migrating_again_and_twice_at_once_changes_nothing_and_succeeds(database_server):
    running = [start_migration(database_server) for _ in range(3)]
    ended = [(process.communicate(timeout=60)[0], process.returncode) for process in running]
    assert [status for _, status in ended] == [0, 0, 0], ended


@pytest.mark.parametrize("statement", ["UPDATE ledger_entry SET amount = 1", "DELETE FROM ledger_entry"])
async def test_the_application_user_can_neither_change_nor_delete_an_entry(application, member, statement):
    await member.earn(1)
    with pytest.raises(pymysql.err.OperationalError, match="denied"):
        application.execute(statement)


def changeable(application, master, schema):
    """Return the columns that the application user may change, by their tables'."""
    columns = master.rows(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s"
        " AND table_name IN ('member_point', 'point_ledger', 'ledger_entry')",
        schema,
    )
    found = set()
    for table, column in columns:
        with suppress(pymysql.err.MySQLError):
            application.execute(f"UPDATE `{schema}`.{table} SET {column} = {column}")
            found.add((table, column))
    return found


def of_grants(columns):
    """Leave members out where the server is MariaDB, whose upserts need the right to every column."""
    return {(table, column) for table, column in columns if table != "member_point"}


@pytest.mark.parametrize("before", ["nobody", "a version that had the right to whole tables"])
def test_the_application_user_changes_only_what_is_left_of_a_grant_and_a_members_balance(
    master_alone, database_server, application, before
):
    schema, settings = database_server.schema, load(serve.environment(database_server, None)).database
    if before != "nobody":
        for table in ("member_point", "point_ledger"):
            master_alone.rows(f"GRANT UPDATE ON `{schema}`.{table} TO 'point'@'%'")
        assert ("point_ledger", "amount") in changeable(application, master_alone, schema)
        migrate(settings)
    for _ in range(2):
        may = changeable(application, master_alone, schema)
        assert of_grants(may) == {("point_ledger", "remaining")}
        if database_server.flavour == "mysql":
            assert may - of_grants(may) == {
                ("member_point", column)
                for column in ("balance", "version", "updated_at", "refused_on", "refusals")
            }
        migrate(settings)


async def test_each_right_to_change_a_column_is_needed(master_alone, database_server, pod, member_of):
    """And what a version before needs is no more: its statements change the same columns."""
    rights = master_alone.rows(
        "SELECT table_name, column_name FROM information_schema.column_privileges"
        " WHERE table_schema = %s AND privilege_type = 'UPDATE'",
        database_server.schema,
    )
    assert ("point_ledger", "remaining") in rights
    async with pod(cached=False) as one:
        member = member_of(one)
        await member.earn(100)
        for table, column in rights:
            right = f"UPDATE ({column}) ON `{database_server.schema}`.{table}"
            master_alone.rows(f"REVOKE {right} FROM 'point'@'%'")
            amount, status = (1_000, 409) if column.startswith("refus") else (1, 201)
            with pytest.raises(StatementError, match=r"114[23]"):
                await member.use(amount)
            master_alone.rows(f"GRANT {right} TO 'point'@'%'")
            assert (await member.use(amount)).status == status


async def test_a_migration_with_nothing_to_narrow_takes_no_right_away_for_a_moment(member, database_server):
    await member.earn(1_000)
    migrating = asyncio.create_task(
        asyncio.to_thread(migrate, load(serve.environment(database_server, None)).database)
    )
    while not migrating.done():
        assert (await member.use(1)).status == 201
    await migrating


@pytest.mark.parametrize("statement", ["UPDATE ledger_entry SET amount = amount", "DELETE FROM ledger_entry"])
async def test_nobody_can_change_or_delete_an_entry(master, member, statement):
    await member.earn(1)
    with pytest.raises(pymysql.err.MySQLError, match="append-only"):
        master.rows(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE ledger_entry",
        "DELETE FROM member_point",
        "TRUNCATE TABLE idempotency_closed",
        "INSERT INTO idempotency_closed SELECT * FROM idempotency_closed",
        "ALTER TABLE stored_answer ADD COLUMN x INT",
        "CREATE TABLE x (y INT)",
    ],
)
def test_the_application_user_has_no_other_rights(application, statement):
    with pytest.raises(pymysql.err.OperationalError, match="denied"):
        application.execute(statement)


def test_the_application_user_can_empty_a_day_of_answers(application):
    application.execute("ALTER TABLE stored_answer TRUNCATE PARTITION p0")


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("member_point_balance_not_negative", "UPDATE member_point SET balance = -1 WHERE member_id = %s"),
        ("point_ledger_remaining_within", "UPDATE point_ledger SET remaining = -1 WHERE member_id = %s"),
        (
            "point_ledger_remaining_within",
            "UPDATE point_ledger SET remaining = amount + 1 WHERE member_id = %s",
        ),
        ("point_ledger_kind_known", "UPDATE point_ledger SET kind = 'OTHER' WHERE member_id = %s"),
        (
            "ledger_entry_sign",
            "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, position, created_at)"
            " SELECT member_id, grant_id, 'EARN', -1, 0, created_at FROM point_ledger WHERE member_id = %s",
        ),
        (
            "ledger_entry_order_named",
            "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, position, created_at)"
            " SELECT member_id, grant_id, 'USE', -1, 0, created_at FROM point_ledger WHERE member_id = %s",
        ),
        (
            "point_ledger_member",
            "INSERT INTO point_ledger (member_id, kind, amount, remaining, expires_at, created_at)"
            " SELECT 'nobody', 'NORMAL', 1, 1, created_at, created_at FROM point_ledger WHERE member_id = %s",
        ),
    ],
)
async def test_the_database_refuses_what_would_break_an_invariant(master, member, constraint, statement):
    await member.earn(1)
    with pytest.raises(pymysql.err.MySQLError, match=constraint):
        master.rows(statement, member.member_id)


async def test_an_entry_must_be_of_its_grants_member(master, member, member_of, points):
    other = member_of(points)
    await member.earn(1)
    await other.earn(1)
    with pytest.raises(pymysql.err.IntegrityError, match="ledger_entry_grant"):
        master.rows(
            "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, position, created_at)"
            " SELECT %s, grant_id, 'EARN', 1, 0, created_at FROM point_ledger WHERE member_id = %s",
            other.member_id,
            member.member_id,
        )


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_a_migration_that_may_make_no_user_prints_no_password(database_server, master, tmp_path, level):
    """The application's, which is in the statement that the database refuses."""
    for name, value in (("username", "limited"), ("password", "own-password")):
        (tmp_path / name).write_text(value)
    master.rows("CREATE USER IF NOT EXISTS 'limited'@'%' IDENTIFIED BY 'own-password'")
    master.rows(f"GRANT ALL PRIVILEGES ON `{database_server.schema}`.* TO 'limited'@'%'")
    variables = {"POINT_DATABASE_MIGRATION_CREDENTIALS_DIR": str(tmp_path), "POINT_LOG_LEVEL": level}
    migrating = start_migration(database_server, variables)
    printed, _ = migrating.communicate(timeout=60)
    assert migrating.returncode == 1, printed
    assert "CREATE USER" in printed
    assert (database_server.application / "password").read_text() not in printed
    assert "own-password" not in printed
