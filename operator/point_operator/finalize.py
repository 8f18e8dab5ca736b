"""How a PointService leaves: what no owner reference reaches is removed, and nothing holds it forever."""

import asyncio
import logging

from kubernetes.aio.dynamic.exceptions import ForbiddenError

from point_operator import kinds, names
from point_operator.api import PointService
from point_operator.apply import Applier
from point_operator.cluster import Cluster, Object
from point_operator.fleet import Fleet
from point_operator.shared import Shared

log = logging.getLogger(__name__)

ROUTE_GONE_SECONDS = 2.0
"""From removing the route to removing what protects it: by then every gateway has heard of it."""

PER_GATEWAY = (kinds.ENVOY_FILTER, kinds.REQUEST_AUTHENTICATION, kinds.AUTHORIZATION_POLICY)


async def finalize(
    cluster: Cluster,
    applier: Applier,
    fleet: Fleet,
    shared: Shared,
    body: Object,
    point_service: PointService,
) -> float | None:
    """Clean up after a PointService that is being deleted; return the seconds until the next step, if any.

    Children in its own namespace belong to it and go as garbage. The route goes first, then the policies
    at the gateway, then the listener and the guard if nobody else needs them.
    """
    if names.FINALIZER not in (body["metadata"].get("finalizers") or []):
        return None
    if point_service.spec.deletion_policy == "Orphan":
        await _orphan(cluster, point_service)
    else:
        routes = await _found(cluster, kinds.VIRTUAL_SERVICE, point_service.namespace, point_service)
        if routes:
            for route in routes:
                await applier.remove(route)
            return ROUTE_GONE_SECONDS
        for namespace in fleet.allowed_namespaces:
            for kind in PER_GATEWAY:
                for child in await _found(cluster, kind, namespace, point_service):
                    await applier.remove(child)
        gateway = point_service.spec.gateway
        if gateway.namespace in fleet.allowed_namespaces:
            try:
                await shared.release(gateway.namespace, gateway.selector)
            except ForbiddenError:
                log.warning("no right to clean namespace %s", gateway.namespace)
    await _release(cluster, body)
    return None


async def _found(
    cluster: Cluster, kind: kinds.Kind, namespace: str, point_service: PointService
) -> list[Object]:
    """Return children of a kind; none where the operator may not look, or the namespace or kind is gone."""
    try:
        return await cluster.list(kind, namespace, names.owner_selector(point_service))
    except ForbiddenError:
        log.warning("no right to clean %s in namespace %s", kind.plural, namespace)
        return []


async def _orphan(cluster: Cluster, point_service: PointService) -> None:
    """Cut every child loose, so that it stays. Its labels let a PointService made anew own it again."""
    every = (*kinds.OWN_NAMESPACE, *kinds.OPTIONAL)
    found = await asyncio.gather(
        *(_found(cluster, kind, point_service.namespace, point_service) for kind in every)
    )
    for kind, children in zip(every, found, strict=True):
        for child in children:
            if child["metadata"].get("ownerReferences"):
                await cluster.patch(kind, child, [{"op": "remove", "path": "/metadata/ownerReferences"}])


async def _release(cluster: Cluster, body: Object) -> None:
    left = [one for one in body["metadata"]["finalizers"] if one != names.FINALIZER]
    operation = {"op": "replace", "path": "/metadata/finalizers", "value": left}
    await cluster.patch(kinds.POINT_SERVICE, body, [operation])
