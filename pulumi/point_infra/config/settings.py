"""The program's settings: read once, checked whole before the first resource, frozen from then on.

Defaults and descriptions live in Pulumi.yaml alone; what only holds between two values, and what a profile insists on,
in `checks`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from point_infra.config import checks, dependent, regions, sizes, versions
from point_infra.config.reader import ConfigError, Reader

__all__ = ["ConfigError", "Settings", "load"]

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)
"""What CloudWatch Logs takes (PutRetentionPolicy)."""
OWN_TAGS = ("Project", "Environment", "Profile", "ManagedBy", "Name", "Tier")

_ROLE = r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]+"
_ROLES = (_ROLE, "IAM role ARNs such as arn:aws:iam::123456789012:role/admin")


@dataclass(frozen=True)
class Settings:
    """Checked config; a field is the key of the same name in Pulumi.yaml, which describes it."""

    environment: str
    profile: str
    stage: str
    region: str
    domain_name: str
    zone_name: str
    create_zone: bool
    zone_id: str
    zone_role_arn: str
    certificate_arn: str | None
    standby_page: bool
    waf: bool
    vpc_cidr: str
    existing_vpc_id: str
    public_subnet_ids: tuple[str, ...]
    private_subnet_ids: tuple[str, ...]
    data_subnet_ids: tuple[str, ...]
    availability_zones: tuple[str, ...]
    nat_gateways: int
    existing_cluster_name: str
    kubernetes_version: str
    node_instance_type: str
    node_capacity_type: str
    node_disk_gb: int
    nodes_per_zone: int
    max_nodes_per_zone: int
    api_allowed_cidrs: tuple[str, ...]
    api_private_clients: tuple[str, ...]
    runner_repository: str
    runner_connection_arn: str
    admin_role_arns: tuple[str, ...]
    viewer_role_arns: tuple[str, ...]
    permissions_boundary: str
    kms_key_arn: str
    image_cache: bool
    docker_hub_secret_arn: str
    github_secret_arn: str
    database_instance_class: str
    database_instances: int
    database_min_capacity: float
    database_max_capacity: float
    database_engine_version: str
    database_authorities: str
    backup_retention_days: int
    backup_vault: str
    backup_vault_days: int
    backup_copy_region: str
    backup_copy_every: str
    cache_node_type: str
    cache_replicas: int
    cache_engine: str
    cache_engine_version: str
    cache_token_generation: int
    container_insights: bool
    log_retention_days: int
    alarm_email: str
    monthly_budget_usd: int
    deletion_protection: bool
    extra_tags: dict[str, str]
    service_image_digest: str
    operator_image_digest: str
    create_point_service: bool
    jwt_issuer: str
    jwks_uri: str
    jwt_audiences: tuple[str, ...]
    audience_claim: str
    member_claim: str
    role_claim: str
    cors_origins: tuple[str, ...]

    @property
    def name(self) -> str:
        """Prefix of every name: point-prod, point-qa-2."""
        return f"point-{self.environment}"

    @property
    def cluster_name(self) -> str:
        """The EKS cluster's."""
        return self.existing_cluster_name or self.name

    @property
    def control_plane_logs(self) -> str:
        """The log group that EKS writes to, whose name it lets nobody choose."""
        return f"/aws/eks/{self.name}/cluster"

    @property
    def production(self) -> bool:
        """Whether the rules of production hold."""
        return self.profile == "production"

    @property
    def caches_images(self) -> bool:
        """Whether public images are pulled through this account's registry: by nodes of the stack's own."""
        return self.image_cache and not self.existing_cluster_name

    @property
    def serverless(self) -> bool:
        """Whether Aurora's instances grow and shrink by themselves."""
        return self.database_instance_class == sizes.SERVERLESS

    @property
    def vault_name(self) -> str:
        """Both vaults' of its recovery points: several stacks may keep their copies in one region."""
        return f"{self.name}-{self.region}"

    @property
    def origin_name(self) -> str:
        """Host name that always means the load balancer: what the health check asks, whatever DNS answers."""
        return f"origin.{self.domain_name}"

    def tags(self) -> dict[str, str]:
        """Tags of every resource that takes tags."""
        return {
            **self.extra_tags,
            "Project": "point-platform",
            "Environment": self.environment,
            "Profile": self.profile,
            "ManagedBy": "pulumi",
        }


