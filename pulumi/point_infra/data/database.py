"""Aurora MySQL: writer in the first zone, reader in the third, reachable from the cluster's pods only."""

import json

import pulumi_aws as aws
import pulumi_random as random

import pulumi
from point_infra.config import regions, sizes
from point_infra.config.settings import Settings
from point_infra.data.reach import from_pods
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.iam import POLICY, attach, trust
from point_infra.foundation.keys import Keys
from point_infra.foundation.logs import Logs
from point_infra.foundation.network import Network

NAME = "points"
"""Schema of the service."""

_PARAMETERS = {
    "require_secure_transport": "ON",
    "character_set_server": "utf8mb4",
    "time_zone": "UTC",
    # One row locked too long ends a request, not a pod: the service reruns it.
    "innodb_lock_wait_timeout": "5",
    "slow_query_log": "1",
    "long_query_time": "0.5",
    # Who came in, and who changed tables or rights; what the service writes is its own ledger.
    "server_audit_logging": "1",
    "server_audit_events": "CONNECT,QUERY_DCL,QUERY_DDL",
}
_LOGS = ("audit", "error", "slowquery")
_AUTHORITY = "rds-ca-rsa2048-g1"


class Database(pulumi.ComponentResource):
    """Endpoints of writer and reader, and the ARNs of both secrets."""

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
        super().__init__("point:index:Database", name, None, opts)
        self._name, self._s, self._keys = name, s, keys
        self._child = pulumi.ResourceOptions(parent=self)
        groups = [
            logs.group(f"{name}-{kind}", f"/aws/rds/cluster/{s.name}/{kind}", self._child) for kind in _LOGS
        ]
        database = self._cluster(network, cluster, groups)
        role = aws.iam.Role(
            f"{name}-monitoring", assume_role_policy=trust("monitoring.rds.amazonaws.com"), opts=self._child
        )
        enhanced = f"{POLICY}/service-role/AmazonRDSEnhancedMonitoringRole"
        attach(f"{name}-monitoring", role, [enhanced], self._child)
        writer = self._instance("writer", database, role, s.availability_zones[0], 0, None)
        if s.database_instances == 2:
            # The instance that is there first becomes the writer; the tier only orders promotion.
            self._instance("reader", database, role, s.availability_zones[2], 1, writer)
        self.cluster_id, self.arn = database.cluster_identifier, database.arn
        self.endpoint, self.reader_endpoint = database.endpoint, database.reader_endpoint
        self.port = database.port
        self.master_secret_arn = database.master_user_secrets.apply(
            lambda s: str(s[0].secret_arn) if s else ""
        )
        self.user_secret_arn = self._user()
        self.register_outputs({"endpoint": self.endpoint, "readerEndpoint": self.reader_endpoint})

    def _cluster(
        self, network: Network, cluster: Cluster, logs: list[aws.cloudwatch.LogGroup]
    ) -> aws.rds.Cluster:
        name, s = self._name, self._s
        group = from_pods(name, "Aurora", 3306, network, cluster, self._child)
        subnets = aws.rds.SubnetGroup(name, subnet_ids=network.data_subnet_ids, opts=self._child)
        parameters = aws.rds.ClusterParameterGroup(
            name,
            family="aurora-mysql8.0",
            description="TLS only, audited, slow queries logged",
            parameters=[{"name": k, "value": v, "apply_method": "immediate"} for k, v in _PARAMETERS.items()],
            opts=self._child,
        )
        insights = sizes.insights(s.database_instance_class)
        return aws.rds.Cluster(
            name,
            cluster_identifier=s.name,
            engine="aurora-mysql",
            engine_version=s.database_engine_version,
            database_name=NAME,
            master_username="root_points",
            manage_master_user_password=True,
            master_user_secret_kms_key_id=self._keys.key_arn,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            db_cluster_parameter_group_name=parameters.name,
            storage_encrypted=True,
            kms_key_id=self._keys.key_arn,
            backup_retention_period=s.backup_retention_days,
            preferred_backup_window=regions.window(s.region, 0),
            preferred_maintenance_window=regions.weekly_window(s.region, 1),
            serverlessv2_scaling_configuration=(
                {"min_capacity": s.database_min_capacity, "max_capacity": s.database_max_capacity}
                if s.serverless
                else None
            ),
            copy_tags_to_snapshot=True,
            apply_immediately=True,
            # When its standard support ends it moves on rather than being billed for more.
            engine_lifecycle_support="open-source-rds-extended-support-disabled",
            deletion_protection=s.deletion_protection,
            delete_automated_backups=not s.deletion_protection,
            skip_final_snapshot=not s.deletion_protection,
            final_snapshot_identifier=f"{s.name}-final" if s.deletion_protection else None,
            enabled_cloudwatch_logs_exports=list(_LOGS),
            database_insights_mode="standard",
            performance_insights_enabled=insights,
            performance_insights_kms_key_id=self._keys.key_arn if insights else None,
            performance_insights_retention_period=7 if insights else None,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=logs,
                protect=s.deletion_protection,
                # Aurora lists all zones that its storage is in, whatever was asked for.
                ignore_changes=["availabilityZones"],
            ),
        )

    def _instance(
        self,
        role_name: str,
        cluster: aws.rds.Cluster,
        monitoring: aws.iam.Role,
        zone: str,
        tier: int,
        after: aws.rds.ClusterInstance | None,
    ) -> aws.rds.ClusterInstance:
        insights = sizes.insights(self._s.database_instance_class)
        return aws.rds.ClusterInstance(
            f"{self._name}-{role_name}",
            identifier=f"{self._s.name}-{role_name}",
            cluster_identifier=cluster.cluster_identifier,
            engine=aws.rds.EngineType.AURORA_MYSQL,
            instance_class=self._s.database_instance_class,
            availability_zone=zone,
            promotion_tier=tier,
            publicly_accessible=False,
            auto_minor_version_upgrade=False,
            apply_immediately=True,  # else a done update waits for the maintenance window
            monitoring_interval=60,
            monitoring_role_arn=monitoring.arn,
            performance_insights_enabled=insights,
            performance_insights_kms_key_id=self._keys.key_arn if insights else None,
            ca_cert_identifier=_AUTHORITY,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[after] if after else None),
        )

    def _user(self) -> pulumi.Output[str]:
        """The application's user: the migration Job creates it in the database with what is here."""
        password = random.RandomPassword(f"{self._name}-user", length=40, special=False, opts=self._child)
        return secret(
            f"{self._name}-user",
            password.result.apply(lambda p: json.dumps({"username": "points", "password": p})),
            self._keys.key_arn,
            self._child,
            recoverable=self._s.deletion_protection,
        )


def secret(
    name: str,
    value: pulumi.Input[str],
    key_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    *,
    recoverable: bool,
) -> pulumi.Output[str]:
    """Keep `value` in Secrets Manager; returns the secret's ARN. A delete can be taken back for a week, or not."""
    kept = aws.secretsmanager.Secret(
        name, kms_key_id=key_arn, recovery_window_in_days=7 if recoverable else 0, opts=opts
    )
    aws.secretsmanager.SecretVersion(name, secret_id=kept.id, secret_string=value, opts=opts)
    return kept.arn
