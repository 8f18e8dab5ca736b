"""What changes in a transaction: members' balances, grants, entries and answers, checked against each other."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from asyncmy.connection import Connection
from asyncmy.errors import MySQLError

from point_service.contract.idempotency import Key, Movement, StoredAnswer
from point_service.domain.entries import Entry
from point_service.domain.grants import NewGrant
from point_service.domain.snapshot import Snapshot
from point_service.mysql.store.answers import Answers
from point_service.mysql.store.execution import BE_PATIENT, TRIP, naive, run
from point_service.mysql.store.rows import Sent, adding_entries, adding_grants, moving_grants

NEWEST = "(SELECT grant_id FROM point_ledger WHERE member_id = %s ORDER BY grant_id DESC LIMIT %s)"
# With the two statements behind it, in store.rows, it checks that as many rows moved as must.
MOVE_BALANCES = (
    "UPDATE member_point SET balance = balance + CASE member_id{cases} ELSE 0 END, version = version + 1,"
    " updated_at = %s WHERE member_id IN ({places}) AND version = CASE member_id{cases} END"
)
# In the order in which they are written, the count sees the day as it was.
COUNT_REFUSALS = (
    "UPDATE member_point SET refusals = IF(refused_on = %s, refusals + 1, 1), refused_on = %s"
    " WHERE member_id IN ({places})"
)
ADD_REFERENCES = (
    "INSERT INTO movement_reference"
    " (member_id, source, reference, operation, amount, created_at, request_hash, status, body) VALUES {rows}"
)
REFERENCE_VALUES = "(%s, %s, %s, %s, %s, %s, UNHEX(%s), %s, %s)"
NULL_REFUSED = 1048
MANY = 100  # entries, with which a server takes its time; most requests write a few
BY_DAY = Answers()


class Change(msgspec.Struct, frozen=True):
    """What is written for one member.

    `moves` change grants that exist; `new_entries` belong to grants just added, which already hold their points. With
    `counted` the answer is a refusal of those of which a member has only so many kept a day. `referred` is what moved
    under the key's reference.
    """

    snapshot: Snapshot
    moves: Sequence[Entry]
    new_entries: Sequence[Entry] = ()
    answer: tuple[Key, StoredAnswer] | None = None
    counted: bool = False
    referred: tuple[Key, Movement] | None = None

    @property
    def entries(self) -> Sequence[Entry]:
        """Every entry to write."""
        return [*self.moves, *self.new_entries]


class StaleVersionError(Exception):
    """A row under the member's lock was not as it was read: the lock did not hold."""


async def add_grants(
    connection: Connection, grants: Sequence[tuple[Snapshot, Sequence[NewGrant]]]
) -> list[list[int]]:
    """Insert grants for their members, each named once, and return their ids, in order. One round trip."""
    adding, values = adding_grants(
        [(snapshot.member_id, grant) for snapshot, new in grants for grant in new], grants[0][0].now
    )
    # Nobody else adds grants to a member that is locked: the newest are these.
    places = [value for snapshot, new in grants for value in (snapshot.member_id, len(new))]
    statements = [adding, *[NEWEST] * len(grants)]
    _, *newest = await run(connection, statements, [*values, *places])
    return [sorted(row[0] for row in result.rows) for result in newest]


async def commit(connection: Connection, changes: Sequence[Change], answers: Answers = BY_DAY) -> None:
    """Write changes of different members and commit. One round trip.

    Raises StaleVersionError, with nothing committed, when a row was not as its snapshot says.
    """
    batch = [*_entries(changes), *_refusals(changes), *_answers(changes, answers), *_references(changes)]
    statements = [*(statement for statement, _ in batch), "COMMIT", BE_PATIENT]
    many = sum(len(change.entries) for change in changes) > MANY
    parameters = [value for _, values in batch for value in values]
    try:
        await run(connection, statements, parameters, patience=None if many else TRIP)
    except MySQLError as error:
        if error.args and error.args[0] == NULL_REFUSED:
            raise StaleVersionError("a row changed under its member's lock") from error
        raise


def _entries(changes: Sequence[Change]) -> list[Sent]:
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
    statements: list[Sent] = [
        (
            MOVE_BALANCES.format(cases=_cases(members), places=_places(members)),
            [*_pairs(by_balance), now, *members, *_pairs(by_version)],
        )
    ]
    moved = len(members)
    if by_grant:
        statements.append(moving_grants(by_grant, members, moved))
        moved = len(by_grant)
    entries = [(change.snapshot.member_id, entry) for change in moving for entry in change.entries]
    statements.append(adding_entries(entries, moving[0].snapshot.now, moved))
    return statements


def _refusals(changes: Sequence[Change]) -> list[Sent]:
    """Return the statement that counts refusals, if there are any to count."""
    refused = [change.snapshot for change in changes if change.counted]
    if not refused:
        return []
    members, today = [snapshot.member_id for snapshot in refused], naive(refused[0].now).date()
    return [(COUNT_REFUSALS.format(places=_places(members)), [today, today, *members])]


def _answers(changes: Sequence[Change], answers: Answers) -> list[Sent]:
    """Return the statement that keeps the answers, if there are any."""
    given = [(change.snapshot, *change.answer) for change in changes if change.answer is not None]
    return [answers.keeping(given)] if given else []


def _references(changes: Sequence[Change]) -> list[tuple[str, Sequence[Any]]]:
    """Return the statement that keeps what moved under references, if anything did."""
    referred = [change.referred for change in changes if change.referred is not None]
    if not referred:
        return []
    values: list[Any] = []
    for key, moved in referred:
        answer = moved.answer
        values += [key.member_id, key.sources[0], key.reference, moved.operation, moved.amount]
        values += [naive(moved.at), answer.request_hash, answer.status, answer.body]
    return [(ADD_REFERENCES.format(rows=", ".join([REFERENCE_VALUES] * len(referred))), values)]


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