def load(
    raw: Callable[[str], str | None], region: str | None, *, preview: bool, shell_region: str | None = None
) -> Settings:
    """Read and check the whole config.

    `raw` answers a key's text or None (lists as JSON); `region` is aws:region, `shell_region` that of AWS_REGION;
    `preview` is whether nothing will be made. Raises ConfigError at the first value that is refused.
    """
    r = Reader(raw)
    profile = r.choice("profile", tuple(checks.PROFILES))
    place = dependent.region(region, shell_region)
    engine = r.choice("cacheEngine", tuple(versions.CACHE))
    settings = Settings(
        # Together with what is put before and after it, no name is longer than AWS takes (tests/infra/test_names.py).
        environment=r.matching(
            "environment",
            r"(?=.{1,20}$)[a-z][a-z0-9]*(-[a-z0-9]+)*",
            "up to 20 lower-case letters, digits and single hyphens, a letter first, such as prod or qa-2",
        ),
        profile=profile,
        stage=r.choice("stage", ("foundation", "all", "destroy")),
        region=place,
        domain_name=r.domain("domainName"),
        zone_name=r.domain("zoneName"),
        create_zone=r.choice("zone", ("create", "existing")) == "create",
        zone_id=r.matching("zoneId", r"|Z[A-Z0-9]{1,31}", "the id of a hosted zone (Z...) or nothing"),
        zone_role_arn=r.matching("zoneRoleArn", f"|{_ROLE}", "an IAM role's ARN or nothing"),
        certificate_arn=dependent.certificate(r, place),
        standby_page=r.flag("standbyPage"),
        waf=r.flag("waf"),
        vpc_cidr=r.network("vpcCidr"),
        existing_vpc_id=r.matching(
            "existingVpcId", r"|vpc-[0-9a-f]{8,17}", "the id of a VPC (vpc-...) or nothing"
        ),
        public_subnet_ids=r.subnets("publicSubnetIds"),
        private_subnet_ids=r.subnets("privateSubnetIds"),
        data_subnet_ids=r.subnets("dataSubnetIds"),
        availability_zones=r.texts("availabilityZones") or regions.zones(place)[:3],
        nat_gateways=int(r.choice("natGateways", ("1", "3"))),
        existing_cluster_name=r.matching(
            "existingClusterName", r"|[0-9A-Za-z][\w-]{0,99}", "the name of an EKS cluster or nothing"
        ),
        kubernetes_version=r.choice("kubernetesVersion", versions.KUBERNETES),
        node_instance_type=r.of("nodeInstanceType", sizes.nodes(), "an EC2 type of `medium` or larger"),
        node_capacity_type=r.choice("nodeCapacityType", ("on-demand", "spot")),
        node_disk_gb=r.integer("nodeDiskGb", 20, 1000),
        nodes_per_zone=r.integer("nodesPerZone", 1, 20),
        max_nodes_per_zone=r.integer("maxNodesPerZone", 1, 50),
        api_allowed_cidrs=r.allowed_cidrs("apiAllowedCidrs"),
        api_private_clients=r.api_clients("apiPrivateClients"),
        runner_repository=r.matching(
            "runnerRepository",
            r"|https://github\.com/[\w-]+/[\w.-]+(?<!\.git)",
            "https://github.com/OWNER/NAME or nothing",
        ),
        runner_connection_arn=r.matching(
            "runnerConnectionArn",
            r"|arn:aws:(codeconnections|codestar-connections):[a-z0-9-]+:\d{12}:connection/[0-9a-f-]{36}",
            "the ARN of a connection to GitHub (arn:aws:codeconnections:...:connection/...) or nothing",
        ),
        admin_role_arns=r.each("adminRoleArns", *_ROLES),
        viewer_role_arns=r.each("viewerRoleArns", *_ROLES),
        permissions_boundary=r.matching(
            "permissionsBoundary",
            r"|arn:aws:iam::(\d{12}|aws):policy/[\w+=,.@/-]+",
            "an IAM policy's ARN or nothing",
        ),
        kms_key_arn=r.matching(
            "kmsKeyArn",
            rf"|arn:aws:kms:{place}:\d{{12}}:key/(mrk-)?[0-9a-f-]{{32,36}}",
            f"the ARN of a KMS key in {place} or nothing",
        ),
        image_cache=r.flag("imageCache"),
        docker_hub_secret_arn=dependent.registry_secret(r, "dockerHubSecretArn", place),
        github_secret_arn=dependent.registry_secret(r, "githubSecretArn", place),
        database_instance_class=r.of(
            "databaseInstanceClass", sizes.databases(), "a class that Aurora MySQL has"
        ),
        database_instances=r.integer("databaseInstances", 1, 2),
        database_min_capacity=r.capacity("databaseMinCapacity"),
        database_max_capacity=r.capacity("databaseMaxCapacity"),
        database_engine_version=r.choice("databaseEngineVersion", versions.AURORA_MYSQL),
        database_authorities=dependent.database_authorities(r, place),
        backup_retention_days=r.integer("backupRetentionDays", 7 if profile == "production" else 1, 35),
        backup_vault=r.choice("backupVault", ("none", "governance", "compliance")),
        backup_vault_days=r.integer("backupVaultDays", 7, 366),
        backup_copy_region=dependent.copy_region(r, place),
        backup_copy_every=r.choice("backupCopyEvery", ("day", "week")),
        cache_node_type=r.of("cacheNodeType", sizes.caches(), "a node type that ElastiCache has"),
        cache_replicas=r.integer("cacheReplicas", 0, 1),
        cache_engine=engine,
        cache_engine_version=r.choice("cacheEngineVersion", versions.CACHE[engine]),
        cache_token_generation=r.integer("cacheTokenGeneration", 1, 1_000_000),
        container_insights=r.flag("containerInsights"),
        log_retention_days=int(r.choice("logRetentionDays", tuple(map(str, LOG_RETENTION_DAYS)))),
        alarm_email=r.matching("alarmEmail", r"|[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address or nothing"),
        monthly_budget_usd=r.integer("monthlyBudgetUsd", 0, 1_000_000),
        deletion_protection=r.flag("deletionProtection"),
        extra_tags=r.tags("extraTags", OWN_TAGS),
        service_image_digest=dependent.digest(r, "serviceImageDigest", preview=preview),
        operator_image_digest=dependent.digest(r, "operatorImageDigest", preview=preview),
        create_point_service=r.flag("createPointService"),
        jwt_issuer=r.issuer("jwtIssuer"),
        jwks_uri=r.keys_address("jwksUri"),
        jwt_audiences=r.each(
            "jwtAudiences", r"[^\s*]{1,256}", "texts without spaces and *, up to 256 characters", most=16
        ),
        audience_claim=r.claim("audienceClaim", ("iss", "exp", "nbf", "iat")),
        member_claim=r.claim("memberClaim", ("iss", "aud", "exp", "nbf", "iat")),
        role_claim=r.claim("roleClaim", ("iss", "aud", "exp", "nbf", "iat")),
        cors_origins=r.origins("corsOrigins"),
    )
    checks.consistent(settings)
    return settings
