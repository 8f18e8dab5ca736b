"""The client's ledger of acknowledged answers, compared with the database."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from point_local.drill.load import Load, Write
from point_local.drill.observe import service_pods
from point_local.failover import controller
from point_local.programs.command import LocalError, kubectl
from point_local.programs.progress import console
from point_local.stack import application, data

_MEMBERS_A_QUERY = 500


@dataclass(frozen=True)
class Verdict:
    """Whether the books are right."""

    acknowledged: int
    missing: int
    """Acknowledged writes that the database lacks."""
    doubled: int
    """Writes that it has twice."""
    unanswered: int
    """Writes that had no answer when the load ended, which waits for them."""
    verified: bool
    """What `point-service verify` says of every invariant."""

    @property
    def clean(self) -> bool:
        return self.missing == self.doubled == self.unanswered == 0 and self.verified


def compare(load: Load) -> Verdict:
    """Compare what the client was told with what the writer's database has."""
    members = sorted({w.member for w in load.writes})
    earned = Counter(_ledger("reason", "point_ledger", "reason IS NOT NULL", members))
    used = Counter(_ledger("used_order_id", "ledger_entry", "used_order_id IS NOT NULL", members))
    rows = _ledger(
        "order_id, SUM(amount)", "ledger_entry", "kind = 'CANCEL_USE'", members, "GROUP BY order_id"
    )
    cancelled = {order: int(amount) for order, amount in (row.split("\t") for row in rows)}
    done: list[Write] = [w for kind in ("earn", "use", "cancel") for w in load.acknowledged(kind)]

    def there(write: Write) -> bool:
        match write.kind:
            case "earn":
                return write.reference in earned
            case "use":
                return write.reference in used
            case _:
                return cancelled.get(write.reference, 0) >= write.amount

    sent = {w.reference: w.amount for w in load.writes if w.kind == "cancel"}
    return Verdict(
        acknowledged=len(done),
        missing=sum(not there(w) for w in done),
        doubled=sum(n - 1 for n in (*earned.values(), *used.values()))
        + sum(amount > sent.get(order, 0) for order, amount in cancelled.items()),
        unanswered=sum(w.status is None for w in load.writes),
        verified=verify(),
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


def _ledger(columns: str, of: str, where: str, members: list[str], more: str = "") -> list[str]:
    """Rows of the writer's database about these members, columns tab-separated."""
    writer = controller.recorded_writer()
    rows: list[str] = []
    for some in _batches(members):
        quoted = ",".join(f"'{m}'" for m in some)
        query = f"SELECT {columns} FROM points.{of} WHERE member_id IN ({quoted}) AND {where} {more}"  # noqa: S608
        rows += [row for row in data.execute(writer, query, timeout=120).split("\n") if row]
    return rows


def _batches(members: list[str]) -> Iterable[list[str]]:
    return (members[i : i + _MEMBERS_A_QUERY] for i in range(0, len(members), _MEMBERS_A_QUERY))
