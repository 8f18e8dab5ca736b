"""Many rows at once, as if earned and used: every invariant of the ledger holds."""

from collections.abc import Generator
from contextlib import contextmanager

import pymysql
from point_local.alone import servers

GRANTS = 2  # a member's, each with its EARN entry
GRANTED = 1_000_000
MEMBERS_AT_ONCE = 20_000

NUMBERS = (
    "WITH RECURSIVE n AS (SELECT {first} AS i UNION ALL SELECT i + 1 FROM n WHERE i < {last}),"
    " k AS (SELECT 1 AS j UNION ALL SELECT j + 1 FROM k WHERE j < {times})"
)
STATEMENTS = (
    "INSERT INTO member_point (member_id, balance, version, created_at, updated_at) {numbers}"
    " SELECT CONCAT('{prefix}-', i), 2 * {granted} - {uses}, 1, {at}, {at} FROM n",
    "INSERT INTO point_ledger (grant_id, member_id, kind, amount, remaining, expires_at, created_at) {numbers}"
    " SELECT 2 * i - 2 + j, CONCAT('{prefix}-', i), 'NORMAL', {granted}, {granted} - IF(j = 1, {uses}, 0),"
    " {at} + INTERVAL 360 + j DAY, {at} FROM n, k",
    "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, position, created_at) {numbers}"
    " SELECT CONCAT('{prefix}-', i), 2 * i - 2 + j, 'EARN', {granted}, 0, {at} FROM n, k ORDER BY i, j",
    "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, order_id, position, created_at) {numbers}"
    " SELECT CONCAT('{prefix}-', i), 2 * i - 1, 'USE', -1, CONCAT('o-', j), 0, {at} FROM n, k ORDER BY i, j",
)

# A thousand times a thousand of them, whatever the server's bound on recursion is.
A_MILLION = (
    "WITH RECURSIVE d AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM d WHERE n < 999),"
    " n AS (SELECT 1000 * a.n + b.n AS i FROM d a, d b WHERE a.n <= %(count)s DIV 1000)"
)
MANY_GRANTS = (
    "INSERT INTO member_point (member_id, balance, version, created_at, updated_at)"
    " VALUES (%(member)s, 0, 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE version = version",
    "INSERT INTO point_ledger (member_id, kind, amount, remaining, expires_at, created_at)"
    f" {A_MILLION} SELECT %(member)s, IF(MOD(i, 3), 'NORMAL', 'MANUAL'), %(amount)s, %(amount)s,"
    " UTC_TIMESTAMP(6) + INTERVAL %(days)s DAY + INTERVAL MOD(i, 7) HOUR, UTC_TIMESTAMP(6) - INTERVAL 90 DAY"
    " FROM n WHERE i < %(count)s",
    "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, position, created_at)"
    " SELECT member_id, grant_id, 'EARN', amount, 0, created_at FROM point_ledger g WHERE member_id = %(member)s"
    " AND grant_id NOT IN (SELECT grant_id FROM ledger_entry WHERE member_id = %(member)s)",
    "UPDATE member_point SET balance = (SELECT SUM(remaining) FROM point_ledger WHERE member_id = %(member)s)"
    " WHERE member_id = %(member)s",
)
# Members d-0, d-1, ..., each with a grant that is due and one that is not.
DUE_MEMBERS = (
    "INSERT INTO member_point (member_id, balance, version, created_at, updated_at)"
    f" {A_MILLION} SELECT CONCAT('d-', i), 15, 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) FROM n WHERE i < %(count)s",
    *(
        "INSERT INTO point_ledger (member_id, kind, amount, remaining, expires_at, created_at)"
        f" {A_MILLION} SELECT CONCAT('d-', i), 'NORMAL', {amount}, {amount}, UTC_TIMESTAMP(6) + INTERVAL {days} DAY"
        " + INTERVAL MOD(i, 7) HOUR, UTC_TIMESTAMP(6) - INTERVAL 90 DAY FROM n WHERE i < %(count)s"
        for amount, days in ((10, -1), (5, 60))
    ),
    "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, position, created_at)"
    " SELECT member_id, grant_id, 'EARN', amount, 0, created_at FROM point_ledger WHERE member_id LIKE 'd-%%'",
)


