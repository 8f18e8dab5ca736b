"""Many PointServices on one API server: how long until all are right, how much memory, how quiet afterwards."""

import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from point_operator import kinds

pytestmark = pytest.mark.integration

COUNT = int(os.environ.get("POINT_SCALE", "40"))
USER = "system:serviceaccount:point-system:point-operator"


def test_many_start_together(
    server: Any, account: Path, process: Any, make_tenant: Any, operator: Any, kube: Any
) -> None:
    operator.stop()
    tenants = [make_tenant() for _ in range(COUNT)]
    for one in tenants:
        one.create()
    cold = process(server, account, "--no-lease", name="cold")
    started = time.monotonic()
    cold.start()
    try:
        for one in tenants:
            kube.wait("its route, which comes last", lambda one=one: one.get(kinds.VIRTUAL_SERVICE), 120)
        took = time.monotonic() - started
        memory = psutil.Process(cold.process.pid).memory_info().rss / 2**20
        print(f"\n{COUNT} PointServices: all children after {took:.1f} s, {memory:.0f} MiB")
        assert took < 60
        assert memory < 150
    finally:
        cold.stop()
        operator.start()
    for one in tenants:
        kube.delete(kinds.POINT_SERVICE, one.namespace, "points")
    for one in tenants:
        kube.wait("it to be gone", lambda one=one: one.get(kinds.POINT_SERVICE) is None, 60)
