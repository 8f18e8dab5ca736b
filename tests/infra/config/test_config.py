"""A wrong value is refused before the first resource, in one line naming key, value and what is allowed."""

import re
from collections.abc import Callable

import pytest
from cryptography import x509
from infra.models import account
from point_infra import offline
from point_infra.config import authorities, regions, sizes
from point_infra.config.reader import ConfigError
from point_infra.config.settings import Settings, load

EXAMPLE = "sha256:" + "0" * 64

OWN_NETWORK: dict[str, object] = {
    "existingVpcId": "vpc-0123456789abcdef0",
    **{
        f"{tier}SubnetIds": [f"subnet-{i}{zone}234567" for zone in range(3)]
        for i, tier in enumerate(("public", "private", "data"))
    },
}

WRONG: list[tuple[str, dict[str, object], str]] = [
    *(
        ("environment", {"environment": wrong}, "up to 20 lower-case letters, digits and single hyphens")
        for wrong in ("", "Prod", "qa_2", "2qa", "qa-", "qa--2", "a" * 21)
    ),
    ("profile", {"profile": "prod"}, "lean or production or trial"),
    ("stage", {"stage": "network"}, "all or destroy or foundation"),
    ("domainName", {"domainName": "https://points.example.com"}, "a lower-case DNS name"),
    ("domainName", {"domainName": "Points.example.com"}, "a lower-case DNS name"),
    ("domainName", {"domainName": "points"}, "a lower-case DNS name"),
    ("domainName", {"domainName": ".".join(["a" * 60] * 4) + ".example.com"}, "at most 200 characters"),
    ("domainName", {"domainName": f"{'a' * 53}.example.com"}, "at most 64 characters"),
    ("domainName", {"domainName": None}, "a value: it has no default"),
    ("domainName", {"domainName": "points.other.com"}, "example.com (zoneName) or a name below it"),
    ("zoneName", {"zoneName": "example_com"}, "a lower-case DNS name"),
    ("zoneId", {"zoneId": "example.com"}, "the id of a hosted zone"),
    ("zoneId", {"zone": "create", "zoneId": "Z0123456789ABC"}, "nothing while zone is create"),
    ("zone", {"zone": "find"}, "create or existing"),
    ("issueCertificate", {"issueCertificate": "yes"}, "false or true"),
    ("certificateArn", {"issueCertificate": False}, "the ARN of an ACM certificate"),
    (
        "certificateArn",
        {
            "issueCertificate": False,
            "certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/" + "a" * 36,
        },
        "in ap-northeast-2",
    ),
    ("certificateArn", {"certificateArn": "arn:aws:acm:x"}, "nothing while issueCertificate is true"),
    ("vpcCidr", {"vpcCidr": "10.0.0.0/20"}, "/16 or /17, which holds the nine subnets"),
    ("vpcCidr", {"vpcCidr": "10.0.0.1/16"}, "host bits zero"),
    ("vpcCidr", {"vpcCidr": "8.8.0.0/16"}, "of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16"),
    *(
        ("vpcCidr", {"vpcCidr": f"{reserved}/16"}, "of 10.0.0.0/8")
        for reserved in ("127.0.0.0", "169.254.0.0", "198.18.0.0", "240.0.0.0", "0.0.0.0", "100.64.0.0")
    ),
    ("vpcCidr", {"vpcCidr": "ten"}, "an IPv4 range"),
    (
        "availabilityZones",
        {"availabilityZones": ["ap-northeast-2a", "ap-northeast-2b"]},
        "three different ones",
    ),
    (
        "availabilityZones",
        {"availabilityZones": ["us-east-1a", "us-east-1b", "us-east-1c"]},
        "ap-northeast-2a, ap-northeast-2b",
    ),
    (
        "availabilityZones",
        {"availabilityZones": ["ap-northeast-2a", "ap-northeast-2a", "ap-northeast-2c"]},
        "a list without repetitions",
    ),
    ("availabilityZones", {"availabilityZones": "ap-northeast-2a"}, "a list of texts"),
    (
        "availabilityZones",
        {"availabilityZones": ["ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2e"]},
        "ap-northeast-2c, ap-northeast-2d (aws:region)",
    ),
    ("natGateways", {"natGateways": 2}, "1 or 3"),
    ("natGateways", {"natGateways": 1}, "3 in profile production"),
    ("kubernetesVersion", {"kubernetesVersion": "1.31"}, "1.35 or 1.36"),
    ("nodeInstanceType", {"nodeInstanceType": "m5.lrge"}, "near to it: m5.large"),
    ("nodeInstanceType", {"nodeInstanceType": "t4g.micro"}, "an EC2 type of `medium` or larger"),
    ("nodeInstanceType", {"nodeInstanceType": "mac2.metal"}, "an EC2 type"),
    ("nodeCapacityType", {"nodeCapacityType": "SPOT"}, "on-demand or spot"),
    ("nodeCapacityType", {"nodeCapacityType": "spot"}, "on-demand in profile production"),
    ("nodeDiskGb", {"nodeDiskGb": 8}, "a whole number from 20"),
    ("nodesPerZone", {"nodesPerZone": 0}, "a whole number from 1 to 20"),
    ("nodesPerZone", {"nodesPerZone": "two"}, "a whole number"),
    ("maxNodesPerZone", {"nodesPerZone": 4, "maxNodesPerZone": 3}, "4 (nodesPerZone) or more"),
    ("apiAllowedCidrs", {"apiAllowedCidrs": ["0.0.0.0/0"]}, "not for everybody"),
    ("apiAllowedCidrs", {"apiAllowedCidrs": ["office"]}, "an IPv4 range"),
    ("apiPrivateClients", {"apiPrivateClients": []}, "whoever runs `pulumi up`"),
    ("apiPrivateClients", {"apiPrivateClients": ["203.0.113.0/24"]}, "security groups (sg-...) and private"),
    ("apiPrivateClients", {"apiPrivateClients": ["runner"]}, "an IPv4 range"),
    *(
        ("runnerRepository", {**account.RUNNER, "runnerRepository": wrong}, "https://github.com/OWNER/NAME")
        for wrong in ("points/points", "https://github.com/points", "https://github.com/points/points.git")
    ),
    ("runnerConnectionArn", {**account.RUNNER, "runnerRepository": ""}, "neither of them without the other"),
    ("runnerConnectionArn", {**account.RUNNER, "runnerConnectionArn": ""}, "together with runnerRepository"),
    (
        "runnerConnectionArn",
        {**account.RUNNER, "runnerConnectionArn": "arn:aws:codeconnections:x:connection/1"},
        "the ARN of a connection to GitHub",
    ),
    (
        "runnerRepository",
        {**OWN_NETWORK, **account.RUNNER, "existingClusterName": "shop", "apiPrivateClients": []},
        "its owner says who may",
    ),
    (
        "viewerRoleArns",
        {key: ["arn:aws:iam::123456789012:role/one"] for key in ("adminRoleArns", "viewerRoleArns")},
        "roles that adminRoleArns does not name",
    ),
    ("adminRoleArns", {"adminRoleArns": ["admin"]}, "IAM role ARNs"),
    ("viewerRoleArns", {"viewerRoleArns": ["arn:aws:iam::1:user/eve"]}, "IAM role ARNs"),
    ("existingClusterName", {"existingClusterName": "shop/main"}, "the name of an EKS cluster"),
    ("existingVpcId", {"existingClusterName": "shop"}, "the cluster's VPC"),
    ("apiPrivateClients", {**OWN_NETWORK, "existingClusterName": "shop"}, "its owner says who may"),
    ("imageCache", {"imageCache": "quay.io"}, "false or true"),
    ("dockerHubSecretArn", {"dockerHubSecretArn": "hub"}, "whose name begins with ecr-pullthroughcache/"),
    (
        "githubSecretArn",
        {"githubSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/a-1"},
        "a secret in ap-northeast-2",
    ),
    ("databaseInstanceClass", {"databaseInstanceClass": "r5.large"}, "near to it: db.r5.large"),
    ("databaseInstanceClass", {"databaseInstanceClass": "db.t4g.micro"}, "near to it: db.t4g.medium"),
    ("databaseInstances", {"databaseInstances": 1}, "2 in profile production"),
    ("databaseInstances", {"profile": "lean", "databaseInstances": 1}, "2 in profile lean"),
    ("databaseInstances", {"databaseInstances": 3}, "a whole number from 1 to 2"),
    *(
        ("databaseMinCapacity", {"databaseMinCapacity": w}, "in steps of 0.5")
        for w in ("0", "0.3", "257", "half")
    ),
    (
        "databaseMaxCapacity",
        {"databaseMinCapacity": "4", "databaseMaxCapacity": "2"},
        "4 (databaseMinCapacity) or",
    ),
    ("databaseAuthoritiesFile", {"region": "il-central-1"}, "il-central-1-bundle.pem"),
    ("databaseAuthoritiesFile", {"databaseAuthoritiesFile": "ca.pem"}, "a PEM file in this checkout"),
    ("databaseAuthoritiesFile", {"databaseAuthoritiesFile": "README.md"}, "a PEM file in this checkout"),
    (
        "databaseEngineVersion",
        {"databaseEngineVersion": "5.7.mysql_aurora.2.11.1"},
        "8.0.mysql_aurora.3.12.0",
    ),
    ("backupRetentionDays", {"backupRetentionDays": 3}, "a whole number from 7 to 35"),
    ("backupVault", {"backupVault": "locked"}, "compliance or governance or none"),
    (
        "backupVault",
        {"backupVault": "none", "backupCopyRegion": ""},
        "governance or compliance in profile production",
    ),
    ("backupVaultDays", {"backupVaultDays": 3}, "a whole number from 7 to 366"),
    ("backupVaultDays", {"backupVaultDays": 10}, "14 (backupRetentionDays) or more"),
    ("backupCopyRegion", {"backupCopyRegion": "ap-northeast-2"}, "other than ap-northeast-2, or nothing"),
    ("backupCopyRegion", {"backupCopyRegion": "tokyo"}, "a commercial region other than"),
    ("backupCopyRegion", {"profile": "lean", "backupVault": "none"}, "nothing while backupVault is none"),
    ("backupCopyEvery", {"backupCopyEvery": "hour"}, "day or week"),
    ("cacheNodeType", {"cacheNodeType": "cache.r5.lage"}, "near to it: cache.r5.large"),
    ("cacheReplicas", {"cacheReplicas": 0}, "1 in profile production"),
    ("cacheReplicas", {"cacheReplicas": 2}, "a whole number from 0 to 1"),
    ("containerInsights", {"containerInsights": False}, "true in profile production"),
    ("zoneRoleArn", {"zoneRoleArn": "dns"}, "an IAM role's ARN or nothing"),
    (
        "kmsKeyArn",
        {"kmsKeyArn": f"arn:aws:kms:us-east-1:123456789012:key/{'a' * 36}"},
        "a KMS key in ap-northeast-2",
    ),
    ("existingVpcId", {"existingVpcId": "10.0.0.0/16"}, "the id of a VPC"),
    ("publicSubnetIds", {"existingVpcId": "vpc-0123456789abcdef0"}, "three subnets of existingVpcId"),
    ("publicSubnetIds", {"publicSubnetIds": ["subnet-01234567"]}, "nothing while existingVpcId is empty"),
    ("dataSubnetIds", {"dataSubnetIds": ["data"]}, "ids of subnets"),
    ("dataSubnetIds", {**OWN_NETWORK, "dataSubnetIds": OWN_NETWORK["privateSubnetIds"]}, "no other tier has"),
    ("extraTags", {"extraTags": ["CostCenter"]}, "tags such as CostCenter=loyalty"),
    ("extraTags", {"extraTags": ["aws:x=1"]}, "tags such as CostCenter=loyalty"),
    ("extraTags", {"extraTags": ["Team=a", "Team=b"]}, "each name once"),
    ("extraTags", {"extraTags": ["Environment=qa"]}, "names other than"),
    ("cacheEngine", {"cacheEngine": "memcached"}, "redis or valkey"),
    ("cacheEngineVersion", {"cacheEngineVersion": "8.0"}, "7.1"),
    ("cacheTokenGeneration", {"cacheTokenGeneration": 0}, "a whole number from 1"),
    ("logRetentionDays", {"logRetentionDays": 31}, "30 or"),
    ("logRetentionDays", {"logRetentionDays": 7}, "30 or more in profile production"),
    ("alarmEmail", {"alarmEmail": "oncall"}, "an e-mail address or nothing"),
    ("alarmEmail", {"alarmEmail": ""}, "an e-mail address in profile production"),
    ("monthlyBudgetUsd", {"monthlyBudgetUsd": -1}, "a whole number from 0"),
    ("deletionProtection", {"deletionProtection": False}, "true in profile production"),
    ("deletionProtection", {"stage": "destroy"}, "false in stage destroy"),
    (
        "standbyPage",
        {
            "issueCertificate": False,
            "certificateArn": "arn:aws:acm:ap-northeast-2:123456789012:certificate/" + "a" * 36,
        },
        "false while issueCertificate is false",
    ),
    ("waf", {"waf": False}, "true in profile production"),
    ("serviceImageDigest", {"serviceImageDigest": "0.1.0"}, "sha256: and 64 hexadecimal digits"),
    ("operatorImageDigest", {"operatorImageDigest": "latest"}, "sha256: and 64 hexadecimal digits"),
    ("jwtIssuer", {"jwtIssuer": "http://login.example.com"}, "an https URL"),
    ("jwksUri", {"jwksUri": "login.example.com/jwks"}, "an https URL"),
    # Beyond what the PointService's CRD says: a network policy opens this port.
    *(
        ("jwksUri", {"jwksUri": f"https://login.example.com:{port}/jwks"}, "a port from 1 to 65535")
        for port in (0, 65536, 99999)
    ),
    ("jwtAudiences", {"jwtAudiences": []}, "at least one"),
    ("jwtAudiences", {"jwtAudiences": ["a b"]}, "texts without spaces"),
    ("jwtAudiences", {"jwtAudiences": ["*"]}, "texts without spaces and *"),
    ("audienceClaim", {"audienceClaim": "app.client"}, "but no dot"),
    ("audienceClaim", {"audienceClaim": "exp"}, "a claim other than iss, exp, nbf, iat"),
    ("memberClaim", {"memberClaim": ""}, "a claim at the top of the token"),
    ("memberClaim", {"memberClaim": "aud"}, "a claim other than iss, aud, exp, nbf, iat"),
    ("roleClaim", {"roleClaim": "realm_access.roles"}, "but no dot"),
    ("roleClaim", {"roleClaim": "iat"}, "a claim other than iss, aud, exp, nbf, iat"),
    ("roleClaim", {"roleClaim": "sub"}, "another claim than sub (memberClaim)"),
    ("corsOrigins", {"corsOrigins": ["https://shop.example.com/"]}, "https origins without a path"),
    ("corsOrigins", {"corsOrigins": ["*"]}, "https origins without a path"),
    ("aws:region", {"region": "us-west-1"}, "a commercial region with three zones: af-south-1"),
    ("aws:region", {"region": "cn-north-1"}, "a commercial region with three zones"),
    ("aws:region", {"region": None}, "a commercial region with three zones"),
    (
        "availabilityZones",
        {"region": "ap-northeast-1", "availabilityZones": ["ap-northeast-1b"], "backupCopyRegion": ""},
        "ap-northeast-1a, ",
    ),
]


