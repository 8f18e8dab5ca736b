"""Ids and ARNs of the form that AWS gives them, so that what takes one can be checked for its kind."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

from point_local.preview.standin.shapes import AUTONAMES

ACCOUNT = "123456789012"

RUNNER = {
    "runnerConnectionArn": (
        "arn:aws:codeconnections:ap-northeast-2:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
    ),
    "runnerRepository": "https://github.com/points/points",
}
"""Config of a stack with a runner of its own."""

_IDS = {
    "aws:ec2/eip:Eip": "eipalloc-",
    "aws:ec2/internetGateway:InternetGateway": "igw-",
    "aws:ec2/launchTemplate:LaunchTemplate": "lt-",
    "aws:ec2/natGateway:NatGateway": "nat-",
    "aws:ec2/routeTable:RouteTable": "rtb-",
    "aws:ec2/securityGroup:SecurityGroup": "sg-",
    "aws:ec2/subnet:Subnet": "subnet-",
    "aws:ec2/vpc:Vpc": "vpc-",
}

_ARNS = {
    "aws:acm/certificate:Certificate": "acm:{region}:{account}:certificate/{uuid}",
    "aws:backup/plan:Plan": "backup:{region}:{account}:backup-plan:{uuid}",
    "aws:backup/vault:Vault": "backup:{region}:{account}:backup-vault:{name}",
    "aws:cloudfront/distribution:Distribution": "cloudfront::{account}:distribution/{upper}",
    "aws:cloudwatch/logGroup:LogGroup": "logs:{region}:{account}:log-group:{name}",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "cloudwatch:{region}:{account}:alarm:{name}",
    "aws:codebuild/project:Project": "codebuild:{region}:{account}:project/{name}",
    "aws:ecr/repository:Repository": "ecr:{region}:{account}:repository/{name}",
    "aws:elasticache/replicationGroup:ReplicationGroup": (
        "elasticache:{region}:{account}:replicationgroup:{name}"
    ),
    "aws:iam/role:Role": "iam::{account}:role/{name}",
    "aws:kms/key:Key": "kms:{region}:{account}:key/{uuid}",
    "aws:lb/listener:Listener": (
        "elasticloadbalancing:{region}:{account}:listener/app/{name}/{hex16}/{hex16}"
    ),
    "aws:lb/loadBalancer:LoadBalancer": (
        "elasticloadbalancing:{region}:{account}:loadbalancer/app/{name}/{hex16}"
    ),
    "aws:lb/targetGroup:TargetGroup": "elasticloadbalancing:{region}:{account}:targetgroup/{name}/{hex16}",
    "aws:rds/cluster:Cluster": "rds:{region}:{account}:cluster:{name}",
    "aws:rds/clusterInstance:ClusterInstance": "rds:{region}:{account}:db:{name}",
    "aws:s3/bucket:Bucket": "s3:::{name}",
    "aws:secretsmanager/secret:Secret": "secretsmanager:{region}:{account}:secret:{name}-AbCdEf",
    "aws:sns/topic:Topic": "sns:{region}:{account}:{name}",
    "aws:wafv2/webAcl:WebAcl": "wafv2:{region}:{account}:regional/webacl/{name}/{uuid}",
}

_NAMED = ("name", "clusterIdentifier", "identifier", "replicationGroupId", "bucket")
"""Inputs that name a resource, where it has a name at all."""

_ID_IS_ARN = {
    "aws:acm/certificate:Certificate",
    "aws:lb/listener:Listener",
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:lb/targetGroup:TargetGroup",
    "aws:secretsmanager/secret:Secret",
    "aws:sns/topic:Topic",
}


def answers(region: str) -> Callable[[str, str, dict[str, Any]], tuple[str, dict[str, Any]]]:
    """What AWS would answer to a stack of a region: id and outputs, by type, name and inputs."""
    return functools.partial(_answer, region)


def _answer(region: str, type_: str, name: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    digest = hashlib.sha256(f"{type_} {name}".encode()).hexdigest()
    known = {
        "account": ACCOUNT,
        "hex16": digest[:16],
        "name": physical(type_, name, inputs),
        "region": inputs.get("region", region),
        "upper": f"E{digest[:13].upper()}",
        "uuid": "-".join((digest[:8], digest[8:12], "4" + digest[13:16], "8" + digest[17:20], digest[20:32])),
    }
    outputs: dict[str, Any] = {}
    id_ = known["name"]
    if type_ in _IDS:
        id_ = _IDS[type_] + digest[:17]
    if type_ in AUTONAMES or "name" in inputs:
        outputs["name"] = known["name"]
    if type_ in _ARNS:
        outputs["arn"] = "arn:aws:" + _ARNS[type_].format(**known)
        id_ = outputs["arn"] if type_ in _ID_IS_ARN else id_
    match type_:
        case "aws:kms/key:Key":
            id_ = outputs["keyId"] = known["uuid"]
        case "aws:backup/plan:Plan":
            id_ = known["uuid"]
        case "aws:ecr/pullThroughCacheRule:PullThroughCacheRule":
            id_, outputs["registryId"] = inputs["ecrRepositoryPrefix"], ACCOUNT
        case "aws:s3/bucket:Bucket":
            outputs["bucket"] = id_
            outputs["bucketRegionalDomainName"] = f"{id_}.s3.{known['region']}.amazonaws.com"
        case "aws:route53/zone:Zone":
            id_ = outputs["zoneId"] = "Z" + digest[:20].upper()
        case "aws:route53/healthCheck:HealthCheck" | "aws:wafv2/webAcl:WebAcl":
            id_ = known["uuid"]
        case "aws:lb/loadBalancer:LoadBalancer":
            outputs["zoneId"] = "ZWKZPGTI48KDX"
            outputs["dnsName"] = f"{known['name']}-1234567890.{known['region']}.elb.amazonaws.com"
        case "aws:cloudfront/distribution:Distribution":
            id_ = known["upper"]
            outputs |= {"domainName": "d111111abcdef8.cloudfront.net", "hostedZoneId": "Z2FDTNDATAQYW2"}
        case "aws:cloudfront/originAccessControl:OriginAccessControl":
            id_ = known["upper"]
        case "aws:rds/cluster:Cluster":
            managed = f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:rds!cluster-{known['uuid']}-AbCdEf"
            outputs["masterUserSecrets"] = [{"secretArn": managed, "secretStatus": "active"}]
        case "eks:index:Cluster":
            outputs["clusterSecurityGroupId"] = "sg-" + digest[:17]
        case _:
            pass
    return id_, outputs


def physical(type_: str, name: str, inputs: dict[str, Any]) -> str:
    """The name that AWS gets: the given one, or, as the provider makes it, the program's and seven hex digits."""
    given = [inputs[key] for key in (AUTONAMES.get(type_), *_NAMED) if key and key in inputs]
    if given:
        return given[0]
    return f"{name}-0123abc" if type_ in AUTONAMES else name
