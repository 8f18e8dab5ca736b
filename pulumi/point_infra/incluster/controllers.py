"""What runs in the cluster for AWS's sake: load balancer controller, autoscaler, external secrets."""

import json
from dataclasses import dataclass

import pulumi_kubernetes as k8s

import pulumi
from point_infra.config import versions
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.iam import pod_role, policy
from point_infra.incluster.helm import release

_EXTERNAL_SECRETS = "external-secrets"


@dataclass(frozen=True)
class ControllersArgs:
    """What the controllers are told and may do."""

    cluster: Cluster
    cluster_name: str
    region: str
    vpc_id: pulumi.Input[str]
    target_group_arn: pulumi.Input[str]
    secret_arns: list[pulumi.Output[str]]
    key_arn: pulumi.Input[str]


class Controllers(pulumi.ComponentResource):
    """Each has the least rights that its one task takes."""

    def __init__(self, name: str, args: ControllersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("point:index:Controllers", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.load_balancer = self._load_balancer()
        # The rest waits for it: its webhook looks at every Service that is made.
        self.autoscaler = self._autoscaler()
        self.external_secrets = self._external_secrets()
        self.register_outputs({})

    def _load_balancer(self) -> k8s.helm.v3.Release:
        # Only what a TargetGroupBinding takes: the load balancer itself is ours, not the controller's.
        rights = pulumi.Output.from_input(self._args.target_group_arn).apply(_bind_targets)
        account = "aws-load-balancer-controller"
        role = pod_role(f"{self._name}-alb", {"targets": rights}, [], self._child)
        granted = self._args.cluster.grant("kube-system", account, role)
        return release(
            account,
            versions.LOAD_BALANCER_CONTROLLER,
            "kube-system",
            {
                "clusterName": self._args.cluster_name,
                # Pods can't ask the metadata service (hop limit 1).
                "region": self._args.region,
                "vpcId": self._args.vpc_id,
                "serviceAccount": {"name": account},
                "replicaCount": 2,
                "enableServiceMutatorWebhook": False,
                "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}},
            },
            parent=self,
            provider=self._args.cluster.provider,
            depends_on=[granted, *self._args.cluster.ready],
        )

    def _autoscaler(self) -> k8s.helm.v3.Release:
        cluster = self._args.cluster_name
        own = {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster}": "owned"}
        document = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": [
                        "autoscaling:DescribeAutoScalingGroups",
                        "autoscaling:DescribeAutoScalingInstances",
                        "autoscaling:DescribeLaunchConfigurations",
                        "autoscaling:DescribeScalingActivities",
                        "autoscaling:DescribeTags",
                        "ec2:DescribeImages",
                        "ec2:DescribeInstanceTypes",
                        "ec2:DescribeLaunchTemplateVersions",
                        "ec2:GetInstanceTypesFromInstanceRequirements",
                        "eks:DescribeNodegroup",
                    ],
                    "Resource": "*",
                },
                {
                    "Effect": "Allow",
                    "Action": [
                        "autoscaling:SetDesiredCapacity",
                        "autoscaling:TerminateInstanceInAutoScalingGroup",
                    ],
                    "Resource": "*",
                    "Condition": {"StringEquals": own},
                },
            ],
        }
        account = "cluster-autoscaler"
        role = pod_role(f"{self._name}-autoscaler", {"scale": json.dumps(document)}, [], self._child)
        granted = self._args.cluster.grant("kube-system", account, role)
        return release(
            account,
            versions.CLUSTER_AUTOSCALER,
            "kube-system",
            {
                "autoDiscovery": {"clusterName": cluster},
                "awsRegion": self._args.region,
                "rbac": {"serviceAccount": {"name": account}},
                # A pod can only be placed where its zone's group grows.
                "extraArgs": {"balance-similar-node-groups": True, "expander": "least-waste"},
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
            },
            parent=self,
            provider=self._args.cluster.provider,
            depends_on=[granted, self.load_balancer],
        )

    def _external_secrets(self) -> k8s.helm.v3.Release:
        arns = pulumi.Output.all(self._args.key_arn, *self._args.secret_arns)
        rights = arns.apply(lambda a: _read_secrets(a[0], a[1:]))
        role = pod_role(f"{self._name}-secrets", {"read": rights}, [], self._child)
        granted = self._args.cluster.grant(_EXTERNAL_SECRETS, _EXTERNAL_SECRETS, role)
        small = {"requests": {"cpu": "20m", "memory": "64Mi"}}
        return release(
            _EXTERNAL_SECRETS,
            versions.EXTERNAL_SECRETS,
            _EXTERNAL_SECRETS,
            {
                "serviceAccount": {"name": _EXTERNAL_SECRETS},
                "resources": small,
                "webhook": {"resources": small},
                "certController": {"resources": small},
            },
            parent=self,
            provider=self._args.cluster.provider,
            depends_on=[granted, self.load_balancer],
            create_namespace=True,
        )


def _bind_targets(target_group_arn: str) -> str:
    statements = [
        {
            "Effect": "Allow",
            "Action": [
                "ec2:DescribeAvailabilityZones",
                "ec2:DescribeInstances",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"],
            "Resource": target_group_arn,
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _read_secrets(key_arn: str, secret_arns: list[str]) -> str:
    read = json.loads(policy(["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], secret_arns))
    decrypt = json.loads(policy(["kms:Decrypt"], [key_arn]))
    return json.dumps({**read, "Statement": [*read["Statement"], *decrypt["Statement"]]})
