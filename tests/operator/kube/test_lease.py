"""One of the replicas works, another takes over, and nobody works without the Lease."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from point_operator.kube import connection
from point_operator.kube.cluster import Cluster
from point_operator.kube.lease import DURATION, Lease
from point_operator.model import kinds

pytestmark = pytest.mark.integration


@pytest.fixture
def pair(server: Any, account: Path, process: Any) -> Iterator[tuple[Any, Any]]:
    """Two replicas; the first one holds the Lease."""
    one, two = process(server, account, name="one"), process(server, account, name="two")
    one.start()
    _wait(lambda: one.metric("point_operator_leader") == 1, 15)
    two.start()
    yield one, two
    for replica in (one, two):
        if replica.process.poll() is None:
            replica.process.send_signal(signal.SIGCONT)
            replica.stop()


def test_only_the_holder_works(pair: tuple[Any, Any]) -> None:
    one, two = pair
    _wait(lambda: one.metric("point_operator_reconciles_total") >= 0, 5)
    assert two.metric("point_operator_leader") == 0
    assert two.metric("point_operator_reconciles_total") == 0


def test_a_holder_that_is_asked_to_end_hands_over_at_once(pair: tuple[Any, Any]) -> None:
    one, two = pair
    started = time.monotonic()
    assert one.stop() == 0
    _wait(lambda: two.metric("point_operator_leader") == 1, 5)
    assert time.monotonic() - started < 5


def test_a_holder_that_is_killed_is_replaced_within_15_seconds(pair: tuple[Any, Any]) -> None:
    one, two = pair
    one.process.kill()
    _wait(lambda: two.metric("point_operator_leader") == 1, 15)


def test_a_holder_that_hung_ends_when_it_wakes(pair: tuple[Any, Any]) -> None:
    one, two = pair
    one.process.send_signal(signal.SIGSTOP)
    _wait(lambda: two.metric("point_operator_leader") == 1, 15)
    one.process.send_signal(signal.SIGCONT)
    assert one.process.wait(3) == 70


def test_the_lease_tells_who_holds_it(pair: tuple[Any, Any], kube: Any) -> None:
    assert pair[0].metric("point_operator_leader") == 1
    lease = kube.get(kinds.LEASE, "point-system", "point-operator")
    assert lease["spec"]["holderIdentity"] == "one"


async def test_a_holder_is_silent_from_when_it_was_read_of_not_from_when_it_was_asked_for(
    server: Any, kube: Any
) -> None:
    spec = {"holderIdentity": "one", "acquireTime": "2026-01-01T00:00:00.000000Z"}
    kube.create(kinds.LEASE, {"metadata": {"name": "slow", "namespace": "default"}, "spec": spec})
    apiserver = server.processes["kube-apiserver"]
    async with await connection.connect(str(server.kubeconfig)) as client:
        standby = Lease(Cluster(client), "default", "slow", "two")
        apiserver.send_signal(signal.SIGSTOP)
        acquiring = asyncio.create_task(standby.acquire())
        await asyncio.sleep(3)  # so long the answer takes
        answered = time.monotonic()
        apiserver.send_signal(signal.SIGCONT)
        await acquiring
        assert time.monotonic() - answered >= DURATION
        await standby.release()


def _wait(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
