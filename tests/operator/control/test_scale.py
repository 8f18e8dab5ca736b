"""Many PointServices on one API server: how long until all are right, how much memory, how quiet afterwards.

20 of them in the gate, 200 in `make test-long` (docs/operator.md has the figures).
"""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from harness.sizes import size
from point_operator.model import kinds

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(300)]

COUNT = size("SCALE", 20, 200)
SECONDS, MEBIBYTES = 60, 150


@pytest.fixture
def tenants(make_tenant: Any, operator: Any, kube: Any) -> Iterator[list[Any]]:
    """Many PointServices, made while no operator runs."""
    operator.stop()
    made = [make_tenant() for _ in range(COUNT)]
    for one in made:
        one.create()
    yield made
    operator.start()
    for one in made:
        kube.delete(kinds.POINT_SERVICE, one.namespace, "points")
    for one in made:
        kube.wait("it to be gone", lambda one=one: one.get(kinds.POINT_SERVICE) is None, 60)


def test_many_start_together_and_then_are_quiet(
    tenants: list[Any], server: Any, account: Path, process: Any, kube: Any
) -> None:
    first = process(server, account, "--no-lease", name="first")
    took, memory = _until_all_were_looked_at(first, kube)
    for one in tenants:
        assert one.get(kinds.VIRTUAL_SERVICE) is not None
    print(f"\n{COUNT} PointServices: all children after {took:.1f} s, {memory:.0f} MiB")
    assert took < SECONDS
    assert memory < MEBIBYTES
    second = process(server, account, "--no-lease", name="second")
    took, memory = _until_all_were_looked_at(second, kube, writes=0)
    print(
        f"{COUNT} PointServices: another process has found all in order after {took:.1f} s, {memory:.0f} MiB"
    )


def _until_all_were_looked_at(operator: Any, kube: Any, writes: int | None = None) -> tuple[float, float]:
    """Run an operator until it has looked at everything; return seconds and MiB."""
    started = time.monotonic()
    operator.start()
    try:
        kube.wait(
            "a look at each",
            lambda: (
                operator.metric("point_operator_reconcile_duration_seconds_count") >= COUNT
                and operator.metric("point_operator_queue_waiting") == 0
            ),
            2 * SECONDS,
        )
        took = time.monotonic() - started
        if writes is not None:
            assert operator.metric("point_operator_writes_total") == writes
        return took, psutil.Process(operator.process.pid).memory_info().rss / 2**20
    finally:
        operator.stop()


def test_one_has_all_its_children_at_once(make_tenant: Any) -> None:
    took: list[float] = []
    for _ in range(15):
        tenant = make_tenant()
        started = time.monotonic()
        tenant.create()
        tenant.kube.wait("the route, which comes last", lambda one=tenant: one.get(kinds.VIRTUAL_SERVICE))
        took.append(time.monotonic() - started)
    print(f"\nfrom apply to the last child: median {statistics.median(took):.2f} s, most {max(took):.2f} s")
