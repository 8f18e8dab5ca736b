"""How far the trial of a new image is, and what follows. Pure: what was, what is seen, what is now.

A trial runs the new image in a few pods of its own and gives them a share of the requests. The service's own
pods keep the old image, and everything else of the spec, until the trial has gone well.
"""

import datetime
import math
from typing import Literal

import msgspec

from point_operator.model import names
from point_operator.model.api import PointService
from point_operator.observe.workload import Counts, Rollout
from point_operator.resources.surroundings import Trial

State = Literal["Starting", "Running", "Promoting", "Succeeded", "Failed", "Withdrawn"]
"""Starting: its pods come up, without requests. Running: they get their share. Promoting: the service's own
pods take the image over. The others are ends; Withdrawn means that the spec has changed meanwhile."""

FEWEST_REQUESTS = 20
"""Before so many were counted, no percentage ends a trial early."""
COUNTING_GRACE_SECONDS = 60.0
"""How long after its time a trial waits for its requests to be countable."""
ROUTE_GONE_SECONDS = 2.0
"""From the last share to removing the pods: by then every gateway has heard of it."""

_SERVED: tuple[State, ...] = ("Running", "Promoting")
_OVER: tuple[State, ...] = ("Succeeded", "Failed", "Withdrawn")


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What status says of a trial. It is also the operator's memory: a trial that failed is not repeated."""

    image: str
    attempt: str
    """Digest of the image and of `spec.rollout`; when either changes, that is another trial."""
    state: State
    since: str
    """RFC 3339 time at which the state began."""
    requests: int = 0
    errors: int = 0
    message: str = ""

    @property
    def serves(self) -> bool:
        """Whether it gets requests."""
        return self.state in _SERVED

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in _OVER


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one look finds of a trial's pods and of the service's own."""

    running: Rollout = Rollout()
    trial: Rollout = Rollout()
    restarts: int = 0
    """Of the trial's containers."""
    counts: Counts | None = None
    """None when some pod could not be asked."""
    troubles: tuple[str, ...] = ()


def decide(
    point_service: PointService, stable: str, before: Record | None, seen: Seen, now: datetime.datetime
) -> Record | None:
    """Return the trial as it is from now on, None when there is none.

    `stable` is the image that last served completely, empty before the first; `now` is aware.
    """
    spec = point_service.spec
    attempt = names.digest([spec.image, spec.rollout])[:10]
    moment = _text(now)
    if before is None or before.attempt != attempt:
        if spec.rollout.strategy == "Canary" and stable not in ("", spec.image):
            return Record(image=spec.image, attempt=attempt, state="Starting", since=moment)
        return _withdrawn(before, now)
    match before.state:
        case "Starting":
            return _starting(before, seen, moment)
        case "Running":
            return _running(point_service, before, seen, now)
        case "Promoting" if seen.running.complete and seen.running.image == spec.image:
            return msgspec.structs.replace(before, state="Succeeded", since=moment)
        case _:
            return before


def trial(
    point_service: PointService, record: Record | None, running: Rollout, now: datetime.datetime
) -> Trial | None:
    """Return what the builders make of a trial: None when its pods are not wanted, or not any more."""
    if record is None or (record.over and _age(record, now) >= ROUTE_GONE_SECONDS):
        return None
    weight = point_service.spec.rollout.canary.weight
    replicas = max(1, math.ceil(running.wanted * weight / 100))
    return Trial(replicas, weight if record.serves else 0)


def image(record: Record | None, stable: str) -> str:
    """Return the image of the service's own pods, empty for the spec's."""
    if record is None or record.state in ("Promoting", "Succeeded", "Withdrawn"):
        return ""
    return stable


def next_look(record: Record | None, now: datetime.datetime) -> float | None:
    """Return the seconds until a trial has to be looked at again, None when nothing is due."""
    if record is None or (record.over and _age(record, now) >= ROUTE_GONE_SECONDS):
        return None
    return ROUTE_GONE_SECONDS


def _withdrawn(before: Record | None, now: datetime.datetime) -> Record | None:
    if before is None:
        return None
    if not before.over:
        return msgspec.structs.replace(before, state="Withdrawn", since=_text(now))
    return before if _age(before, now) < ROUTE_GONE_SECONDS else None


def _starting(before: Record, seen: Seen, moment: str) -> Record:
    pods = seen.trial
    if pods.image != before.image:
        return before  # not applied yet: its migration may still run
    if pods.stuck:
        return _failed(before, moment, f"no pod became ready in time. {'; '.join(seen.troubles)}".strip())
    return msgspec.structs.replace(before, state="Running", since=moment) if pods.complete else before


def _running(point_service: PointService, before: Record, seen: Seen, now: datetime.datetime) -> Record:
    canary, moment = point_service.spec.rollout.canary, _text(now)
    if not seen.trial.serving:
        return _failed(before, moment, f"no pod is ready any more. {'; '.join(seen.troubles)}".strip())
    if seen.restarts:
        return _failed(before, moment, f"its containers restarted {seen.restarts} times")
    late = _age(before, now) - canary.bake_seconds
    if seen.counts is None:
        if late < COUNTING_GRACE_SECONDS:
            return before
        return _failed(before, moment, "its requests could not be counted: can the operator reach its pods?")
    counts = seen.counts
    counted = msgspec.structs.replace(before, requests=counts.requests, errors=counts.errors)
    decided = late >= 0 or counts.requests >= FEWEST_REQUESTS
    if decided and counts.percent > canary.max_error_percent:
        return _failed(
            counted,
            moment,
            f"{counts.errors} of {counts.requests} requests failed "
            f"({counts.percent:.1f} percent, at most {canary.max_error_percent} allowed)",
        )
    if late < 0:
        return counted
    return msgspec.structs.replace(counted, state="Promoting", since=moment)


def _failed(record: Record, moment: str, message: str) -> Record:
    return msgspec.structs.replace(record, state="Failed", since=moment, message=message)


def _text(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(record: Record, now: datetime.datetime) -> float:
    return (now - datetime.datetime.fromisoformat(record.since)).total_seconds()
