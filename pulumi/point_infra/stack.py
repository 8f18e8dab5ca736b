"""The whole stack: which component gets what from which."""

from typing import Any

import pulumi
from point_infra.config.settings import Settings
from point_infra.cost import estimate
from point_infra.cost.inventory import Inventory
from point_infra.data.cache import Cache, CacheArgs
from point_infra.data.database import Database, DatabaseArgs
from point_infra.edge.dns import Dns, DnsArgs, Routing, RoutingArgs
from point_infra.edge.load_balancer import Edge, EdgeArgs
from point_infra.edge.standby import Standby, StandbyArgs
from point_infra.foundation.cluster import Cluster, ClusterArgs
from point_infra.foundation.keys import Keys
from point_infra.foundation.logs import Logs
from point_infra.foundation.network import Network, NetworkArgs
from point_infra.foundation.registry import Registry, RegistryArgs
from point_infra.incluster import point_service
from point_infra.incluster.controllers import Controllers, ControllersArgs
from point_infra.incluster.mesh import Mesh, MeshArgs
from point_infra.incluster.monitoring import Monitoring, MonitoringArgs
from point_infra.incluster.platform import Platform, PlatformArgs
from point_infra.observability.cloudwatch import Observability, ObservabilityArgs


class PointPlatform(pulumi.ComponentResource):
    """Root of everything; `outputs` is what a user looks up afterwards."""

    def __init__(self, settings: Settings) -> None:
        self.inventory = Inventory(settings.tags())
        super().__init__(
            "point:index:PointPlatform",
            settings.name,
            None,
            pulumi.ResourceOptions(transformations=[self.inventory.transformation]),
        )
        self._s = settings
        self._child = pulumi.ResourceOptions(parent=self)
        registry = Registry(
            "registry", RegistryArgs(settings.name, not settings.deletion_protection), self._child
        )
        self.outputs: dict[str, Any] = {
            "repositories": registry.urls,
            # What runs: a preview of something else takes them from here, so that they are no part of its plan.
            "serviceImageDigest": settings.service_image_digest,
            "operatorImageDigest": settings.operator_image_digest,
        }
        if settings.stage != "registry":
            self._foundation()
            self._edge()
            self._observe()
            self._in_cluster(registry)
        self.priced = estimate.lines(self.inventory.resources)
        self.outputs |= {
            "monthlyCostUsd": estimate.total(self.priced),
            "monthlyCostByService": estimate.by_service(self.priced),
        }
        self.register_outputs({})

    def _foundation(self) -> None:
        s = self._s
        self._keys = Keys(s.name, s.region, self._child)
        self._logs = Logs(s.log_retention_days, self._keys.key_arn)
        self._network = Network(
            "network",
            NetworkArgs(s.vpc_cidr, s.availability_zones, s.nat_gateways, s.region, s.name, self._logs),
            self._child,
        )
        self._cluster = Cluster(
            "cluster",
            ClusterArgs(
                cluster_name=s.name,
                version=s.kubernetes_version,
                vpc_id=self._network.vpc_id,
                subnet_ids=self._network.private_subnet_ids,
                zones=s.availability_zones,
                instance_type=s.node_instance_type,
                nodes_per_zone=s.nodes_per_zone,
                max_nodes_per_zone=s.max_nodes_per_zone,
                api_allowed_cidrs=s.api_allowed_cidrs,
                admin_role_arns=s.admin_role_arns,
                viewer_role_arns=s.viewer_role_arns,
                key_arn=self._keys.key_arn,
                logs=self._logs,
                deletion_protection=s.deletion_protection,
            ),
            self._child,
        )
        self._database = Database(
            "database",
            DatabaseArgs(
                cluster_name=s.name,
                vpc_id=self._network.vpc_id,
                subnet_ids=self._network.data_subnet_ids,
                zones=s.availability_zones,
                client_security_group_id=self._cluster.security_group_id,
                instance_class=s.database_instance_class,
                engine_version=s.database_engine_version,
                key_arn=self._keys.key_arn,
                backup_retention_days=s.backup_retention_days,
                logs=self._logs,
                deletion_protection=s.deletion_protection,
            ),
            self._child,
        )
        self._cache = Cache(
            "cache",
            CacheArgs(
                group_id=s.name,
                vpc_id=self._network.vpc_id,
                subnet_ids=self._network.data_subnet_ids,
                zones=s.availability_zones,
                client_security_group_id=self._cluster.security_group_id,
                node_type=s.cache_node_type,
                engine=s.cache_engine,
                engine_version=s.cache_engine_version,
                key_arn=self._keys.key_arn,
                token_generation=s.cache_token_generation,
                snapshot_days=7 if s.prod else 1,
                logs=self._logs,
                deletion_protection=s.deletion_protection,
            ),
            self._child,
        )
        self.outputs |= {
            "clusterName": s.name,
            "kubeconfigCommand": f"aws eks update-kubeconfig --region {s.region} --name {s.name}",
            "databaseEndpoint": self._database.endpoint,
            "databaseReaderEndpoint": self._database.reader_endpoint,
            "databaseSecretArn": self._database.user_secret_arn,
            "databaseMasterSecretArn": self._database.master_secret_arn,
            "cacheEndpoint": self._cache.endpoint,
            "cacheSecretArn": self._cache.token_secret_arn,
        }

    def _edge(self) -> None:
        s = self._s
        self._dns = Dns(
            "dns",
            DnsArgs(s.domain_name, s.origin_name, s.zone_name, s.create_zone, s.certificate_arn),
            self._child,
        )
        self._balancer = Edge(
            "edge",
            EdgeArgs(
                vpc_id=self._network.vpc_id,
                subnet_ids=self._network.public_subnet_ids,
                pod_security_group_id=self._cluster.security_group_id,
                certificate_arn=self._dns.certificate_arn,
                deletion_protection=s.deletion_protection,
                waf=s.waf,
                stack_name=s.name,
                logs=self._logs,
            ),
            self._child,
        )
        standby = None
        if s.standby_page:
            standby = Standby(
                "standby",
                StandbyArgs(s.domain_name, not s.deletion_protection),
                pulumi.ResourceOptions(parent=self, depends_on=[self._dns]),
            )
        self._routing = Routing(
            "routing",
            RoutingArgs(
                zone_id=self._dns.zone_id,
                domain_name=s.domain_name,
                origin_name=s.origin_name,
                alb_dns_name=self._balancer.dns_name,
                alb_zone_id=self._balancer.zone_id,
                standby_dns_name=standby.dns_name if standby else None,
                standby_zone_id=standby.zone_id if standby else None,
            ),
            self._child,
        )
        self.outputs |= {
            "url": f"https://{s.domain_name}",
            "nameServers": self._dns.name_servers,
            "loadBalancerName": self._balancer.dns_name,
        }

    def _observe(self) -> None:
        s = self._s
        self._observability = Observability(
            "observability",
            ObservabilityArgs(
                region=s.region,
                cluster=self._cluster,
                cluster_name=s.name,
                key_arn=self._keys.key_arn,
                logs=self._logs,
                alarm_email=s.alarm_email,
                monthly_budget_usd=s.monthly_budget_usd,
                load_balancer=self._balancer.arn_suffix,
                target_group=self._balancer.target_group_arn_suffix,
                database_cluster=s.name,
                cache_group=s.name,
                nat_gateway_ids=self._network.nat_gateway_ids,
                certificate_arn=self._dns.certificate_arn,
                health_check_id=self._routing.health_check_id,
            ),
            self._child,
        )
        self.outputs |= {
            "dashboardUrl": self._observability.dashboard_url,
            "alarmTopicArn": self._observability.topic_arn,
        }

    def _in_cluster(self, registry: Registry) -> None:
        s = self._s
        provider = self._cluster.provider
        controllers = Controllers(
            "controllers",
            ControllersArgs(
                cluster=self._cluster,
                cluster_name=s.name,
                region=s.region,
                vpc_id=self._network.vpc_id,
                target_group_arn=self._balancer.target_group_arn,
                secret_arns=[
                    self._database.user_secret_arn,
                    self._database.master_secret_arn,
                    self._cache.token_secret_arn,
                ],
                key_arn=self._keys.key_arn,
            ),
            self._child,
        )
        hosts = (s.domain_name, s.origin_name)
        mesh = Mesh(
            "mesh",
            MeshArgs(
                provider=provider,
                hosts=hosts,
                target_group_arn=self._balancer.target_group_arn,
                after=[*self._cluster.ready, controllers.load_balancer],
                load_balancer_controller=controllers.load_balancer,
            ),
            self._child,
        )
        monitoring = Monitoring(
            "monitoring",
            MonitoringArgs(
                cluster=self._cluster,
                provider=provider,
                region=s.region,
                topic_arn=self._observability.topic_arn,
                key_arn=self._keys.key_arn,
                after=mesh.ready,
            ),
            self._child,
        )
        rules = point_service.Rules(hosts, s.jwt_issuer, s.jwks_uri, s.jwt_audiences, s.cors_origins)
        service = pulumi.Output.all(
            registry.urls["point-service"],
            self._database.endpoint,
            self._database.reader_endpoint,
            self._cache.endpoint,
        ).apply(
            lambda a: point_service.manifest(
                point_service.Addresses(f"{a[0]}@{s.service_image_digest}", a[1], a[2], a[3]), rules
            )
        )
        Platform(
            "platform",
            PlatformArgs(
                provider=provider,
                region=s.region,
                operator_image=registry.urls["point-operator"].apply(
                    lambda url: f"{url}@{s.operator_image_digest}"
                ),
                user_secret_arn=self._database.user_secret_arn,
                master_secret_arn=self._database.master_secret_arn,
                token_secret_arn=self._cache.token_secret_arn,
                point_service=service if s.create_point_service else None,
                external_secrets=controllers.external_secrets,
                after=[*mesh.ready, monitoring.ready],
            ),
            self._child,
        )
        self.outputs["pointServiceYaml"] = service.apply(point_service.text)
