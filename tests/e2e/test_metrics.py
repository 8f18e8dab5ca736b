"""What the dashboards and alerts ask for is there, in the real Prometheus, under load."""

import json
import re
from typing import Any

import pytest
from point_local import application, prometheus
from point_local.command import LocalError, wait
from point_local.demo import Client
from point_local.observe import get

pytestmark = pytest.mark.e2e

METRIC = re.compile(
    r"\b(point_[a-z_]+|process_[a-z_]+|container_[a-z_]+|istio_[a-z_]+|envoy_[a-z_]+)\b(?=\{|\[)"
)


def queries() -> list[str]:
    """Every query of the dashboard that the operator made."""
    config = get("configmap", f"{application.NAME}-dashboard")
    assert config is not None
    models: list[dict[str, Any]] = [json.loads(text) for text in config["data"].values()]
    return [t["expr"] for m in models for p in m["panels"] for t in p.get("targets", [])]


@pytest.fixture
def _load(member: Client) -> None:
    """A little of everything: earns, uses, a replay, refusals, reads."""

    def everything() -> None:
        member.call("POST", "/v1/points/earn", {"amount": 10}, role="service")
        for _ in range(2):
            member.call(
                "POST", "/v1/points/earn", {"amount": 1}, role="service", headers={"Idempotency-Key": "k"}
            )
        member.call("POST", "/v1/points/use", {"order_id": "o-1", "amount": 1})
        member.call("POST", "/v1/points/use", {"order_id": "o-2", "amount": 99_999})
        member.call("GET", "/v1/points")

    def scraped() -> bool:
        everything()
        return len(prometheus.query('rate(point_requests_total{namespace="points"}[1m])')) > 0

    wait("Prometheus has seen the load", scraped, seconds=60, every=0.5)
    wait(
        "and the replays",
        lambda: (everything(), prometheus.query("rate(point_idempotent_replays_total[1m])"))[1],
        seconds=60,
    )


@pytest.mark.usefixtures("_load")
def test_every_panel_has_data() -> None:
    asked = queries()
    assert len(asked) >= 10

    def empty() -> list[str]:
        return [q for q in asked if not prometheus.query(re.sub(r"\$__rate_interval", "1m", q))]

    # The pods may be seconds old: each has its first round of background work and its first scrapes before it.
    try:
        wait("every panel has data", lambda: not empty(), seconds=45)
    except LocalError:
        assert empty() == []


def test_every_metric_that_is_asked_for_exists() -> None:
    names = {name for query in queries() for name in METRIC.findall(query)}
    assert names
    missing = [n for n in names if not prometheus.query(f"count({n})")]
    assert missing == []


def test_every_pod_of_the_service_is_scraped_through_its_proxy() -> None:
    wait(
        "each pod is scraped",
        lambda: len(prometheus.query('count by (pod) (point_requests_in_flight{namespace="points"})')) >= 2,
        seconds=60,
    )
    ports = prometheus.query('count by (instance) (up{job="kubernetes-pods",namespace="points"} == 1)')
    assert {p["metric"]["instance"].rsplit(":", 1)[1] for p in ports} == {"15020"}
