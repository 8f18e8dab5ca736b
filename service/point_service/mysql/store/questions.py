"""What is read of members under their locks: each question one statement for all the members that need it.

A member may have any number of grants, so none is read that a decision doesn't need: live ones in the order in which
they are spent, until they hold enough, and of those that are due the first ones. What a question gives is bounded, for
all its members together or for each; `member.py` reads the rest where there is more.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from point_service.contract.idempotency import Key, Movement, StoredAnswer
from point_service.domain.grants import Grant, GrantKind
from point_service.domain.orders import OrderPart, OrderUse
from point_service.domain.snapshot import Reads, Snapshot
from point_service.mysql.store.execution import SILENT_IN_TRANSACTION, utc

GRANTS_AT_FIRST = 50  # of a member, to be spent; nearly every use needs fewer
DUE_AT_ONCE = 200  # grants of a member that one operation expires; `upkeep` expires the others
EVERY_ROW = 2**32

# One moment for every statement of a transaction, taken after the locks were waited for. From then on silence is short.
TAKE_MOMENT = f"SET @moment = UTC_TIMESTAMP(6), SESSION wait_timeout = {SILENT_IN_TRANSACTION}"
MOMENT = "CAST(@moment AS DATETIME(6))"
GRANTS = "SELECT member_id, grant_id, kind, amount, remaining, expires_at FROM point_ledger"
# The index has the order in which points are spent: the kinds are spent in the order of their names.
SPENDING = f"{GRANTS} FORCE INDEX (point_ledger_spending) WHERE member_id = %s AND live = 1"
SPENDING_ORDER = "ORDER BY kind, expires_at, grant_id LIMIT %s"
FIRST_GRANTS = f"({SPENDING} AND kind IN ('MANUAL', 'NORMAL') AND expires_at > {MOMENT} {SPENDING_ORDER})"
NEXT_GRANTS = (  # after the kind, expiry (twice) and id of the last one; the kind again
    f"{SPENDING} AND ((kind = %s AND (expires_at > %s OR (expires_at = %s AND grant_id > %s)))"
    f" OR (%s = 'MANUAL' AND kind = 'NORMAL' AND expires_at > {MOMENT})) {SPENDING_ORDER}"
)
DUE = f"FORCE INDEX (point_ledger_member_due) WHERE live = 1 AND expires_at <= {MOMENT}"
DUE_GRANTS = f"{GRANTS} {DUE} AND ({{}}) ORDER BY member_id, expires_at LIMIT %s"
DUE_POINTS = f"SELECT SUM(remaining) FROM point_ledger {DUE} AND member_id = %s"  # noqa: S608 - constants
ORDERS_USED = (
    "SELECT u.member_id, -SUM(u.amount), MIN(u.created_at) FROM ledger_entry u FORCE INDEX (ledger_entry_order)"
    " WHERE u.kind = 'USE' AND ({}) GROUP BY u.member_id"
)
# Some of what an order took may be there, and the rest not yet.
ORDERS_ARCHIVED = ORDERS_USED.replace("ledger_entry", "archived_entry")
# However often points of an order were given back, it has a row for each grant that it took from. Few entries reverse
# another: the optimizer, which counts all the others as one value, would rather read the whole table.
ORDER_PARTS = (
    "SELECT u.member_id, u.entry_id, u.grant_id, g.kind, g.expires_at, -u.amount,"
    " (SELECT SUM(c.amount) FROM ledger_entry c FORCE INDEX (ledger_entry_reversed)"
    "  WHERE c.reversed_entry_id = u.entry_id AND c.member_id = u.member_id), u.created_at"
    " FROM ledger_entry u FORCE INDEX (ledger_entry_order)"
    " STRAIGHT_JOIN point_ledger g ON g.member_id = u.member_id AND g.grant_id = u.grant_id"
    " WHERE u.kind = 'USE' AND ({}) ORDER BY u.member_id, u.order_id, u.entry_id LIMIT %s"
)
# What gave of an archived use back is archived with it.
ARCHIVED_PARTS = (
    "SELECT u.member_id, u.entry_id, u.grant_id, g.kind, g.expires_at, -u.amount,"
    " (SELECT SUM(c.amount) FROM archived_entry c FORCE INDEX (archived_entry_order)"
    "  WHERE c.member_id = u.member_id AND c.order_id = u.order_id AND c.reversed_entry_id = u.entry_id), u.created_at"
    " FROM archived_entry u FORCE INDEX (archived_entry_order)"
    " STRAIGHT_JOIN archived_grant g ON g.member_id = u.member_id AND g.grant_id = u.grant_id"
    " WHERE u.kind = 'USE' AND ({})"
)
ONE_GRANT = (
    "SELECT g.member_id, g.grant_id, g.kind, g.amount, g.remaining, g.expires_at,"
    " (SELECT MIN(e.entry_id) FROM ledger_entry e WHERE e.member_id = g.member_id AND e.grant_id = g.grant_id)"
    " FROM point_ledger g WHERE {}"
)

# A source has its own row after the one of those without a client, which counts for the very same request alone.
MOVED = (
    "SELECT member_id, operation, amount, created_at, LOWER(HEX(request_hash)), status, body"
    " FROM movement_reference FORCE INDEX (PRIMARY) WHERE {} ORDER BY member_id, source"
)
OF_REFERENCE = (
    "(member_id = %s AND reference = %s AND (source = %s OR (source = %s AND request_hash = UNHEX(%s))))"
)


class Wanted(msgspec.Struct, frozen=True):
    """A member to lock, and what to read of it: the answer given under `key`, what its reference moved,
    and what `reads` says."""

    member_id: str
    key: Key | None = None
    reads: Reads = Reads()

    @property
    def grants_at_first(self) -> int:
        """The most live grants that are read at first: a grant holds a point at least."""
        return min(self.reads.points, GRANTS_AT_FIRST)


class Question(msgspec.Struct, frozen=True):
    """One statement for all the members that need it; its rows begin with the member's id."""

    statement: str  # {} stands for the members' conditions
    condition: str  # one member's
    values: Callable[[Wanted], Sequence[Any]]  # of the condition; none: this member doesn't need it
    keep: Callable[[Snapshot, Sequence[Any]], None]  # puts the rest of a row into the member's snapshot
    between: str = " OR "
    alone: int = (
        0  # the most rows of one member alone; 0: it gives few. If not, rows come by member, in their order
    )

    def ask(self, values: Sequence[Sequence[Any]], rows: int) -> tuple[str, Sequence[Any]]:
        """Return the statement that asks for members with these values, and its parameters."""
        statement = self.statement.format(self.between.join([self.condition] * len(values)))
        parameters = [value for each in values for value in each]
        return statement, [*parameters, rows] if self.alone else parameters


