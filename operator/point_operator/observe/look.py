"""All that there is of one PointService, read from the cluster anew each time."""

import asyncio
import time
from collections.abc import Mapping

import msgspec
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from point_operator.kube.apply import Identity, identity
from point_operator.kube.cluster import Cluster, Object
from point_operator.kube.ownership import is_child
from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.model.claims import Claim
from point_operator.observe import gateways, parents, secrets, traffic, workload
from point_operator.observe.fleet import Fleet, Refusal
from point_operator.observe.gateways import GatewayPods, Gateways
from point_operator.observe.keys import Keys, KeysSeen
from point_operator.observe.workload import Counts, Migration, Rollout
from point_operator.resources.gateway import rate_limit_service
from point_operator.resources.pods import migration
from point_operator.resources.surroundings import Surroundings
from point_operator.settings import Settings

OPTIONAL_KINDS_SECONDS = 60.0
"""How long the answer is believed whether the cluster knows an optional kind."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one look finds."""

    children: dict[Identity, Object] = {}
    """Every child that exists."""
    surroundings: Surroundings = Surroundings()
    refusal: Refusal | None = None
    """Why it does not get what it wants at its gateway."""
    claims: tuple[Claim, ...] = ()
    """What it was admitted to, also earlier."""
    gateway: GatewayPods = GatewayPods()
    gateway_problem: Refusal | None = None
    """Why what is made there serves nobody."""
    routed: bool = False
    """Whether the gateway has its route, perhaps as it was before its last change."""
    route_problem: Refusal | None = None
    """Why the route as it is does not serve, while the one before does."""
    secret_problems: tuple[str, ...] = ()
    certificate_problem: str = ""
    certified: bool = False
    """Whether the gateway can present the certificate that it was admitted with, perhaps an earlier one."""
    keys: KeysSeen = KeysSeen()
    migration: Migration = Migration("Pending")
    migrating: frozenset[Identity] = frozenset()
    """Jobs that run, also of another image: they are let run, since MySQL can't undo half a change of schema."""
    rate_limit_service_down: bool = False

    running: Rollout = Rollout()
    """How the service's own pods are."""
    troubles: tuple[str, ...] = ()
    """Why some of them are not ready."""
    without_sidecar: tuple[str, ...] = ()

    canary: Rollout = Rollout()
    """How the pods are that try a new image."""
    canary_troubles: tuple[str, ...] = ()
    canary_restarts: int = 0
    canary_counts: Mapping[str, Counts] | None = None
    """By pod; None when they were not asked, or one of them could not be."""


