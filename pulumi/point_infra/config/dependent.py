"""Values whose check depends on more than their own form: on the region, on another key, on a file."""

import re

from point_infra.config import authorities, regions
from point_infra.config.reader import ConfigError, Reader

EXAMPLE_DIGEST = "sha256:" + "0" * 64
"""Stands in for an image that is not pushed yet: a preview takes it, an update doesn't."""


def region(said: str | None, shell_region: str | None) -> str:
    """aws:region, or AWS_REGION where that is not said: what the AWS provider takes, too."""
    place = said or shell_region
    if place not in regions.REGIONS:
        known = ", ".join(sorted(regions.REGIONS))
        raise ConfigError("aws:region", place, f"a commercial region with three zones: {known}")
    if said and shell_region and said != shell_region:
        raise ConfigError(
            "aws:region",
            said,
            f"{shell_region}, as AWS_REGION says, or another AWS_REGION: they must agree",
        )
    return place


def copy_region(r: Reader, place: str) -> str:
    """Another region than the stack's own, or none."""
    elsewhere = {"", *regions.REGIONS} - {place}
    region = r.text("backupCopyRegion")
    if region not in elsewhere:
        raise ConfigError("backupCopyRegion", region, f"a commercial region other than {place}, or nothing")
    return region


def certificate(r: Reader, region: str) -> str | None:
    """The ARN of a certificate where none is issued."""
    if r.flag("issueCertificate"):
        if r.text("certificateArn"):
            raise ConfigError(
                "certificateArn", r.text("certificateArn"), "nothing while issueCertificate is true"
            )
        return None
    pattern = rf"arn:aws:acm:{re.escape(region)}:\d{{12}}:certificate/[0-9a-f-]{{36}}"
    return r.matching(
        "certificateArn",
        pattern,
        f"the ARN of an ACM certificate in {region} while issueCertificate is false",
    )


def registry_secret(r: Reader, key: str, region: str) -> str:
    """The ARN of a secret by which ECR signs in to a registry, or nothing."""
    return r.matching(
        key,
        rf"|arn:aws:secretsmanager:{region}:\d{{12}}:secret:ecr-pullthroughcache/[\w/+=.@-]+",
        f"the ARN of a secret in {region} whose name begins with ecr-pullthroughcache/, or nothing",
    )


def database_authorities(r: Reader, region: str) -> str:
    """Certificates (PEM) that the database's is checked by."""
    file = r.text("databaseAuthoritiesFile")
    if not file and region in authorities.SHIPPED:
        return authorities.SHIPPED[region]
    read = authorities.read(file) if file else ""
    if "BEGIN CERTIFICATE" not in read:
        raise ConfigError(
            "databaseAuthoritiesFile",
            file,
            f"a PEM file in this checkout with the certificates of {region}, from "
            f"https://truststore.pki.rds.amazonaws.com/{region}/{region}-bundle.pem",
        )
    return read


def digest(r: Reader, key: str, *, preview: bool) -> str:
    """An image's digest; the example's only where nothing is made."""
    found = r.matching(key, r"sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits (a tag can be moved)")
    if found == EXAMPLE_DIGEST and not preview and r.text("stage") == "all":
        raise ConfigError(key, found, "the digest of a pushed image: all zeros is an example for previews")
    return found
