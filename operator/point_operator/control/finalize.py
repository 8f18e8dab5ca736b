"""How a PointService leaves: what no owner reference reaches is removed, and nothing holds it forever."""

import asyncio
import logging

from kubernetes.aio.dynamic.exceptions import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    UnprocessibleEntityError,
)

from point_operator.control.shared import Shared
from point_operator.kube.apply import Applier, NotOwnedError
from point_operator.kube.cluster import Cluster, Object
from point_operator.model import kinds, names
from point_operator.model.api import Spec
from point_operator.observe.fleet import Fleet, Key

log = logging.getLogger(__name__)

ROUTE_GONE_SECONDS = 2.0
"""From removing the route to removing what protects it: by then every gateway has heard of it."""

HOPELESS = (BadRequestError, ForbiddenError, NotFoundError, UnprocessibleEntityError)
"""Answers of the API that another try would get again."""


class Finalizer:
    """Cleans up after PointServices that are being deleted."""

    def __init__(self, cluster: Cluster, applier: Applier, fleet: Fleet, shared: Shared) -> None:
        self._cluster = cluster
        self._applier = applier
        self._fleet = fleet
        self._shared = shared

    async def finalize(self, body: Object, spec: Spec | None) -> float | None:
        """Do the next step for a PointService; return the seconds until the one after it, if any.

        Children in its own namespace belong to it and go as garbage. The route goes first, then the
        policies at the gateway, then the listener and the guard if nobody else needs them. `spec` is None
        when it can't be read: what carries the labels goes all the same.
        """
        metadata = body["metadata"]
        if names.FINALIZER not in (metadata.get("finalizers") or []):
            return None
        selector = names.owner_selector(metadata["namespace"], metadata["name"])
        if spec is not None and spec.deletion_policy == "Orphan":
            await self._orphan(metadata["namespace"], selector)
        else:
            routes = await self._found(kinds.VIRTUAL_SERVICE, metadata["namespace"], selector)
            if routes:
                for route in routes:
                    await self._applier.remove(route)
                return ROUTE_GONE_SECONDS
            await self._clean_gateways(selector)
            await self._release_shared((metadata["namespace"], metadata["name"]))
        left = [one for one in metadata["finalizers"] if one != names.FINALIZER]
        operation = {"op": "replace", "path": "/metadata/finalizers", "value": left}
        await self._cluster.patch(kinds.POINT_SERVICE, body, [operation])
        return None

    async def _clean_gateways(self, selector: str) -> None:
        for namespace in self._fleet.gateway_namespaces:
            for kind in kinds.AT_GATEWAY:
                for child in await self._found(kind, namespace, selector):
                    await self._applier.remove(child)

    async def _release_shared(self, key: Key) -> None:
        """Leave the shared children to those who still use them. What is wrong there must not hold us."""
        for gateway in self._fleet.gateways_of(key):
            try:
                await self._shared.release(gateway)
            except (*HOPELESS, NotOwnedError) as error:
                log.warning("can't clean the gateway in %s: %s", gateway.namespace, type(error).__name__)

    async def _found(self, kind: kinds.Kind, namespace: str, selector: str) -> list[Object]:
        """Return children of a kind; none where the operator may not look, or namespace or kind are gone."""
        try:
            return await self._cluster.list(kind, namespace, selector)
        except ForbiddenError:
            log.warning("no right to clean %s in namespace %s", kind.plural, namespace)
            return []

    async def _orphan(self, namespace: str, selector: str) -> None:
        """Cut every child loose, so that it stays. Its labels let a PointService made anew own it again."""
        every = (*kinds.OWN_NAMESPACE, *kinds.OPTIONAL)
        found = await asyncio.gather(*(self._found(kind, namespace, selector) for kind in every))
        for kind, children in zip(every, found, strict=True):
            for child in children:
                if child["metadata"].get("ownerReferences"):
                    operation = {"op": "remove", "path": "/metadata/ownerReferences"}
                    await self._cluster.patch(kind, child, [operation])
