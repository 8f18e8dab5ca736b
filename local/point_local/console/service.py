"""The PointService as the operator tells of it: status, conditions, events. Pure."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from point_local.console.state import moment
from point_local.drill.observe import Object
from point_local.stack import application

EVENTS = 20
"""So many of the last are shown."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition of the PointService; `since` in seconds since 1970."""

    type: str
    status: str
    reason: str
    message: str
    since: float | None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What was last told of the PointService; `at` in seconds since 1970."""

    at: float | None
    type: str
    reason: str
    message: str
    times: int


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """The PointService, as the operator tells of it."""

    name: str
    image: str
    replicas: int
    ready: int
    generation: int
    observed: int
    conditions: Sequence[Condition]
    events: Sequence[Event]


def service(resource: Object, events: Sequence[Object]) -> Service:
    """The PointService with its conditions and its last events, the newest first."""
    status = resource.get("status", {})
    mine = [e for e in events if e["involvedObject"].get("kind") == "PointService"]
    told = [_event(e) for e in mine if e["involvedObject"].get("name") == resource["metadata"]["name"]]
    return Service(
        name=f"{resource['metadata']['namespace']}/{resource['metadata']['name']}",
        image=status.get("image", ""),
        replicas=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        generation=resource["metadata"]["generation"],
        observed=status.get("observedGeneration", 0),
        conditions=[
            Condition(
                type=c["type"],
                status=c["status"],
                reason=c.get("reason", ""),
                message=c.get("message", ""),
                since=moment(c.get("lastTransitionTime")),
            )
            for c in status.get("conditions", [])
        ],
        events=sorted(told, key=lambda e: e.at or 0, reverse=True)[:EVENTS],
    )


def _event(event: Object) -> Event:
    series = event.get("series") or {}
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return Event(
        at=moment(last),
        type=event.get("type", ""),
        reason=event.get("reason", ""),
        message=event.get("message", ""),
        times=series.get("count") or event.get("count") or 1,
    )


class Patch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field of the PointService's spec, by its dotted path, and its new value (null takes it away)."""

    field: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9]+(\.[a-zA-Z0-9]+)*$", max_length=200)]
    value: str | int | float | bool | None
    dry: bool = False
    """Only ask the API server what it would say."""


def command(patch: Patch) -> list[str]:
    """The words behind `kubectl` that set the field."""
    body: object = patch.value
    for key in reversed(patch.field.split(".")):
        body = {key: body}
    where = ("patch", "pts", application.NAME, "-n", application.NAMESPACE, "--type=merge")
    return [*where, "-p", msgspec.json.encode({"spec": body}).decode()]
