"""The threat model names tests, and they are there."""

import ast
import re

import pytest
from point_local.programs import paths

NAMED = sorted(
    set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", (paths.ROOT / "docs" / "security.md").read_text()))
)


def test_every_threat_and_every_hop_names_one() -> None:
    rows = [
        line
        for part in re.split(r"^## ", (paths.ROOT / "docs" / "security.md").read_text(), flags=re.MULTILINE)
        if part.startswith(("From ", "On the wire"))
        for line in part.splitlines()[4:]
        if line.startswith("|")
    ]
    assert len(rows) > 20
    assert [row for row in rows if "::test_" not in row] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse((paths.ROOT / "tests" / file).read_text())
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in functions
