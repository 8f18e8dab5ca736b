"""Background work that any number of pods may do at once: expiring points, forgetting old answers.

Nothing depends on it: a balance never counts an expired point, entry or no entry. It keeps the ledger's entries
up to date for those who only read them, and the tables small.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from asyncmy.connection import Connection

from point_service.contract.errors import MemberBusy, Problem, Unavailable
from point_service.domain.entries import EntryKind
from point_service.mysql.database import Database
from point_service.mysql.store import upkeep
from point_service.mysql.store.change import Change, commit
from point_service.mysql.store.execution import rollback
from point_service.mysql.store.member import lock_members
from point_service.mysql.store.questions import Wanted
from point_service.telemetry import logs, metrics

log = logging.getLogger(__name__)

MEMBERS_AT_ONCE = 500
ANSWERS_AT_ONCE = 1_000
LIMIT = 10.0  # seconds for each transaction and read, reruns included: a database that is silent ends the run
GRANTS_AT_ONCE = 500  # of a member: its row is held meanwhile, and what it asks for has its turn in between


async def expire_due(database: Database) -> int:
    """Write the EXPIRE entries that are due, some of one member's a transaction; return the points that expired.

    A member somebody works on is left out: that operation expires some of what is due itself. One whose expiry fails
    is told and passed, too. May be stopped and run again at any point. Raises Unavailable.
    """
    total = 0
    while expired := await _expire_once(database):
        total += expired
    metrics.EXPIRY_FINISHED.set(time.time())
    return total


async def _expire_once(database: Database) -> int:
    """Go through all that is due once, past what can't be done now; return the points that expired."""
    total = 0
    last = None
    while page := await database.read(
        lambda connection, last=last: upkeep.due(connection, MEMBERS_AT_ONCE, last)
    ):
        members = list({due.member_id for due in page})
        random.shuffle(members)  # pods that run at once then mostly meet different members
        for member_id in members:
            total += await _expire_member(database, member_id)
        last = page[-1]
    return total


async def forget_answers(database: Database, hours: int) -> int:
    """Delete idempotency rows older than `hours`, in batches; return how many went. Raises MemberBusy, Unavailable."""
    total = 0
    while True:
        gone = await database.transact(
            lambda connection: upkeep.forget_answers(connection, hours, ANSWERS_AT_ONCE)
        )
        total += gone
        if gone < ANSWERS_AT_ONCE:
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


async def _expire_member(database: Database, member_id: str) -> int:
    """Return the points that expired; 0 for a member in other hands, or whose expiry fails. Raises Unavailable."""
    try:
        return await _expire(database, member_id)
    except MemberBusy:
        return 0
    except Exception as error:
        if isinstance(error, Unavailable):  # is it the member, or the database? Then this is raised again
            await database.read(lambda connection: upkeep.due(connection, 1, None))
        metrics.UPKEEP_FAILURES.labels("member").inc()
        log.exception("a member's expiry failed", extra={"member": logs.hashed(member_id)})
        return 0


async def _expire(database: Database, member_id: str) -> int:
    async def work(connection: Connection) -> int:
        locked = await lock_members(connection, [Wanted(member_id)], wait=False, rows=GRANTS_AT_ONCE)
        changes = [Change(snapshot, snapshot.expired) for snapshot in locked.values() if snapshot.expired]
        if changes:
            await commit(connection, changes)
        else:
            await rollback(connection)
        return -sum(entry.amount for change in changes for entry in change.moves)

    expired = await database.transact(work)
    if expired:
        metrics.POINTS.labels(EntryKind.EXPIRE).inc(expired)
    return expired
