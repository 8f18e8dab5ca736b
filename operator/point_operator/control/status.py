"""What is written to a PointService's status. Pure: what was seen and what came of it in, status out."""

from collections.abc import Mapping
from typing import Any

import msgspec

from point_operator.control import served
from point_operator.control.canary import Record
from point_operator.model import names
from point_operator.model.api import Claim, PointService
from point_operator.observe.fleet import Refusal
from point_operator.observe.look import Seen
from point_operator.observe.workload import Rollout
from point_operator.resources.gateway import rate_limit
from point_operator.resources.pods import migration

Status = dict[str, Any]

LONGEST_MESSAGE = 2000
"""Characters; a container may have said more in its last words."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one look."""

    running: Rollout = Rollout()
    """How the service's own pods are now."""
    refusal: Refusal | None = None
    """Why the operator could not do what the spec says."""
    canary: Record | None = None
    claims: tuple[Claim, ...] = ()
    unwatched: str = ""
    """Why what is for watching could not be made."""


class Condition(msgspec.Struct, frozen=True):
    """One condition before it gets its time."""

    status: bool
    reason: str
    message: str


def compute(
    point_service: PointService, seen: Seen, outcome: Outcome, before: Mapping[str, Any], now: str
) -> tuple[Status, list[Condition]]:
    """Return the new status and the conditions whose reason or state has changed, for Events.

    `before` is the status as it was, `now` an RFC 3339 time. A status equal to `before` needs no write.
    """
    degraded = _degraded(seen, outcome)
    conditions = {
        "Ready": _ready(point_service, seen, outcome, degraded),
        "Progressing": _progressing(point_service, seen, outcome, degraded),
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
    return _describe(point_service, seen, outcome, before) | {"conditions": written}, news


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


def _describe(point_service: PointService, seen: Seen, outcome: Outcome, before: Mapping[str, Any]) -> Status:
    spec, rollout = point_service.spec, outcome.running
    status: Status = {
        "observedGeneration": point_service.generation,
        "url": f"https://{spec.gateway.hosts[0]}",
        "replicas": rollout.replicas,
        "readyReplicas": rollout.ready,
        "selector": ",".join(f"{key}={value}" for key, value in names.pod_labels(point_service).items()),
        "migration": {
            "job": migration.name(point_service, seen.surroundings.login),
            "image": spec.image,
            "state": seen.migration.state,
        },
    }
    if seen.migration.message:
        status["migration"]["message"] = seen.migration.message
    image = rollout.image if rollout.complete else before.get("image", "")
    if image:
        status["image"] = image
    if known := served.after(point_service, seen, rollout, before):
        status["served"] = known
    if outcome.canary is not None:
        status["canary"] = msgspec.to_builtins(outcome.canary)
    if outcome.claims:
        status["claims"] = msgspec.to_builtins(outcome.claims)
    limit = spec.gateway.rate_limit
    if limit.enabled:
        sharers = rate_limit.sharers(point_service, seen.surroundings)
        status["rateLimit"] = {
            "scope": rate_limit.scope(point_service, seen.surroundings),
            "gatewayPods": seen.surroundings.gateway_pods,
            "requestsPerSecondPerPod": rate_limit.per_pod(limit.requests_per_second, sharers),
        }
    return status


def _degraded(seen: Seen, outcome: Outcome) -> Condition:
    """The first thing that a person has to look at."""
    if outcome.refusal:
        return Condition(True, outcome.refusal.reason, outcome.refusal.message)
    if seen.secret_problems:
        return Condition(True, "SecretMissing", "; ".join(seen.secret_problems))
    if seen.migration.state == "Failed":
        serving = "; the running version keeps serving" if outcome.running.available else ""
        return Condition(True, "MigrationFailed", f"{seen.migration.message or 'no message'}{serving}")
    if seen.without_sidecar:
        pods = ", ".join(seen.without_sidecar)
        return Condition(
            True,
            "NoSidecar",
            f"{pods}: no istio-proxy, so nothing checks who calls; is the injector running?",
        )
    if outcome.running.stuck:
        serving = " The running version keeps serving." if outcome.running.available else ""
        return Condition(
            True,
            "RolloutStuck",
            f"No new pod became ready in time.{serving} {_joined(seen.troubles)}".strip(),
        )
    if seen.certificate_problem:
        return Condition(True, "CertificateMissing", seen.certificate_problem)
    if seen.rate_limit_service_down:
        return Condition(
            True,
            "RateLimitServiceDown",
            "No pod of the rate limit service is ready (does it reach spec.cache?); meanwhile each gateway pod "
            "keeps its share of the limit",
        )
    if outcome.unwatched:
        return Condition(True, "NotWatched", f"The service is not affected. {outcome.unwatched}")
    if outcome.canary is not None and outcome.canary.state == "Failed":
        return Condition(
            True,
            "CanaryFailed",
            f"Image {outcome.canary.image} on trial: {outcome.canary.message}. {outcome.running.image} serves all "
            "requests again; it is tried again when spec.image or spec.rollout changes",
        )
    return Condition(False, "AsExpected", "Nothing needs attention")


def _ready(point_service: PointService, seen: Seen, outcome: Outcome, degraded: Condition) -> Condition:
    rollout = outcome.running
    bars = (
        "SecretMissing",
        "MigrationFailed",
        "RolloutStuck",
        "RateLimitServiceDown",
        "CanaryFailed",
        "NotWatched",
    )  # the running version serves in spite of them
    if degraded.status and degraded.reason not in bars:
        return Condition(False, degraded.reason, degraded.message)
    if rollout.available:
        paused = " (paused)" if point_service.spec.paused else ""
        return Condition(True, "Available", f"{rollout.ready} of {rollout.wanted} pods ready{paused}")
    if degraded.status:
        return Condition(False, degraded.reason, degraded.message)
    if rollout.exists:
        troubles = f" {_joined(seen.troubles)}" if seen.troubles else ""
        return Condition(False, "PodsNotReady", f"{rollout.ready} of {rollout.wanted} pods ready.{troubles}")
    if point_service.spec.paused:
        return Condition(False, "Paused", "spec.paused is true and nothing runs yet")
    return Condition(False, "Migrating", f"Schema migration: {seen.migration.state}")


def _progressing(point_service: PointService, seen: Seen, outcome: Outcome, degraded: Condition) -> Condition:
    rollout = outcome.running
    if point_service.spec.paused:
        return Condition(False, "Paused", "spec.paused is true: nothing is changed or repaired")
    if outcome.refusal or seen.secret_problems:
        return Condition(False, degraded.reason, "Waits until what Degraded tells is put right")
    if seen.migration.state == "Failed":
        return Condition(False, "MigrationFailed", "The new version waits for its schema migration")
    if seen.migration.state != "Succeeded":
        return Condition(True, "Migrating", f"Schema migration: {seen.migration.state}")
    if rollout.stuck:
        return Condition(False, "RolloutStuck", "The rollout has stopped")
    canary = outcome.canary
    if canary is not None and canary.state == "Failed":
        return Condition(False, "CanaryFailed", f"{canary.image} has failed on trial")
    if canary is not None and canary.state in ("Starting", "Running"):
        return Condition(True, "Canary", _canary(point_service, canary))
    if not rollout.complete:
        return Condition(
            True, "RollingOut", f"{rollout.updated} of {rollout.wanted} pods run the wanted version"
        )
    return Condition(False, "Complete", "The cluster is as the spec says")


def _canary(point_service: PointService, record: Record) -> str:
    canary = point_service.spec.rollout.canary
    if record.state == "Starting":
        return f"{record.image} starts; it will get {canary.weight} percent of the requests"
    return (
        f"{record.image} gets {canary.weight} percent of the requests for {canary.bake_seconds} s "
        f"since {record.since}"
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
