"""Bring the cluster to what one PointService says, whatever has happened before."""

import asyncio
import contextlib
import datetime
import logging
import time

import msgspec
from kubernetes.aio.dynamic.exceptions import (
    BadRequestError,
    ConflictError,
    DynamicApiError,
    ForbiddenError,
    NotFoundError,
    UnprocessibleEntityError,
)

from point_operator import metrics
from point_operator.control import canary, finalize, status
from point_operator.control.shared import Shared
from point_operator.kube import events
from point_operator.kube.apply import Applier, Identity, NotOwnedError, identity
from point_operator.kube.cluster import Cluster, Object
from point_operator.model import api, kinds, names
from point_operator.model.api import PointService
from point_operator.observe import secrets, traffic, workload
from point_operator.observe.fleet import Fleet, Key, Refusal
from point_operator.observe.gateways import Gateways
from point_operator.resources import plan
from point_operator.resources.gateway import rate_limit_service
from point_operator.resources.pods import deployment, migration
from point_operator.resources.surroundings import Surroundings
from point_operator.settings import Settings

log = logging.getLogger(__name__)

UNSETTLED_SECONDS = 10.0
"""How often one that is not as wanted is looked at."""
MIGRATION_RETRY_SECONDS = 120.0
"""After this a failed migration is tried again."""
OPTIONAL_KINDS_SECONDS = 60.0
"""How long the answer is believed whether the cluster knows an optional kind."""


