"""Everything that runs in the cluster, packed onto the nodes of each stack: processors, memory and number of pods."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from point_infra.incluster.mesh import values

ROOT = Path(__file__).resolve().parents[3]
STACKS = sorted(f.name.split(".")[1] for f in ROOT.glob("Pulumi.*.yaml"))
MOST, LEAST = 10, 2
"""Pods of the service: the autoscaler's bounds in `pointServiceYaml`."""
PROXY = (100, 96)
"""What the operator asks for beside each pod of the service (its annotations win over istiod's values)."""


@dataclass(frozen=True)
class Pod:
    """Requests of one pod, in millicores and MiB."""

    name: str
    cpu: int
    mib: int


@dataclass(frozen=True)
class Node:
    """What a node leaves to pods, and how many it takes."""

    cpu: int
    mib: int
    pods: int


_BURSTABLE = {
    "small": (2, 2, 11),
    "medium": (2, 4, 17),
    "large": (2, 8, 35),
    "xlarge": (4, 16, 58),
    "2xlarge": (8, 32, 58),
}
_FIXED = {
    "medium": (1, 4, 8),
    "large": (2, 8, 29),
    "xlarge": (4, 16, 58),
    "2xlarge": (8, 32, 58),
    "4xlarge": (16, 64, 234),
}
_GIB_OF_M = {"c": 0.5, "m": 1, "r": 2}
"""vCPUs, GiB and pods by size: of the T families, and of the M families; C has half their memory, R twice as much.

Pods are awslabs/amazon-eks-ami's eni-max-pods.txt of 2026-02-27 (network interfaces times addresses less one, and two).
"""


def node(instance_type: str) -> Node:
    """A node of Amazon Linux 2023 after what EKS reserves (nodeadm's kubelet configuration), seen at 2026-07-23.

    Of the processors 6 % of the first, 1 % of the second, half a percent of the next two and a quarter of the rest; of
    memory 11 MiB a pod and 255 more, 100 at which the kubelet evicts, and about 6 % that the kernel never shows.
    """
    family, size = instance_type.split(".")
    cpus, gib, pods = (_BURSTABLE if family.startswith("t") else _FIXED)[size]
    memory = gib * 1024 * _GIB_OF_M.get(family[0], 1) * 0.94
    reserved = 60 + 10 * (cpus > 1) + 5 * min(max(cpus - 2, 0), 2) + 2.5 * max(cpus - 4, 0)
    return Node(int(cpus * 1000 - reserved), int(memory - 11 * pods - 255 - 100), pods)


def _cpu(text: str) -> int:
    return int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)


def _mib(text: str) -> int:
    return int(text[:-2]) * (1024 if text.endswith("Gi") else 1)


def _pod(name: str, holder: Mapping[str, Any]) -> Pod:
    asked = holder["resources"]["requests"]
    return Pod(name, _cpu(str(asked["cpu"])), _mib(asked["memory"]))


_ON_EACH_NODE = {
    "vpc-cni": [Pod("aws-node", 50, 0)],  # half of it is the policy agent's
    "kube-proxy": [Pod("kube-proxy", 100, 0)],
    "eks-pod-identity-agent": [Pod("eks-pod-identity-agent", 0, 0)],
    "aws-ebs-csi-driver": [Pod("ebs-csi-node", 30, 120)],
    "amazon-cloudwatch-observability": [Pod("cloudwatch-agent", 250, 128), Pod("fluent-bit", 50, 25)],
    "coredns": [],
    "metrics-server": [],
}
"""Requests of the add-ons' defaults, by add-on."""
_ANYWHERE = {
    "coredns": [Pod("coredns", 100, 70)] * 2,
    "metrics-server": [Pod("metrics-server", 100, 200)] * 2,
    "aws-ebs-csi-driver": [Pod("ebs-csi-controller", 60, 240)] * 2,
    "amazon-cloudwatch-observability": [Pod("cloudwatch operator", 100, 64)],
}


def _add_ons(run: Any) -> list[str]:
    return [a["addonName"] for a in run.of("eks/addon:Addon").values()]


def _releases(run: Any) -> dict[str, Any]:
    return {n: r.get("values") or {} for n, r in run.of(":Release").items()}


def _replicas(values_: Mapping[str, Any], key: str = "replicas") -> int:
    return int(values_.get(key, 1))


def _daemons(run: Any) -> list[Pod]:
    """One of each on every node."""
    found = [pod for addon in _add_ons(run) for pod in _ON_EACH_NODE[addon]]
    found.append(_pod("istio-cni", values("cni")))
    if "kube-prometheus-stack" in _releases(run):
        found.append(
            _pod("node-exporter", _releases(run)["kube-prometheus-stack"]["prometheus-node-exporter"])
        )
    return found


def _of_the_releases(releases: Mapping[str, Any]) -> Iterator[Pod]:
    for name in ("aws-load-balancer-controller", "cluster-autoscaler", "external-secrets"):
        if name in releases:
            yield from [_pod(name, releases[name])] * _replicas(releases[name], "replicaCount")
    secrets = releases.get("external-secrets")
    if secrets:
        yield from [_pod("webhook", secrets["webhook"])] * _replicas(secrets["webhook"], "replicaCount")
        yield _pod("certificates", secrets["certController"])
    if "kiali" in releases:
        yield _pod("kiali", releases["kiali"]["deployment"])
    yield from [_pod("istiod", values("istiod"))] * _replicas(releases["istiod"], "autoscaleMin")
    gateway = releases["istio-ingressgateway"]
    yield from [_pod("gateway", gateway)] * _replicas(gateway, "replicaCount")
    stack = releases.get("kube-prometheus-stack")
    if stack:
        for part, spec in (("prometheus", "prometheusSpec"), ("alertmanager", "alertmanagerSpec")):
            if stack[part].get("enabled", True):
                yield from [_pod(part, stack[part][spec])] * _replicas(stack[part][spec])
        for part in ("grafana", "kube-state-metrics", "prometheusOperator"):
            if stack[part].get("enabled", True):
                yield _pod(part, stack[part])


