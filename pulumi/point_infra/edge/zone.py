"""The hosted zone: found, or made before anything that waits for it to be delegated."""

from collections.abc import Sequence

import pulumi_aws as aws

import pulumi
from point_infra.config.settings import Settings


class Zone(pulumi.ComponentResource):
    """`name_servers` is what the parent zone delegates to; `provider` makes records in another account's zone."""

    zone_id: pulumi.Output[str]
    name_servers: pulumi.Output[Sequence[str]]
    provider: aws.Provider | None = None

    def __init__(self, name: str, s: Settings, opts: pulumi.ResourceOptions) -> None:
        super().__init__("point:index:Zone", name, None, opts)
        if s.zone_role_arn:
            self.provider = aws.Provider(
                name,
                region=s.region,
                assume_roles=[{"role_arn": s.zone_role_arn, "session_name": s.name}],
                opts=pulumi.ResourceOptions(parent=self),
            )
        if s.create_zone:
            zone = aws.route53.Zone(
                name,
                name=s.zone_name,
                comment="Point platform",
                opts=pulumi.ResourceOptions(parent=self, provider=self.provider),
            )
            self.zone_id, self.name_servers = zone.zone_id, zone.name_servers
        else:
            child = pulumi.InvokeOptions(parent=self, provider=self.provider)
            found = (
                aws.route53.get_zone_output(zone_id=s.zone_id, opts=child)
                if s.zone_id
                else aws.route53.get_zone_output(name=s.zone_name, private_zone=False, opts=child)
            )
            self.zone_id, self.name_servers = found.zone_id, found.name_servers
        self.register_outputs({"zoneId": self.zone_id})