class Reconciler:
    """Looks at one PointService at a time; `Queue` sees to it that no two calls are about the same one."""

    def __init__(self, cluster: Cluster, fleet: Fleet, gateways: Gateways, settings: Settings) -> None:
        self.applier = Applier(cluster)
        self._cluster = cluster
        self._fleet = fleet
        self._gateways = gateways
        self._settings = settings
        self.shared = Shared(cluster, self.applier, fleet)
        self._finalizer = finalize.Finalizer(cluster, self.applier, fleet, self.shared)
        self._conflicts: dict[Key, int] = {}
        """How many looks in a row ended in a conflict."""
        self._known: tuple[frozenset[kinds.Kind], float] = (frozenset(), float("-inf"))

    async def reconcile(self, key: Key) -> float | None:
        """Look at one PointService; return the seconds until it should be looked at again.

        Raises what the API raises, when trying again soon may help.
        """
        started = time.monotonic()
        body = await self._cluster.get(kinds.POINT_SERVICE, *key)
        if body is None:
            self._fleet.forget(key)
            self._conflicts.pop(key, None)
            with contextlib.suppress(KeyError):
                metrics.DEGRADED.remove("/".join(key))
            return None
        self._fleet.see(body)
        metrics.MANAGED.set(len(self._fleet))
        try:
            again = await self._look(body)
        except (ConflictError, UnprocessibleEntityError):
            # Something changed between reading and writing (a patch whose test fails is answered 422).
            metrics.RECONCILES.labels("conflict").inc()
            conflicts = self._conflicts[key] = self._conflicts.get(key, 0) + 1
            return min(0.05 * 2 ** min(conflicts, 10), UNSETTLED_SECONDS)
        self._conflicts.pop(key, None)
        metrics.RECONCILES.labels("done").inc()
        metrics.DURATION.observe(time.monotonic() - started)
        return again

    async def _look(self, body: Object) -> float | None:
        try:
            point_service = api.parse(body)
        except api.InvalidSpecError as error:
            if body["metadata"].get("deletionTimestamp"):
                return await self._finalizer.finalize(body, None)
            await self._write_status(body, *status.unreadable(body, str(error), _now()))
            return self._settings.resync_seconds
        if point_service.deleting:
            return await self._finalizer.finalize(body, point_service.spec)
        refusal = self._fleet.refusal(point_service)
        if not point_service.spec.paused and refusal is None:
            body = await self._hold(body)
        live = await self._observe(point_service)
        found = await secrets.look(self._cluster, point_service)
        before: status.Status = body.get("status") or {}
        facts = await self._facts(point_service, live, found, refusal, before)
        if not point_service.spec.paused and refusal is None:
            facts = await self._act(point_service, live, facts)
        await self._write_status(body, *status.compute(point_service, facts, before, _now()))
        return self._next_look(facts)

    async def _hold(self, body: Object) -> Object:
        """Set the finalizer before the first child in another namespace exists."""
        finalizers = body["metadata"].get("finalizers") or []
        if names.FINALIZER in finalizers:
            return body
        operation = {"op": "add", "path": "/metadata/finalizers", "value": [*finalizers, names.FINALIZER]}
        return await self._cluster.patch(kinds.POINT_SERVICE, body, [operation])

    async def _observe(self, point_service: PointService) -> dict[Identity, Object]:
        """Return every child that exists, found by its labels."""
        selector = names.owner_selector(*point_service.key)
        places = [(kind, point_service.namespace) for kind in kinds.OWN_NAMESPACE]
        places += [(kind, point_service.namespace) for kind in await self._optional_kinds()]
        places += [
            (kind, namespace)
            for namespace in self._fleet.allowed_namespaces
            for kind in finalize.PER_GATEWAY
            if (kind, namespace) not in places
        ]
        lists = await asyncio.gather(*(self._cluster.list(kind, where, selector) for kind, where in places))
        return {identity(child): child for children in lists for child in children}

    async def _facts(
        self,
        point_service: PointService,
        live: dict[Identity, Object],
        found: secrets.Secrets,
        refusal: Refusal | None,
        before: status.Status,
    ) -> status.Facts:
        gateway, namespace = point_service.spec.gateway, point_service.namespace
        pods = await self._cluster.list(
            kinds.POD, namespace, f"{names.OWNER_NAME}={point_service.name},{names.SELECTOR}"
        )
        allowed = gateway.namespace in self._fleet.allowed_namespaces
        job = live.get((kinds.JOB.kind, namespace, migration.name(point_service)))
        running = _rollout(point_service, live)
        limiter = live.get((kinds.DEPLOYMENT.kind, namespace, rate_limit_service.name(point_service)))
        trial = await self._trial(point_service, live, pods, running, before)
        return status.Facts(
            surroundings=Surroundings(
                gateway_pods=await self._gateways.pods(gateway.namespace, gateway.selector) if allowed else 1,
                config_hash=found.config_hash,
                optional_kinds=await self._optional_kinds(),
                image=canary.image(trial, before.get("image", "")),
                trial=canary.trial(point_service, trial, running, _clock()),
                rate_limit_image=self._settings.rate_limit_image,
                rate_limit_service_ready=workload.rollout(limiter).serving > 0,
                cache_user_named=found.cache_user_named,
            ),
            blocked=refusal,
            secret_problems=found.problems,
            certificate_problem=await secrets.certificate_problem(self._cluster, point_service)
            if allowed
            else "",
            migration=workload.migration(job, pods),
            rollout=running,
            rate_limit_service_down=workload.is_down(limiter),
            trial=trial,
            without_sidecar=tuple(workload.without_sidecar(pods)),
            troubles=tuple(workload.troubles(pods)),
        )

    async def _trial(
        self,
        point_service: PointService,
        live: dict[Identity, Object],
        pods: list[Object],
        running: workload.Rollout,
        before: status.Status,
    ) -> canary.Record | None:
        """Look at the trial of a new image; return it as it is from now on."""
        record = msgspec.convert(before["canary"], canary.Record) if "canary" in before else None
        if point_service.spec.paused:
            return record
        name = names.serving(point_service, names.CANARY)
        own = workload.of_component(pods, names.CANARY)
        seen = canary.Seen(
            running=running,
            trial=workload.rollout(live.get((kinds.DEPLOYMENT.kind, point_service.namespace, name))),
            restarts=workload.restarts(own, names.CANARY),
            counts=await traffic.count(own) if record and record.state == "Running" else None,
            troubles=tuple(workload.troubles(own, names.CANARY)),
        )
        return canary.decide(point_service, before.get("image", ""), record, seen, _clock())

    async def _act(
        self, point_service: PointService, live: dict[Identity, Object], facts: status.Facts
    ) -> status.Facts:
        """Apply and prune; return the facts with what came of it."""
        try:
            return await self._bring_about(point_service, live, facts)
        except NotOwnedError as error:
            return msgspec.structs.replace(facts, blocked=Refusal("NotOwned", str(error)))
        except NotFoundError as error:  # a kind, or the gateway's namespace
            self._known = (frozenset(), float("-inf"))
            now_known = await self._optional_kinds()
            if now_known != facts.surroundings.optional_kinds:  # somebody has uninstalled one
                surroundings = msgspec.structs.replace(facts.surroundings, optional_kinds=now_known)
                return await self._act(
                    point_service, live, msgspec.structs.replace(facts, surroundings=surroundings)
                )
            return msgspec.structs.replace(facts, blocked=Refusal("NotInstalled", _said(error)))
        except (BadRequestError, ForbiddenError, UnprocessibleEntityError) as error:
            return msgspec.structs.replace(facts, blocked=Refusal("Rejected", _said(error)))

    async def _bring_about(
        self, point_service: PointService, live: dict[Identity, Object], facts: status.Facts
    ) -> status.Facts:
        gateway = point_service.spec.gateway
        wanted = plan.build(point_service, facts.surroundings)
        await self.shared.ensure_guard(gateway.namespace, gateway.selector)
        applied = dict(live)
        await self._ensure(point_service, wanted.policies, applied)
        await self._retry_migration(point_service, facts, applied)
        await self._ensure(point_service, _startable(wanted.foundation, facts, kinds.JOB), applied)
        await self._ensure(point_service, _rollable(wanted.workload, facts), applied)
        await self._ensure(point_service, wanted.routes, applied)
        await self.shared.ensure_listener(gateway.namespace, gateway.selector)
        await self.applier.prune(
            (child for child in live.values() if not _is_running_job(child)), wanted.everything
        )
        return msgspec.structs.replace(facts, rollout=_rollout(point_service, applied))

    async def _ensure(
        self, point_service: PointService, manifests: tuple[Object, ...], live: dict[Identity, Object]
    ) -> None:
        """Make each child be as wanted, at the same time; `live` then holds them as they are."""
        owner = f"{point_service.namespace}/{point_service.name}"
        start = deployment.start(point_service)
        starts = {identity(start): start}
        children = await asyncio.gather(
            *(
                self.applier.ensure(one, live.get(identity(one)), owner, starts.get(identity(one)))
                for one in manifests
            )
        )
        live.update({identity(child): child for child in children})

    async def _retry_migration(
        self, point_service: PointService, facts: status.Facts, live: dict[Identity, Object]
    ) -> None:
        """Remove a Job that failed a while ago; it is then made anew."""
        if facts.migration.state != "Failed" or _age(facts.migration.failed_at) < MIGRATION_RETRY_SECONDS:
            return
        job = live.pop((kinds.JOB.kind, point_service.namespace, migration.name(point_service)), None)
        if job is not None:
            await self.applier.remove(job)

    async def _write_status(self, body: Object, after: status.Status, news: list[status.Condition]) -> None:
        degraded = any(one["type"] == "Degraded" and one["status"] == "True" for one in after["conditions"])
        metrics.DEGRADED.labels("{namespace}/{name}".format_map(body["metadata"])).set(degraded)
        if after == body.get("status"):
            return
        operation = {"op": "add", "path": "/status", "value": after}
        await self._cluster.patch(kinds.POINT_SERVICE, body, [operation], subresource="status")
        for one in {(one.reason, one.message): one for one in news}.values():
            bad = one.reason not in ("Available", "Migrating", "Canary", "RollingOut")
            await events.post(
                self._cluster, body, one.reason, one.message, warning=bad, instance=self._settings.identity
            )

    def _next_look(self, facts: status.Facts) -> float:
        if (soon := canary.next_look(facts.trial, _clock())) is not None:
            return soon
        settled = facts.rollout.complete and not facts.blocked and not facts.certificate_problem
        return self._settings.resync_seconds if settled else UNSETTLED_SECONDS

    async def _optional_kinds(self) -> frozenset[kinds.Kind]:
        known, looked = self._known
        if time.monotonic() - looked > OPTIONAL_KINDS_SECONDS:
            served = await asyncio.gather(*(self._cluster.serves(kind) for kind in kinds.OPTIONAL))
            known = frozenset(kind for kind, serves in zip(kinds.OPTIONAL, served, strict=True) if serves)
            self._known = (known, time.monotonic())
        return known


