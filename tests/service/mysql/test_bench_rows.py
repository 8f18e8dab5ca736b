"""The rows that benchmarks begin with are a ledger's: a schema that changes must not end them."""

from typing import Any

import pytest
from bench import rows

pytestmark = pytest.mark.integration


def test_many_rows_at_once_are_a_right_ledger(master_alone: Any, database_server: Any) -> None:
    schema = database_server.schema
    assert rows.load(database_server, schema, 100, 8) == 10
    rows.grants(database_server, schema, "many", 50)
    rows.due_members(database_server, schema, 20)
    assert rows.due(database_server, schema) == 20
    assert master_alone.rows("SELECT COUNT(*) FROM ledger_entry") == [(190,)]
