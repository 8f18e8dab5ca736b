"""What each controller needs by its own published policy, and what its role has."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from infra.models import account
from infra.models.cloudformation import Declared, Finding
from infra.models.documents import listed
from moto.iam.aws_managed_policies import aws_managed_policies_data


@dataclass(frozen=True)
class Need:
    """Actions that a role must be allowed, where that is written, and what of it is withheld on purpose."""

    role: str
    source: str
    actions: tuple[str, ...]
    withheld: dict[str, str] = field(default_factory=dict[str, str])
    """Published action -> why it is not granted."""


NEEDS = (
    Need(
        "controllers-alb",
        "kubernetes-sigs/aws-load-balancer-controller, docs/deploy/installation.md, Special IAM cases (2026-08)",
        (
            "ec2:DescribeInstances",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeVpcs",
            "elasticloadbalancing:DeregisterTargets",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes",
            "elasticloadbalancing:RegisterTargets",
        ),
        {
            "elasticloadbalancing:ModifyTargetGroup": "only pkg/deploy calls it, for target groups of its own",
            "elasticloadbalancing:ModifyTargetGroupAttributes": "likewise",
        },
    ),
    Need(
        "controllers-autoscaler",
        "kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/README.md, IAM Policy; tags and launch templates",
        (
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeAutoScalingInstances",
            "autoscaling:DescribeLaunchConfigurations",
            "autoscaling:DescribeTags",
            "autoscaling:SetDesiredCapacity",
            "autoscaling:TerminateInstanceInAutoScalingGroup",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:GetInstanceTypesFromInstanceRequirements",
            "eks:DescribeNodegroup",
        ),
    ),
    Need(
        "controllers-secrets",
        "external-secrets/external-secrets, docs/provider/aws-secrets-manager.md, IAM Policy",
        (
            "kms:Decrypt",
            "secretsmanager:BatchGetSecretValue",
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetResourcePolicy",
            "secretsmanager:GetSecretValue",
            "secretsmanager:ListSecretVersionIds",
            "secretsmanager:ListSecrets",
        ),
        {
            "secretsmanager:BatchGetSecretValue": "for dataFrom with find; each secret is named here",
            "secretsmanager:GetResourcePolicy": "for PushSecret; nothing is written",
            "secretsmanager:ListSecretVersionIds": "no code of the provider calls it",
            "secretsmanager:ListSecrets": "for dataFrom with find; each secret is named here",
        },
    ),
    Need(
        "cluster-ebs-csi",
        "kubernetes-sigs/aws-ebs-csi-driver, docs/example-iam-policy.json",
        (
            "ec2:AttachVolume",
            "ec2:CopyVolumes",
            "ec2:CreateSnapshot",
            "ec2:CreateTags",
            "ec2:CreateVolume",
            "ec2:DeleteSnapshot",
            "ec2:DeleteTags",
            "ec2:DeleteVolume",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeInstances",
            "ec2:DescribeSnapshots",
            "ec2:DescribeTags",
            "ec2:DescribeVolumeStatus",
            "ec2:DescribeVolumes",
            "ec2:DescribeVolumesModifications",
            "ec2:DetachVolume",
            "ec2:EnableFastSnapshotRestores",
            "ec2:ModifyVolume",
        ),
        {"ec2:DescribeTags": "AmazonEBSCSIDriverPolicyV2, AWS's own for the driver, has it no more"},
    ),
    Need(
        "network-flow",
        "docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html",
        (
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
        ),
        {"logs:CreateLogGroup": "the group is declared, with its key and its end"},
    ),
    Need(
        "monitoring-alertmanager",
        "docs.aws.amazon.com/sns/latest/dg/sns-key-management.html, publishers of encrypted topics",
        ("kms:Decrypt", "kms:GenerateDataKey", "sns:Publish"),
    ),
    Need(
        "backup",
        "AWSBackupServiceRolePolicyForBackup v30 (2026-02-23), what it has for clusters of RDS, keys and vaults",
        (
            "backup:CopyFromBackupVault",
            "backup:CopyIntoBackupVault",
            "backup:DescribeBackupVault",
            "kms:CreateGrant",
            "kms:DescribeKey",
            "rds:AddTagsToResource",
            "rds:CopyDBClusterSnapshot",
            "rds:CreateDBClusterSnapshot",
            "rds:DeleteDBClusterAutomatedBackup",
            "rds:DeleteDBClusterSnapshot",
            "rds:DescribeDBClusterAutomatedBackups",
            "rds:DescribeDBClusterSnapshots",
            "rds:DescribeDBClusters",
            "rds:ListTagsForResource",
            "rds:ModifyDBCluster",
            "rds:ModifyDBClusterSnapshotAttribute",
            "tag:GetResources",
        ),
        {
            "rds:DeleteDBClusterAutomatedBackup": "continuous backups; Aurora keeps its own",
            "rds:DescribeDBClusterAutomatedBackups": "likewise",
            "rds:ModifyDBCluster": "likewise: it sets their retention",
            "rds:ModifyDBClusterSnapshotAttribute": "shares a snapshot with another account",
        },
    ),
    Need(
        "runner",
        "statements of published modules for CodeBuild in a VPC; the connection: aws/aws-cdk 37522",
        (
            "codeconnections:GetConnection",
            "codeconnections:GetConnectionToken",
            "codeconnections:UseConnection",
            "ec2:CreateNetworkInterface",
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ),
        {"logs:CreateLogGroup": "the group is declared, with its key and its end"},
    ),
    Need(
        "cluster-control-plane",
        "docs.aws.amazon.com/eks/latest/userguide/enable-kms.html, the cluster role's rights to the key",
        ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants"),
    ),
)


def granted(resources: Iterable[Declared]) -> dict[str, set[str]]:
    """Patterns of actions that each declared role is allowed, its AWS managed policies included."""
    declared = list(resources)
    managed: dict[str, Any] = json.loads(aws_managed_policies_data)
    found: dict[str, set[str]] = {}
    for role in (r for r in declared if r.type == "aws:iam/role:Role"):
        physical = account.physical(role.type, role.name, role.inputs)
        own = [r for r in declared if r.inputs.get("role") == physical]
        documents = [json.loads(r.inputs["policy"]) for r in own if "policy" in r.inputs]
        documents += [
            managed[r.inputs["policyArn"].rsplit("/", 1)[-1]]["Document"]
            for r in own
            if "policyArn" in r.inputs
        ]
        found[role.name] = {
            action
            for document in documents
            for statement in listed(document["Statement"])
            if statement["Effect"] == "Allow"
            for action in listed(statement["Action"])
        }
    return found


def missing(rights: dict[str, set[str]]) -> list[Finding]:
    """Needed actions that a role lacks; and withheld ones that it has, whose reason is then none.

    A role that is not declared (a network that was there has its own flow log) lacks nothing.
    """
    found: list[Finding] = []
    for need in (need for need in NEEDS if need.role in rights):
        for action in need.actions:
            has = any(fnmatchcase(action.lower(), p.lower()) for p in rights[need.role])
            if not has and action not in need.withheld:
                found.append(Finding(f"Role {need.role}", action, f"missing: {need.source}"))
            elif has and action in need.withheld:
                found.append(Finding(f"Role {need.role}", action, "said to be withheld"))
    return found
