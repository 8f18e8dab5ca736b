"""The running stack: the one that `make up` made, or one made now when there is none."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness.neighbour import Neighbour
from harness.uplink import Uplink
from point_local.commands import preflight
from point_local.commands import up as stack
from point_local.commands.demo import Client
from point_local.drill.observe import get
from point_local.machine import cluster
from point_local.programs.command import kubectl
from point_local.stack import application, edge


@pytest.fixture(scope="session", autouse=True)
def running_stack() -> None:
    """Skip with the reason where the stack can't run; in CI that is a failure."""
    if cluster.running() and edge.healthy(application.hosts()[0]):
        return
    problems = preflight.problems()
    if problems and not os.environ.get("CI"):
        pytest.skip("; ".join(problems))
    stack.up()


@pytest.fixture(scope="session", autouse=True)
def silent_uplink(running_stack: None) -> Iterator[None]:  # noqa: ARG001  (after the stack is up)
    """Nothing that these tests do may send a packet off this machine."""
    with Uplink() as uplink:
        yield
    if uplink.quiet:  # where other programs use the uplink, what left says nothing about ours
        assert not uplink.sent, "packets left this machine while the tests ran"


@pytest.fixture
def member() -> Iterator[Client]:
    """A member nobody has used before."""
    with Client(f"m-{os.urandom(4).hex()}") as client:
        yield client


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    """A second PointService at the same gateway."""
    made = Neighbour()
    try:
        took = made.apply()
        print(f"\nfrom apply to Ready: {took:.1f} s")
        made.wait_served()
        yield made
    finally:
        made.remove()


@pytest.fixture
def pointservice() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Patch the spec of the PointService; put back whole when the test ends: an apply would leave what was added."""
    name = ("pts", application.NAME, "-n", application.NAMESPACE)
    before = (get("pts", application.NAME) or {})["spec"]

    def patch(spec: dict[str, Any]) -> None:
        kubectl("patch", *name, "--type=merge", "-p", json.dumps({"spec": spec}))

    yield patch
    operation = [{"op": "replace", "path": "/spec", "value": before}]
    kubectl("patch", *name, "--type=json", "-p", json.dumps(operation))
    application.wait_ready()
