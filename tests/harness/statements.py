"""What the service can say to its database: every statement that its modules hold, found by reading them."""

import ast
import importlib
import pkgutil
import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import point_service
from point_service.mysql.store.answers import BY_DAY, Answers
from point_service.mysql.store.questions import QUESTIONS

OF_MEMBERS = (
    "member_point",
    "point_ledger",
    "ledger_entry",
    "archived_grant",
    "archived_entry",
    "idempotency",
    "idempotency_closed",
    "stored_answer",
    "movement_reference",
)
SAID = re.compile(rf"(FROM|INTO|UPDATE|JOIN)\b.*\b({'|'.join(OF_MEMBERS)})\b", re.DOTALL)
# What the code puts into a statement as it runs; what may be left out is.
FILLED: Mapping[str, str] = {
    **dict.fromkeys(("", "places", "members"), "%s, %s"),
    "rows": "(%s, %s)",
    "cases": " WHEN %s THEN %s" * 2,
    **dict.fromkeys(("live", "stripe", "after"), ""),
}
ASKED = (*QUESTIONS, *Answers(by_day=False).questions, *Answers().questions)
DAYS = {BY_DAY: Answers().questions[-1].statement}  # of the usual retention
SCHEMA = ("point_service.mysql.migrate", "point_service.mysql.migrations")
"""Tables are made and changed in each shard by itself: there is nothing to route."""


class Statement(NamedTuple):
    """A statement about members, and the constant that holds it (`mysql.store.reads.BALANCE`)."""

    name: str
    text: str


def all_of_them() -> list[Statement]:
    """Return each statement about members as it is sent, with `%s` where a value goes.

    A constant counts when something else than another statement uses it; one that nothing but statements use is a
    part of them. Raises KeyError for a part that `FILLED` doesn't know.
    """
    modules = dict(_modules())
    used = {name for module in modules.values() for name in _used(module)}
    return [
        Statement(f"{module.removeprefix('point_service.')}.{name}", text)
        for module, name in sorted(used)
        if module in modules
        and isinstance(said := vars(modules[module]).get(name), str)
        and SAID.search(said)
        for text in _as_sent(said)
    ]


def loose() -> list[str]:
    """Return where a statement about members stands in the middle of the code, where `all_of_them` can't see it."""
    return [
        f"{name}:{node.lineno}"
        for name, module in _modules()
        for top in _tree(module).body
        if _constant(module, top) is None
        for node in ast.walk(top)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SAID.search(node.value)
    ]


def _modules() -> Iterator[tuple[str, ModuleType]]:
    for found in pkgutil.walk_packages(point_service.__path__, "point_service."):
        if not found.name.startswith(SCHEMA) and not found.name.endswith("__main__"):
            yield found.name, importlib.import_module(found.name)


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(Path(module.__file__ or "").read_text())


def _constant(module: ModuleType, node: ast.stmt) -> str | None:
    """Return the name that a statement of a module gives to a string."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name if isinstance(vars(module).get(name), str) else None
    return None


def _used(module: ModuleType) -> Iterator[tuple[str, str]]:
    """The names, each with its module, that a module uses elsewhere than in its own strings."""
    tree = _tree(module)
    imported: dict[str, tuple[str, str]] = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    for top in tree.body:
        if _constant(module, top) is not None:
            continue
        for node in ast.walk(top):
            match node:
                case ast.Name(id=name, ctx=ast.Load()):
                    yield imported.get(name, (module.__name__, name))
                case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in imported:
                    yield ".".join(imported[name]), attribute


def _as_sent(said: str) -> Iterator[str]:
    """A constant as it is sent: a question to members as they are asked, two at once."""
    said = DAYS.get(said, said)
    questions = [question for question in ASKED if said in (question.statement, question.condition)]
    if questions:
        yield from (question.ask([(), ()], 1)[0] for question in questions)
        return
    fields = {field for _, field, _, _ in string.Formatter().parse(said) if field is not None}
    positional = [FILLED[""]] if "" in fields else []
    yield said.format(*positional, **{field: FILLED[field] for field in fields if field})
