"""The program's settings: read once, checked whole before the first resource, frozen from then on.

Defaults and descriptions live in Pulumi.yaml alone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from point_infra.config import versions
from point_infra.config.reader import ConfigError, Reader
from point_infra.cost.prices import CACHE_NODE, DATABASE_INSTANCE, NODE

__all__ = ["ConfigError", "Settings", "load"]

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)
"""What CloudWatch Logs takes (PutRetentionPolicy)."""

_ROLES = (
    r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]+",
    "IAM role ARNs such as arn:aws:iam::123456789012:role/admin",
)

EXAMPLE_DIGEST = "sha256:" + "0" * 64
"""Stands in for an image that is not pushed yet: a preview takes it, an update doesn't."""


@dataclass(frozen=True)
class Settings:
    """Checked config; a field is the key of the same name in Pulumi.yaml, which describes it."""

    environment: str
    stage: str
    region: str
    domain_name: str
    zone_name: str
    create_zone: bool
    zone_id: str
    certificate_arn: str | None
    standby_page: bool
    waf: bool
    vpc_cidr: str
    availability_zones: tuple[str, ...]
    nat_gateways: int
    kubernetes_version: str
    node_instance_type: str
    nodes_per_zone: int
    max_nodes_per_zone: int
    api_allowed_cidrs: tuple[str, ...]
    api_private_clients: tuple[str, ...]
    admin_role_arns: tuple[str, ...]
    viewer_role_arns: tuple[str, ...]
    permissions_boundary: str
    database_instance_class: str
    database_engine_version: str
    backup_retention_days: int
    cache_node_type: str
    cache_engine: str
    cache_engine_version: str
    cache_token_generation: int
    log_retention_days: int
    alarm_email: str
    monthly_budget_usd: int
    deletion_protection: bool
    service_image_digest: str
    operator_image_digest: str
    create_point_service: bool
    jwt_issuer: str
    jwks_uri: str
    jwt_audiences: tuple[str, ...]
    cors_origins: tuple[str, ...]

    @property
    def name(self) -> str:
        """Prefix of every name: point-prod, point-dev."""
        return f"point-{self.environment}"

    @property
    def prod(self) -> bool:
        """Whether prod's rules hold."""
        return self.environment == "prod"

    @property
    def origin_name(self) -> str:
        """Host name that always means the load balancer: what the health check asks, whatever DNS answers."""
        return f"origin.{self.domain_name}"

    def tags(self) -> dict[str, str]:
        """Tags of every resource that takes tags."""
        return {"Project": "point-platform", "Environment": self.environment, "ManagedBy": "pulumi"}


def load(raw: Callable[[str], str | None], region: str | None, *, preview: bool) -> Settings:
    """Read and check the whole config.

    `raw` answers a key's text or None (lists as JSON); `region` is aws:region; `preview` is whether nothing
    will be made. Raises ConfigError at the first value that is refused.
    """
    r = Reader(raw)
    environment = r.choice("environment", ("prod", "dev"))
    zone_name = r.domain("zoneName")
    engine = r.choice("cacheEngine", tuple(versions.CACHE))
    settings = Settings(
        environment=environment,
        stage=r.choice("stage", ("foundation", "all", "destroy")),
        region=_region(region),
        domain_name=r.domain("domainName"),
        zone_name=zone_name,
        create_zone=r.choice("zone", ("create", "existing")) == "create",
        zone_id=r.matching("zoneId", r"|Z[A-Z0-9]{1,31}", "the id of a hosted zone (Z...) or nothing"),
        certificate_arn=_certificate(r, _region(region)),
        standby_page=r.flag("standbyPage"),
        waf=r.flag("waf"),
        vpc_cidr=r.network("vpcCidr"),
        availability_zones=r.texts("availabilityZones"),
        nat_gateways=int(r.choice("natGateways", ("1", "3"))),
        kubernetes_version=r.choice("kubernetesVersion", versions.KUBERNETES),
        node_instance_type=r.choice("nodeInstanceType", NODE),
        nodes_per_zone=r.integer("nodesPerZone", 1, 20),
        max_nodes_per_zone=r.integer("maxNodesPerZone", 1, 50),
        api_allowed_cidrs=r.allowed_cidrs("apiAllowedCidrs"),
        api_private_clients=r.api_clients("apiPrivateClients"),
        admin_role_arns=r.each("adminRoleArns", *_ROLES),
        viewer_role_arns=r.each("viewerRoleArns", *_ROLES),
        permissions_boundary=r.matching(
            "permissionsBoundary",
            r"|arn:aws:iam::(\d{12}|aws):policy/[\w+=,.@/-]+",
            "an IAM policy's ARN or nothing",
        ),
        database_instance_class=r.choice("databaseInstanceClass", DATABASE_INSTANCE),
        database_engine_version=r.choice("databaseEngineVersion", versions.AURORA_MYSQL),
        backup_retention_days=r.integer("backupRetentionDays", 7 if environment == "prod" else 1, 35),
        cache_node_type=r.choice("cacheNodeType", CACHE_NODE),
        cache_engine=engine,
        cache_engine_version=r.choice("cacheEngineVersion", versions.CACHE[engine]),
        cache_token_generation=r.integer("cacheTokenGeneration", 1, 1_000_000),
        log_retention_days=int(r.choice("logRetentionDays", tuple(map(str, LOG_RETENTION_DAYS)))),
        alarm_email=r.matching("alarmEmail", r"|[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address or nothing"),
        monthly_budget_usd=r.integer("monthlyBudgetUsd", 0, 1_000_000),
        deletion_protection=r.flag("deletionProtection"),
        service_image_digest=_digest(r, "serviceImageDigest", preview=preview),
        operator_image_digest=_digest(r, "operatorImageDigest", preview=preview),
        create_point_service=r.flag("createPointService"),
        jwt_issuer=r.https("jwtIssuer"),
        jwks_uri=r.https("jwksUri"),
        jwt_audiences=r.each("jwtAudiences", r"\S{1,256}", "texts without spaces, up to 256 characters"),
        cors_origins=r.origins("corsOrigins"),
    )
    _consistent(settings)
    return settings


