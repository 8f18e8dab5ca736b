"""One machine of the local cluster: its own network, mounts and processes, with containerd and the kubelet.

A node is a process namespace: ending its first process ends everything on it at once, the way
losing power does. It has one network card, on a bridge that leads nowhere but to the other nodes.
"""

import contextlib
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from point_local.programs import paths, versions
from point_local.programs.command import LocalError, run, wait
from point_local.programs.daemon import detach

BRIDGE = "azbr0"
SUBNET = "172.30.0"
HOST_ADDRESS = f"{SUBNET}.1"
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
_CGROUPS = Path("/sys/fs/cgroup")
# What each node has for itself, and where it appears inside.
_BINDS = {
    "kubelet": "/var/lib/kubelet",
    "containerd": "/var/lib/containerd",
    "run-containerd": "/run/containerd",
    "kubernetes": "/etc/kubernetes",
    "cni-conf": "/etc/cni/net.d",
    "cni-bin": "/opt/cni/bin",
    "cni": "/var/lib/cni",
    "etcd": "/var/lib/etcd",
    "log-pods": "/var/log/pods",
    "log-containers": "/var/log/containers",
    "netns": "/run/netns",
    "istio-cni": "/run/istio-cni",
}
DATA = "/var/lib/point"
"""Where a node has its data disk: a file system of its own, so that it can be full without the machine's being so."""
_DATA_DISK_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class Node:
    """A machine by name and number; its address, pod network and files follow from them."""

    name: str
    index: int
    zone: str | None = None

    @property
    def address(self) -> str:
        return f"{SUBNET}.1{self.index}"

    @property
    def folder(self) -> Path:
        return paths.NODES / self.name

    @property
    def socket(self) -> Path:
        return self.folder / "run-containerd" / "containerd.sock"

    def pids(self) -> list[int]:
        """Processes in the node's network, the node's first process among them (pods have networks of their own)."""
        if not Path(f"/run/netns/{self.name}").exists():
            return []
        return [int(p) for p in run(["ip", "netns", "pids", self.name], check=False).split()]

    def init(self) -> int | None:
        """The host's number of the node's process 1, None when the node is down."""
        for pid in self.pids():
            with contextlib.suppress(OSError, IndexError):
                if is_first(Path(f"/proc/{pid}/status").read_text()):
                    return pid
        return None

    def exec(self, *args: str | Path, stdin: str | None = None, timeout: float = 600) -> str:
        """Run a program on the node and return what it printed."""
        inside = ["nsenter", "-t", str(self.init()), "-m", "-n", "-u", "-p"]
        try:
            return run([*inside, *args], stdin=stdin, timeout=timeout)
        except LocalError as error:
            raise LocalError(f"on {self.name}: {' '.join(map(str, args))}: {error}") from error

    def start(self, peers: Sequence["Node"]) -> None:
        """Give the node its network and start it; returns when containerd answers. Does nothing when it runs."""
        if self.init() is not None and self.socket.exists():
            return
        self._write_files()
        self._make_cgroups()
        self._make_network(peers)
        self.socket.unlink(missing_ok=True)  # it is on disk, and outlives a restart of the machine
        detach(
            [
                *("nsenter", f"--net=/run/netns/{self.name}"),
                *("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child"),
                *("tini", "-g", "--", "bash", self.folder / "boot.sh"),
            ],
            self.folder / "boot.log",
        )
        wait(f"containerd on {self.name} answers", self.socket.exists, seconds=30, every=0.05)

    def stop(self) -> None:
        """End every process of the node at once; its files and its network stay."""
        for _ in range(50):
            pids = self.pids()
            if not pids:
                break
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(LocalError):
                wait(f"{self.name} stops", lambda: not self.pids(), seconds=0.5, every=0.05)
                break
        # The kernel unmounts the disk when the last process has gone; two mounts of it at once would ruin it.
        disk = str(self.folder / "data.img")
        wait(f"{self.name} has let go of its disk", lambda: not _loops(disk), seconds=20)
        self.socket.unlink(missing_ok=True)

    def remove(self) -> None:
        """Leave nothing of the node but what `keep` names: no process, network, cgroup or file."""
        with contextlib.suppress(Exception):
            self.stop()
        run(["ip", "netns", "del", self.name], check=False)
        run(["ip", "link", "del", f"v-{self.name}"], check=False)
        for group in _controllers(self.name):
            # A process that was just killed keeps its group busy until the kernel has let go of it.
            with contextlib.suppress(LocalError):
                wait(f"{group} is empty", lambda g=group: _remove_group(g), seconds=10, every=0.1)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_network(self, peers: Sequence["Node"]) -> None:
        # Made anew at every start, so that one that was left half-made can't be used.
        run(["ip", "netns", "del", self.name], check=False)
        run(["ip", "link", "del", f"v-{self.name}"], check=False)
        run(["ip", "netns", "add", self.name])
        run(
            [
                "ip",
                "link",
                "add",
                f"v-{self.name}",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                self.name,
            ]
        )
        run(["ip", "link", "set", f"v-{self.name}", "master", BRIDGE, "up"])
        inside = ["ip", "-n", self.name]
        run([*inside, "addr", "add", f"{self.address}/24", "dev", "eth0"])
        run([*inside, "link", "set", "lo", "up"])
        run([*inside, "link", "set", "eth0", "up"])
        for peer in peers:  # pods of the other nodes; there is no default route, so no way out
            if peer.index != self.index:
                run([*inside, "route", "add", f"10.244.{peer.index}.0/24", "via", peer.address])
        # Services: the address is rewritten on the way out, but only if there is a way out to begin with.
        run([*inside, "route", "add", SERVICE_NETWORK, "dev", "eth0"])

    def _make_cgroups(self) -> None:
        for group in _controllers(self.name):
            group.mkdir(exist_ok=True)
        cpuset = _CGROUPS / "cpuset"
        for name in ("cpuset.cpus", "cpuset.mems"):  # a new cpuset is empty, and nothing may run in it
            if (cpuset / name).exists():
                (cpuset / self.name / name).write_text((cpuset / name).read_text())

    def _write_files(self) -> None:
        for name in (*_BINDS, "patches"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "patches" / "kubeletconfiguration+merge.yaml").write_text(
            f"cgroupRoot: /{self.name}\n"
            "tlsCertFile: /etc/kubernetes/kubelet.crt\n"
            "tlsPrivateKeyFile: /etc/kubernetes/kubelet.key\n"
        )
        disk = self.folder / "data.img"
        if not disk.exists():
            new = self.folder / "new.img"
            with new.open("wb") as file:
                file.truncate(_DATA_DISK_BYTES)  # sparse: it takes what is written to it
            run(["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", new])
            new.rename(disk)
        network = self.folder / "cni-conf" / "10-bridge.conflist"
        if not network.exists():  # Istio adds its plugin to it, and no pod may start without that in between
            network.write_text(_CNI % self.index)
        (self.folder / "containerd.toml").write_text(_CONTAINERD)
        (self.folder / "resolv.conf").write_text("")
        binds = "\n".join(
            f"mkdir -p {inside} && mount --bind {self.folder / name} {inside}"
            for name, inside in _BINDS.items()
        )
        (self.folder / "boot.sh").write_text(
            _BOOT.format(
                binds=binds,
                name=self.name,
                folder=self.folder,
                path=paths.BIN,
                data=DATA,
                services=SERVICE_NETWORK,
            )
        )


