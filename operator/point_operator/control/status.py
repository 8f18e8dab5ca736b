"""What is written to a PointService's status. Pure: facts in, status out."""

from collections.abc import Mapping
from typing import Any

import msgspec

from point_operator.control.canary import Record
from point_operator.model import names
from point_operator.model.api import PointService
from point_operator.observe.fleet import Refusal
from point_operator.observe.workload import Migration, Rollout
from point_operator.resources.gateway import rate_limit
from point_operator.resources.pods import migration
from point_operator.resources.surroundings import Surroundings

Status = dict[str, Any]

LONGEST_MESSAGE = 2000
"""Characters; a container may have said more in its last words."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What one reconcile found."""

    surroundings: Surroundings = Surroundings()
    blocked: Refusal | None = None
    """Why the operator could not do what the spec says."""
    secret_problems: tuple[str, ...] = ()
    certificate_problem: str = ""
    migration: Migration = Migration("Pending")
    rollout: Rollout = Rollout()
    rate_limit_service_down: bool = False
    trial: Record | None = None
    without_sidecar: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


class Condition(msgspec.Struct, frozen=True):
    """One condition before it gets its time."""

    status: bool
    reason: str
    message: str


def compute(
    point_service: PointService, facts: Facts, before: Mapping[str, Any], now: str
) -> tuple[Status, list[Condition]]:
    """Return the new status and the conditions whose reason or state has changed, for Events.

    `before` is the status as it was, `now` an RFC 3339 time. A status equal to `before` needs no write.
    """
    degraded = _degraded(facts)
    conditions = {
        "Ready": _ready(point_service, facts, degraded),
        "Progressing": _progressing(point_service, facts, degraded),
        "Degraded": degraded,
    }
    old = {one["type"]: one for one in before.get("conditions") or []}
    written = [
        _written(kind, condition, old.get(kind), point_service.generation, now)
        for kind, condition in conditions.items()
    ]
    news = [
        condition
        for kind, condition in conditions.items()
        if (kind == "Ready" or condition.status)
        and (old.get(kind, {}).get("status"), old.get(kind, {}).get("reason"))
        != (_word(condition.status), condition.reason)
    ]
    return _describe(point_service, facts, before) | {"conditions": written}, news


def unreadable(body: Mapping[str, Any], message: str, now: str) -> tuple[Status, list[Condition]]:
    """Return the status of a PointService whose spec this version can't read."""
    before: Status = body.get("status") or {}
    generation = body["metadata"].get("generation", 0)
    old = {one["type"]: one for one in before.get("conditions") or []}
    conditions = {
        "Ready": Condition(False, "InvalidSpec", message),
        "Progressing": Condition(False, "InvalidSpec", "Waits for a spec that can be read"),
        "Degraded": Condition(True, "InvalidSpec", message),
    }
    written = [_written(kind, one, old.get(kind), generation, now) for kind, one in conditions.items()]
    known = old.get("Degraded", {}).get("reason") == "InvalidSpec"
    news = [] if known else [conditions["Degraded"]]
    return before | {"observedGeneration": generation, "conditions": written}, news


def _describe(point_service: PointService, facts: Facts, before: Mapping[str, Any]) -> Status:
    spec, rollout = point_service.spec, facts.rollout
    status: Status = {
        "observedGeneration": point_service.generation,
        "url": f"https://{spec.gateway.hosts[0]}",
        "replicas": rollout.replicas,
        "readyReplicas": rollout.ready,
        "selector": ",".join(f"{key}={value}" for key, value in names.pod_labels(point_service).items()),
        "migration": {
            "job": migration.name(point_service),
            "image": spec.image,
            "state": facts.migration.state,
        },
    }
    if facts.migration.message:
        status["migration"]["message"] = facts.migration.message
    image = rollout.image if rollout.complete else before.get("image", "")
    if image:
        status["image"] = image
    if facts.trial is not None:
        status["canary"] = msgspec.to_builtins(facts.trial)
    limit = spec.gateway.rate_limit
    if limit.enabled:
        sharers = rate_limit.sharers(point_service, facts.surroundings)
        status["rateLimit"] = {
            "scope": rate_limit.scope(point_service, facts.surroundings),
            "gatewayPods": facts.surroundings.gateway_pods,
            "requestsPerSecondPerPod": rate_limit.per_pod(limit.requests_per_second, sharers),
        }
    return status


