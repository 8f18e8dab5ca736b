"""Background work that any number of pods may do at once: expiring points, forgetting old answers.

Nothing depends on it: a balance never counts an expired point, entry or no entry. It keeps the ledger's entries
up to date for those who only read them, and the tables small.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from asyncmy.connection import Connection

from point_service.contract.errors import MemberBusy, Problem, Unavailable
from point_service.domain.entries import EntryKind
from point_service.mysql.database import Database
from point_service.mysql.store import reads, upkeep
from point_service.mysql.store.answers import Book
from point_service.mysql.store.change import Change, commit
from point_service.mysql.store.execution import rollback
from point_service.mysql.store.member import lock_members
from point_service.mysql.store.questions import Wanted
from point_service.telemetry import logs, metrics

log = logging.getLogger(__name__)

DUE_AT_ONCE = 500  # grants that are due, in a page
FEWEST, AT_FIRST, MOST = 10, 25, 100  # members in a transaction
GRANTS_AT_ONCE = 500  # in a transaction, of all its members
HOLD = 0.2  # seconds that a transaction is to hold its members at the most: what they ask for waits meanwhile
ANSWERS_AT_ONCE = 1_000
LIMIT = 10.0  # seconds for each transaction and read, reruns included: a database that is silent ends the run


async def expire_due(database: Database) -> int:
    """Write the EXPIRE entries that are due, of some members a transaction; return the points that expired.

    A member somebody works on is left out: that operation expires some of what is due itself. One whose expiry fails
    is told and passed, too. May be stopped and run again at any point. Raises Unavailable.
    """
    expiry = _Expiry(database)
    total = 0
    while expired := await expiry.go_through():
        total += expired
    metrics.EXPIRY_FINISHED.set(time.time())
    return total


async def forget_answers(database: Database, hours: int) -> int:
    """Forget answers older than `hours`: by member in batches, by day the oldest day; return how many went in batches.

    No more days at once: what writes an answer just when one goes is done again. Raises MemberBusy, Unavailable.
    """
    answers = await database.read(Book(hours).answers)
    total = 0
    while True:
        gone = await database.transact(
            lambda connection: upkeep.forget_answers(connection, answers.by_day, hours, ANSWERS_AT_ONCE)
        )
        total += gone
        if gone < ANSWERS_AT_ONCE:
            break
    if answers.by_day:
        day = await database.transact(lambda connection: upkeep.forget_day(connection, answers.days))
        if day is not None:
            log.info("a day of answers is forgotten", extra={"day": day.isoformat()})
    return total


async def keep_up(database: Database, interval: float, retention_hours: int) -> None:
    """Do the background work every `interval` seconds, never ending, whatever fails."""
    # Soon after the start, so that pods which are replaced often get to it too; then spread over half the
    # interval, so that pods started together don't all work at once.
    pause = interval * random.uniform(0.01, 0.1)  # noqa: S311 - spreads load
    while True:
        await asyncio.sleep(pause)
        pause = interval * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load
        # Each by itself: what stops one must not stop the other.
        expired = await _finished("expiry", lambda: expire_due(database))
        forgotten = await _finished("answers", lambda: forget_answers(database, retention_hours))
        if expired or forgotten:
            log.info("upkeep", extra={"expired_points": expired, "forgotten_answers": forgotten})


async def _finished(work: str, run: Callable[[], Awaitable[int]]) -> int:
    """Return what a piece of work gives; 0 when it fails, which is told."""
    try:
        return await run()
    except Problem as problem:
        log.warning("upkeep put off", extra={"work": work, "reason": problem.detail})
    except Exception:
        log.exception("upkeep failed", extra={"work": work})
    metrics.UPKEEP_FAILURES.labels(work).inc()
    return 0


class _Place(NamedTuple):
    """How far a stripe of what is due has been read."""

    stripe: int | None = None  # None: all of it
    after: upkeep.Due | None = None


class _Done(NamedTuple):
    """What a transaction did: points that expired, how many members', and who had no room in it."""

    points: int = 0
    members: int = 0
    unread: Sequence[str] = ()


