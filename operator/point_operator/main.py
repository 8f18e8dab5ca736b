"""The command `point-operator`."""

import argparse
import asyncio
import contextlib
import logging
import os
import sys

from point_operator import settings
from point_operator.kube import connection, lease
from point_operator.kube.cluster import Cluster
from point_operator.process import check, logs
from point_operator.process.health import Health, serve
from point_operator.process.running import Operator, before, on_signals

log = logging.getLogger(__name__)

DESCRIPTION = """\
Reconciles PointServices (pointservice.io/v1alpha1) with what runs in the cluster.

Environment:
  POINT_OPERATOR_GATEWAYS          gateways that may be used, name=namespace/label=value,.../serviceAccount
                                   each, apart by ";"; the first serves those that name none
                                   (default=istio-ingress/istio=ingressgateway/istio-ingressgateway)
  POINT_OPERATOR_WATCH_NAMESPACES  namespaces, apart by commas, whose PointServices are looked after (all)
  POINT_OPERATOR_FORMER_GATEWAY_NAMESPACES
                                   where gateways were that are not listed any more, to be cleared; needed only
                                   where not all namespaces are watched
  POINT_OPERATOR_HOSTS_LISTED      true: only namespaces annotated pointservice.io/hosts may have hosts (false)
  POINT_OPERATOR_RATE_LIMIT_IMAGE  image of the Envoy rate limit service, for limits of scope Global
  POINT_OPERATOR_RUNBOOK_URL       page of docs/runbook.md to which alerts link
  POINT_OPERATOR_NAMESPACE         namespace of the Lease (point-system)
  POINT_OPERATOR_POD               this replica's name (host name and process id)
  POINT_OPERATOR_HTTP_PORT         port of /healthz and /metrics (8080)
  POINT_OPERATOR_WORKERS           PointServices looked at at the same time (8)
  POINT_OPERATOR_RESYNC_SECONDS    how often each is looked at although nothing happened (60)
  POINT_OPERATOR_LOG_LEVEL         DEBUG, INFO, WARNING or ERROR (INFO)
"""


def main(arguments: list[str] | None = None) -> None:
    """Run until a signal, or look once whether an operator can work here.

    Exit status 0 after a signal or a look that found nothing wrong, 1 after another, 2 for bad settings, 70 when the
    Lease is lost.
    """
    parser = argparse.ArgumentParser(
        prog="point-operator",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("run", "check"),
        default="run",
        help="run (the default), or check: say once whether the kind, the Lease and the gateways are as they must be",
    )
    parser.add_argument("--kubeconfig", help="reach the cluster by this file instead of the service account")
    parser.add_argument("--no-lease", action="store_true", help="work without a Lease; only for one replica")
    options = parser.parse_args(arguments)
    try:
        chosen = settings.load()
        if options.command == "check":
            status = asyncio.run(_check(chosen, options.kubeconfig))
        else:
            logs.configure(chosen.log_level)
            status = asyncio.run(_run(chosen, options.kubeconfig, with_lease=not options.no_lease))
    except settings.SettingError as error:
        parser.error(str(error))
    sys.exit(status)


async def _check(chosen: settings.Settings, kubeconfig: str | None) -> int:
    wrong = 0
    async with await connection.connect(kubeconfig) as client:
        async for finding in check.look(Cluster(client), chosen):
            print(finding, flush=True)
            wrong += not finding.good
    return min(wrong, 1)


async def _run(chosen: settings.Settings, kubeconfig: str | None, *, with_lease: bool) -> int:
    stop = asyncio.Event()
    on_signals(stop)
    health = Health()
    async with await connection.connect(kubeconfig) as client, serve(health, chosen.http_port):
        operator = Operator(client, chosen, kubeconfig)
        held = lease.Lease(Cluster(client), chosen.namespace, lease.NAME, chosen.identity)
        if with_lease and not await before(stop, held.acquire()):
            return 0
        operator.check(health)
        status = 1
        try:
            status = await (_while_held(operator, held, stop) if with_lease else _alone(operator, stop))
        except Exception:
            log.exception("ending")
        # Nothing is written any more, so the next one need not wait for our watches to end.
        await held.release()
        await operator.close()
        return status


async def _alone(operator: Operator, stop: asyncio.Event) -> int:
    await operator.run(stop)
    return 0


async def _while_held(operator: Operator, held: lease.Lease, stop: asyncio.Event) -> int:
    lease.watch(held)
    keeping, working = asyncio.create_task(held.keep()), asyncio.create_task(operator.run(stop))
    try:
        await asyncio.wait((keeping, working), return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            log.critical("lost the Lease: ending", exc_info=keeping.exception())
            logging.shutdown()
            os._exit(70)  # at once: another process may be writing already
        working.result()
        return 0
    finally:
        for task in (keeping, working):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


if __name__ == "__main__":
    main()
