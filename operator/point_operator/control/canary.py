"""How far the canary of a new image is, and what follows. Pure: what was, what is seen, what is now.

A canary is a few pods of their own that run the new image and get a share of the requests. The service's own
pods keep the old image, and everything else of the spec, until it has gone well.
"""

import datetime
import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from point_operator.model import names
from point_operator.model.api import PointService
from point_operator.observe.look import Seen
from point_operator.observe.workload import Rollout
from point_operator.resources.surroundings import Release

State = Literal["Starting", "Running", "Promoting", "Succeeded", "Failed", "Withdrawn"]
"""Starting: its pods come up, without requests. Running: they get their share. Promoting: the service's own
pods take the image over. The others are ends; Withdrawn means that the spec has changed meanwhile."""

FEWEST_REQUESTS = 20
"""Before so many were counted, no percentage ends a canary early."""
COUNTING_GRACE_SECONDS = 60.0
"""How long after its time a canary waits for its requests to be countable."""
ROUTE_GONE_SECONDS = 2.0
"""From the last share to removing the pods: by then every gateway has heard of it."""

_SERVED: tuple[State, ...] = ("Running", "Promoting")
_OVER: tuple[State, ...] = ("Succeeded", "Failed", "Withdrawn")
_TAKEN_OVER: tuple[State, ...] = ("Promoting", "Succeeded", "Withdrawn")
"""In these the service's own pods run the spec's image."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What status says of a canary. It is also the operator's memory: one that failed is not repeated."""

    image: str
    attempt: str
    """Digest of the image and of `spec.rollout`; when either changes, that is another canary."""
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


def recorded(status: Mapping[str, Any]) -> Record | None:
    """Read it back from a status."""
    return msgspec.convert(status["canary"], Record) if "canary" in status else None


def is_counted(point_service: PointService, status: Mapping[str, Any]) -> bool:
    """Whether what the canary answers counts now."""
    record = recorded(status)
    return record is not None and record.state == "Running" and not point_service.spec.paused


def decide(
    point_service: PointService, stable: str, before: Record | None, seen: Seen, now: datetime.datetime
) -> Record | None:
    """Return the canary as it is from now on, None when there is none.

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


def release(
    point_service: PointService,
    stable: str,
    record: Record | None,
    running: Rollout,
    now: datetime.datetime,
) -> Release:
    """Return which images run and how requests are shared; `running` are the service's own pods."""
    wanted, weight = point_service.spec.image, point_service.spec.rollout.canary.weight
    if record is None:
        return Release(wanted)
    image = wanted if record.state in _TAKEN_OVER else stable or wanted
    if _gone(record, now):
        return Release(image)
    return Release(image, max(1, math.ceil(running.wanted * weight / 100)), weight if record.serves else 0)


def next_look(record: Record | None, now: datetime.datetime) -> float | None:
    """Return the seconds until a canary has to be looked at again, None when nothing is due."""
    return None if record is None or _gone(record, now) else ROUTE_GONE_SECONDS


def _withdrawn(before: Record | None, now: datetime.datetime) -> Record | None:
    if before is None:
        return None
    if not before.over:
        return msgspec.structs.replace(before, state="Withdrawn", since=_text(now))
    return None if _gone(before, now) else before


def _starting(before: Record, seen: Seen, moment: str) -> Record:
    pods = seen.canary
    if pods.image != before.image:
        return before  # not applied yet: its migration may still run
    if pods.stuck:
        return _failed(
            before, moment, f"no pod became ready in time. {'; '.join(seen.canary_troubles)}".strip()
        )
    return msgspec.structs.replace(before, state="Running", since=moment) if pods.complete else before


def _running(point_service: PointService, before: Record, seen: Seen, now: datetime.datetime) -> Record:
    canary, moment = point_service.spec.rollout.canary, _text(now)
    if not seen.canary.serving:
        return _failed(before, moment, f"no pod is ready any more. {'; '.join(seen.canary_troubles)}".strip())
    if seen.canary_restarts:
        return _failed(before, moment, f"its containers restarted {seen.canary_restarts} times")
    late = _age(before, now) - canary.bake_seconds
    if seen.canary_counts is None:
        if late < COUNTING_GRACE_SECONDS:
            return before
        return _failed(before, moment, "its requests could not be counted: can the operator reach its pods?")
    counts = seen.canary_counts
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


def _gone(record: Record, now: datetime.datetime) -> bool:
    """Whether nothing has to be left of it: it is over, and every gateway has heard so."""
    return record.over and _age(record, now) >= ROUTE_GONE_SECONDS


def _text(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(record: Record, now: datetime.datetime) -> float:
    return (now - datetime.datetime.fromisoformat(record.since)).total_seconds()
