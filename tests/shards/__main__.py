"""`make shards`: the service on a real Vitess of two shards, its members' races, and each shard's books after them.

What a shard has is read from its own MySQL. POINT_SHARDS_MEMBERS and POINT_SHARDS_USES make it larger or smaller.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from typing import NamedTuple

from bench.variables import whole
from harness.service import Served
from point_local.alone import serve, servers
from point_local.alone.shards import Vitess, running
from point_local.build import packages, vitess
from point_local.programs.command import LocalError
from rich.console import Console
from rich.table import Table
from shards import books, plans
from shards.trade import Trade, trade

MEMBERS = whole("POINT_SHARDS_MEMBERS", 40)
USES = whole("POINT_SHARDS_USES", 400)
DUE = 5  # grants of a shard that expire
COMMANDS = ("expire", "verify", "liability")

console = Console(width=120)


class Case(NamedTuple):
    """One way to run the service: vtgate's transaction mode, the requests that share a transaction, a lock in Redis."""

    name: str
    prefix: str
    mode: str
    together: int
    lock: bool


CASES = (
    Case("each alone", "a", "SINGLE", 1, True),
    Case("each alone, no lock in Redis", "b", "SINGLE", 1, False),
    Case("shared transactions", "c", "SINGLE", 32, True),
    Case("shared transactions", "d", "MULTI", 32, True),
)


class Pod(Served):
    """A pod that keeps what it logged to itself."""

    said = ""

    def __exit__(self, *_: object) -> None:
        self.said = self.end()[1]
        self._log.close()


class Seen(NamedTuple):
    """What came of a case."""

    case: Case
    trade: Trade
    seconds: float
    logged: Counter[str]


def run(case: Case, there: Vitess, redis: servers.RedisServer) -> Seen:
    """Let members trade through two pods, and read each shard's books after it."""
    database = next(iter(there.shards.values()))
    variables = serve.environment(database, redis) | there.environment(case.mode)
    variables |= {
        "POINT_SHARED_TRANSACTION_REQUESTS": str(case.together),
        "POINT_LOCK_ENABLED": str(case.lock).lower(),
        "POINT_UPKEEP_INTERVAL_SECONDS": "0",
        "POINT_TARGET_LATENCY_SECONDS": "0",  # a busy machine is no reason to refuse
        "POINT_LOG_LEVEL": "WARNING",
    }
    began = time.monotonic()
    with Pod(variables) as one, Pod(variables) as other:
        done = asyncio.run(trade((one.url, other.url), case.prefix, MEMBERS, USES))
    seconds = time.monotonic() - began
    kept = sum(count for (kind, status), count in done.done.items() if kind != "read" and status == 201)
    done.wrong += books.wrong(there.shards, case.prefix, done.left, kept)
    return Seen(case, done, seconds, _logged(one.said + other.said))


def main() -> int:
    """Run everything and print it; return the exit status."""
    packages.ensure(packages.SERVE)
    if not vitess.ready():
        raise LocalError("the programs of Vitess are not built: `point-local vitess` builds them")
    with ExitStack() as stack:
        redis = stack.enter_context(servers.redis())
        console.print("starting three MySQL, etcd, three vttablet and two vtgate ...")
        there = stack.enter_context(running(sorted({case.mode for case in CASES})))
        first = next(iter(there.shards.values()))
        asked = plans.plans(there.gates["SINGLE"], first)
        seen: list[Seen] = []
        for case in CASES:
            console.print(f"{case.name}, --transaction-mode {case.mode} ...")
            before = plans.failed(there.gates[case.mode])
            seen.append(run(case, there, redis))
            _print_failed(there, case.mode, case.name, before)
        _print_trade(seen)
        _print_shards(there, seen)
        _print_plans(asked)
        before = plans.failed(there.gates["SINGLE"])
        _run_commands(there)
        _print_failed(there, "SINGLE", ", ".join(COMMANDS), before)
        wrong = [f"{one.case.name}, {one.case.mode}: {what}" for one in seen for what in one.trade.wrong]
        for what in wrong:
            console.print(f"[red]wrong:[/] {what}", highlight=False)
        for name, server in there.shards.items():
            console.print(f"verify of shard {name}, by itself: {books.verify(server)}", highlight=False)
    return 1 if wrong else 0