def _consistent(s: Settings) -> None:
    """Check what only holds between two values."""
    zones = [s.region + letter for letter in versions.ZONES[s.region]]
    if len(s.availability_zones) != 3 or not set(s.availability_zones) <= set(zones):
        raise ConfigError(
            "availabilityZones",
            s.availability_zones,
            f"three different ones of {', '.join(zones)} (aws:region)",
        )
    if s.domain_name != s.zone_name and not s.domain_name.endswith("." + s.zone_name):
        raise ConfigError("domainName", s.domain_name, f"{s.zone_name} (zoneName) or a name below it")
    if not s.certificate_arn and len(s.domain_name) > 64:
        raise ConfigError(
            "domainName", s.domain_name, "at most 64 characters, as a certificate's first name (ACM)"
        )
    if s.create_zone and s.zone_id:
        raise ConfigError("zoneId", s.zone_id, "nothing while zone is create")
    both = set(s.admin_role_arns) & set(s.viewer_role_arns)
    if both:
        raise ConfigError(
            "viewerRoleArns", min(both), "roles that adminRoleArns does not name: EKS takes one entry a role"
        )
    if s.stage == "all" and not (s.api_allowed_cidrs or s.api_private_clients):
        raise ConfigError(
            "apiPrivateClients",
            s.api_private_clients,
            "whoever runs `pulumi up`, unless apiAllowedCidrs names it: it installs into the cluster",
        )
    if s.max_nodes_per_zone < s.nodes_per_zone:
        raise ConfigError(
            "maxNodesPerZone", s.max_nodes_per_zone, f"{s.nodes_per_zone} (nodesPerZone) or more"
        )
    if not s.jwt_audiences:
        raise ConfigError(
            "jwtAudiences", s.jwt_audiences, "at least one, or any token of the issuer would do"
        )
    if s.certificate_arn and s.standby_page:
        raise ConfigError(
            "standbyPage",
            value=True,
            allowed="false while issueCertificate is false: nothing proves its name",
        )
    if s.stage == "destroy" and s.deletion_protection:
        raise ConfigError("deletionProtection", value=True, allowed="false in stage destroy")
    if s.prod and s.stage != "destroy" and not s.deletion_protection:
        raise ConfigError("deletionProtection", value=False, allowed="true in prod")
    if s.prod and s.nat_gateways != 3:
        raise ConfigError("natGateways", s.nat_gateways, "3 in prod, one per zone")
    if s.prod and not s.waf:
        raise ConfigError("waf", value=False, allowed="true in prod")
    if s.prod and not s.alarm_email:
        raise ConfigError("alarmEmail", s.alarm_email, "an e-mail address in prod: alarms need a reader")
    if s.prod and s.log_retention_days < 30:
        raise ConfigError("logRetentionDays", s.log_retention_days, "30 or more in prod")


def _region(region: str | None) -> str:
    # Prices and zone names are Seoul's; another region needs its own price list first.
    if region != "ap-northeast-2":
        raise ConfigError("aws:region", region, "ap-northeast-2, the region that the prices are for")
    return region


def _certificate(r: Reader, region: str) -> str | None:
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


def _digest(r: Reader, key: str, *, preview: bool) -> str:
    digest = r.matching(key, r"sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits (a tag can be moved)")
    if digest == EXAMPLE_DIGEST and not preview and r.text("stage") == "all":
        raise ConfigError(key, digest, "the digest of a pushed image: all zeros is an example for previews")
    return digest