def _rollout(point_service: PointService, children: dict[Identity, Object]) -> workload.Rollout:
    """How the service's own pods are."""
    deployment = children.get((kinds.DEPLOYMENT.kind, point_service.namespace, point_service.name))
    return workload.rollout(deployment, point_service.spec.autoscaling.min_replicas)


def _startable(manifests: tuple[Object, ...], facts: status.Facts, kind: kinds.Kind) -> tuple[Object, ...]:
    """Leave out what could not start without its Secrets."""
    return tuple(one for one in manifests if not facts.secret_problems or one["kind"] != kind.kind)


def _rollable(manifests: tuple[Object, ...], facts: status.Facts) -> tuple[Object, ...]:
    """Hold the pods back until their schema is there; scaling of what runs goes on."""
    if facts.migration.state == "Succeeded" and not facts.secret_problems:
        return manifests
    if not facts.rollout.exists:
        return ()
    return tuple(one for one in manifests if one["kind"] != kinds.DEPLOYMENT.kind)


def _is_running_job(child: Object) -> bool:
    """A migration that runs is let run: MySQL can't undo half a change of schema."""
    return child["kind"] == kinds.JOB.kind and bool(child.get("status", {}).get("active"))


def _clock() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _now() -> str:
    """The time as conditions have it."""
    return _clock().strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(moment: str) -> float:
    """Seconds since an RFC 3339 time."""
    then = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return (_clock() - then).total_seconds()


def _said(error: DynamicApiError) -> str:
    """What the API server said about which child, without headers and traceback."""
    try:
        message = msgspec.json.decode(error.body or b"{}").get("message")
    except (msgspec.DecodeError, AttributeError):
        message = None  # a missing kind is answered in plain text
    return ": ".join([*getattr(error, "__notes__", ()), str(message or error.reason)])
