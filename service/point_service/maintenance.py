"""Commands that do their work once and end: `expire`, `verify`."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from point_service.ledger.upkeep import LIMIT, expire_due, forget_answers
from point_service.ledger.verify import Finding, verify, write_metrics
from point_service.mysql.database import Database
from point_service.mysql.pool import Pool, opener
from point_service.settings import Settings

log = logging.getLogger(__name__)


async def expire(settings: Settings) -> None:
    """Expire what is due and forget old answers. Raises MemberBusy, Unavailable."""
    async with _database(settings, LIMIT) as database:
        points = await expire_due(database)
        answers = await forget_answers(database, settings.idempotency_retention_hours)
    log.info("expired", extra={"points": points, "forgotten_answers": answers})


async def check(settings: Settings, metrics_file: Path | None) -> int:
    """Check the ledger; print what is broken and where. Return the exit status. Raises Unavailable."""

    def tell(finding: Finding) -> None:
        print(f"{finding.where}: {finding.invariant}")

    async with _database(settings) as database:
        report = await verify(database, tell)
    if metrics_file is not None:
        write_metrics(report, metrics_file)
    print(f"{report.checked} rows checked, {report.findings} findings")
    return 1 if report.findings else 0


@asynccontextmanager
async def _database(settings: Settings, limit: float | None = None) -> AsyncGenerator[Database]:
    database = settings.database
    pool = Pool(opener(database, database.host), 1, database.acquire_timeout, database.connection_lifetime)
    try:
        yield Database(pool, limit)
    finally:
        await pool.close()
