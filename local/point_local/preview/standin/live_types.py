"""Types that the stand-in makes for real in moto: which API call makes, reads, changes and deletes each.

Arguments find their place by name (cidrBlock is CidrBlock), so a row says only what differs.
"""

from typing import Any

from point_local.preview.standin.row import Row


def _rule(props: dict[str, Any]) -> dict[str, Any]:
    permission: dict[str, Any] = {
        "IpProtocol": props["ipProtocol"],
        "FromPort": int(props["fromPort"]),
        "ToPort": int(props["toPort"]),
    }
    if "cidrIpv4" in props:
        permission["IpRanges"] = [{"CidrIp": props["cidrIpv4"]}]
    else:
        permission["UserIdGroupPairs"] = [{"GroupId": props["referencedSecurityGroupId"]}]
    return {"GroupId": props["securityGroupId"], "IpPermissions": [permission]}


def _listener_rule(props: dict[str, Any]) -> dict[str, Any]:
    def configs(one: dict[str, Any]) -> dict[str, Any]:
        """What a condition or an action says under its kind's name: fixedResponse is FixedResponseConfig."""
        return {
            f"{_capital(kind)}Config": {_capital(name): value for name, value in said.items()}
            for kind, said in one.items()
            if isinstance(said, dict)
        }

    return {
        "ListenerArn": props["listenerArn"],
        "Priority": int(props["priority"]),
        "Conditions": [
            {"Field": "".join("-" + c.lower() if c.isupper() else c for c in next(iter(one))), **configs(one)}
            for one in props["conditions"]
        ],
        "Actions": [{"Type": one["type"], **configs(one)} for one in props["actions"]],
    }


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _ec2(noun: str, root: str, id_: str, **more: Any) -> Row:
    snake = "".join("_" + c.lower() if c.isupper() else c for c in noun).lstrip("_")
    return Row(
        "ec2",
        f"create_{snake}",
        id_ if "." in id_ else f"{root}.{id_}",
        f"delete_{snake}",
        id_.rsplit(".", 1)[-1],
        f"describe_{snake}s",
        f"{id_.rsplit('.', 1)[-1]}s[]",
        f"{root}s[0]",
        tag_type=more.pop("tag_type", snake.replace("_", "-")),
        **more,
    )


def _rule_row(direction: str) -> Row:
    return Row(
        "ec2",
        f"authorize_security_group_{direction}",
        "SecurityGroupRules[0].SecurityGroupRuleId",
        "",
        "",
        build=_rule,
    )


