"""What pulumi-eks builds from one eks.Cluster, as far as this program uses it."""

from typing import Any

import pulumi_aws as aws
from pulumi.provider.provider import ConstructResult, Provider

import pulumi
from point_local.preview.standin.shapes import REGION


class EksCluster(pulumi.ComponentResource):
    """The control plane and the access entries; no node group, no OIDC provider, no add-ons."""

    def __init__(self, name: str, args: dict[str, Any], opts: pulumi.ResourceOptions | None) -> None:
        super().__init__("eks:index:Cluster", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = args.get("tags")
        role = pulumi.Output.from_input(args["serviceRole"])
        cluster = aws.eks.Cluster(
            f"{name}-eksCluster",
            name=args.get("name"),
            version=args.get("version"),
            role_arn=role.apply(lambda r: r.arn),
            vpc_config={
                "subnet_ids": args.get("privateSubnetIds") or [],
                "endpoint_private_access": args.get("endpointPrivateAccess"),
                "endpoint_public_access": args.get("endpointPublicAccess"),
                "public_access_cidrs": args.get("publicAccessCidrs"),
            },
            enabled_cluster_log_types=args.get("enabledClusterLogTypes"),
            tags=tags,
            opts=child,
        )
        # EKS makes this one itself, for control plane and nodes.
        group = aws.ec2.SecurityGroup(
            f"{name}-eksManaged", vpc_id=args.get("vpcId"), description="Made by EKS", tags=tags, opts=child
        )
        kubeconfig = pulumi.Output.all(cluster.name, cluster.endpoint).apply(_kubeconfig)
        self.state: dict[str, Any] = {
            "eksCluster": cluster,
            "clusterSecurityGroupId": group.id,
            "nodeSecurityGroupId": group.id,
            "kubeconfig": kubeconfig,
            "kubeconfigJson": pulumi.Output.json_dumps(kubeconfig),
        }
        self.register_outputs(self.state)


def _kubeconfig(known: list[Any]) -> dict[str, Any]:
    name, endpoint = known
    get_token = ["eks", "get-token", "--region", REGION, "--cluster-name", name]
    command = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": get_token}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "aws",
        "clusters": [{"name": "aws", "cluster": {"server": endpoint}}],
        "contexts": [{"name": "aws", "context": {"cluster": "aws", "user": "aws"}}],
        "users": [{"name": "aws", "user": {"exec": command}}],
    }


class EksProvider(Provider):
    """Builds the component in this process, as the real provider does in its own."""

    def construct(
        self, name: str, resource_type: str, inputs: Any, options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        """Build one eks.Cluster; nothing else is used."""
        if resource_type != "eks:index:Cluster":
            raise NotImplementedError(resource_type)
        cluster = EksCluster(name, inputs, options)
        return ConstructResult(cluster.urn, cluster.state)
