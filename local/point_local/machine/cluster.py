"""The local Kubernetes: one control-plane machine and a worker in each of three availability zones, by kubeadm."""

import contextlib
import secrets
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from point_local.machine import image_store
from point_local.machine.node import BRIDGE, HOST_ADDRESS, POD_NETWORK, SERVICE_NETWORK, Node
from point_local.machine.pki import Authority, write_secret
from point_local.programs import paths, versions
from point_local.programs.command import kubectl, run, succeeds, wait

REGION = "ap-northeast-2"
CONTROL = Node("cp", 1)
WORKERS = [Node(f"az-{z}", i, f"{REGION}{z}") for i, z in enumerate("abc", start=2)]
NODES = [CONTROL, *WORKERS]
_COMPLETE = paths.NODES / "complete"
_UNREACHABLE_METRIC = "4096"


def running() -> bool:
    """Whether every node is up and the API server answers."""
    return (
        paths.KUBECONFIG.exists()
        and all(n.init() for n in NODES)
        and succeeds(["kubectl", "get", "--raw", "/readyz", "--request-timeout=3s"])
    )


def discard_half_made() -> None:
    """Remove what an interrupted first start left: nothing is in it yet, and kubeadm can't go on half-way."""
    if paths.NODES.exists() and not _COMPLETE.exists():
        remove()


def make_bridge() -> None:
    """The cable between the nodes. The cluster's own ranges never fall through to the default route."""
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        run(["ip", "link", "add", BRIDGE, "type", "bridge"])
        run(["ip", "addr", "add", f"{HOST_ADDRESS}/24", "dev", BRIDGE])
        run(["ip", "link", "set", BRIDGE, "up"])
    for network in (POD_NETWORK, SERVICE_NETWORK):
        run(["ip", "route", "replace", "unreachable", network, "metric", _UNREACHABLE_METRIC])


def authority() -> Authority:
    """The cluster's authority, made before kubeadm so that it can sign the kubelets' serving certificates."""
    return Authority("kubernetes", paths.PKI / "kubernetes" / "ca.crt", paths.PKI / "kubernetes" / "ca.key")


def start_nodes() -> None:
    """Start the four machines, with nothing on them yet."""
    make_bridge()
    ca = authority()
    for node in NODES:
        cert, key = ca.issue(f"system:node:{node.name}", [node.name, node.address], "system:nodes")
        write_secret(node.folder / "kubernetes" / "kubelet.crt", cert)
        write_secret(node.folder / "kubernetes" / "kubelet.key", key)
        image_store.seed(node)
    with ThreadPoolExecutor() as pool:
        for started in [pool.submit(n.start, NODES) for n in NODES]:
            started.result()


def update_images(archives: Mapping[str, Path]) -> set[str]:
    """Import into the running nodes what changed since they were made; the names of those images."""
    changed: set[str] = set()
    for node in NODES:
        changed |= image_store.update(node, archives)
    return changed


def bootstrap() -> None:
    """Make the machines one cluster: `kubeadm init` on the first, `kubeadm join` on the others."""
    if not (CONTROL.folder / "kubernetes" / "admin.conf").exists():
        pki = CONTROL.folder / "kubernetes" / "pki"
        pki.mkdir(exist_ok=True)
        for name in ("ca.crt", "ca.key"):
            shutil.copy2(paths.PKI / "kubernetes" / name, pki / name)
        _kubeadm(CONTROL, "init", [_init(), _cluster(), _kubelet(), _proxy()])
    shutil.copy2(CONTROL.folder / "kubernetes" / "admin.conf", paths.KUBECONFIG)
    ready = ["kubectl", "get", "--raw", "/readyz", "--request-timeout=3s"]
    wait("the API server answers", lambda: succeeds(ready), seconds=120, every=0.5)
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(_corefile()))
    with ThreadPoolExecutor() as pool:
        list(pool.map(_join, WORKERS))
    kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=90s")
    _COMPLETE.touch()


def remove() -> None:
    """Take everything away again: processes, namespaces, interfaces, routes, mounts, cgroups, the nodes' files.

    Works on whatever a failed or interrupted start left behind.
    """
    paths.KUBECONFIG.unlink(missing_ok=True)  # nobody dials an address that is about to go
    with ThreadPoolExecutor() as pool:
        for removed in [pool.submit(n.remove) for n in NODES]:
            removed.result()
    run(["ip", "link", "del", BRIDGE], check=False)
    for network in (POD_NETWORK, SERVICE_NETWORK):
        run(["ip", "route", "del", "unreachable", network, "metric", _UNREACHABLE_METRIC], check=False)
    for file in (_COMPLETE, paths.NODES / "token"):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        paths.NODES.rmdir()


