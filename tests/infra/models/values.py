"""Values whose form is written in prose alone: names, windows, versions, and references by the kind that they name."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from infra.models import account
from infra.models.cloudformation import Declared, Finding, counterparts
from infra.models.translate import Props, norm
from moto.elbv2.ssl_policies import SSL_POLICIES

_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_ID = "[0-9a-f]{8}(?:[0-9a-f]{9})?"
_KEY = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[0-9a-z-]+"
_ROLE = r"arn:aws[a-z-]*:iam::\d{12}:role/.+"
_TOPIC = r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]+"
_BALANCING = r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}"
_NAME_OF_32 = r"(?=.{1,32}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"

_HOST = r"(?=.{1,255}$)(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}\.?"
_NOTE = r"[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}"
_PROTOCOL = r"-1|tcp|udp|icmp|icmpv6|\d{1,3}"

FORMS: dict[tuple[str, str], str] = {
    ("AWS::CloudFront::Distribution", "DistributionConfig.CustomErrorResponses.ResponsePagePath"): "/.+",
    ("AWS::CodeBuild::Project", "Environment.Image"): r"aws/codebuild/standard:[78]\.0",
    ("AWS::CodeBuild::Project", "Source.Auth.Resource"): (
        r"arn:aws[a-z-]*:(?:codeconnections|codestar-connections):[a-z0-9-]+:\d{12}:connection/[0-9a-f-]{36}"
    ),
    ("AWS::CodeBuild::Project", "Source.Location"): r"https://github\.com/[\w.-]+/[\w.-]+\.git",
    ("AWS::CodeBuild::Project", "TimeoutInMinutes"): r"[5-9]|[1-9]\d|[1-9]\d\d|1\d{3}|20\d\d|21[0-5]\d|2160",
    ("AWS::CodeBuild::Project", "Triggers.FilterGroups.pattern"): (
        r"WORKFLOW_JOB_QUEUED|\^\([a-z]+(?:\|[a-z]+)*\)\$"
    ),
    ("AWS::EC2::SecurityGroup", "GroupDescription"): _NOTE,
    ("AWS::EC2::SecurityGroupEgress", "Description"): _NOTE,
    ("AWS::EC2::SecurityGroupEgress", "IpProtocol"): _PROTOCOL,
    ("AWS::EC2::SecurityGroupIngress", "Description"): _NOTE,
    ("AWS::EC2::SecurityGroupIngress", "IpProtocol"): _PROTOCOL,
    ("AWS::EC2::LaunchTemplate", "LaunchTemplateData.BlockDeviceMappings.Ebs.VolumeSize"): r"[1-9]\d{0,4}",
    ("AWS::EC2::LaunchTemplate", "LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit"): (
        "[1-9]|[1-5][0-9]|6[0-4]"
    ),
    ("AWS::EC2::VPCEndpoint", "ServiceName"): r"com\.amazonaws\.REGION\.[a-z0-9.-]+",
    ("AWS::EKS::AccessEntry", "AccessPolicies.PolicyArn"): (
        r"arn:aws[a-z-]*:eks::aws:cluster-access-policy/AmazonEKS(?:ClusterAdmin|Admin|AdminView|Edit|View)Policy"
    ),
    ("AWS::EKS::AccessEntry", "PrincipalArn"): r"arn:aws[a-z-]*:iam::\d{12}:(?:role|user)/.+",
    ("AWS::EKS::Addon", "AddonVersion"): r"v\d+\.\d+\.\d+-eksbuild\.\d+",
    ("AWS::EKS::Nodegroup", "ReleaseVersion"): r"1\.\d\d\.\d+-20\d{6}",
    ("AWS::EKS::Nodegroup", "Version"): r"1\.\d\d",
    ("AWS::ElastiCache::ReplicationGroup", "NodeGroupConfiguration.ReplicaCount"): "[0-5]",
    ("AWS::ElastiCache::ReplicationGroup", "NodeGroupConfiguration.Slots"): r"\d+-\d+(?:,\d+-\d+)*",
    ("AWS::ElastiCache::ReplicationGroup", "NumNodeGroups"): r"[1-9]\d{0,2}",
    ("AWS::ElastiCache::ReplicationGroup", "Port"): r"[1-9]\d{3,4}",
    ("AWS::ElastiCache::ReplicationGroup", "PreferredMaintenanceWindow"): f"{_DAY}:{_TIME}-{_DAY}:{_TIME}",
    ("AWS::ElastiCache::ReplicationGroup", "ReplicationGroupId"): r"(?=.{1,40}$)[A-Za-z](?:-?[A-Za-z0-9])*",
    ("AWS::ElastiCache::ReplicationGroup", "SnapshotRetentionLimit"): r"[0-2]?\d|3[0-5]",
    ("AWS::ElastiCache::ReplicationGroup", "SnapshotWindow"): f"{_TIME}-{_TIME}",
    ("AWS::ElasticLoadBalancingV2::Listener", "DefaultActions.FixedResponseConfig.ContentType"): (
        "text/plain|text/css|text/html|application/javascript|application/json"
    ),
    ("AWS::ElasticLoadBalancingV2::Listener", "DefaultActions.FixedResponseConfig.MessageBody"): (
        r"(?s).{0,1024}"
    ),
    ("AWS::ElasticLoadBalancingV2::Listener", "SslPolicy"): "|".join(map(re.escape, SSL_POLICIES)),
    ("AWS::ElasticLoadBalancingV2::ListenerRule", "Actions.RedirectConfig.Port"): r"#\{port\}|\d{1,5}",
    (
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "Conditions.HttpRequestMethodConfig.Values",
    ): "[A-Z_-]{1,40}",
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "Name"): f"(?!internal-){_NAME_OF_32}",
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "HealthCheckPath"): "/.{0,1023}",
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "HealthCheckPort"): r"traffic-port|\d{1,5}",
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "Matcher.HttpCode"): r"[2-5]\d\d(?:[,-][2-5]\d\d)*",
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "Name"): _NAME_OF_32,
    ("AWS::RDS::DBCluster", "DatabaseName"): "[A-Za-z][A-Za-z0-9]{0,63}",
    ("AWS::RDS::DBCluster", "EngineLifecycleSupport"): "open-source-rds-extended-support(?:-disabled)?",
    ("AWS::RDS::DBCluster", "PerformanceInsightsRetentionPeriod"): (
        "|".join(str(days) for days in (7, 731, *(month * 31 for month in range(1, 24))))
    ),
    ("AWS::RDS::DBCluster", "PreferredBackupWindow"): f"{_TIME}-{_TIME}",
    ("AWS::RDS::DBCluster", "PreferredMaintenanceWindow"): f"{_DAY}:{_TIME}-{_DAY}:{_TIME}",
    ("AWS::RDS::DBClusterParameterGroup", "Family"): r"aurora-mysql(?:5\.7|8\.0|8\.4)",
    ("AWS::RDS::DBInstance", "CACertificateIdentifier"): "rds-ca-(?:rsa2048|rsa4096|ecc384)-g1",
    ("AWS::RDS::DBInstance", "DBInstanceIdentifier"): r"(?=.{1,63}$)[A-Za-z](?:-?[A-Za-z0-9])*",
    ("AWS::Route53::HealthCheck", "HealthCheckConfig.FullyQualifiedDomainName"): _HOST,
    ("AWS::Route53::HealthCheck", "HealthCheckConfig.ResourcePath"): "/.{0,254}",
    ("AWS::Route53::HostedZone", "Name"): _HOST,
    ("AWS::Route53::RecordSet", "AliasTarget.DNSName"): _HOST,
    ("AWS::Route53::RecordSet", "AliasTarget.HostedZoneId"): "Z[A-Z0-9]{3,31}",
    ("AWS::Route53::RecordSet", "Name"): _HOST,
    ("AWS::S3::Bucket", "LifecycleConfiguration.Rules.ExpirationInDays"): r"[1-9]\d*",
}
"""Type and property -> pattern of what the documentation of the call demands; REGION is the resource's own.

