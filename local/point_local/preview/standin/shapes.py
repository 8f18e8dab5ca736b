"""What resources look like: outputs by the SDK's own types, plausible values for them."""

import importlib
import typing
from collections.abc import Sequence
from typing import Any

from pulumi.runtime import rpc

from pulumi import _types  # pyright: ignore[reportPrivateUsage]

REGION, ACCOUNT = "ap-northeast-2", "123456789012"

REPLACES: dict[str, set[str]] = {
    "aws:acm/certificate:Certificate": {"domainName", "subjectAlternativeNames", "validationMethod"},
    "aws:acm/certificateValidation:CertificateValidation": {"certificateArn", "validationRecordFqdns"},
    "aws:backup/selection:Selection": {"iamRoleArn", "name", "planId", "resources"},
    "aws:backup/vault:Vault": {"kmsKeyArn", "name"},
    "aws:backup/vaultLockConfiguration:VaultLockConfiguration": {
        *("backupVaultName", "changeableForDays", "maxRetentionDays", "minRetentionDays"),
    },
    "aws:cloudwatch/dashboard:Dashboard": {"dashboardName"},
    "aws:cloudwatch/logGroup:LogGroup": {"name"},
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"name"},
    "aws:codebuild/project:Project": {"name"},
    "aws:codebuild/webhook:Webhook": {"projectName"},
    "aws:ec2/flowLog:FlowLog": {"vpcId", "trafficType", "logDestination", "iamRoleArn"},
    "aws:ec2/natGateway:NatGateway": {"allocationId", "subnetId"},
    "aws:ec2/route:Route": {"routeTableId", "destinationCidrBlock"},
    "aws:ec2/routeTable:RouteTable": {"vpcId"},
    "aws:ec2/routeTableAssociation:RouteTableAssociation": {"subnetId"},
    "aws:ec2/securityGroup:SecurityGroup": {"vpcId", "description", "name"},
    "aws:ec2/subnet:Subnet": {"cidrBlock", "availabilityZone", "vpcId"},
    "aws:ec2/vpc:Vpc": {"cidrBlock"},
    "aws:ec2/vpcEndpoint:VpcEndpoint": {"vpcId", "serviceName", "vpcEndpointType"},
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": {"repository"},
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": {
        *("credentialArn", "ecrRepositoryPrefix", "upstreamRegistryUrl"),
    },
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": {"prefix"},
    "aws:ecr/repository:Repository": {"name", "encryptionConfigurations"},
    "aws:eks/addon:Addon": {"addonName", "clusterName"},
    "aws:eks/cluster:Cluster": {"name", "roleArn"},
    "aws:eks/nodeGroup:NodeGroup": {
        *("amiType", "capacityType", "clusterName", "instanceTypes", "nodeRoleArn", "subnetIds"),
    },
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": {"clusterName", "namespace", "serviceAccount"},
    "aws:elasticache/parameterGroup:ParameterGroup": {"family"},
    "aws:elasticache/replicationGroup:ReplicationGroup": {
        *("replicationGroupId", "engine", "atRestEncryptionEnabled", "kmsKeyId", "port", "subnetGroupName"),
    },
    "aws:iam/rolePolicy:RolePolicy": {"role"},
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": {"role", "policyArn"},
    "aws:kms/alias:Alias": {"name"},
    "aws:lb/listener:Listener": {"loadBalancerArn"},
    "aws:lb/listenerRule:ListenerRule": {"listenerArn"},
    "aws:lb/loadBalancer:LoadBalancer": {"name", "internal", "loadBalancerType"},
    "aws:lb/targetGroup:TargetGroup": {"port", "protocol", "vpcId", "targetType"},
    "aws:rds/cluster:Cluster": {
        *("clusterIdentifier", "engine", "databaseName", "masterUsername"),
        *("storageEncrypted", "kmsKeyId", "dbSubnetGroupName"),
    },
    "aws:rds/clusterInstance:ClusterInstance": {"availabilityZone", "clusterIdentifier", "identifier"},
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": {"description", "family"},
    "aws:rds/subnetGroup:SubnetGroup": {"name"},
    "aws:route53/healthCheck:HealthCheck": {"requestInterval", "type"},
    "aws:route53/record:Record": {"name", "zoneId"},
    "aws:route53/zone:Zone": {"name"},
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {"bucket"},
    "aws:s3/bucketPolicy:BucketPolicy": {"bucket"},
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {"bucket"},
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {"bucket"},
    "aws:secretsmanager/secretVersion:SecretVersion": {"secretId", "secretString"},
    "aws:sns/topicSubscription:TopicSubscription": {"endpoint", "protocol", "topic"},
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {"securityGroupId"},
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": {"securityGroupId"},
    "aws:wafv2/webAcl:WebAcl": {"scope"},
    "aws:wafv2/webAclAssociation:WebAclAssociation": {"resourceArn", "webAclArn"},
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": {"resourceArn"},
    "random:index/randomPassword:RandomPassword": {"keepers", "length"},
    "tls:index/privateKey:PrivateKey": {"algorithm", "ecdsaCurve"},
    "tls:index/selfSignedCert:SelfSignedCert": {
        "privateKeyPem",
        "subject",
        "dnsNames",
        "validityPeriodHours",
    },
}
"""Inputs that AWS can't change in place: a new value makes a new resource."""

