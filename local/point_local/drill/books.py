"""The client's ledger of acknowledged answers, compared with the database."""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from point_local.drill.load import Load, Write
from point_local.drill.observe import service_pods
from point_local.failover import controller
from point_local.programs.command import LocalError, kubectl
from point_local.programs.progress import console
from point_local.stack import application, sessions

_MEMBERS_A_QUERY = 500


@dataclass(frozen=True)
class Count:
    """Acknowledged writes, looked for in the database."""

    acknowledged: int
    missing: int
    """Those that the database lacks."""
    doubled: int
    """Writes that it has twice."""


@dataclass(frozen=True)
class Verdict(Count):
    """Whether the books are right."""

    unanswered: int
    """Writes that had no answer when the load ended, which waits for them."""
    verified: bool
    """What `point-service verify` says of every invariant."""

    @property
    def clean(self) -> bool:
        return self.missing == self.doubled == self.unanswered == 0 and self.verified


def compare(load: Load, sent: int | None = None) -> Verdict:
    """Compare what the client was told with what the writer's database has, when all is whole.

    The first `sent` writes, if given, are those that have to be answered; else all.
    """
    unanswered = sum(w.status is None for w in load.writes[:sent])
    found = count(load)
    return Verdict(found.acknowledged, found.missing, found.doubled, unanswered, verify())


def count(load: Load) -> Count:
    """Look every acknowledged write up in the writer's database, also while the load runs.

    Raises LocalError when nobody accepts writes just now: a copy that is becoming the writer may have yet to execute
    what it has received.
    """
    done = [w for kind in ("earn", "use", "cancel") for w in load.acknowledged(kind)]
    members = sorted({w.member for w in load.writes})
    writer = _session(controller.recorded_writer())
    if writer.value("SELECT @@GLOBAL.read_only"):
        raise LocalError(f"{writer.name} accepts no writes yet")
    earned = Counter(_ledger(writer, "reason", "point_ledger", "reason IS NOT NULL", members))
    used = Counter(_ledger(writer, "used_order_id", "ledger_entry", "used_order_id IS NOT NULL", members))
    cancelled = _ledger(
        writer, "order_id, SUM(amount)", "ledger_entry", "kind = 'CANCEL_USE'", members, "GROUP BY order_id"
    )
    return reckon(
        done,
        load.writes,
        {str(reason): times for (reason,), times in earned.items()},
        {str(order): times for (order,), times in used.items()},
        {str(order): int(str(amount)) for order, amount in cancelled},
    )


def reckon(
    done: Sequence[Write],
    sent: Sequence[Write],
    earned: Mapping[str, int],
    used: Mapping[str, int],
    cancelled: Mapping[str, int],
) -> Count:
    """What is missing or there twice. Pure.

    `done` was acknowledged before the database was read, `sent` holds all that was sent until then. `earned` and `used`
    say how often a reference is there, `cancelled` how many points of an order were given back.
    """

    def there(write: Write) -> bool:
        match write.kind:
            case "earn":
                return write.reference in earned
            case "use":
                return write.reference in used
            case _:
                return cancelled.get(write.reference, 0) >= write.amount

    amounts = {w.reference: w.amount for w in sent if w.kind == "cancel"}
    return Count(
        acknowledged=len(done),
        missing=sum(not there(w) for w in done),
        doubled=sum(n - 1 for n in (*earned.values(), *used.values()))
        + sum(amount > amounts.get(order, 0) for order, amount in cancelled.items()),
    )


def verify() -> bool:
    """The verdict of the service's own check of the whole database; what it finds is printed."""
    pod = str(service_pods()[0]["metadata"]["name"])
    command = ["point-service", "verify", "--writer"]  # as what it is compared with
    try:
        kubectl("exec", "-n", application.NAMESPACE, pod, "-c", "app", "--", *command, timeout=300)
    except LocalError as error:
        console.print(f"[red]{error}[/]")
        return False
    return True


@functools.cache
def _session(zone: str) -> sessions.MySql:
    """A session of our own: what a zone that is cut off doesn't answer holds nobody else up."""
    return sessions.MySql(zone, None, "points-db", "points")


def _ledger(
    writer: sessions.MySql, columns: str, of: str, where: str, members: list[str], more: str = ""
) -> list[tuple[object, ...]]:
    """Rows of the writer's database about these members."""
    rows: list[tuple[object, ...]] = []
    for some in _batches(members):
        quoted = ",".join(f"'{m}'" for m in some)
        query = f"SELECT {columns} FROM points.{of} WHERE member_id IN ({quoted}) AND {where} {more}"  # noqa: S608
        rows += writer.run(query, timeout=20)
    return rows


def _batches(members: list[str]) -> Iterable[list[str]]:
    return (members[i : i + _MEMBERS_A_QUERY] for i in range(0, len(members), _MEMBERS_A_QUERY))
