"""A runner of the stack's own: GitHub's jobs run on CodeBuild in the private subnets, which a private API lets in.

Each job has a machine to itself. What it may do in AWS it takes from the workflow's role, never from this one.
"""

from collections.abc import Sequence

import pulumi_aws as aws

import pulumi
from point_infra.config.settings import Settings
from point_infra.foundation.iam import Statement, allow, policy, trust
from point_infra.foundation.logs import Logs
from point_infra.foundation.network import Network

WORKFLOWS = ("deploy", "preview")
"""Names of the workflows whose jobs it takes."""
_IMAGE = "aws/codebuild/standard:7.0"
"""Ubuntu 22.04, for which actions/setup-python has builds, with aws and kubectl (aws/aws-codebuild-docker-images)."""
_MINUTES = 120
"""How long a job may take: longer than any of the workflows' own limits."""


class Runner(pulumi.ComponentResource):
    """`project_name` is what `runs-on: codebuild-<project_name>-<run>-<attempt>` names."""

    project_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(
        self, name: str, s: Settings, network: Network, logs: Logs, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("point:index:Runner", name, None, opts)
        self._name, self._s = name, s
        self._child = pulumi.ResourceOptions(parent=self)
        own_name = f"{s.name}-runner"
        group = logs.group(name, f"/aws/codebuild/{own_name}", self._child)
        self.security_group_id = self._security_group(network)
        role = aws.iam.Role(name, assume_role_policy=trust("codebuild.amazonaws.com"), opts=self._child)
        rights = [
            self._rights(role, "connection", policy(_connection(s.runner_connection_arn))),
            self._rights(role, "logs", group.arn.apply(_write)),
            self._rights(
                role,
                "network",
                pulumi.Output.all(self.security_group_id, *network.private_subnet_ids).apply(
                    lambda ids: policy(*_interfaces(s.region, ids[0], ids[1:]))
                ),
            ),
        ]
        project = aws.codebuild.Project(
            name,
            name=own_name,
            description="Runs this repository's jobs beside the Kubernetes API",
            service_role=role.arn,
            build_timeout=_MINUTES,
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                # Pulumi, its providers and the program together want more than the small one's memory.
                "compute_type": "BUILD_GENERAL1_MEDIUM",
                "image": _IMAGE,
                "image_pull_credentials_type": "CODEBUILD",
                "privileged_mode": False,
            },
            source={
                "type": "GITHUB",
                "location": f"{s.runner_repository}.git",
                "git_clone_depth": 1,
                "auth": {"type": "CODECONNECTIONS", "resource": s.runner_connection_arn},
            },
            vpc_config={
                "vpc_id": network.vpc_id,
                "subnets": network.private_subnet_ids,
                "security_group_ids": [self.security_group_id],
            },
            logs_config={"cloudwatch_logs": {"status": "ENABLED", "group_name": group.name}},
            # Both calls look at what the role may do.
            opts=pulumi.ResourceOptions(parent=self, depends_on=rights),
        )
        self.project_name = project.name
        aws.codebuild.Webhook(
            name,
            project_name=project.name,
            build_type="BUILD",
            filter_groups=[
                {
                    "filters": [
                        {"type": "EVENT", "pattern": "WORKFLOW_JOB_QUEUED"},
                        {"type": "WORKFLOW_NAME", "pattern": f"^({'|'.join(WORKFLOWS)})$"},
                    ]
                }
            ],
            # A job that comes before there is a way out would fail.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[network]),
        )
        self.register_outputs({"projectName": self.project_name})

    def _security_group(self, network: Network) -> pulumi.Output[str]:
        group = aws.ec2.SecurityGroup(
            self._name,
            description="The runner of pulumi up and preview",
            vpc_id=network.vpc_id,
            opts=self._child,
        )
        aws.vpc.SecurityGroupEgressRule(
            self._name,
            security_group_id=group.id,
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            description="GitHub, AWS, packages, the Kubernetes API",
            opts=self._child,
        )
        return group.id

    def _rights(self, role: aws.iam.Role, suffix: str, document: pulumi.Input[str]) -> pulumi.Resource:
        return aws.iam.RolePolicy(f"{self._name}-{suffix}", role=role.name, policy=document, opts=self._child)


def _connection(arn: str) -> Statement:
    """To the repository by GitHub's app; rights are named as the ARN's own service is, the old one or the new."""
    service = arn.split(":")[2]
    return allow(
        [f"{service}:{what}" for what in ("GetConnection", "GetConnectionToken", "UseConnection")], arn
    )


def _write(log_group_arn: str) -> str:
    return policy(allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"{log_group_arn}:*"))


def _interfaces(region: str, security_group: str, subnets: Sequence[str]) -> list[Statement]:
    """A network interface for each job, in these subnets and with this security group alone.

    Accounts are left open: a shared subnet belongs to another one.
    """

    def arn(what: str) -> str:
        return f"arn:aws:ec2:{region}:*:{what}"

    own, interface = [arn(f"subnet/{i}") for i in subnets], arn("network-interface/*")
    within = {"ArnLike": {"ec2:Subnet": own}}
    look = ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
    return [
        allow([f"ec2:Describe{what}" for what in look], "*"),
        allow("ec2:CreateNetworkInterface", [*own, arn(f"security-group/{security_group}"), interface]),
        allow("ec2:DeleteNetworkInterface", interface, Condition=within),
        allow(
            "ec2:CreateNetworkInterfacePermission",
            interface,
            Condition={**within, "StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"}},
        ),
    ]
