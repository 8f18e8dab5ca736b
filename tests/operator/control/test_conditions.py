"""The truth table: which conditions follow from what was seen and what came of it (docs/operator.md has it, too)."""

import itertools
from typing import Any

import msgspec
import pytest
from point_operator.control import conditions, status
from point_operator.control.canary import Record
from point_operator.control.conditions import Outcome
from point_operator.model import api
from point_operator.observe.fleet import Refusal
from point_operator.observe.gateways import GatewayPods
from point_operator.observe.keys import KeysSeen
from point_operator.observe.look import Seen
from point_operator.observe.workload import Migration, Rollout

NOW, LATER, MUCH_LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2026-01-01T00:10:00Z"
OLD, NEW = "image:1", "image:2"
SERVING = Rollout(
    exists=True, available=True, complete=True, renewed=True,
    wanted=2, replicas=2, ready=2, serving=2, updated=2, image=NEW,
)  # fmt: skip
SCALING = msgspec.structs.replace(SERVING, complete=False, wanted=3)
ROLLING = msgspec.structs.replace(SERVING, complete=False, renewed=False, updated=1)
STUCK = msgspec.structs.replace(ROLLING, stuck=True)
STARTING = Rollout(exists=True, wanted=2, image=NEW)
BEFORE = msgspec.structs.replace(SERVING, image=OLD)

GOOD = Seen(migration=Migration("Succeeded"), gateway=GatewayPods(2, 2, ("gateway",)), routed=True)
TRIAL = Record(image=NEW, attempt="a", state="Running", since=NOW)
FAILED_TRIAL = msgspec.structs.replace(TRIAL, state="Failed", message="9 of 20 requests failed")
TAKEN, REJECTED = Refusal("HostConflict", "taken"), Refusal("Rejected", "quota")
ABSENT, IDENTITY = Refusal("GatewayAbsent", "no pod"), Refusal("GatewayIdentity", "other account")
UNROUTED = Refusal("RouteNotAccepted", "not from here")


def _seen(**changes: Any) -> Seen:
    return msgspec.structs.replace(GOOD, **changes)


def _did(running: Rollout = SERVING, **changes: Any) -> Outcome:
    return Outcome(running=running, **{"routed": True} | changes)


NEWEST, KEPT = 3, 2
"""The newest generation of spec, and the one that served before."""

