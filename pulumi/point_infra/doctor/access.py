"""Who asks, from where, and what they may: credentials, region, managed policies, rights, the Kubernetes API."""

import ipaddress
import re
from collections.abc import Iterable

from point_infra.doctor.finding import Finding, failed, ok, unknown, warning

RIGHTS = {
    "aws:ec2/vpc:Vpc": "ec2:CreateVpc",
    "aws:ec2/natGateway:NatGateway": "ec2:CreateNatGateway",
    "eks:index:Cluster": "eks:CreateCluster",
    "aws:eks/nodeGroup:NodeGroup": "eks:CreateNodegroup",
    "aws:rds/cluster:Cluster": "rds:CreateDBCluster",
    "aws:elasticache/replicationGroup:ReplicationGroup": "elasticache:CreateReplicationGroup",
    "aws:iam/role:Role": "iam:CreateRole",
    "aws:iam/rolePolicy:RolePolicy": "iam:PutRolePolicy",
    "aws:kms/key:Key": "kms:CreateKey",
    "aws:lb/loadBalancer:LoadBalancer": "elasticloadbalancing:CreateLoadBalancer",
    "aws:route53/record:Record": "route53:ChangeResourceRecordSets",
    "aws:acm/certificate:Certificate": "acm:RequestCertificate",
    "aws:wafv2/webAcl:WebAcl": "wafv2:CreateWebACL",
    "aws:cloudfront/distribution:Distribution": "cloudfront:CreateDistribution",
    "aws:codebuild/project:Project": "codebuild:CreateProject",
    "aws:secretsmanager/secret:Secret": "secretsmanager:CreateSecret",
}
"""A right of each kind that is dear to miss; whoever has these has the rest."""


def role_of(arn: str) -> str | None:
    """Name of the role behind a session; None for a user."""
    match = re.fullmatch(r"arn:[\w-]+:sts::\d{12}:assumed-role/([^/]+)/.+", arn)
    return match[1] if match else None


def rights(actions: list[str], refused: list[str], *, bounded: bool) -> Finding:
    """Judge what the caller's own policies say; those of the organization may still refuse."""
    if not refused:
        return ok("rights", f"all {len(actions)} that were asked for")
    roles = [a for a in refused if a.startswith("iam:")]
    then = "a session with those rights"
    if roles and not bounded:
        then = "set permissionsBoundary (the deploy role makes no role without it), or " + then
    return failed("rights", f"not allowed: {', '.join(refused)}", then)


def region(wanted: str, environment: str | None, status: str | None) -> list[Finding]:
    """Judge whether the region is there, is on, and is the one that the `aws` program would use."""
    if status is None:
        return [failed("region", f"{wanted} is no region of AWS", "set aws:region")]
    if status == "not-opted-in":
        then = f"aws account enable-region --region-name {wanted}"
        return [failed("region", f"{wanted} is not enabled in this account", then)]
    if environment is None:
        then = f"export AWS_REGION={wanted}"
        return [warning("region", f"{wanted} is on, and no AWS_REGION is set", then)]
    if environment != wanted:
        return [
            failed("region", f"{wanted} (aws:region), but {environment} here", f"export AWS_REGION={wanted}")
        ]
    return [ok("region", f"{wanted}, which is on, here too")]


def policy(arn: str, *, there: bool) -> Finding:
    """Judge a managed policy that a role is to get: AWS refuses to attach one by another path."""
    what = f"policy {arn.split(':policy/', 1)[-1]}"
    if there:
        return ok(what, "there")
    own = ":iam::aws:" not in arn
    then = "deploy pulumi/bootstrap.yaml first" if own else "correct its name or path in the program"
    return failed(what, f"no {arn}", then)


def api(
    public: Iterable[str],
    private: Iterable[str],
    seen_as: str | None,
    inside_as: dict[str, str],
    *,
    runner: str = "",
) -> Finding:
    """Judge whether the Kubernetes API lets this machine in, as an update needs it to.

    `seen_as` is the address that this machine has on the Internet, `inside_as` the one that it would use
    towards each private range; `runner` is the stack's own, which is let in.
    """
    what, allowed, clients = "Kubernetes API", list(public), list(private)
    members = [f"a member of {c}" for c in clients if c.startswith("sg-")]
    members += [f"a job of {runner}"] if runner else []
    for range_ in (c for c in clients if not c.startswith("sg-")):
        if _in(inside_as.get(range_), range_):
            return ok(what, f"privately: this machine is {inside_as[range_]}, within {range_}")
    if allowed and seen_as:
        for range_ in allowed:
            if _in(seen_as, range_):
                return ok(what, f"publicly: this machine is {seen_as}, within {range_}")
    if members:
        return unknown(what, f"from here only {' or '.join(members)} reaches it")
    if allowed and not seen_as:
        return unknown(what, f"open to {', '.join(allowed)}, and this machine's own address is not known")
    if allowed:
        return failed(
            what,
            f"open to {', '.join(allowed)}, and this machine is {seen_as}",
            f"add {seen_as}/32 to apiAllowedCidrs, or ask where `pulumi up` will run",
        )
    if clients:
        return failed(
            what,
            f"private: open to {', '.join(clients)}, where this machine is not",
            "stage foundation goes from here; run the rest inside the network, or set apiAllowedCidrs",
        )
    return failed(what, "open to nobody", "set apiAllowedCidrs, apiPrivateClients or runnerRepository")


def owners(public: Iterable[str], seen_as: str | None) -> Finding:
    """Judge whether the API of a cluster that is there already lets this machine in from the Internet."""
    for range_ in public:
        if _in(seen_as, range_):
            return ok("Kubernetes API", f"publicly: this machine is {seen_as}, within {range_}")
    return unknown("Kubernetes API", "the cluster's owner says who reaches it from inside; try kubectl")


def _in(address: str | None, range_: str) -> bool:
    return address is not None and ipaddress.ip_address(address) in ipaddress.ip_network(range_)
