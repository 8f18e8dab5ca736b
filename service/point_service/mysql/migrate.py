"""`point-service migrate`: the schema to this version's revision at least, then the application user and its rights."""

import logging
import re
import time
from collections.abc import Callable
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from point_service.authorities import context
from point_service.mysql.store.answers import CLOSED, OPEN
from point_service.settings import Credentials, DatabaseSettings, SettingError

log = logging.getLogger(__name__)

LOCK = "point-platform-migration"
LOCK_WAIT = 300  # seconds behind another migration
CONNECT_TIMEOUT = 10  # seconds
SILENT = 60  # seconds; one that is gone without a word then gives the lock back
SCRIPTS = "point_service.mysql:migrations"
# A change of a table waits for the transactions that use it, and every request that comes after it waits behind
# it: so it gives up soon, lets them pass, and tries again.
TABLE_WAIT = 1  # seconds
TABLE_PAUSE = 2  # seconds
TABLE_ATTEMPTS = 100
LOCK_WAIT_TIMEOUT = 1205
# What it says of who may not, and of what is not there, quotes no value of a row or a statement.
TELLING = frozenset({1044, 1045, 1049, 1130, 1142, 1146, 1227, 1290, 1410, 3159, *range(2000, 3000)})
USERNAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")

# What the service needs and nothing more: entries are only ever added, of a member its balance changes, of a grant what
# is left of it.
RIGHTS = {
    "member_point": "SELECT, INSERT, UPDATE (balance, version, updated_at, refused_on, refusals)",
    "point_ledger": "SELECT, INSERT, UPDATE (remaining)",
    "ledger_entry": "SELECT, INSERT",
    OPEN: "SELECT, INSERT, DELETE",
    CLOSED: "SELECT, DELETE",
    "stored_answer": "SELECT, INSERT, DROP",  # a day that is over is truncated
    "movement_reference": "SELECT, INSERT",
    # `archive` moves history as the migration's user: nothing that serves requests can take an entry away.
    "archived_grant": "SELECT",
    "archived_entry": "SELECT",
    "alembic_version": "SELECT",
}
BY_DAY_SINCE = "0005"
OF_THE_VERSION_BEFORE = text("SELECT EXISTS (SELECT 1 FROM idempotency WHERE mark IS NULL)")
MAY_ANSWER = text(
    "SELECT DISTINCT grantee FROM information_schema.table_privileges"
    " WHERE table_schema = DATABASE() AND table_name = 'idempotency'"
)
# It asks for UPDATE of every column that an INSERT ... ON DUPLICATE KEY UPDATE names, changed or not.
RIGHTS_ON_MARIADB = RIGHTS | {"member_point": "SELECT, INSERT, UPDATE"}
# Versions before gave the right to whole tables.
WIDER = text(
    "SELECT table_name FROM information_schema.table_privileges"
    " WHERE grantee = :account AND table_schema = :schema AND privilege_type = 'UPDATE'"
)


class RefusedError(Exception):
    """The database refused. Says no value of a statement, of which a password may be one."""


def migrate(settings: DatabaseSettings) -> None:
    """Bring the database up to date. Running it twice, or twice at once, does it once.

    Raises SettingError when the credentials are missing, RefusedError when the database refuses.
    """
    if settings.migration_credentials is None:
        raise SettingError("POINT_DATABASE_MIGRATION_CREDENTIALS_DIR: not set; it must be, to migrate")
    try:
        _migrate(settings, settings.migration_credentials)
    except DBAPIError as error:
        refused = RefusedError(_described(error))
        raise refused.with_traceback(error.__traceback__) from None


def _described(error: DBAPIError) -> str:
    kind, said = type(error.orig).__name__, error.orig.args if error.orig is not None else ()
    if len(said) < 2 or not isinstance(said[0], int):
        return kind
    return f"{kind} {said[0]}" + (f": {said[1]}" if said[0] in TELLING else "")