TABLE: dict[str, tuple[Seen, Outcome, str, str, str, str, str]] = {
    # what is seen and done → Ready, generation it tells of, Progressing, Degraded, what kstatus adds, what kstatus says
    "all is well": (GOOD, _did(), "True Available 3", "False Complete", "False AsExpected", "", "Current"),
    "just made": (
        _seen(migration=Migration("Pending"), routed=False), _did(Rollout()),
        "False Migrating 3", "True Migrating", "False AsExpected", "Reconciling Migrating", "InProgress",
    ),
    "pods start": (
        GOOD, _did(STARTING),
        "False PodsNotReady 3", "True RollingOut", "False AsExpected", "Reconciling RollingOut", "InProgress",
    ),
    "migration of a new image": (
        _seen(migration=Migration("Running")), _did(BEFORE),
        "True Available 2", "True Migrating", "False AsExpected", "Reconciling Migrating", "InProgress",
    ),
    "new image rolls out": (
        GOOD, _did(ROLLING),
        "True Available 2", "True RollingOut", "False AsExpected", "Reconciling RollingOut", "InProgress",
    ),
    "autoscaler adds a pod": (
        GOOD, _did(SCALING),
        "True Available 3", "True RollingOut", "False AsExpected", "Reconciling RollingOut", "InProgress",
    ),
    "canary": (
        GOOD, _did(BEFORE, canary=TRIAL),
        "True Available 2", "True Canary", "False AsExpected", "Reconciling Canary", "InProgress",
    ),
    "canary failed": (
        GOOD, _did(BEFORE, canary=FAILED_TRIAL),
        "True Available 2", "False CanaryFailed", "True CanaryFailed", "Stalled CanaryFailed", "Failed",
    ),
    "migration failed": (
        _seen(migration=Migration("Failed", "boom")), _did(BEFORE),
        "True Available 2", "False MigrationFailed", "True MigrationFailed", "Stalled MigrationFailed", "Failed",
    ),
    "first migration failed": (
        _seen(migration=Migration("Failed", "boom")), _did(Rollout()),
        "False MigrationFailed 3", "False MigrationFailed", "True MigrationFailed", "Stalled MigrationFailed",
        "Failed",
    ),
    "rollout stuck": (
        GOOD, _did(STUCK),
        "True Available 2", "False RolloutStuck", "True RolloutStuck", "Stalled RolloutStuck", "Failed",
    ),
    "first rollout stuck": (
        GOOD, _did(msgspec.structs.replace(STARTING, stuck=True)),
        "False RolloutStuck 3", "False RolloutStuck", "True RolloutStuck", "Stalled RolloutStuck", "Failed",
    ),
    "a change is rejected": (
        GOOD, _did(refusal=REJECTED),
        "True Available 2", "False Rejected", "True Rejected", "Stalled Rejected", "Failed",
    ),
    "rejected from the start": (
        _seen(routed=False), _did(Rollout(), refusal=REJECTED, routed=False),
        "False Rejected 3", "False Rejected", "True Rejected", "Stalled Rejected", "Failed",
    ),
    "refused, so without route": (
        _seen(routed=False), _did(refusal=TAKEN, routed=False),
        "False HostConflict 3", "False HostConflict", "True HostConflict", "Stalled HostConflict", "Failed",
    ),
    "an unexpected failure": (
        GOOD, _did(refusal=Refusal("ApiFailed", "webhook")),
        "True Available 2", "False ApiFailed", "True ApiFailed", "Reconciling ApiFailed", "InProgress",
    ),
    "Secret missing": (
        _seen(secret_problems=("gone",)), _did(Rollout()),
        "False SecretMissing 3", "False SecretMissing", "True SecretMissing", "Reconciling SecretMissing",
        "InProgress",
    ),
    "Secret gone under running pods": (
        _seen(secret_problems=("gone",)), _did(),
        "True Available 2", "False SecretMissing", "True SecretMissing", "Reconciling SecretMissing", "InProgress",
    ),
    "certificate missing": (
        _seen(certificate_problem="gone"), _did(),
        "False CertificateMissing 3", "False Complete", "True CertificateMissing",
        "Reconciling CertificateMissing", "InProgress",
    ),
    "no gateway": (
        _seen(gateway_problem=ABSENT), _did(),
        "False GatewayAbsent 3", "False Complete", "True GatewayAbsent", "Reconciling GatewayAbsent", "InProgress",
    ),
    "the gateway does not take the route": (
        _seen(gateway_problem=UNROUTED, routed=False), _did(routed=False),
        "False RouteNotAccepted 3", "False Complete", "True RouteNotAccepted", "Reconciling RouteNotAccepted",
        "InProgress",
    ),
    "the gateway has not looked at the newest route": (
        GOOD, _did(route_told=False),
        "True Available 2", "True RollingOut", "False AsExpected", "Reconciling RollingOut", "InProgress",
    ),
    "nobody looks at the newest route": (
        _seen(route_problem=UNROUTED), _did(route_told=False),
        "True Available 2", "True RollingOut", "True RouteNotAccepted", "Reconciling RollingOut", "InProgress",
    ),
    "the gateway is somebody else": (
        _seen(gateway_problem=IDENTITY), _did(),
        "False GatewayIdentity 3", "False Complete", "True GatewayIdentity", "Stalled GatewayIdentity", "Failed",
    ),
    "pods without sidecar": (
        _seen(without_sidecar=("a",)), _did(),
        "False NoSidecar 3", "False Complete", "True NoSidecar", "Stalled NoSidecar", "Failed",
    ),
    "keys that could never be had": (
        _seen(keys=KeysSeen("refused")), _did(),
        "False KeysUnavailable 3", "False Complete", "True KeysUnavailable", "Reconciling KeysUnavailable",
        "InProgress",
    ),
    "keys that can't be had just now": (
        _seen(keys=KeysSeen("refused", had=True)), _did(),
        "True Available 3", "False Complete", "True KeysUnavailable", "", "Current",
    ),
    "rate limit service down": (
        _seen(rate_limit_service_down=True), _did(),
        "True Available 3", "False Complete", "True RateLimitServiceDown", "", "Current",
    ),
}  # fmt: skip


