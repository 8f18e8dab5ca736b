"""The truth table: which conditions follow from what was seen and what came of it. Pure.

Ready tells whether members are served, Degraded what a person has to look at, Progressing whether the operator is at
work. Reconciling and Stalled say the same of the newest spec as kstatus has them: absent unless they hold, never both.
"""

from typing import Literal

import msgspec

from point_operator.control.canary import Record
from point_operator.model.api import PointService
from point_operator.model.claims import Claim
from point_operator.observe.fleet import Refusal
from point_operator.observe.look import Seen
from point_operator.observe.workload import Rollout

Status = Literal["True", "False", "Unknown"]

WAITING = frozenset(
    {
        "SecretMissing",
        "CertificateMissing",
        "GatewayAbsent",
        "ListenerAbsent",
        "RouteNotAccepted",
        "KeysUnavailable",
        "ApiFailed",
        "InternalError",
    }
)
"""What may come right by itself, as a Secret that another controller makes: Stalled only after a while."""
SERVING = frozenset({"RateLimitServiceDown", "KeysUnavailable", "NotWatched"})
"""What takes nothing from the newest spec's being at work."""
NO_PODS = frozenset({"SecretMissing", "MigrationFailed", "RolloutStuck"})
"""What explains that there are no pods, besides a refusal."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one look."""

    running: Rollout = Rollout()
    """How the service's own pods are now."""
    routed: bool = False
    """Whether the gateway has its route, perhaps as it was before its last change."""
    route_told: bool = True
    """Whether the gateway has looked at the route as it is."""
    refusal: Refusal | None = None
    """Why the operator could not do what the spec says."""
    canary: Record | None = None
    claims: tuple[Claim, ...] = ()
    unwatched: str = ""
    """Why what is for watching could not be made."""


class Condition(msgspec.Struct, frozen=True):
    """One condition before it gets its time and generation."""

    status: Status
    reason: str
    message: str


def follow(
    point_service: PointService, seen: Seen, outcome: Outcome, degraded_for: float, *, was_ready: bool
) -> dict[str, Condition]:
    """Return the conditions by type; `degraded_for` is the seconds that Degraded has held without a break.

    `was_ready` tells whether this generation has been: istiod then has the issuer's keys and keeps them.
    """
    degraded = _degraded(seen, outcome)
    conditions = {
        "Ready": _ready(point_service, seen, outcome, degraded, was_ready=was_ready),
        "Progressing": _progressing(point_service, seen, outcome, degraded),
        "Degraded": degraded,
    }
    patience = point_service.spec.rollout.progress_deadline_seconds
    return conditions | _kstatus(point_service, outcome, conditions, patient=degraded_for < patience)


def unreadable(message: str) -> dict[str, Condition]:
    """Return the conditions of a PointService whose spec this version can't read."""
    return {
        "Ready": Condition("False", "InvalidSpec", message),
        "Progressing": Condition("False", "InvalidSpec", "Waits for a spec that can be read"),
        "Degraded": Condition("True", "InvalidSpec", message),
        "Stalled": Condition("True", "InvalidSpec", message),
    }


def unseen(cause: Refusal) -> dict[str, Condition]:
    """Return the conditions of one that could not be looked at."""
    return {
        "Ready": Condition("Unknown", cause.reason, cause.message),
        "Progressing": Condition("False", cause.reason, "Tried again and again"),
        "Degraded": Condition("True", cause.reason, cause.message),
        "Reconciling": Condition("True", cause.reason, cause.message),
    }


def at_work(point_service: PointService, seen: Seen, outcome: Outcome) -> bool:
    """Whether all that serves is what the newest spec says, and nothing of it was left undone."""
    running = outcome.running
    return (
        not point_service.spec.paused
        and outcome.refusal is None
        and outcome.route_told
        and not seen.secret_problems
        and seen.migration.state == "Succeeded"
        and running.renewed
        and running.image == point_service.spec.image
    )


def _degraded(seen: Seen, outcome: Outcome) -> Condition:
    """The first thing that a person has to look at."""
    running, canary = outcome.running, outcome.canary
    serving = "; the running version keeps serving" if running.available else ""
    if outcome.refusal:
        return Condition("True", outcome.refusal.reason, outcome.refusal.message)
    if seen.secret_problems:
        return Condition("True", "SecretMissing", "; ".join(seen.secret_problems))
    if seen.migration.state == "Failed":
        return Condition("True", "MigrationFailed", f"{seen.migration.message or 'no message'}{serving}")
    if seen.without_sidecar:
        pods = ", ".join(seen.without_sidecar)
        return Condition(
            "True",
            "NoSidecar",
            f"{pods}: no istio-proxy, so nothing checks who calls; is the injector running?",
        )
    if running.stuck:
        troubles = f": {'; '.join(seen.troubles)}" if seen.troubles else ""
        return Condition("True", "RolloutStuck", f"No new pod became ready in time{troubles}{serving}")
    if seen.gateway_problem:
        return Condition("True", seen.gateway_problem.reason, seen.gateway_problem.message)
    if seen.route_problem:
        return Condition("True", seen.route_problem.reason, f"{seen.route_problem.message}{serving}")
    if seen.certificate_problem:
        return Condition("True", "CertificateMissing", seen.certificate_problem)
    if canary is not None and canary.state == "Failed":
        return Condition(
            "True",
            "CanaryFailed",
            f"Image {canary.image} on trial: {canary.message}. {running.image} serves all "
            "requests again; it is tried again when spec.image or spec.rollout changes",
        )
    if seen.keys.problem:
        return Condition("True", "KeysUnavailable", f"Whose tokens hold can't be told: {seen.keys.problem}")
    if seen.rate_limit_service_down:
        return Condition(
            "True",
            "RateLimitServiceDown",
            "No pod of the rate limit service is ready (does it reach spec.cache?); meanwhile each gateway pod "
            "keeps its share of the limit",
        )
    if outcome.unwatched:
        return Condition("True", "NotWatched", f"The service is not affected. {outcome.unwatched}")
    return Condition("False", "AsExpected", "Nothing needs attention")


