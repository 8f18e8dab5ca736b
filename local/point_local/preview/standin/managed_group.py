"""The security group that EKS makes by itself with each cluster, in moto, which makes none."""

from typing import Any

TYPE = "aws:eks/cluster:Cluster"
_PREFIX = "eks-cluster-sg-"


def make(client: Any, name: str, subnet_ids: list[str]) -> str:
    """Make the group of cluster `name` in the VPC of its subnets; returns the group's id."""
    vpc_id = client.describe_subnets(SubnetIds=subnet_ids[:1])["Subnets"][0]["VpcId"]
    group = {"GroupName": f"{_PREFIX}{name}", "Description": "EKS created security group", "VpcId": vpc_id}
    return client.create_security_group(**group)["GroupId"]


def remove(client: Any, name: str) -> None:
    """Delete the group of cluster `name`, as EKS does when the cluster goes."""
    named = [{"Name": "group-name", "Values": [f"{_PREFIX}{name}"]}]
    for group in client.describe_security_groups(Filters=named)["SecurityGroups"]:
        client.delete_security_group(GroupId=group["GroupId"])