@pytest.fixture
def point_service(spec: dict[str, Any]) -> api.PointService:
    """The smallest one, in its newest generation."""
    metadata = {"name": "points", "namespace": "points", "uid": "u", "generation": NEWEST}
    return api.parse({"metadata": metadata, "spec": spec | {"image": NEW}})


@pytest.fixture
def before(point_service: api.PointService) -> status.Status:
    """Its status when the generation before served."""
    earlier = msgspec.structs.replace(point_service, generation=KEPT)
    return status.compute(earlier, GOOD, _did(), {}, NOW)[0]


@pytest.mark.parametrize("name", TABLE)
def test_conditions_follow_from_what_was_seen_and_done(
    point_service: api.PointService, before: status.Status, name: str
) -> None:
    seen, outcome, ready, progressing, degraded, added, verdict = TABLE[name]
    after, _ = status.compute(point_service, seen, outcome, before, LATER)
    by_type = {one["type"]: one for one in after["conditions"]}
    told = by_type["Ready"]
    assert f"{told['status']} {told['reason']} {told['observedGeneration']}" == ready
    assert _brief(by_type["Progressing"]) == progressing
    assert _brief(by_type["Degraded"]) == degraded
    assert _kstatus_adds(by_type) == added
    assert kstatus(after, NEWEST) == verdict
    assert after["observedGeneration"] == NEWEST


def test_what_is_waited_for_too_long_has_stalled(point_service: api.PointService) -> None:
    for name, (seen, outcome, *_, added, _verdict) in TABLE.items():
        first, _ = status.compute(point_service, seen, outcome, {}, NOW)
        after, _ = status.compute(point_service, seen, outcome, first, MUCH_LATER)
        by_type = {one["type"]: one for one in after["conditions"]}
        stays = by_type["Degraded"]["status"] == "False" or by_type["Progressing"]["status"] == "True"
        assert _kstatus_adds(by_type) == (added if stays else added.replace("Reconciling", "Stalled")), name


def test_one_that_pauses_waits_for_nothing_but_an_image_that_is_held_back(
    point_service: api.PointService, before: status.Status
) -> None:
    paused = msgspec.structs.replace(
        point_service, spec=msgspec.structs.replace(point_service.spec, paused=True)
    )
    for running, added in ((SERVING, ""), (BEFORE, "Reconciling Paused")):
        after, _ = status.compute(paused, GOOD, _did(running), before, LATER)
        by_type = {one["type"]: one for one in after["conditions"]}
        assert _kstatus_adds(by_type) == added
        assert _brief(by_type["Ready"]) == "True Available"
        assert by_type["Ready"]["observedGeneration"] == KEPT


