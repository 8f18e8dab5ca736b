"""Each shard's books, read from its MySQL and not through Vitess."""

from collections.abc import Mapping
from typing import NamedTuple

from harness.service import INVARIANTS, Served
from point_local.alone import serve
from point_local.alone.vitess import Mysql

BALANCES = "SELECT member_id, balance FROM member_point WHERE member_id LIKE %s"
ROWS = "SELECT COUNT(*) FROM {} WHERE member_id LIKE %s"
IDS = {
    "point_ledger": "SELECT grant_id FROM point_ledger",
    "ledger_entry": "SELECT entry_id FROM ledger_entry",
}
DONE = "SELECT COUNT(*) FROM stored_answer WHERE status = 201 AND member_id LIKE %s"


class Shard(NamedTuple):
    """What a shard has of the members whose ids begin alike."""

    balances: Mapping[str, int]
    grants: int
    entries: int
    done: int  # requests, by the answers that are kept


def read(server: Mysql, prefix: str) -> Shard:
    """Read a shard."""
    like = f"{prefix}-%"
    counts = [server.rows(ROWS.format(table), like)[0][0] for table in ("point_ledger", "ledger_entry")]
    return Shard(dict(server.rows(BALANCES, like)), *counts, server.rows(DONE, like)[0][0])  # pyright: ignore


def wrong(shards: Mapping[str, Mysql], prefix: str, left: Mapping[str, int], done: int) -> list[str]:
    """Say what of the books is not as the answers were: balances, requests done, members and ids of two shards."""
    found = [
        f"{name}: {what}: {rows[:3]}"
        for name, server in shards.items()
        for what, question in INVARIANTS.items()
        if (rows := server.rows(question))
    ]
    read_of = {name: read(server, prefix) for name, server in shards.items()}
    balances = [pair for shard in read_of.values() for pair in shard.balances.items()]
    if len(dict(balances)) != len(balances):
        found.append("a member is in two shards")
    if dict(balances) != {member: left[member] for member in left}:
        found.append("balances are not what the answers come to")
    if sum(shard.done for shard in read_of.values()) != done:
        found.append("kept answers are not those that were given")
    for table, question in IDS.items():
        ids = [row[0] for server in shards.values() for row in server.rows(question)]
        if len(set(ids)) != len(ids):
            found.append(f"an id of {table} is given twice")
    return found


def verify(server: Mysql) -> str:
    """Run `point-service verify` on a shard by itself; return what it says. Fails unless the books are right."""
    return Served(serve.environment(server, None)).verify()
