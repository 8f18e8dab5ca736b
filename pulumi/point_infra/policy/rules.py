"""Rules that every resource keeps, as plain functions over type and inputs (Pulumi's names).

`pack.py` hands them to the engine; the tests run them on what the program declares.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from point_infra.config.settings import LOG_RETENTION_DAYS

Inputs = Mapping[str, Any]
Rule = Callable[[str, Inputs], Iterator[str]]

_ENCRYPTED = {
    "aws:rds/cluster:Cluster": "storageEncrypted",
    "aws:elasticache/replicationGroup:ReplicationGroup": "atRestEncryptionEnabled",
}
_KEYS = {"aws:sns/topic:Topic": "kmsMasterKeyId", "aws:backup/vault:Vault": "kmsKeyArn"}
_TAGLESS_BY_CHOICE = ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",)
_EVERYBODY = ("0.0.0.0/0", "::/0")
PUBLIC_PORTS = (80, 443)
"""What the world may reach, at the load balancer."""


def encrypted(type_: str, inputs: Inputs) -> Iterator[str]:
    """Everything that keeps data encrypts it, with the stack's key where AWS can."""
    if type_ in _ENCRYPTED and inputs.get(_ENCRYPTED[type_]) is not True:
        yield f"{_ENCRYPTED[type_]} must be true"
    if type_ == "aws:ec2/launchTemplate:LaunchTemplate":
        for mapping in inputs.get("blockDeviceMappings") or [{}]:
            if str(mapping.get("ebs", {}).get("encrypted")).lower() != "true":
                yield "node disks must be encrypted"
    if type_ in (
        "aws:sns/topic:Topic",
        "aws:secretsmanager/secret:Secret",
        "aws:cloudwatch/logGroup:LogGroup",
        "aws:backup/vault:Vault",
    ):
        key = _KEYS.get(type_, "kmsKeyId")
        if key not in set(inputs):  # its value is not known before the key is there
            yield f"{key} must name a key"


def private(type_: str, inputs: Inputs) -> Iterator[str]:
    """No database or node is reachable from outside; buckets refuse to be public."""
    if type_ == "aws:rds/clusterInstance:ClusterInstance" and inputs.get("publiclyAccessible") is not False:
        yield "publiclyAccessible must be false"
    if type_ == "aws:ec2/subnet:Subnet" and inputs.get("mapPublicIpOnLaunch"):
        yield "mapPublicIpOnLaunch must be false"
    if type_ == "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":
        for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
            if inputs.get(key) is not True:
                yield f"{key} must be true"
    # pulumi-eks shows its arguments on the component to mocks, to the engine on the cluster that it makes.
    api = inputs.get("vpcConfig") or {} if type_ == "aws:eks/cluster:Cluster" else inputs
    if type_.endswith(":Cluster") and "eks" in type_ and api.get("endpointPublicAccess") is True:
        cidrs = api.get("publicAccessCidrs") or list(_EVERYBODY)
        if set(cidrs) & set(_EVERYBODY):
            yield "the Kubernetes API must not be open to everybody"


def metadata_v2(type_: str, inputs: Inputs) -> Iterator[str]:
    """Nodes answer IMDSv2 only, and not to pods."""
    if type_ != "aws:ec2/launchTemplate:LaunchTemplate":
        return
    options = inputs.get("metadataOptions") or {}
    if options.get("httpTokens") != "required":
        yield "metadataOptions.httpTokens must be required"
    if options.get("httpPutResponseHopLimit") != 1:
        yield "metadataOptions.httpPutResponseHopLimit must be 1"


def tls_only(type_: str, inputs: Inputs) -> Iterator[str]:
    """Plain text leads to a redirect, a refusal, or nowhere."""
    if type_ == "aws:lb/listener:Listener":
        if inputs.get("protocol") == "HTTPS" and "TLS13" not in str(inputs.get("sslPolicy")):
            yield "sslPolicy must be one with TLS 1.3"
        kinds = {a.get("type") for a in inputs.get("defaultActions") or []}
        if inputs.get("protocol") == "HTTP" and not kinds <= {"redirect", "fixed-response"}:
            yield "a plain HTTP listener may only redirect or refuse"
    if type_ == "aws:elasticache/replicationGroup:ReplicationGroup":
        if inputs.get("transitEncryptionEnabled") is not True:
            yield "transitEncryptionEnabled must be true"
        if "authToken" not in set(inputs):
            yield "authToken must be set"
    if type_ == "aws:rds/clusterParameterGroup:ClusterParameterGroup":
        parameters = {p["name"]: p["value"] for p in inputs.get("parameters") or []}
        if parameters.get("require_secure_transport") != "ON":
            yield "require_secure_transport must be ON"


