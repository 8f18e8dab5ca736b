"""What a machine shows of the local cluster: nothing, once `make down` has run."""

from pathlib import Path

import psutil

from point_local.failover import controller
from point_local.machine.cluster import NODES
from point_local.machine.node import BRIDGE, POD_NETWORK, SERVICE_NETWORK
from point_local.programs import paths
from point_local.programs.command import run

_NAMES = {n.name for n in NODES}


def find() -> list[str]:
    """Each process, namespace, interface, route, mount, cgroup and host name of ours, as a line that names it."""
    running = controller.DAEMON.process()
    background = [f"failover controller {running.pid}"] if running else []
    return [
        *background,
        *_processes(),
        *_namespaces(),
        *_interfaces(),
        *_routes(),
        *_mounts(),
        *_cgroups(),
        *_hosts(),
    ]


def _processes() -> list[str]:
    """Programs that name the state folder, and whatever runs in a node's cgroups."""
    found: list[str] = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        try:
            groups = Path(f"/proc/{process.pid}/cgroup").read_text()
        except OSError:  # it ended meanwhile
            continue
        if f"{paths.STATE}/" in words or any(f":/{name}" in groups for name in _NAMES):
            found.append(f"process {process.pid} {words[:120]}")
    return found


def _namespaces() -> list[str]:
    folder = Path("/run/netns")
    return [f"network namespace {n.name}" for n in folder.glob("*") if n.name in _NAMES]


def _interfaces() -> list[str]:
    ours = {BRIDGE, *(f"v-{n}" for n in _NAMES)}
    return [f"interface {i.name}" for i in Path("/sys/class/net").iterdir() if i.name in ours]


def _routes() -> list[str]:
    networks = (POD_NETWORK.split("/")[0], SERVICE_NETWORK.split("/")[0], "172.30.0.")
    return [f"route {r.strip()}" for r in run(["ip", "route"]).splitlines() if any(n in r for n in networks)]


def _mounts() -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    loops = run(["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"]).splitlines()
    ours = (str(paths.STATE), str(paths.CACHE))
    return [
        *(f"mount {line.split()[1]}" for line in lines if any(o in line for o in ours)),
        *(f"loop device {line}" for line in loops if any(o in line for o in ours)),
    ]


def _cgroups() -> list[str]:
    root = Path("/sys/fs/cgroup")
    groups = [*root.iterdir(), *(g for c in root.iterdir() if c.is_dir() for g in c.iterdir())]
    return [f"cgroup {g}" for g in groups if g.is_dir() and g.name in _NAMES]


def _hosts() -> list[str]:
    return [
        f"host {line}" for line in Path("/etc/hosts").read_text().splitlines() if "# point-platform" in line
    ]
