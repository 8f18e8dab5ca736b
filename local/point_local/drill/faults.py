"""What breaks: each begins with its block and is mended, if it must be, at its end."""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import psutil

from point_local.build import packages
from point_local.drill.observe import Object
from point_local.failover import controller
from point_local.machine import cluster
from point_local.machine.cluster import CONTROL, WORKERS
from point_local.machine.node import DATA, Node
from point_local.programs.command import LocalError, kubectl, run, succeeds, wait
from point_local.stack import data

SLOW_SECONDS = 0.2
"""How long a slow server stands still, over and over, with a breath in between."""
_BREATH_SECONDS = 0.05
CLOCK_SECONDS = 120
"""How far a wrong clock is ahead."""
_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@contextmanager
def stopped(node: Node) -> Generator[None]:
    node.stop()
    try:
        yield
    finally:
        node.start(cluster.NODES)


@contextmanager
def cut(node: Node) -> Generator[None]:
    run(["ip", "link", "set", f"v-{node.name}", "down"])
    try:
        yield
    finally:
        run(["ip", "link", "set", f"v-{node.name}", "up"])


@contextmanager
def killed(pods: list[Object]) -> Generator[None]:
    """Every process of these pods ends at once, as when each of their machines ran out of memory."""
    uids = [str(p["metadata"]["uid"]) for p in pods]
    if not uids:
        raise LocalError("none of the pods to kill is there: `make status`")
    for process in _processes(lambda groups: any(f"pod{uid}" in groups for uid in uids)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    yield


@contextmanager
def api_server_killed() -> Generator[None]:
    for process in _processes(lambda groups: f":/{CONTROL.name}/" in groups):
        if process.name() == "kube-apiserver":
            process.kill()
    yield


@contextmanager
def disk_full() -> Generator[None]:
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
def slow(pod: str, namespace: str, program: str) -> Generator[None]:
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
def clock_wrong() -> Generator[None]:
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


def _processes(of: Callable[[str], bool]) -> list[psutil.Process]:
    """Processes of the nodes' containers whose control groups are the wanted ones."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        # One that ended meanwhile has no file any more.
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/cgroup") as groups:
            if of(groups.read()):
                found.append(process)
    return found
