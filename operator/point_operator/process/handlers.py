"""What kopf is told to watch. Each handler only says which PointService to look at."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import kopf

from point_operator.kube import ownership
from point_operator.kube.apply import Applier
from point_operator.model import kinds, names
from point_operator.observe.fleet import Fleet, Key
from point_operator.process.queue import Queue

COALESCE_SECONDS = 0.1
"""Children change in bursts; one look is enough for all."""

WITH_STATUS = (kinds.DEPLOYMENT, kinds.JOB, kinds.HTTP_ROUTE)
"""Kinds whose status matters. Of others (an autoscaler's is written every 15 s) only the rest does."""


class Handlers:
    """Turns events into work for the queue."""

    def __init__(self, fleet: Fleet, applier: Applier, queue: Queue, namespaces: Sequence[str] = ()) -> None:
        self._fleet = fleet
        self._namespaces = namespaces
        """Where PointServices are looked after; empty for everywhere."""
        self._applier = applier
        self._queue = queue

    def point_service(self, event: Mapping[str, Any]) -> None:
        """A PointService was made, changed, deleted, or found at start."""
        body = event["object"]
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        if self._namespaces and key[0] not in self._namespaces:
            return
        refused = self._fleet.refused()
        deleted = event["type"] == "DELETED"
        changed = self._fleet.forget(key) if deleted else self._fleet.see(body)
        self._queue.add(key)
        if changed:  # it may have freed what another one wants
            for other in refused:
                self._queue.add(other, COALESCE_SECONDS)

    def child(self, kind: kinds.Kind, event: Mapping[str, Any]) -> None:
        """A child was made, changed, deleted, or found at start."""
        body = event["object"]
        if event["type"] == "DELETED":
            self._applier.forget(body)
        elif self._applier.is_as_left(body, with_status=kind in WITH_STATUS):
            return
        for key in self._owners(body):
            self._queue.add(key, COALESCE_SECONDS)

    def _owners(self, body: Mapping[str, Any]) -> Iterable[Key]:
        labels = body["metadata"].get("labels") or {}
        if names.SHARED in labels:
            return [one.key for one in self._fleet.at_gateway(labels[names.SHARED])]
        return ownership.owners(body)


def register(
    registry: kopf.OperatorRegistry,
    settings: kopf.OperatorSettings,
    handlers: Handlers,
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Have kopf watch PointServices and, by label on the server side, their children.

    It calls from its own thread; the handlers run in `loop`.
    """

    @kopf.on.event(*_selector(kinds.POINT_SERVICE), registry=registry)
    async def _point_service(event: Mapping[str, Any], **_: Any) -> None:
        loop.call_soon_threadsafe(handlers.point_service, event)

    for kind in kinds.MADE:
        settings.watching.label_selectors[_selector(kind)] = names.SELECTOR
        child = _child(handlers, kind, loop)
        kopf.on.event(*_selector(kind), registry=registry, id=f"child-{kind.plural}")(child)


def _child(handlers: Handlers, kind: kinds.Kind, loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    async def child(event: Mapping[str, Any], **_: Any) -> None:
        loop.call_soon_threadsafe(handlers.child, kind, event)

    return child


def _selector(kind: kinds.Kind) -> Any:
    return (kind.group, kind.version, kind.plural) if kind.group else (kind.version, kind.plural)
