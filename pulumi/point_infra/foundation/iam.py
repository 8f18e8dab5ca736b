"""IAM documents: who may take a role, and what it may do."""

import json

import pulumi_aws as aws

import pulumi


def trust(service: str, actions: tuple[str, ...] = ("sts:AssumeRole",)) -> str:
    """Trust policy (JSON) that lets one AWS service take a role."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": list(actions)}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy(actions: list[str], resources: list[str]) -> str:
    """Identity policy (JSON) with one statement."""
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def pod_role(
    name: str, documents: dict[str, pulumi.Input[str]], managed: list[str], opts: pulumi.ResourceOptions
) -> aws.iam.Role:
    """A role for pods by EKS Pod Identity, with inline policies by name and managed ones by ARN."""
    role = aws.iam.Role(
        name,
        assume_role_policy=trust("pods.eks.amazonaws.com", ("sts:AssumeRole", "sts:TagSession")),
        opts=opts,
    )
    for suffix, document in documents.items():
        aws.iam.RolePolicy(f"{name}-{suffix}", role=role.name, policy=document, opts=opts)
    for i, arn in enumerate(managed):
        aws.iam.RolePolicyAttachment(f"{name}-{i}", role=role.name, policy_arn=arn, opts=opts)
    return role
