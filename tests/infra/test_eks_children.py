"""The stand-in makes the children of eks.Cluster that pulumi-eks' source has, as docs/infrastructure.md lists them."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from point_infra import offline
from point_local.preview.standin.eks import EksCluster
from pulumi.runtime.mocks import MockMonitor

import pulumi

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "infrastructure.md"
ADMIN = "arn:aws:iam::123456789012:role/admin"


class _Mocks(pulumi.runtime.Mocks):
    def __init__(self) -> None:
        self.made: dict[tuple[str, str], dict[str, Any]] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.made[args.typ, args.name] = dict(args.inputs)
        outputs: dict[str, Any] = dict(args.inputs)
        if args.typ == "aws:eks/cluster:Cluster":
            outputs |= {"endpoint": "https://eks.invalid", "certificateAuthority": {"data": "Y2E="}}
            outputs["vpcConfig"] = {**args.inputs["vpcConfig"], "clusterSecurityGroupId": "sg-eks"}
        return args.name, outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise NotImplementedError(args.token)


@pytest.fixture(scope="module")
def cluster() -> tuple[dict[tuple[str, str], dict[str, Any]], dict[str, Any]]:
    """What is made of a cluster with one access entry, by type and name, and what the component puts out."""
    mocks, state = _Mocks(), dict[str, Any]()

    def program() -> pulumi.Output[Any]:
        entry = {"principalArn": ADMIN, "tags": {"Environment": "prod"}, "accessPolicies": {"View": {
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
            "accessScope": {"type": "cluster"},
        }}}  # fmt: skip
        args = {
            "name": "point-prod",
            "serviceRole": SimpleNamespace(arn="arn:aws:iam::123456789012:role/eks"),
            "privateSubnetIds": ["subnet-1"],
            "authenticationMode": "API",
            "accessEntries": {"KEY": entry},
            "encryptionConfigKeyArn": "arn:aws:kms:ap-northeast-2:123456789012:key/1",
            "bootstrapSelfManagedAddons": False,
            "deletionProtection": True,
            "upgradePolicy": {"supportType": "STANDARD"},
            "tags": {"Environment": "prod"},
        }
        made = EksCluster("NAME", args, None)
        return pulumi.Output.all(
            group=made.state["clusterSecurityGroupId"], kubeconfig=made.state["kubeconfig"]
        ).apply(state.update)

    offline.run(MockMonitor(mocks), "prod", program, preview=False)
    return mocks.made, state


def test_the_children_are_those_that_the_document_lists(cluster: Any) -> None:
    section = DOCUMENT.read_text().split("\n## Children of the cluster\n")[1].split("\n## ")[0]
    listed = set(re.findall(r"^\| `(\S+)` \| `(\S+)` \| made \|", section, re.MULTILINE))
    made = {(t, n.replace("View", "POLICY")) for t, n in cluster[0] if not t.startswith("eks:")}
    assert made == listed


def test_the_control_plane_gets_every_argument_that_the_component_hands_on(cluster: Any) -> None:
    inputs = cluster[0]["aws:eks/cluster:Cluster", "NAME-eksCluster"]
    assert inputs["encryptionConfig"]["resources"] == ["secrets"]
    assert inputs["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": True,
    }
    assert inputs["tags"] == {"Name": "NAME-eksCluster", "Environment": "prod"}
    assert (inputs["deletionProtection"], inputs["bootstrapSelfManagedAddons"]) == (True, False)
    assert inputs["upgradePolicy"] == {"supportType": "STANDARD"}


def test_the_security_group_is_the_one_that_eks_makes_itself(cluster: Any) -> None:
    assert cluster[1]["group"] == "sg-eks"


def test_the_kubeconfig_trusts_the_cluster_s_own_authority(cluster: Any) -> None:
    assert cluster[1]["kubeconfig"]["clusters"][0]["cluster"]["certificate-authority-data"] == "Y2E="
