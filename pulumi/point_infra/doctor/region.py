"""What a region has for everybody: zones, types, classes, versions. Questions are reads; errors are botocore's."""

import functools
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


class Region:
    """A region as these credentials see it; `clients` by service are made when needed.

    `zone_role` is the role that sees the hosted zone, where that is in another account.
    """

    def __init__(self, region: str, zone_role: str = "") -> None:
        self._region = region
        self._zone_role = zone_role
        self.clients: dict[str, Any] = {}

    @functools.cached_property
    def session(self) -> boto3.Session:
        """Made when needed: a profile that is not there is an answer like another."""
        return boto3.Session()

    def client(self, service: str, region: str = "") -> Any:
        """The client of a service, here or in the one region where it is asked."""
        if service not in self.clients:
            session = self._elsewhere() if service == "route53" and self._zone_role else self.session
            self.clients[service] = session.client(  # pyright: ignore
                service, region_name=region or self._region, config=_PATIENCE
            )
        return self.clients[service]

    def _elsewhere(self) -> boto3.Session:
        answer = self.client("sts").assume_role(RoleArn=self._zone_role, RoleSessionName="point-infra-doctor")
        got = answer["Credentials"]
        return boto3.Session(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])

    def all(self, service: str, operation: str, key: str, **kwargs: Any) -> list[Any]:
        """What all pages of an answer have under a key."""
        pages = self.client(service).get_paginator(operation).paginate(**kwargs)
        return [one for page in pages for one in page.get(key, [])]

    def region_status(self, region: str) -> str | None:
        """opt-in-not-required, opted-in or not-opted-in; None for a region that does not exist."""
        somewhere = self.session.client("ec2", region_name=_ANYWHERE, config=_PATIENCE)  # pyright: ignore
        regions = somewhere.describe_regions(AllRegions=True)["Regions"]
        return next((r["OptInStatus"] for r in regions if r["RegionName"] == region), None)

    def zones(self) -> list[str]:
        """Names of the region's availability zones that take something new."""
        answer = self.client("ec2").describe_availability_zones()["AvailabilityZones"]
        return sorted(
            z["ZoneName"]
            for z in answer
            if z["State"] == "available" and z.get("ZoneType", "availability-zone") == "availability-zone"
        )

    @functools.cache  # noqa: B019 - one account a run
    def vcpus(self, instance_type: str) -> int:
        """What a type has; raises ClientError InvalidInstanceType for none."""
        answer = self.client("ec2").describe_instance_types(InstanceTypes=[instance_type])
        return int(answer["InstanceTypes"][0]["VCpuInfo"]["DefaultVCpus"])

    def type_zones(self, types: list[str]) -> dict[str, set[str]]:
        """Zones that offer each of these instance types."""
        offered = self.all(
            "ec2",
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": types}],
        )
        return {t: {o["Location"] for o in offered if o["InstanceType"] == t} for t in types}

    def database_zones(self, engine: str, version: str, class_: str) -> set[str]:
        """Zones in which a database of this class and version can be ordered."""
        options = self.all(
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
        found = self.all("rds", "describe_db_engine_versions", "DBEngineVersions", Engine=engine)
        return [v["EngineVersion"] for v in found]

    def cache_versions(self, engine: str) -> list[str]:
        """Versions of a cache engine."""
        found = self.all(
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
            found = self.all(
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
