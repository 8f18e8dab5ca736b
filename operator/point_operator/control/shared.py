"""What all PointServices of one gateway share: the guard of identity headers and the listener."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping

from point_operator.kube.apply import Applier
from point_operator.kube.cluster import Cluster, Object
from point_operator.model import kinds, names
from point_operator.observe.fleet import Fleet
from point_operator.resources import plan

OWNER = "shared"
"""What an adoption annotation names for these."""


class Shared:
    """Keeps the shared children of every gateway as the PointServices that use it want them."""

    def __init__(self, cluster: Cluster, applier: Applier, fleet: Fleet) -> None:
        self._cluster = cluster
        self._applier = applier
        self._fleet = fleet
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure_guard(self, namespace: str, selector: Mapping[str, str]) -> None:
        """Have the gateway remove clients' identity headers; before anything is routed."""
        await self._ensure(namespace, selector, kinds.ENVOY_FILTER)

    async def ensure_listener(self, namespace: str, selector: Mapping[str, str]) -> None:
        """Have the gateway listen."""
        await self._ensure(namespace, selector, kinds.GATEWAY)

    async def release(self, namespace: str, selector: Mapping[str, str]) -> None:
        """Remove the listener and then the guard, unless another PointService uses them."""
        for kind in (kinds.GATEWAY, kinds.ENVOY_FILTER):
            await self._ensure(namespace, selector, kind)

    async def _ensure(self, namespace: str, selector: Mapping[str, str], kind: kinds.Kind) -> None:
        async with self._locks[names.gateway_id(namespace, selector)]:
            sharers = self._fleet.sharers(namespace, selector)
            name = names.shared_name(namespace, selector)
            live = await self._cluster.get(kind, namespace, name)
            manifest = plan.build_shared(sharers, kind)
            if manifest is not None:
                await self._applier.ensure(manifest, live, OWNER)
            elif live is not None and _gateway_of(live) and not await self._is_routed(namespace, name):
                await self._applier.remove(live)

    async def sweep(self) -> None:
        """Remove what is left at gateways that no PointService uses any more, after one has moved away."""
        for namespace in self._fleet.allowed_namespaces:
            for kind in (kinds.GATEWAY, kinds.ENVOY_FILTER):
                for live in await self._cluster.list(kind, namespace, f"{names.SELECTOR},{names.SHARED}"):
                    async with self._locks[_gateway_of(live)]:
                        used = self._fleet.at_gateway(_gateway_of(live))
                        if not used and not await self._is_routed(namespace, live["metadata"]["name"]):
                            await self._applier.remove(live)

    async def _is_routed(self, namespace: str, name: str) -> bool:
        """Whether a route still leads through a listener: that of a PointService that left it behind, say."""
        routes = await self._cluster.list(kinds.VIRTUAL_SERVICE, selector=names.SELECTOR)
        return any(f"{namespace}/{name}" in route["spec"].get("gateways", ()) for route in routes)


def _gateway_of(live: Object) -> str:
    return live["metadata"].get("labels", {}).get(names.SHARED, "")
