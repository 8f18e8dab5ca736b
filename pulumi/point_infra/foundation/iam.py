"""IAM documents: who may take a role, and what it may do."""

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

import pulumi_aws as aws

import pulumi

Statement: TypeAlias = dict[str, Any]
POLICY = "arn:aws:iam::aws:policy"
"""Where AWS's own policies are; each may have a path of its own."""


def allow(actions: str | Sequence[str], resources: str | Sequence[str], **more: Any) -> Statement:
    """A statement that allows; `more` is what else it has (Principal, Condition)."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def policy(*statements: Statement) -> str:
    """A document (JSON) of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def trust(service: str, actions: tuple[str, ...] = ("sts:AssumeRole",)) -> str:
    """Trust policy (JSON) that lets one AWS service take a role."""
    return policy({"Effect": "Allow", "Principal": {"Service": service}, "Action": list(actions)})


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
    attach(name, role, managed, opts)
    return role


def attach(
    name: str, role: aws.iam.Role, managed: Sequence[str], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Attach managed policies by ARN; each attachment is named for its policy."""
    return [
        aws.iam.RolePolicyAttachment(
            f"{name}-{arn.rsplit('/', 1)[-1]}", role=role.name, policy_arn=arn, opts=opts
        )
        for arn in managed
    ]
