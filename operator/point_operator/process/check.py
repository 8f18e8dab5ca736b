"""Whether an operator can do its work in this cluster: one look, for `helm test` and for people."""

import datetime
from collections.abc import AsyncIterator

import msgspec
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from point_operator.kube import lease
from point_operator.kube.cluster import Cluster
from point_operator.model import kinds
from point_operator.model.gateways import ParentRef
from point_operator.observe import gateways, parents
from point_operator.observe.fleet import Refusal
from point_operator.settings import Settings


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at."""

    good: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok   ' if self.good else 'WRONG'} {self.text}"


async def look(cluster: Cluster, settings: Settings) -> AsyncIterator[Finding]:
    """Look at the kind, at who holds the Lease, and at each listed gateway; what can't be asked is wrong, too."""
    looks = [_kind(cluster), _lease(cluster, settings.namespace)]
    looks += [_gateway(cluster, one) for one in settings.gateways]
    for one in looks:
        try:
            yield await one
        except (DynamicApiError, OSError, TimeoutError) as error:
            reason = error.reason if isinstance(error, DynamicApiError) else type(error).__name__
            yield Finding(False, f"The API server did not answer: {reason}")


async def _kind(cluster: Cluster) -> Finding:
    kind = kinds.POINT_SERVICE
    if await cluster.serves(kind):
        return Finding(True, f"The API server knows {kind.plural}.{kind.group}")
    return Finding(
        False, f"The API server does not know {kind.plural}.{kind.group}: kubectl apply --server-side -k crds"
    )


async def _lease(cluster: Cluster, namespace: str) -> Finding:
    where = f"Lease {namespace}/{lease.NAME}"
    held = await cluster.get(kinds.LEASE, namespace, lease.NAME)
    holder = held["spec"].get("holderIdentity") if held is not None else ""
    if held is None or not holder:
        return Finding(
            False, f"Nobody holds {where}, so nobody works: kubectl logs deploy/point-operator -n {namespace}"
        )
    renewed = datetime.datetime.fromisoformat(held["spec"]["renewTime"])
    seconds = (datetime.datetime.now(datetime.UTC) - renewed).total_seconds()
    return Finding(seconds < lease.DURATION, f"{holder} holds {where}, renewed {max(seconds, 0):.0f} s ago")


async def _gateway(cluster: Cluster, gateway: gateways.ListedGateway) -> Finding:
    pods = await gateways.look(cluster, gateway.namespace, gateway.selector)
    problem = gateways.problem(gateway, pods)
    if gateway.parent:
        found = await parents.find(cluster, ParentRef(name=gateway.parent, namespace=gateway.namespace))
        problem = found if isinstance(found, Refusal) else problem
    if problem is not None:
        return Finding(False, f"Gateway {gateway.name}: {problem.message}")
    return Finding(
        True, f"Gateway {gateway.name}: {pods.ready} of {pods.all} pods in {gateway.namespace} are ready"
    )
