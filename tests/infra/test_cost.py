"""The cost table follows what is declared and stands beside the budget's figures."""

from typing import Any

import pytest
from point_infra import cost, prices
from point_infra.inventory import Declared
from point_infra.prices import HOURS, Price


def _all_prices() -> list[Price]:
    tables = [prices.NODE, prices.DATABASE_INSTANCE, prices.CACHE_NODE]
    single = [v for v in vars(prices).values() if isinstance(v, Price)]
    return [*single, *(p for t in tables for p in t.values())]


def test_every_price_names_its_source() -> None:
    assert len(_all_prices()) > 25
    assert all(p.usd > 0 and p.source for p in _all_prices())


def test_the_budget_s_figures_are_beside_ours() -> None:
    assert cost.BUDGET == {
        "EKS and nodes": 300,
        "Aurora": 400,
        "ElastiCache": 250,
        "Load balancer": 50,
        "Other": 100,
    }
    assert sum(cost.BUDGET.values()) == 1100


def test_prod_is_near_the_budget_but_for_the_nat_gateways_it_leaves_out(updated: Any) -> None:
    sums = updated.outputs["monthlyCostByService"]
    for service, budget in cost.BUDGET.items():
        assert sums[service] == pytest.approx(budget, rel=0.6), service
    without_nat = updated.outputs["monthlyCostUsd"] - sums["NAT gateways"]
    assert without_nat == pytest.approx(1100, rel=0.05)


def test_dev_costs_less_than_prod(updated: Any, dev: Any) -> None:
    assert dev.outputs["monthlyCostUsd"] < updated.outputs["monthlyCostUsd"]


def test_nodes_are_counted_as_declared() -> None:
    group = Declared(
        "aws:eks/nodeGroup:NodeGroup",
        "a",
        {"instance_types": ["m5.large"], "scaling_config": {"desired_size": 2}},
    )
    lines = cost.lines([group], cost.Usage(0, 0, 0, 0, 0, 0, 0))
    assert [(x.what, x.quantity) for x in lines if x.service == "EKS and nodes"] == [
        ("nodes m5.large", 2 * HOURS)
    ]


def test_valkey_costs_four_fifths_of_redis() -> None:
    def group(engine: str) -> list[cost.Line]:
        inputs = {
            "engine": engine,
            "node_type": "cache.r5.large",
            "node_group_configurations": [{"replica_count": 1}],
        }
        lines = cost.lines([Declared("aws:elasticache/replicationGroup:ReplicationGroup", "c", inputs)])
        return [x for x in lines if x.service == "ElastiCache"]

    assert cost.total(group("valkey")) == pytest.approx(0.8 * cost.total(group("redis")), abs=0.01)
    assert cost.total(group("redis")) == pytest.approx(250, abs=1)


def test_the_table_marks_estimates_and_its_date() -> None:
    table = cost.table(cost.lines([]))
    assert "budget: 1,100" in table
    assert prices.DATED in table
    assert "~" in table
