"""The cost table follows what is declared and stands beside the budget's figures."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from infra.models.account import RUNNER
from point_infra import offline
from point_infra.cost import estimate, prices, usage
from point_infra.cost.inventory import Declared
from point_infra.cost.prices import HOURS
from point_infra.cost.usage import Usage

SEOUL = prices.load("ap-northeast-2")
SHIPPED = sorted(file.stem for file in prices.FOLDER.glob("*-*.json"))


@pytest.mark.parametrize("region", SHIPPED)
def test_every_price_names_its_source(region: str) -> None:
    known = prices.load(region)
    found = [p for table in (known.node, known.database, known.cache, known.rate) for p in table.values()]
    assert len(found) > 25
    assert all(p.usd and p.usd > 0 and p.source for p in found)
    assert known.rate.keys() == SEOUL.rate.keys()
    assert known.dated > "2026"


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
    lines = {
        stack: estimate.lines(offline.declared(stack), SEOUL, usage.of("lean")) for stack in ("prod", "dev")
    }
    assert estimate.total(lines["prod"]) == updated.outputs["monthlyCostUsd"]
    assert estimate.total(lines["dev"]) == dev.outputs["monthlyCostUsd"]
    compared = estimate.compare(lines).splitlines()
    assert compared[0].split() == ["USD/month", "budget", "prod", "dev"]
    assert compared[-1].split()[:2] == ["total", "1,100"]
    assert any(row.split()[:3] == ["NAT", "gateways", "-"] for row in compared)


def test_the_table_is_made_in_a_process_that_has_run_an_event_loop_before() -> None:
    asyncio.run(asyncio.sleep(0))
    assert offline.declared("dev")


def test_lean_and_trial_keep_to_their_budgets_in_seoul(run_stack: Callable[..., Any], dev: Any) -> None:
    assert dev.outputs["monthlyCostUsd"] <= 700
    trial = run_stack("trial", preview=False).outputs
    assert trial["monthlyCostUsd"] <= 350
    assert trial["monthlyCostIsComplete"]


@pytest.mark.parametrize(("stack", "region"), [("prod", "us-east-1"), ("dev", "eu-central-1")])
def test_other_regions_have_prices_of_their_own(
    run_stack: Callable[..., Any], stack: str, region: str
) -> None:
    outputs = run_stack(stack, preview=False, region=region).outputs
    assert outputs["monthlyCostIsComplete"]
    assert outputs["monthlyCostUsd"] != offline_total(stack)


def offline_total(stack: str) -> float:
    settings = offline.settings(stack)
    return estimate.total(estimate.lines(offline.declared(stack), SEOUL, usage.of(settings.profile)))


def test_a_price_that_nobody_has_said_is_a_line_that_says_so_and_the_total_is_at_least(
    run_stack: Callable[..., Any],
) -> None:
    outputs = run_stack("dev", preview=False, region="sa-east-1", nodeInstanceType="m8g.4xlarge").outputs
    assert not outputs["monthlyCostIsComplete"]
    unknown = prices.load("sa-east-1")
    priced = estimate.lines(offline.declared("dev"), unknown, usage.of("lean"))
    table = estimate.table(priced, unknown, usage.of("lean"))
    assert "not known" in table
    assert "at least: some prices are not known" in table
    assert ">" in estimate.compare({"dev": priced}).splitlines()[-1]


def test_a_serverless_database_costs_its_floor_and_spot_nodes_a_share() -> None:
    changes = {"databaseInstanceClass": "db.serverless", "databaseMinCapacity": "1"}
    found = estimate.lines(offline.declared("dev", **changes), SEOUL, usage.of("lean"))
    priced = {line.what: line for line in found}
    assert priced["capacity units at rest"].quantity == 2 * 1 * HOURS
    spot = SEOUL.node["t4g.large"].times(SEOUL.rate["spot"], "spot")
    assert spot.usd == pytest.approx(0.35 * 0.0832)
    assert spot.estimate


def test_a_runner_costs_the_minutes_that_it_runs() -> None:
    usual = usage.of("lean")
    assert not [x for x in estimate.lines(offline.declared("dev"), SEOUL, usual) if x.what == "runner"]
    (line,) = [
        x for x in estimate.lines(offline.declared("dev", **RUNNER), SEOUL, usual) if x.what == "runner"
    ]
    assert (line.quantity, line.usd, line.unit) == (1200, pytest.approx(12), "min")


def test_nodes_are_counted_as_declared() -> None:
    group = Declared(
        "aws:eks/nodeGroup:NodeGroup",
        "a",
        {"instance_types": ["m5.large"], "scaling_config": {"min_size": 2}},
    )
    lines = estimate.lines([group], SEOUL, Usage(requests_per_second=0, nat_gb=0))
    assert [(x.what, x.quantity) for x in lines if x.service == "EKS and nodes"] == [
        ("nodes m5.large", 2 * HOURS)
    ]


def test_traffic_and_logs_follow_from_the_requests() -> None:
    month = Usage()
    assert month.requests_millions == pytest.approx(78.84)
    everything = Usage(sampled=1).logs_gb(containers=True)
    assert 140 < everything < 250  # three lines a request
    assert month.logs_gb(containers=True) < 0.5 * everything
    assert month.logs_gb(containers=False) == month.other_logs_gb
    assert Usage(requests_per_second=60).traffic_gb == 2 * month.traffic_gb
    assert Usage(requests_per_second=10).egress_gb == 0


def test_valkey_costs_four_fifths_of_redis() -> None:
    def group(engine: str) -> list[estimate.Line]:
        inputs = {
            "engine": engine,
            "node_type": "cache.r5.large",
            "node_group_configurations": [{"replica_count": 1}],
        }
        declared = [Declared("aws:elasticache/replicationGroup:ReplicationGroup", "c", inputs)]
        lines = estimate.lines(declared, SEOUL, Usage())
        return [x for x in lines if x.service == "ElastiCache"]

    assert estimate.total(group("valkey")) == pytest.approx(0.8 * estimate.total(group("redis")), abs=0.01)
    assert estimate.total(group("redis")) == pytest.approx(
        2 * HOURS * (SEOUL.cache["cache.r5.large"].usd or 0), abs=0.01
    )


def test_the_table_marks_estimates_and_its_date() -> None:
    table = estimate.table(estimate.lines([], SEOUL, Usage()), SEOUL, Usage())
    assert "budget: 1,100" in table
    assert SEOUL.dated in table
    assert "30 requests a second" in table
    assert "~" in table
