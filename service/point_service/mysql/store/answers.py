"""Answers by idempotency key: in which tables they are looked for, and into which they are put.

The first versions keep them by member (`idempotency`), later ones by day (`stored_answer`). A migration closes the
table by member by giving it another name (`idempotency_closed`). A transaction looks into the table that has the one
name or the other, under the member's lock, before it decides. So it fails when it is wrong about where answers are,
and while it lasts the name stays: whoever knows the old name alone is done before the new table has a row, or does
nothing.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from asyncmy.connection import Connection

from point_service.contract.idempotency import Key, StoredAnswer
from point_service.domain.snapshot import Snapshot
from point_service.mysql.store.execution import naive, run
from point_service.mysql.store.questions import MOMENT, Question, Wanted

OPEN, CLOSED = "idempotency", "idempotency_closed"
IS_CLOSED = (
    "SELECT COUNT(*) FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name = 'idempotency_closed'"
)
# Of two answers to a key the client's own counts (`Caller.client_scope`, `Key.digest`), and the later one of a digest.
LOOK = "SELECT member_id, INSTR(caller, '@') > 0 AND INSTR(caller, ':') = 0, LOWER(HEX(request_hash)), status, body"
BY_MEMBER_OPEN = f"{LOOK} FROM idempotency WHERE {{}}"
BY_MEMBER_CLOSED = f"{LOOK} FROM idempotency_closed WHERE {{}}"
BY_DAY = (
    "SELECT member_id, ASCII(digest) > 127, LOWER(HEX(request_hash)), status, body"
    " FROM stored_answer FORCE INDEX (PRIMARY) WHERE day IN ({days}) AND ({}) ORDER BY day"
)
TODAY = f"DATE({MOMENT})"
ADD_BY_MEMBER = (
    "INSERT INTO idempotency"
    " (member_id, caller, idempotency_key, request_hash, status, body, created_at, mark) VALUES {rows}"
)
MEMBER_VALUES = "(%s, %s, %s, UNHEX(%s), %s, %s, %s, 1)"
ADD_BY_DAY = "INSERT INTO stored_answer (member_id, day, digest, request_hash, status, body) VALUES {rows}"
DAY_VALUES = "(%s, %s, UNHEX(%s), UNHEX(%s), %s, %s)"


class Answers(msgspec.Struct, frozen=True):
    """Where answers are: by day or still by member, and how many days before today they are kept."""

    by_day: bool = True
    days: int = 1

    @property
    def questions(self) -> Sequence[Question]:
        """What asks for the answers given before."""
        return _questions(self)

    def keeping(self, given: Sequence[tuple[Snapshot, Key, StoredAnswer]]) -> tuple[str, Sequence[Any]]:
        """Return the statement that keeps answers, and its parameters."""
        values: list[Any] = []
        for snapshot, key, answer in given:
            now, said = naive(snapshot.now), (key.request_hash, answer.status, answer.body)
            if self.by_day:
                values += [key.member_id, now.date(), key.digest(key.kept_in), *said]
            else:
                values += [key.member_id, key.kept_in, key.value, *said, now]
        add, row = (ADD_BY_DAY, DAY_VALUES) if self.by_day else (ADD_BY_MEMBER, MEMBER_VALUES)
        return add.format(rows=", ".join([row] * len(given))), values


class Book:
    """Where this process thinks that answers are; a transaction that fails by it has it asked again."""

    def __init__(self, retention_hours: int) -> None:
        self._days = -(-retention_hours // 24)
        self._answers: Answers | None = None

    async def answers(self, connection: Connection) -> Answers:
        """Return where they are. The first time one round trip."""
        if self._answers is None:
            [result] = await run(connection, [IS_CLOSED], [])
            self._answers = Answers(by_day=bool(result.rows[0][0]), days=self._days)
        return self._answers

    def forget(self) -> None:
        """Ask again: they are elsewhere."""
        self._answers = None


@cache
def _questions(answers: Answers) -> Sequence[Question]:
    by_member = Question(
        BY_MEMBER_CLOSED if answers.by_day else BY_MEMBER_OPEN,
        "(member_id = %s AND idempotency_key = %s"
        " AND (caller = %s OR (caller = %s AND (%s OR request_hash = UNHEX(%s)))))",
        _of_key,
        _answer,
    )
    if not answers.by_day:
        return (by_member,)
    # Tomorrow too: the clock may have been ahead, on the server that was the writer before.
    days = (f"{TODAY} - INTERVAL {days} DAY" for days in range(-1, answers.days + 1))
    by_day = Question(
        BY_DAY.format("{}", days=", ".join(days)),
        "(member_id = %s AND (digest = UNHEX(%s) OR (digest = UNHEX(%s) AND (%s OR request_hash = UNHEX(%s)))))",
        _of_digest,
        _answer,
    )
    return (by_member, by_day)


def _answer(snapshot: Snapshot, row: Sequence[Any]) -> None:
    own, *answer = row
    if own or not snapshot.own_answer:
        snapshot.answer, snapshot.own_answer = StoredAnswer(*answer), bool(own)


# What the caller has in common with other clients counts as before, until keys are by client; then only an answer to
# this very request does, which this client may have been given.
def _of_key(one: Wanted) -> Sequence[Any]:
    key = one.key
    if key is None:
        return ()
    return one.member_id, key.value, key.own, key.caller, not key.by_client, key.request_hash


def _of_digest(one: Wanted) -> Sequence[Any]:
    key = one.key
    if key is None:
        return ()
    return one.member_id, key.digest(key.own), key.digest(key.caller), not key.by_client, key.request_hash
