"""Who reaches what keeps data: the cluster's pods, on one port."""

import pulumi_aws as aws

import pulumi
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.network import Network


def from_pods(
    name: str, what: str, port: int, network: Network, cluster: Cluster, opts: pulumi.ResourceOptions
) -> aws.ec2.SecurityGroup:
    """A security group that only the cluster's pods get through, and only to `port`."""
    group = aws.ec2.SecurityGroup(
        name, description=f"{what} of the point service", vpc_id=network.vpc_id, opts=opts
    )
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-pods",
        security_group_id=group.id,
        referenced_security_group_id=cluster.security_group_id,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        description="Pods of the cluster",
        opts=opts,
    )
    return group
