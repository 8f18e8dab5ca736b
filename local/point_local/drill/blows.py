"""What can happen to the stack, as a list of blows: each is struck when its block begins and is over when it ends."""

import json
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import cast

from point_local.drill import changes, faults
from point_local.drill.observe import Object, items
from point_local.failover import controller
from point_local.machine import cluster
from point_local.machine.cluster import WORKERS
from point_local.programs.command import LocalError, kubectl
from point_local.stack import data, istio


@dataclass(frozen=True)
class Blow:
    """One thing that happens, and how long it is left so."""

    name: str
    strike: Callable[[], AbstractContextManager[None]]
    lasting: float
    """Seconds from when members are served again, or from the blow where they are not, until it is mended."""
    survived: bool = True
    """Whether members are to be served again before it is mended."""


def zones(letters: str, modes: Iterable[str]) -> list[Blow]:
    """The loss of each zone, in each mode: `stop` (every process ends) or `cut` (the network is down)."""
    ways = {"stop": faults.stopped, "cut": faults.cut}
    nodes = {n.name[-1]: n for n in WORKERS}
    return [Blow(f"zone {z}, {m}", lambda z=z, m=m: ways[m](nodes[z]), 25) for m in modes for z in letters]


def smaller() -> list[Blow]:
    """Everything less than a zone."""
    return [
        Blow(
            "service pods killed",
            lambda: faults.killed(_pods("points", "app.kubernetes.io/component=service")),
            5,
        ),
        Blow("gateway pods killed", lambda: faults.killed(_pods(istio.GATEWAY_NAMESPACE)), 5),
        Blow("operator killed", lambda: faults.killed(_pods("point-system")), 10),
        Blow("istiod killed", lambda: faults.killed(_pods("istio-system", "app=istiod")), 10),
        Blow("API server killed", faults.api_server_killed, 15),
        Blow("CoreDNS killed", lambda: faults.killed(_pods("kube-system", "k8s-app=kube-dns")), 10),
        Blow("writer's disk full", faults.disk_full, 15, survived=False),
        Blow(
            "slow database",
            lambda: faults.slow(f"mysql-{controller.recorded_writer()}-0", "data", "mysqld"),
            20,
        ),
        Blow("slow cache", lambda: faults.slow(f"valkey-{_primary()}-0", "data", "valkey-server"), 20),
        Blow("writer's clock 2 min ahead", faults.clock_wrong, 20),
        Blow("certificates rotate", changes.certificates_rotate, 10),
        Blow("rollout and migration", changes.rollout, 20),
        Blow("zone a, stop, and a rollout with a migration", _rollout_without_zone_a, 40),
    ]


def whole() -> bool:
    """Whether every machine is ready, every workload of ours has its pods, and the data tier is complete."""
    try:
        nodes = items("nodes")
        ready = all(_condition(n, "Ready") for n in nodes) and len(nodes) == len(cluster.NODES)
        deployments = cast("list[Object]", json.loads(kubectl("get", "deploy", "-A", "-o", "json"))["items"])
        settled = all(
            d["status"].get("updatedReplicas", 0)
            == d["status"].get("availableReplicas", 0)
            == d["status"].get("replicas", 0)
            == d["spec"]["replicas"]
            for d in deployments
        )
        return ready and settled and data.whole()
    except LocalError:
        return False


def _condition(thing: Object, kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in thing["status"].get("conditions", []))


@contextmanager
def _rollout_without_zone_a() -> Generator[None]:
    with faults.stopped(WORKERS[0]), changes.rollout():
        yield


def _primary() -> str:
    """The zone of the cache's primary."""
    return next(z for z in data.CACHE_ZONES if data.valkey(z, "role").startswith("master"))


def _pods(namespace: str, selector: str = "") -> list[Object]:
    return [p for p in items("pods", namespace, selector) if p["status"].get("phase") == "Running"]
