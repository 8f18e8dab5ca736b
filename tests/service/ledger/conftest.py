"""Time that passes, and what then moves into the archive."""

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
from harness.service import Master
from point_service.ledger import archive
from point_service.mysql.database import Database
from point_service.mysql.pool import Pool, opener
from point_service.settings import Settings


@pytest.fixture
def old(master_alone: Master) -> Callable[[], None]:
    """Lets everything that is there have happened 400 days earlier."""
    master_alone.rows("DROP TRIGGER IF EXISTS ledger_entry_no_update")

    def age() -> None:
        for statement in (
            "UPDATE ledger_entry SET created_at = created_at - INTERVAL %s DAY",
            "UPDATE point_ledger SET created_at = created_at - INTERVAL %s DAY",
            "UPDATE point_ledger SET expires_at = expires_at - INTERVAL %s DAY WHERE remaining = 0",
        ):
            master_alone.rows(statement, 400)

    return age


@pytest.fixture
async def history_moves(settings: Settings) -> AsyncIterator[Callable[..., Awaitable[archive.Report]]]:
    """Archives what is older than a year, as the migration's user."""
    database = msgspec.structs.replace(settings.database, credentials=settings.database.migration_credentials)
    pool = Pool(opener(database, database.host), 1, 5, 300)

    async def run(batch: int = 500) -> archive.Report:
        return await archive.archive(Database(pool), 365, batch)

    yield run
    await pool.close()
