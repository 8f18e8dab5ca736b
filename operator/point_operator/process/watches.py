"""kopf, in a thread with a loop of its own, as its documentation has it embedded.

In the main thread it would take the signals and stop watching before our work is done, and in our loop it would
cancel every task that is younger than itself when it ends.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Sequence

import kopf
from kopf._cogs.structs.references import Insights  # what kopf.operator takes; it has no public name
from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from point_operator.kube import connection
from point_operator.kube.cluster import Cluster
from point_operator.model import kinds
from point_operator.process.handlers import Handlers, register

log = logging.getLogger(__name__)

CLOSE_SECONDS = 3.0
"""How long kopf may take to end when it is asked to."""

LOOK_SECONDS = 10.0
"""How often it is looked for kinds that the cluster knows and that are not watched."""


async def watch(
    handlers: Handlers, client: ApiClient, kubeconfig: str | None = None, namespaces: Sequence[str] = ()
) -> None:
    """Tell `handlers` what happens, in the loop that this runs in, until a watch fails or one is missing.

    With no namespaces it watches the whole cluster.
    """
    loop, stop, ended = asyncio.get_running_loop(), threading.Event(), asyncio.Event()
    registry, settings, insights = kopf.OperatorRegistry(), _settings(), Insights()
    # Without a right over the whole cluster kopf would ask for namespaces again and again before it watches anything.
    settings.scanning.disabled = bool(namespaces)
    connection.login(registry, client, kubeconfig)
    register(registry, settings, handlers, loop)

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(ended.set)

    # Cleaning up begins when the watches have ended. kopf 1.45 itself may hang after that: a watch that is
    # answered 404, because its kind was uninstalled while the API server was away, has all others cancelled, and
    # their scheduler waits for a cleaner that was cancelled with it.
    @kopf.on.cleanup(registry=registry)
    async def _cleanup(**_: object) -> None:
        tell()

    def run() -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=registry,
                    settings=settings,
                    insights=insights,
                    standalone=True,
                    clusterwide=not namespaces,
                    namespaces=namespaces,
                    stop_flag=stop,
                )
            )
        except Exception:
            log.exception("kopf ended")
        finally:
            tell()

    threading.Thread(target=run, name="kopf", daemon=True).start()
    missing = asyncio.create_task(_missing(Cluster(client), insights))
    missing.add_done_callback(lambda _: ended.set())
    try:
        await ended.wait()
    finally:
        missing.cancel()
        stop.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await ended.wait()


async def _missing(cluster: Cluster, insights: Insights) -> None:
    """Return once the cluster is found to know a kind that kopf doesn't watch.

    kopf asks for the kinds of a group when it hears of a change to one of its CRDs. The API server lists a kind a
    moment later than its CRD says so, so the last one of a group may be missed; and without the right to watch CRDs
    kopf never asks again.
    """
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if not insights.ready_resources.is_set():
            continue
        watched = {(one.group, one.version, one.plural) for one in list(insights.watched_resources)}
        unwatched = [
            kind
            for kind in kinds.MADE
            if kind.group and (kind.group, kind.version, kind.plural) not in watched
        ]
        try:
            found = [kind.plural for kind in unwatched if await cluster.serves(kind)]
        except (DynamicApiError, OSError, TimeoutError):
            continue
        if found:
            log.warning("not watched: %s", ", ".join(found))
            return


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # Events are posted on transitions only, by the reconciler
    settings.watching.chunk_size = 50  # a list of everything at once would double the memory at start
    settings.queueing.idle_timeout = 0.5  # each object keeps its last event for that long
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 300
    settings.watching.connect_timeout = 10
    return settings
