"""Every AWS type that the program declares was looked up in AWS's documentation, or is named as not looked up."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.models.account import RUNNER

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "infrastructure.md"


def test_every_type_that_is_declared_is_in_the_walk(
    updated: Any, dev: Any, run_stack: Callable[..., Any]
) -> None:
    runner = run_stack("dev", preview=False, stage="foundation", **RUNNER)
    text = (
        DOCUMENT.read_text().split("\n## A reader's walk against AWS's documentation\n")[1].split("\n## ")[0]
    )
    table, _, rest = text.partition("Not looked up:")
    looked_up = {
        t for row in re.findall(r"^\| (\w+:[\w:, ]+?) \|", table, re.MULTILINE) for t in row.split(", ")
    }
    not_looked_up = set(re.findall(r"\w+:\w+", rest))
    parts = [
        r.type.split(":")
        for run in (updated, dev, runner)
        for r in run.resources
        if r.type.startswith("aws:")
    ]
    declared = {f"{module.split('/')[0]}:{name}" for _, module, name in parts}
    assert declared - looked_up - not_looked_up == set()
    assert looked_up & not_looked_up == set()
    assert (looked_up | not_looked_up) - declared == set()