Policies of TLS are by moto's list.
"""

ATTRIBUTES: dict[str, str] = {
    "access_logs.s3.bucket": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "access_logs.s3.enabled": "true|false",
    "deletion_protection.enabled": "true|false",
    "deregistration_delay.timeout_seconds": r"\d{1,3}|[12]\d{3}|3[0-5]\d\d|3600",
    "idle_timeout.timeout_seconds": r"[1-9]\d{0,2}|[1-3]\d{3}|4000",
    "routing.http.desync_mitigation_mode": "monitor|defensive|strictest",
    "routing.http.drop_invalid_header_fields.enabled": "true|false",
    "zonal_shift.config.enabled": "true|false",
}
"""Attribute of a load balancer or target group -> its values, by elbv2's documentation."""

REFERENCES: dict[str, str] = {
    "AlarmActions": _TOPIC,
    "AvailabilityZone": "REGION[a-z]",
    "AllocationId": f"eipalloc-{_ID}",
    "CertificateArn": r"arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[0-9a-f-]+",
    "DeliverLogsPermissionArn": _ROLE,
    "DestinationSecurityGroupId": f"sg-{_ID}",
    "GatewayId": f"igw-{_ID}",
    "GroupId": f"sg-{_ID}",
    "HealthCheckId": "[0-9a-f-]{36}",
    "KeyArn": _KEY,
    "KmsKeyId": _KEY,
    "KmsMasterKeyId": _KEY,
    "LaunchTemplate.Id": f"lt-{_ID}",
    "ListenerArn": f"{_BALANCING}:listener/app/.+",
    "LoadBalancerArn": f"{_BALANCING}:loadbalancer/app/.+",
    "LogDestination": r"arn:aws[a-z-]*:logs:[a-z0-9-]+:\d{12}:log-group:.+",
    "LogDestinationConfigs": r"arn:aws[a-z-]*:logs:[a-z0-9-]+:\d{12}:log-group:aws-waf-logs-.+",
    "ManagedPolicyArns": r"arn:aws[a-z-]*:iam::(?:aws|\d{12}):policy/.+",
    "MonitoringRoleArn": _ROLE,
    "NatGatewayId": f"nat-{_ID}",
    "NodeRole": _ROLE,
    "OKActions": _TOPIC,
    "PerformanceInsightsKmsKeyId": _KEY,
    "PrimaryAvailabilityZone": "REGION[a-z]",
    "ReplicaAvailabilityZones": "REGION[a-z]",
    "ResourceId": f"vpc-{_ID}",
    "RoleArn": _ROLE,
    "RouteTableId": f"rtb-{_ID}",
    "RouteTableIds": f"rtb-{_ID}",
    "SecurityGroupIds": f"sg-{_ID}",
    "SecurityGroups": f"sg-{_ID}",
    "ServiceRole": _ROLE,
    "SourceSecurityGroupId": f"sg-{_ID}",
    "SubnetId": f"subnet-{_ID}",
    "SubnetIds": f"subnet-{_ID}",
    "Subnets": f"subnet-{_ID}",
    "TargetGroupArn": f"{_BALANCING}:targetgroup/.+",
    "TopicArn": _TOPIC,
    "VpcId": f"vpc-{_ID}",
    "VpcSecurityGroupIds": f"sg-{_ID}",
}
"""Property (end of its path) -> form of what it refers to."""