@pytest.mark.parametrize(
    ("key", "changes", "allowed"), WRONG, ids=[f"{k}-{i}" for i, (k, _, _) in enumerate(WRONG)]
)
def test_a_wrong_value_is_one_clear_line(
    load_stack: Callable[..., Settings], key: str, changes: dict[str, object], allowed: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_stack("prod", **changes)
    message = str(refused.value)
    assert message.startswith(f"config {key} is ")
    assert allowed in message.split(": allowed is ")[1]
    assert "\n" not in message


@pytest.mark.parametrize("key", ["serviceImageDigest", "operatorImageDigest"])
def test_an_update_refuses_the_example_digest_that_a_preview_takes(
    load_stack: Callable[..., Settings], key: str
) -> None:
    real = dict.fromkeys(("serviceImageDigest", "operatorImageDigest"), "sha256:" + "1" * 64)
    load_stack("prod", preview=True, **{**real, key: EXAMPLE})
    with pytest.raises(ConfigError, match="the digest of a pushed image"):
        load_stack("prod", preview=False, **{**real, key: EXAMPLE})


def test_prod_is_unprotected_only_on_its_way_out(load_stack: Callable[..., Settings]) -> None:
    assert not load_stack("prod", stage="destroy", deletionProtection=False).deletion_protection


def test_the_foundation_needs_no_image_and_no_way_to_an_api_yet(load_stack: Callable[..., Settings]) -> None:
    made = load_stack("prod", preview=False, stage="foundation", apiPrivateClients=[])
    assert made.stage == "foundation"


UNUSUAL: list[dict[str, object]] = [
    {"domainName": "points.xn--2j1b34c.xn--3e0b707e", "zoneName": "xn--2j1b34c.xn--3e0b707e"},
    {"domainName": f"{'a' * 52}.example.com"},
    {"vpcCidr": "172.31.0.0/16"},
    {"apiPrivateClients": ["sg-0123456789abcdef0", "192.168.4.0/22"]},
    {"apiPrivateClients": [], "apiAllowedCidrs": ["203.0.113.7/32"]},
    {"apiPrivateClients": [], **account.RUNNER},
    {
        **account.RUNNER,
        "runnerConnectionArn": (
            f"arn:aws:codestar-connections:us-east-1:123456789012:connection/{'0123456789abcdef' * 2}-1-1"
        ),
    },
    {"availabilityZones": ["ap-northeast-2a", "ap-northeast-2c", "ap-northeast-2d"]},
    {"zoneId": "Z0123456789ABC"},
    {"environment": "qa-2"},
    {"environment": "a" * 20},
    {"environment": "p"},
    *(
        {"region": region, "backupCopyRegion": "eu-west-1"}
        for region in ("us-east-1", "ap-northeast-1", "ca-central-1", "sa-east-1")
    ),
    {"region": "eu-central-1", "availabilityZones": ["eu-central-1c", "eu-central-1a", "eu-central-1b"]},
    {"nodeInstanceType": "c8gn.48xlarge"},
    {"nodeInstanceType": "m6g.medium"},
    {"nodeInstanceType": "t3a.xlarge", "nodeDiskGb": 1000},
    {"databaseInstanceClass": "db.serverless", "databaseMinCapacity": "0.5", "databaseMaxCapacity": "256"},
    {"databaseInstanceClass": "db.serverless", "databaseMinCapacity": "2.0", "databaseMaxCapacity": "2"},
    {"databaseInstanceClass": "db.r8g.48xlarge"},
    {"databaseInstanceClass": "db.t3.medium"},
    {"cacheNodeType": "cache.m7g.16xlarge", "cacheEngine": "valkey", "cacheEngineVersion": "8.1"},
    {"cacheNodeType": "cache.t4g.micro"},
    OWN_NETWORK,
    {**OWN_NETWORK, "natGateways": 1},
    {**OWN_NETWORK, "existingClusterName": "shop_main-2", "apiPrivateClients": []},
    {"zoneRoleArn": "arn:aws:iam::210987654321:role/dns"},
    {"kmsKeyArn": f"arn:aws:kms:ap-northeast-2:210987654321:key/mrk-{'a' * 32}"},
    {"extraTags": ["CostCenter=loyalty", "Owner=a b@c.example", "Empty="]},
    {"profile": "lean", "waf": False, "natGateways": 1, "alarmEmail": "", "backupRetentionDays": 1},
    {"profile": "trial", "databaseInstances": 1, "cacheReplicas": 0, "nodeCapacityType": "spot"},
    {"profile": "trial", "containerInsights": False, "logRetentionDays": 1, "standbyPage": False},
    {"profile": "trial", "deletionProtection": False},
    {"jwtAudiences": ["points", "https://api.example.com"]},
    {"audienceClaim": "client_id", "memberClaim": "username", "roleClaim": "cognito:groups"},
    {"memberClaim": "urn:shop:member/id", "roleClaim": "a" * 128},
    {"corsOrigins": []},
    {"monthlyBudgetUsd": 0},
    {"logRetentionDays": 3653},
    {"maxNodesPerZone": 50, "nodesPerZone": 20},
    {"vpcCidr": "192.168.0.0/17"},
    {"vpcCidr": "172.16.0.0/16"},
    {"permissionsBoundary": "arn:aws:iam::aws:policy/PowerUserAccess"},
    {"cacheEngine": "valkey", "cacheEngineVersion": "7.2"},
    {"domainName": "example.com"},
    {"createPointService": True},
    {"jwtIssuer": "https://login.example.com:8443/realms/shop"},
    {"backupRetentionDays": 35},
]


@pytest.mark.parametrize("changes", UNUSUAL, ids=range(len(UNUSUAL)))
def test_an_unusual_value_that_is_right_is_taken(
    load_stack: Callable[..., Settings], changes: dict[str, object]
) -> None:
    load_stack("prod", **changes)


@pytest.mark.parametrize(("stack", "profile"), [("prod", "production"), ("dev", "lean"), ("trial", "trial")])
def test_the_stack_files_are_valid(load_stack: Callable[..., Settings], stack: str, profile: str) -> None:
    settings = load_stack(stack)
    assert (settings.environment, settings.profile) == (stack, profile)


def test_what_is_tried_here_is_a_hundred_wrong_values_and_forty_unusual_ones() -> None:
    assert len(WRONG) >= 100
    assert len(UNUSUAL) >= 40


def test_the_shell_s_region_is_taken_where_the_config_says_none_and_must_not_differ() -> None:
    values = offline.stack_config("prod").get
    assert load(values, None, preview=True, shell_region="us-east-1").region == "us-east-1"
    assert load(values, "us-east-1", preview=True, shell_region="us-east-1").region == "us-east-1"
    with pytest.raises(ConfigError, match=r"eu-west-1, as AWS_REGION says"):
        load(values, "us-east-1", preview=True, shell_region="eu-west-1")


@pytest.mark.parametrize("region", sorted(regions.REGIONS))
def test_every_region_has_three_zones_and_a_night_of_its_own(region: str) -> None:
    assert len(regions.zones(region)) >= 3
    assert re.fullmatch(r"\d\d:00-\d\d:00", regions.window(region, 0))
    assert re.fullmatch(r"(sun|mon):\d\d:00-(sun|mon):\d\d:00", regions.weekly_window(region, 1))


def test_maintenance_is_at_three_at_night_where_the_region_is() -> None:
    assert regions.window("ap-northeast-2", 0) == "18:00-19:00"
    assert regions.weekly_window("ap-northeast-2", 1) == "sun:19:00-sun:20:00"
    assert regions.window("us-east-1", 0) == "08:00-09:00"
    assert regions.weekly_window("us-east-1", 1) == "mon:09:00-mon:10:00"
    assert regions.weekly_window("me-central-1", 0) == "sun:23:00-mon:00:00"


def test_a_processor_is_told_by_its_type() -> None:
    assert all(
        map(sizes.arm, ("m6g.large", "t4g.small", "c7gn.xlarge", "x2gd.large", "a1.large", "g5g.xlarge"))
    )
    assert not any(map(sizes.arm, ("m5.large", "g5.xlarge", "c6i.large", "t3a.large", "p4d.24xlarge")))


@pytest.mark.parametrize("region", sorted(authorities.SHIPPED))
def test_the_authorities_of_a_region_are_its_own_and_last(region: str) -> None:
    found = x509.load_pem_x509_certificates(authorities.SHIPPED[region].encode())
    assert len(found) == 3
    for certificate in found:
        assert f"Amazon RDS {region} Root CA" in certificate.subject.rfc4514_string()
        assert certificate.not_valid_after_utc.year > 2050
