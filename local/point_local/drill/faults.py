"""What can happen to the stack: each blow is struck when its block begins and mended, if it must be, when it ends."""

import base64
import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import cast

import psutil

from point_local.build import packages
from point_local.drill.observe import Object, items
from point_local.failover import controller
from point_local.machine import cluster
from point_local.machine.cluster import CONTROL, WORKERS
from point_local.machine.node import DATA, Node
from point_local.programs import versions
from point_local.programs.command import LocalError, kubectl, run, succeeds, wait
from point_local.stack import application, credentials, data, istio
from point_local.stack.manifests import apply_all

SLOW_SECONDS = 0.2
"""How long a slow server stands still, over and over, with a breath in between."""
_BREATH_SECONDS = 0.05
CLOCK_SECONDS = 120
"""How far a wrong clock is ahead."""
_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


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
    ways = {"stop": _stopped, "cut": _cut}
    nodes = {n.name[-1]: n for n in WORKERS}
    return [Blow(f"zone {z}, {m}", lambda z=z, m=m: ways[m](nodes[z]), 25) for m in modes for z in letters]


def smaller() -> list[Blow]:
    """Everything less than a zone."""
    return [
        Blow(
            "service pods killed", lambda: _killed(_pods("points", "app.kubernetes.io/component=service")), 5
        ),
        Blow("gateway pods killed", lambda: _killed(_pods(istio.GATEWAY_NAMESPACE)), 5),
        Blow("operator killed", lambda: _killed(_pods("point-system")), 10),
        Blow("istiod killed", lambda: _killed(_pods("istio-system", "app=istiod")), 10),
        Blow("API server killed", _api_server_killed, 15),
        Blow("CoreDNS killed", lambda: _killed(_pods("kube-system", "k8s-app=kube-dns")), 10),
        Blow("writer's disk full", _disk_full, 15, survived=False),
        Blow("slow database", lambda: _slow(f"mysql-{controller.recorded_writer()}-0", "data", "mysqld"), 20),
        Blow("slow cache", lambda: _slow(f"valkey-{_primary()}-0", "data", "valkey-server"), 20),
        Blow("writer's clock 2 min ahead", _clock_wrong, 20),
        Blow("certificates rotate", _certificates_rotate, 10),
        Blow("rollout and migration", _rollout, 20),
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
def _stopped(node: Node) -> Generator[None]:
    node.stop()
    try:
        yield
    finally:
        node.start(cluster.NODES)


@contextmanager
def _cut(node: Node) -> Generator[None]:
    run(["ip", "link", "set", f"v-{node.name}", "down"])
    try:
        yield
    finally:
        run(["ip", "link", "set", f"v-{node.name}", "up"])


@contextmanager
def _killed(pods: list[Object]) -> Generator[None]:
    """Every process of these pods ends at once, as when each of their machines ran out of memory."""
    uids = [str(p["metadata"]["uid"]) for p in pods]
    if not uids:
        raise LocalError("none of the pods to kill is there: `make status`")
    for process in _processes(lambda groups: any(f"pod{uid}" in groups for uid in uids)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    yield


@contextmanager
def _api_server_killed() -> Generator[None]:
    for process in _processes(lambda groups: f":/{CONTROL.name}/" in groups):
        if process.name() == "kube-apiserver":
            process.kill()
    yield


@contextmanager
def _disk_full() -> Generator[None]:
    """The disk with the writer's data has not a block left."""
    node = next(n for n in WORKERS if n.name == f"az-{controller.recorded_writer()}")
    filler = f"{DATA}/filler"
    try:
        # It takes what there is, and says that there was not more.
        node.exec("sh", "-c", f"fallocate -l $(df --output=avail -B1 {DATA} | tail -1) {filler} || true")
        wait("the disk is full", lambda: _available(node) == 0, seconds=5)
        yield
    finally:
        node.exec("rm", "-f", filler)


def _available(node: Node) -> int:
    """Bytes free on a machine's data disk."""
    return int(node.exec("df", "--output=avail", "-B1", DATA).split()[-1])


@contextmanager
def _slow(pod: str, namespace: str, program: str) -> Generator[None]:
    """A server stands still for most of the time, so each of its answers comes late."""
    uid = kubectl("get", "pod", pod, "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    slowed = [p for p in _processes(lambda groups: f"pod{uid}" in groups) if p.name() == program]
    if not slowed:
        raise LocalError(f"{program} of {pod} does not run")
    mended = threading.Event()

    def stutter() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            while not mended.is_set():
                slowed[0].suspend()
                time.sleep(SLOW_SECONDS)
                slowed[0].resume()
                time.sleep(_BREATH_SECONDS)

    thread = threading.Thread(target=stutter)
    thread.start()
    try:
        yield
    finally:
        mended.set()
        thread.join()


@contextmanager
def _clock_wrong() -> Generator[None]:
    """The clock of the writer's machine is ahead for every program that asks the C library: all but Go's.

    Linux has no clock a namespace, so the machine's containers are started anew with libfaketime in them,
    and again without it at the end: their clock then jumps back.
    """
    packages.ensure({_FAKETIME: "libfaketime"})
    zone = controller.recorded_writer()
    node = next(n for n in WORKERS if n.name == f"az-{zone}")
    inside = "/usr/lib/libfaketime.so.1"
    spec = json.loads(node.exec("ctr", "oci", "spec"))
    spec["process"]["env"] = [
        *spec["process"].get("env", []),
        f"LD_PRELOAD={inside}",
        f"FAKETIME=+{CLOCK_SECONDS}",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    ]
    mount = {"destination": inside, "type": "bind", "source": _FAKETIME, "options": ["bind", "ro"]}
    spec["mounts"].append(mount)
    base = node.folder / "clock.json"
    base.write_text(json.dumps(spec))
    config = node.folder / "containerd.toml"
    usual = config.read_text()
    runc = '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]'
    config.write_text(
        f'{usual}\n{runc}\nruntime_type = "io.containerd.runc.v2"\nbase_runtime_spec = "{base}"\n'
    )
    try:
        _restart_containers(node)
        wait("the clock is ahead", lambda: _clock_is_ahead(zone), seconds=90, every=0.5)
        yield
    finally:
        config.write_text(usual)
        _restart_containers(node)


def _restart_containers(node: Node) -> None:
    """End the node's containerd, which then reads its configuration anew, and all containers."""
    for pid in node.pids():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.name() == "containerd":
                process.kill()
                process.wait(10)
    wait(
        f"containerd on {node.name} answers",
        lambda: succeeds(["ctr", "-a", node.socket, "version"], timeout=5),
        seconds=30,
    )
    for process in _processes(lambda groups: f":/{node.name}/kubepods" in groups):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _clock_is_ahead(zone: str) -> bool:
    with contextlib.suppress(LocalError, ValueError):
        return float(data.execute(zone, "SELECT UNIX_TIMESTAMP()")) - time.time() > CLOCK_SECONDS / 2
    return False


@contextmanager
def _certificates_rotate() -> Generator[None]:
    """Database, cache and gateway get new certificates while they serve; the block begins when they use them."""
    new = credentials.certificates(istio.GATEWAY_NAMESPACE, application.hosts())
    apply_all(list(new.values()))
    certificates = {
        name: base64.b64decode(cast("dict[str, dict[str, str]]", secret)["data"]["tls.crt"]).decode()
        for name, secret in new.items()
    }
    for pods, secret in (
        ([f"mysql-{z}-0" for z in controller.ZONES], "data/mysql-tls"),
        ([f"valkey-{z}-0" for z in data.CACHE_ZONES], "data/valkey-tls"),
    ):
        for pod in pods:
            # The kubelet looks at a pod's secrets anew when the pod changes, else within two minutes.
            kubectl("annotate", "pod", pod, "-n", "data", f"rotated={time.time():.0f}", "--overwrite")
        for pod in pods:
            wait(
                f"{pod} has its new certificate",
                lambda pod=pod, secret=secret: (
                    kubectl("exec", "-n", "data", pod, "--", "cat", "/tls/tls.crt").strip()
                    == certificates[secret].strip()
                ),
                seconds=150,
                every=1,
            )
    for zone in controller.ZONES:
        data.execute(zone, "ALTER INSTANCE RELOAD TLS")
    for zone in data.CACHE_ZONES:
        data.valkey(zone, "config", "set", "tls-cert-file", "/tls/tls.crt")
    yield


@contextmanager
def _rollout() -> Generator[None]:
    """The same image under another name: the operator migrates and rolls every pod, and back again."""
    again = f"{versions.SERVICE_IMAGE}-again"
    for node in WORKERS:
        if node.init() is not None:
            node.exec("ctr", "-n", "k8s.io", "image", "tag", "--force", versions.SERVICE_IMAGE, again)
    _set_image(again)
    try:
        yield
    finally:
        _set_image(versions.SERVICE_IMAGE)
        application.wait_ready()


@contextmanager
def _rollout_without_zone_a() -> Generator[None]:
    with _stopped(WORKERS[0]), _rollout():
        yield


def _set_image(image: str) -> None:
    patch = json.dumps({"spec": {"image": image}})
    kubectl("patch", "pts", application.NAME, "-n", application.NAMESPACE, "--type=merge", "-p", patch)


def _primary() -> str:
    """The zone of the cache's primary."""
    return next(z for z in data.CACHE_ZONES if data.valkey(z, "role").startswith("master"))


def _pods(namespace: str, selector: str = "") -> list[Object]:
    return [p for p in items("pods", namespace, selector) if p["status"].get("phase") == "Running"]


def _processes(of: Callable[[str], bool]) -> list[psutil.Process]:
    """Processes of the nodes' containers whose control groups are the wanted ones."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        # One that ended meanwhile has no file any more.
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/cgroup") as groups:
            if of(groups.read()):
                found.append(process)
    return found
