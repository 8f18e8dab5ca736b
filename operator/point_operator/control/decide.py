"""What follows from one look: what must exist, what of it is applied now, and how far a canary is. Pure."""

import datetime

import msgspec

from point_operator.control import canary
from point_operator.control.canary import Record
from point_operator.control.status import Status
from point_operator.model.api import PointService
from point_operator.observe.look import Seen
from point_operator.resources import plan
from point_operator.resources.plan import Plan


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
    record, stable = canary.recorded(before), before.get("image", "")
    if seen.refusal is not None and not seen.claims:
        return Decision(record, withdraw=True)
    if point_service.spec.paused:
        return Decision(record)
    record = canary.decide(point_service, stable, record, seen, now)
    if seen.refusal is not None:
        return Decision(record)
    release = canary.release(point_service, stable, record, seen.running, now)
    return Decision(record, due(plan.build(point_service, seen.surroundings, release), seen))


def due(wanted: Plan, seen: Seen) -> Plan:
    """Leave out the stages that have to wait: nothing starts without its Secrets, no pod before its schema."""
    ready = seen.migration.state == "Succeeded" and not seen.secret_problems
    return msgspec.structs.replace(
        wanted,
        migration=() if seen.secret_problems else wanted.migration,
        pods=wanted.pods if ready else (),
        scaling=wanted.scaling if ready or seen.running.exists else (),  # of what runs it goes on
    )
