"""`make drill`: a zone goes dark under load, comes back, and the books are compared."""

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass

from rich.table import Table

from point_local import application, cluster, data, failover
from point_local.command import LocalError, kubectl, run, wait
from point_local.load import Generator, Load, longest_gap
from point_local.node import Node
from point_local.observe import service_pods
from point_local.progress import console

MODES = ("stop", "cut")
RATE = 30.0
"""Requests a second that are offered; the books can be compared at any rate, the machine has two cores."""
DARK_SECONDS = 25.0
"""How long a zone stays dark, after service is back."""


@dataclass(frozen=True)
class Result:
    """What members saw of one drill, and whether the books are right."""

    zone: str
    mode: str
    without_reads: float
    without_writes: float
    failed: int
    retried: int
    unanswered: int
    promoted: str
    acknowledged: int
    missing: int
    doubled: int
    verified: bool

    @property
    def passed(self) -> bool:
        books = self.missing == self.doubled == 0 and self.verified
        return books and self.without_reads <= 30 and self.without_writes <= 60


def drill(zone: str, mode: str) -> Result:
    """One zone, one mode. Raises LocalError when the zone does not rejoin."""
    if failover.DAEMON.process() is None:
        raise LocalError(
            "the failover controller does not run, so no zone may go dark: `make up` starts it (MySQL only)"
        )
    node = next(n for n in cluster.WORKERS if n.name == f"az-{zone}")
    before = failover.recorded_writer()
    load = Load(RATE)
    ended = threading.Event()
    generator = Generator(load)
    thread = threading.Thread(target=lambda: asyncio.run(generator.run(ended.is_set)))
    thread.start()
    try:
        wait("the load is under way", lambda: len(load.write_times) > RATE, seconds=60)
        start = time.monotonic()
        _go_dark(node, mode)
        dark = time.monotonic()
        wait("writes are served again", lambda: any(t > dark + 5 for t in load.write_times), seconds=180)
        _tell(load, f"zone {zone} is dark ({mode}), service is back", DARK_SECONDS)
        _come_back(node, mode)
        wait(f"zone {zone} has rejoined", lambda: _rejoined(node), seconds=240, every=1)
        _tell(load, f"zone {zone} is back", 5)
        end = time.monotonic()
    finally:
        _come_back(node, mode)  # also when the drill did not get that far
        ended.set()
        thread.join(90)
    after = failover.recorded_writer()
    missing, doubled = _compare(load)
    return Result(
        zone=zone,
        mode=mode,
        without_reads=longest_gap(load.read_times, start, end),
        without_writes=longest_gap(load.write_times, start, end),
        failed=load.failures,
        retried=load.retried(),
        unanswered=load.unanswered(),
        promoted=f"{before} → {after}" if before != after else "-",
        acknowledged=sum(w.status == 201 for w in load.writes),
        missing=missing,
        doubled=doubled,
        verified=_verify(),
    )


def run_all(zones: str, modes: tuple[str, ...]) -> bool:
    """Drill each zone in each mode and print the table; whether all passed."""
    results: list[Result] = []
    for mode in modes:
        for zone in zones:
            console.rule(f"zone {zone}, {mode}", align="left")
            results.append(drill(zone, mode))
    console.print(table(results))
    return all(r.passed for r in results)


def table(results: list[Result]) -> Table:
    """The results as a person reads them."""
    made = Table(title="A zone goes dark", title_justify="left")
    columns = (
        "zone",
        "mode",
        "no reads",
        "no writes",
        "tries failed",
        "writer",
        "writes done",
        "lost",
        "twice",
        "books",
    )
    for column in columns:
        made.add_column(column, no_wrap=True)
    for r in results:
        made.add_row(
            r.zone,
            r.mode,
            f"{r.without_reads:.1f} s",
            f"{r.without_writes:.1f} s",
            str(r.failed),
            r.promoted,
            str(r.acknowledged),
            str(r.missing),
            str(r.doubled),
            "[green]clean[/]" if r.verified else "[red]broken[/]",
        )
    return made


def _go_dark(node: Node, mode: str) -> None:
    if mode == "stop":
        node.stop()
    else:
        run(["ip", "link", "set", f"v-{node.name}", "down"])


def _come_back(node: Node, mode: str) -> None:
    if mode == "stop":
        node.start(cluster.NODES)
    else:
        run(["ip", "link", "set", f"v-{node.name}", "up"])


def _rejoined(node: Node) -> bool:
    """The machine is ready, the writer has both copies behind it, the cache is whole, the service has its pods."""
    condition = '{.status.conditions[?(@.type=="Ready")].status}'
    if kubectl("get", "node", node.name, "-o", f"jsonpath={condition}", check=False) != "True":
        return False
    try:
        return data.whole() and len(service_pods()) >= 2
    except LocalError:
        return False


def _tell(load: Load, what: str, seconds: float) -> None:
    """A line a few seconds with how it goes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(min(5.0, max(deadline - time.monotonic(), 0)))
        recent = sorted(load.latencies[-200:])
        p99 = recent[int(len(recent) * 0.99) - 1] * 1000 if recent else 0.0
        console.print(
            f"  {what}: {len(load.latencies)} answered, {load.failures} failed tries, p99 {p99:.0f} ms",
            highlight=False,
        )


def _compare(load: Load) -> tuple[int, int]:
    """Acknowledged writes that the database lacks, and writes that it has twice."""
    members = {w.member for w in load.writes}
    reasons = _ledger("reason", "point_ledger", "reason IS NOT NULL", members)
    uses = _ledger("used_order_id", "ledger_entry", "used_order_id IS NOT NULL", members)
    cancels = _ledger(
        "order_id, SUM(amount)", "ledger_entry", "kind = 'CANCEL_USE'", members, "GROUP BY order_id"
    )
    cancelled = {line.split("\t")[0]: int(line.split("\t")[1]) for line in cancels}
    earned, used = Counter(reasons), Counter(uses)
    missing = sum(not earned[w.reference] for w in load.acknowledged("earn"))
    missing += sum(not used[w.reference] for w in load.acknowledged("use"))
    missing += sum(cancelled.get(w.reference, 0) < w.amount for w in load.acknowledged("cancel"))
    sent = {w.reference: w.amount for w in load.writes if w.kind == "cancel"}
    doubled = sum(n - 1 for n in (*earned.values(), *used.values()))
    doubled += sum(amount > sent.get(order, 0) for order, amount in cancelled.items())
    return missing, doubled


def _ledger(columns: str, of: str, where: str, members: set[str], more: str = "") -> list[str]:
    """Rows of the writer's database about these members, columns tab-separated."""
    quoted = ",".join(f"'{m}'" for m in members)
    query = f"SELECT {columns} FROM points.{of} WHERE member_id IN ({quoted}) AND {where} {more}"  # noqa: S608
    return [row for row in data.execute(failover.recorded_writer(), query).split("\n") if row]


def _verify() -> bool:
    """The verdict of the service's own check of the whole database."""
    pod = str(service_pods()[0]["metadata"]["name"])
    command = ["point-service", "verify"]
    try:
        kubectl("exec", "-n", application.NAMESPACE, pod, "-c", "app", "--", *command, timeout=300)
    except LocalError as error:
        console.print(f"[red]{error}[/]")
        return False
    return True
