"""The API calls that make what is declared, and what their documentation says that their models don't."""

from typing import NamedTuple


class Call(NamedTuple):
    """A call, and where in its arguments (dotted path) CloudFormation's properties lie."""

    service: str
    operation: str
    at: str = ""
    rename: tuple[tuple[str, str], ...] = ()
    """Property (dotted path) -> argument."""


def _one(service: str, operation: str, at: str = "", **rename: str) -> tuple[Call, ...]:
    return (Call(service, operation, at, tuple((k.replace("__", "."), v) for k, v in rename.items())),)


CALLS: dict[str, tuple[Call, ...]] = {
    "AWS::Backup::BackupPlan": _one(
        "backup",
        "CreateBackupPlan",
        BackupPlan__BackupPlanRule="Rules",
        BackupPlan__BackupPlanRule__TargetBackupVault="TargetBackupVaultName",
    ),
    "AWS::Backup::BackupSelection": _one("backup", "CreateBackupSelection"),
    "AWS::Backup::BackupVault": _one("backup", "CreateBackupVault"),
    "AWS::Budgets::Budget": _one("budgets", "CreateBudget"),
    "AWS::CertificateManager::Certificate": _one("acm", "RequestCertificate"),
    "AWS::CloudFront::Distribution": _one("cloudfront", "CreateDistribution"),
    "AWS::CloudFront::OriginAccessControl": _one("cloudfront", "CreateOriginAccessControl"),
    "AWS::CloudWatch::Alarm": _one("cloudwatch", "PutMetricAlarm"),
    "AWS::CloudWatch::Dashboard": _one("cloudwatch", "PutDashboard"),
    "AWS::CodeBuild::Project": _one("codebuild", "CreateProject"),
    "AWS::EC2::Instance": _one("ec2", "RunInstances"),
    "AWS::EC2::LaunchTemplate": _one("ec2", "CreateLaunchTemplate"),
    "AWS::ECR::PullThroughCacheRule": _one("ecr", "CreatePullThroughCacheRule"),
    "AWS::ECR::RepositoryCreationTemplate": _one("ecr", "CreateRepositoryCreationTemplate"),
    "AWS::ECR::Repository": (
        *_one("ecr", "CreateRepository"),
        *_one("ecr", "PutLifecyclePolicy", LifecyclePolicy="lifecyclePolicyText"),
    ),
    "AWS::EKS::Addon": _one("eks", "CreateAddon"),
    "AWS::EKS::Cluster": _one("eks", "CreateCluster"),
    "AWS::EKS::Nodegroup": _one("eks", "CreateNodegroup"),
    "AWS::EKS::PodIdentityAssociation": _one("eks", "CreatePodIdentityAssociation"),
    "AWS::ElastiCache::ParameterGroup": _one("elasticache", "CreateCacheParameterGroup"),
    "AWS::ElastiCache::ReplicationGroup": _one("elasticache", "CreateReplicationGroup"),
    "AWS::ElastiCache::SubnetGroup": _one(
        "elasticache", "CreateCacheSubnetGroup", Description="CacheSubnetGroupDescription"
    ),
    "AWS::ElasticLoadBalancingV2::Listener": _one("elbv2", "CreateListener"),
    "AWS::ElasticLoadBalancingV2::ListenerRule": _one("elbv2", "CreateRule"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (
        *_one("elbv2", "CreateLoadBalancer"),
        *_one("elbv2", "ModifyLoadBalancerAttributes", LoadBalancerAttributes="Attributes"),
    ),
    "AWS::ElasticLoadBalancingV2::TargetGroup": (
        *_one("elbv2", "CreateTargetGroup"),
        *_one("elbv2", "ModifyTargetGroupAttributes", TargetGroupAttributes="Attributes"),
    ),
    "AWS::IAM::Role": (
        *_one("iam", "CreateRole"),
        *_one("iam", "AttachRolePolicy", ManagedPolicyArns="PolicyArn"),
    ),
    "AWS::IAM::RolePolicy": _one("iam", "PutRolePolicy"),
    "AWS::KMS::Alias": _one("kms", "CreateAlias"),
    "AWS::KMS::Key": (
        *_one("kms", "CreateKey", KeyPolicy="Policy"),
        *_one("kms", "ScheduleKeyDeletion"),
    ),
    "AWS::Logs::LogGroup": (*_one("logs", "CreateLogGroup"), *_one("logs", "PutRetentionPolicy")),
    "AWS::RDS::DBCluster": _one(
        "rds",
        "CreateDBCluster",
        MasterUserSecret="MasterUserSecretKmsKeyId",
        PerformanceInsightsEnabled="EnablePerformanceInsights",
    ),
    "AWS::RDS::DBClusterParameterGroup": _one(
        "rds", "CreateDBClusterParameterGroup", Family="DBParameterGroupFamily"
    ),
    "AWS::RDS::DBInstance": _one("rds", "CreateDBInstance"),
    "AWS::RDS::DBSubnetGroup": _one("rds", "CreateDBSubnetGroup"),
    "AWS::Route53::HealthCheck": _one("route53", "CreateHealthCheck"),
    "AWS::Route53::HostedZone": _one("route53", "CreateHostedZone"),
    "AWS::Route53::RecordSet": _one(
        "route53", "ChangeResourceRecordSets", "ChangeBatch.Changes.ResourceRecordSet"
    ),
    "AWS::S3::Bucket": (
        *_one("s3", "CreateBucket", BucketName="Bucket"),
        *_one("s3", "PutPublicAccessBlock"),
        *_one(
            "s3",
            "PutBucketEncryption",
            BucketEncryption="ServerSideEncryptionConfiguration",
            BucketEncryption__ServerSideEncryptionConfiguration="Rules",
            BucketEncryption__ServerSideEncryptionConfiguration__ServerSideEncryptionByDefault=(
                "ApplyServerSideEncryptionByDefault"
            ),
        ),
        *_one("s3", "PutBucketLifecycleConfiguration"),
    ),
    "AWS::SNS::Subscription": _one("sns", "Subscribe"),
    "AWS::SNS::Topic": _one("sns", "CreateTopic", TopicName="Name"),
    "AWS::SecretsManager::Secret": _one("secretsmanager", "CreateSecret"),
    "AWS::WAFv2::LoggingConfiguration": _one("wafv2", "PutLoggingConfiguration", "LoggingConfiguration"),
    "AWS::WAFv2::WebACL": _one("wafv2", "CreateWebACL"),
    "AWS::WAFv2::WebACLAssociation": _one("wafv2", "AssociateWebACL"),
}
"""Those whose properties CloudFormation leaves open somewhere; the network's are complete there and made in moto."""

TAKEN_OTHERWISE: dict[str, dict[str, str]] = {
    "AWS::Backup::BackupVault": {"LockConfiguration": "PutBackupVaultLockConfiguration, part by part"},
    "AWS::CloudFront::Distribution": {
        "DistributionConfig.DefaultCacheBehavior.CachedMethods": "lies in AllowedMethods",
    },
    "AWS::CodeBuild::Project": {"Triggers": "CreateWebhook, see INPUTS"},
    "AWS::EKS::Cluster": {"Logging.ClusterLogging.EnabledTypes": "names by themselves; the schema has them"},
    "AWS::ElastiCache::ParameterGroup": {"Properties": "ModifyCacheParameterGroup, name by name"},
    "AWS::KMS::Key": {"EnableKeyRotation": "EnableKeyRotation, a call without a value"},
    "AWS::RDS::DBCluster": {"DeleteAutomatedBackups": "DeleteDBCluster"},
    "AWS::RDS::DBClusterParameterGroup": {"Parameters": "ModifyDBClusterParameterGroup, name by name"},
    "AWS::RDS::DBInstance": {"ApplyImmediately": "ModifyDBInstance"},
    "AWS::Route53::HealthCheck": {"HealthCheckTags": "ChangeTagsForResource"},
    "AWS::Route53::HostedZone": {"HostedZoneTags": "ChangeTagsForResource"},
    "AWS::Route53::RecordSet": {"HostedZoneId": "says which zone"},
    "AWS::S3::Bucket": {"LifecycleConfiguration.Rules.ExpirationInDays": "lies in Expiration"},
    "AWS::SNS::Topic": {"KmsMasterKeyId": "an attribute, a map without names"},
}
"""Properties that the calls above don't take by a name like theirs -> what takes them."""

FILLED_IN = {
    "AccountId": "the caller's",
    "CallerReference": "made up anew",
    "Comment": "empty",
    "MaxCount": "a launch template stands for the call",
    "MinCount": "likewise",
    "Quantity": "counted",
}
"""Arguments that a call requires and the provider gives by itself -> as what."""

DOCUMENTED: frozenset[tuple[str, str]] = frozenset(
    {
        ("AWS::ElastiCache::ParameterGroup", "CacheParameterGroupFamily"),
        ("AWS::ElasticLoadBalancingV2::LoadBalancer", "LoadBalancerAttributes.Key"),
        ("AWS::ElasticLoadBalancingV2::TargetGroup", "TargetGroupAttributes.Key"),
        ("AWS::RDS::DBCluster", "EnableCloudwatchLogsExports"),
        ("AWS::RDS::DBInstance", "MonitoringInterval"),
        ("AWS::SNS::Subscription", "Protocol"),
    }
)
"""Type and property whose values the call's documentation lists, where its model has no enumeration."""

INPUTS: dict[tuple[str, str], tuple[str, str, str]] = {
    ("aws:codebuild/webhook:Webhook", "buildType"): ("codebuild", "CreateWebhook", "buildType"),
    ("aws:codebuild/webhook:Webhook", "filterGroups.filters"): (
        *("codebuild", "CreateWebhook", "filterGroups"),
    ),
    ("aws:eks/addon:Addon", "resolveConflictsOnUpdate"): ("eks", "UpdateAddon", "resolveConflicts"),
    ("aws:elasticache/replicationGroup:ReplicationGroup", "authTokenUpdateStrategy"): (
        *("elasticache", "ModifyReplicationGroup", "AuthTokenUpdateStrategy"),
    ),
    ("aws:rds/clusterParameterGroup:ClusterParameterGroup", "parameters.applyMethod"): (
        *("rds", "ModifyDBClusterParameterGroup", "Parameters.ApplyMethod"),
    ),
    ("aws:s3/bucketObjectv2:BucketObjectv2", "key"): ("s3", "PutObject", "Key"),
    ("eks:index:Cluster", "corednsAddonOptions.resolveConflictsOnCreate"): (
        *("eks", "CreateAddon", "resolveConflicts"),
    ),
    ("eks:index:Cluster", "kubeProxyAddonOptions.resolveConflictsOnCreate"): (
        *("eks", "CreateAddon", "resolveConflicts"),
    ),
}
"""Input that CloudFormation has no property for -> the call's argument that takes it."""
