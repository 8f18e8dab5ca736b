"""What Vitess has to know of the tables: which of them are a member's, and where their ids come from."""

from collections.abc import Sequence
from typing import Any, NamedTuple

KEY = "member_id"
VINDEX = "xxhash"  # of the bytes: an id is ASCII, and m-1 is another member than M-1


class Column(NamedTuple):
    """A column as MySQL's `information_schema.columns` has it."""

    table: str
    name: str
    extra: str

    @property
    def counts(self) -> bool:
        """Whether the database gives its values by itself."""
        return self.extra.lower() == "auto_increment"


COLUMNS = (
    "SELECT table_name, column_name, extra FROM information_schema.columns WHERE table_schema = %s"
    " ORDER BY table_name, ordinal_position"
)
Schema = dict[str, Any]


def sharded(columns: Sequence[Column], ids: str) -> Schema:
    """Return the VSchema of the members' keyspace: who has a member goes by it, any other table is the same everywhere.

    `ids` is the keyspace of the sequences.
    """
    tables: Schema = {}
    for name in dict.fromkeys(column.table for column in columns):
        own = [column for column in columns if column.table == name]
        if KEY not in [column.name for column in own]:
            tables[name] = {"type": "reference"}
            continue
        tables[name] = {"column_vindexes": [{"column": KEY, "name": VINDEX}]}
        for column in own:
            if column.counts:
                counted = {"column": column.name, "sequence": f"{ids}.{_sequence(name)}"}
                tables[name]["auto_increment"] = counted
    return {"sharded": True, "vindexes": {VINDEX: {"type": VINDEX}}, "tables": tables}


def sequences(columns: Sequence[Column]) -> Schema:
    """Return the VSchema of the keyspace of sequences."""
    return {"tables": {name: {"type": "sequence"} for name in _counted(columns)}}


def sequence_tables(columns: Sequence[Column], cache: int = 1_000) -> list[str]:
    """Return the statements that make the sequences; of each, so many ids are handed out from memory."""
    return [
        statement
        for name in _counted(columns)
        for statement in (
            f"CREATE TABLE {name} (id INT PRIMARY KEY, next_id BIGINT, cache BIGINT) COMMENT 'vitess_sequence'",
            f"INSERT INTO {name} VALUES (0, 1, {cache})",  # noqa: S608 - names of our own tables
        )
    ]


def _counted(columns: Sequence[Column]) -> list[str]:
    return [_sequence(column.table) for column in columns if column.counts]


def _sequence(table: str) -> str:
    return f"{table}_ids"
