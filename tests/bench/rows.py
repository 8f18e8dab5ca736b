"""Many rows at once, as if earned and used: every invariant of the ledger holds."""

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
    "INSERT INTO member_point {numbers} SELECT CONCAT('b-', i), 2 * {granted} - {uses}, 1, {at}, {at} FROM n",
    "INSERT INTO point_ledger (grant_id, member_id, kind, amount, remaining, expires_at, created_at) {numbers}"
    " SELECT 2 * i - 2 + j, CONCAT('b-', i), 'NORMAL', {granted}, {granted} - IF(j = 1, {uses}, 0),"
    " {at} + INTERVAL 360 + j DAY, {at} FROM n, k",
    "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, position, created_at) {numbers}"
    " SELECT CONCAT('b-', i), 2 * i - 2 + j, 'EARN', {granted}, 0, {at} FROM n, k ORDER BY i, j",
    "INSERT INTO ledger_entry (member_id, grant_id, kind, amount, order_id, position, created_at) {numbers}"
    " SELECT CONCAT('b-', i), 2 * i - 1, 'USE', -1, CONCAT('o-', j), 0, {at} FROM n, k ORDER BY i, j",
)


def load(server: servers.DatabaseServer, schema: str, rows: int, uses: int) -> int:
    """Fill an empty schema with about `rows` ledger entries, `uses` of each member's for orders.

    Return how many members, b-1, b-2, ..., have them.
    """
    members = rows // (GRANTS + uses)
    with (
        pymysql.connect(
            host=servers.HOST,
            port=server.port,
            user="master",
            password=(server.master / "password").read_text(),
            database=schema,
            ssl_ca=str(server.ca_file),
        ) as connection,
        connection.cursor() as cursor,
    ):
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
                        numbers=numbers, granted=GRANTED, uses=uses, at="UTC_TIMESTAMP(6) - INTERVAL 1 DAY"
                    )
                )
            connection.commit()
    return members
