"""How a PointService leaves: what no owner reference reaches is removed, and nothing holds it forever."""

import asyncio
import logging
from collections.abc import Iterable

from kubernetes.aio.dynamic.exceptions import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    UnprocessibleEntityError,
)

from point_operator.control.clock import age
from point_operator.control.shared import Shared
from point_operator.kube.apply import Applier
from point_operator.kube.cluster import Cluster, Object
from point_operator.kube.ownership import NotOwnedError, is_child
from point_operator.model import kinds, names
from point_operator.model.api import Spec
from point_operator.observe.fleet import Fleet, Key
from point_operator.resources.pods import deployment

log = logging.getLogger(__name__)

ROUTE_GONE_SECONDS = 2.0
"""From removing the route to removing what protects it: by then every gateway has heard of it."""

PATIENCE = 3
"""How many times what its pods are given a PointService that is deleted waits for its route to go, and then for them to
end: a pod on a node that is dead never says that it has, and a route may have a finalizer whose owner is gone."""
PODS_LOOK_SECONDS = 1.0

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

        The route goes first, then the pods, then the policies at the gateway, then the listener and the guard if
        nobody else needs them. What is left in its own namespace goes as garbage: the policies that guard the pods
        are therefore there as long as one runs. `spec` is None when it can't be read: what is its goes all the same.
        """
        metadata = body["metadata"]
        if names.FINALIZER not in (metadata.get("finalizers") or []):
            return None
        if spec is not None and spec.deletion_policy == "Orphan":
            await self._orphan(metadata)
        else:
            namespace = metadata["namespace"]
            waited, patience = age(metadata["deletionTimestamp"]), PATIENCE * deployment.grace_seconds(spec)
            held = await self._remove(metadata, kinds.ROUTES, (namespace,))
            if held and waited < patience:
                return ROUTE_GONE_SECONDS
            if (
                held
            ):  # it goes on leading to the pods, so what protects them stays for as long as they may take
                patience *= 2
            removed = await self._remove(metadata, (kinds.DEPLOYMENT, kinds.JOB), (namespace,))
            if (removed or await self._runs(metadata)) and waited < patience:
                return PODS_LOOK_SECONDS
            await self._remove(metadata, kinds.AT_GATEWAY, self._fleet.gateway_namespaces)
            await self._release_shared((namespace, metadata["name"]))
        left = [one for one in metadata["finalizers"] if one != names.FINALIZER]
        operation = {"op": "replace", "path": "/metadata/finalizers", "value": left}
        await self._cluster.patch(kinds.POINT_SERVICE, body, [operation])
        return None

    async def _remove(self, metadata: Object, every: Iterable[kinds.Kind], namespaces: Iterable[str]) -> bool:
        """Remove the children of some kinds in some namespaces; return whether there were any."""
        found = [
            child
            for namespace in namespaces
            for kind in every
            for child in await self._children(kind, namespace, metadata)
        ]
        for child in found:
            await self._applier.remove(child)
        return bool(found)

    async def _runs(self, metadata: Object) -> bool:
        """Whether a pod of the PointService is left that has not ended."""
        selector = f"{names.SELECTOR},{names.OWNER_NAME}={metadata['name']}"
        pods = await self._found(kinds.POD, metadata["namespace"], selector)
        return any(pod.get("status", {}).get("phase") not in ("Succeeded", "Failed") for pod in pods)

    async def _release_shared(self, key: Key) -> None:
        """Leave the shared children to those who still use them. What is wrong there must not hold us."""
        for gateway in self._fleet.gateways_of(key):
            try:
                await self._shared.release(gateway)
            except (*HOPELESS, NotOwnedError) as error:
                log.warning("can't clean the gateway in %s: %s", gateway.namespace, type(error).__name__)

    async def _children(self, kind: kinds.Kind, namespace: str, metadata: Object) -> list[Object]:
        """Return the children of a kind that a PointService has in a namespace."""
        owner = metadata["namespace"], metadata["name"]
        found = await self._found(kind, namespace, names.owner_selector(*owner))
        return [child for child in found if is_child(child, *owner, metadata["uid"])]

    async def _found(self, kind: kinds.Kind, namespace: str, selector: str) -> list[Object]:
        """Return what is there; nothing where the operator may not look, or namespace or kind are gone."""
        try:
            return await self._cluster.list(kind, namespace, selector)
        except ForbiddenError:
            log.warning("no right to clean %s in namespace %s", kind.plural, namespace)
            return []

    async def _orphan(self, metadata: Object) -> None:
        """Cut every child loose, so that it stays. Its labels let a PointService made anew own it again."""
        every = (*kinds.OWN_NAMESPACE, *kinds.OPTIONAL)
        found = await asyncio.gather(
            *(self._children(kind, metadata["namespace"], metadata) for kind in every)
        )
        for kind, children in zip(every, found, strict=True):
            for child in children:
                if child["metadata"].get("ownerReferences"):
                    operation = {"op": "remove", "path": "/metadata/ownerReferences"}
                    await self._cluster.patch(kind, child, [operation])
