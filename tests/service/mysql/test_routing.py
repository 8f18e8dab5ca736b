"""Past one writer, member is the sharding key: every statement of a request says whose rows it is about.

The statements are found in the service's modules, and what a request really sends is recorded on its connections;
both are parsed.
"""

import json
from collections.abc import Iterable
from typing import Any

import pytest
import sqlglot
from harness import statements
from harness.statements import OF_MEMBERS
from sqlglot import exp

KEY = "member_id"

EVERYBODY = {
    "mysql.store.archive.LIMITS": "archive asks how far there is to go",
    "mysql.store.archive.PAGE": "archive looks at all grants, by their ids; it then locks their members by name",
    "mysql.store.archive.ADD_GRANTS": "archive copies a named member's grants, within its shard",
    "mysql.store.archive.ADD_ENTRIES": "the same with its entries",
    "mysql.store.audit.MEMBERS": "verify reads all members, page by page",
    "mysql.store.audit.GRANTS": "verify reads all grants, by their ids",
    "mysql.store.audit.USES": "verify reads all uses, and looks for what reverses them wherever it is",
    "mysql.store.audit.ARCHIVED_GRANTS": "verify reads all archived grants, by their ids",
    "mysql.store.audit.ARCHIVED_USES": "verify reads all archived uses, by their ids",
    "mysql.store.audit.ENDS": "verify asks how far there is to go",
    "mysql.store.sums.MOMENT": "liability asks how far there is to go",
    "mysql.store.sums.OUTSTANDING": "liability sums all grants, page by page",
    "mysql.store.sums.ENTRIES": "liability sums all entries, page by page",
    "mysql.store.sums.ARCHIVED_ENTRIES": "liability sums all archived entries, page by page",
    "mysql.store.sums.BALANCES": "liability sums all balances, page by page",
    "mysql.store.upkeep.DUE": "upkeep reads whatever is due, oldest first; it then locks those members by name",
    "mysql.store.upkeep.FORGET_OPEN": "upkeep deletes old answers, whoever got them",
    "mysql.store.upkeep.FORGET_CLOSED": "the same",
    "mysql.store.upkeep.OLD_DAY": "upkeep looks for a day of answers that is over, whoever got them",
}
"""What goes to every shard on purpose, and why. No request sends any of it."""

INSIDE = "JSON_TABLE"
UNSEEN = {f"mysql.store.rows.{name}" for name in ("ADD_MANY_GRANTS", "MOVE_MANY_GRANTS", "ADD_MANY_ENTRIES")}
"""What names its members inside a JSON document, over a hundred rows: only a router that sees into it could tell them
apart."""


def unrouted(text: str) -> list[str]:
    """Return the tables of members that a batch of statements reads or writes without saying whose rows."""
    return [
        table for statement in sqlglot.parse(text, dialect="mysql") if statement for table in _open(statement)
    ]


def _open(statement: exp.Expr) -> Iterable[str]:
    if isinstance(statement, exp.Insert):
        schema = statement.this
        # Rows out of a SELECT are nothing that a router can tell apart.
        seen = isinstance(statement.expression, exp.Values) or statement.find(exp.JSONTable)
        if not seen or KEY not in [column.name for column in schema.expressions]:
            yield schema.this.name
    if statement.find(exp.JSONTable):
        yield INSIDE
    for scope in statement.find_all(exp.Select, exp.Update, exp.Delete):
        tables = {one.alias_or_name: one.name for one in _tables(scope) if one.name in OF_MEMBERS}
        named = _named(scope)
        yield from (name for alias, name in tables.items() if alias not in named and "" not in named)


def _tables(scope: exp.Expr) -> Iterable[exp.Table]:
    """The tables of a statement itself, not those of the statements in it."""
    return (one for one in scope.find_all(exp.Table) if one.find_ancestor(*_SCOPES) is scope)


_SCOPES = (exp.Select, exp.Update, exp.Delete)


def _named(scope: exp.Expr) -> set[str]:
    """The tables (empty for the only one) whose member a statement says, or ties to another's whose member is said."""
    where = scope.args.get("where")
    named = _says(where.this) if where else set[str]()
    ties = [pair for join in scope.find_all(exp.Join) for pair in _ties(join.args.get("on"))]
    ties += _ties(where.this if where else None)
    outer = scope.find_ancestor(*_SCOPES)
    named |= {alias for pair in ties for alias in pair if outer and alias not in _aliases(scope)}
    for _ in ties:
        for one, other in ties:
            if one in named or other in named:
                named |= {one, other}
    return named


def _aliases(scope: exp.Expr) -> set[str]:
    return {one.alias_or_name for one in _tables(scope)}


