"""The program that `pulumi up` and `pulumi preview` run: config in, components, outputs out."""

from point_infra.config.settings import ConfigError, load
from point_infra.cost import estimate
from point_infra.stack import PointPlatform

import pulumi

try:
    settings = load(
        pulumi.Config().get, pulumi.Config("aws").get("region"), preview=pulumi.runtime.is_dry_run()
    )
except ConfigError as refused:
    # One line, status 1, no traceback.
    raise pulumi.RunError(str(refused)) from None

platform = PointPlatform(settings)
pulumi.log.info("monthly cost\n" + estimate.table(platform.priced), resource=platform)
for name, value in platform.outputs.items():
    pulumi.export(name, value)
