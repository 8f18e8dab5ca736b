"""The program that `pulumi up` and `pulumi preview` run: config in, components, outputs out."""

import os

from point_infra.config.settings import ConfigError, load
from point_infra.stack import PointPlatform

import pulumi

try:
    settings = load(
        pulumi.Config().get,
        pulumi.Config("aws").get("region"),
        preview=pulumi.runtime.is_dry_run(),
        shell_region=os.environ.get("AWS_REGION"),
    )
except ConfigError as refused:
    # One line, status 1, no traceback.
    raise pulumi.RunError(str(refused)) from None

platform = PointPlatform(settings)
pulumi.log.info("monthly cost\n" + platform.cost, resource=platform)
for name, value in platform.outputs.items():
    pulumi.export(name, value)