def _says(condition: exp.Expr) -> set[str]:
    match condition:
        case exp.Paren():
            return _says(condition.this)
        case exp.And():
            return _says(condition.left) | _says(condition.right)
        case exp.Or():
            return _says(condition.left) & _says(condition.right)
        case exp.EQ() if _is_key(condition.left) and isinstance(condition.right, exp.Literal):
            return {condition.left.table}
        case exp.In() if _is_key(condition.this) and condition.expressions:
            return {condition.this.table}
    return set()


def _ties(condition: exp.Expr | None) -> list[tuple[str, str]]:
    if isinstance(condition, exp.Paren):
        return _ties(condition.this)
    if isinstance(condition, exp.And):
        return [*_ties(condition.left), *_ties(condition.right)]
    if isinstance(condition, exp.EQ) and _is_key(condition.left) and _is_key(condition.right):
        return [(condition.left.table, condition.right.table)]
    return []


def _is_key(one: exp.Expr) -> bool:
    return isinstance(one, exp.Column) and one.name == KEY


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("SELECT 1", []),
        ("SELECT * FROM point_ledger WHERE member_id = 'm' AND grant_id = 1", []),
        ("SELECT * FROM point_ledger WHERE grant_id = 1", ["point_ledger"]),
        ("SELECT * FROM point_ledger WHERE (member_id = 'm' AND a = 1) OR (member_id = 'n')", []),
        ("SELECT * FROM point_ledger WHERE member_id = 'm' OR a = 1", ["point_ledger"]),
        ("UPDATE point_ledger SET remaining = 1 WHERE grant_id IN (1, 2)", ["point_ledger"]),
        ("UPDATE point_ledger SET remaining = 1 WHERE member_id IN ('m') AND grant_id IN (1, 2)", []),
        ("INSERT INTO ledger_entry (member_id, a) VALUES ('m', 1)", []),
        ("INSERT INTO ledger_entry (a) VALUES (1)", ["ledger_entry"]),
        ("INSERT INTO ledger_entry (member_id, a) SELECT member_id, a FROM t", ["ledger_entry"]),
        ("DELETE FROM stored_answer WHERE day < 1", ["stored_answer"]),
        (
            "SELECT 1 FROM ledger_entry e JOIN point_ledger g ON g.member_id = e.member_id WHERE e.member_id = 'm'",
            [],
        ),
        (
            "SELECT 1 FROM ledger_entry e JOIN point_ledger g ON g.grant_id = e.grant_id WHERE e.member_id = 'm'",
            ["point_ledger"],
        ),
        (
            "SELECT (SELECT 1 FROM ledger_entry e WHERE e.member_id = g.member_id) FROM point_ledger g"
            " WHERE (g.member_id = 'm')",
            [],
        ),
        (
            "SELECT (SELECT 1 FROM ledger_entry e WHERE e.a = g.a) FROM point_ledger g WHERE g.member_id = 'm'",
            ["ledger_entry"],
        ),
    ],
)
def test_what_says_whose_rows_it_means(text: str, tables: list[str]) -> None:
    assert unrouted(text) == tables


def test_every_statement_can_be_routed_but_those_that_are_for_everybody() -> None:
    found = {
        one.name: tables for one in statements.all_of_them() if (tables := unrouted(values_in(one.text)))
    }
    inside = {name for name, tables in found.items() if tables == [INSIDE]}
    assert {name: found[name] for name in found if name not in EVERYBODY.keys() | inside} == {}
    assert inside == UNSEEN
    assert found.keys() >= EVERYBODY.keys(), "some need no exception any more, or are gone"


def test_no_statement_stands_where_that_test_does_not_look() -> None:
    assert statements.loose() == []
    assert len(statements.all_of_them()) > 20


def values_in(text: str) -> str:
    """A statement with a value wherever one goes."""
    return text.replace("%s", "1")


@pytest.mark.integration
async def test_every_statement_of_a_request_names_its_member(pod: Any, member_of: Any) -> None:
    sent: list[str] = []

    def recorded(opening: Any) -> Any:
        async def open_connection() -> Any:
            raw = await opening()
            query = raw.query

            async def recording(sql: Any, *more: Any, **named: Any) -> Any:
                sent.append(sql.decode() if isinstance(sql, bytes) else sql)
                return await query(sql, *more, **named)

            raw.query = recording
            return raw

        return open_connection

    async with pod(wrap=recorded) as running:
        one = member_of(running)
        grant = json.loads((await one.earn(100)).body)["grant_id"]
        await one.use(30, "order")
        await one.cancel_use(10, "order")
        other = json.loads((await one.earn(5)).body)["grant_id"]
        await one.cancel_earn(other)
        await one.views.balance(one.member_id)
        await one.views.grants(one.member_id, before=grant + 1000, limit=10, only_live=True)
        await one.views.history(one.member_id, before=2**62, limit=10)
        await one.views.order(one.member_id, "order")
    assert len(sent) > 12
    assert {text: found for text in sent if (found := unrouted(text))} == {}