class Observer:
    """Looks at PointServices."""

    def __init__(
        self, cluster: Cluster, fleet: Fleet, followed: Gateways, keys: Keys, settings: Settings
    ) -> None:
        self._cluster = cluster
        self._fleet = fleet
        self._gateways = followed
        self._keys = keys
        self._settings = settings
        self._kinds: frozenset[kinds.Kind] = frozenset()
        self._kinds_until = float("-inf")

    async def look(self, point_service: PointService, *, counting: bool, now: str) -> Seen:
        """Read it all, and admit it to what it wants if that may be had.

        `counting` has the canary's pods asked what they have answered; `now` is an RFC 3339 time.
        """
        gateway, namespace = point_service.spec.gateway, point_service.namespace
        listed = not point_service.no_gateway
        optional_kinds = await self.optional_kinds()
        children, pods, found, keys, certificate_problem, _ = await asyncio.gather(
            self._children(point_service, optional_kinds),
            self._cluster.list(
                kinds.POD, namespace, f"{names.OWNER_NAME}={point_service.name},{names.SELECTOR}"
            ),
            secrets.look(self._cluster, point_service),
            self._keys.of(gateway.jwt),
            self._certificate_problem(point_service),
            self._look_at_namespace(namespace),
        )
        refusal = self._fleet.admit(point_service, now=now)
        claims = self._fleet.claims(point_service.key)
        at_gateway = (
            await self._gateways.pods(gateway.namespace, gateway.selector) if listed else GatewayPods()
        )
        parent = await parents.look(self._cluster, point_service)
        canary_pods = workload.of_component(pods, names.CANARY)
        canary = children.get((kinds.DEPLOYMENT.kind, namespace, names.serving(point_service, names.CANARY)))
        limiter = children.get((kinds.DEPLOYMENT.kind, namespace, rate_limit_service.name(point_service)))
        job = children.get((kinds.JOB.kind, namespace, migration.name(point_service, found.login)))
        routed = parents.is_routed(point_service, children)
        route_problem = parents.route_problem(point_service, children, now)
        serves = routed and not parents.is_told(point_service, children)
        return Seen(
            children=children,
            surroundings=Surroundings(
                gateway_pods=max(at_gateway.ready, 1),
                config_hash=found.config_hash,
                login=found.login,
                optional_kinds=optional_kinds,
                listeners=parent.listeners,
                runbook_url=self._settings.runbook_url,
                rate_limit_image=self._settings.rate_limit_image,
                rate_limit_service_ready=workload.rollout(limiter).serving > 0,
                cache_user_named=found.cache_user_named,
            ),
            refusal=refusal,
            claims=claims,
            gateway=at_gateway,
            gateway_problem=parent.problem
            or (gateways.problem(gateway, at_gateway) if listed else None)
            or (None if serves else route_problem),
            routed=routed,
            route_problem=route_problem if serves else None,
            secret_problems=found.problems,
            certificate_problem=certificate_problem,
            certified=bool(claims)
            and self._fleet.is_valid_certificate(gateway.namespace, claims[0].credential_name),
            keys=keys,
            migration=workload.migration(job, pods),
            migrating=frozenset(
                key
                for key, child in children.items()
                if child["kind"] == kinds.JOB.kind and workload.migration(child, pods).runs
            ),
            rate_limit_service_down=workload.is_down(limiter),
            running=running(point_service, children),
            troubles=tuple(workload.troubles(pods)),
            without_sidecar=tuple(workload.without_sidecar(pods)),
            canary=workload.rollout(canary),
            canary_troubles=tuple(workload.troubles(canary_pods, names.CANARY)),
            canary_restarts=workload.restarts(canary_pods, names.CANARY),
            canary_counts=await traffic.count(canary_pods) if counting else None,
        )

    async def optional_kinds(self, *, anew: bool = False) -> frozenset[kinds.Kind]:
        """Return which of `kinds.OPTIONAL` the cluster knows, as asked not long ago or `anew`."""
        if anew or time.monotonic() > self._kinds_until:
            served = await asyncio.gather(*(self._cluster.serves(kind) for kind in kinds.OPTIONAL))
            self._kinds = frozenset(
                kind for kind, serves in zip(kinds.OPTIONAL, served, strict=True) if serves
            )
            self._kinds_until = time.monotonic() + OPTIONAL_KINDS_SECONDS
        return self._kinds

    async def _certificate_problem(self, point_service: PointService) -> str:
        if point_service.no_gateway or not point_service.credential_name:
            return ""
        problem = await secrets.certificate_problem(self._cluster, point_service)
        namespace = point_service.spec.gateway.namespace
        self._fleet.note_certificate(namespace, point_service.credential_name, valid=not problem)
        return problem

    async def _look_at_namespace(self, name: str) -> None:
        found = await self._cluster.get(kinds.NAMESPACE, "", name) or {"metadata": {}}
        self._fleet.allow_hosts(name, found["metadata"].get("annotations") or {})

    async def _children(
        self, point_service: PointService, optional_kinds: frozenset[kinds.Kind]
    ) -> dict[Identity, Object]:
        """Return every child that is found by its labels, and what serves also when these were overwritten."""
        selector = names.owner_selector(*point_service.key)
        places = {(kind, point_service.namespace) for kind in (*kinds.OWN_NAMESPACE, *optional_kinds)}
        places |= {
            (kind, namespace) for kind in kinds.AT_GATEWAY for namespace in self._fleet.gateway_namespaces
        }
        lists = await asyncio.gather(*(self._list(kind, where, selector) for kind, where in places))
        found = {identity(child): child for children in lists for child in children}
        running = (kinds.DEPLOYMENT.kind, *point_service.key)
        if running not in found and (live := await self._cluster.get(kinds.DEPLOYMENT, *point_service.key)):
            found[running] = live
        return {
            key: child
            for key, child in found.items()
            if is_child(child, *point_service.key, point_service.uid)
        }

    async def _list(self, kind: kinds.Kind, namespace: str, selector: str) -> list[Object]:
        """List a kind. One that is only for watching, and can't be listed, must not hold up what serves."""
        try:
            return await self._cluster.list(kind, namespace, selector)
        except DynamicApiError:
            if kind in kinds.WATCHING:
                return []
            raise


def running(point_service: PointService, children: dict[Identity, Object]) -> Rollout:
    """Return how the service's own pods are."""
    deployment = children.get((kinds.DEPLOYMENT.kind, point_service.namespace, point_service.name))
    return workload.rollout(deployment, point_service.spec.autoscaling.min_replicas)