def not_everybody(type_: str, inputs: Inputs) -> Iterator[str]:
    """Only the load balancer's two ports are open to the world."""
    if type_ == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
        world = inputs.get("cidrIpv4") in _EVERYBODY or inputs.get("cidrIpv6") in _EVERYBODY
        if world and inputs.get("fromPort") not in PUBLIC_PORTS:
            yield f"port {inputs.get('fromPort')} must not be open to everybody"
    if type_ == "aws:ec2/securityGroup:SecurityGroup" and inputs.get("ingress"):
        yield "rules belong into resources of their own"


def tagged(type_: str, inputs: Inputs) -> Iterator[str]:
    """Whatever carries tags says project and environment."""
    if "tags" not in inputs or type_ in _TAGLESS_BY_CHOICE:
        return
    missing = {"Project", "Environment"} - set(inputs["tags"] or {})
    if missing:
        yield f"tags must name {', '.join(sorted(missing))}"


def log_retention(type_: str, inputs: Inputs) -> Iterator[str]:
    """Logs end some day."""
    if (
        type_ == "aws:cloudwatch/logGroup:LogGroup"
        and inputs.get("retentionInDays") not in LOG_RETENTION_DAYS
    ):
        yield "retentionInDays must be set"


def least_privilege(type_: str, inputs: Inputs) -> Iterator[str]:
    """No identity may do everything, and what may be done on everything only reads or is conditioned."""
    if type_ not in ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"):
        return
    document = inputs.get("policy")
    if not isinstance(document, str):
        return  # not known yet
    for statement in json.loads(document)["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        wide = "*" in (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
        if statement["Effect"] != "Allow":
            continue
        if any(a == "*" or a.endswith(":*") for a in actions):
            yield f"{', '.join(actions)} is every action"
        writes = [a for a in actions if not a.partition(":")[2].startswith(("Describe", "List", "Get"))]
        if wide and writes and "Condition" not in statement:
            yield f"{', '.join(writes)} on every resource"


def administrator(type_: str, inputs: Inputs) -> Iterator[str]:
    """No managed policy of AWS's that may do everything."""
    arn = str(inputs.get("policyArn", ""))
    if type_ == "aws:iam/rolePolicyAttachment:RolePolicyAttachment" and arn.endswith(
        ("/AdministratorAccess", "/PowerUserAccess", "FullAccess")
    ):
        yield f"{arn.rsplit('/', 1)[-1]} gives too much"


def kept_in_production(type_: str, inputs: Inputs) -> Iterator[str]:
    """In production nothing that holds points or takes traffic can be deleted by mistake; backups go back a week."""
    if (inputs.get("tags") or {}).get("Profile") != "production":
        return
    if type_ == "aws:rds/cluster:Cluster":
        if inputs.get("deletionProtection") is not True:
            yield "deletionProtection must be true in production"
        if inputs.get("skipFinalSnapshot") is not False:
            yield "skipFinalSnapshot must be false in production"
        if (inputs.get("backupRetentionPeriod") or 0) < 7:
            yield "backupRetentionPeriod must be 7 or more in production"
    if type_ == "aws:backup/vault:Vault" and inputs.get("forceDestroy"):
        yield "forceDestroy must be false in production"
    if type_ == "aws:lb/loadBalancer:LoadBalancer" and inputs.get("enableDeletionProtection") is not True:
        yield "enableDeletionProtection must be true in production"
    if type_ == "aws:elasticache/replicationGroup:ReplicationGroup" and not inputs.get(
        "snapshotRetentionLimit"
    ):
        yield "snapshotRetentionLimit must be 1 or more in production"


RULES: tuple[Rule, ...] = (
    encrypted,
    private,
    metadata_v2,
    tls_only,
    not_everybody,
    tagged,
    log_retention,
    least_privilege,
    administrator,
    kept_in_production,
)


def violations(type_: str, inputs: Inputs) -> list[str]:
    """All that one resource breaks, as `rule: what`."""
    return [f"{rule.__name__}: {text}" for rule in RULES for text in rule(type_, inputs)]
