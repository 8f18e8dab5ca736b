"""What of the plan is applied now, and what has to wait."""

import datetime
from typing import Any

import pytest
from point_operator.control.decide import decide
from point_operator.model import api
from point_operator.observe.fleet import Refusal
from point_operator.observe.look import Seen
from point_operator.observe.workload import Migration, Rollout
from point_operator.resources.plan import Plan

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
MIGRATED, RUNNING = Migration("Succeeded"), Rollout(exists=True)
ALWAYS = {"policies", "foundation", "route", "observability"}


def _plan(spec: dict[str, Any], seen: Seen) -> Plan | None:
    metadata = {"name": "points", "namespace": "points", "uid": "u"}
    return decide(api.parse({"metadata": metadata, "spec": spec}), seen, {}, NOW).plan


def _stages(plan: Plan | None) -> set[str]:
    assert plan is not None
    return {stage for stage in plan.__struct_fields__ if getattr(plan, stage)} - {"everything"}


@pytest.mark.parametrize(
    ("seen", "stages"),
    [
        (Seen(), ALWAYS | {"migration"}),
        (Seen(migration=MIGRATED), ALWAYS | {"migration", "pods", "scaling"}),
        (Seen(running=RUNNING), ALWAYS | {"migration", "scaling"}),
        (Seen(running=RUNNING, migration=Migration("Failed")), ALWAYS | {"migration", "scaling"}),
        (Seen(secret_problems=("gone",)), ALWAYS),
        (Seen(secret_problems=("gone",), migration=MIGRATED), ALWAYS),
        (Seen(secret_problems=("gone",), migration=MIGRATED, running=RUNNING), ALWAYS | {"scaling"}),
    ],
    ids=[
        "new", "migrated", "migrating while another image serves", "migration failed while another image serves",
        "no Secret", "no Secret any more", "no Secret any more while it serves",
    ],
)  # fmt: skip
def test_a_stage_waits_for_what_it_needs(spec: dict[str, Any], seen: Seen, stages: set[str]) -> None:
    assert _stages(_plan(spec, seen)) == stages


def test_what_has_to_wait_is_not_removed(spec: dict[str, Any]) -> None:
    waiting, due = _plan(spec, Seen(secret_problems=("gone",))), _plan(spec, Seen(migration=MIGRATED))
    assert waiting is not None
    assert due is not None
    assert waiting.everything == due.everything


@pytest.mark.parametrize(
    ("changes", "seen"),
    [({"paused": True}, Seen(migration=MIGRATED)), ({}, Seen(refusal=Refusal("HostConflict", "taken")))],
    ids=["paused", "refused"],
)
def test_nothing_is_changed_while(spec: dict[str, Any], changes: dict[str, Any], seen: Seen) -> None:
    assert _plan(spec | changes, seen) is None
