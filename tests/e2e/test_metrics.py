"""What dashboards and alerts ask for is there, in the real Prometheus, under load."""

import asyncio
import contextlib
import math
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from point_local.commands.demo import Client
from point_local.drill.load import Generator, Load
from point_local.drill.observe import get
from point_local.look import boards, dashboards
from point_local.programs.command import LocalError, wait
from point_local.stack import application, prometheus
from point_operator.model import api
from point_operator.resources.watching import alerts, operator_monitoring, panels

pytestmark = pytest.mark.e2e

RATE = 15.0
MINUTES = 3


@pytest.fixture(scope="module", autouse=True)
def _load() -> Iterator[None]:
    """A little of everything, all the time."""
    stopped = threading.Event()

    def everything() -> None:
        while not stopped.wait(1):
            with contextlib.suppress(LocalError), Client("m-metrics") as client:
                for _ in range(2):  # the second one is answered from what the first one was told
                    client.call(
                        *("POST", "/v1/points/earn", {"amount": 1}), role="service", headers=_key(time.time())
                    )
                client.call("POST", "/v1/points/use", {"order_id": f"o-{time.time()}", "amount": 99_999_999})
                client.call("GET", "/v1/points/orders/nothing")

    threads = [
        threading.Thread(target=everything),
        threading.Thread(target=lambda: asyncio.run(Generator(Load(RATE)).run(stopped.is_set))),
    ]
    prometheus.install_rules()
    prometheus.wait_ready()
    for thread in threads:
        thread.start()
    yield
    stopped.set()
    for thread in threads:
        thread.join(60)


def _key(now: float) -> dict[str, str]:
    return {"Idempotency-Key": f"every-{now // 2:.0f}"}


def _span() -> boards.Span:
    now = time.time()
    return boards.Span(now - 60 * MINUTES, now)


def _empty(queries: dict[str, str]) -> list[str]:
    """The names of the queries that give no number at all in the last minutes."""
    span = _span()

    def has_data(query: str) -> bool:
        found = prometheus.query_range(span.fill(query), span.start, span.end, span.step)
        return any(math.isfinite(float(value)) for one in found for _, value in one["values"])

    return [name for name, query in queries.items() if not has_data(query)]


def _all_have_data(what: str, queries: dict[str, str]) -> None:
    left = dict(queries)

    def none_left() -> bool:
        for name in set(left) - set(_empty(left)):
            del left[name]
        return not left

    try:
        # The pods may be seconds old: each has its first background work and its first scrapes before it.
        wait(f"{what} to have data", none_left, seconds=150, every=3)
    except LocalError:
        assert left == {}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("board", ["points.points", "point-operator"])
def test_every_query_of_every_panel_has_data(board: str) -> None:
    queries = {
        f"{panel['title']}: {target['legendFormat'] or target['refId']}": target["expr"]
        for panel in boards.dashboards()[board]["panels"]
        for target in panel.get("targets", [])
    }
    assert len(queries) > 10
    _all_have_data(board, queries)


def _point_service() -> api.PointService:
    found = get("pts", application.NAME)
    assert found is not None
    return api.parse(found)


def _compared(condition: str) -> str:
    """What a condition compares with a threshold, says to be absent, or asks to be there."""
    found = re.fullmatch(r"(?:absent\(|on \(\) )(?P<query>.*?)\)?|(?P<left>.*) (?:>=?|<) [^)]*", condition)
    assert found is not None, condition
    return found["query"] or found["left"]


@pytest.mark.timeout(240)
def test_every_alert_compares_something_that_is_there() -> None:
    words = (
        (alerts.ALERTS, alerts.values(_point_service())),
        (operator_monitoring.ALERTS, operator_monitoring.values("point-system")),
    )
    queries = {
        f"{alert.name}: {condition}": panels.fill(_compared(condition), chosen)
        for made, chosen in words
        for alert in made
        for condition in alert.conditions
    }
    assert len(queries) > 20
    _all_have_data("every alert", queries)


def test_prometheus_has_every_rule_and_finds_nothing_wrong_with_it() -> None:
    wanted = [rule.get("alert", rule.get("record")) for rule in alerts.group(_point_service())["rules"]]
    wanted += [alert.name for alert in operator_monitoring.ALERTS]

    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.groups() for rule in group["rules"]]

    wait(
        "each rule to be looked at", lambda: all(rule["health"] != "unknown" for rule in rules()), seconds=90
    )
    assert sorted(rule["name"] for rule in rules()) == sorted(wanted)
    assert [rule for rule in rules() if rule["health"] != "ok"] == []


def test_the_dashboards_can_be_drawn(tmp_path: Path) -> None:
    pictures = dashboards.run(MINUTES, tmp_path)
    assert [file.name for file in pictures] == ["point-operator.png", "points.points.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in pictures)


def test_every_pod_of_the_service_is_scraped_through_its_proxy() -> None:
    wait(
        "each pod is scraped",
        lambda: len(prometheus.query('count by (pod) (point_requests_in_flight{namespace="points"})')) >= 2,
        seconds=60,
    )
    ports = prometheus.query('count by (instance) (up{job="kubernetes-pods",namespace="points"} == 1)')
    assert {p["metric"]["instance"].rsplit(":", 1)[1] for p in ports} == {"15020"}
