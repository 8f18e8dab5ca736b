"""What this machine must have, checked before anything is changed; each lack is one line."""

import os
import platform
import shutil
from pathlib import Path

import psutil

from point_local.build import packages, tools
from point_local.machine import cluster
from point_local.programs import paths
from point_local.programs.command import LocalError, succeeds
from point_local.stack import edge

_GIB = 1024**3
MEMORY_GIB = 7
DISK_GIB_COLD = 25
DISK_GIB_WARM = 8


def problems() -> list[str]:
    """Everything that keeps the local cluster from running here; empty when it can."""
    checks = (_system, _memory, _disk, _ports, _isolation, _registries)
    return [problem for check in checks if (problem := check())]


def require() -> None:
    """Raise LocalError with one line a problem, if there is any."""
    found = problems()
    if found:
        raise LocalError("this machine can't run the local cluster:\n" + "\n".join(f"- {p}" for p in found))


def _system() -> str | None:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"it needs Linux on x86_64, this is {platform.system()} on {platform.machine()}"
    if os.geteuid() != 0:
        return "it needs root (network namespaces, mounts, cgroups): run it with sudo"
    if not Path("/sys/fs/cgroup/cpu").exists() and not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "no cgroups are mounted at /sys/fs/cgroup"
    if not os.access("/sys/fs/cgroup", os.W_OK):
        return "/sys/fs/cgroup can't be written: in a container, start it privileged"
    return None


def _memory() -> str | None:
    available = psutil.virtual_memory().available / _GIB
    if not cluster.running() and available < MEMORY_GIB:
        return (
            f"{MEMORY_GIB} GiB of free memory are needed, {available:.1f} are there: end what you can spare"
        )
    return None


def _disk() -> str | None:
    needed = DISK_GIB_WARM if tools.ready() else DISK_GIB_COLD
    folder = next(p for p in (paths.CACHE, *paths.CACHE.parents) if p.exists())
    free = shutil.disk_usage(folder).free / _GIB
    if free < needed:
        return f"{needed} GiB are needed below {folder}, {free:.1f} are free: make room or set XDG_CACHE_HOME"
    return None


def _ports() -> str | None:
    taken = edge.ports_taken()
    if taken:
        ports = " and ".join(map(str, taken))
        return f"port {ports} of 127.0.0.1 is taken: end what listens there (`ss -ltnp` names it)"
    return None


def _isolation() -> str | None:
    if packages.missing({"ip": "iproute2", "unshare": "util-linux"}):
        return None  # about to be installed
    probe = "ip link add probe0 type bridge && ip link add probe1 type veth peer name probe2"
    if not succeeds(["unshare", "--net", "--mount", "--pid", "--fork", "sh", "-c", probe]):
        return "the kernel refuses namespaces, bridges or veth pairs: the cluster's machines are made of them"
    if not Path("/dev/loop-control").exists():
        return (
            "there are no loop devices (/dev/loop-control): the machines' disks need them (`modprobe loop`)"
        )
    return None


def _registries() -> str | None:
    """What must be fetched must be reachable, asked through the ordinary clients."""
    if not tools.ready():
        try:
            tools.require_go()
        except LocalError as error:
            return str(error)
        probe = ["go", "mod", "download", "github.com/google/uuid"]
        if not succeeds(probe, cwd=paths.TOOLS_MODULE, timeout=60):
            return "the Go module proxy doesn't answer (`go env GOPROXY`): the programs can't be fetched"
    if packages.missing(packages.CLUSTER) and not succeeds(["apt-get", "update", "-q"], timeout=120):
        return "Debian's archive doesn't answer (`apt-get update`): missing packages can't be installed"
    return None
