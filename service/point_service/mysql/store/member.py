"""Members in a transaction: locked and read, whatever their number, in one round trip; one with much, in several."""

from collections.abc import Sequence
from typing import NamedTuple

from asyncmy.connection import Connection

from point_service.domain.grants import MOST_GRANTS
from point_service.domain.snapshot import Snapshot
from point_service.mysql.store.answers import Answers
from point_service.mysql.store.execution import Row, naive, run, utc
from point_service.mysql.store.questions import (
    DUE_POINTS,
    MOMENT,
    NEXT_GRANTS,
    QUESTIONS,
    TAKE_MOMENT,
    Question,
    Wanted,
    grant_of,
)

ROWS_AT_FIRST = 200  # the most that a bounded question gives, for all members together
GRANTS_AT_ONCE = 1_000  # a page; between two pages others have their turn

BEGIN = "START TRANSACTION"
# In the order of their ids, as every transaction that locks more than one.
LOCK_MEMBERS = (
    "SELECT member_id, balance, version, refused_on, refusals FROM member_point WHERE member_id IN ({})"
    " ORDER BY member_id FOR UPDATE"
)
IF_FREE = " SKIP LOCKED"
BY_DAY = Answers()
CREATE_MEMBER = (
    "INSERT INTO member_point (member_id, balance, version, created_at, updated_at)"
    " VALUES (%s, 0, 0, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))"
    " ON DUPLICATE KEY UPDATE version = version"
)


class Locked(NamedTuple):
    """The snapshots by member, and the members that are locked but left out because no rows were left for them."""

    snapshots: dict[str, Snapshot]
    unread: Sequence[str]


async def lock_members(
    connection: Connection,
    wanted: Sequence[Wanted],
    *,
    wait: bool,
    rows: int = ROWS_AT_FIRST,
    answers: Answers = BY_DAY,
) -> Locked:
    """Begin a transaction, lock members and read what their decisions need. Each is wanted once.

    With `wait` it waits for members in other hands and makes those that are new; without, it waits for nobody, and
    leaves both out. A member of whom there is more to read than `rows` of a question, or than its first grants, has a
    snapshot that is not `whole`; those after it, for whom no rows were left, are left out, too. One round trip, three
    when it makes members.
    """
    members = [one.member_id for one in wanted]
    locking = LOCK_MEMBERS.format(", ".join(["%s"] * len(members)))
    asked = [
        (question, who)
        for question in (*answers.questions, *QUESTIONS)
        if (who := [one for one in wanted if question.values(one)])
    ]
    batch = [
        (locking if wait else locking + IF_FREE, members),
        (TAKE_MOMENT, ()),
        (f"SELECT {MOMENT}", ()),
        *(question.ask([question.values(one) for one in who], rows) for question, who in asked),
    ]
    statements = [statement for statement, _ in batch]
    parameters = [value for _, values in batch for value in values]
    _, *results = await run(connection, [BEGIN, *statements], parameters)
    if wait and len(results[0].rows) < len(members):
        # Made before any child row: a foreign key check would lock the missing parent the other way round.
        new = sorted(set(members) - {row[0] for row in results[0].rows})
        await run(connection, [CREATE_MEMBER] * len(new), new)
        results = await run(connection, statements, parameters)
    locked, _, now, *told = (result.rows for result in results)
    moment = utc(now[0][0])
    snapshots = {
        member_id: Snapshot(
            member_id=member_id,
            balance=balance,
            version=version,
            now=moment,
            refusals=refusals if refused_on == moment.date() else 0,
        )
        for member_id, balance, version, refused_on, refusals in locked
    }
    unread: list[str] = []
    for (question, who), answer in zip(asked, told, strict=True):
        _keep(question, answer, snapshots)
        if question.alone and len(answer) == rows:
            last = answer[-1][0]
            for member_id in {one.member_id for one in who} & snapshots.keys():
                if member_id == last:
                    snapshots[member_id].whole = False
                elif member_id > last:
                    del snapshots[member_id]
                    unread.append(member_id)
    for one in wanted:
        snapshot = snapshots.get(one.member_id)
        if snapshot is not None and snapshot.whole and len(snapshot.grants) == one.grants_at_first:
            snapshot.whole = not _lacks(snapshot, one)
    return Locked(snapshots, unread)


async def read_rest(connection: Connection, snapshot: Snapshot, one: Wanted) -> None:
    """Read what is missing of a member's snapshot, however much it is, within the transaction that locked it.

    Of the grants that are due it has the first ones and the points of all. A round trip, and one for each page of
    grants.
    """
    snapshot.due, snapshot.order_parts = [], []
    batch = [
        (question, question.ask([values], question.alone))
        for question in QUESTIONS
        if question.alone and (values := question.values(one))
    ]
    statements = [DUE_POINTS, *(statement for _, (statement, _) in batch)]
    parameters = [one.member_id, *(value for _, (_, values) in batch for value in values)]
    due, *results = await run(connection, statements, parameters)
    snapshot.due_points = int(due.rows[0][0] or 0)
    for (question, _), result in zip(batch, results, strict=True):
        _keep(question, result.rows, {one.member_id: snapshot})
    more = len(snapshot.grants) == one.grants_at_first
    while more and _lacks(snapshot, one) and len(snapshot.grants) < MOST_GRANTS:
        last, limit = snapshot.grants[-1], min(GRANTS_AT_ONCE, MOST_GRANTS - len(snapshot.grants))
        expires_at = naive(last.expires_at)
        place = (one.member_id, last.kind, expires_at, expires_at, last.grant_id, last.kind, limit)
        [page] = await run(connection, [NEXT_GRANTS], place)
        snapshot.grants += [grant_of(row[1:]) for row in page.rows]
        more = len(page.rows) == limit
    snapshot.whole = True


def _lacks(snapshot: Snapshot, one: Wanted) -> bool:
    """Tell whether grants that were not read are needed: those that were hold too little, the member has more."""
    if snapshot.answer is not None or snapshot.moved is not None or snapshot.order_used is not None:
        return False
    return sum(grant.remaining for grant in snapshot.grants) < one.reads.points <= snapshot.held


def _keep(question: Question, rows: Sequence[Row], snapshots: dict[str, Snapshot]) -> None:
    for member_id, *row in rows:
        if member_id in snapshots:
            question.keep(snapshots[member_id], row)
