"""The nodes: one managed group in each zone, so that each zone always has its own."""

from collections.abc import Sequence

import pulumi_aws as aws

import pulumi
from point_infra.config import sizes
from point_infra.config.settings import Settings
from point_infra.config.versions import NODE_RELEASES
from point_infra.foundation.iam import POLICY, attach, trust
from point_infra.foundation.image_cache import ImageCache
from point_infra.foundation.network import Network

_NODE_POLICIES = (
    f"{POLICY}/AmazonEKS_CNI_Policy",
    f"{POLICY}/AmazonEKSWorkerNodePolicy",
    f"{POLICY}/AmazonEC2ContainerRegistryPullOnly",
    f"{POLICY}/AmazonSSMManagedInstanceCore",  # a shell without SSH
)


def node_groups(
    name: str,
    s: Settings,
    network: Network,
    images: ImageCache,
    cluster: pulumi.Resource,
    cluster_name: pulumi.Output[str],
    after: Sequence[pulumi.Resource],
) -> list[aws.eks.NodeGroup]:
    """Declare the groups, zone after zone, as children of `cluster`; they come after `after`."""
    child = pulumi.ResourceOptions(parent=cluster)
    role = aws.iam.Role(f"{name}-node", assume_role_policy=trust("ec2.amazonaws.com"), opts=child)
    attached = attach(f"{name}-node", role, _NODE_POLICIES, child)
    if images.rights is not None:
        attached.append(
            aws.iam.RolePolicy(f"{name}-node-images", role=role.name, policy=images.rights, opts=child)
        )
    template = aws.ec2.LaunchTemplate(
        f"{name}-node",
        update_default_version=True,
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,  # pods can't borrow the node's role
        },
        block_device_mappings=[
            {
                "device_name": "/dev/xvda",
                "ebs": {
                    "volume_size": s.node_disk_gb,
                    "volume_type": "gp3",
                    "encrypted": "true",
                    "delete_on_termination": "true",
                },
            }
        ],
        tag_specifications=[
            {"resource_type": kind, "tags": {"Name": f"{name}-node"}} for kind in ("instance", "volume")
        ],
        opts=child,
    )
    groups: list[aws.eks.NodeGroup] = []
    for zone, subnet in zip(s.availability_zones, network.private_subnet_ids, strict=True):
        group = aws.eks.NodeGroup(
            f"{name}-{zone[-1]}",
            cluster_name=cluster_name,
            node_role_arn=role.arn,
            subnet_ids=[subnet],
            instance_types=[s.node_instance_type],
            capacity_type=s.node_capacity_type.upper().replace("-", "_"),
            ami_type=f"AL2023_{'ARM_64' if sizes.arm(s.node_instance_type) else 'x86_64'}_STANDARD",
            version=s.kubernetes_version,
            release_version=NODE_RELEASES[s.kubernetes_version],
            scaling_config={
                "min_size": s.nodes_per_zone,
                "desired_size": _desired(s, f"{name}-{zone[-1]}", cluster),
                "max_size": s.max_nodes_per_zone,
            },
            update_config={"max_unavailable": 1},
            node_repair_config={"enabled": True},
            launch_template={
                "id": template.id,
                "version": template.latest_version.apply(str),
            },
            opts=pulumi.ResourceOptions(
                parent=cluster,
                # Zone by zone: an upgrade never drains two of them at a time.
                depends_on=[*attached, *after, *groups[-1:]],
            ),
        )
        groups.append(group)
    return groups


def _desired(s: Settings, group: str, cluster: pulumi.Resource) -> pulumi.Output[int]:
    """As many as run now, which is the autoscaler's to say, within what is configured.

    Ignoring changes would send EKS the number of the last update: below a raised minimum it is refused, and with
    a raised maximum it takes nodes away.
    """
    least, most = s.nodes_per_zone, s.max_nodes_per_zone
    child = pulumi.InvokeOptions(parent=cluster)
    own = aws.autoscaling.get_ami_ids_output(  # its name in the provider: the data source aws_autoscaling_groups
        filters=[{"name": "tag:eks:cluster-name", "values": [s.name]}], opts=child
    )

    def within(names: Sequence[str]) -> pulumi.Output[int]:
        running = [
            aws.autoscaling.get_group_output(name=n, opts=child).desired_capacity
            for n in names
            if n.startswith(f"eks-{group}-")
        ]
        return pulumi.Output.all(*running).apply(lambda sizes: min(max(least, 0, *sizes), most))

    return own.names.apply(within)
