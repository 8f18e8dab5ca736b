"""These tests take the stack away; they put it back when it was there."""

import os
from collections.abc import Iterator

import pytest
from point_local.commands import preflight
from point_local.commands import up as stack
from point_local.machine import cluster


@pytest.fixture
def bare_machine() -> None:
    """A machine on which nothing of the stack runs."""
    stack.down()


@pytest.fixture(scope="session", autouse=True)
def stack_put_back() -> Iterator[None]:
    """Skip with the reason where the stack can't run; afterwards the machine is as it was."""
    was_up = cluster.running()
    problems = preflight.problems()
    if problems and not os.environ.get("CI"):
        pytest.skip("; ".join(problems))
    yield
    if was_up and not os.environ.get("CI"):
        stack.up()
