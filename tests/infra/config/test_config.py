"""A wrong value is refused before the first resource, in one line naming key, value and what is allowed."""

from collections.abc import Callable

import pytest
from point_infra.config.reader import ConfigError
from point_infra.config.settings import Settings

EXAMPLE = "sha256:" + "0" * 64

WRONG: list[tuple[str, dict[str, object], str]] = [
    ("environment", {"environment": "production"}, "dev or prod"),
    ("environment", {"environment": ""}, "dev or prod"),
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
    ("natGateways", {"natGateways": 1}, "3 in prod"),
    ("kubernetesVersion", {"kubernetesVersion": "1.31"}, "1.35 or 1.36"),
    ("nodeInstanceType", {"nodeInstanceType": "m5.huge"}, "m5.large"),
    ("nodesPerZone", {"nodesPerZone": 0}, "a whole number from 1 to 20"),
    ("nodesPerZone", {"nodesPerZone": "two"}, "a whole number"),
    ("maxNodesPerZone", {"nodesPerZone": 4, "maxNodesPerZone": 3}, "4 (nodesPerZone) or more"),
    ("apiAllowedCidrs", {"apiAllowedCidrs": ["0.0.0.0/0"]}, "not for everybody"),
    ("apiAllowedCidrs", {"apiAllowedCidrs": ["office"]}, "an IPv4 range"),
    ("apiPrivateClients", {"apiPrivateClients": []}, "whoever runs `pulumi up`"),
    ("apiPrivateClients", {"apiPrivateClients": ["203.0.113.0/24"]}, "security groups (sg-...) and private"),
    ("apiPrivateClients", {"apiPrivateClients": ["runner"]}, "an IPv4 range"),
    (
        "viewerRoleArns",
        {key: ["arn:aws:iam::123456789012:role/one"] for key in ("adminRoleArns", "viewerRoleArns")},
        "roles that adminRoleArns does not name",
    ),
    ("adminRoleArns", {"adminRoleArns": ["admin"]}, "IAM role ARNs"),
    ("viewerRoleArns", {"viewerRoleArns": ["arn:aws:iam::1:user/eve"]}, "IAM role ARNs"),
    ("databaseInstanceClass", {"databaseInstanceClass": "r5.large"}, "db.r5.large"),
    (
        "databaseEngineVersion",
        {"databaseEngineVersion": "5.7.mysql_aurora.2.11.1"},
        "8.0.mysql_aurora.3.12.0",
    ),
    ("backupRetentionDays", {"backupRetentionDays": 3}, "a whole number from 7 to 35"),
    ("cacheNodeType", {"cacheNodeType": "cache.t3.micro"}, "cache.r5.large"),
    ("cacheEngine", {"cacheEngine": "memcached"}, "redis or valkey"),
    ("cacheEngineVersion", {"cacheEngineVersion": "8.0"}, "7.1"),
    ("cacheTokenGeneration", {"cacheTokenGeneration": 0}, "a whole number from 1"),
    ("logRetentionDays", {"logRetentionDays": 31}, "30 or"),
    ("logRetentionDays", {"logRetentionDays": 7}, "30 or more in prod"),
    ("alarmEmail", {"alarmEmail": "oncall"}, "an e-mail address or nothing"),
    ("alarmEmail", {"alarmEmail": ""}, "an e-mail address in prod"),
    ("monthlyBudgetUsd", {"monthlyBudgetUsd": -1}, "a whole number from 0"),
    ("deletionProtection", {"deletionProtection": False}, "true in prod"),
    ("deletionProtection", {"stage": "destroy"}, "false in stage destroy"),
    (
        "standbyPage",
        {
            "issueCertificate": False,
            "certificateArn": "arn:aws:acm:ap-northeast-2:123456789012:certificate/" + "a" * 36,
        },
        "false while issueCertificate is false",
    ),
    ("waf", {"waf": False}, "true in prod"),
    ("serviceImageDigest", {"serviceImageDigest": "0.1.0"}, "sha256: and 64 hexadecimal digits"),
    ("operatorImageDigest", {"operatorImageDigest": "latest"}, "sha256: and 64 hexadecimal digits"),
    ("jwtIssuer", {"jwtIssuer": "http://login.example.com"}, "an https URL"),
    ("jwksUri", {"jwksUri": "login.example.com/jwks"}, "an https URL"),
    ("jwtAudiences", {"jwtAudiences": []}, "at least one"),
    ("jwtAudiences", {"jwtAudiences": ["a b"]}, "texts without spaces"),
    ("corsOrigins", {"corsOrigins": ["https://shop.example.com/"]}, "https origins without a path"),
    ("corsOrigins", {"corsOrigins": ["*"]}, "https origins without a path"),
    ("aws:region", {"region": "us-east-1"}, "ap-northeast-2"),
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


@pytest.mark.parametrize(
    "changes",
    [
        {"domainName": "points.xn--2j1b34c.xn--3e0b707e", "zoneName": "xn--2j1b34c.xn--3e0b707e"},
        {"domainName": f"{'a' * 52}.example.com"},
        {"vpcCidr": "172.31.0.0/16"},
        {"apiPrivateClients": ["sg-0123456789abcdef0", "192.168.4.0/22"]},
        {"apiPrivateClients": [], "apiAllowedCidrs": ["203.0.113.7/32"]},
        {"availabilityZones": ["ap-northeast-2a", "ap-northeast-2c", "ap-northeast-2d"]},
        {"zoneId": "Z0123456789ABC"},
    ],
)
def test_an_unusual_value_that_is_right_is_taken(
    load_stack: Callable[..., Settings], changes: dict[str, object]
) -> None:
    load_stack("prod", **changes)


@pytest.mark.parametrize("stack", ["prod", "dev"])
def test_the_stack_files_are_valid(load_stack: Callable[..., Settings], stack: str) -> None:
    assert load_stack(stack).environment == stack
