"""What pulumi-eks builds from one eks.Cluster, as far as this program uses it.

Resource by resource as nodejs/eks/cluster/cluster.ts has it (docs/infrastructure.md, "Children of the cluster").
"""

from typing import Any

import pulumi_aws as aws
import pulumi_kubernetes as k8s
from pulumi.provider.provider import ConstructResult, Provider

import pulumi
from point_local.preview.standin.shapes import REGION


class EksCluster(pulumi.ComponentResource):
    """The control plane, a provider for it, and the access entries.

    What the program turns off is not here: roles, security groups, add-ons, node group, OIDC provider.
    """

    def __init__(
        self,
        name: str,
        args: dict[str, Any],
        opts: pulumi.ResourceOptions | None,
        real: dict[str, Any] | None = None,
    ) -> None:
        super().__init__("eks:index:Cluster", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster = self._cluster(name, args)
        # EKS makes it itself, for control plane and nodes.
        group = cluster.vpc_config.apply(lambda config: config.cluster_security_group_id or "")
        authority = cluster.certificate_authority.apply(lambda a: a.data or "")
        kubeconfig = (
            pulumi.Output.from_input(real)
            if real
            else pulumi.Output.all(cluster.name, cluster.endpoint, authority).apply(_kubeconfig)
        )
        # Its own, for the aws-auth map and storage classes; the program has another.
        k8s.Provider(f"{name}-eks-k8s", kubeconfig=pulumi.Output.json_dumps(kubeconfig), opts=child)
        for key, entry in (args.get("accessEntries") or {}).items():
            _access(f"{name}-{key}", entry, cluster, child)
        self.state: dict[str, Any] = {
            "eksCluster": cluster,
            "clusterSecurityGroupId": group,
            "nodeSecurityGroupId": group,
            "kubeconfig": kubeconfig,
            "kubeconfigJson": pulumi.Output.json_dumps(kubeconfig),
        }
        self.register_outputs(self.state)

    def _cluster(self, name: str, args: dict[str, Any]) -> aws.eks.Cluster:
        key, mode = args.get("encryptionConfigKeyArn"), args.get("authenticationMode")
        own = {"Name": f"{name}-eksCluster"}
        return aws.eks.Cluster(
            f"{name}-eksCluster",
            name=args.get("name"),
            role_arn=pulumi.Output.from_input(args["serviceRole"]).apply(lambda r: r.arn),
            bootstrap_self_managed_addons=args.get("bootstrapSelfManagedAddons", True),
            vpc_config={
                "subnet_ids": args.get("privateSubnetIds") or [],
                "endpoint_private_access": args.get("endpointPrivateAccess"),
                "endpoint_public_access": args.get("endpointPublicAccess"),
                "public_access_cidrs": args.get("publicAccessCidrs"),
            },
            version=args.get("version"),
            enabled_cluster_log_types=args.get("enabledClusterLogTypes"),
            tags=pulumi.Output.from_input(args.get("tags")).apply(lambda tags: {**own, **(tags or {})}),
            encryption_config={"provider": {"key_arn": key}, "resources": ["secrets"]} if key else None,
            access_config={"authentication_mode": mode, "bootstrap_cluster_creator_admin_permissions": True}
            if mode
            else None,
            upgrade_policy=args.get("upgradePolicy"),
            deletion_protection=args.get("deletionProtection"),
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=[
                    "accessConfig.bootstrapClusterCreatorAdminPermissions",
                    "bootstrapSelfManagedAddons",
                ],
            ),
        )


def _access(name: str, entry: dict[str, Any], cluster: aws.eks.Cluster, opts: pulumi.ResourceOptions) -> None:
    made = aws.eks.AccessEntry(
        name,
        cluster_name=cluster.name,
        principal_arn=entry["principalArn"],
        kubernetes_groups=entry.get("kubernetesGroups"),
        type=entry.get("type"),
        tags=entry.get("tags"),
        user_name=entry.get("username"),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[cluster])),
    )
    for policy, association in (entry.get("accessPolicies") or {}).items():
        aws.eks.AccessPolicyAssociation(
            f"{name}-{policy}",
            cluster_name=cluster.name,
            principal_arn=entry["principalArn"],
            policy_arn=association["policyArn"],
            access_scope=association["accessScope"],
            opts=pulumi.ResourceOptions(parent=made, depends_on=[made]),
        )


def _kubeconfig(known: list[Any]) -> dict[str, Any]:
    name, endpoint, authority = known
    get_token = ["--region", REGION, "eks", "get-token", "--cluster-name", name, "--output", "json"]
    command = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": get_token}
    server = {"server": endpoint, "certificate-authority-data": authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "aws",
        "clusters": [{"name": "kubernetes", "cluster": server}],
        "contexts": [{"name": "aws", "context": {"cluster": "kubernetes", "user": "aws"}}],
        "users": [{"name": "aws", "user": {"exec": command}}],
    }


class EksProvider(Provider):
    """Builds the component in this process, as the real provider does in its own.

    `kubeconfig` is that of an API server to have in place of one that nobody answers for.
    """

    def __init__(self, version: str, schema: str, kubeconfig: dict[str, Any] | None) -> None:
        super().__init__(version, schema)
        self._kubeconfig = kubeconfig

    def construct(
        self, name: str, resource_type: str, inputs: Any, options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        """Build one eks.Cluster; nothing else is used."""
        if resource_type != "eks:index:Cluster":
            raise NotImplementedError(resource_type)
        cluster = EksCluster(name, inputs, options, self._kubeconfig)
        return ConstructResult(cluster.urn, cluster.state)
