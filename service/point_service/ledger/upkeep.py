"""Background work that any number of pods may do at once: expiring points, forgetting old answers.

Nothing depends on it: a balance never counts an expired point, entry or no entry. It keeps the ledger's entries
up to date for those who only read them, and the tables small.
"""

import asyncio
import logging
import random
import time

from asyncmy.connection import Connection

from point_service.contract.errors import Problem
from point_service.domain.entries import EntryKind
from point_service.mysql.database import Database
from point_service.mysql.store import upkeep
from point_service.mysql.store.change import Change, commit
from point_service.mysql.store.member import Wanted, lock_members
from point_service.telemetry import metrics

log = logging.getLogger(__name__)

MEMBERS_AT_ONCE = 500
ANSWERS_AT_ONCE = 1_000


async def expire_due(database: Database) -> int:
    """Write the EXPIRE entries that are due, one member a transaction; return the points that expired.

    A member somebody works on is left out: that operation expires what is due itself. May be stopped and run
    again at any point. Raises MemberBusy, Unavailable.
    """
    total = 0
    while members := await database.read(lambda connection: upkeep.due_members(connection, MEMBERS_AT_ONCE)):
        random.shuffle(members)  # pods that run at once then mostly meet different members
        expired = 0
        for member_id in members:
            expired += await _expire_member(database, member_id)
        total += expired
        if expired == 0:  # all of them are in other hands
            break
    metrics.EXPIRY_FINISHED.set(time.time())
    return total


async def forget_answers(database: Database, hours: int) -> int:
    """Delete idempotency rows older than `hours`, in batches; return how many went.

    Raises MemberBusy, Unavailable.
    """
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
        try:
            expired = await expire_due(database)
            forgotten = await forget_answers(database, retention_hours)
        except Problem as problem:
            metrics.UPKEEP_FAILURES.inc()
            log.warning("upkeep put off", extra={"reason": problem.detail})
        except Exception:
            metrics.UPKEEP_FAILURES.inc()
            log.exception("upkeep failed")
        else:
            if expired or forgotten:
                log.info("upkeep", extra={"expired_points": expired, "forgotten_answers": forgotten})


async def _expire_member(database: Database, member_id: str) -> int:
    async def work(connection: Connection) -> int:
        locked = await lock_members(connection, [Wanted(member_id)], wait=False)
        changes = [Change(snapshot, snapshot.expired) for snapshot in locked.values() if snapshot.expired]
        if changes:
            await commit(connection, changes)
        else:
            await connection.rollback()
        return -sum(entry.amount for change in changes for entry in change.moves)

    expired = await database.transact(work)
    if expired:
        metrics.POINTS.labels(EntryKind.EXPIRE).inc(expired)
    return expired
