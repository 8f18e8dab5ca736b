"""The cost table follows what is declared and stands beside the budget's figures."""

import asyncio
from typing import Any

import pytest
from point_infra import offline
from point_infra.cost import estimate, prices
from point_infra.cost.inventory import Declared
from point_infra.cost.prices import HOURS, Price


def _all_prices() -> list[Price]:
    tables = (prices.NODE, prices.DATABASE_INSTANCE, prices.CACHE_NODE, prices.RATE)
    return [price for table in tables for price in table.values()]


def test_every_price_names_its_source() -> None:
    assert len(_all_prices()) > 25
    assert all(p.usd > 0 and p.source for p in _all_prices())


def test_the_budget_s_figures_are_beside_ours() -> None:
    assert estimate.BUDGET == {
        "EKS and nodes": 300,
        "Aurora": 400,
        "ElastiCache": 250,
        "Load balancer": 50,
        "Other": 100,
    }
    assert sum(estimate.BUDGET.values()) == 1100


def test_prod_is_of_the_budget_s_size_and_over_it_where_the_estimates_say_so(updated: Any) -> None:
    sums = updated.outputs["monthlyCostByService"]
    for service, budget in estimate.BUDGET.items():
        assert sums[service] == pytest.approx(budget, rel=0.6), service
    assert sums["NAT gateways"] > 100  # which the budget leaves out
    assert updated.outputs["monthlyCostUsd"] < 1700


def test_the_table_without_the_engine_is_that_of_the_program(updated: Any, dev: Any) -> None:
    lines = {stack: estimate.lines(offline.declared(stack)) for stack in ("prod", "dev")}
    assert estimate.total(lines["prod"]) == updated.outputs["monthlyCostUsd"]
    assert estimate.total(lines["dev"]) == dev.outputs["monthlyCostUsd"]
    compared = estimate.compare(lines).splitlines()
    assert compared[0].split() == ["USD/month", "budget", "prod", "dev"]
    assert compared[-1].split()[:2] == ["total", "1,100"]
    assert any(row.split()[:3] == ["NAT", "gateways", "-"] for row in compared)


def test_the_table_is_made_in_a_process_that_has_run_an_event_loop_before() -> None:
    asyncio.run(asyncio.sleep(0))
    assert offline.declared("dev")


def test_dev_costs_less_than_prod(updated: Any, dev: Any) -> None:
    assert dev.outputs["monthlyCostUsd"] < updated.outputs["monthlyCostUsd"]


def test_nodes_are_counted_as_declared() -> None:
    group = Declared(
        "aws:eks/nodeGroup:NodeGroup",
        "a",
        {"instance_types": ["m5.large"], "scaling_config": {"min_size": 2}},
    )
    lines = estimate.lines([group], estimate.Usage(requests_per_second=0, nat_gb=0))
    assert [(x.what, x.quantity) for x in lines if x.service == "EKS and nodes"] == [
        ("nodes m5.large", 2 * HOURS)
    ]


def test_traffic_and_logs_follow_from_the_requests() -> None:
    usage = estimate.Usage()
    assert usage.requests_millions == pytest.approx(78.84)
    everything = estimate.Usage(sampled=1)
    assert 140 < everything.logs_gb < 250  # three lines a request
    assert usage.logs_gb < 0.5 * everything.logs_gb
    assert estimate.Usage(requests_per_second=60).traffic_gb == 2 * usage.traffic_gb
    assert estimate.Usage(requests_per_second=10).egress_gb == 0


def test_valkey_costs_four_fifths_of_redis() -> None:
    def group(engine: str) -> list[estimate.Line]:
        inputs = {
            "engine": engine,
            "node_type": "cache.r5.large",
            "node_group_configurations": [{"replica_count": 1}],
        }
        lines = estimate.lines([Declared("aws:elasticache/replicationGroup:ReplicationGroup", "c", inputs)])
        return [x for x in lines if x.service == "ElastiCache"]

    assert estimate.total(group("valkey")) == pytest.approx(0.8 * estimate.total(group("redis")), abs=0.01)
    assert estimate.total(group("redis")) == pytest.approx(
        2 * HOURS * prices.CACHE_NODE["cache.r5.large"].usd, abs=0.01
    )


def test_the_table_marks_estimates_and_its_date() -> None:
    table = estimate.table(estimate.lines([]))
    assert "budget: 1,100" in table
    assert prices.DATED in table
    assert "~" in table
