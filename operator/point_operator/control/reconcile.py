"""Bring the cluster to what one PointService says, whatever has happened before."""

import contextlib
import logging
import time

from kubernetes.aio.dynamic.exceptions import (
    BadRequestError,
    ConflictError,
    DynamicApiError,
    ForbiddenError,
    NotFoundError,
    UnprocessibleEntityError,
)

from point_operator import metrics
from point_operator.control import canary, conditions, status
from point_operator.control.admission import Admission
from point_operator.control.clock import UNSETTLED_SECONDS, age, clock, now, unsettled_pause
from point_operator.control.conditions import Condition, Outcome
from point_operator.control.decide import Decision, decide
from point_operator.control.failures import cause, said
from point_operator.control.finalize import Finalizer
from point_operator.control.shared import Shared
from point_operator.kube import events
from point_operator.kube.apply import Applier, Identity, identity, is_made_of
from point_operator.kube.cluster import Cluster, Object, together
from point_operator.kube.ownership import NotOwnedError
from point_operator.model import api, kinds, names
from point_operator.model.api import PointService
from point_operator.model.claims import recorded
from point_operator.observe import look, parents
from point_operator.observe.fleet import Fleet, Key, Refusal
from point_operator.observe.gateways import Gateways
from point_operator.observe.keys import Keys
from point_operator.observe.look import Observer, Seen
from point_operator.resources.plan import Plan
from point_operator.resources.pods import deployment
from point_operator.settings import Settings

log = logging.getLogger(__name__)

FAILURES_UNTOLD = 2
"""So many looks in a row may fail for an unexpected cause before status tells: most of it has passed by then."""
CONFLICTS_UNTOLD_SECONDS = 30.0
"""For so long every look may end in a conflict before status tells: how many do depends on how fast others write."""
MIGRATION_RETRY_SECONDS = 120.0
"""After this a failed migration is tried again."""


