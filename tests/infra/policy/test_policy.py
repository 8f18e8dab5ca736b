"""What the program declares keeps every rule; what breaks one is named."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data
from point_infra.policy.rules import RULES, violations

BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("encrypted", "aws:rds/cluster:Cluster", {"storageEncrypted": False}),
    ("encrypted", "aws:elasticache/replicationGroup:ReplicationGroup", {}),
    (
        "encrypted",
        "aws:ec2/launchTemplate:LaunchTemplate",
        {"blockDeviceMappings": [{"ebs": {"encrypted": "false"}}]},
    ),
    ("encrypted", "aws:sns/topic:Topic", {}),
    ("encrypted", "aws:backup/vault:Vault", {}),
    ("encrypted", "aws:secretsmanager/secret:Secret", {}),
    ("encrypted", "aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 30}),
    ("private", "aws:rds/clusterInstance:ClusterInstance", {"publiclyAccessible": True}),
    ("private", "aws:ec2/subnet:Subnet", {"mapPublicIpOnLaunch": True}),
    ("private", "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", {"blockPublicAcls": True}),
    ("private", "eks:index:Cluster", {"endpointPublicAccess": True}),
    ("private", "aws:eks/cluster:Cluster", {"vpcConfig": {"endpointPublicAccess": True}}),
    ("metadata_v2", "aws:ec2/launchTemplate:LaunchTemplate", {"metadataOptions": {"httpTokens": "optional"}}),
    ("tls_only", "aws:lb/listener:Listener", {"protocol": "HTTP", "defaultActions": [{"type": "forward"}]}),
    ("tls_only", "aws:lb/listener:Listener", {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-2016-08"}),
    ("tls_only", "aws:elasticache/replicationGroup:ReplicationGroup", {"transitEncryptionEnabled": False}),
    ("tls_only", "aws:rds/clusterParameterGroup:ClusterParameterGroup", {"parameters": []}),
    (
        "not_everybody",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"cidrIpv4": "0.0.0.0/0", "fromPort": 3306},
    ),
    ("not_everybody", "aws:ec2/securityGroup:SecurityGroup", {"ingress": [{"fromPort": 22}]}),
    ("tagged", "aws:ec2/vpc:Vpc", {"tags": {"Project": "point-platform"}}),
    ("log_retention", "aws:cloudwatch/logGroup:LogGroup", {}),
    (
        "administrator",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"policyArn": "x/AdministratorAccess"},
    ),
    ("kept_in_production", "aws:rds/cluster:Cluster", {"tags": {"Profile": "production"}}),
    (
        "kept_in_production",
        "aws:backup/vault:Vault",
        {"tags": {"Profile": "production"}, "kmsKeyArn": "key", "forceDestroy": True},
    ),
    ("kept_in_production", "aws:lb/loadBalancer:LoadBalancer", {"tags": {"Profile": "production"}}),
    (
        "kept_in_production",
        "aws:elasticache/replicationGroup:ReplicationGroup",
        {"tags": {"Profile": "production"}, "snapshotRetentionLimit": 0},
    ),
]


@pytest.mark.parametrize(("rule", "type_", "inputs"), BROKEN)
def test_what_breaks_a_rule_is_named(rule: str, type_: str, inputs: dict[str, Any]) -> None:
    assert any(v.startswith(f"{rule}: ") for v in violations(type_, inputs))


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::b"]},
        {"Effect": "Allow", "Action": ["autoscaling:SetDesiredCapacity"], "Resource": "*"},
    ],
)
def test_an_identity_that_may_do_too_much_is_refused(statement: dict[str, Any]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert violations("aws:iam/rolePolicy:RolePolicy", {"policy": document})


def test_every_rule_has_a_case_and_says_what_it_is_for() -> None:
    named = {rule for rule, _, _ in BROKEN} | {"least_privilege"}
    assert named == {rule.__name__ for rule in RULES}
    assert all(rule.__doc__ for rule in RULES)


@pytest.mark.parametrize("stack", ["prod", "dev"])
def test_the_program_keeps_every_rule(run_stack: Callable[..., Any], stack: str) -> None:
    found = {r.name: violations(r.type, r.inputs) for r in run_stack(stack, preview=False).resources}
    assert {n: v for n, v in found.items() if v} == {}


def test_whatever_can_carry_tags_says_whose_it_is(updated: Any) -> None:
    carried = [r for r in updated.resources if "tags" in r.inputs]
    assert len(carried) > 60
    assert {(r.inputs["tags"]["Project"], r.inputs["tags"]["Environment"]) for r in carried} == {
        ("point-platform", "prod")
    }


def test_every_managed_policy_that_is_attached_is_one_of_aws_s(updated: Any) -> None:
    """By the list that moto keeps; AmazonEBSCSIDriverPolicyV2 has not the path of its predecessor."""
    published = json.loads(aws_managed_policies_data)
    arns = {f"arn:aws:iam::aws:policy{policy['Path']}{name}" for name, policy in published.items()}
    attached = {a["policyArn"] for a in updated.of(":RolePolicyAttachment").values()}
    assert len(attached) > 5
    assert attached - arns == set()
