"""The hosted zone and the certificate."""

import pulumi_aws as aws

import pulumi
from point_infra.config.settings import Settings


class Dns(pulumi.ComponentResource):
    """The zone, and an issued certificate for the service's name and its origin name."""

    zone_id: pulumi.Output[str]
    certificate_arn: pulumi.Output[str]

    def __init__(self, name: str, s: Settings, opts: pulumi.ResourceOptions) -> None:
        super().__init__("point:index:Dns", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        if s.create_zone:
            zone = aws.route53.Zone(name, name=s.zone_name, comment="Point platform", opts=child)
            self.zone_id, self.name_servers = zone.zone_id, zone.name_servers
        else:
            found = aws.route53.get_zone_output(
                name=s.zone_name, private_zone=False, opts=pulumi.InvokeOptions(parent=self)
            )
            self.zone_id, self.name_servers = found.zone_id, found.name_servers
        self.certificate_arn = (
            pulumi.Output.from_input(s.certificate_arn) if s.certificate_arn else self._issue(name, s, child)
        )
        self.register_outputs({"zoneId": self.zone_id, "certificateArn": self.certificate_arn})

    def _issue(self, name: str, s: Settings, child: pulumi.ResourceOptions) -> pulumi.Output[str]:
        certificate = aws.acm.Certificate(
            name,
            domain_name=s.domain_name,
            subject_alternative_names=[s.origin_name],
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
