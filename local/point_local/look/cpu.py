"""Who uses the processor: each process by its program and place in the stack, and what it used between two looks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from point_local.machine.cluster import NODES

OTHER = "other work on the machine"
KERNEL = "kernel's own threads"
SHORT = "probes and other short programs"
"""What is started in a container and ends soon, by a probe above all, with what it takes to start it (runc)."""
SHELLS = "machines' shells"
_SHIM = "containerd-shim-runc-v2"
_PROGRAMS = {
    **{
        name: name
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
    },
    **{name: name for name in ("kube-proxy", "containerd", "metrics-server")},
    _SHIM: "containerd's shims",
    "runc": SHORT,
    "coredns": "CoreDNS",
    "pilot-discovery": "istiod",
    "pilot-agent": "Istio's agents",
    "install-cni": "Istio's CNI plugin",
    "prometheus": "Prometheus",
    "point-operator": "operator",
    "point-service": "service",
    "valkey-server": "Redis",
}
"""What a program of the stack is called here, by the name that the kernel has of it."""
_LONGEST = 15
"""Letters that the kernel keeps of a name."""


class Process(NamedTuple):
    """A process: what it is called here, its seconds in itself and in the kernel since its start, and those of its
    children that have ended."""

    name: str
    user: float
    kernel: float
    ended_user: float = 0.0
    ended_kernel: float = 0.0


@dataclass(frozen=True)
class Look:
    """The machine at one moment."""

    processes: Mapping[tuple[int, float], Process]
    """By number and start: a number is given again."""
    user: float
    kernel: float
    """Seconds that the processors were busy since the machine's start."""


@dataclass(frozen=True)
class Used:
    """Seconds of processor time, in a program itself and in the kernel for it."""

    user: float = 0.0
    kernel: float = 0.0

    @property
    def seconds(self) -> float:
        return self.user + self.kernel

    def __add__(self, other: "Used") -> "Used":
        return Used(self.user + other.user, self.kernel + other.kernel)


def look(known: Mapping[int, str]) -> Look:
    """See every process; `known` names some by their number, and with them whatever they started."""
    named = dict(known)
    words: dict[int, Sequence[str]] = {}
    seen: dict[tuple[int, float], Process] = {}
    wanted = ["pid", "ppid", "name", "cmdline", "cpu_times", "create_time"]
    found = [one.info for one in psutil.process_iter(wanted)]
    for one in sorted(found, key=lambda info: info["create_time"]):  # parents first
        pid, parent, times = one["pid"], one["ppid"], one["cpu_times"]
        try:
            node = node_of(Path(f"/proc/{pid}/cgroup").read_text())
        except OSError:  # it has just ended
            continue
        words[pid] = [one["name"], *(one["cmdline"] or ())]
        if parent in named:
            named.setdefault(pid, named[parent])
        name = named.get(pid) or (
            KERNEL if 2 in (pid, parent) else name_of(words[pid], words.get(parent, ()), node)
        )
        seen[pid, one["create_time"]] = Process(
            name, times.user, times.system, times.children_user, times.children_system
        )
    busy = psutil.cpu_times()
    return Look(seen, busy.user + busy.nice, busy.system + busy.irq + busy.softirq)


def spent(before: Look, after: Look) -> Mapping[str, Used]:
    """What each program used between two looks; what is nobody's of the stack is `OTHER`.

    What a process started and saw end counts for it, a shim's for `SHORT`.
    """
    used: defaultdict[str, Used] = defaultdict(Used)
    for key, now in after.processes.items():
        if now.name == OTHER:
            continue
        was = before.processes.get(key, Process(now.name, 0.0, 0.0))
        used[now.name] += Used(now.user - was.user, now.kernel - was.kernel)
        starter = SHORT if now.name == _PROGRAMS[_SHIM] else now.name
        used[starter] += Used(now.ended_user - was.ended_user, now.ended_kernel - was.ended_kernel)
    whole = sum(used.values(), Used())
    # What ended unseen, its parent too, is in the machine's count alone. That goes by ticks: it may be a little less.
    used[OTHER] = Used(
        max(0.0, after.user - before.user - whole.user),
        max(0.0, after.kernel - before.kernel - whole.kernel),
    )
    return used


def node_of(cgroups: str) -> str | None:
    """The machine of the stack in whose pods a process is, by its /proc cgroup; None outside of them."""
    names = {node.name for node in NODES}
    paths = (line.split(":", 2)[-1].split("/") for line in cgroups.splitlines())
    return next((path[1] for path in paths if len(path) > 2 and path[1] in names), None)


def name_of(words: Sequence[str], parent: Sequence[str], node: str | None) -> str:
    """What a process is called by its name and command line (`words`), its parent's, and the machine of its pod."""
    program = next((of for name, of in _PROGRAMS.items() if name[:_LONGEST] == words[0][:_LONGEST]), None)
    match words[0]:
        case "envoy" if node and "router" in parent:
            return "Envoy, gateway"
        case "envoy" if node:
            return "Envoy, sidecar"
        case "envoy" if any(word.endswith("/edge/envoy.yaml") for word in words):
            return "Envoy, edge"
        case "mysqld" if node:
            host = next((word for word in words if word.startswith("--report-host=mysql-")), "")
            return f"MySQL {host.removeprefix('--report-host=mysql-')[:1]}"
        case "point-local" if "failover" in words:
            return "failover controller"
        case "unshare" | "tini" | "bash" if any(word.endswith("/boot.sh") for word in words):
            return SHELLS
        case "kubelet" | "containerd" | "runc" if program:
            return program
        case _ if node:
            return program or SHORT
        case _:
            return _PROGRAMS[_SHIM] if program == _PROGRAMS[_SHIM] else OTHER