def _ready(
    point_service: PointService, seen: Seen, outcome: Outcome, degraded: Condition, *, was_ready: bool
) -> Condition:
    """Whether members are served, by whichever version."""
    running = outcome.running
    if running.available and seen.without_sidecar:
        return Condition("False", "NoSidecar", degraded.message)
    if running.available and outcome.routed:
        if seen.gateway_problem:
            return Condition("False", seen.gateway_problem.reason, seen.gateway_problem.message)
        if seen.certificate_problem and not seen.certified:
            return Condition("False", "CertificateMissing", seen.certificate_problem)
        if seen.keys.problem and not (was_ready or seen.keys.had):
            return Condition("False", "KeysUnavailable", seen.keys.problem)
        paused = " (paused)" if point_service.spec.paused else ""
        newest = (
            "" if at_work(point_service, seen, outcome) or paused else "; the newest spec is not at work yet"
        )
        return Condition(
            "True", "Available", f"{running.ready} of {running.wanted} pods ready{paused}{newest}"
        )
    if outcome.refusal or degraded.reason in NO_PODS:
        return Condition("False", degraded.reason, degraded.message)
    if running.available and seen.gateway_problem:
        return Condition("False", seen.gateway_problem.reason, seen.gateway_problem.message)
    if running.available:
        return Condition("False", "NotRouted", "The pods are ready, and the gateway has no route to them yet")
    if running.exists:
        troubles = f" {'; '.join(seen.troubles)}" if seen.troubles else ""
        return Condition(
            "False", "PodsNotReady", f"{running.ready} of {running.wanted} pods ready.{troubles}"
        )
    if point_service.spec.paused:
        return Condition("False", "Paused", "spec.paused is true and nothing runs yet")
    return Condition("False", "Migrating", _migrating(seen))


def _migrating(seen: Seen) -> str:
    return f"Schema migration: {seen.migration.state} {seen.migration.message}".strip()


def _progressing(point_service: PointService, seen: Seen, outcome: Outcome, degraded: Condition) -> Condition:
    running, canary = outcome.running, outcome.canary
    if point_service.spec.paused:
        return Condition("False", "Paused", "spec.paused is true: nothing is changed or repaired")
    if outcome.refusal or seen.secret_problems:
        return Condition("False", degraded.reason, "Waits until what Degraded tells is put right")
    if seen.migration.state == "Failed":
        return Condition("False", "MigrationFailed", "The new version waits for its schema migration")
    if seen.migration.state != "Succeeded":
        return Condition("True", "Migrating", _migrating(seen))
    if running.stuck:
        return Condition("False", "RolloutStuck", "The rollout has stopped")
    if canary is not None and canary.state == "Failed":
        return Condition("False", "CanaryFailed", f"{canary.image} has failed on trial")
    if canary is not None and canary.state in ("Starting", "Running"):
        return Condition("True", "Canary", _trial(point_service, canary))
    if not running.complete or running.image != point_service.spec.image:
        return Condition(
            "True", "RollingOut", f"{running.updated} of {running.wanted} pods run the wanted version"
        )
    if outcome.routed and not outcome.route_told:
        return Condition("True", "RollingOut", "The gateway has not looked at the newest route yet")
    return Condition("False", "Complete", "The cluster is as the spec says")


def _kstatus(
    point_service: PointService, outcome: Outcome, conditions: dict[str, Condition], *, patient: bool
) -> dict[str, Condition]:
    """Return Reconciling or Stalled, whichever holds for the newest spec, or neither."""
    progressing, degraded = conditions["Progressing"], conditions["Degraded"]
    running = outcome.running
    if point_service.spec.paused:
        held_back = running.image != point_service.spec.image
        return {"Reconciling": msgspec.structs.replace(progressing, status="True")} if held_back else {}
    if progressing.status == "True":
        return {"Reconciling": progressing}
    if degraded.status == "False" or (degraded.reason in SERVING and conditions["Ready"].status == "True"):
        return {}
    return {"Reconciling" if degraded.reason in WAITING and patient else "Stalled": degraded}


def _trial(point_service: PointService, record: Record) -> str:
    canary = point_service.spec.rollout.canary
    if record.state == "Starting":
        return f"{record.image} starts; it will get {canary.weight} percent of the requests"
    return (
        f"{record.image} gets {canary.weight} percent of the requests for {canary.bake_seconds} s "
        f"since {record.since}"
    )