NAMED: dict[tuple[str, str], str] = {
    (
        "AWS::CodeBuild::Project",
        "LogsConfig.CloudWatchLogs.GroupName",
    ): "aws:cloudwatch/logGroup:LogGroup",
    ("AWS::EKS::AccessEntry", "ClusterName"): "eks:index:Cluster",
    ("AWS::EKS::Addon", "ClusterName"): "eks:index:Cluster",
    ("AWS::EKS::Nodegroup", "ClusterName"): "eks:index:Cluster",
    ("AWS::EKS::PodIdentityAssociation", "ClusterName"): "eks:index:Cluster",
    ("AWS::ElastiCache::ReplicationGroup", "CacheParameterGroupName"): (
        "aws:elasticache/parameterGroup:ParameterGroup"
    ),
    ("AWS::ElastiCache::ReplicationGroup", "CacheSubnetGroupName"): "aws:elasticache/subnetGroup:SubnetGroup",
    (
        "AWS::ElastiCache::ReplicationGroup",
        "LogDeliveryConfigurations.DestinationDetails.CloudWatchLogsDetails.LogGroup",
    ): "aws:cloudwatch/logGroup:LogGroup",
    ("AWS::IAM::RolePolicy", "RoleName"): "aws:iam/role:Role",
    ("AWS::RDS::DBCluster", "DBClusterParameterGroupName"): (
        "aws:rds/clusterParameterGroup:ClusterParameterGroup"
    ),
    ("AWS::RDS::DBCluster", "DBSubnetGroupName"): "aws:rds/subnetGroup:SubnetGroup",
    ("AWS::RDS::DBInstance", "DBClusterIdentifier"): "aws:rds/cluster:Cluster",
    ("AWS::S3::BucketPolicy", "Bucket"): "aws:s3/bucket:Bucket",
}
"""Type and property that names another resource -> of which type."""


def dangling(resources: Iterable[Declared]) -> list[Finding]:
    """Names of resources that the stack doesn't declare."""
    declared = list(resources)
    names = {(r.type, account.physical(r.type, r.name, r.inputs)) for r in declared}
    return [
        Finding(one.label, path, f"no {NAMED[cfn, path]} is named {value!r}")
        for one in declared
        for cfn, properties in counterparts(one)
        for path, value in _leaves(properties)
        if (cfn, path) in NAMED and (NAMED[cfn, path], value) not in names
    ]


def refused(resources: Iterable[Declared]) -> list[Finding]:
    """Values that are not of the form that is asked for."""
    return [
        Finding(one.label, path, f"{value!r} does not match {pattern}")
        for one in resources
        for cfn, properties in counterparts(one)
        for path, value, pattern in _asked(cfn, properties)
        if not re.fullmatch(pattern.replace("REGION", one.region), str(value))
    ]


def _asked(cfn: str, properties: Props) -> Iterator[tuple[str, Any, str]]:
    """Properties (dotted paths), their values and the patterns for them."""
    for path, value in _leaves(properties):
        for pattern in _patterns(cfn, path):
            yield path, value, pattern
    for list_ in ("LoadBalancerAttributes", "TargetGroupAttributes"):
        for pair in properties.get(list_, []):
            yield f"{list_}.{pair['Key']}", pair["Value"], ATTRIBUTES.get(pair["Key"], "a value listed here")


def _patterns(cfn: str, path: str) -> Iterator[str]:
    if (cfn, path) in FORMS:
        yield FORMS[cfn, path]
    for end, pattern in REFERENCES.items():
        if norm(".".join(path.split(".")[-end.count(".") - 1 :])) == norm(end):
            yield pattern


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, path)
    else:
        yield path, value
