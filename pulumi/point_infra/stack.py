"""The whole stack: which component gets what from which."""

from typing import Any

import pulumi
from point_infra.config.settings import Settings
from point_infra.cost import estimate, prices, usage
from point_infra.cost.inventory import Inventory
from point_infra.data.backup import Backup
from point_infra.data.cache import Cache
from point_infra.data.database import Database
from point_infra.edge.dns import Dns
from point_infra.edge.load_balancer import Edge
from point_infra.edge.routing import Routing
from point_infra.edge.standby import Standby
from point_infra.edge.zone import Zone
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.image_cache import ImageCache
from point_infra.foundation.keys import Keys
from point_infra.foundation.logs import Logs
from point_infra.foundation.network import Network
from point_infra.foundation.registry import Registry
from point_infra.foundation.runner import Runner
from point_infra.incluster.controllers import Controllers
from point_infra.incluster.mesh import Mesh
from point_infra.incluster.monitoring import Monitoring
from point_infra.incluster.platform import Platform
from point_infra.observability.cloudwatch import Observability


class PointPlatform(pulumi.ComponentResource):
    """Root of everything; `outputs` is what a user looks up afterwards."""

    def __init__(self, settings: Settings) -> None:
        self.inventory = Inventory(settings.tags(), settings.permissions_boundary)
        super().__init__(
            "point:index:PointPlatform",
            settings.name,
            None,
            pulumi.ResourceOptions(transformations=[self.inventory.transformation]),
        )
        self._s = settings
        self._child = pulumi.ResourceOptions(parent=self)
        registry = Registry("registry", settings, self._child)
        self.outputs: dict[str, Any] = {
            "repositories": registry.urls,
            # What runs: a preview of something else takes them from here, so that they are no part of its plan.
            "serviceImageDigest": settings.service_image_digest,
            "operatorImageDigest": settings.operator_image_digest,
        }
        keys = Keys(settings.name, settings.region, self._child, existing=settings.kms_key_arn)
        logs = Logs(settings.log_retention_days, keys.key_arn)
        network = Network("network", settings, logs, self._child)
        zone = Zone("zone", settings, self._child)
        runner = (
            Runner("runner", settings, network, logs, self._child) if settings.runner_repository else None
        )
        # What somebody needs before the rest: where to delegate to, and where a runner stands.
        self.outputs |= {
            "nameServers": zone.name_servers,
            "vpcId": network.vpc_id,
            "privateSubnetIds": network.private_subnet_ids,
            "runnerProject": runner.project_name if runner else "",
        }
        if settings.stage != "foundation":
            self._everything(registry, keys, logs, network, zone, runner)
        known, expected = prices.load(settings.region), usage.of(settings.profile)
        priced = estimate.lines(self.inventory.resources, known, expected)
        self.cost = estimate.table(priced, known, expected)
        self.outputs |= {
            "monthlyCostUsd": estimate.total(priced),
            "monthlyCostIsComplete": estimate.complete(priced),
            "monthlyCostByService": estimate.by_service(priced),
        }
        self.register_outputs({})

    def _everything(
        self, registry: Registry, keys: Keys, logs: Logs, network: Network, zone: Zone, runner: Runner | None
    ) -> None:
        s, child = self._s, self._child
        images = ImageCache("images", s, child)
        cluster = Cluster("cluster", s, network, keys, logs, images, child, runner=runner)
        database = Database("database", s, network, cluster, keys, logs, child)
        if s.backup_vault != "none":
            Backup("backup", s, database, keys, child)
        cache = Cache("cache", s, network, cluster, keys, logs, child)
        dns = Dns("dns", s, zone, child)
        edge = Edge("edge", s, network, cluster, dns, logs, child)
        after_dns = pulumi.ResourceOptions(parent=self, depends_on=[dns])
        standby = Standby("standby", s, after_dns) if s.standby_page else None
        routing = Routing("routing", s, zone, edge, standby, child)
        observability = Observability(
            "observability", s, network, cluster, child,
            keys=keys, logs=logs, dns=dns, edge=edge, routing=routing,
        )  # fmt: skip
        controllers = Controllers(
            "controllers",
            s,
            network,
            cluster,
            images,
            child,
            edge=edge,
            database=database,
            cache=cache,
            keys=keys,
        )
        mesh = Mesh("mesh", s, cluster, images, edge, controllers, child)
        monitoring = Monitoring("monitoring", s, cluster, images, keys, observability, mesh, child)
        platform = Platform(
            "platform", s, network, cluster, registry, child,
            database=database, cache=cache, controllers=controllers, mesh=mesh, monitoring=monitoring,
        )  # fmt: skip
        self.outputs |= {
            "clusterName": s.cluster_name,
            "kubeconfigCommand": f"aws eks update-kubeconfig --region {s.region} --name {s.cluster_name}",
            "databaseEndpoint": database.endpoint,
            "databaseReaderEndpoint": database.reader_endpoint,
            "databaseSecretArn": database.user_secret_arn,
            "databaseMasterSecretArn": database.master_secret_arn,
            "cacheEndpoint": cache.endpoint,
            "cacheSecretArn": cache.token_secret_arn,
            "url": f"https://{s.domain_name}",
            "loadBalancerName": edge.dns_name,
            "dashboardUrl": observability.dashboard_url,
            "alarmTopicArn": observability.topic_arn,
            "pointServiceYaml": platform.point_service_yaml,
        }
