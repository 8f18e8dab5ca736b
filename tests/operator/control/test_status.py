"""Which conditions follow from which facts."""

from typing import Any

import msgspec
import pytest
from point_operator.control import status
from point_operator.control.status import Facts
from point_operator.model import api
from point_operator.observe.fleet import Refusal
from point_operator.observe.workload import Migration, Rollout

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
SERVING = Rollout(
    exists=True, available=True, complete=True, wanted=2, replicas=2, ready=2, updated=2, image="image:1"
)
ROLLING = msgspec.structs.replace(SERVING, complete=False, updated=1)
STUCK = msgspec.structs.replace(SERVING, complete=False, stuck=True)
GOOD = Facts(migration=Migration("Succeeded"), rollout=SERVING)


@pytest.fixture
def point_service(spec: dict[str, Any]) -> api.PointService:
    """The smallest one, in its third generation."""
    return api.parse(
        {"metadata": {"name": "points", "namespace": "points", "uid": "u", "generation": 3}, "spec": spec}
    )


def _conditions(
    point_service: api.PointService, facts: Facts, before: dict[str, Any] | None = None
) -> dict[str, tuple[str, str]]:
    after, _ = status.compute(point_service, facts, before or {}, NOW)
    return {one["type"]: (one["status"], one["reason"]) for one in after["conditions"]}


@pytest.mark.parametrize(
    ("facts", "ready", "progressing", "degraded"),
    [
        (GOOD, ("True", "Available"), ("False", "Complete"), ("False", "AsExpected")),
        (Facts(), ("False", "Migrating"), ("True", "Migrating"), ("False", "AsExpected")),
        (
            msgspec.structs.replace(GOOD, migration=Migration("Running")),
            ("True", "Available"), ("True", "Migrating"), ("False", "AsExpected"),
        ),
        (
            msgspec.structs.replace(GOOD, migration=Migration("Failed", "boom")),
            ("True", "Available"), ("False", "MigrationFailed"), ("True", "MigrationFailed"),
        ),
        (
            Facts(migration=Migration("Failed", "boom")),
            ("False", "MigrationFailed"), ("False", "MigrationFailed"), ("True", "MigrationFailed"),
        ),
        (
            msgspec.structs.replace(GOOD, rollout=ROLLING),
            ("True", "Available"), ("True", "RollingOut"), ("False", "AsExpected"),
        ),
        (
            msgspec.structs.replace(GOOD, rollout=STUCK),
            ("True", "Available"), ("False", "RolloutStuck"), ("True", "RolloutStuck"),
        ),
        (
            msgspec.structs.replace(GOOD, rollout=Rollout(exists=True, wanted=2)),
            ("False", "PodsNotReady"), ("True", "RollingOut"), ("False", "AsExpected"),
        ),
        (
            msgspec.structs.replace(GOOD, without_sidecar=("a",)),
            ("False", "NoSidecar"), ("False", "Complete"), ("True", "NoSidecar"),
        ),
        (
            msgspec.structs.replace(GOOD, certificate_problem="gone"),
            ("False", "CertificateMissing"), ("False", "Complete"), ("True", "CertificateMissing"),
        ),
        (
            msgspec.structs.replace(GOOD, secret_problems=("gone",)),
            ("True", "Available"), ("False", "SecretMissing"), ("True", "SecretMissing"),
        ),
        (
            msgspec.structs.replace(GOOD, blocked=Refusal("HostConflict", "taken")),
            ("False", "HostConflict"), ("False", "HostConflict"), ("True", "HostConflict"),
        ),
    ],
    ids=[
        "good", "new", "migrating", "migration failed", "first migration failed", "rolling out", "stuck",
        "not ready", "no sidecar", "no certificate", "no secret", "conflict",
    ],
)  # fmt: skip
def test_conditions_follow_from_facts(
    point_service: api.PointService,
    facts: Facts,
    ready: tuple[str, str],
    progressing: tuple[str, str],
    degraded: tuple[str, str],
) -> None:
    wanted = {"Ready": ready, "Progressing": progressing, "Degraded": degraded}
    assert _conditions(point_service, facts) == wanted


def test_an_unchanged_status_is_the_same_a_minute_later(point_service: api.PointService) -> None:
    before, _ = status.compute(point_service, GOOD, {}, NOW)
    after, news = status.compute(point_service, GOOD, before, LATER)
    assert after == before
    assert news == []


def test_the_time_changes_with_the_state_only(point_service: api.PointService) -> None:
    before, _ = status.compute(point_service, Facts(), {}, NOW)
    after, news = status.compute(point_service, GOOD, before, LATER)
    times = {one["type"]: one["lastTransitionTime"] for one in after["conditions"]}
    assert times == {"Ready": LATER, "Progressing": LATER, "Degraded": NOW}
    assert [one.reason for one in news] == ["Available"]


def test_conditions_carry_the_generation_that_they_describe(point_service: api.PointService) -> None:
    after, _ = status.compute(point_service, GOOD, {}, NOW)
    assert {one["observedGeneration"] for one in after["conditions"]} == {3}
    assert after["observedGeneration"] == 3


def test_the_image_is_the_one_that_serves(point_service: api.PointService) -> None:
    rolling = msgspec.structs.replace(
        GOOD, rollout=msgspec.structs.replace(SERVING, complete=False, image="image:2")
    )
    after, _ = status.compute(point_service, rolling, {"image": "image:1"}, NOW)
    assert after["image"] == "image:1"
