"""The EKS cluster and its nodes: one managed node group in each zone, so that each zone always has its own."""

import json

import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as k8s

import pulumi
from point_infra.config.settings import Settings
from point_infra.config.versions import ADD_ONS
from point_infra.foundation.iam import POLICY, allow, attach, pod_role, policy, trust
from point_infra.foundation.image_cache import ImageCache
from point_infra.foundation.keys import Keys
from point_infra.foundation.logs import Logs
from point_infra.foundation.network import Network
from point_infra.foundation.nodes import node_groups
from point_infra.foundation.runner import Runner

VIEWERS = "point-preview"
"""Group in the cluster of those who see everything and may try changes as dry runs (incluster/previewers)."""
CONTROL_PLANE_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_VALUES: dict[str, dict[str, object]] = {
    # Else a NetworkPolicy is taken and never enforced. A text, by the add-on's schema.
    "vpc-cni": {"enableNetworkPolicy": "true"},
}


class Cluster(pulumi.ComponentResource):
    """`provider` talks to the cluster's API; what is installed through it comes after `ready`.

    A cluster that is there already is its owner's, with its nodes, add-ons, access entries and who reaches its API.
    """

    cluster_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    service_cidr: pulumi.Output[str]
    """Range of the Services' addresses, of which one is the API server's."""
    node_groups: list[aws.eks.NodeGroup]
    ready: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        s: Settings,
        network: Network,
        keys: Keys,
        logs: Logs,
        images: ImageCache,
        opts: pulumi.ResourceOptions,
        *,
        runner: Runner | None = None,
    ) -> None:
        super().__init__("point:index:Cluster", name, None, opts)
        self._name, self._s, self._runner = name, s, runner
        self._child = pulumi.ResourceOptions(parent=self)
        kubeconfig = self._take() if s.existing_cluster_name else self._make(network, keys, logs, images)
        self.provider = k8s.Provider(
            name, kubeconfig=kubeconfig, enable_server_side_apply=True, opts=self._child
        )
        self.register_outputs({"clusterName": self.cluster_name})

    def _take(self) -> pulumi.Output[str]:
        found = aws.eks.get_cluster_output(
            name=self._s.existing_cluster_name, opts=pulumi.InvokeOptions(parent=self)
        )
        self.cluster_name, self.endpoint = found.name, found.endpoint
        self.security_group_id = found.vpc_config.cluster_security_group_id
        self.service_cidr = found.kubernetes_network_configs.apply(lambda all_: all_[0].service_ipv4_cidr)
        self.node_groups, self.ready = [], []
        authority = found.certificate_authorities.apply(lambda all_: str(all_[0].data))
        return pulumi.Output.all(found.name, found.endpoint, authority).apply(
            lambda a: _kubeconfig(self._s.region, a[0], a[1], a[2])
        )

    def _make(self, network: Network, keys: Keys, logs: Logs, images: ImageCache) -> pulumi.Output[str]:
        name, s = self._name, self._s
        # EKS would make the group itself, without an end to what it keeps, and leave it behind.
        control_plane = logs.adopted_group(f"{name}-control-plane", s.control_plane_logs, self._child)
        made = eks.Cluster(
            name,
            service_role=self._role(keys),
            name=s.name,
            version=s.kubernetes_version,
            vpc_id=network.vpc_id,
            private_subnet_ids=network.private_subnet_ids,
            authentication_mode=eks.AuthenticationMode.API,
            access_entries={
                _of(arn): _entry(arn, rights, s.tags())
                for rights, arns in (("ClusterAdmin", s.admin_role_arns), ("AdminView", s.viewer_role_arns))
                for arn in arns
            },
            endpoint_private_access=True,
            endpoint_public_access=bool(s.api_allowed_cidrs),
            public_access_cidrs=list(s.api_allowed_cidrs) or None,
            enabled_cluster_log_types=list(CONTROL_PLANE_LOGS),
            encryption_config_key_arn=keys.key_arn,
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            deletion_protection=s.deletion_protection,
            skip_default_node_group=True,
            # One security group, EKS's own: two with the cluster's tag on a network interface confuse controllers.
            skip_default_security_groups=True,
            # The add-ons are below, all in the same way.
            use_default_vpc_cni=True,
            bootstrap_self_managed_addons=False,
            coredns_addon_options=eks.CoreDnsAddonOptionsArgs(enabled=False),
            kube_proxy_addon_options=eks.KubeProxyAddonOptionsArgs(enabled=False),
            # Pods get their roles by Pod Identity; an OIDC provider would need the issuer's thumbprint.
            create_oidc_provider=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[control_plane]),
        )
        self.cluster_name = made.eks_cluster.name
        self.security_group_id = made.cluster_security_group_id
        self.endpoint = made.eks_cluster.endpoint
        self.service_cidr = made.eks_cluster.kubernetes_network_config.service_ipv4_cidr
        first = [self._addon(n) for n in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")]
        self.node_groups = node_groups(name, s, network, images, self, self.cluster_name, first)
        self.ready = [
            *self.node_groups,
            self._addon("coredns", after=self.node_groups),
            self._addon("metrics-server", after=self.node_groups),
            self._volumes(),
        ]
        self.ready += [self._api_client(client, client) for client in s.api_private_clients]
        if self._runner:
            self.ready.append(self._api_client("runner", self._runner.security_group_id))
        return made.kubeconfig_json

    def _role(self, keys: Keys) -> aws.iam.Role:
        """What EKS may do; pulumi-eks' own could carry no permissions boundary."""
        name = f"{self._name}-control-plane"
        trusted = trust("eks.amazonaws.com", ("sts:AssumeRole", "sts:TagSession"))
        role = aws.iam.Role(name, assume_role_policy=trusted, opts=self._child)
        use = ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"]
        aws.iam.RolePolicy(
            name, role=role.name, policy=keys.key_arn.apply(lambda a: policy(allow(use, a))), opts=self._child
        )
        attach(name, role, [f"{POLICY}/AmazonEKSClusterPolicy"], self._child)
        return role

    def _api_client(self, who: str, client: pulumi.Input[str]) -> pulumi.Resource:
        """Let a security group or a range reach the private endpoint: EKS' own group admits only itself."""
        group = not isinstance(client, str) or client.startswith("sg-")
        return aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-api-{who}",
            security_group_id=self.security_group_id,
            referenced_security_group_id=client if group else None,
            cidr_ipv4=None if group else client,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            description="Kubernetes API",
            opts=self._child,
        )

    def grant(self, namespace: str, account: str, role: aws.iam.Role) -> aws.eks.PodIdentityAssociation:
        """Let the pods of one service account take `role`."""
        return aws.eks.PodIdentityAssociation(
            f"{self._name}-{account}",
            cluster_name=self.cluster_name,
            namespace=namespace,
            service_account=account,
            role_arn=role.arn,
            opts=self._child,
        )

    def addon(self, addon: str, account: str, role: aws.iam.Role, values: dict[str, object]) -> aws.eks.Addon:
        """Install an add-on whose service account takes `role`, once there are nodes."""
        return self._addon(addon, after=self.node_groups, account=account, role=role, values=values)

    def _addon(
        self,
        addon: str,
        *,
        after: list[aws.eks.NodeGroup] | None = None,
        account: str = "",
        role: aws.iam.Role | None = None,
        values: dict[str, object] | None = None,
    ) -> aws.eks.Addon:
        values = _VALUES.get(addon, {}) | (values or {})
        return aws.eks.Addon(
            f"{self._name}-{addon}",
            addon_name=addon,
            addon_version=ADD_ONS[self._s.kubernetes_version][addon],
            cluster_name=self.cluster_name,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="PRESERVE",
            configuration_values=json.dumps(values, sort_keys=True) if values else None,
            pod_identity_associations=[{"service_account": account, "role_arn": role.arn}] if role else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    def _volumes(self) -> aws.eks.Addon:
        role = pod_role(
            f"{self._name}-ebs-csi",
            {},
            [f"{POLICY}/AmazonEBSCSIDriverPolicyV2"],
            self._child,
        )
        return self.addon("aws-ebs-csi-driver", "ebs-csi-controller-sa", role, {})


def _kubeconfig(region: str, name: str, endpoint: str, authority: str) -> str:
    """How to reach a cluster as whoever runs this, by the `aws` program."""
    token = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["--region", region, "eks", "get-token", "--cluster-name", name],
    }
    server = {"server": endpoint, "certificate-authority-data": authority}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": server}],
            "users": [{"name": name, "user": {"exec": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )


def _of(role_arn: str) -> str:
    """A role's account, path and name: a key that stays when another role leaves the list."""
    return f"{role_arn.split(':')[4]}-{role_arn.split(':role/')[1].replace('/', '-')}"


def _entry(role_arn: str, rights: str, tags: dict[str, str]) -> eks.AccessEntryArgs:
    return eks.AccessEntryArgs(
        principal_arn=role_arn,
        kubernetes_groups=[VIEWERS] if rights == "AdminView" else None,
        tags=tags,  # a child of a remote component, so the stack's own way to tag does not reach it
        access_policies={
            rights: eks.AccessPolicyAssociationArgs(
                policy_arn=f"arn:aws:eks::aws:cluster-access-policy/AmazonEKS{rights}Policy",
                access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            )
        },
    )
