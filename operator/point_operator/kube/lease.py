"""Which of the replicas works: the one that holds a Lease, and knows that it does.

`kubernetes.aio.leaderelection` sends requests without a time limit, so a leader cut off from the API
server may go on after its Lease has lapsed; and it never gives the Lease back. kopf's peering is no
election at all. So this is the protocol of client-go, with a deadline that a thread can watch.
"""

import asyncio
import contextlib
import datetime
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from kubernetes.aio.dynamic.exceptions import ConflictError, DynamicApiError

from point_operator import metrics
from point_operator.kube.cluster import Cluster, Object
from point_operator.model import kinds

log = logging.getLogger(__name__)

NAME = "point-operator"
DURATION = 10.0
"""Seconds after its last renewal until others may take a Lease."""
SAFE = 7.5
"""Seconds after the start of its last renewal in which the holder may work; then it must have ended."""
PERIOD = 2.0
"""Seconds between two tries to renew or to take."""


class LeaseLostError(Exception):
    """Another process holds the Lease, or it could not be renewed in time."""


class Lease:
    """A Lease in the Kubernetes API, wanted or held by one process."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, identity: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._seen: tuple[str, float] = ("", 0.0)
        """resourceVersion of the Lease and when this process had first read it, by its own clock."""
        self.deadline = float("-inf")
        """`time.monotonic()` until which this process may work."""

    async def acquire(self) -> None:
        """Return once this process holds the Lease."""
        while not await self._try():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(PERIOD)
        metrics.LEADER.set(1)
        log.info("holds the Lease", extra={"identity": self._identity})

    async def keep(self) -> None:
        """Renew for as long as that works. Raises LeaseLostError before the Lease lapses."""
        while True:
            await asyncio.sleep(PERIOD)
            if not await self._try() and time.monotonic() > self.deadline - PERIOD:
                metrics.LEADER.set(0)
                raise LeaseLostError(f"Lease {self._namespace}/{self._name} could not be renewed")

    async def release(self) -> None:
        """Give the Lease back if it is held, so that another process need not wait for it to lapse."""
        if self.deadline == float("-inf"):
            return
        with contextlib.suppress(DynamicApiError, OSError, TimeoutError):
            lease = await self._cluster.get(kinds.LEASE, self._namespace, self._name)
            if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
                await self._cluster.replace(
                    kinds.LEASE, lease | {"spec": lease["spec"] | {"holderIdentity": ""}}
                )
        self.deadline = float("-inf")
        metrics.LEADER.set(0)

    async def _try(self) -> bool:
        """Take or renew; return whether this process now holds the Lease."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(SAFE - 2 * PERIOD):
                taken = await self._take(started)
        except (DynamicApiError, OSError, TimeoutError) as error:
            log.warning("can't renew the Lease: %s", type(error).__name__)
            return False
        if taken:
            self.deadline = started + SAFE
        return taken

    async def _take(self, now: float) -> bool:
        lease = await self._cluster.get(kinds.LEASE, self._namespace, self._name)
        try:
            if lease is None:
                await self._cluster.create(kinds.LEASE, self._lease({}, {"name": self._name}))
                return True
            version = lease["metadata"]["resourceVersion"]
            if version != self._seen[0]:
                # Since after the read: it may have taken seconds, in which the holder has been heard of.
                self._seen = (version, time.monotonic())
            if not self._may_take(lease["spec"], now):
                return False
            await self._cluster.replace(kinds.LEASE, self._lease(lease["spec"], lease["metadata"]))
            return True
        except ConflictError:
            return False

    def _may_take(self, spec: Object, now: float) -> bool:
        """Ours, given back, or not renewed for its whole duration by our own clock (clocks may differ).

        `now` is when the read began: what it says is not younger.
        """
        holder = spec.get("holderIdentity") or ""
        return holder in ("", self._identity) or now - self._seen[1] > DURATION

    def _lease(self, before: Object, metadata: Object) -> Object:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = before.get("holderIdentity") == self._identity
        spec: dict[str, Any] = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": before["acquireTime"] if ours else now,
            "renewTime": now,
            "leaseTransitions": before.get("leaseTransitions", 0) + (0 if ours else 1),
        }
        return {
            "apiVersion": kinds.LEASE.api_version,
            "kind": kinds.LEASE.kind,
            "metadata": metadata | {"namespace": self._namespace},
            "spec": spec,
        }


def watch(lease: Lease, end: Callable[[int], object] = os._exit) -> None:
    """Start a thread that ends the process at the deadline, even when the event loop is stuck."""

    def look() -> None:
        while time.monotonic() < lease.deadline:
            time.sleep(0.25)
        if lease.deadline != float("-inf"):
            log.critical("the Lease could not be renewed in time: ending")
            end(70)

    threading.Thread(target=look, name="lease", daemon=True).start()
