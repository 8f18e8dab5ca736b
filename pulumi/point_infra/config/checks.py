"""What must hold between the values of a config: facts of AWS first, then what a profile insists on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from point_infra.config import regions
from point_infra.config.reader import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from point_infra.config.settings import Settings

Rule = tuple[str, object, bool, str]
"""A key, its value, whether that is refused, and what is allowed."""


def consistent(s: Settings) -> None:
    """Raise ConfigError at the first rule that is broken."""
    for rules in (
        _names(s),
        _network(s),
        _access(s),
        _sizes(s),
        _backup(s),
        _stage(s),
        PROFILES[s.profile](s),
    ):
        for key, value, refused, allowed in rules:
            if refused:
                raise ConfigError(key, value, allowed)


def _names(s: Settings) -> Iterator[Rule]:
    below = s.domain_name == s.zone_name or s.domain_name.endswith("." + s.zone_name)
    yield "domainName", s.domain_name, not below, f"{s.zone_name} (zoneName) or a name below it"
    long = not s.certificate_arn and len(s.domain_name) > 64
    yield "domainName", s.domain_name, long, "at most 64 characters, as a certificate's first name (ACM)"
    yield "zoneId", s.zone_id, s.create_zone and bool(s.zone_id), "nothing while zone is create"
    yield (
        *("standbyPage", s.standby_page, bool(s.certificate_arn) and s.standby_page),
        "false while issueCertificate is false: nothing proves its name",
    )
    yield (
        *("jwtAudiences", s.jwt_audiences, not s.jwt_audiences),
        "at least one, or any token of the issuer would do",
    )
    yield (
        *("roleClaim", s.role_claim, s.role_claim == s.member_claim),
        f"another claim than {s.member_claim} (memberClaim)",
    )


def _network(s: Settings) -> Iterator[Rule]:
    zones = regions.zones(s.region)
    three = len(s.availability_zones) == 3 and set(s.availability_zones) <= set(zones)
    yield (
        *("availabilityZones", s.availability_zones, not three),
        f"three different ones of {', '.join(zones)} (aws:region)",
    )
    subnets = {
        "publicSubnetIds": s.public_subnet_ids,
        "privateSubnetIds": s.private_subnet_ids,
        "dataSubnetIds": s.data_subnet_ids,
    }
    for key, ids in subnets.items():
        if s.existing_vpc_id:
            yield (
                *(key, ids, len(ids) != 3),
                "three subnets of existingVpcId, in the order of availabilityZones",
            )
        else:
            yield key, ids, bool(ids), "nothing while existingVpcId is empty"
    repeated = sorted(
        {i for ids in subnets.values() for i in ids if sum(i in x for x in subnets.values()) > 1}
    )
    yield "dataSubnetIds", repeated, bool(repeated), "subnets that no other tier has"


def _access(s: Settings) -> Iterator[Rule]:
    if s.existing_cluster_name:
        yield from _somebody_s_cluster(s)
        return
    both = sorted(set(s.admin_role_arns) & set(s.viewer_role_arns))
    yield (
        *("viewerRoleArns", both[:1], bool(both)),
        "roles that adminRoleArns does not name: EKS takes one entry a role",
    )
    yield (
        *("apiPrivateClients", s.api_private_clients),
        s.stage == "all" and not (s.api_allowed_cidrs or s.api_private_clients or s.runner_repository),
        "whoever runs `pulumi up`, unless apiAllowedCidrs or runnerRepository does: it installs into the cluster",
    )
    yield (
        *("runnerConnectionArn", s.runner_connection_arn),
        bool(s.runner_connection_arn) != bool(s.runner_repository),
        "a connection to GitHub together with runnerRepository, and neither of them without the other",
    )


def _somebody_s_cluster(s: Settings) -> Iterator[Rule]:
    """Its VPC, and who may reach and administer it, are its owner's to say."""
    yield (
        *("existingVpcId", s.existing_vpc_id, not s.existing_vpc_id),
        "the cluster's VPC while existingClusterName is set",
    )
    for key, value in (
        ("apiAllowedCidrs", s.api_allowed_cidrs),
        ("apiPrivateClients", s.api_private_clients),
        ("runnerRepository", s.runner_repository),
        ("adminRoleArns", s.admin_role_arns),
        ("viewerRoleArns", s.viewer_role_arns),
    ):
        yield key, value, bool(value), "nothing while existingClusterName is set: its owner says who may"


