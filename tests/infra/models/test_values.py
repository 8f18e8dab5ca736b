"""Names, windows, versions and references have the form that AWS's documentation asks for in prose."""

from collections.abc import Callable
from typing import Any

import pytest
from infra.models.cloudformation import Declared
from infra.models.values import dangling, refused

ENTRY = {
    "principalArn": "arn:aws:iam::123456789012:role/platform",
    "accessPolicies": {
        "all": {
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdministratorPolicy",
            "accessScope": {"type": "cluster"},
        }
    },
}

BROKEN: list[tuple[str, dict[str, Any], str]] = [
    (":ReplicationGroup", {"maintenanceWindow": "sunday"}, "PreferredMaintenanceWindow"),
    (":ReplicationGroup", {"replicationGroupId": "p" * 41}, "ReplicationGroupId"),
    ("lb/targetGroup:TargetGroup", {"name": "t" * 33}, "Name"),
    (
        "lb/targetGroup:TargetGroup",
        {"deregistrationDelay": 3601.0},
        "TargetGroupAttributes.deregistration_delay.timeout_seconds",
    ),
    ("lb/loadBalancer:LoadBalancer", {"name": "internal-edge"}, "Name"),
    (
        "lb/loadBalancer:LoadBalancer",
        {"desyncMitigationMode": "strict"},
        "LoadBalancerAttributes.routing.http.desync_mitigation_mode",
    ),
    ("lb/listener:Listener", {"sslPolicy": "ELBSecurityPolicy-TLS14"}, "SslPolicy"),
    ("rds/cluster:Cluster", {"preferredBackupWindow": "night"}, "PreferredBackupWindow"),
    (
        "rds/cluster:Cluster",
        {"performanceInsightsRetentionPeriod": 30.0},
        "PerformanceInsightsRetentionPeriod",
    ),
    (":ClusterInstance", {"caCertIdentifier": "rds-ca-2019"}, "CACertificateIdentifier"),
    (":Addon", {"addonVersion": "1.22.4"}, "AddonVersion"),
    (":NodeGroup", {"releaseVersion": "1.36"}, "ReleaseVersion"),
    (":NodeGroup", {"nodeRoleArn": "arn:aws:iam::123456789012:user/node"}, "NodeRole"),
    ("ec2/securityGroup:SecurityGroup", {"description": "the gateway's pods"}, "GroupDescription"),
    ("ec2/subnet:Subnet", {"availabilityZone": "us-east-1a"}, "AvailabilityZone"),
    (":VpcEndpoint", {"serviceName": "com.amazonaws.us-east-1.s3"}, "ServiceName"),
    (":Project", {"serviceRole": "arn:aws:iam::123456789012:user/runner"}, "ServiceRole"),
    (":Project", {"buildTimeout": 3000.0}, "TimeoutInMinutes"),
    (
        ":Webhook",
        {"filterGroups": [{"filters": [{"type": "EVENT", "pattern": "WORKFLOW_QUEUED"}]}]},
        "Triggers.FilterGroups.pattern",
    ),
    (":Record", {"name": f"{'a' * 64}.example.com"}, "Name"),
    (":NatGateway", {"allocationId": "subnet-0123456789abcdef0"}, "AllocationId"),
    ("rds/subnetGroup:SubnetGroup", {"subnetIds": ["vpc-0123456789abcdef0"]}, "SubnetIds"),
    ("index:Cluster", {"accessEntries": {"platform": ENTRY}}, "AccessPolicies.PolicyArn"),
    (":MetricAlarm", {"alarmActions": ["arn:aws:sqs:ap-northeast-2:123456789012:alarms"]}, "AlarmActions"),
    (
        ":WebAclLoggingConfiguration",
        {"logDestinationConfigs": ["arn:aws:logs:ap-northeast-2:123456789012:log-group:waf"]},
        "LogDestinationConfigs",
    ),
]


def test_every_value_that_is_declared_has_the_form_that_is_asked_for(
    stacks: dict[str, list[Declared]],
) -> None:
    assert [f for declared in stacks.values() for f in refused(declared)] == []


@pytest.mark.parametrize(("type_", "changes", "property_"), BROKEN, ids=[f"{t} {c}" for t, c, _ in BROKEN])
def test_a_value_of_another_form_is_found_by_resource_and_property(
    example: Callable[..., Declared], type_: str, changes: dict[str, Any], property_: str
) -> None:
    found = refused([example(type_, "broken", **changes)])
    assert [f.property for f in found] == [property_]
    assert found[0].resource.endswith(" broken")


def test_what_is_named_is_declared(
    stacks: dict[str, list[Declared]], example: Callable[..., Declared]
) -> None:
    for declared in stacks.values():
        assert dangling(declared) == []
    reader = example(":ClusterInstance", "reader", clusterIdentifier="points-prod")
    (found,) = dangling([*stacks["prod"], reader])
    assert found[:2] == ("ClusterInstance reader", "DBClusterIdentifier")
