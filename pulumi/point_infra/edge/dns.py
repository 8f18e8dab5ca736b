"""The certificate of the service's name and its origin name."""

from collections.abc import Sequence

import pulumi_aws as aws

import pulumi
from point_infra.config.settings import Settings
from point_infra.edge.zone import Zone


class Dns(pulumi.ComponentResource):
    """An issued certificate: its own by DNS validation, or one that config names."""

    certificate_arn: pulumi.Output[str]

    def __init__(self, name: str, s: Settings, zone: Zone, opts: pulumi.ResourceOptions) -> None:
        super().__init__("point:index:Dns", name, None, opts)
        self.certificate_arn = (
            pulumi.Output.from_input(s.certificate_arn) if s.certificate_arn else self._issue(name, s, zone)
        )
        self.register_outputs({"certificateArn": self.certificate_arn})

    def _issue(self, name: str, s: Settings, zone: Zone) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        certificate = aws.acm.Certificate(
            name,
            domain_name=s.domain_name,
            subject_alternative_names=[s.origin_name],
            validation_method="DNS",
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=False),
        )
        records: list[aws.route53.Record] = []
        for suffix, host in (("service", s.domain_name), ("origin", s.origin_name)):
            option = certificate.domain_validation_options.apply(lambda options, of=host: _of(options, of))
            records.append(
                aws.route53.Record(
                    f"{name}-validation-{suffix}",
                    zone_id=zone.zone_id,
                    name=option.apply(lambda o: str(o.resource_record_name)),
                    type=option.apply(lambda o: str(o.resource_record_type)),
                    records=[option.apply(lambda o: str(o.resource_record_value))],
                    ttl=60,
                    allow_overwrite=True,  # the standby page's certificate is validated by the same record
                    opts=pulumi.ResourceOptions(parent=self, provider=zone.provider),
                )
            )
        issued = aws.acm.CertificateValidation(
            name,
            certificate_arn=certificate.arn,
            validation_record_fqdns=[r.fqdn for r in records],
            opts=child,
        )
        return issued.certificate_arn


def _of(
    options: Sequence[aws.acm.outputs.CertificateDomainValidationOption], host: str
) -> aws.acm.outputs.CertificateDomainValidationOption:
    """The record that proves `host`; AWS gives them in no order of ours."""
    return next(o for o in options if o.domain_name == host)