def _sizes(s: Settings) -> Iterator[Rule]:
    yield (
        *("maxNodesPerZone", s.max_nodes_per_zone, s.max_nodes_per_zone < s.nodes_per_zone),
        f"{s.nodes_per_zone} (nodesPerZone) or more",
    )
    yield (
        *("databaseMaxCapacity", s.database_max_capacity, s.database_max_capacity < s.database_min_capacity),
        f"{s.database_min_capacity:g} (databaseMinCapacity) or more",
    )


def _backup(s: Settings) -> Iterator[Rule]:
    none = s.backup_vault == "none"
    yield (
        *("backupCopyRegion", s.backup_copy_region, none and bool(s.backup_copy_region)),
        "nothing while backupVault is none: there is nothing to copy",
    )
    yield (
        *("backupVaultDays", s.backup_vault_days, s.backup_vault_days < s.backup_retention_days and not none),
        f"{s.backup_retention_days} (backupRetentionDays) or more: Aurora's own backups go back as far",
    )


def _stage(s: Settings) -> Iterator[Rule]:
    yield (
        *("deletionProtection", s.deletion_protection, s.stage == "destroy" and s.deletion_protection),
        "false in stage destroy",
    )


def _production(s: Settings) -> Iterator[Rule]:
    """Nothing is lost with a zone, by mistake, or unnoticed."""
    profile = "in profile production"
    yield (
        *("deletionProtection", s.deletion_protection),
        s.stage != "destroy" and not s.deletion_protection,
        f"true {profile}",
    )
    # A network of its own is its owner's to make safe.
    own = not s.existing_vpc_id
    yield "natGateways", s.nat_gateways, own and s.nat_gateways != 3, f"3 {profile}, one per zone"
    yield "waf", s.waf, not s.waf, f"true {profile}"
    yield "alarmEmail", s.alarm_email, not s.alarm_email, f"an e-mail address {profile}: alarms need a reader"
    yield "logRetentionDays", s.log_retention_days, s.log_retention_days < 30, f"30 or more {profile}"
    spot = s.node_capacity_type == "spot"
    yield (
        "nodeCapacityType",
        s.node_capacity_type,
        spot,
        f"on-demand {profile}: spot nodes leave at short notice",
    )
    yield "containerInsights", s.container_insights, not s.container_insights, f"true {profile}"
    yield (
        *("backupVault", s.backup_vault, s.backup_vault == "none"),
        f"governance or compliance {profile}: who may delete the database may not delete its backups",
    )
    yield from _two_of_each(s, profile)


def _two_of_each(s: Settings, profile: str) -> Iterator[Rule]:
    yield (
        *("databaseInstances", s.database_instances, s.database_instances < 2),
        f"2 {profile}: a reader that takes over",
    )
    yield (
        *("cacheReplicas", s.cache_replicas, s.cache_replicas < 1),
        f"1 {profile}: a replica that takes over",
    )


def _lean(s: Settings) -> Iterator[Rule]:
    """A zone may be lost, by smaller machines."""
    yield from _two_of_each(s, "in profile lean")


def _trial(_: Settings) -> Iterator[Rule]:
    """Nothing is insisted on; what is given up is a table in docs/deploy.md."""
    yield from ()


PROFILES: dict[str, Callable[[Settings], Iterator[Rule]]] = {
    "production": _production,
    "lean": _lean,
    "trial": _trial,
}
