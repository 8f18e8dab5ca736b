"""`point-infra doctor` against an account on loopback, and against none."""

import json
import socketserver
import threading
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import boto3
import dns.message
import dns.name
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
from harness.aws import account
from point_infra import cli, offline
from point_infra.config.settings import Settings
from point_infra.doctor.account import Account
from point_infra.doctor.examine import Examination
from point_infra.doctor.finding import Finding, Mark
from point_infra.doctor.needs import Needs, needs
from typer.testing import CliRunner

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore"),  # moto is not ours to fix
]
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="module", autouse=True)
def aws() -> Generator[None, None, None]:
    with account():
        yield


@pytest.fixture(scope="module")
def settings() -> Settings:
    return offline.settings("prod")


@pytest.fixture(scope="module")
def wanted(settings: Settings) -> Needs:
    return needs(settings, offline.declared("prod"))


@pytest.fixture(scope="module")
def little(wanted: Needs) -> Needs:
    """Without what moto can't answer, which takes its time to say so."""
    return replace(wanted, addons={}, policies=(), database=None, cache=None)


@pytest.fixture(autouse=True)
def name_server(monkeypatch: pytest.MonkeyPatch) -> Generator[dict[str, list[str]], None, None]:
    """The world's DNS, on loopback: name servers by zone; other names are not there."""
    zones: dict[str, list[str]] = {}

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, socket = self.request
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            name = query.question[0].name
            servers = zones.get(name.to_text(omit_final_dot=True))
            if servers:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "NS", *(f"{s}." for s in servers)))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            socket.sendto(answer.to_wire(), self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.server_address[1]
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        yield zones
        server.shutdown()


def _examine(settings: Settings, wanted: Needs) -> dict[str, Finding]:
    found = list(Examination(settings, wanted, Account(settings.region), "203.0.113.9").findings())
    assert all("\n" not in f.line() and len(f.line()) < 400 for f in found)
    return {f.what: f for f in found}


def _image(repository: str, *architectures: str) -> str:
    """Push an index for these processors and, as buildx does, one that attests it; returns its digest."""
    ecr: Any = boto3.client("ecr")
    ecr.create_repository(repositoryName=repository)
    platforms = [{"architecture": a, "os": "linux"} for a in (*architectures, "unknown")]
    layer = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:" + "1" * 64,
        "size": 1,
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{**layer, "platform": p} for p in platforms],
    }
    answer = ecr.put_image(
        repositoryName=repository,
        imageManifest=json.dumps(manifest),
        imageManifestMediaType=INDEX,
        imageTag="1",
    )
    return answer["image"]["imageId"]["imageDigest"]


def test_an_empty_account_takes_prod_but_for_what_is_made_first(settings: Settings, wanted: Needs) -> None:
    found = _examine(settings, wanted)
    failed = {what for what, f in found.items() if f.mark == Mark.FAILED}
    assert failed == {"zone example.com", "Kubernetes API"}
    assert found["account"].found.startswith("123456789012, as ")
    assert found["region"].mark == Mark.OK
    assert found["VPCs"].found == "5 allowed, 1 used by others, 1 needed"  # the default VPC
    assert found["nodes m5.large"].mark == Mark.OK
    assert {what for what, f in found.items() if what.startswith("policy ") and f.mark == Mark.OK} >= {
        "policy AmazonEBSCSIDriverPolicyV2",
        "policy service-role/AmazonRDSEnhancedMonitoringRole",
    }
    # What moto does not know, it can't be asked: a line each, and no failure.
    assert found["rights"].mark == Mark.UNKNOWN
    assert found["CloudFront"].mark == Mark.WARNING
    assert found["GuardDuty"].mark == Mark.WARNING
    assert found["image scanning"].mark == Mark.WARNING
    assert found["copies of backups"].mark == Mark.OK
    assert found["add-on vpc-cni " + wanted.addons["vpc-cni"]].mark == Mark.UNKNOWN