def load(server: servers.DatabaseServer, schema: str, rows: int, uses: int, prefix: str = "b") -> int:
    """Fill an empty schema with about `rows` ledger entries, `uses` of each member's for orders.

    Return how many members, b-1, b-2, ... (or of another prefix), have them.
    """
    members = rows // (GRANTS + uses)
    with _connection(server, schema) as connection, connection.cursor() as cursor:
        # What the checks would check is right by construction, and verified at the end of the bench.
        cursor.execute(
            "SET SESSION foreign_key_checks = 0, unique_checks = 0, sql_log_bin = 0, time_zone = '+00:00',"
            f" cte_max_recursion_depth = {MEMBERS_AT_ONCE + 1}"
        )
        for first in range(1, members + 1, MEMBERS_AT_ONCE):
            last = min(first + MEMBERS_AT_ONCE - 1, members)
            for statement, times in zip(STATEMENTS, (1, GRANTS, GRANTS, uses), strict=True):
                if times == 0:
                    continue
                numbers = NUMBERS.format(first=first, last=last, times=times)
                cursor.execute(
                    statement.format(
                        numbers=numbers,
                        prefix=prefix,
                        granted=GRANTED,
                        uses=uses,
                        at="UTC_TIMESTAMP(6) - INTERVAL 1 DAY",
                    )
                )
            connection.commit()
    return members


def grants(server: servers.DatabaseServer, schema: str, member: str, count: int, *, days: int = 60) -> None:
    """Give a member that many grants of 1000 points each, which expire in `days` days."""
    with _connection(server, schema) as connection, connection.cursor() as cursor:
        for statement in MANY_GRANTS:
            cursor.execute(statement, {"member": member, "count": count, "amount": 1_000, "days": days})
        connection.commit()


def due_members(server: servers.DatabaseServer, schema: str, count: int) -> None:
    """Make members, a million at the most, of whom each has a grant of 10 points that is due."""
    with _connection(server, schema) as connection, connection.cursor() as cursor:
        for statement in DUE_MEMBERS:
            cursor.execute(statement, {"count": count})
            connection.commit()


def due(server: servers.DatabaseServer, schema: str) -> int:
    """Return how many grants are due to expire."""
    with _connection(server, schema) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM point_ledger WHERE live = 1 AND expires_at <= UTC_TIMESTAMP(6)")
        [(count,)] = cursor.fetchall()
        return count


def expired(server: servers.DatabaseServer, schema: str) -> tuple[int, int, float]:
    """Return how many grants expired, in how many transactions, in how many seconds from the first to the last."""
    with _connection(server, schema) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*), COUNT(DISTINCT created_at),"
            " TIMESTAMPDIFF(MICROSECOND, MIN(created_at), MAX(created_at)) / 1e6"
            " FROM ledger_entry WHERE kind = 'EXPIRE'"
        )
        [(grants, transactions, seconds)] = cursor.fetchall()
        return grants, transactions, float(seconds)


def rollbacks(server: servers.DatabaseServer) -> int:
    """Return how many transactions the server was told to roll back so far."""
    with _connection(server, "mysql") as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Com_rollback'")
        [(_, count)] = cursor.fetchall()
        return int(count)


def drop(server: servers.DatabaseServer, schema: str) -> None:
    """Drop a schema."""
    with _connection(server, schema) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {schema}")


@contextmanager
def _connection(server: servers.DatabaseServer, schema: str) -> Generator[pymysql.connections.Connection]:
    with pymysql.connect(
        host=servers.HOST,
        port=server.port,
        user="master",
        password=(server.master / "password").read_text(),
        database=schema,
        ssl_ca=str(server.ca_file),
    ) as connection:
        yield connection
