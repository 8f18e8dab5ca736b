"""What follows from one look: what must exist, what of it is applied now, and how far a canary is. Pure."""

import datetime

import msgspec

from point_operator.control import canary, served
from point_operator.control.canary import Record
from point_operator.control.status import Status
from point_operator.model.api import PointService
from point_operator.observe.look import Seen
from point_operator.resources import plan
from point_operator.resources.plan import Plan
from point_operator.resources.surroundings import Release


class Decision(msgspec.Struct, frozen=True):
    """What is to be done."""

    canary: Record | None
    """The canary as it is from now on."""
    plan: Plan | None = None
    """None when nothing may be changed."""
    withdraw: bool = False
    """Whether what leads to it is taken away: it was admitted to nothing."""


def decide(point_service: PointService, seen: Seen, before: Status, now: datetime.datetime) -> Decision:
    """Return what is to be done; `before` is the status as it was, `now` is aware."""
    trial, stable = canary.recorded(before), before.get("image", "")
    if seen.refusal is not None and not seen.claims:
        return Decision(trial, withdraw=True)
    if point_service.spec.paused:
        return Decision(trial)
    trial = canary.decide(point_service, stable, trial, seen, now)
    if seen.refusal is not None:
        return Decision(trial)
    wanted = plan.build(
        point_service, seen.surroundings, canary.release(point_service, stable, trial, seen, now)
    )
    return Decision(trial, due(point_service, wanted, seen, before))


def due(point_service: PointService, wanted: Plan, seen: Seen, before: Status) -> Plan:
    """Leave out what has to wait: nothing starts without its Secrets, no pod before its schema and its login.

    While a new image waits, what served goes on being repaired, and comes back when somebody has deleted it.
    """
    known, stable = served.images(point_service, seen, before), before.get("image", "")
    pods: tuple[plan.Manifest, ...] = ()
    if not seen.secret_problems:
        if seen.migration.state == "Succeeded" or point_service.spec.image in known:
            pods = wanted.pods
        elif stable in known:
            pods = plan.build_pods(point_service, seen.surroundings, Release(stable))
    return msgspec.structs.replace(
        wanted,
        migration=() if seen.secret_problems else wanted.migration,
        pods=pods,
        scaling=wanted.scaling if pods or seen.running.exists else (),  # of what runs it goes on
    )
