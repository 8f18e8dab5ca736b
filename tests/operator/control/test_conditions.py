"""Which conditions follow from what was seen and what came of it."""

from typing import Any

import msgspec
import pytest
from point_operator.control import status
from point_operator.control.status import Outcome
from point_operator.model import api
from point_operator.observe.fleet import Refusal
from point_operator.observe.look import Seen
from point_operator.observe.workload import Migration, Rollout

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
SERVING = Rollout(
    exists=True, available=True, complete=True, wanted=2, replicas=2, ready=2, updated=2, image="image:1"
)
ROLLING = msgspec.structs.replace(SERVING, complete=False, updated=1)
STUCK = msgspec.structs.replace(SERVING, complete=False, stuck=True)
MIGRATED, SERVED = Seen(migration=Migration("Succeeded")), Outcome(running=SERVING)


@pytest.fixture
def point_service(spec: dict[str, Any]) -> api.PointService:
    """The smallest one, in its third generation."""
    return api.parse(
        {"metadata": {"name": "points", "namespace": "points", "uid": "u", "generation": 3}, "spec": spec}
    )


def _conditions(point_service: api.PointService, seen: Seen, outcome: Outcome) -> dict[str, tuple[str, str]]:
    after, _ = status.compute(point_service, seen, outcome, {}, NOW)
    return {one["type"]: (one["status"], one["reason"]) for one in after["conditions"]}


@pytest.mark.parametrize(
    ("seen", "outcome", "ready", "progressing", "degraded"),
    [
        (MIGRATED, SERVED, ("True", "Available"), ("False", "Complete"), ("False", "AsExpected")),
        (Seen(), Outcome(), ("False", "Migrating"), ("True", "Migrating"), ("False", "AsExpected")),
        (
            Seen(migration=Migration("Running")), SERVED,
            ("True", "Available"), ("True", "Migrating"), ("False", "AsExpected"),
        ),
        (
            Seen(migration=Migration("Failed", "boom")), SERVED,
            ("True", "Available"), ("False", "MigrationFailed"), ("True", "MigrationFailed"),
        ),
        (
            Seen(migration=Migration("Failed", "boom")), Outcome(),
            ("False", "MigrationFailed"), ("False", "MigrationFailed"), ("True", "MigrationFailed"),
        ),
        (
            MIGRATED, Outcome(running=ROLLING),
            ("True", "Available"), ("True", "RollingOut"), ("False", "AsExpected"),
        ),
        (
            MIGRATED, Outcome(running=STUCK),
            ("True", "Available"), ("False", "RolloutStuck"), ("True", "RolloutStuck"),
        ),
        (
            MIGRATED, Outcome(running=Rollout(exists=True, wanted=2)),
            ("False", "PodsNotReady"), ("True", "RollingOut"), ("False", "AsExpected"),
        ),
        (
            msgspec.structs.replace(MIGRATED, without_sidecar=("a",)), SERVED,
            ("False", "NoSidecar"), ("False", "Complete"), ("True", "NoSidecar"),
        ),
        (
            msgspec.structs.replace(MIGRATED, certificate_problem="gone"), SERVED,
            ("False", "CertificateMissing"), ("False", "Complete"), ("True", "CertificateMissing"),
        ),
        (
            msgspec.structs.replace(MIGRATED, secret_problems=("gone",)), SERVED,
            ("True", "Available"), ("False", "SecretMissing"), ("True", "SecretMissing"),
        ),
        (
            MIGRATED, Outcome(running=SERVING, refusal=Refusal("HostConflict", "taken")),
            ("False", "HostConflict"), ("False", "HostConflict"), ("True", "HostConflict"),
        ),
    ],
    ids=[
        "good", "new", "migrating", "migration failed", "first migration failed", "rolling out", "stuck",
        "not ready", "no sidecar", "no certificate", "no secret", "conflict",
    ],
)  # fmt: skip
def test_conditions_follow_from_what_was_seen_and_done(
    point_service: api.PointService,
    seen: Seen,
    outcome: Outcome,
    ready: tuple[str, str],
    progressing: tuple[str, str],
    degraded: tuple[str, str],
) -> None:
    wanted = {"Ready": ready, "Progressing": progressing, "Degraded": degraded}
    assert _conditions(point_service, seen, outcome) == wanted


def test_an_unchanged_status_is_the_same_a_minute_later(point_service: api.PointService) -> None:
    before, _ = status.compute(point_service, MIGRATED, SERVED, {}, NOW)
    after, news = status.compute(point_service, MIGRATED, SERVED, before, LATER)
    assert after == before
    assert news == []


def test_the_time_changes_with_the_state_only(point_service: api.PointService) -> None:
    before, _ = status.compute(point_service, Seen(), Outcome(), {}, NOW)
    after, news = status.compute(point_service, MIGRATED, SERVED, before, LATER)
    times = {one["type"]: one["lastTransitionTime"] for one in after["conditions"]}
    assert times == {"Ready": LATER, "Progressing": LATER, "Degraded": NOW}
    assert [one.reason for one in news] == ["Available"]


def test_conditions_carry_the_generation_that_they_describe(point_service: api.PointService) -> None:
    after, _ = status.compute(point_service, MIGRATED, SERVED, {}, NOW)
    assert {one["observedGeneration"] for one in after["conditions"]} == {3}
    assert after["observedGeneration"] == 3


def test_the_image_is_the_one_that_serves(point_service: api.PointService) -> None:
    rolling = Outcome(running=msgspec.structs.replace(SERVING, complete=False, image="image:2"))
    after, _ = status.compute(point_service, MIGRATED, rolling, {"image": "image:1"}, NOW)
    assert after["image"] == "image:1"