def test_what_aws_does_not_have_fails_by_name(settings: Settings, wanted: Needs) -> None:
    policy = "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicyV2"
    group = replace(wanted.nodes[0], types=("m5.lage",))
    found = _examine(
        replace(settings, availability_zones=("ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2e")),
        replace(wanted, policies=(policy,), nodes=(group,), vpcs=5),
    )
    assert found["policy service-role/AmazonEBSCSIDriverPolicyV2"].mark == Mark.FAILED
    assert found["nodes m5.lage"].found == "no zone of the region offers it"
    assert found["zones"].found.startswith("ap-northeast-2e ")
    assert "L-F678F1CE --desired-value 6" in found["VPCs"].then


def test_a_running_stack_s_own_vpcs_addresses_and_log_groups_are_not_in_its_way(
    settings: Settings, little: Needs
) -> None:
    ec2, logs = boto3.client("ec2"), boto3.client("logs")
    tags = [{"Key": k, "Value": v} for k, v in settings.tags().items()]
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}])[
        "Vpc"
    ]
    logs.create_log_group(logGroupName=little.log_groups[0])
    try:
        found = _examine(settings, little)
        assert found["VPCs"].found.startswith("5 allowed, 1 used by others")
        assert little.log_groups[0] in found["log groups"].then
        eks = boto3.client("eks")
        eks.create_cluster(
            name=settings.name, roleArn="arn:aws:iam::123456789012:role/x", resourcesVpcConfig={}
        )
        assert _examine(settings, little)["log groups"].mark == Mark.OK
        eks.delete_cluster(name=settings.name)
    finally:
        ec2.delete_vpc(VpcId=vpc["VpcId"])
        logs.delete_log_group(logGroupName=little.log_groups[0])


