"""What all PointServices of one gateway share: the guard of identity headers and the listener."""

import asyncio
import logging
from collections import defaultdict

from kubernetes.aio.dynamic.exceptions import ForbiddenError

from point_operator.kube.apply import Applier, identity
from point_operator.kube.cluster import Cluster, Object
from point_operator.kube.ownership import is_child
from point_operator.model import kinds, names
from point_operator.model.gateways import ListedGateway
from point_operator.observe.fleet import Fleet
from point_operator.resources import plan
from point_operator.resources.gateway.gateway import Sharer

log = logging.getLogger(__name__)

OWNER = "shared"
"""What an adoption annotation names for these."""


class Shared:
    """Keeps the shared children of every gateway as the PointServices admitted to it need them."""

    def __init__(self, cluster: Cluster, applier: Applier, fleet: Fleet) -> None:
        self._cluster = cluster
        self._applier = applier
        self._fleet = fleet
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure_guard(self, gateway: ListedGateway) -> None:
        """Have the gateway remove clients' identity headers; before anything is routed."""
        await self._ensure(gateway, kinds.ENVOY_FILTER)

    async def ensure_listener(self, gateway: ListedGateway) -> None:
        """Have the gateway listen."""
        await self._ensure(gateway, kinds.GATEWAY)

    async def release(self, gateway: ListedGateway) -> None:
        """Remove the listener and then the guard, unless another PointService uses them."""
        for kind in (kinds.GATEWAY, kinds.ENVOY_FILTER):
            await self._ensure(gateway, kind)

    async def _ensure(self, gateway: ListedGateway, kind: kinds.Kind) -> None:
        namespace, selector = gateway.namespace, gateway.selector
        async with self._locks[names.gateway_id(namespace, selector)]:
            name = names.shared_name(namespace, selector)
            live = await self._cluster.get(kind, namespace, name)
            # Read when the lock and the live object are there, so that no claim granted meanwhile is left out.
            manifest = plan.build_shared(kind, gateway, self._sharers(gateway))
            if manifest is not None:
                await self._applier.ensure(manifest, live, OWNER)
            elif live is not None and _gateway_of(live) and not await self._is_routed(live):
                await self._applier.remove(live)

    def _sharers(self, gateway: ListedGateway) -> list[Sharer]:
        found = self._fleet.sharers(gateway.namespace, gateway.selector)
        return [
            Sharer(
                namespace=one.namespace,
                name=one.name,
                hosts=claim.hosts,
                credential_name=claim.credential_name,
                valid=self._fleet.is_valid_certificate(gateway.namespace, claim.credential_name),
                member_claim=one.spec.gateway.jwt.member_claim,
            )
            for one, claim in found
        ]

    async def sweep(self) -> None:
        """Remove what is left at gateways that nobody uses any more, and at those taken off the list."""
        for kind in kinds.GATEWAY_NAMESPACE:
            for live in await self._cluster.list(kind, selector=names.SELECTOR):
                if await self._is_left(live):
                    await self._remove_left(live)

    async def _is_left(self, live: Object) -> bool:
        namespace = live["metadata"]["namespace"]
        if gateway := _gateway_of(live):
            return not self._fleet.at_gateway(gateway) and not await self._is_routed(live)
        if namespace in self._fleet.gateway_namespaces or not _is_made(live):
            return False
        labels = live["metadata"]["labels"]
        owner = labels[names.OWNER_NAMESPACE], labels[names.OWNER_NAME]
        routes = [await self._cluster.get(kind, *owner) for kind in kinds.ROUTES]
        through = [place for route in routes if route is not None for place in _leads_through(route)]
        return not any(place.startswith(f"{namespace}/") for place in through)

    async def _remove_left(self, live: Object) -> None:
        async with self._locks[_gateway_of(live)]:
            try:
                if await self._is_left(live):
                    await self._applier.remove(live)
            except ForbiddenError:
                log.warning(
                    "no right to remove what is left at a gateway that is not listed any more",
                    extra={"child": "/".join(identity(live))},
                )

    async def _is_routed(self, live: Object) -> bool:
        """Whether a route still leads where a shared child is: that of a PointService that left it behind, say."""
        namespace, name = live["metadata"]["namespace"], live["metadata"]["name"]
        targets = live["spec"].get("targetRefs") or []
        places = {f"{namespace}/{one}" for one in (name, *(target["name"] for target in targets))}
        routes = [await self._cluster.list(kind, selector=names.SELECTOR) for kind in kinds.ROUTES]
        return any(places & {*_leads_through(route)} for some in routes for route in some)


def _is_made(live: Object) -> bool:
    """Whether it was made at a gateway for the owner that its labels name."""
    labels = live["metadata"]["labels"]
    return names.is_elsewhere(live) and is_child(
        live, labels[names.OWNER_NAMESPACE], labels.get(names.OWNER_NAME, ""), ""
    )


def _leads_through(route: Object) -> list[str]:
    """Return the gateways of a route, as `namespace/name`."""
    parents = route["spec"].get("parentRefs") or []
    return route["spec"].get("gateways") or [f"{one.get('namespace')}/{one['name']}" for one in parents]


def _gateway_of(live: Object) -> str:
    return live["metadata"].get("labels", {}).get(names.SHARED, "")
