"""Questions to AWS, each a read; the answers are plain values. Errors are botocore's own."""

import functools
import json
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from point_infra.doctor.finding import code

# Who waits for a region that is off, or for a proxy that swallows, should not wait for long.
_PATIENCE = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})
_ANYWHERE = "us-east-1"
"""A region that is always on: what asks whether another one is."""

_NO_SUCH = ("InvalidParameterException", "ResourceNotFoundException")
"""How EKS says that it has no such version or add-on."""
_MANIFESTS = [
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
]


class Account:
    """The account that the credentials belong to, in one region; `clients` by service are made when needed."""

    def __init__(self, region: str) -> None:
        self._region = region
        self.clients: dict[str, Any] = {}

    @functools.cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session()

    def client(self, service: str) -> Any:
        """The client of a service."""
        if service not in self.clients:
            self.clients[service] = self._session.client(  # pyright: ignore
                service, region_name=self._region, config=_PATIENCE
            )
        return self.clients[service]

    def _all(self, service: str, operation: str, key: str, **kwargs: Any) -> list[Any]:
        pages = self.client(service).get_paginator(operation).paginate(**kwargs)
        return [one for page in pages for one in page.get(key, [])]

    def caller(self) -> tuple[str, str]:
        """Account id and ARN."""
        answer = self.client("sts").get_caller_identity()
        return answer["Account"], answer["Arn"]

    def environment_region(self) -> str | None:
        """The region that the `aws` program would use."""
        return self._session.region_name

    def region_status(self) -> str | None:
        """opt-in-not-required, opted-in or not-opted-in; None for a region that does not exist."""
        somewhere = self._session.client("ec2", region_name=_ANYWHERE, config=_PATIENCE)  # pyright: ignore
        regions = somewhere.describe_regions(AllRegions=True)["Regions"]
        return next((r["OptInStatus"] for r in regions if r["RegionName"] == self._region), None)

    def zones(self) -> list[str]:
        """Names of the region's availability zones that take something new."""
        answer = self.client("ec2").describe_availability_zones()["AvailabilityZones"]
        return sorted(
            z["ZoneName"]
            for z in answer
            if z["State"] == "available" and z.get("ZoneType", "availability-zone") == "availability-zone"
        )

    def quota(self, service: str, quota: str) -> float:
        """The account's value, or the one that every account begins with."""
        client = self.client("service-quotas")
        try:
            answer = client.get_service_quota(ServiceCode=service, QuotaCode=quota)
        except ClientError as error:
            if code(error) != "NoSuchResourceException":
                raise
            answer = client.get_aws_default_service_quota(ServiceCode=service, QuotaCode=quota)
        return float(answer["Quota"]["Value"])

    @functools.cache  # noqa: B019 - one account a run
    def vcpus(self, instance_type: str) -> int:
        """What a type has; raises ClientError InvalidInstanceType for none."""
        answer = self.client("ec2").describe_instance_types(InstanceTypes=[instance_type])
        return int(answer["InstanceTypes"][0]["VCpuInfo"]["DefaultVCpus"])

    def running(self, *, spot: bool, but_cluster: str) -> list[str]:
        """Types of the instances that run, without a cluster's own."""
        reservations = self._all(
            "ec2",
            "describe_instances",
            "Reservations",
            Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}],
        )
        return [
            i["InstanceType"]
            for r in reservations
            for i in r["Instances"]
            if (i.get("InstanceLifecycle") == "spot") == spot
            and {"Key": "eks:cluster-name", "Value": but_cluster} not in i.get("Tags", [])
        ]

    def addresses(self, but: dict[str, str]) -> int:
        """How many Elastic IPs there are, without those that carry these tags."""
        answer = self.client("ec2").describe_addresses()["Addresses"]
        return sum(not _carries(a, but) for a in answer)

    def vpcs(self, but: dict[str, str]) -> int:
        """How many VPCs there are, without those that carry these tags."""
        return sum(not _carries(v, but) for v in self._all("ec2", "describe_vpcs", "Vpcs"))

    def type_zones(self, types: list[str]) -> dict[str, set[str]]:
        """Zones that offer each of these instance types."""
        offered = self._all(
            "ec2",
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": types}],
        )
        return {t: {o["Location"] for o in offered if o["InstanceType"] == t} for t in types}

    def database_zones(self, engine: str, version: str, class_: str) -> set[str]:
        """Zones in which a database of this class and version can be ordered."""
        options = self._all(
            "rds",
            "describe_orderable_db_instance_options",
            "OrderableDBInstanceOptions",
            Engine=engine,
            EngineVersion=version,
            DBInstanceClass=class_,
        )
        return {z["Name"] for o in options for z in o.get("AvailabilityZones", [])}

    def database_versions(self, engine: str) -> list[str]:
        """Versions of a database engine."""
        found = self._all("rds", "describe_db_engine_versions", "DBEngineVersions", Engine=engine)
        return [v["EngineVersion"] for v in found]

    def cache_versions(self, engine: str) -> list[str]:
        """Versions of a cache engine."""
        found = self._all(
            "elasticache", "describe_cache_engine_versions", "CacheEngineVersions", Engine=engine
        )
        return [v["EngineVersion"] for v in found]

    def cache_offered(self, node_type: str) -> bool:
        """Whether the region sells reservations of a node type: ElastiCache has no list of what can be ordered."""
        answer = self.client("elasticache").describe_reserved_cache_nodes_offerings(
            CacheNodeType=node_type, MaxRecords=20
        )
        return bool(answer["ReservedCacheNodesOfferings"])

    def kubernetes(self, version: str) -> str | None:
        """EKS' status of a version, such as STANDARD_SUPPORT; None for none."""
        try:
            answer = self.client("eks").describe_cluster_versions(clusterVersions=[version])[
                "clusterVersions"
            ]
        except ClientError as error:
            if code(error) in _NO_SUCH:
                return None
            raise
        return next((v.get("versionStatus") or v.get("status") for v in answer), None)

    def addon_versions(self, addon: str, kubernetes: str) -> list[str]:
        """Versions of an add-on that fit a Kubernetes version, the newest first."""
        try:
            found = self._all(
                "eks", "describe_addon_versions", "addons", addonName=addon, kubernetesVersion=kubernetes
            )
        except ClientError as error:
            if code(error) in _NO_SUCH:
                return []
            raise
        return [v["addonVersion"] for a in found for v in a["addonVersions"]]

    def node_image(self, name: str) -> bool:
        """Whether Amazon has published a machine image of this name here."""
        answer = self.client("ec2").describe_images(
            Owners=["amazon"], Filters=[{"Name": "name", "Values": [name]}], IncludeDeprecated=True
        )
        return bool(answer["Images"])

    def policy_exists(self, arn: str) -> bool:
        """Whether a managed policy is there, under its whole path."""
        try:
            self.client("iam").get_policy(PolicyArn=arn)
        except ClientError as error:
            if code(error) == "NoSuchEntity":
                return False
            raise
        return True

    def role_arn(self, name: str) -> str:
        """ARN of a role, with its path, which a session's does not say."""
        return self.client("iam").get_role(RoleName=name)["Role"]["Arn"]

    def refused(self, principal: str, actions: list[str], boundary: str) -> list[str]:
        """The actions that a principal's policies don't allow, on anything; roles that it makes have a boundary."""
        context = [
            {
                "ContextKeyName": "iam:PermissionsBoundary",
                "ContextKeyValues": [boundary],
                "ContextKeyType": "string",
            }
        ]
        results = self._all(
            "iam",
            "simulate_principal_policy",
            "EvaluationResults",
            PolicySourceArn=principal,
            ActionNames=actions,
            ContextEntries=context if boundary else [],
        )
        return [r["EvalActionName"] for r in results if r["EvalDecision"] != "allowed"]

    def public_zones(self, name: str) -> list[str]:
        """Ids of the public hosted zones of exactly this name."""
        zones = self._all("route53", "list_hosted_zones", "HostedZones")
        return [
            z["Id"].rsplit("/", 1)[-1]
            for z in zones
            if z["Name"].rstrip(".") == name and not z["Config"]["PrivateZone"]
        ]

    def name_servers(self, zone_id: str) -> tuple[str, list[str]]:
        """Name and name servers of a hosted zone."""
        answer = self.client("route53").get_hosted_zone(Id=zone_id)
        servers = answer.get("DelegationSet", {}).get("NameServers", [])
        return answer["HostedZone"]["Name"].rstrip("."), servers

    def platforms(self, repository: str, digest: str) -> set[str] | None:
        """Architectures of an image (empty when it does not say); None when it is not in the repository."""
        try:
            answer = self.client("ecr").batch_get_image(
                repositoryName=repository,
                imageIds=[{"imageDigest": digest}],
                acceptedMediaTypes=_MANIFESTS,
            )
        except ClientError as error:
            if code(error) == "RepositoryNotFoundException":
                return None
            raise
        if not answer["images"]:
            return None
        manifest = json.loads(answer["images"][0]["imageManifest"])
        found = {m.get("platform", {}).get("architecture", "") for m in manifest.get("manifests", [])}
        return found - {"", "unknown"}  # attestations have "unknown"

    def clusters(self) -> list[str]:
        """Names of the EKS clusters."""
        return self._all("eks", "list_clusters", "clusters")

    def log_groups(self, names: tuple[str, ...]) -> list[str]:
        """Which of these log groups are there."""
        return [
            group["logGroupName"]
            for name in names
            for group in self.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
            if group["logGroupName"] == name
        ]


def _carries(resource: dict[str, Any], tags: dict[str, str]) -> bool:
    own = {t["Key"]: t["Value"] for t in resource.get("Tags", [])}
    return tags.items() <= own.items()
