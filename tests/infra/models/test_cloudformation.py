"""Every AWS resource of every stack is one that CloudFormation's schemas of its region would take."""

from collections.abc import Callable
from typing import Any

import pytest
from infra.models.cloudformation import Declared, Finding, refused, unmapped
from infra.models.names import KINDS, NOT_IN_CLOUDFORMATION

BROKEN: list[tuple[str, dict[str, Any], str, str]] = [
    # An enumeration, a length, a pattern, a range, a type, an id of another kind, what a region doesn't have.
    (":LogGroup", {"retentionInDays": 91}, "RetentionInDays", "is not one of"),
    (":MetricAlarm", {"comparisonOperator": "Above"}, "ComparisonOperator", "is not one of"),
    (":MetricAlarm", {"period": 61}, "Period", "multiple of 60"),
    (":FlowLog", {"trafficType": "SOME"}, "TrafficType", "is not one of"),
    (":Repository", {"imageTagMutability": "FIXED"}, "ImageTagMutability", "is not one of"),
    ("lb/targetGroup:TargetGroup", {"protocol": "TLS1"}, "Protocol", "is not one of"),
    ("iam/role:Role", {"name": "r" * 65}, "RoleName", "longer than 64"),
    ("s3/bucket:Bucket", {"bucket": "Logs_of_points"}, "BucketName", "pattern"),
    (":Alias", {"name": "points"}, "AliasName", "does not match"),
    (":HealthCheck", {"failureThreshold": 11.0}, "HealthCheckConfig.FailureThreshold", "maximum of 10"),
    ("ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/99"}, "CidrBlock", "ipv4-network"),
    ("ec2/subnet:Subnet", {"vpcId": "sg-0123456789abcdef0"}, "VpcId", "AWS::EC2::VPC.Id"),
    (":NodeGroup", {"subnetIds": ["vpc-0123456789abcdef0"]}, "Subnets.0", "AWS::EC2::Subnet.Id"),
    (":NodeGroup", {"amiType": "AL2023"}, "AmiType", "is not one of"),
    (":NodeGroup", {"instanceTypes": ["m5.lagre"]}, "InstanceType", "in 'ap-northeast-2'"),
    (":Addon", {"resolveConflictsOnCreate": "MERGE"}, "ResolveConflicts", "is not one of"),
    (":ReplicationGroup", {"nodeType": "cache.r5.lagre"}, "CacheNodeType", "in 'ap-northeast-2'"),
    (":ReplicationGroup", {"engineVersion": "9.9"}, "EngineVersion", "is not one of"),
    (":ReplicationGroup", {"transitEncryptionMode": "on"}, "TransitEncryptionMode", "is not one of"),
    (":ClusterInstance", {"instanceClass": "db.r5.lagre"}, "DBInstanceClass", "in 'ap-northeast-2'"),
    ("rds/cluster:Cluster", {"engineVersion": "8.0.mysql_aurora.3.99.0"}, "EngineVersion", "is not one of"),
    ("rds/cluster:Cluster", {"backupRetentionPeriod": 36.0}, "BackupRetentionPeriod", "maximum of 35"),
    ("index:Cluster", {"authenticationMode": "ROLES"}, "AccessConfig.AuthenticationMode", "is not one of"),
    (":WebAcl", {"scope": "LOCAL"}, "Scope", "is not one of"),
    (
        ":Distribution",
        {"viewerCertificate": {"minimumProtocolVersion": "TLSv9"}},
        "DistributionConfig.ViewerCertificate.MinimumProtocolVersion",
        "is not one of",
    ),
    (
        ":LaunchTemplate",
        {"metadataOptions": {"httpTokens": "always"}},
        "LaunchTemplateData.MetadataOptions.HttpTokens",
        "is not one of",
    ),
]


def test_every_type_and_property_that_is_declared_has_a_counterpart(
    stacks: dict[str, list[Declared]],
) -> None:
    for declared in stacks.values():
        assert len(declared) > 100
        assert unmapped(declared) == []


def test_aws_s_schemas_take_every_resource_of_every_stack(stacks: dict[str, list[Declared]]) -> None:
    assert refused(one for declared in stacks.values() for one in declared) == []


def test_a_property_and_a_type_without_a_counterpart_are_named(example: Callable[..., Declared]) -> None:
    alarm = example(":MetricAlarm", "busy", colour="red", dimensions={"Role": "WRITER"})
    acl = example(":WebAcl", "edge", visibilityConfig={"metricName": "edge", "logo": "x"})
    rule = {"id": "expire", "status": "Enabled", "expiration": {"days": 9.0, "onHolidays": True}}
    logs = example(":BucketLifecycleConfiguration", "logs", rules=[rule])
    queue = Declared("aws:sqs/queue:Queue", "later", {})
    assert unmapped([alarm, acl, logs, queue]) == [
        Finding("MetricAlarm busy", "colour", "no counterpart"),
        Finding("WebAcl edge", "visibilityConfig.logo", "no counterpart"),
        Finding("BucketLifecycleConfiguration logs", "rules.expiration", "no counterpart"),
        Finding("Queue later", "", "no counterpart of this type"),
    ]


def test_a_type_has_a_counterpart_or_a_reason_to_have_none() -> None:
    assert KINDS.keys() & NOT_IN_CLOUDFORMATION.keys() == set()
    assert all(NOT_IN_CLOUDFORMATION.values())


@pytest.fixture(scope="module")
def broken(example: Callable[..., Declared]) -> list[Finding]:
    """What is found in all of them, looked at once."""
    return refused(
        example(type_, f"broken-{n}", **changes) for n, (type_, changes, _, _) in enumerate(BROKEN)
    )


@pytest.mark.parametrize(
    ("number", "case"), list(enumerate(BROKEN)), ids=[f"{t} {c}" for t, c, _, _ in BROKEN]
)
def test_a_wrong_value_is_found_by_resource_and_property(
    broken: list[Finding], number: int, case: tuple[str, dict[str, Any], str, str]
) -> None:
    found = [f for f in broken if f.resource.endswith(f" broken-{number}")]
    assert any(f.property == case[2] and case[3] in f.message for f in found), found


def test_a_class_is_refused_where_its_region_lacks_it(example: Callable[..., Declared]) -> None:
    names = ("here", "there")
    here, there = (example(":ClusterInstance", n, instanceClass="db.x2g.large") for n in names)
    there.inputs.update(region="us-east-1", availabilityZone="us-east-1a")
    assert [f.resource for f in refused([here, there])] == ["ClusterInstance here"]
