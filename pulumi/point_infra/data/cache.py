"""ElastiCache in cluster mode: one shard, primary in the first zone, replica in the third."""

import json
from dataclasses import dataclass

import pulumi_aws as aws
import pulumi_random as random

import pulumi
from point_infra.config.versions import CACHE_FAMILIES
from point_infra.data.database import secret
from point_infra.foundation.logs import Logs


@dataclass(frozen=True)
class CacheArgs:
    """What the cache is made of."""

    group_id: str
    vpc_id: pulumi.Input[str]
    subnet_ids: list[pulumi.Output[str]]
    zones: tuple[str, ...]
    client_security_group_id: pulumi.Input[str]
    node_type: str
    engine: str
    engine_version: str
    key_arn: pulumi.Input[str]
    token_generation: int
    snapshot_days: int
    logs: Logs
    deletion_protection: bool


class Cache(pulumi.ComponentResource):
    """The configuration endpoint, and the ARN of the token's secret."""

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("point:index:Cache", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            name, description="Cache of the point service", vpc_id=args.vpc_id, opts=child
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-pods",
            security_group_id=group.id,
            referenced_security_group_id=args.client_security_group_id,
            ip_protocol="tcp",
            from_port=6379,
            to_port=6379,
            description="Pods of the cluster",
            opts=child,
        )
        subnets = aws.elasticache.SubnetGroup(name, subnet_ids=args.subnet_ids, opts=child)
        major = args.engine_version.split(".")[0]
        parameters = aws.elasticache.ParameterGroup(
            name,
            family=CACHE_FAMILIES[f"{args.engine} {major}"],
            parameters=[
                {"name": "cluster-enabled", "value": "yes"},
                # Locks and answers all expire: when memory ends, the one that would first goes first.
                {"name": "maxmemory-policy", "value": "volatile-ttl"},
            ],
            opts=child,
        )
        token = random.RandomPassword(
            f"{name}-token",
            length=64,
            special=False,
            keepers={"generation": str(args.token_generation)},
            opts=child,
        )
        slow = args.logs.group(f"{name}-slow", f"/aws/elasticache/{args.group_id}/slow", child)
        cache = aws.elasticache.ReplicationGroup(
            name,
            replication_group_id=args.group_id,
            description="Lock per member and answered idempotency keys",
            engine=args.engine,
            engine_version=args.engine_version,
            node_type=args.node_type,
            port=6379,
            parameter_group_name=parameters.name,
            num_node_groups=1,
            # Zones are said here; preferred_cache_cluster_azs excludes it (terraform-provider-aws 44879).
            node_group_configurations=[
                {
                    "primary_availability_zone": args.zones[0],
                    "replica_availability_zones": [args.zones[2]],
                    "replica_count": 1,
                }
            ],
            automatic_failover_enabled=True,
            multi_az_enabled=True,
            subnet_group_name=subnets.name,
            security_group_ids=[group.id],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=args.key_arn,
            auth_token=token.result,
            auth_token_update_strategy="ROTATE",  # noqa: S106 - a strategy; the old token stays good for now
            snapshot_retention_limit=args.snapshot_days,
            snapshot_window="17:00-18:00",
            maintenance_window="sun:18:00-sun:19:00",
            auto_minor_version_upgrade=False,
            apply_immediately=True,  # else a done update waits for the maintenance window
            log_delivery_configurations=[
                {
                    "destination": slow.name,
                    "destination_type": "cloudwatch-logs",
                    "log_format": "json",
                    "log_type": "slow-log",
                }
            ],
            opts=child,
        )
        self.group_id = cache.replication_group_id
        self.endpoint = cache.configuration_endpoint_address
        self.token_secret_arn = secret(
            f"{name}-token",
            token.result.apply(lambda t: json.dumps({"password": t})),
            args.key_arn,
            child,
            recoverable=args.deletion_protection,
        )
        self.register_outputs({"endpoint": self.endpoint})