class _Expiry:
    """One pod's run. Pods share what is due without knowing of each other.

    Each goes through the stripes in an order of its own, and a member's row lock says who has the member. Where a pod
    meets another one it goes on elsewhere and comes back later.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._together = AT_FIRST  # members of the next transaction

    async def go_through(self) -> int:
        """Go through all that is due once, past what can't be done now; return the points that expired."""
        page = await self._page(_Place())
        if len(page) < DUE_AT_ONCE:  # all of it
            return (await self._expire_page(page)).points
        total = 0
        places = deque(_Place(stripe) for stripe in random.sample(range(upkeep.STRIPES), upkeep.STRIPES))
        while places:
            place = places.popleft()
            if not (page := await self._page(place)):
                continue
            done = await self._expire_page(page)
            total += done.points
            place = place._replace(after=page[-1])
            if 2 * done.members < len(_members(page)):  # somebody else is here
                places.append(place)
            else:
                places.appendleft(place)
        return total

    async def _page(self, place: _Place) -> list[upkeep.Due]:
        return await self._database.read(lambda connection: upkeep.due(connection, DUE_AT_ONCE, *place))

    async def _expire_page(self, page: Sequence[upkeep.Due]) -> _Done:
        waiting = deque(_members(page))
        points = members = 0
        while waiting:
            some = [waiting.popleft() for _ in range(min(self._together, len(waiting)))]
            done = await self._expire_some(some)
            points += done.points
            members += done.members
            waiting.extend(done.unread)
        return _Done(points, members)

    async def _expire_some(self, members: Sequence[str]) -> _Done:
        """Expire what some members have due in one transaction; when it fails, of each half of them by itself.

        The one member that it fails for in the end is passed. Raises Unavailable.
        """
        try:
            return await self._expire(members)
        except Exception as error:
            if isinstance(error, Unavailable):  # is it a member, or the database? Then this is raised again
                _, read_only = await self._database.read(reads.schema_version)
                if read_only:
                    raise
            self._together = max(FEWEST, len(members) // 2)
            if len(members) == 1:
                if not isinstance(error, MemberBusy):
                    metrics.UPKEEP_FAILURES.labels("member").inc()
                    log.exception("a member's expiry failed", extra={"member": logs.hashed(members[0])})
                return _Done()
        middle = len(members) // 2
        halves = [await self._expire_some(half) for half in (members[:middle], members[middle:])]
        points, expired, unread = zip(*halves, strict=True)
        return _Done(sum(points), sum(expired), [member for some in unread for member in some])

    async def _expire(self, members: Sequence[str]) -> _Done:
        async def work(connection: Connection) -> tuple[_Done, float]:
            began = time.monotonic()
            wanted = [Wanted(member_id) for member_id in members]
            locked, unread = await lock_members(connection, wanted, wait=False, rows=GRANTS_AT_ONCE)
            changes = [Change(snapshot, snapshot.expired) for snapshot in locked.values() if snapshot.due]
            if changes:
                await commit(connection, changes)
            else:
                await rollback(connection)
            points = -sum(entry.amount for change in changes for entry in change.moves)
            return _Done(points, len(changes), unread), time.monotonic() - began

        done, held = await self._database.transact(work)
        if done.points:
            metrics.POINTS.labels(EntryKind.EXPIRE).inc(done.points)
        self._together = together(self._together, done.members, held)
        return done


def together(wanted: int, expired: int, held: float) -> int:
    """Return how many members to put into the next transaction.

    `wanted` is how many were for the last one, of `expired` of them something expired, and it held them for `held`
    seconds.
    """
    if held > HOLD:
        return max(FEWEST, wanted // 2)
    if held < HOLD / 4 and expired > wanted // 2:
        return min(MOST, 2 * wanted)
    return wanted


def _members(page: Sequence[upkeep.Due]) -> list[str]:
    """Return the members of a page, each once, in the page's order."""
    return list(dict.fromkeys(due.member_id for due in page))
