"""ElastiCache in cluster mode: one shard, primary in the first zone, replica in the third."""

import json

import pulumi_aws as aws
import pulumi_random as random

import pulumi
from point_infra.config import regions
from point_infra.config.settings import Settings
from point_infra.config.versions import CACHE_FAMILIES
from point_infra.data.database import secret
from point_infra.data.reach import from_pods
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.keys import Keys
from point_infra.foundation.logs import Logs
from point_infra.foundation.network import Network


class Cache(pulumi.ComponentResource):
    """The configuration endpoint, and the ARN of the token's secret."""

    def __init__(
        self,
        name: str,
        s: Settings,
        network: Network,
        cluster: Cluster,
        keys: Keys,
        logs: Logs,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("point:index:Cache", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = from_pods(name, "Cache", 6379, network, cluster, child)
        subnets = aws.elasticache.SubnetGroup(name, subnet_ids=network.data_subnet_ids, opts=child)
        major = s.cache_engine_version.split(".")[0]
        parameters = aws.elasticache.ParameterGroup(
            name,
            family=CACHE_FAMILIES[f"{s.cache_engine} {major}"],
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
            keepers={"generation": str(s.cache_token_generation)},
            opts=child,
        )
        slow = logs.group(f"{name}-slow", f"/aws/elasticache/{s.name}/slow", child)
        cache = aws.elasticache.ReplicationGroup(
            name,
            replication_group_id=s.name,
            description="Lock per member and answered idempotency keys",
            engine=s.cache_engine,
            engine_version=s.cache_engine_version,
            node_type=s.cache_node_type,
            port=6379,
            parameter_group_name=parameters.name,
            num_node_groups=1,
            # Zones are said here; preferred_cache_cluster_azs excludes it (terraform-provider-aws 44879). Id and slots
            # are what a read says, and would be a change in every plan if they were left out.
            node_group_configurations=[
                {
                    "node_group_id": "0001",
                    "slots": "0-16383",
                    "primary_availability_zone": s.availability_zones[0],
                    "replica_availability_zones": [s.availability_zones[2]] if s.cache_replicas else [],
                    "replica_count": s.cache_replicas,
                }
            ],
            automatic_failover_enabled=True,  # cluster mode insists on it, replica or not
            multi_az_enabled=s.cache_replicas > 0,
            subnet_group_name=subnets.name,
            security_group_ids=[group.id],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=keys.key_arn,
            auth_token=token.result,
            auth_token_update_strategy="ROTATE",  # noqa: S106 - a strategy; the old token stays good for now
            snapshot_retention_limit=7 if s.production else 1,
            snapshot_window=regions.window(s.region, -1),
            maintenance_window=regions.weekly_window(s.region, 0),
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
            # Read back in the order of the members, whose first is taken for the primary: after a failover a plan
            # would want another group.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["nodeGroupConfigurations"]),
        )
        self.group_id = cache.replication_group_id
        self.endpoint = cache.configuration_endpoint_address
        # The group is named for the order alone: while it is modified, and from then on, the old token is good; a new
        # one is only when it is done, and pods get it within minutes of its being here.
        self.token_secret_arn = secret(
            f"{name}-token",
            pulumi.Output.all(token.result, cache.arn).apply(lambda a: json.dumps({"password": a[0]})),
            keys.key_arn,
            child,
            recoverable=s.deletion_protection,
        )
        self.register_outputs({"endpoint": self.endpoint})
