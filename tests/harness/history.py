"""What tests of the archive ask of a ledger: how much is live and archived, and whether it is sound."""

import json
from typing import Any

from harness.service import Master
from point_service.ledger.points import Outcome
from point_service.ledger.verify import Finding, Report, verify
from point_service.mysql.database import Database

LIVE = ("SELECT COUNT(*) FROM point_ledger", "SELECT COUNT(*) FROM ledger_entry")
ARCHIVED = ("SELECT COUNT(*) FROM archived_grant", "SELECT COUNT(*) FROM archived_entry")


def body(outcome: Outcome) -> Any:
    """Return what an answer says."""
    return json.loads(outcome.body)


def counted(master: Master, tables: tuple[str, ...]) -> tuple[int, ...]:
    """Return how many rows tables have."""
    return tuple(master.rows(statement)[0][0] for statement in tables)


async def sound(database: Database) -> Report:
    """Check the whole ledger. Fails unless it is sound."""
    found: list[Finding] = []
    report = await verify(database, found.append)
    assert found == []
    return report