@functools.cache
def _service() -> Pod:
    schema = yaml.safe_load((ROOT / "crds" / "pointservices.yaml").read_text())
    spec = schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    asked = spec["resources"]["properties"]["requests"]["properties"]
    cpu, mib = _cpu(str(asked["cpu"]["default"])), _mib(str(asked["memory"]["default"]))
    return Pod("points", cpu + PROXY[0], mib + PROXY[1])


def _shared(run: Any, replicas: int) -> list[Pod]:
    """Pods that may be on any node, with so many of the service."""
    add_ons = [pod for addon in _add_ons(run) for pod in _ANYWHERE.get(addon, [])]
    deployment = run.one(":Deployment")["spec"]
    operator = _pod("operator", deployment["template"]["spec"]["containers"][0])
    return [
        *add_ons,
        *_of_the_releases(_releases(run)),
        *[operator] * _replicas(deployment),
        *[_service()] * replicas,
    ]


def _fit(pods: list[Pod], room: Node, nodes: int) -> bool:
    """Whether so many nodes hold them, the biggest first, each on the one with the most room, as the scheduler does."""
    rooms = [room] * nodes
    for pod in sorted(pods, key=lambda p: (-p.cpu, -p.mib, p.name)):
        at = max(range(nodes), key=lambda i: (rooms[i].pods > 0, rooms[i].cpu, rooms[i].mib))
        rooms[at] = Node(rooms[at].cpu - pod.cpu, rooms[at].mib - pod.mib, rooms[at].pods - 1)
        if min(rooms[at].cpu, rooms[at].mib, rooms[at].pods) < 0:
            return False
    return True


def _needed(run: Any, replicas: int) -> int:
    """The least number of nodes that hold everything, each with one of every DaemonSet."""
    kind = node(_type(run))
    daemons = _daemons(run)
    cpu, mib = (sum(p.cpu for p in daemons), sum(p.mib for p in daemons))
    room = Node(kind.cpu - cpu, kind.mib - mib, kind.pods - len(daemons))
    pods = _shared(run, replicas)
    return next(n for n in range(1, len(pods) + 1) if _fit(pods, room, n))


def _type(run: Any) -> str:
    """The instance type of the nodes; the first, where a group may choose among several."""
    return next(iter(run.of(":NodeGroup").values()))["instanceTypes"][0]


def _said() -> dict[str, tuple[str | int, ...]]:
    """What docs/infrastructure.md says, by stack: its node, pods a node, nodes at rest, nodes needed with two pods of
    the service and with ten, and how many pods of it the nodes at rest hold.
    """
    section = (
        (ROOT / "docs" / "infrastructure.md")
        .read_text()
        .split("\n## Room on the nodes\n")[1]
        .split("\n## ")[0]
    )
    rows = re.findall(
        r"^\| (\w[\w-]*) \| (\S+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", section, re.MULTILINE
    )
    return {stack: (kind, *map(int, numbers)) for stack, kind, *numbers in rows}


_RUNS: dict[str, Any] = {}


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def run(stack: str, run_stack: Callable[..., Any]) -> Any:
    return _RUNS.get(stack) or _RUNS.setdefault(stack, run_stack(stack, preview=False))


def test_the_document_says_how_many_nodes_are_needed_at_rest_and_at_ten_pods(run: Any, stack: str) -> None:
    groups = run.of(":NodeGroup").values()
    kind, rest = _type(run), sum(g["scalingConfig"]["minSize"] for g in groups)
    held = sum(1 for pods in range(1, MOST + 1) if _needed(run, pods) <= rest)
    assert _said()[stack] == (kind, node(kind).pods, rest, _needed(run, LEAST), _needed(run, MOST), held)


def test_two_pods_fit_the_nodes_at_rest_and_ten_those_that_the_autoscaler_may_add(run: Any) -> None:
    groups = [g["scalingConfig"] for g in run.of(":NodeGroup").values()]
    assert _needed(run, LEAST) <= sum(g["minSize"] for g in groups)
    assert _needed(run, MOST) <= sum(g["maxSize"] for g in groups)


def test_without_a_zone_the_others_may_still_grow_to_ten_pods(run: Any) -> None:
    most = sorted(g["scalingConfig"]["maxSize"] for g in run.of(":NodeGroup").values())
    assert _needed(run, MOST) <= sum(most[:-1])


@pytest.mark.parametrize(
    ("instance_type", "pods"),
    [("m5.large", 29), ("m6g.medium", 8), ("t4g.small", 11), ("t4g.medium", 17), ("t4g.large", 35)],
)
def test_a_node_takes_as_many_pods_as_its_interfaces_have_addresses(instance_type: str, pods: int) -> None:
    assert node(instance_type).pods == pods


def test_an_m5_large_leaves_what_eks_reports() -> None:
    """1930m is what EKS shows as allocatable of two processors."""
    assert node("m5.large").cpu == 1930
    assert 6_900 < node("m5.large").mib < 7_100