def _migrate(settings: DatabaseSettings, master: Credentials) -> None:
    with _connect(settings, master, None) as connection:
        connection.execute(
            text(f"CREATE DATABASE IF NOT EXISTS `{settings.name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        )
    with _connect(settings, master, settings.name) as connection:
        if connection.scalar(text("SELECT GET_LOCK(:name, :wait)"), {"name": LOCK, "wait": LOCK_WAIT}) != 1:
            raise TimeoutError(f"another migration has been running for {LOCK_WAIT} s")
        try:
            found = _upgrade(connection)
            if found is None or found >= BY_DAY_SINCE:
                _close(connection)
            if settings.credentials is not None:
                _grant(connection, settings, settings.credentials)
        finally:
            connection.scalar(text("SELECT RELEASE_LOCK(:name)"), {"name": LOCK})


def _upgrade(connection: Connection) -> str | None:
    """Run the revisions that are missing, each again while a table it changes is in use; return the one that was there.

    A schema past this version's is left as it is: an image that is set back can't know what came after it, and
    later revisions keep what it needs.
    """
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    newest = ScriptDirectory.from_config(config).get_current_head()
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and newest is not None and current > newest:  # revisions sort as text
        log.info("schema is newer than this version", extra={"revision": current})
        return current
    _patiently(connection, lambda: command.upgrade(config, "head"))
    log.info("schema is at its newest revision")
    return current


def _close(connection: Connection) -> None:
    """Close the table of answers by member, once no pod runs that knows no other (docs/decisions/0019).

    That is when the database is new, or when nothing is left of what the version before has answered: this one has run
    alone for as long as answers are kept. One that is there nevertheless fails, and does nothing twice.
    """
    if OPEN not in _tables(connection):
        return
    if connection.scalar(OF_THE_VERSION_BEFORE):
        log.info("there are answers of the version before, they stay by member until a later migration")
        return
    for account in connection.execute(MAY_ANSWER).scalars().all():
        # Rights to a table that isn't there come by the one to make it, which goes again: a rename takes none along.
        connection.execute(text(f"GRANT CREATE, {RIGHTS[CLOSED]} ON {CLOSED} TO {account}"))
        connection.execute(text(f"REVOKE CREATE ON {CLOSED} FROM {account}"))
    _patiently(connection, lambda: connection.execute(text(f"RENAME TABLE {OPEN} TO {CLOSED}")))
    log.info("answers are by day from now on")


def _patiently(connection: Connection, change: Callable[[], object]) -> None:
    """Change a table, again while it is in use."""
    connection.execute(text("SET SESSION lock_wait_timeout = :wait"), {"wait": TABLE_WAIT})
    for attempt in range(1, TABLE_ATTEMPTS + 1):
        try:
            change()
            return
        except OperationalError as error:
            busy = error.orig is not None and error.orig.args[0] == LOCK_WAIT_TIMEOUT
            if not busy or attempt == TABLE_ATTEMPTS:
                raise
            log.info("a table is in use, trying again", extra={"attempt": attempt})
            time.sleep(TABLE_PAUSE)


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _grant(connection: Connection, settings: DatabaseSettings, credentials: Credentials) -> None:
    """Create the application user or set its password, and give it its rights."""
    user = credentials.username()
    if user is None or not USERNAME.fullmatch(user):
        raise SettingError(
            "POINT_DATABASE_CREDENTIALS_DIR: its file username must hold 1 to 32 letters, digits, _ . or -"
        )
    account = f"'{user}'@'%'"
    password = {"password": credentials.password()}
    require = " REQUIRE SSL" if settings.tls else ""
    connection.execute(text(f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY :password"), password)
    connection.execute(text(f"ALTER USER {account} IDENTIFIED BY :password{require}"), password)
    wider = set(connection.execute(WIDER, {"account": account, "schema": settings.name}).scalars())
    rights_of = RIGHTS_ON_MARIADB if getattr(connection.dialect, "is_mariadb", False) else RIGHTS
    there = _tables(connection)
    for table, rights in rights_of.items():
        if table not in there:
            continue
        place = f"`{settings.name}`.`{table}`"
        # The right to a table takes those to its columns along, so once in an installation's life there is a moment
        # without either: what pods of the version before write in it ends in a 500, and is done when it is sent again.
        if table in wider and "UPDATE (" in rights:
            connection.execute(text(f"REVOKE UPDATE ON {place} FROM {account}"))
        connection.execute(text(f"GRANT {rights} ON {place} TO {account}"))
    log.info("application user has its rights")


def _connect(settings: DatabaseSettings, credentials: Credentials, database: str | None) -> Any:
    engine = create_engine(
        URL.create(
            "mysql+pymysql",
            username=credentials.username() or "root",
            password=credentials.password(),
            host=settings.host,
            port=settings.port,
            database=database,
            query={"charset": "utf8mb4"},
        ),
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT,
            "init_command": f"SET SESSION wait_timeout = {SILENT}",
            **({"ssl": context(settings.ca_file)} if settings.tls else {}),
        },
        hide_parameters=True,  # the application's password is one, and errors are logged
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    return engine.connect()