def grant_of(row: Sequence[Any]) -> Grant:
    """Return a grant from its id, kind, amount, what remains, and expiry."""
    return Grant(row[0], GrantKind(row[1]), row[2], row[3], utc(row[4]))


def order_part(row: Sequence[Any]) -> OrderPart:
    """Return a part from its entry, its grant's id, kind and expiry, its amount, what was given back, and moment."""
    entry_id, grant_id, kind, expires_at, amount, given_back, at = row
    return OrderPart(
        entry_id, grant_id, GrantKind(kind), utc(expires_at), amount, int(given_back or 0), utc(at)
    )


def _grant(snapshot: Snapshot, row: Sequence[Any]) -> None:
    snapshot.grants.append(grant_of(row))


def _due(snapshot: Snapshot, row: Sequence[Any]) -> None:
    snapshot.due.append(grant_of(row))


def _order_used(snapshot: Snapshot, row: Sequence[Any]) -> None:
    before = snapshot.order_used.amount if snapshot.order_used is not None else 0
    snapshot.order_used = OrderUse(before + int(row[0]), utc(row[1]))  # both parts were taken at one moment


def _order_archived(snapshot: Snapshot, _: Sequence[Any]) -> None:
    snapshot.order_archived = True


def _order_part(snapshot: Snapshot, row: Sequence[Any]) -> None:
    snapshot.order_parts.append(order_part(row))


def _one_grant(snapshot: Snapshot, row: Sequence[Any]) -> None:
    snapshot.grant, snapshot.first_entry = grant_of(row), row[5]


def _moved(snapshot: Snapshot, row: Sequence[Any]) -> None:
    operation, amount, at, *answer = row
    snapshot.moved = Movement(operation, amount, utc(at), StoredAnswer(*answer))


def _of_reference(one: Wanted) -> Sequence[Any]:
    key = one.key
    if key is None or key.reference is None:
        return ()
    return one.member_id, key.reference, *key.sources, key.request_hash


def _of_order(one: Wanted) -> Sequence[Any]:
    return (one.member_id, one.reads.order) if one.reads.order is not None else ()


def _of_used_order(one: Wanted) -> Sequence[Any]:
    return (one.member_id, one.reads.used_order) if one.reads.used_order is not None else ()


ONE_ORDER = "(u.member_id = %s AND u.order_id = %s)"

QUESTIONS = (
    Question(
        "{}",
        FIRST_GRANTS,
        lambda one: (one.member_id, one.grants_at_first) if one.reads.points else (),
        _grant,
        between=" UNION ALL ",
    ),
    Question(DUE_GRANTS, "member_id = %s", lambda one: (one.member_id,), _due, alone=DUE_AT_ONCE),
    Question(ORDERS_USED, ONE_ORDER, _of_used_order, _order_used),
    Question(ORDERS_ARCHIVED, ONE_ORDER, _of_used_order, _order_used),
    Question(ORDER_PARTS, ONE_ORDER, _of_order, _order_part, alone=EVERY_ROW),
    Question(ORDERS_ARCHIVED, ONE_ORDER, _of_order, _order_archived),
    Question(
        ONE_GRANT,
        "(g.member_id = %s AND g.grant_id = %s)",
        lambda one: (one.member_id, one.reads.grant) if one.reads.grant is not None else (),
        _one_grant,
    ),
    Question(MOVED, OF_REFERENCE, _of_reference, _moved),
)
