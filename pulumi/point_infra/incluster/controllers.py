"""What runs in the cluster for AWS's sake: load balancer controller, autoscaler, external secrets."""

import pulumi_kubernetes as k8s

import pulumi
from point_infra.config import versions
from point_infra.config.settings import Settings
from point_infra.data.cache import Cache
from point_infra.data.database import Database
from point_infra.edge.load_balancer import Edge
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.iam import allow, pod_role, policy
from point_infra.foundation.image_cache import ImageCache
from point_infra.foundation.keys import Keys
from point_infra.foundation.network import Network
from point_infra.incluster.helm import release
from point_infra.incluster.namespace import namespace

_EXTERNAL_SECRETS = "external-secrets"


class Controllers(pulumi.ComponentResource):
    """Each has the least rights that its one task takes."""

    def __init__(
        self,
        name: str,
        s: Settings,
        network: Network,
        cluster: Cluster,
        images: ImageCache,
        opts: pulumi.ResourceOptions,
        *,
        edge: Edge,
        database: Database,
        cache: Cache,
        keys: Keys,
    ) -> None:
        super().__init__("point:index:Controllers", name, None, opts)
        self._name, self._s, self._cluster, self._images = name, s, cluster, images
        self._child = pulumi.ResourceOptions(parent=self)
        self.load_balancer = self._load_balancer(network, edge)
        # The rest waits for it: its webhook looks at every Service that is made.
        if not s.existing_cluster_name:
            self._autoscaler()
        self.external_secrets = self._external_secrets(
            keys, [database.user_secret_arn, database.master_secret_arn, cache.token_secret_arn]
        )
        self.register_outputs({})

    def _load_balancer(self, network: Network, edge: Edge) -> k8s.helm.v3.Release:
        # Only what a TargetGroupBinding takes: the load balancer itself is ours, not the controller's.
        rights = edge.target_group_arn.apply(_bind_targets)
        account = "aws-load-balancer-controller"
        role = pod_role(f"{self._name}-alb", {"targets": rights}, [], self._child)
        granted = self._cluster.grant("kube-system", account, role)
        return release(
            account,
            versions.LOAD_BALANCER_CONTROLLER,
            "kube-system",
            {
                "image": self._image("public.ecr.aws", "eks/aws-load-balancer-controller"),
                "clusterName": self._s.cluster_name,
                # Pods can't ask the metadata service (hop limit 1).
                "region": self._s.region,
                "vpcId": network.vpc_id,
                "serviceAccount": {"name": account},
                "replicaCount": 2,
                "podDisruptionBudget": {"maxUnavailable": 1},
                "enableServiceMutatorWebhook": False,
                # On by default since 3.0, for kinds of the Gateway API that nobody installs here.
                "controllerConfig": {"featureGates": {"ALBGatewayAPI": False, "NLBGatewayAPI": False}},
                "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}},
            },
            parent=self,
            provider=self._cluster.provider,
            depends_on=[granted, *self._cluster.ready],
        )

    def _autoscaler(self) -> None:
        account = "cluster-autoscaler"
        role = pod_role(f"{self._name}-autoscaler", {"scale": _scale(self._s.name)}, [], self._child)
        granted = self._cluster.grant("kube-system", account, role)
        release(
            account,
            versions.CLUSTER_AUTOSCALER,
            "kube-system",
            {
                "image": {
                    **self._image("registry.k8s.io", "autoscaling/cluster-autoscaler"),
                    # It is made for one version of Kubernetes; the chart's own is that of the one before.
                    "tag": versions.AUTOSCALER[self._s.kubernetes_version],
                },
                "autoDiscovery": {"clusterName": self._s.name},
                "awsRegion": self._s.region,
                "rbac": {"serviceAccount": {"name": account}},
                # A pod can only be placed where its zone's group grows.
                "extraArgs": {"balance-similar-node-groups": True, "expander": "least-waste"},
                # The zone that is lost may be its own; the one that leads scales, the other waits.
                "replicaCount": 2,
                "topologySpreadConstraints": _spread({"app.kubernetes.io/name": "aws-cluster-autoscaler"}),
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
            },
            parent=self,
            provider=self._cluster.provider,
            depends_on=[granted, self.load_balancer],
        )

    def _external_secrets(self, keys: Keys, arns: list[pulumi.Output[str]]) -> k8s.helm.v3.Release:
        rights = pulumi.Output.all(keys.key_arn, *arns).apply(lambda a: _read_secrets(a[0], a[1:]))
        role = pod_role(f"{self._name}-secrets", {"read": rights}, [], self._child)
        granted = self._cluster.grant(_EXTERNAL_SECRETS, _EXTERNAL_SECRETS, role)
        small = {
            "image": self._image("ghcr.io", "external-secrets/external-secrets"),
            "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        }
        two = {"replicaCount": 2, "podDisruptionBudget": {"enabled": True}, **small}
        own = namespace(
            _EXTERNAL_SECRETS, parent=self, provider=self._cluster.provider, after=self._cluster.ready
        )
        return release(
            _EXTERNAL_SECRETS,
            versions.EXTERNAL_SECRETS,
            _EXTERNAL_SECRETS,
            {
                "serviceAccount": {"name": _EXTERNAL_SECRETS},
                "leaderElect": True,
                **two,
                "webhook": two,
                "certController": small,
            },
            parent=self,
            provider=self._cluster.provider,
            depends_on=[granted, self.load_balancer, own],
        )

    def _image(self, host: str, path: str) -> dict[str, pulumi.Input[str]]:
        return {"repository": pulumi.Output.concat(self._images.source(host), "/", path)}


def _spread(labels: dict[str, str]) -> list[dict[str, object]]:
    """Over the zones, as well as it goes."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels},
        }
    ]


def _bind_targets(target_group_arn: str) -> str:
    look = allow(
        [
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeInstances",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        ],
        "*",
    )
    bind = ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"]
    return policy(look, allow(bind, target_group_arn))


def _read_secrets(key_arn: str, secret_arns: list[str]) -> str:
    read = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    return policy(allow(read, secret_arns), allow("kms:Decrypt", key_arn))


def _scale(cluster: str) -> str:
    look = allow(
        [
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
        "*",
    )
    own = {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster}": "owned"}
    scale = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    return policy(look, allow(scale, "*", Condition={"StringEquals": own}))
