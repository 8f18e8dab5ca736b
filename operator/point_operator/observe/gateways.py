"""How many ready pods each gateway has: the rate limit of a service is divided among them."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.aio.dynamic.exceptions import DynamicApiError

from point_operator.kube.cluster import Cluster
from point_operator.model import kinds, names
from point_operator.observe.fleet import Fleet, Key

log = logging.getLogger(__name__)

INTERVAL = 3.0
"""Seconds between two looks at the gateways' pods: one small list for each gateway that is in use."""


class Gateways:
    """Counts of ready gateway pods, followed by polling: a list can't stall as a watch can."""

    def __init__(self, cluster: Cluster, fleet: Fleet) -> None:
        self._cluster = cluster
        self._fleet = fleet
        self._pods: dict[str, int] = {}

    async def pods(self, namespace: str, selector: Mapping[str, str]) -> int:
        """Return the number of ready pods of a gateway, at least 1."""
        identity = names.gateway_id(namespace, selector)
        if identity not in self._pods:
            self._pods[identity] = await self._count(namespace, selector)
        return max(self._pods[identity], 1)

    async def follow(self, changed: Callable[[Key], None]) -> None:
        """Look again and again; tell the PointServices of a gateway whose number of pods has changed."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self._look(changed)
            except (DynamicApiError, OSError, TimeoutError) as error:
                log.warning("can't count gateway pods: %s", type(error).__name__)

    async def _look(self, changed: Callable[[Key], None]) -> None:
        gateways = {names.gateway_id(one.namespace, one.selector): one for one in self._fleet.listed}
        gateways = {identity: one for identity, one in gateways.items() if self._fleet.at_gateway(identity)}
        self._pods = {identity: count for identity, count in self._pods.items() if identity in gateways}
        for identity, gateway in gateways.items():
            before = self._pods.get(identity)
            self._pods[identity] = await self._count(gateway.namespace, gateway.selector)
            if before is not None and before != self._pods[identity]:
                for one in self._fleet.at_gateway(identity):
                    changed(one.key)

    async def _count(self, namespace: str, selector: Mapping[str, str]) -> int:
        text = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        return sum(is_ready(pod) for pod in await self._cluster.list(kinds.POD, namespace, text))


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is ready and not on its way out."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