def test_whatever_happens_no_condition_contradicts_another(
    point_service: api.PointService, before: status.Status
) -> None:
    refusals = (None, TAKEN, REJECTED, Refusal("ApiFailed", "webhook"))
    rollouts = (Rollout(), STARTING, BEFORE, ROLLING, STUCK, SCALING, SERVING)
    migrations = ("Pending", "Running", "Failed", "Succeeded")
    problems: tuple[dict[str, Any], ...] = (
        {}, {"secret_problems": ("s",)}, {"certificate_problem": "c"}, {"gateway_problem": ABSENT},
        {"without_sidecar": ("a",)}, {"rate_limit_service_down": True}, {"keys": KeysSeen("refused")},
    )  # fmt: skip
    every = itertools.product(
        refusals, rollouts, migrations, problems, (None, TRIAL, FAILED_TRIAL), (True, False), ({}, before)
    )
    for refusal, running, migration, problem, canary, routed, was in every:
        seen = _seen(migration=Migration(migration), routed=routed, **problem)
        outcome = Outcome(running=running, refusal=refusal, canary=canary, routed=routed)
        after, _ = status.compute(point_service, seen, outcome, was, LATER)
        by_type = {one["type"]: one for one in after["conditions"]}
        ready, degraded = by_type["Ready"], by_type["Degraded"]
        case = (refusal, running, migration, problem, canary, routed)
        assert not {"Reconciling", "Stalled"} <= by_type.keys(), case
        assert ("Stalled" not in by_type) or degraded["status"] == "True", case
        assert (by_type["Progressing"]["status"] == "False") or "Reconciling" in by_type, case
        if ready["status"] == "True":
            assert running.available, case
            assert routed, case
            if ready["observedGeneration"] == NEWEST:
                assert (running.image, running.renewed, refusal) == (NEW, True, None), case
        if kstatus(after, NEWEST) == "Current":
            assert (ready["status"], ready["observedGeneration"]) == ("True", NEWEST), case


def test_one_that_can_t_be_looked_at_is_neither_ready_nor_not(before: status.Status) -> None:
    body = {"metadata": {"generation": NEWEST}, "status": before}
    after, news = status.untold(body, conditions.unseen(Refusal("ApiFailed", "no answer")), LATER)
    assert {one["status"] for one in after["conditions"] if one["type"] == "Ready"} == {"Unknown"}
    assert kstatus(after, NEWEST) == "InProgress"
    assert {one.reason for one in news} == {"ApiFailed"}
    assert after["image"] == before["image"]


def test_an_unchanged_status_is_the_same_a_minute_later(point_service: api.PointService) -> None:
    first, _ = status.compute(point_service, GOOD, _did(), {}, NOW)
    after, news = status.compute(point_service, GOOD, _did(), first, LATER)
    assert after == first
    assert news == []


def test_the_time_changes_with_the_state_only(point_service: api.PointService) -> None:
    first, _ = status.compute(point_service, _seen(migration=Migration("Running")), _did(Rollout()), {}, NOW)
    after, news = status.compute(point_service, GOOD, _did(), first, LATER)
    times = {one["type"]: one["lastTransitionTime"] for one in after["conditions"]}
    assert times == {"Ready": LATER, "Progressing": LATER, "Degraded": NOW}
    assert [one.reason for one in news] == ["Available"]


def test_the_image_is_the_one_that_serves(point_service: api.PointService) -> None:
    after, _ = status.compute(point_service, GOOD, _did(ROLLING), {"image": OLD}, NOW)
    assert after["image"] == OLD


def kstatus(written: status.Status, generation: int) -> str:
    """What sigs.k8s.io/cli-utils/pkg/kstatus makes of a custom resource that is not being deleted."""
    if written["observedGeneration"] != generation:
        return "InProgress"
    states = {one["type"]: one["status"] for one in written["conditions"]}
    if states.get("Reconciling") == "True":
        return "InProgress"
    if states.get("Stalled") == "True":
        return "Failed"
    return "Current" if states["Ready"] == "True" else "InProgress"


def _brief(condition: dict[str, Any]) -> str:
    return f"{condition['status']} {condition['reason']}"


def _kstatus_adds(by_type: dict[str, Any]) -> str:
    return " ".join(
        f"{kind} {by_type[kind]['reason']}" for kind in ("Reconciling", "Stalled") if kind in by_type
    )
