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
from point_operator.resources.pods import migration
from point_operator.resources.surroundings import Surroundings

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
MIGRATED, RUNNING = Migration("Succeeded"), Rollout(exists=True)
ALWAYS = {"policies", "foundation", "route", "watching"}
OLD = "service:old"


def _plan(spec: dict[str, Any], seen: Seen, *served: str, login: str = "") -> Plan | None:
    """`served` are the images that have served, the newest first, with a database of this login."""
    point_service = api.parse(
        {"metadata": {"name": "points", "namespace": "points", "uid": "u"}, "spec": spec}
    )
    known = {"database": migration.target(point_service, login), "images": list(served)}
    before = {"image": served[0], "served": known} if served else {}
    return decide(point_service, seen, before, NOW).plan


def _image(plan: Plan | None) -> str:
    assert plan is not None
    (own,) = plan.pods
    return own["spec"]["template"]["spec"]["containers"][0]["image"]


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


@pytest.mark.parametrize("state", ["Pending", "Running", "Failed"])
def test_what_served_goes_on_while_another_image_waits(spec: dict[str, Any], state: str) -> None:
    plan = _plan(spec, Seen(migration=Migration(state)), OLD)
    assert _stages(plan) == ALWAYS | {"migration", "pods", "scaling"}
    assert _image(plan) == OLD


def test_an_image_that_has_served_waits_for_nothing(spec: dict[str, Any]) -> None:
    plan = _plan(spec, Seen(), "service:newer", spec["image"])
    assert _stages(plan) == ALWAYS | {"migration", "pods", "scaling"}
    assert _image(plan) == spec["image"]


def test_no_pod_meets_a_password_that_the_database_does_not_know_yet(spec: dict[str, Any]) -> None:
    seen = Seen(running=RUNNING, surroundings=Surroundings(login="new"))
    assert _stages(_plan(spec, seen, spec["image"], login="old")) == ALWAYS | {"migration", "scaling"}


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