AUTONAMES: dict[str, str] = {
    "aws:ec2/securityGroup:SecurityGroup": "name",
    "aws:ec2/launchTemplate:LaunchTemplate": "name",
    "aws:elasticache/parameterGroup:ParameterGroup": "name",
    "aws:elasticache/subnetGroup:SubnetGroup": "name",
    "aws:eks/nodeGroup:NodeGroup": "nodeGroupName",
    "aws:iam/role:Role": "name",
    "aws:iam/rolePolicy:RolePolicy": "name",
    "aws:lb/loadBalancer:LoadBalancer": "name",
    "aws:lb/targetGroup:TargetGroup": "name",
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": "name",
    "aws:rds/subnetGroup:SubnetGroup": "name",
    "aws:s3/bucket:Bucket": "bucket",
    "aws:secretsmanager/secret:Secret": "name",
    "aws:sns/topic:Topic": "name",
    "aws:wafv2/webAcl:WebAcl": "name",
    "aws:budgets/budget:Budget": "name",
    "aws:cloudfront/originAccessControl:OriginAccessControl": "name",
}
"""Inputs that the provider makes up when they are absent."""

WITHIN: dict[str, tuple[str, str]] = {"aws:eks/cluster:Cluster": ("vpcConfig", "clusterSecurityGroupId")}
"""An output that stands inside an input: the input's name, and its own."""

_STRUCTURED: dict[tuple[str, str], Any] = {
    ("aws:rds/cluster:Cluster", "masterUserSecrets"): [
        {
            "secretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:rds!cluster-1",
            "kmsKeyId": "key",
            "secretStatus": "active",
        }
    ],
    ("aws:rds/cluster:Cluster", "port"): 3306,
    ("aws:ec2/launchTemplate:LaunchTemplate", "latestVersion"): 1,
    ("aws:eks/cluster:Cluster", "kubernetesNetworkConfig"): {"serviceIpv4Cidr": "172.20.0.0/16"},
    ("random:index/randomPassword:RandomPassword", "result"): "not-a-real-password",
    ("tls:index/privateKey:PrivateKey", "privateKeyPem"): "not a real key",
}


def computed(token: str) -> dict[str, type]:
    """Outputs that the SDK declares as always there, by name, with their bare types."""
    package, module, _ = token.split(":")
    try:
        importlib.import_module(f"pulumi_{package}")
    except ModuleNotFoundError:  # the program's own components
        return {}
    found: Any = rpc.get_resource_module(package, module, "")
    if found is None or token not in found.mod_info["classes"]:
        return {}  # a kind that the Kubernetes SDK doesn't know
    cls = getattr(importlib.import_module(found.mod_info["fqn"]), found.mod_info["classes"][token])
    types = _types.resource_types(cls)
    return {n: typing.get_origin(t) or t for n, t in types.items() if not _types._is_optional_type(t)}  # pyright: ignore[reportPrivateUsage]


def synthesize(token: str, physical_id: str, name: str, kind: type) -> Any:
    """A plausible value of one output."""
    if (token, name) in _STRUCTURED:
        return _STRUCTURED[token, name]
    service, resource = token.split(":")[1].split("/")[0], token.rsplit(":", 1)[-1].lower()
    if name == "arn":
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}/{physical_id}"
    if issubclass(kind, str):
        return f"{physical_id}.{name}.{service}.invalid".lower() if service != "kms" else physical_id
    for base, zero in ((bool, False), (int, 0), (float, 0.0)):
        if issubclass(kind, base):
            return zero
    return [] if issubclass(kind, Sequence) else {}


def derived(token: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Outputs that follow from the inputs."""
    if token != "aws:acm/certificate:Certificate":  # noqa: S105 - a type
        return {}
    names = [inputs["domainName"], *inputs.get("subjectAlternativeNames", [])]
    options = [
        {
            "domainName": n,
            "resourceRecordName": f"_validation.{n}",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": "_validation.acm-validations.invalid",
        }
        for n in names
    ]
    return {"domainValidationOptions": options}


def fits(value: Any, kind: type) -> bool:
    """Whether an API's value has the type that the SDK wants."""
    return issubclass(kind, str) if isinstance(value, str) else isinstance(value, kind)
