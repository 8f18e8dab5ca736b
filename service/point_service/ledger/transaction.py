"""One transaction: members locked, commands decided each on its own, everything written and committed at once."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from asyncmy.connection import Connection
from asyncmy.errors import MySQLError

from point_service.contract.errors import InvalidField, Problem, Refusal, encode
from point_service.contract.idempotency import Key, Movement, StoredAnswer
from point_service.domain.entries import Entry
from point_service.domain.operations.operation import Decision, Operation
from point_service.domain.snapshot import Snapshot
from point_service.mysql.faults import MOVED, OTHER, classify
from point_service.mysql.store.answers import Answers, Book
from point_service.mysql.store.change import Change, add_grants, commit
from point_service.mysql.store.execution import rollback
from point_service.mysql.store.member import lock_members, read_rest
from point_service.mysql.store.questions import Wanted

CREATED = 201
REFUSALS_KEPT = 100
"""Refusals of a plain member's requests that are kept, for each member and day: whoever asks for more than there is all
day long fills no table. One past these is decided again when it comes again."""


class Command(msgspec.Struct, frozen=True):
    """An operation on the points of a key's member, to be done once for that key.

    `request_id` goes with a refusal, which is kept with it: it leads to the request that was refused.
    """

    key: Key
    operation: Operation
    request_id: str | None = None


class Result(msgspec.Struct, frozen=True):
    """What a command left behind: the answer, the entries it wrote, the refusal's code if it was one.

    An answer that is not `kept` is not given again.
    """

    answer: StoredAnswer
    entries: Sequence[Entry] = ()
    refused: str | None = None
    replayed: bool = False
    kept: bool = True


class Executed(NamedTuple):
    """The results by member, and the members of whom there is much to read; they have a result only with `wait`."""

    results: dict[str, Result]
    large: Sequence[str]


async def execute(connection: Connection, commands: Sequence[Command], book: Book, *, wait: bool) -> Executed:
    """Do commands of different members in one transaction.

    With `wait`, behind whoever has the members, and whatever there is to read of them. Without, those whose member is
    new, large or in other hands are left out: it waits for no lock then, so it can't be part of a deadlock, and nobody
    waits for what one of them takes.
    Two round trips, one more when points are granted, two more for new members, some more for large ones, one more when
    nobody knows yet where answers are.
    """
    try:
        return await _execute(connection, commands, await book.answers(connection), wait=wait)
    except MySQLError as error:
        if classify(error) in (MOVED, OTHER):  # or there is no right to the name that it had
            book.forget()
        raise


async def _execute(
    connection: Connection, commands: Sequence[Command], answers: Answers, *, wait: bool
) -> Executed:
    wanted = [Wanted(command.key.member_id, command.key, command.operation.reads) for command in commands]
    snapshots, _ = await lock_members(connection, wanted, wait=wait, answers=answers)
    results: dict[str, Result] = {}
    large: list[str] = []
    for one, command in zip(wanted, commands, strict=True):
        snapshot = snapshots.get(one.member_id)
        if snapshot is None or snapshot.whole or _given(command.key, snapshot) is not None:
            continue
        large.append(one.member_id)
        if wait:
            await read_rest(connection, snapshot, one)
        else:
            del snapshots[one.member_id]
    decided: list[tuple[Command, Snapshot, Decision | Problem]] = []
    for command in commands:
        snapshot = snapshots.get(command.key.member_id)
        if snapshot is None:
            continue
        if (given := _given(command.key, snapshot)) is not None:
            results[snapshot.member_id] = Result(given, replayed=True)
        else:
            decided.append((command, snapshot, _decide(command, snapshot)))
    if decided:
        results |= await _write(connection, decided, answers)
    else:
        await rollback(connection)
    return Executed(results, large)


def _given(key: Key, snapshot: Snapshot) -> StoredAnswer | None:
    """Return the answer given before: under the key, or to the same request under its reference."""
    moved = snapshot.moved
    if snapshot.answer is None and moved is not None and moved.answer.request_hash == key.request_hash:
        return moved.answer
    return snapshot.answer


def _decide(command: Command, snapshot: Snapshot) -> Decision | Problem:
    if snapshot.moved is not None and command.key.reference is not None:
        return snapshot.moved.refusal(command.key.reference)
    try:
        return command.operation.decide(snapshot)
    except (Refusal, InvalidField) as refusal:
        return refusal


async def _write(
    connection: Connection,
    decided: Sequence[tuple[Command, Snapshot, Decision | Problem]],
    answers: Answers,
) -> dict[str, Result]:
    """Write the EXPIRE entries that are due, then each decision, refusals too within their bound, and commit."""
    new_grants = [
        (snapshot, decision.new_grants)
        for _, snapshot, decision in decided
        if isinstance(decision, Decision) and decision.new_grants
    ]
    added_ids = iter(await add_grants(connection, new_grants) if new_grants else ())
    changes: list[Change] = []
    results: dict[str, Result] = {}
    for command, snapshot, decision in decided:
        key, moves, added, refused = command.key, snapshot.expired, list[Entry](), None
        kept, referred = True, None
        if isinstance(decision, Problem):
            refused = decision.code
            kept = not key.by_member or snapshot.refusals < REFUSALS_KEPT
            answer = StoredAnswer(
                key.request_hash, decision.status, encode(decision, command.request_id).decode()
            )
        else:
            own = next(added_ids) if decision.new_grants else []
            moves += decision.entries
            added += [grant.entry(grant_id) for grant, grant_id in zip(decision.new_grants, own, strict=True)]
            body = msgspec.json.encode(decision.answer(own)).decode()
            answer = StoredAnswer(key.request_hash, CREATED, body)
            if key.reference is not None:
                points = abs(sum(entry.amount for entry in (*decision.entries, *added)))
                referred = key, Movement(command.operation.name, points, snapshot.now, answer)
        counted = kept and refused is not None and key.by_member
        changes.append(Change(snapshot, moves, added, (key, answer) if kept else None, counted, referred))
        results[key.member_id] = Result(answer, [*moves, *added], refused, kept=kept)
    await commit(connection, changes, answers)
    return results