def is_first(status: str) -> bool:
    """Whether a process, by its /proc status, is the first of a node.

    A pod's first process on the node's network is one as well, though one level deeper, and may have a lower number
    when the numbers have begun anew.
    """
    numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
    return len(numbers) == 2 and numbers[1] == "1" and "State:\tZ" not in status


def _loops(disk: str) -> str:
    """The loop devices that show this file, as `losetup` lists them."""
    return run(["losetup", "-j", disk], check=False)


def _controllers(name: str) -> list[Path]:
    """The node's cgroup in every hierarchy of this machine."""
    if (_CGROUPS / "cgroup.controllers").exists():  # one unified hierarchy
        return [_CGROUPS / name]
    return [c / name for c in _CGROUPS.iterdir() if c.is_dir() and not c.is_symlink()]


def _remove_group(group: Path) -> bool:
    """Remove a cgroup with all below it; False while something is still in one of them."""
    if not group.exists():
        return True
    below = sorted((p for p in group.rglob("*") if p.is_dir()), key=lambda p: len(p.parts), reverse=True)
    for folder in (*below, group):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return not group.exists()


_CNI = """{
  "cniVersion": "0.4.0", "name": "bridge", "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.%d.0/24"}]],
              "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}]
}
"""

_CONTAINERD = f"""version = 2
[plugins."io.containerd.grpc.v1.cri"]
  # This machine may not lower its out-of-memory score (no CAP_SYS_RESOURCE).
  restrict_oom_score_adj = true
  sandbox_image = "registry.k8s.io/pause:{versions.PAUSE_IMAGE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
"""

_BOOT = """set -eu
export PATH={path}:$PATH
mount --make-rprivate /
mount -t proc proc /proc
{binds}
mkdir -p {data} && mount -o loop,nosuid,nodev {folder}/data.img {data}
ln -sf /usr/lib/cni/* /opt/cni/bin/
mount --make-rshared /
hostname {name}
sysctl -qw net.ipv4.ip_forward=1 || true
sysctl -qw net.bridge.bridge-nf-call-iptables=1 || true
mount --bind {folder}/resolv.conf /etc/resolv.conf
# A pull that slips through fails at once instead of asking the network; Istio's plugin may ask the API server.
while true; do
  HTTPS_PROXY=http://127.0.0.1:1 HTTP_PROXY=http://127.0.0.1:1 NO_PROXY={services} \\
    containerd -c {folder}/containerd.toml >> {folder}/containerd.log 2>&1 || true
  sleep .1
done &
until [ -f /var/lib/kubelet/config.yaml ] && [ -f /var/lib/kubelet/kubeadm-flags.env ]; do sleep .1; done
. /var/lib/kubelet/kubeadm-flags.env
while true; do
  kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \\
    --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \\
    $KUBELET_KUBEADM_ARGS >> {folder}/kubelet.log 2>&1 || true
  sleep .5
done
"""