class Reconciler:
    """Looks at one PointService at a time; `Queue` sees to it that no two calls are about the same one."""

    def __init__(
        self, cluster: Cluster, fleet: Fleet, gateways: Gateways, keys: Keys, settings: Settings
    ) -> None:
        self.applier = Applier(cluster)
        self._cluster = cluster
        self._fleet = fleet
        self._observer = Observer(cluster, fleet, gateways, keys, settings)
        self._settings = settings
        self.shared = Shared(cluster, self.applier, fleet)
        self._admission = Admission(cluster, fleet, settings.namespace, hosts_listed=settings.hosts_listed)
        self._finalizer = Finalizer(cluster, self.applier, fleet, self.shared)
        self._conflicts: dict[Key, tuple[int, float]] = {}
        """How many looks in a row ended in a conflict, and since when."""
        self._failures: dict[Key, int] = {}
        """How many looks in a row failed."""

    async def reconcile(self, key: Key) -> float | None:
        """Look at one PointService; return the seconds until it should be looked at again.

        Raises what the API raises, when trying again soon may help.
        """
        started = time.monotonic()
        body = await self._cluster.get(kinds.POINT_SERVICE, *key)
        if body is None:
            self._fleet.forget(key)
            self._conflicts.pop(key, None)
            self._failures.pop(key, None)
            with contextlib.suppress(KeyError):
                metrics.DEGRADED.remove("/".join(key))
            await self._admission.tell()
            return None
        self._fleet.see(body)
        metrics.MANAGED.set(len(self._fleet))
        attempt = _Attempt(started)
        try:
            again = await self._look(body, attempt)
            await self._admission.tell()
        except ConflictError as error:  # something changed or went between reading and writing
            metrics.RECONCILES.labels("conflict").inc()
            before, since = self._conflicts.get(key, (0, started))
            self._conflicts[key] = (before + 1, since)
            if time.monotonic() - since > CONFLICTS_UNTOLD_SECONDS:
                await self._tell(key, error, attempt.seen)
            return min(0.1 * 2 ** min(before, 9), UNSETTLED_SECONDS)
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            if failures > FAILURES_UNTOLD:
                await self._tell(key, error, attempt.seen)
            raise
        self._conflicts.pop(key, None)
        self._failures.pop(key, None)
        metrics.RECONCILES.labels("done").inc()
        metrics.DURATION.observe(time.monotonic() - started)
        return again

    async def _look(self, body: Object, attempt: "_Attempt") -> float | None:
        try:
            point_service = self._fleet.read(body)
        except api.InvalidSpecError as error:
            if body["metadata"].get("deletionTimestamp"):
                return await self._finalizer.finalize(body, None)
            await self._write_status(body, *status.untold(body, conditions.unreadable(str(error)), now()))
            return self._settings.resync_seconds
        if point_service.deleting:
            return await self._finalizer.finalize(body, point_service.spec)
        before: status.Status = body.get("status") or {}
        counting = canary.is_counted(point_service, before)
        seen = await self._observer.look(point_service, counting=counting, now=now())
        attempt.seen = seen
        decision = decide(point_service, seen, before, clock())
        if decision.plan is not None:
            body = await self._hold(body, seen)
        try:
            held = names.FINALIZER in (body["metadata"].get("finalizers") or [])
            outcome = await self._act(point_service, seen, decision, held=held)
        except NotFoundError as error:  # a kind, or the gateway's namespace
            if await self._observer.optional_kinds(anew=True) != seen.surroundings.optional_kinds:
                return 0.0  # somebody has uninstalled one
            outcome = self._refused(point_service, seen, decision, Refusal("NotInstalled", said(error)))
        after, news = status.compute(point_service, seen, outcome, before, now())
        await self._write_status(body, after, news)
        return self._next_look(outcome, after, time.monotonic() - attempt.started)

    async def _tell(self, key: Key, error: Exception, seen: Seen | None) -> None:
        """Say in status what keeps a look from ending; that it can't be said is for the log."""
        why = cause(error)
        try:
            body = await self._cluster.get(kinds.POINT_SERVICE, *key)
            if body is not None:
                told = status.failed(body, self._fleet.read(body), seen, why, now())
                await self._write_status(body, *told)
        except Exception as again:
            log.warning(
                "can't tell in status: %s", type(again).__name__, extra={"point_service": "/".join(key)}
            )

    async def _hold(self, body: Object, seen: Seen) -> Object:
        """Set the finalizer and record the claims, before the first child in another namespace exists."""
        finalizers = body["metadata"].get("finalizers") or []
        if names.FINALIZER not in finalizers:
            operation = {"op": "add", "path": "/metadata/finalizers", "value": [*finalizers, names.FINALIZER]}
            body = await self._cluster.patch(kinds.POINT_SERVICE, body, [operation])
        before = body.get("status") or {}
        after = before | {"claims": recorded(seen.claims)}
        if after == before:
            return body
        operation = {"op": "add", "path": "/status", "value": after}
        return await self._cluster.patch(kinds.POINT_SERVICE, body, [operation], subresource="status")

    async def _act(
        self, point_service: PointService, seen: Seen, decision: Decision, *, held: bool
    ) -> Outcome:
        """Apply and prune what may be changed; return what came of it. Raises NotFoundError.

        `held` says whether anything was ever made for it.
        """
        try:
            if decision.withdraw:
                await self._withdraw(seen)
            elif held:
                for gateway in self._fleet.gateways_of(point_service.key):
                    await self.shared.ensure_guard(gateway)  # whoever of its sharers is paused or refused
            if decision.plan is None:
                return self._refused(point_service, seen, decision, seen.refusal)
            children = await self._bring_about(point_service, seen, decision.plan)
            unwatched = await self._have_watched(point_service, seen, decision.plan)
        except NotOwnedError as error:
            return self._refused(point_service, seen, decision, Refusal("NotOwned", str(error)))
        except (BadRequestError, ForbiddenError, UnprocessibleEntityError) as error:
            return self._refused(point_service, seen, decision, Refusal("Rejected", said(error)))
        return Outcome(
            running=look.running(point_service, children),
            routed=parents.is_routed(point_service, children),
            route_told=parents.is_told(point_service, children),
            canary=decision.canary,
            claims=self._fleet.claims(point_service.key),
            unwatched=unwatched,
        )

    def _refused(
        self, point_service: PointService, seen: Seen, decision: Decision, refusal: Refusal | None
    ) -> Outcome:
        """What came of a look that changed nothing, or not all that it should have."""
        return Outcome(
            running=seen.running,
            routed=seen.routed and not decision.withdraw,
            refusal=refusal,
            canary=decision.canary,
            claims=self._fleet.claims(point_service.key),
        )

    async def _withdraw(self, seen: Seen) -> None:
        """Take the route away and, once it is gone, what protected it: it was admitted to nothing."""
        routes = [one for one in seen.children.values() if kinds.of(one) in kinds.ROUTES]
        policies = [one for one in seen.children.values() if names.is_elsewhere(one)]
        for one in routes or policies:
            await self.applier.remove(one)

    async def _have_watched(self, point_service: PointService, seen: Seen, plan: Plan) -> str:
        """Make what is for watching, after all that serves; return why that was not possible, or nothing."""
        try:
            await self._ensure(point_service, plan.watching, dict(seen.children))
        except NotOwnedError as error:
            return str(error)
        except (ConflictError, NotFoundError):
            raise  # changed meanwhile, or a kind was uninstalled
        except DynamicApiError as error:
            return said(error)
        return ""

    async def _bring_about(
        self, point_service: PointService, seen: Seen, plan: Plan
    ) -> dict[Identity, Object]:
        """Go through the plan's stages; return the children as they are then."""
        children = dict(seen.children)
        await self._ensure(point_service, plan.policies, children)
        await self._renew_migration(seen, plan, children)
        await self._ensure(point_service, plan.foundation + plan.migration, children)
        await self._ensure(point_service, plan.pods + plan.scaling, children)
        await self._ensure(point_service, plan.route, children)
        for gateway in self._fleet.gateways_of(point_service.key):
            await self.shared.ensure_listener(gateway)
        # Without its Secrets nobody knows which Job is the wanted one.
        old = (
            child
            for key, child in seen.children.items()
            if key not in seen.migrating and not (child["kind"] == kinds.JOB.kind and seen.secret_problems)
        )
        await self.applier.prune(old, plan.everything)
        self._fleet.settle(point_service.key)
        return children

    async def _ensure(
        self, point_service: PointService, manifests: tuple[Object, ...], children: dict[Identity, Object]
    ) -> None:
        """Make each child be as wanted, at the same time; `children` then holds them as they are."""
        owner = f"{point_service.namespace}/{point_service.name}"
        start = deployment.start(point_service)
        starts = {identity(start): start}
        ensured = await together(
            self.applier.ensure(one, children.get(identity(one)), owner, starts.get(identity(one)))
            for one in manifests
        )
        children.update({identity(child): child for child in ensured})

    async def _renew_migration(self, seen: Seen, plan: Plan, children: dict[Identity, Object]) -> None:
        """Remove a Job that failed a while ago, or that waits to start and is not as wanted; it is then made anew."""
        found = seen.migration
        failed = found.state == "Failed" and age(found.failed_at) >= MIGRATION_RETRY_SECONDS
        for one in plan.migration:
            job = children.get(identity(one))
            if job is not None and (failed or (found.waits and not is_made_of(job, one))):
                await self.applier.remove(children.pop(identity(one)))

    async def _write_status(self, body: Object, after: status.Status, news: list[Condition]) -> None:
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

    def _next_look(self, outcome: Outcome, after: status.Status, took: float) -> float:
        if (soon := canary.next_look(outcome.canary, clock())) is not None:
            return soon
        unsettled = {"Reconciling", "Stalled"} & {one["type"] for one in after["conditions"]}
        unsettled |= {"NotWatched", "NotRouted"} & {one["reason"] for one in after["conditions"]}
        longest = self._settings.resync_seconds
        return (
            unsettled_pause(len(self._fleet), took, self._settings.workers, longest) if unsettled else longest
        )


class _Attempt:
    """How far a look has come, for whoever has to tell that it failed."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.seen: Seen | None = None