def _print_trade(seen: list[Seen]) -> None:
    kinds = ("earn", "use", "cancel use", "cancel earn", "read")
    table = Table("", "mode", *kinds, "refused", "again", "500", "left", "s", title_justify="left")
    table.title = (
        f"{MEMBERS} members and some with a hot spot; each key sent to two pods at once, counted once"
    )
    for case, done, seconds, _ in seen:
        counts = [str(sum(n for (k, s), n in done.done.items() if k == kind and s < 300)) for kind in kinds]
        refused = sum(n for (_, status), n in done.done.items() if status >= 400)
        rest = (refused, done.again, done.failed, sum(done.left.values()), round(seconds))
        table.add_row(case.name, case.mode, *counts, *map(str, rest))
    console.print(table)
    for case, _, _, logged in seen:
        for what, count in logged.most_common(5):
            console.print(f"{case.name}, {case.mode}: logged {count} times: {what}", highlight=False)


def _print_shards(there: Vitess, seen: list[Seen]) -> None:
    table = Table("", "mode", "shard", "members", "points", "grants", "entries", "requests done")
    for case, *_ in seen:
        for name, server in there.shards.items():
            shard = books.read(server, case.prefix)
            points = sum(shard.balances.values())
            counts = (len(shard.balances), points, shard.grants, shard.entries, shard.done)
            table.add_row(case.name, case.mode, name, *map(str, counts))
    console.print(table)


def _print_plans(asked: list[plans.Plan]) -> None:
    table = Table("where a statement goes", "of them")
    for goes, count in Counter(plan.goes for plan in asked).most_common():
        table.add_row(goes, str(count))
    console.print(table)
    table = Table("statement", "what vtgate says")
    for plan in asked:
        if plan.refused:
            table.add_row(plan.name, plan.refused)
    console.print(table)
    to_all = [plan.name for plan in asked if "every shard" in plan.goes]
    console.print(f"to every shard: {', '.join(to_all)}", highlight=False)


def _run_commands(there: Vitess) -> None:
    """Run what goes to every shard on purpose, through vtgate, once some grants are due."""
    for server in there.shards.values():
        server.rows(
            "UPDATE point_ledger SET expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND"
            " WHERE live = 1 AND member_id LIKE 'a-%%' ORDER BY grant_id LIMIT %s",
            DUE,
        )
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "point_service", command],
            env={**os.environ, **there.environment("SINGLE")},
            capture_output=True,
            text=True,
            timeout=600,
        )
        console.print(f"point-service {command} through vtgate: exit status {done.returncode}")
    expired = "SELECT COUNT(*) FROM ledger_entry WHERE kind = 'EXPIRE'"
    counts = [f"{server.rows(expired)[0][0]} in {name}" for name, server in there.shards.items()]
    console.print(f"of {DUE} grants due in each shard expired: {', '.join(counts)}", highlight=False)


def _print_failed(there: Vitess, mode: str, what: str, before: Counter[tuple[str, str]]) -> None:
    table = Table("times", "statement", "what vtgate said", title=f"failed at vtgate ({mode}): {what}")
    for (statement, said), count in (plans.failed(there.gates[mode]) - before).most_common(12):
        table.add_row(str(count), statement, said)
    console.print(table)


def _logged(said: str) -> Counter[str]:
    """Count what pods logged, by its words."""
    counts: Counter[str] = Counter()
    for line in said.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        counts[" ".join(str(record[name]) for name in ("message", "fault", "error") if name in record)] += 1
    return counts


def _stop(number: int, frame: object) -> None:
    del frame
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.exit(main())
    except LocalError as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
