"""What changes in a transaction: members' balances, grants, entries and answers, checked against each other."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from asyncmy.connection import Connection
from asyncmy.errors import MySQLError

from point_service.contract.idempotency import Key, StoredAnswer
from point_service.domain.entries import Entry
from point_service.domain.grants import NewGrant
from point_service.domain.snapshot import Snapshot
from point_service.mysql.store.execution import naive, run

ADD_GRANT = (
    "INSERT INTO point_ledger"
    " (member_id, kind, amount, remaining, expires_at, source_grant_id, reason, created_at)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)
# The next three check each other on the server, so that they and the commit may travel in one round trip: balances
# that did not all move leave the grants alone, and grants that did not all move make `position` null, which the
# table refuses. The members' locks make that impossible; this is what holds if it ever were not.
MOVE_BALANCES = (
    "UPDATE member_point SET balance = balance + CASE member_id{cases} ELSE 0 END, version = version + 1,"
    " updated_at = %s WHERE member_id IN ({places}) AND version = CASE member_id{cases} END"
)
MOVE_GRANTS = (
    "UPDATE point_ledger SET remaining = remaining + CASE grant_id{cases} ELSE 0 END"
    " WHERE grant_id IN ({places}) AND ROW_COUNT() = %s ORDER BY grant_id"
)
ADD_ENTRIES = (
    "INSERT INTO ledger_entry"
    " (member_id, grant_id, kind, amount, order_id, position, reversed_entry_id, created_at) VALUES "
)
FIRST_ENTRY_VALUES = "(%s, %s, %s, %s, %s, IF(ROW_COUNT() = %s, %s, NULL), %s, %s)"
ENTRY_VALUES = "(%s, %s, %s, %s, %s, %s, %s, %s)"
NULL_REFUSED = 1048
ADD_ANSWERS = (
    "INSERT INTO idempotency"
    " (member_id, caller, idempotency_key, request_hash, status, body, created_at) VALUES "
)
ANSWER_VALUES = "(%s, %s, %s, UNHEX(%s), %s, %s, %s)"


class Change(msgspec.Struct, frozen=True):
    """What is written for one member.

    `moves` change grants that exist; `new_entries` belong to grants just added, which already hold their points.
    """

    snapshot: Snapshot
    moves: Sequence[Entry]
    new_entries: Sequence[Entry] = ()
    answer: tuple[Key, StoredAnswer] | None = None

    @property
    def entries(self) -> Sequence[Entry]:
        """Every entry to write."""
        return [*self.moves, *self.new_entries]


class StaleVersionError(Exception):
    """A row under the member's lock was not as it was read: the lock did not hold."""


async def add_grants(connection: Connection, grants: Sequence[tuple[Snapshot, NewGrant]]) -> list[int]:
    """Insert grants for their members and return their ids, in order. One round trip."""
    parameters: list[Any] = []
    for snapshot, grant in grants:
        parameters += [snapshot.member_id, grant.kind, grant.amount, grant.amount, naive(grant.expires_at)]
        parameters += [grant.source_grant_id, grant.reason, naive(snapshot.now)]
    results = await run(connection, [ADD_GRANT] * len(grants), parameters)
    return [result.last_id for result in results]


async def commit(connection: Connection, changes: Sequence[Change]) -> None:
    """Write changes of different members and commit. One round trip.

    Raises StaleVersionError, with nothing committed, when a row was not as its snapshot says.
    """
    batch = [*_entries(changes), *_answers(changes)]
    statements = [*(statement for statement, _ in batch), "COMMIT"]
    try:
        await run(connection, statements, [value for _, values in batch for value in values])
    except MySQLError as error:
        if error.args and error.args[0] == NULL_REFUSED:
            raise StaleVersionError("a row changed under its member's lock") from error
        raise


def _entries(changes: Sequence[Change]) -> list[tuple[str, Sequence[Any]]]:
    """Return the statements that write entries and what they change."""
    moving = [change for change in changes if change.entries]
    if not moving:
        return []
    now = naive(moving[0].snapshot.now)
    members = [change.snapshot.member_id for change in moving]
    by_balance = {
        change.snapshot.member_id: sum(entry.amount for entry in change.entries) for change in moving
    }
    by_version = {change.snapshot.member_id: change.snapshot.version for change in moving}
    by_grant = _by_grant(moving)
    statements: list[tuple[str, Sequence[Any]]] = [
        (
            MOVE_BALANCES.format(cases=_cases(members), places=_places(members)),
            [*_pairs(by_balance), now, *members, *_pairs(by_version)],
        )
    ]
    moved = len(members)
    if by_grant:
        statements.append(
            (
                MOVE_GRANTS.format(cases=_cases(by_grant), places=_places(by_grant)),
                [*_pairs(by_grant), *by_grant, moved],
            )
        )
        moved = len(by_grant)
    rows: list[str] = []
    values: list[Any] = []
    for change in moving:
        for entry in change.entries:
            values += [change.snapshot.member_id, entry.grant_id, entry.kind, entry.amount, entry.order_id]
            values += [] if rows else [moved]
            values += [entry.position, entry.reversed_entry_id, now]
            rows.append(ENTRY_VALUES if rows else FIRST_ENTRY_VALUES)
    statements.append((ADD_ENTRIES + ", ".join(rows), values))
    return statements


def _answers(changes: Sequence[Change]) -> list[tuple[str, Sequence[Any]]]:
    """Return the statement that writes the answers, if there are any."""
    values: list[Any] = []
    rows = 0
    for change in changes:
        if change.answer is not None:
            key, stored = change.answer
            rows += 1
            values += [key.member_id, key.caller, key.value, key.request_hash, stored.status, stored.body]
            values.append(naive(change.snapshot.now))
    return [(ADD_ANSWERS + ", ".join([ANSWER_VALUES] * rows), values)] if rows else []


def _by_grant(changes: Sequence[Change]) -> dict[int, int]:
    """Return by how much each grant moves, in the order of their ids."""
    moves: dict[int, int] = {}
    for change in changes:
        for entry in change.moves:
            moves[entry.grant_id] = moves.get(entry.grant_id, 0) + entry.amount
    return dict(sorted(moves.items()))


def _cases(keys: Collection[Any]) -> str:
    return " WHEN %s THEN %s" * len(keys)


def _places(keys: Collection[Any]) -> str:
    return ", ".join(["%s"] * len(keys))


def _pairs(values: Mapping[Any, int]) -> list[Any]:
    return [value for pair in values.items() for value in pair]