def _degraded(facts: Facts) -> Condition:
    """The first thing that a person has to look at."""
    if facts.blocked:
        return Condition(True, facts.blocked.reason, facts.blocked.message)
    if facts.secret_problems:
        return Condition(True, "SecretMissing", "; ".join(facts.secret_problems))
    if facts.migration.state == "Failed":
        serving = "; the running version keeps serving" if facts.rollout.available else ""
        return Condition(True, "MigrationFailed", f"{facts.migration.message or 'no message'}{serving}")
    if facts.without_sidecar:
        pods = ", ".join(facts.without_sidecar)
        return Condition(
            True,
            "NoSidecar",
            f"{pods}: no istio-proxy, so nothing checks who calls; is the injector running?",
        )
    if facts.rollout.stuck:
        serving = " The running version keeps serving." if facts.rollout.available else ""
        return Condition(
            True,
            "RolloutStuck",
            f"No new pod became ready in time.{serving} {_joined(facts.troubles)}".strip(),
        )
    if facts.certificate_problem:
        return Condition(True, "CertificateMissing", facts.certificate_problem)
    if facts.rate_limit_service_down:
        return Condition(
            True,
            "RateLimitServiceDown",
            "No pod of the rate limit service is ready (does it reach spec.cache?); meanwhile each gateway pod "
            "keeps its share of the limit",
        )
    if facts.trial is not None and facts.trial.state == "Failed":
        return Condition(
            True,
            "CanaryFailed",
            f"Image {facts.trial.image} on trial: {facts.trial.message}. {facts.rollout.image} serves all "
            "requests again; it is tried again when spec.image or spec.rollout changes",
        )
    return Condition(False, "AsExpected", "Nothing needs attention")


def _ready(point_service: PointService, facts: Facts, degraded: Condition) -> Condition:
    rollout = facts.rollout
    bars = (
        "SecretMissing",
        "MigrationFailed",
        "RolloutStuck",
        "RateLimitServiceDown",
        "CanaryFailed",
    )  # the running version serves in spite of them
    if degraded.status and degraded.reason not in bars:
        return Condition(False, degraded.reason, degraded.message)
    if rollout.available:
        paused = " (paused)" if point_service.spec.paused else ""
        return Condition(True, "Available", f"{rollout.ready} of {rollout.wanted} pods ready{paused}")
    if degraded.status:
        return Condition(False, degraded.reason, degraded.message)
    if rollout.exists:
        troubles = f" {_joined(facts.troubles)}" if facts.troubles else ""
        return Condition(False, "PodsNotReady", f"{rollout.ready} of {rollout.wanted} pods ready.{troubles}")
    if point_service.spec.paused:
        return Condition(False, "Paused", "spec.paused is true and nothing runs yet")
    return Condition(False, "Migrating", f"Schema migration: {facts.migration.state}")


def _progressing(point_service: PointService, facts: Facts, degraded: Condition) -> Condition:
    rollout = facts.rollout
    if point_service.spec.paused:
        return Condition(False, "Paused", "spec.paused is true: nothing is changed or repaired")
    if facts.blocked or facts.secret_problems:
        return Condition(False, degraded.reason, "Waits until what Degraded tells is put right")
    if facts.migration.state == "Failed":
        return Condition(False, "MigrationFailed", "The new version waits for its schema migration")
    if facts.migration.state != "Succeeded":
        return Condition(True, "Migrating", f"Schema migration: {facts.migration.state}")
    if rollout.stuck:
        return Condition(False, "RolloutStuck", "The rollout has stopped")
    trial = facts.trial
    if trial is not None and trial.state == "Failed":
        return Condition(False, "CanaryFailed", f"{trial.image} has failed on trial")
    if trial is not None and trial.state in ("Starting", "Running"):
        return Condition(True, "Canary", _on_trial(point_service, trial))
    if not rollout.complete:
        return Condition(
            True, "RollingOut", f"{rollout.updated} of {rollout.wanted} pods run the wanted version"
        )
    return Condition(False, "Complete", "The cluster is as the spec says")


def _on_trial(point_service: PointService, trial: Record) -> str:
    canary = point_service.spec.rollout.canary
    if trial.state == "Starting":
        return f"{trial.image} starts; it will get {canary.weight} percent of the requests"
    return (
        f"{trial.image} gets {canary.weight} percent of the requests for {canary.bake_seconds} s "
        f"since {trial.since}"
    )


def _written(
    kind: str, condition: Condition, old: Mapping[str, Any] | None, generation: int, now: str
) -> dict[str, Any]:
    word = _word(condition.status)
    since = old["lastTransitionTime"] if old is not None and old["status"] == word else now
    return {
        "type": kind,
        "status": word,
        "reason": condition.reason,
        "message": condition.message[:LONGEST_MESSAGE],
        "lastTransitionTime": since,
        "observedGeneration": generation,
    }


def _word(status: bool) -> str:
    return "True" if status else "False"


def _joined(texts: tuple[str, ...]) -> str:
    return "; ".join(texts)
