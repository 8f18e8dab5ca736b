"""What is there already and is taken as it is: subnets, a cluster, a key, a certificate, a connection, switches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from point_infra.doctor.finding import Finding, failed, ok, warning

_ROLES = {"public": "kubernetes.io/role/elb", "private": "kubernetes.io/role/internal-elb", "data": ""}
"""Tag by which controllers find a tier's subnets."""

ADD_ONS = ("vpc-cni", "eks-pod-identity-agent", "aws-ebs-csi-driver", "metrics-server")
"""What a cluster of somebody else must have (docs/deploy.md, What is there already)."""


@dataclass(frozen=True)
class Subnet:
    """A subnet as AWS has it; `tags` are the keys."""

    vpc: str
    zone: str
    tags: frozenset[str]


def subnets(
    tier: str, ids: Sequence[str], vpc: str, zones: Sequence[str], there: Mapping[str, Subnet]
) -> Finding:
    """Judge a tier's subnets: of the VPC, one in each zone, in the zones' order."""
    what, key = f"{tier} subnets", f"{tier}SubnetIds"
    missing = [i for i in ids if i not in there]
    if missing:
        return failed(what, f"{', '.join(missing)} not in this account and region", f"correct {key}")
    foreign = [i for i in ids if there[i].vpc != vpc]
    if foreign:
        return failed(what, f"{', '.join(foreign)} not in {vpc}", f"correct {key} or existingVpcId")
    found = [there[i].zone for i in ids]
    if found != list(zones):
        return failed(what, f"in {', '.join(found)}", f"{key} in the order of {', '.join(zones)}")
    untagged = [i for i in ids if _ROLES[tier] and _ROLES[tier] not in there[i].tags]
    if untagged:
        return warning(what, f"{', '.join(untagged)} without {_ROLES[tier]}", f"tag them {_ROLES[tier]}=1")
    return ok(what, f"in {', '.join(found)}")


@dataclass(frozen=True)
class Cluster:
    """An EKS cluster as AWS has it; `public` are the ranges that reach its API from the Internet."""

    status: str
    vpc: str
    public: tuple[str, ...]


def cluster(name: str, vpc: str, there: Cluster | None, addons: Sequence[str]) -> Finding:
    """Judge the cluster that is installed into: in the VPC, with the add-ons that the program counts on."""
    what = f"cluster {name}"
    if there is None:
        return failed(what, "not in this account and region", "correct existingClusterName")
    if there.status != "ACTIVE":
        return failed(what, there.status, "wait until it is ACTIVE")
    if there.vpc != vpc:
        return failed(what, f"in {there.vpc}", f"one in {vpc} (existingVpcId)")
    missing = [a for a in ADD_ONS if a not in addons]
    if missing:
        then = "install them, unless they are there by other ways"
        return warning(what, f"without the add-ons {', '.join(missing)}", then)
    return ok(what, f"active, in {vpc}")


def key(arn: str, state: str | None) -> Finding:
    """Judge a KMS key by its state; what its policy allows shows only in use."""
    what = f"key {arn.rsplit('/', 1)[-1]}"
    if state is None:
        return failed(what, "not there", "correct kmsKeyArn")
    return ok(what, "enabled") if state == "Enabled" else failed(what, state, "a key that is enabled")


def certificate(arn: str, wanted: Sequence[str], status: str | None, names: Sequence[str]) -> Finding:
    """Judge a certificate by its status and the host names that it is for."""
    what = f"certificate {arn.rsplit('/', 1)[-1]}"
    if status != "ISSUED":
        return failed(what, status or "not there", "an issued one of this region in certificateArn")
    bare = [name for name in wanted if name not in names and f"*.{name.split('.', 1)[1]}" not in names]
    if bare:
        return failed(what, f"not for {', '.join(bare)}", f"one for {' and '.join(wanted)}")
    return ok(what, f"issued for {', '.join(wanted)}")


_WATCH = "pulumi/watch.yaml (docs/deploy.md, Who watches the account)"
_AUDIT = "EKS_AUDIT_LOGS"


def backup(on: bool | None) -> Finding:
    """Judge AWS Backup's switch for Aurora, which counts for a cluster that a plan names, too."""
    if on is False:
        then = "aws backup update-region-settings --resource-type-opt-in-preference Aurora=true"
        return failed("AWS Backup", "off for Aurora in this region: the plan would keep nothing", then)
    return ok("AWS Backup", "on for Aurora" if on else "on for Aurora once there is a vault")


def copies(region: str, status: str | None) -> Finding:
    """Judge the region that recovery points are copied to."""
    if status == "not-opted-in":
        then = f"aws account enable-region --region-name {region}"
        return failed("copies of backups", f"{region} is not enabled in this account", then)
    return ok("copies of backups", f"{region}, which is on")


def guard(features: set[str] | None) -> Finding:
    """Judge whether somebody looks at what happens in the account."""
    if features is None:
        return warning("GuardDuty", "off in this region: nobody looks at what happens here", _WATCH)
    if _AUDIT not in features:
        return warning("GuardDuty", "on, but not for the audit logs of clusters", _WATCH)
    return ok("GuardDuty", f"on, with {', '.join(sorted(features))}")


def scanner(kind: str) -> Finding:
    """Judge whether images are looked at after their push, too."""
    if kind != "ENHANCED":
        return warning(
            "image scanning", f"{kind.lower()}: what is found out after a push is not heard of", _WATCH
        )
    return ok("image scanning", "enhanced")


def distributions(*, some: bool) -> Finding:
    """Judge whether CloudFront will take a first distribution, which only shows when it refuses one."""
    if some:
        return ok("CloudFront", "the account has distributions")
    return warning(
        "CloudFront",
        "no distribution yet: it makes none in an account that AWS has not verified",
        "ask AWS Support to verify the account for CloudFront, or standbyPage: false until then",
    )


def connection(arn: str, status: str | None) -> Finding:
    """Judge a connection to GitHub: somebody has to finish it in the console."""
    what = f"connection {arn.rsplit('/', 1)[-1]}"
    if status == "AVAILABLE":
        return ok(what, "available")
    then = "correct runnerConnectionArn"
    if status:
        then = "finish it in the console: Developer Tools, Settings, Connections, Update pending connection"
    return failed(what, status or "not there", then)
