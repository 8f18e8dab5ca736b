"""Where the names point: the load balancer, and the page that answers while it can't."""

import pulumi_aws as aws

import pulumi
from point_infra.config.settings import Settings
from point_infra.edge.load_balancer import Edge
from point_infra.edge.standby import Standby
from point_infra.edge.zone import Zone


class Routing(pulumi.ComponentResource):
    """Alias records by health check.

    The check asks the origin name, never the service's own: that one answers from the standby page while the
    origin is down, and would so report it healthy again.
    """

    health_check_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        s: Settings,
        zone: Zone,
        edge: Edge,
        standby: Standby | None,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("point:index:Routing", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        record = pulumi.ResourceOptions(parent=self, provider=zone.provider)
        alb = aws.route53.RecordAliasArgs(
            name=edge.dns_name, zone_id=edge.zone_id, evaluate_target_health=True
        )
        aws.route53.Record(
            f"{name}-origin",
            zone_id=zone.zone_id,
            name=s.origin_name,
            type="A",
            aliases=[alb],
            opts=record,
        )
        check = aws.route53.HealthCheck(
            name,
            type="HTTPS",
            fqdn=s.origin_name,
            port=443,
            resource_path="/healthz",  # the one path that needs no token and reaches the service
            enable_sni=True,
            request_interval=10,
            failure_threshold=3,
            opts=child,
        )
        self.health_check_id = check.id
        failover = standby is not None
        aws.route53.Record(
            f"{name}-primary",
            zone_id=zone.zone_id,
            name=s.domain_name,
            type="A",
            aliases=[alb],
            set_identifier="primary" if failover else None,
            failover_routing_policies=[{"type": "PRIMARY"}] if failover else None,
            health_check_id=check.id if failover else None,
            opts=record,
        )
        if standby is not None:
            aws.route53.Record(
                f"{name}-secondary",
                zone_id=zone.zone_id,
                name=s.domain_name,
                type="A",
                aliases=[
                    {
                        "name": standby.dns_name,
                        "zone_id": standby.zone_id,
                        "evaluate_target_health": False,
                    }
                ],
                set_identifier="secondary",
                failover_routing_policies=[{"type": "SECONDARY"}],
                opts=record,
            )
        self.register_outputs({"healthCheckId": self.health_check_id})
