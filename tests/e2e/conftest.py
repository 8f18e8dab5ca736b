"""The running stack: the one that `make up` made, or one made now when there is none."""

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from point_local import application, cluster, edge, preflight
from point_local import up as stack
from point_local.command import kubectl
from point_local.demo import Client


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
    quiet = _sent_in_a_quiet_second() == 0
    before = _sent()
    yield
    if quiet:  # elsewhere other programs use the uplink, and the counter says nothing about ours
        assert _sent() == before, "packets left this machine while the tests ran"


@pytest.fixture
def member() -> Iterator[Client]:
    """A member nobody has used before."""
    with Client(f"m-{os.urandom(4).hex()}") as client:
        yield client


@pytest.fixture
def pointservice() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Patch the spec of the PointService; put back as the example has it when the test ends."""

    def patch(spec: dict[str, Any]) -> None:
        kubectl(
            "patch",
            "pts",
            application.NAME,
            "-n",
            application.NAMESPACE,
            "--type=merge",
            "-p",
            json.dumps({"spec": spec}),
        )

    yield patch
    application.apply_pointservice()
    application.wait_ready()


def _sent() -> int:
    """Packets sent by the interface of the default route; 0 without one."""
    with open("/proc/net/route") as routes:
        uplinks = [f[0] for f in map(str.split, routes) if f[1] == "00000000"]
    if not uplinks:
        return 0
    with open(f"/sys/class/net/{uplinks[0]}/statistics/tx_packets") as counter:
        return int(counter.read())


def _sent_in_a_quiet_second() -> int:
    before = _sent()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline and _sent() == before:
        time.sleep(0.1)
    return _sent() - before
