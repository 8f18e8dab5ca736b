"""The operator as one running thing: watches, queue and polls, from start to stop."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine
from typing import Any

from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from point_operator.control.reconcile import Reconciler
from point_operator.kube.cluster import Cluster, Object, together
from point_operator.model import kinds
from point_operator.observe.fleet import Fleet
from point_operator.observe.gateways import Gateways
from point_operator.observe.keys import Keys
from point_operator.process import watches
from point_operator.process.handlers import Handlers
from point_operator.process.health import Health, beating
from point_operator.process.queue import Queue
from point_operator.settings import Settings

log = logging.getLogger(__name__)

DRAIN_SECONDS = 3.0
"""How long what is being done may take to end when the process is asked to."""


class Operator:
    """Reconciles every PointService of the cluster while `run` runs."""

    def __init__(self, client: ApiClient, settings: Settings, kubeconfig: str | None = None) -> None:
        self._client = client
        self._kubeconfig = kubeconfig
        self._cluster = Cluster(client, settings.read_namespaces)
        self._settings = settings
        self.fleet = Fleet(settings.gateways, hosts_listed=settings.hosts_listed)
        self._gateways = Gateways(self._cluster, self.fleet)
        self._keys = Keys(self.fleet)
        self._reconciler = Reconciler(self._cluster, self.fleet, self._gateways, self._keys, settings)
        self.queue = Queue(self._reconciler.reconcile, settings.workers)
        self._work: list[asyncio.Task[Any]] = []
        self._stale = asyncio.Event()
        """Set when a watch may have missed something."""

    def check(self, health: Health) -> None:
        """Make health depend on the queue's being alive."""
        self.queue.beat = asyncio.get_running_loop().time()
        health.require(beating("queue", lambda: self.queue.beat))

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then end what is being done; nothing is written after that.

        Raises what ends a part of it early. `close` must follow.
        """
        # Who came first has a host, so all are known before the first look.
        if not await before(stop, self._list_at_last()):
            return
        writing = [asyncio.create_task(self.queue.run()), asyncio.create_task(self._relist())]
        self._work = [
            *writing,
            asyncio.create_task(self._gateways.follow(self.queue.add)),
            asyncio.create_task(self._keys.follow(self.queue.add)),
            asyncio.create_task(self._watch()),
            asyncio.create_task(stop.wait()),
        ]
        try:
            ended, _ = await asyncio.wait(self._work, return_when=asyncio.FIRST_COMPLETED)
            await self.queue.drain(DRAIN_SECONDS)
        finally:
            for task in writing:
                task.cancel()
            await asyncio.wait(writing)
        for task in ended:
            task.result()

    async def close(self) -> None:
        """End the watches and everything else."""
        for task in self._work:
            task.cancel()
        if self._work:
            await asyncio.wait(self._work)

    async def _list_at_last(self) -> None:
        """List until it works: right after the CRD was made the API server answers 429."""
        while True:
            try:
                return await self._list()
            except (DynamicApiError, OSError, TimeoutError) as error:
                log.warning("can't list PointServices, again in 1 s: %s", type(error).__name__)
                await asyncio.sleep(1)

    async def _list(self) -> None:
        """Read all PointServices, and have each of them looked at."""
        found, news = await self.fleet.refresh(self._point_services())
        for key in found | news:
            self.queue.add(key)
        await self._sweep()

    async def _point_services(self) -> list[Object]:
        where = self._settings.watch_namespaces or ("",)
        found = await together(self._cluster.list(kinds.POINT_SERVICE, one) for one in where)
        return [body for bodies in found for body in bodies]

    async def _sweep(self) -> None:
        """Clean gateways that nobody uses any more. What is wrong with one of them must not hold the rest."""
        try:
            await self._reconciler.shared.sweep()
        except (DynamicApiError, OSError, TimeoutError) as error:
            log.warning("can't clean the gateways: %s", type(error).__name__)

    async def _relist(self) -> None:
        """Read all again and again, and have those looked at that no watch told of: a watch may stall."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stale.wait(), self._settings.resync_seconds)
            if self._stale.is_set():
                self._stale.clear()
                await self._list_at_last()
                continue
            with contextlib.suppress(DynamicApiError, OSError, TimeoutError):
                _, news = await self.fleet.refresh(self._point_services())
                for key in news:
                    self.queue.add(key)
                await self._sweep()

    async def _watch(self) -> None:
        """Watch for ever: the watches end when one of them fails, and are then started anew."""
        watched, read = self._settings.watch_namespaces, self._settings.read_namespaces
        told = Handlers(self.fleet, self._reconciler.applier, self.queue, watched)
        while True:
            await watches.watch(told, self._client, self._kubeconfig, read)
            log.warning("the watches have ended: starting them anew")
            self._stale.set()


def on_signals(stop: asyncio.Event) -> None:
    """Have SIGINT and SIGTERM set `stop`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def before(stop: asyncio.Event, waiting: Coroutine[None, None, None]) -> bool:
    """Await; return False when `stop` was set first. What was waited for has ended then, too."""
    wanted = asyncio.create_task(waiting)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((wanted, stopped), return_when=asyncio.FIRST_COMPLETED)
        if wanted.done():
            wanted.result()
        return wanted.done()
    finally:
        wanted.cancel()
        stopped.cancel()
        await asyncio.wait((wanted, stopped))
