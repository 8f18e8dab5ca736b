"""What CloudFormation calls the types that the program declares, and their inputs."""

from infra.models import forms
from infra.models.translate import Kind

_PROVIDER = "an order to the provider"
_MADE_BY_COMPONENT = "says what the component makes beside the cluster"
_ROLE = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}}
_PROJECT = {
    "Artifacts": {"Type": "NO_ARTIFACTS"},
    "Environment": {
        "Type": "LINUX_CONTAINER",
        "Image": "aws/codebuild/standard:7.0",
        "ComputeType": "BUILD_GENERAL1_SMALL",
    },
    "ServiceRole": "arn:aws:iam::123456789012:role/runner",
    "Source": {"Type": "GITHUB", "Location": "https://github.com/points/points.git"},
}
"""What a project has beside its webhook."""

KINDS: dict[str, Kind] = {
    "aws:acm/certificate:Certificate": Kind("AWS::CertificateManager::Certificate"),
    "aws:backup/plan:Plan": Kind(
        "AWS::Backup::BackupPlan",
        at="BackupPlan",
        rename={
            "name": "BackupPlanName",
            "rules": "BackupPlanRule",
            "rules.targetVaultName": "TargetBackupVault",
            "rules.schedule": "ScheduleExpression",
            "rules.startWindow": "StartWindowMinutes",
            "rules.completionWindow": "CompletionWindowMinutes",
            "rules.lifecycle.deleteAfter": "DeleteAfterDays",
            "rules.copyActions.destinationVaultArn": "DestinationBackupVaultArn",
            "rules.copyActions.lifecycle.deleteAfter": "DeleteAfterDays",
            "tags": "/BackupPlanTags",
        },
    ),
    "aws:backup/selection:Selection": Kind(
        "AWS::Backup::BackupSelection",
        at="BackupSelection",
        rename={"name": "SelectionName", "planId": "/BackupPlanId"},
    ),
    "aws:backup/vault:Vault": Kind(
        "AWS::Backup::BackupVault",
        rename={"name": "BackupVaultName", "kmsKeyArn": "EncryptionKeyArn", "tags": "BackupVaultTags"},
        without={"forceDestroy": _PROVIDER},
    ),
    "aws:backup/vaultLockConfiguration:VaultLockConfiguration": Kind(
        "AWS::Backup::BackupVault", at="LockConfiguration", rename={"backupVaultName": "/BackupVaultName"}
    ),
    "aws:budgets/budget:Budget": Kind(
        "AWS::Budgets::Budget",
        rename={"budget.limit": "BudgetLimit", "budget.name": "BudgetName", "tags": "ResourceTags"},
        prepare=forms.budget,
    ),
    "aws:cloudfront/distribution:Distribution": Kind(
        "AWS::CloudFront::Distribution",
        at="DistributionConfig",
        rename={
            "tags": "/Tags",
            "origins.originId": "Id",
        },
    ),
    "aws:cloudfront/originAccessControl:OriginAccessControl": Kind(
        "AWS::CloudFront::OriginAccessControl", at="OriginAccessControlConfig"
    ),
    "aws:cloudwatch/dashboard:Dashboard": Kind("AWS::CloudWatch::Dashboard"),
    "aws:cloudwatch/logGroup:LogGroup": Kind("AWS::Logs::LogGroup", rename={"name": "LogGroupName"}),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(
        "AWS::CloudWatch::Alarm", rename={"name": "AlarmName"}, prepare=forms.alarm
    ),
    "aws:codebuild/project:Project": Kind(
        "AWS::CodeBuild::Project",
        rename={"buildTimeout": "TimeoutInMinutes", "logsConfig.cloudwatchLogs": "CloudWatchLogs"},
    ),
    "aws:codebuild/webhook:Webhook": Kind(
        "AWS::CodeBuild::Project",
        at="Triggers",
        rename={"projectName": "/Name"},
        also=_PROJECT,
        prepare=forms.webhook,
    ),
    "aws:ec2/eip:Eip": Kind("AWS::EC2::EIP"),
    "aws:ec2/flowLog:FlowLog": Kind(
        "AWS::EC2::FlowLog",
        rename={"vpcId": "ResourceId", "iamRoleArn": "DeliverLogsPermissionArn"},
        also={"ResourceType": "VPC"},
    ),
    "aws:ec2/internetGateway:InternetGateway": Kind(
        "AWS::EC2::InternetGateway", without={"vpcId": "AWS::EC2::VPCGatewayAttachment"}
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": Kind(
        "AWS::EC2::LaunchTemplate",
        rename={"name": "LaunchTemplateName"},
        without={"updateDefaultVersion": _PROVIDER},
        prepare=forms.launch_template,
    ),
    "aws:ec2/natGateway:NatGateway": Kind("AWS::EC2::NatGateway"),
    "aws:ec2/route:Route": Kind("AWS::EC2::Route"),
    "aws:ec2/routeTable:RouteTable": Kind("AWS::EC2::RouteTable"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Kind("AWS::EC2::SubnetRouteTableAssociation"),
    "aws:ec2/securityGroup:SecurityGroup": Kind(
        "AWS::EC2::SecurityGroup", rename={"name": "GroupName", "description": "GroupDescription"}
    ),
    "aws:ec2/subnet:Subnet": Kind("AWS::EC2::Subnet"),
    "aws:ec2/vpc:Vpc": Kind("AWS::EC2::VPC"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Kind("AWS::EC2::VPCEndpoint"),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Kind(
        "AWS::ECR::Repository",
        rename={"policy": "LifecyclePolicy.LifecyclePolicyText", "repository": "RepositoryName"},
    ),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": Kind("AWS::ECR::PullThroughCacheRule"),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": Kind(
        "AWS::ECR::RepositoryCreationTemplate",
        rename={
            "appliedFors": "AppliedFor",
            "encryptionConfigurations": "EncryptionConfiguration",
        },
    ),
    "aws:ecr/repository:Repository": Kind(
        "AWS::ECR::Repository",
        rename={"name": "RepositoryName", "encryptionConfigurations": "EncryptionConfiguration"},
        without={"forceDelete": _PROVIDER},
    ),
    "aws:eks/addon:Addon": Kind(
        "AWS::EKS::Addon",
        rename={"resolveConflictsOnCreate": "ResolveConflicts"},
        without={"resolveConflictsOnUpdate": "CloudFormation has one for both; botocore knows its values"},
    ),
    "aws:eks/nodeGroup:NodeGroup": Kind(
        "AWS::EKS::Nodegroup",
        rename={"nodeRoleArn": "NodeRole", "subnetIds": "Subnets"},
        beside=forms.node,
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Kind("AWS::EKS::PodIdentityAssociation"),
    "aws:elasticache/parameterGroup:ParameterGroup": Kind(
        "AWS::ElastiCache::ParameterGroup",
        rename={
            "family": "CacheParameterGroupFamily",
            "parameters": "Properties",
            "name": "CacheParameterGroupName",
        },
        prepare=forms.parameters,
    ),
    "aws:elasticache/replicationGroup:ReplicationGroup": Kind(
        "AWS::ElastiCache::ReplicationGroup",
        rename={
            "description": "ReplicationGroupDescription",
            "nodeType": "CacheNodeType",
            "maintenanceWindow": "PreferredMaintenanceWindow",
            "parameterGroupName": "CacheParameterGroupName",
            "subnetGroupName": "CacheSubnetGroupName",
            "nodeGroupConfigurations": "NodeGroupConfiguration",
            "logDeliveryConfigurations.destination": "DestinationDetails.CloudWatchLogsDetails.LogGroup",
        },
        without={"applyImmediately": _PROVIDER, "authTokenUpdateStrategy": "botocore knows its values"},
        beside=forms.cache_node,
    ),
    "aws:elasticache/subnetGroup:SubnetGroup": Kind(
        "AWS::ElastiCache::SubnetGroup", rename={"name": "CacheSubnetGroupName"}
    ),
    "aws:iam/role:Role": Kind(
        "AWS::IAM::Role",
        rename={"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"},
    ),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        "AWS::IAM::RolePolicy",
        rename={"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Kind(
        "AWS::IAM::Role", rename={"policyArn": "ManagedPolicyArns", "role": "RoleName"}, also=_ROLE
    ),
    "aws:kms/alias:Alias": Kind("AWS::KMS::Alias", rename={"name": "AliasName"}),
    "aws:kms/key:Key": Kind(
        "AWS::KMS::Key", rename={"policy": "KeyPolicy", "deletionWindowInDays": "PendingWindowInDays"}
    ),
    "aws:lb/listener:Listener": Kind(
        "AWS::ElasticLoadBalancingV2::Listener",
        rename={
            "certificateArn": "Certificates",
            "defaultActions.fixedResponse": "FixedResponseConfig",
            "defaultActions.redirect": "RedirectConfig",
        },
        without={"tags": "CloudFormation tags no listener"},
        prepare=forms.listener,
    ),
    "aws:lb/listenerRule:ListenerRule": Kind(
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        rename={
            "actions.fixedResponse": "FixedResponseConfig",
            "conditions.httpRequestMethod": "HttpRequestMethodConfig",
            "conditions.pathPattern": "PathPatternConfig",
            "actions.redirect": "RedirectConfig",
        },
        without={"tags": "CloudFormation tags no rule"},
        prepare=forms.listener_rule,
    ),
    "aws:lb/loadBalancer:LoadBalancer": Kind(
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        rename={"loadBalancerType": "Type", "internal": "Scheme"},
        prepare=forms.load_balancer,
    ),
    "aws:lb/targetGroup:TargetGroup": Kind(
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        prepare=forms.target_group,
    ),
    "aws:rds/cluster:Cluster": Kind(
        "AWS::RDS::DBCluster",
        rename={
            "clusterIdentifier": "DBClusterIdentifier",
            "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
            "masterUserSecretKmsKeyId": "MasterUserSecret.KmsKeyId",
        },
        without={
            "applyImmediately": _PROVIDER,
            "skipFinalSnapshot": _PROVIDER,
            "finalSnapshotIdentifier": "CloudFormation names it itself",
        },
    ),
    "aws:rds/clusterInstance:ClusterInstance": Kind(
        "AWS::RDS::DBInstance",
        rename={
            "caCertIdentifier": "CACertificateIdentifier",
            "clusterIdentifier": "DBClusterIdentifier",
            "identifier": "DBInstanceIdentifier",
            "instanceClass": "DBInstanceClass",
            "performanceInsightsEnabled": "EnablePerformanceInsights",
        },
    ),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": Kind(
        "AWS::RDS::DBClusterParameterGroup",
        rename={"name": "DBClusterParameterGroupName"},
        prepare=forms.parameters,
    ),
    "aws:rds/subnetGroup:SubnetGroup": Kind(
        "AWS::RDS::DBSubnetGroup",
        rename={"name": "DBSubnetGroupName", "description": "DBSubnetGroupDescription"},
    ),
    "aws:route53/healthCheck:HealthCheck": Kind(
        "AWS::Route53::HealthCheck",
        rename={"healthCheckConfig.fqdn": "FullyQualifiedDomainName"},
        prepare=forms.health_check,
    ),
    "aws:route53/record:Record": Kind(
        "AWS::Route53::RecordSet",
        rename={
            "zoneId": "HostedZoneId",
            "records": "ResourceRecords",
            "aliases": "AliasTarget",
            "aliases.name": "DNSName",
            "aliases.zoneId": "HostedZoneId",
        },
        without={"allowOverwrite": _PROVIDER},
        prepare=forms.record,
    ),
    "aws:route53/zone:Zone": Kind(
        "AWS::Route53::HostedZone", rename={"comment": "HostedZoneConfig.Comment", "tags": "HostedZoneTags"}
    ),
    "aws:s3/bucket:Bucket": Kind(
        "AWS::S3::Bucket", rename={"bucket": "BucketName"}, without={"forceDestroy": _PROVIDER}
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Kind(
        "AWS::S3::Bucket",
        at="LifecycleConfiguration",
        rename={"bucket": "/BucketName"},
        prepare=forms.lifecycle,
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Kind("AWS::S3::BucketPolicy", rename={"policy": "PolicyDocument"}),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Kind(
        "AWS::S3::Bucket", at="PublicAccessBlockConfiguration", rename={"bucket": "/BucketName"}
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Kind(
        "AWS::S3::Bucket",
        at="BucketEncryption",
        rename={
            "bucket": "/BucketName",
            "rules": "ServerSideEncryptionConfiguration",
            "rules.applyServerSideEncryptionByDefault": "ServerSideEncryptionByDefault",
        },
    ),
    "aws:secretsmanager/secret:Secret": Kind(
        "AWS::SecretsManager::Secret", without={"recoveryWindowInDays": _PROVIDER}
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": Kind(
        "AWS::SecretsManager::Secret", rename={"secretId": "Name"}
    ),
    "aws:sns/topic:Topic": Kind("AWS::SNS::Topic", rename={"name": "TopicName"}),
    "aws:sns/topicSubscription:TopicSubscription": Kind(
        "AWS::SNS::Subscription", rename={"topic": "TopicArn"}
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Kind(
        "AWS::EC2::SecurityGroupEgress",
        rename={
            "cidrIpv4": "CidrIp",
            "referencedSecurityGroupId": "DestinationSecurityGroupId",
            "securityGroupId": "GroupId",
        },
        without={"tags": "CloudFormation tags no rule"},
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Kind(
        "AWS::EC2::SecurityGroupIngress",
        rename={
            "cidrIpv4": "CidrIp",
            "referencedSecurityGroupId": "SourceSecurityGroupId",
            "securityGroupId": "GroupId",
        },
        without={"tags": "CloudFormation tags no rule"},
    ),
    "aws:wafv2/webAcl:WebAcl": Kind("AWS::WAFv2::WebACL"),
    "aws:wafv2/webAclAssociation:WebAclAssociation": Kind("AWS::WAFv2::WebACLAssociation"),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": Kind(
        "AWS::WAFv2::LoggingConfiguration", prepare=forms.web_acl_logging
    ),
    "eks:index:Cluster": Kind(
        "AWS::EKS::Cluster",
        rename={
            "authenticationMode": "AccessConfig.AuthenticationMode",
            "endpointPrivateAccess": "ResourcesVpcConfig.EndpointPrivateAccess",
            "endpointPublicAccess": "ResourcesVpcConfig.EndpointPublicAccess",
            "privateSubnetIds": "ResourcesVpcConfig.SubnetIds",
            "publicAccessCidrs": "ResourcesVpcConfig.PublicAccessCidrs",
            "enabledClusterLogTypes": "Logging.ClusterLogging.EnabledTypes",
        },
        without={
            "corednsAddonOptions": _MADE_BY_COMPONENT,
            "createOidcProvider": _MADE_BY_COMPONENT,
            "kubeProxyAddonOptions": _MADE_BY_COMPONENT,
            "serviceRole": "the whole role, not its ARN",
            "skipDefaultNodeGroup": _MADE_BY_COMPONENT,
            "skipDefaultSecurityGroups": _MADE_BY_COMPONENT,
            "useDefaultVpcCni": _MADE_BY_COMPONENT,
            "vpcId": "follows from the subnets",
        },
        also={"RoleArn": "arn:aws:iam::123456789012:role/control-plane"},
        prepare=forms.cluster,
        beside=forms.access_entries,
    ),
}

NOT_IN_CLOUDFORMATION = {
    "aws:acm/certificateValidation:CertificateValidation": "a wait; it calls only DescribeCertificate",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "AWS makes it with the VPC; its rules are taken away",
    "aws:s3/bucketObjectv2:BucketObjectv2": "an object is data; botocore has PutObject",
}
"""Types that CloudFormation doesn't have, and why."""