def _join(node: Node) -> None:
    if (node.folder / "kubernetes" / "kubelet.conf").exists():
        return
    discovery = {
        "bootstrapToken": {
            "apiServerEndpoint": f"{CONTROL.address}:6443",
            "token": _token(),
            "caCertHashes": [f"sha256:{authority().public_key_hash()}"],
        }
    }
    labels = f"topology.kubernetes.io/zone={node.zone},topology.kubernetes.io/region={REGION}"
    _kubeadm(
        node,
        "join",
        [
            {
                **_kubeadm_kind("JoinConfiguration"),
                "discovery": discovery,
                "nodeRegistration": _registration(node, {"node-labels": labels}),
                "patches": {"directory": str(node.folder / "patches")},
            }
        ],
    )


def _token() -> str:
    """What lets a machine join; made at first use, good for an hour."""
    file = paths.NODES / "token"
    if not file.exists():
        write_secret(file, f"{secrets.token_hex(3)}.{secrets.token_hex(8)}")
    return file.read_text()


def _kubeadm(node: Node, verb: str, documents: Sequence[Mapping[str, object]]) -> None:
    config = node.folder / f"{verb}.yaml"
    config.write_text(yaml.safe_dump_all(documents))
    # Preflight wants systemd, a modprobe and a pull: this machine has none of them, and needs none.
    node.exec("kubeadm", verb, "--config", config, "--ignore-preflight-errors=all", timeout=240)


def _kubeadm_kind(kind: str) -> dict[str, str]:
    return {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": kind}


def _registration(node: Node, extra: Mapping[str, str]) -> dict[str, object]:
    arguments = {"node-ip": node.address, **extra}
    return {
        "name": node.name,
        "criSocket": "unix:///run/containerd/containerd.sock",
        "imagePullPolicy": "Never",
        "kubeletExtraArgs": [{"name": k, "value": v} for k, v in arguments.items()],
    }


def _init() -> dict[str, object]:
    return {
        **_kubeadm_kind("InitConfiguration"),
        "bootstrapTokens": [{"token": _token(), "ttl": "1h"}],
        "localAPIEndpoint": {"advertiseAddress": CONTROL.address, "bindPort": 6443},
        "nodeRegistration": _registration(CONTROL, {}),
        "patches": {"directory": str(CONTROL.folder / "patches")},
    }


def _cluster() -> dict[str, object]:
    return {
        **_kubeadm_kind("ClusterConfiguration"),
        "kubernetesVersion": versions.KUBERNETES,
        "controlPlaneEndpoint": f"{CONTROL.address}:6443",
        "networking": {"podSubnet": POD_NETWORK, "serviceSubnet": SERVICE_NETWORK},
        "controllerManager": {
            "extraArgs": [
                {"name": "allocate-node-cidrs", "value": "false"},
                # A zone that went dark is noticed in seconds, as the pods' tolerations expect.
                {"name": "node-monitor-grace-period", "value": "16s"},
                {"name": "node-monitor-period", "value": "2s"},
            ]
        },
        "apiServer": {
            "extraArgs": [{"name": "kubelet-certificate-authority", "value": "/etc/kubernetes/pki/ca.crt"}]
        },
    }


def _kubelet() -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "evictionHard": {},
        "localStorageCapacityIsolation": False,
        "nodeStatusUpdateFrequency": "4s",
        # There is no outside to resolve: an empty file keeps pods' lookups inside the cluster.
        "resolvConf": "",
        "imageMaximumGCAge": "0s",
        "serializeImagePulls": False,
    }


def _proxy() -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        # Connection tracking is the host's to size; a namespace may not.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def _corefile() -> dict[str, object]:
    """kubeadm's DNS configuration without the forwarder: nothing outside is asked."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "data": {
            "Corefile": ".:53 {\n  errors\n  health {\n    lameduck 5s\n  }\n  ready\n"
            "  kubernetes cluster.local in-addr.arpa ip6.arpa {\n    pods insecure\n"
            "    fallthrough in-addr.arpa ip6.arpa\n    ttl 5\n  }\n  cache 5\n  loop\n  reload\n"
            "  loadbalance\n}\n"
        },
    }
