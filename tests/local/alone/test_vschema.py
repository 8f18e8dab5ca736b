"""Vitess is told of the tables as they are: a member's by the member, ids from sequences, others everywhere."""

from point_local.alone.vschema import Column, sequence_tables, sequences, sharded

COLUMNS = [
    Column("alembic_version", "version_num", ""),
    Column("ledger_entry", "entry_id", "auto_increment"),
    Column("ledger_entry", "member_id", ""),
    Column("member_point", "member_id", ""),
    Column("member_point", "balance", ""),
]


def test_members_tables_go_by_their_member_and_others_are_everywhere() -> None:
    schema = sharded(COLUMNS, "ids")
    assert schema["sharded"]
    by_member = [{"column": "member_id", "name": "xxhash"}]
    assert schema["tables"] == {
        "alembic_version": {"type": "reference"},
        "ledger_entry": {
            "column_vindexes": by_member,
            "auto_increment": {"column": "entry_id", "sequence": "ids.ledger_entry_ids"},
        },
        "member_point": {"column_vindexes": by_member},
    }


def test_every_sequence_that_a_table_asks_is_there() -> None:
    assert sequences(COLUMNS) == {"tables": {"ledger_entry_ids": {"type": "sequence"}}}
    made, filled = sequence_tables(COLUMNS, cache=7)
    assert made.startswith("CREATE TABLE ledger_entry_ids ")
    assert "vitess_sequence" in made
    assert filled == "INSERT INTO ledger_entry_ids VALUES (0, 1, 7)"
