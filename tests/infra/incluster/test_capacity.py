"""Everything that runs in the cluster, with ten pods of the service, against three m5.large."""

from pathlib import Path
from typing import Any

import yaml
from point_infra.incluster.mesh import values

# What a node of 2 vCPU and 8 GiB leaves to pods: AL2023's reservations of EKS (awslabs/amazon-eks-ami).
NODE_CPU, NODE_MIB = 1930, 6_900
NODES = 3
# Requests in millicores and MiB, of the add-ons' defaults; pods as they are with three nodes.
ADD_ONS = {
    "aws-node": (3 * 50, 0),
    "kube-proxy": (3 * 100, 0),
    "coredns": (2 * 100, 2 * 70),
    "metrics-server": (2 * 100, 2 * 200),
    "ebs-csi controller": (2 * 60, 2 * 240),
    "ebs-csi node": (3 * 30, 3 * 120),
    "cloudwatch-agent": (3 * 250, 3 * 128),
    "fluent-bit": (3 * 50, 3 * 25),
    "cloudwatch operator": (100, 64),
}
REPLICAS = 10
# What the operator asks for beside each pod of the service (its annotations win over istiod's values).
PROXY = (100, 96)


def _cpu(text: str) -> int:
    return int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)


def _mib(text: str) -> int:
    return int(text[:-2]) * (1024 if text.endswith("Gi") else 1)


def _requests(holder: dict[str, Any], pods: int = 1) -> tuple[int, int]:
    asked = holder["resources"]["requests"]
    return pods * _cpu(asked["cpu"]), pods * _mib(asked["memory"])


def _service() -> tuple[int, int]:
    crd = Path(__file__).resolve().parents[3] / "crds" / "pointservices.yaml"
    schema = yaml.safe_load(crd.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]["properties"]
    asked = spec["resources"]["properties"]["requests"]["properties"]
    return _cpu(str(asked["cpu"]["default"])), _mib(str(asked["memory"]["default"]))


def _demand(prod: Any) -> dict[str, tuple[int, int]]:
    releases = {n: r["values"] for n, r in prod.of(":Release").items()}
    stack = releases["kube-prometheus-stack"]
    secrets = releases["external-secrets"]
    proxy = (REPLICAS * PROXY[0], REPLICAS * PROXY[1])
    service = _service()
    operator = prod.one(":Deployment")["spec"]["template"]["spec"]["containers"][0]
    return {
        **ADD_ONS,
        "istio-cni": _requests(values("cni"), NODES),
        "istiod": _requests(values("istiod"), 2),
        "gateway": _requests(values("gateway"), 2),
        "prometheus": _requests(stack["prometheus"]["prometheusSpec"], 2),
        "grafana": _requests(stack["grafana"]),
        "alertmanager": _requests(stack["alertmanager"]["alertmanagerSpec"], 2),
        "kube-state-metrics": _requests(stack["kube-state-metrics"]),
        "node-exporter": _requests(stack["prometheus-node-exporter"], NODES),
        "prometheus-operator": _requests(stack["prometheusOperator"]),
        "kiali": _requests(releases["kiali"]["deployment"]),
        "load balancer controller": _requests(releases["aws-load-balancer-controller"], 2),
        "autoscaler": _requests(releases["cluster-autoscaler"], 2),
        "external-secrets": _requests(secrets, 2 + 2 + 1),
        "operator": _requests(operator, 2),
        "service": (REPLICAS * service[0], REPLICAS * service[1]),
        "proxies of the service": proxy,
    }


def test_ten_pods_need_no_more_nodes_than_the_autoscaler_may_run(prod: Any) -> None:
    demand = _demand(prod)
    cpu, mib = (sum(d[i] for d in demand.values()) for i in (0, 1))
    maximum = sum(g["scalingConfig"]["maxSize"] for g in prod.of(":NodeGroup").values())
    nodes = max(-(-cpu // NODE_CPU), -(-mib // NODE_MIB))
    assert maximum == 9
    # Three nodes at rest; the autoscaler brings a fourth when the service is at its ten pods.
    assert nodes == 4, demand


def test_the_two_pods_that_run_at_rest_fit_the_budget_s_three_nodes(prod: Any) -> None:
    demand = _demand(prod)
    at_rest = {
        k: (c * 2 // REPLICAS, m * 2 // REPLICAS) if "service" in k else (c, m)
        for k, (c, m) in demand.items()
    }
    cpu, mib = (sum(d[i] for d in at_rest.values()) for i in (0, 1))
    assert cpu <= NODES * NODE_CPU, (cpu, at_rest)
    assert mib <= NODES * NODE_MIB, (mib, at_rest)