ROWS: dict[str, Row] = {
    "aws:ec2/vpc:Vpc": _ec2("Vpc", "Vpc", "VpcId"),
    "aws:ec2/subnet:Subnet": _ec2("Subnet", "Subnet", "SubnetId", out={"arn": "SubnetArn"}),
    "aws:ec2/internetGateway:InternetGateway": _ec2(
        "InternetGateway", "InternetGateway", "InternetGatewayId"
    ),
    "aws:ec2/routeTable:RouteTable": _ec2("RouteTable", "RouteTable", "RouteTableId"),
    "aws:ec2/eip:Eip": Row(
        *("ec2", "allocate_address", "AllocationId", "release_address", "AllocationId"),
        *("describe_addresses", "AllocationIds[]", "Addresses[0]"),
        tag_type="elastic-ip",
    ),
    "aws:ec2/natGateway:NatGateway": Row(
        *("ec2", "create_nat_gateway", "NatGateway.NatGatewayId", "delete_nat_gateway", "NatGatewayId"),
        *("describe_nat_gateways", "NatGatewayIds[]", "NatGateways[?State!='deleted']|[0]"),
        tag_type="natgateway",
    ),
    "aws:ec2/securityGroup:SecurityGroup": _ec2(
        "SecurityGroup", "SecurityGroup", ".GroupId", alias={"name": "GroupName"}
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule_row("ingress"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule_row("egress"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Row(
        *("ec2", "create_vpc_endpoint", "VpcEndpoint.VpcEndpointId", "delete_vpc_endpoints"),
        *(
            "VpcEndpointIds[]",
            "describe_vpc_endpoints",
            "VpcEndpointIds[]",
            "VpcEndpoints[?State!='deleted']|[0]",
        ),
        tag_type="vpc-endpoint",
    ),
    "aws:lb/loadBalancer:LoadBalancer": Row(
        *("elbv2", "create_load_balancer", "LoadBalancers[0].LoadBalancerArn", "delete_load_balancer"),
        *("LoadBalancerArn", "describe_load_balancers", "LoadBalancerArns[]", "LoadBalancers[0]"),
        alias={"loadBalancerType": "Type"},
        out={"arn": "LoadBalancerArn", "zoneId": "CanonicalHostedZoneId"},
    ),
    "aws:lb/targetGroup:TargetGroup": Row(
        *("elbv2", "create_target_group", "TargetGroups[0].TargetGroupArn", "delete_target_group"),
        *("TargetGroupArn", "describe_target_groups", "TargetGroupArns[]", "TargetGroups[0]"),
        out={"arn": "TargetGroupArn"},
    ),
    "aws:lb/listener:Listener": Row(
        *("elbv2", "create_listener", "Listeners[0].ListenerArn", "delete_listener", "ListenerArn"),
        *("describe_listeners", "ListenerArns[]", "Listeners[0]"),
        alias={"certificateArn": "Certificates"},
        out={"arn": "ListenerArn"},
        then=("modify_listener",),
    ),
    "aws:lb/listenerRule:ListenerRule": Row(
        *("elbv2", "create_rule", "Rules[0].RuleArn", "delete_rule", "RuleArn"),
        *("describe_rules", "RuleArns[]", "Rules[0]"),
        out={"arn": "RuleArn"},
        build=_listener_rule,
    ),
    "aws:rds/subnetGroup:SubnetGroup": Row(
        *("rds", "create_db_subnet_group", "DBSubnetGroup.DBSubnetGroupName", "delete_db_subnet_group"),
        *("DBSubnetGroupName", "describe_db_subnet_groups", "DBSubnetGroupName", "DBSubnetGroups[0]"),
        alias={"name": "DBSubnetGroupName"},
        extra={"DBSubnetGroupDescription": "Managed by Pulumi"},
    ),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": Row(
        *("rds", "create_db_cluster_parameter_group", "DBClusterParameterGroup.DBClusterParameterGroupName"),
        *("delete_db_cluster_parameter_group", "DBClusterParameterGroupName"),
        *(
            "describe_db_cluster_parameter_groups",
            "DBClusterParameterGroupName",
            "DBClusterParameterGroups[0]",
        ),
        alias={"name": "DBClusterParameterGroupName", "family": "DBParameterGroupFamily"},
    ),
    "aws:rds/cluster:Cluster": Row(
        *(
            "rds",
            "create_db_cluster",
            "DBCluster.DBClusterIdentifier",
            "delete_db_cluster",
            "DBClusterIdentifier",
        ),
        *("describe_db_clusters", "DBClusterIdentifier", "DBClusters[0]"),
        alias={"clusterIdentifier": "DBClusterIdentifier"},
        out={"arn": "DBClusterArn"},
        extra_delete={"SkipFinalSnapshot": True},
        update="modify_db_cluster",
        drift=("backupRetentionPeriod",),
    ),
    "aws:rds/clusterInstance:ClusterInstance": Row(
        *("rds", "create_db_instance", "DBInstance.DBInstanceIdentifier", "delete_db_instance"),
        *("DBInstanceIdentifier", "describe_db_instances", "DBInstanceIdentifier", "DBInstances[0]"),
        alias={
            "identifier": "DBInstanceIdentifier",
            "clusterIdentifier": "DBClusterIdentifier",
            "instanceClass": "DBInstanceClass",
        },
        out={"arn": "DBInstanceArn"},
        extra_delete={"SkipFinalSnapshot": True},
        update="modify_db_instance",
        drift=("instanceClass",),
    ),
    "aws:route53/zone:Zone": Row(
        *(
            "route53",
            "create_hosted_zone",
            "HostedZone.Id",
            "delete_hosted_zone",
            "Id",
            "get_hosted_zone",
            "Id",
        ),
        "{zoneId: HostedZone.Id, nameServers: DelegationSet.NameServers}",
        extra={"CallerReference": "point"},
    ),
    "aws:route53/healthCheck:HealthCheck": Row(
        *("route53", "create_health_check", "HealthCheck.Id", "delete_health_check", "HealthCheckId"),
        *("get_health_check", "HealthCheckId", "HealthCheck"),
        build=lambda p: {
            "CallerReference": "point",
            "HealthCheckConfig": {
                "Type": p["type"],
                "FullyQualifiedDomainName": p["fqdn"],
                "Port": int(p["port"]),
                "ResourcePath": p["resourcePath"],
                "RequestInterval": int(p["requestInterval"]),
                "FailureThreshold": int(p["failureThreshold"]),
                "EnableSNI": p["enableSni"],
            },
        },
    ),
    "aws:acm/certificate:Certificate": Row(
        *("acm", "request_certificate", "CertificateArn", "delete_certificate", "CertificateArn"),
        *("describe_certificate", "CertificateArn", "Certificate"),
        out={"arn": "CertificateArn"},
    ),
    "aws:iam/role:Role": Row(
        *("iam", "create_role", "Role.RoleName", "delete_role", "RoleName", "get_role", "RoleName", "Role"),
        alias={"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"},
    ),
    "aws:iam/rolePolicy:RolePolicy": Row(
        *("iam", "put_role_policy", "={RoleName}|{PolicyName}", "delete_role_policy", "RoleName|PolicyName"),
        alias={"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Row(
        *("iam", "attach_role_policy", "={RoleName}|{PolicyArn}", "detach_role_policy", "RoleName|PolicyArn"),
        alias={"role": "RoleName"},
    ),
    "aws:kms/key:Key": Row(
        *(
            "kms",
            "create_key",
            "KeyMetadata.KeyId",
            "schedule_key_deletion",
            "KeyId",
            "describe_key",
            "KeyId",
        ),
        "KeyMetadata",
        then=("enable_key_rotation",),
    ),
    "aws:kms/alias:Alias": Row(
        *("kms", "create_alias", "={AliasName}", "delete_alias", "AliasName"), alias={"name": "AliasName"}
    ),
    "aws:cloudwatch/logGroup:LogGroup": Row(
        *("logs", "create_log_group", "={logGroupName}", "delete_log_group", "logGroupName"),
        *("describe_log_groups", "logGroupNamePrefix", "logGroups[0]"),
        alias={"name": "logGroupName"},
        then=("put_retention_policy",),
        drift=("retentionInDays",),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Row(
        *("cloudwatch", "put_metric_alarm", "={AlarmName}", "delete_alarms", "AlarmNames[]"),
        *("describe_alarms", "AlarmNames[]", "MetricAlarms[0]"),
        alias={"name": "AlarmName"},
        out={"arn": "AlarmArn"},
        update="put_metric_alarm",
        drift=("threshold",),
    ),
    "aws:cloudwatch/dashboard:Dashboard": Row(
        *("cloudwatch", "put_dashboard", "={DashboardName}", "delete_dashboards", "DashboardNames[]"),
    ),
    "aws:sns/topic:Topic": Row(
        *("sns", "create_topic", "TopicArn", "delete_topic", "TopicArn", "get_topic_attributes", "TopicArn"),
        "Attributes",
        out={"arn": "TopicArn"},
    ),
    "aws:ecr/repository:Repository": Row(
        *("ecr", "create_repository", "repository.repositoryName", "delete_repository", "repositoryName"),
        *("describe_repositories", "repositoryNames[]", "repositories[0]"),
        alias={"name": "repositoryName"},
        out={"arn": "repositoryArn", "repositoryUrl": "repositoryUri"},
    ),
    "aws:secretsmanager/secret:Secret": Row(
        *(
            "secretsmanager",
            "create_secret",
            "ARN",
            "delete_secret",
            "SecretId",
            "describe_secret",
            "SecretId",
        ),
        "@",
        extra_delete={"ForceDeleteWithoutRecovery": True},
    ),
    "aws:s3/bucket:Bucket": Row(
        *("s3", "create_bucket", "={Bucket}", "delete_bucket", "Bucket"),
        build=lambda p: {
            "Bucket": p["bucket"],
            "CreateBucketConfiguration": {"LocationConstraint": "ap-northeast-2"},
        },
    ),
    "aws:eks/cluster:Cluster": Row(
        *(
            "eks",
            "create_cluster",
            "cluster.name",
            "delete_cluster",
            "name",
            "describe_cluster",
            "name",
            "cluster",
        ),
        alias={"vpcConfig": "resourcesVpcConfig"},
    ),
}
