"""Every version that the program installs, in one place.

Checked in November 2026: engines and Kubernetes against AWS's release notes, charts by finding the very version in
public use. None was installed on EKS from here.
"""

from dataclasses import dataclass

KUBERNETES = ("1.35", "1.36")
"""EKS versions with standard support (1.36 until 2027-08-02, 1.35 until 2027-03-27: endoflife.date/amazon-eks)."""

_ADD_ONS = {
    "amazon-cloudwatch-observability": "v6.7.0-eksbuild.1",
    "aws-ebs-csi-driver": "v1.66.0-eksbuild.1",
    "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
    "metrics-server": "v0.9.0-eksbuild.11",
    "vpc-cni": "v1.22.4-eksbuild.3",
}
ADD_ONS = {
    "1.35": {**_ADD_ONS, "coredns": "v1.13.2-eksbuild.31", "kube-proxy": "v1.35.3-eksbuild.29"},
    "1.36": {**_ADD_ONS, "coredns": "v1.14.3-eksbuild.23", "kube-proxy": "v1.36.0-eksbuild.25"},
}
"""EKS add-ons by Kubernetes version, so that a plan moves them only when this file does.

As EKS itself reported them compatible with, and ran them on, both versions in a published upgrade of 2026-09-24 (1.31
to 1.36, by `aws eks describe-addon-versions`). The way on: docs/deploy.md.
"""

AUTOSCALER = {"1.35": "v1.35.0", "1.36": "v1.36.1"}
"""The cluster autoscaler's image by Kubernetes version. The chart has v1.35.0; v1.36.1 ran with the chart's rights on
EKS 1.36 in a published upgrade of 2026-07-30."""

NODE_RELEASES = {"1.35": "1.35.8-20260930", "1.36": "1.36.4-20260930"}
"""Release of EKS' Amazon Linux 2023 image by Kubernetes version (awslabs/amazon-eks-ami; both seen in use since
2026-09-30). Nodes get the system's patches only when it is raised."""

AURORA_MYSQL = ("8.0.mysql_aurora.3.12.0",)
"""Aurora MySQL versions that are tested for (AWS release notes: 3.12.0 is MySQL 8.0.44)."""

CACHE = {"redis": ("7.1",), "valkey": ("7.2", "8.0", "8.1")}
"""ElastiCache versions by engine; Redis OSS ends at 7.1 there."""

CACHE_FAMILIES = {"redis 7": "redis7", "valkey 7": "valkey7", "valkey 8": "valkey8"}
"""Parameter group family by engine and major version."""

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
"""The load balancer's: TLS 1.3, and 1.2 with forward secrecy and authenticated encryption only."""


@dataclass(frozen=True)
class Chart:
    """A Helm chart: its repository, name and exact version."""

    repository: str
    name: str
    version: str


# Istio no longer publishes to istio-release.storage.googleapis.com (upgrade notes of 1.31).
_ISTIO = "https://blob.istio.io/istio-release/charts"
ISTIO_VERSION = "1.31.0"
ISTIO_BASE = Chart(_ISTIO, "base", ISTIO_VERSION)
ISTIO_CNI = Chart(_ISTIO, "cni", ISTIO_VERSION)
ISTIOD = Chart(_ISTIO, "istiod", ISTIO_VERSION)
ISTIO_GATEWAY = Chart(_ISTIO, "gateway", ISTIO_VERSION)
LOAD_BALANCER_CONTROLLER = Chart("https://aws.github.io/eks-charts", "aws-load-balancer-controller", "3.5.0")
CLUSTER_AUTOSCALER = Chart("https://kubernetes.github.io/autoscaler", "cluster-autoscaler", "9.59.1")
EXTERNAL_SECRETS = Chart("https://charts.external-secrets.io", "external-secrets", "2.10.0")
KUBE_PROMETHEUS_STACK = Chart(
    "https://prometheus-community.github.io/helm-charts", "kube-prometheus-stack", "83.6.0"
)
# Each release is tested with the Istio releases that are supported when it comes out.
KIALI = Chart("https://kiali.org/helm-charts", "kiali-server", "2.31.0")
