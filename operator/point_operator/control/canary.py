"""How far the canary of a new image is, and what follows. Pure: what was, what is seen, what is now.

A canary is a few pods of their own that run the new image and get a share of the requests. The service's own
pods keep the old image, and everything else of the spec, until it has gone well. That its pods are moved to other
nodes is no verdict: they get nothing while none is ready, and what they counted before stays counted.
"""

import datetime
import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from point_operator.model import names
from point_operator.model.api import PointService
from point_operator.observe.look import Seen
from point_operator.observe.workload import Counts
from point_operator.resources.surroundings import Release

State = Literal["Starting", "Running", "Promoting", "Succeeded", "Failed", "Withdrawn"]
"""Starting: its pods come up, without requests. Running: they get their share. Promoting: the service's own
pods take the image over. The others are ends; Withdrawn means that the spec has changed meanwhile."""

FEWEST_PODS = 2
"""One could be moved with the node it is on, and requests would fail that have nothing to do with the image."""
FEWEST_REQUESTS = 20
"""Before so many were counted, no percentage ends a canary early."""
COUNTING_GRACE_SECONDS = 60.0
"""How long after its time a canary waits for its requests to be countable."""
ROUTE_GONE_SECONDS = 12.0
"""From the last share to removing Service and pods: by then every gateway has heard of it. Istiod holds changes back
for up to 10 s while others keep coming (PILOT_DEBOUNCE_MAX), and what it then sends at once takes the cluster away
before the route to it."""

_SERVED: tuple[State, ...] = ("Running", "Promoting")
_OVER: tuple[State, ...] = ("Succeeded", "Failed", "Withdrawn")
_TAKEN_OVER: tuple[State, ...] = ("Promoting", "Succeeded", "Withdrawn")
"""In these the service's own pods run the spec's image."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What status says of a canary. It is also the operator's memory: one that failed is not repeated."""

    image: str
    attempt: str
    """Digest of the image and of what `spec.rollout` says of canaries; when either changes, that is another one."""
    state: State
    since: str
    """RFC 3339 time at which the state began."""
    requests: int = 0
    errors: int = 0
    pods: dict[str, tuple[int, int]] = {}
    """Requests and errors by pod, also of pods that are gone."""
    away: str = ""
    """RFC 3339 time since which no pod is ready; empty while one is."""
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
    attempt = _attempt(point_service)
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
    seen: Seen,
    now: datetime.datetime,
) -> Release:
    """Return which images run and how requests are shared."""
    wanted, weight = point_service.spec.image, point_service.spec.rollout.canary.weight
    if record is None:
        return Release(wanted)
    image = wanted if record.state in _TAKEN_OVER else stable or wanted
    if _gone(record, now):
        return Release(image)
    pods = max(FEWEST_PODS, math.ceil(seen.running.wanted * weight / 100))
    return Release(image, pods, weight if record.serves and seen.canary.serving else 0)


def next_look(record: Record | None, now: datetime.datetime) -> float | None:
    """Return the seconds until a canary has to be looked at again, None when nothing is due."""
    return None if record is None or _gone(record, now) else ROUTE_GONE_SECONDS


def _attempt(point_service: PointService) -> str:
    """Follows what the user wrote of it, so that a new release of the operator tries nothing again."""
    rollout, terms = point_service.spec.rollout, point_service.spec.rollout.canary
    written = [
        point_service.spec.image,
        rollout.strategy,
        rollout.progress_deadline_seconds,
        terms.weight,
        terms.bake_seconds,
        terms.max_error_percent,
    ]
    return names.digest(written)[:10]


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
    rollout, moment = point_service.spec.rollout, _text(now)
    if seen.canary_restarts:
        return _failed(before, moment, f"its containers restarted {seen.canary_restarts} times")
    record = _counted(before, seen.canary_counts or {})
    counts, late = Counts(record.requests, record.errors), _age(before, now) - rollout.canary.bake_seconds
    serves = seen.canary.serving > 0
    judged = counts.requests >= FEWEST_REQUESTS or (late >= 0 and serves and seen.canary_counts is not None)
    if judged and counts.percent > rollout.canary.max_error_percent:
        return _failed(
            record,
            moment,
            f"{counts.errors} of {counts.requests} requests failed "
            f"({counts.percent:.1f} percent, at most {rollout.canary.max_error_percent} allowed)",
        )
    if not serves:
        return _away(record, seen, now, rollout.progress_deadline_seconds)
    record = msgspec.structs.replace(record, away="")
    if seen.canary_counts is None:
        if late < COUNTING_GRACE_SECONDS:
            return record
        return _failed(record, moment, "its requests could not be counted: can the operator reach its pods?")
    if late < 0:
        return record
    return msgspec.structs.replace(record, state="Promoting", since=moment)


def _counted(record: Record, counts: Mapping[str, Counts]) -> Record:
    """Take in what the pods that there are have counted; the others keep what they had."""
    pods = record.pods | {name: (one.requests, one.errors) for name, one in sorted(counts.items())}
    requests, errors = (sum(one[place] for one in pods.values()) for place in (0, 1))
    return msgspec.structs.replace(record, pods=pods, requests=requests, errors=errors)


def _away(record: Record, seen: Seen, now: datetime.datetime, seconds: float) -> Record:
    """No pod is ready: a node may have been drained, and others get the time that a rollout has to start."""
    since = record.away or _text(now)
    if (now - datetime.datetime.fromisoformat(since)).total_seconds() < seconds:
        return msgspec.structs.replace(record, away=since)
    return _failed(record, _text(now), f"no pod is ready any more. {'; '.join(seen.canary_troubles)}".strip())


def _failed(record: Record, moment: str, message: str) -> Record:
    return msgspec.structs.replace(record, state="Failed", since=moment, message=message)


def _gone(record: Record, now: datetime.datetime) -> bool:
    """Whether nothing has to be left of it: it is over, and every gateway has heard so."""
    return record.over and _age(record, now) >= ROUTE_GONE_SECONDS


def _text(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(record: Record, now: datetime.datetime) -> float:
    return (now - datetime.datetime.fromisoformat(record.since)).total_seconds()