def test_the_shell_s_region_must_be_the_stack_s(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, little: Needs
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    found = _examine(settings, replace(little, nodes=()))["region"]
    assert (found.mark, found.then) == (Mark.FAILED, "export AWS_REGION=ap-northeast-2")


def test_what_is_there_already_is_looked_at(settings: Settings, little: Needs) -> None:
    ec2, kms, acm = boto3.client("ec2"), boto3.client("kms"), boto3.client("acm")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    ids = tuple(
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.8.{i}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for i, zone in enumerate(settings.availability_zones)
    )
    ec2.create_tags(Resources=list(ids), Tags=[{"Key": "kubernetes.io/role/elb", "Value": "1"}])
    own_key = kms.create_key()["KeyMetadata"]["Arn"]
    own_certificate = acm.request_certificate(DomainName=settings.domain_name)["CertificateArn"]
    stack = replace(
        settings,
        existing_vpc_id=vpc,
        public_subnet_ids=ids,
        private_subnet_ids=ids[::-1],
        data_subnet_ids=(*ids[:2], "subnet-0123456789abcdef0"),
        existing_cluster_name="theirs",
        kms_key_arn=own_key,
        certificate_arn=own_certificate,
    )
    found = _examine(stack, replace(little, nodes=(), vpcs=0))
    assert found["public subnets"].mark == Mark.OK
    assert found["private subnets"].found == "in " + ", ".join(settings.availability_zones[::-1])
    assert found["data subnets"].found == "subnet-0123456789abcdef0 not in this account and region"
    assert found["cluster theirs"].found == "not in this account and region"
    assert found[f"key {own_key.rsplit('/', 1)[-1]}"].mark == Mark.OK
    assert found[f"certificate {own_certificate.rsplit('/', 1)[-1]}"].found == "PENDING_VALIDATION"
    ec2_gone = _examine(replace(stack, kms_key_arn=own_key[:-1] + "x"), replace(little, nodes=(), vpcs=0))
    assert [f.found for what, f in ec2_gone.items() if what.startswith("key ")] == ["not there"]


def test_a_zone_of_another_account_is_asked_by_its_role(settings: Settings, little: Needs) -> None:
    role = "arn:aws:iam::210987654321:role/dns"
    elsewhere: Any = Account(settings.region, role).client("route53")
    zone = elsewhere.create_hosted_zone(Name="example.com", CallerReference="2")["HostedZone"]["Id"]
    own = Examination(settings, little, Account(settings.region), None).findings()
    assert {f.what: f.mark for f in own}["zone example.com"] == Mark.FAILED
    theirs = Examination(settings, little, Account(settings.region, role), None).findings()
    assert {f.what: f.found for f in theirs}["zone example.com"] == zone.rsplit("/", 1)[-1]


def test_a_zone_is_followed_to_who_delegates_to_it(
    settings: Settings, little: Needs, name_server: dict[str, list[str]]
) -> None:
    route53 = boto3.client("route53")
    made = route53.create_hosted_zone(Name="example.com", CallerReference="1")
    try:
        nowhere = _examine(settings, little)["delegation of example.com"]
        assert nowhere.mark == Mark.FAILED
        assert made["DelegationSet"]["NameServers"][0].rstrip(".").lower() in nowhere.then
        name_server["example.com"] = ["ns1.registrar.example"]
        assert "ns1.registrar.example" in _examine(settings, little)["delegation of example.com"].found
        name_server["example.com"] = [s.rstrip(".") for s in made["DelegationSet"]["NameServers"]]
        assert _examine(settings, little)["delegation of example.com"].mark == Mark.OK
    finally:
        route53.delete_hosted_zone(Id=made["HostedZone"]["Id"])


def test_an_image_is_found_by_its_digest_and_must_run_on_the_nodes(settings: Settings, little: Needs) -> None:
    both, x86 = (
        _image("point-prod/point-service", "amd64", "arm64"),
        _image("point-prod/point-operator", "amd64"),
    )
    arm = replace(little.nodes[0], ami_type="AL2023_ARM_64_STANDARD")
    images = {"point-prod/point-service": both, "point-prod/point-operator": x86}
    found = _examine(settings, replace(little, nodes=(arm,), images=images))
    assert found["image point-prod/point-service"].found.endswith("amd64, arm64")
    assert found["image point-prod/point-operator"].found == "not for arm64"
    missing = dict.fromkeys(images, "sha256:" + "2" * 64)
    assert (
        _examine(settings, replace(little, images=missing))["image point-prod/point-service"].mark
        == Mark.FAILED
    )


def test_the_command_says_each_as_json_and_ends_with_1() -> None:
    done = CliRunner().invoke(cli.app, ["doctor", "prod", "--json", "--from", "203.0.113.9"])
    assert done.exit_code == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) > 25
    assert all(set(line) == {"mark", "what", "found", "next"} for line in lines)
    assert all(line["next"] for line in lines if line["mark"] == "failed")


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "Could not connect"),
        (
            {
                "AWS_ACCESS_KEY_ID": None,
                "AWS_CONFIG_FILE": "/dev/null",
                "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            },
            "Unable to locate credentials",
        ),
        ({"AWS_PROFILE": "nobody"}, "profile (nobody) could not be found"),
    ],
    ids=["no network", "no credentials", "no profile"],
)
def test_without_an_account_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    wanted: Needs,
    environment: dict[str, str | None],
    found: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    (line,) = _examine(settings, wanted).values()
    assert (line.mark, line.what) == (Mark.FAILED, "account")
    assert found in line.found
    assert line.then.endswith("nothing else was asked")


def test_an_address_that_is_none_is_refused_before_anything_is_asked() -> None:
    done = CliRunner().invoke(cli.app, ["doctor", "--from", "my-laptop"])
    assert done.exit_code == 2
    assert "my-laptop is no IP address" in done.output


def test_a_stack_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["point-infra", "doctor", "nothing"])
    with pytest.raises(SystemExit, match="no such stack"):
        cli.main()
