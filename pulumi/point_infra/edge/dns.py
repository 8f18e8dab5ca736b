"""The hosted zone, the certificate, and where the names point."""

from dataclasses import dataclass

import pulumi_aws as aws

import pulumi


@dataclass(frozen=True)
class DnsArgs:
    """Names, and what is made here rather than found."""

    domain_name: str
    origin_name: str
    zone_name: str
    create_zone: bool
    certificate_arn: str | None


@dataclass(frozen=True)
class RoutingArgs:
    """Where the names point: the load balancer, and the page that answers while it can't."""

    zone_id: pulumi.Input[str]
    domain_name: str
    origin_name: str
    alb_dns_name: pulumi.Input[str]
    alb_zone_id: pulumi.Input[str]
    standby_dns_name: pulumi.Input[str] | None
    standby_zone_id: pulumi.Input[str] | None


class Dns(pulumi.ComponentResource):
    """The zone, and an issued certificate for the service's name and its origin name."""

    zone_id: pulumi.Output[str]
    certificate_arn: pulumi.Output[str]

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("point:index:Dns", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        if args.create_zone:
            zone = aws.route53.Zone(name, name=args.zone_name, comment="Point platform", opts=child)
            self.zone_id, self.name_servers = zone.zone_id, zone.name_servers
        else:
            found = aws.route53.get_zone_output(
                name=args.zone_name, private_zone=False, opts=pulumi.InvokeOptions(parent=self)
            )
            self.zone_id, self.name_servers = found.zone_id, found.name_servers
        self.certificate_arn = (
            pulumi.Output.from_input(args.certificate_arn)
            if args.certificate_arn
            else self._issue(name, args, child)
        )
        self.register_outputs({"zoneId": self.zone_id, "certificateArn": self.certificate_arn})

    def _issue(self, name: str, args: DnsArgs, child: pulumi.ResourceOptions) -> pulumi.Output[str]:
        certificate = aws.acm.Certificate(
            name,
            domain_name=args.domain_name,
            subject_alternative_names=[args.origin_name],
            validation_method="DNS",
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=False),
        )
        records = [
            aws.route53.Record(
                f"{name}-validation-{i}",
                zone_id=self.zone_id,
                name=certificate.domain_validation_options[i].resource_record_name.apply(str),
                type=certificate.domain_validation_options[i].resource_record_type.apply(str),
                records=[certificate.domain_validation_options[i].resource_record_value.apply(str)],
                ttl=60,
                allow_overwrite=True,  # the standby page's certificate is validated by the same record
                opts=child,
            )
            for i in range(2)
        ]
        issued = aws.acm.CertificateValidation(
            name,
            certificate_arn=certificate.arn,
            validation_record_fqdns=[r.fqdn for r in records],
            opts=child,
        )
        return issued.certificate_arn


class Routing(pulumi.ComponentResource):
    """Alias records by health check.

    The check asks the origin name, never the service's own: that one answers from the standby page while the
    origin is down, and would so report it healthy again.
    """

    health_check_id: pulumi.Output[str]

    def __init__(self, name: str, args: RoutingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("point:index:Routing", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        alb = aws.route53.RecordAliasArgs(
            name=args.alb_dns_name, zone_id=args.alb_zone_id, evaluate_target_health=True
        )
        aws.route53.Record(
            f"{name}-origin",
            zone_id=args.zone_id,
            name=args.origin_name,
            type="A",
            aliases=[alb],
            opts=child,
        )
        check = aws.route53.HealthCheck(
            name,
            type="HTTPS",
            fqdn=args.origin_name,
            port=443,
            resource_path="/healthz",  # the one path that needs no token and reaches the service
            enable_sni=True,
            request_interval=10,
            failure_threshold=3,
            opts=child,
        )
        self.health_check_id = check.id
        failover = args.standby_dns_name is not None
        aws.route53.Record(
            f"{name}-primary",
            zone_id=args.zone_id,
            name=args.domain_name,
            type="A",
            aliases=[alb],
            set_identifier="primary" if failover else None,
            failover_routing_policies=[{"type": "PRIMARY"}] if failover else None,
            health_check_id=check.id if failover else None,
            opts=child,
        )
        if args.standby_dns_name is not None and args.standby_zone_id is not None:
            aws.route53.Record(
                f"{name}-secondary",
                zone_id=args.zone_id,
                name=args.domain_name,
                type="A",
                aliases=[
                    {
                        "name": args.standby_dns_name,
                        "zone_id": args.standby_zone_id,
                        "evaluate_target_health": False,
                    }
                ],
                set_identifier="secondary",
                failover_routing_policies=[{"type": "SECONDARY"}],
                opts=child,
            )
        self.register_outputs({"healthCheckId": self.health_check_id})
