"""What the account has in its region, and what it lets the caller do."""

import json
import os
from typing import Any

from botocore.exceptions import ClientError

from point_infra.doctor.finding import code
from point_infra.doctor.region import Region
from point_infra.doctor.taken import Cluster, Subnet

_MANIFESTS = [
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
]


class Account(Region):
    """The account that the credentials belong to."""

    def caller(self) -> tuple[str, str]:
        """Account id and ARN."""
        answer = self.client("sts").get_caller_identity()
        return answer["Account"], answer["Arn"]

    def environment_region(self) -> str | None:
        """The region that the `aws` program would use."""
        # boto3 itself does not read AWS_REGION.
        return os.environ.get("AWS_REGION") or self.session.region_name

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

    def running(self, *, spot: bool, but_cluster: str) -> list[str]:
        """Types of the instances that run, without a cluster's own."""
        reservations = self.all(
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
        return sum(not _carries(v, but) for v in self.all("ec2", "describe_vpcs", "Vpcs"))

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
        results = self.all(
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
        zones = self.all("route53", "list_hosted_zones", "HostedZones")
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

    def subnets(self, ids: list[str]) -> dict[str, Subnet]:
        """Those of these subnets that are there."""
        found = self.all("ec2", "describe_subnets", "Subnets", Filters=[{"Name": "subnet-id", "Values": ids}])
        return {
            s["SubnetId"]: Subnet(
                s["VpcId"], s["AvailabilityZone"], frozenset(t["Key"] for t in s.get("Tags", []))
            )
            for s in found
        }

    def cluster(self, name: str) -> Cluster | None:
        """An EKS cluster; None for none."""
        try:
            found = self.client("eks").describe_cluster(name=name)["cluster"]
        except ClientError as error:
            if code(error) == "ResourceNotFoundException":
                return None
            raise
        reach = found["resourcesVpcConfig"]
        public = reach.get("publicAccessCidrs", []) if reach.get("endpointPublicAccess") else []
        return Cluster(found["status"], reach.get("vpcId", ""), tuple(public))

    def addons(self, cluster: str) -> list[str]:
        """Names of a cluster's add-ons."""
        return self.all("eks", "list_addons", "addons", clusterName=cluster)

    def key_state(self, arn: str) -> str | None:
        """State of a KMS key; None for none."""
        try:
            return self.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
        except ClientError as error:
            if code(error) == "NotFoundException":
                return None
            raise

    def certificate(self, arn: str) -> tuple[str | None, list[str]]:
        """Status of a certificate and the names that it is for; None for none."""
        try:
            found = self.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
        except ClientError as error:
            if code(error) == "ResourceNotFoundException":
                return None, []
            raise
        return found["Status"], found.get("SubjectAlternativeNames", [])

    def backs_up(self, resource_type: str) -> bool | None:
        """AWS Backup's switch for a type in this region; None where nothing has been backed up yet."""
        answer = self.client("backup").describe_region_settings()
        return answer.get("ResourceTypeOptInPreference", {}).get(resource_type)

    def detects(self) -> set[str] | None:
        """Features of GuardDuty that are on here; None where it is off."""
        client = self.client("guardduty")
        for detector in client.list_detectors()["DetectorIds"]:
            found = client.get_detector(DetectorId=detector)
            if found["Status"] == "ENABLED":
                return {f["Name"] for f in found.get("Features", []) if f["Status"] == "ENABLED"}
        return None

    def distributions(self) -> bool:
        """Whether there is any distribution of CloudFront."""
        return bool(
            self.client("cloudfront").list_distributions(MaxItems="1")["DistributionList"]["Quantity"]
        )

    def scans(self) -> str:
        """How the registry's images are looked at: BASIC or ENHANCED."""
        answer = self.client("ecr").get_registry_scanning_configuration()
        return answer["scanningConfiguration"]["scanType"]

    def connection(self, arn: str) -> str | None:
        """Status of a connection to a forge; None for none."""
        _, _, service, region, *_ = arn.split(":")
        try:
            found = self.client(service, region).get_connection(ConnectionArn=arn)
        except ClientError as error:
            if code(error) == "ResourceNotFoundException":
                return None
            raise
        return found["Connection"]["ConnectionStatus"]

    def clusters(self) -> list[str]:
        """Names of the EKS clusters."""
        return self.all("eks", "list_clusters", "clusters")

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
