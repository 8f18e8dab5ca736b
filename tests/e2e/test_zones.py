"""Where pods run, and what the resource says of itself."""

from collections.abc import Callable
from typing import Any

import pytest
from point_local.drill.observe import get, items, service_pods, zone
from point_local.programs.command import kubectl, wait

pytestmark = pytest.mark.e2e


def test_the_resource_is_ready_with_a_url() -> None:
    kubectl("wait", "--for=condition=Ready", "pts/points", "-n", "points", "--timeout=60s")
    header, row = kubectl("get", "pts", "-A").splitlines()[:2]
    columns = dict(zip(header.split(), row.split(), strict=True))
    assert columns["READY"] == "True"
    assert columns["URL"] == "https://points.localhost"


def test_two_pods_run_in_two_zones() -> None:
    wait("two pods serve", lambda: len(service_pods()) == 2, seconds=90)
    assert len({zone(p) for p in service_pods()}) == 2


def test_three_pods_run_in_three_zones(pointservice: Callable[[dict[str, Any]], None]) -> None:
    pointservice({"autoscaling": {"minReplicas": 3}})
    wait("three pods serve", lambda: len(service_pods()) == 3, seconds=90)
    assert {zone(p) for p in service_pods()} == {f"ap-northeast-2{z}" for z in "abc"}


def test_what_new_pods_need_is_not_in_one_zone_alone() -> None:
    """Without istiod no pod with a proxy can be made."""
    wait("two istiods run", lambda: len(_zones("istio-system", "app=istiod")) == 2, seconds=90)
    assert len(set(_zones("istio-system", "app=istiod"))) == 2


def _zones(namespace: str, selector: str) -> list[str]:
    pods = items("pods", namespace, selector)
    return [
        zone(p)
        for p in pods
        if p["status"]["phase"] == "Running" and "deletionTimestamp" not in p["metadata"]
    ]


def test_the_autoscaler_reads_the_application_container() -> None:
    def current() -> Any:
        hpa = get("hpa", "points")
        return hpa and hpa["status"].get("currentMetrics")

    wait("the autoscaler has a reading", current, seconds=90)
    hpa = get("hpa", "points")
    assert hpa is not None
    assert (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]) == (2, 10)
    (metric,) = hpa["spec"]["metrics"]
    assert metric["type"] == "ContainerResource"
    assert metric["containerResource"]["target"]["averageUtilization"] == 70


def test_the_resource_explains_itself() -> None:
    assert "requestsPerSecond" in kubectl("explain", "pts.spec.gateway.rateLimit")
