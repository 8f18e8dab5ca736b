"""Sizes follow from measured costs of a use, and the documentation shows what the command says."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from point_infra import cli
from point_infra.cost import capacity, prices
from point_infra.cost.capacity import GIB, Demand, Measured
from typer.testing import CliRunner

DOCS = Path(__file__).resolve().parents[3] / "docs/capacity.md"
ONE = Measured(
    date="2026-01-01", commit="0000000", rate=1000, service_ms=1, database_ms=0.5, cache_ms=0.2, redo=4000,
    member=100, grant=400, entry=600, answer=500,
)  # fmt: skip


def test_the_documentation_s_table_is_what_the_command_says() -> None:
    said = CliRunner().invoke(cli.app, ["capacity"])
    assert said.exit_code == 0, said.output
    assert said.output.strip() in DOCS.read_text()


def test_a_size_is_what_its_parts_add_up_to() -> None:
    asked = Demand(
        1_000_000, 100, 2, average=0.5, grants=1, entries=2, live_grants=4, hot_days=365, answers_hours=24
    )
    found = capacity.size(asked, ONE)
    uses = 100 * 0.5 * 730 * 3600 * 12  # a year
    answers = 100 * 0.5 * 3600 * 24 * 2
    assert found.storage_gb * GIB == pytest.approx(1e6 * 100 + 2 * uses * (400 + 2 * 600) + answers * 500)
    assert found.hot_gb * GIB == pytest.approx(1e6 * (100 + 4 * 400) + uses * 2 * 600 + answers * 500)
    assert found.cores == pytest.approx(200 * 0.5 / 1000)
    assert found.pods == math.ceil(200 * 1 / 1000 / 0.14)


@pytest.mark.parametrize("asked", [Demand(*one) for one in capacity.DEMANDS])
def test_more_of_anything_needs_no_less(asked: Demand) -> None:
    before = capacity.size(asked, ONE)
    for more in (
        replace(asked, members=2 * asked.members),
        replace(asked, busiest=2 * asked.busiest),
        replace(asked, years=2 * asked.years),
    ):
        after = capacity.size(more, ONE)
        assert (after.storage_gb, after.hot_gb, after.pods) >= (before.storage_gb, before.hot_gb, before.pods)
        assert not before.database or not after.database or _times(after.database) >= _times(before.database)


def test_what_no_writer_holds_says_so() -> None:
    assert capacity.size(Demand(10_000, 200_000, 1), ONE).database == ""
    assert capacity.most(ONE) == pytest.approx(64 * 0.5 * 1000 / 0.5 / 2)


def test_larger_classes_cost_what_they_are_times_larger() -> None:
    known = capacity.priced(prices.load("ap-northeast-2"))
    large, larger = (known.database[f"db.r6g.{name}"].usd for name in ("large", "4xlarge"))
    assert larger == pytest.approx(8 * (large or 0))


def test_members_need_their_uses() -> None:
    said = CliRunner().invoke(cli.app, ["capacity", "--members", "5"])
    assert said.exit_code == 2
    assert "give --members and --uses together" in said.output


def _times(name: str) -> int:
    return capacity.SIZES.index(name.removeprefix(f"{capacity.FAMILY}."))
