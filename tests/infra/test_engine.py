"""The program through the real Pulumi engine, on stand-in providers that make real calls against moto."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from harness import awscli, deploy
from harness.aws import account
from point_local.preview import plan
from point_local.preview.standin import live
from point_local.preview.standin.engine import Engine, find_cli, providers
from point_local.programs import paths

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.skipif(find_cli() is None, reason="no Pulumi CLI: `point-local pulumi-cli` builds it"),
    pytest.mark.filterwarnings("ignore"),  # the SDK's server and moto are not ours to fix
]
GOLDEN = Path(__file__).parent / "golden"
STACK = "dev"
LEFT = "/aws/eks/point-dev/cluster"
PUSHED = "sha256:" + "1" * 64
REPLACED = ("replace", "create-replacement", "delete-replaced")


class Stack:
    """The dev stack in a project folder of its own, on the engine."""

    def __init__(self, home: Path, ports: dict[str, int]) -> None:
        cli = find_cli()
        assert cli is not None
        self.project = plan.checkout(home / "project")
        self.engine = Engine(cli, self.project, home, ports)
        self._events = home / "events.json"
        self.configure(serviceImageDigest=PUSHED, operatorImageDigest=PUSHED)
        self.engine.run("stack", "init", STACK)

    def configure(self, **values: object) -> None:
        """Change the stack's config file, as a pull request would."""
        file = self.project / f"Pulumi.{STACK}.yaml"
        document = yaml.safe_load(file.read_text())
        document["config"] |= {f"point-platform:{k}": v for k, v in values.items()}
        file.write_text(yaml.safe_dump(document))

    def run(self, command: str, *args: str) -> dict[str, str]:
        """Run a command; returns what it did (or would do) to each resource but leave it, by name."""
        self._events.unlink(missing_ok=True)
        yes = () if command == "preview" else ("--yes", "--skip-preview")
        self.engine.run(command, *yes, "--stack", STACK, "--event-log", str(self._events), *args)
        steps: dict[str, str] = {}
        for line in self._events.read_text().splitlines():
            event = json.loads(line)
            metadata = (event.get("resourcePreEvent") or event.get("resOutputsEvent") or {}).get("metadata")
            if metadata and metadata["op"] not in ("same", "read", "refresh"):
                steps[metadata["urn"].split("::")[-1]] = metadata["op"]
        return steps

    def state(self) -> str:
        """The state as it lies on disk."""
        return self.engine.run("stack", "export", "--stack", STACK).text

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        return json.loads(self.engine.run("stack", "output", "--json", "--stack", STACK).text)


@pytest.fixture(scope="module")
def aws() -> Generator[str, None, None]:
    """A moto server on loopback, as the account that the stand-ins work in."""
    with account() as endpoint:
        live.client.cache_clear()
        yield endpoint


@pytest.fixture(scope="module")
def ports() -> Generator[dict[str, int], None, None]:
    with providers() as started:
        yield started


@pytest.fixture(scope="module")
def up(aws: str, ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The dev stack after its first `pulumi up`, in an account where the control plane left its log group."""
    assert aws.startswith("http://127.0.0.1:")
    boto3.client("logs").create_log_group(logGroupName=LEFT)
    stack = Stack(tmp_path_factory.mktemp("stack"), ports)
    made = stack.run("up")
    made.pop(
        "cluster-control-plane"
    )  # of the three of the name one is taken over, and made anew it would be refused
    assert set(made.values()) == {"create"}
    return stack


def _left() -> dict[str, int]:
    """How much of what the program makes is in moto."""
    ec2, rds, logs = (boto3.client(s) for s in ("ec2", "rds", "logs"))
    own_vpcs = [v for v in ec2.describe_vpcs()["Vpcs"] if not v["IsDefault"]]
    groups = [g for g in ec2.describe_security_groups()["SecurityGroups"] if g["GroupName"] != "default"]
    return {
        "vpcs": len(own_vpcs),
        "security groups": len(groups),
        "addresses": len(ec2.describe_addresses()["Addresses"]),
        "load balancers": len(boto3.client("elbv2").describe_load_balancers()["LoadBalancers"]),
        "target groups": len(boto3.client("elbv2").describe_target_groups()["TargetGroups"]),
        "databases": len(rds.describe_db_clusters()["DBClusters"]),
        "database instances": len(rds.describe_db_instances()["DBInstances"]),
        "log groups": len(logs.describe_log_groups()["logGroups"]),
        "alarms": len(boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]),
        "zones": len(boto3.client("route53").list_hosted_zones()["HostedZones"]),
        "health checks": len(boto3.client("route53").list_health_checks()["HealthChecks"]),
        "roles": len(boto3.client("iam").list_roles()["Roles"]),
        "topics": len(boto3.client("sns").list_topics()["Topics"]),
        "repositories": len(boto3.client("ecr").describe_repositories()["repositories"]),
        "buckets": len(boto3.client("s3").list_buckets()["Buckets"]),
        "secrets": len(boto3.client("secretsmanager").list_secrets()["SecretList"]),
        "clusters": len(boto3.client("eks").list_clusters()["clusters"]),
    }


@pytest.mark.usefixtures("up")
def test_up_makes_everything_for_real_in_moto() -> None:
    assert all(_left().values()), _left()
    writer, reader = (
        boto3.client("rds").describe_db_instances(DBInstanceIdentifier=f"point-dev-{role}")["DBInstances"][0]
        for role in ("writer", "reader")
    )
    assert (writer["AvailabilityZone"], reader["AvailabilityZone"]) == ("ap-northeast-2a", "ap-northeast-2c")


def test_zones_of_nodes_come_and_are_upgraded_one_after_another(up: Stack) -> None:
    resources = json.loads(up.state())["deployment"]["resources"]
    after = {
        r["urn"].split("::")[-1]: r.get("dependencies", []) for r in resources if "NodeGroup" in r["type"]
    }
    assert any(urn.endswith("::cluster-a") for urn in after["cluster-b"])
    assert any(urn.endswith("::cluster-b") for urn in after["cluster-c"])


def test_a_second_preview_has_nothing_to_do(up: Stack) -> None:
    assert up.run("preview", "--expect-no-changes") == {}


@pytest.mark.usefixtures("up")
def test_a_log_group_that_was_left_is_the_stack_s_own_with_its_end() -> None:
    (group,) = boto3.client("logs").describe_log_groups(logGroupNamePrefix=LEFT)["logGroups"]
    assert group["retentionInDays"] == 7


def test_an_api_that_is_open_for_the_first_up_is_closed_by_an_update_of_the_cluster_alone(up: Stack) -> None:
    """Nothing in the cluster may be touched: the API is out of reach from where the update runs."""
    up.configure(apiAllowedCidrs=["203.0.113.9/32"])
    assert up.run("up") == {"cluster-eksCluster": "update"}
    up.configure(apiAllowedCidrs=[])
    assert up.run("up") == {"cluster-eksCluster": "update"}


def test_secrets_are_not_in_plain_state(up: Stack) -> None:
    state = up.state()
    assert "not-a-real-password" not in state
    assert "not a real key" not in state
    assert '"ciphertext"' in state


def test_the_point_service_output_is_complete(up: Stack) -> None:
    made = up.outputs()["pointServiceYaml"]
    assert "point-dev.cluster-" in made
    assert f"@{PUSHED}" in made


ASKED = {
    "sts": {"get-caller-identity"},
    "ec2": {"describe-security-groups"},
    "elbv2": {"describe-load-balancers"},
    "logs": {"describe-log-groups"},
    "rds": {"describe-db-clusters"},
    "resourcegroupstaggingapi": {"get-resources"},
}
"""What docs/deploy.md asks of a running stack, and moto can answer."""


def test_what_the_document_asks_of_a_running_stack_is_answered(up: Stack, tmp_path: Path) -> None:
    """The document's stack is prod, this one is dev; what it restores stands in for itself."""
    asked = [
        [
            re.sub("point-prod(-new)?", "point-dev", w).replace(
                "Environment,Values=prod", "Environment,Values=dev"
            )
            for w in words
        ]
        for program, *words in deploy.calls(tmp_path, vpcId=up.outputs()["vpcId"])
        if program == "aws" and words[1] in ASKED.get(words[0], set())
    ]
    assert {words[0] for words in asked} == set(ASKED)
    assert [shlex.join(words) for words in asked if not awscli.answer(words)] == []


def test_one_instance_class_is_an_update_of_reader_and_writer_which_can_come_one_by_one(up: Stack) -> None:
    up.configure(databaseInstanceClass="db.r6g.large")
    assert up.run("up", "--target", "**database-reader") == {"database-reader": "update"}
    instances = boto3.client("rds").describe_db_instances()["DBInstances"]
    assert {i["DBInstanceIdentifier"]: i["DBInstanceClass"] for i in instances} == {
        "point-dev-writer": "db.t4g.medium",
        "point-dev-reader": "db.r6g.large",
    }
    # The limits of the database's alarms follow its class, and the dashboard shows them.
    watched = ("observability", "observability-connections", "observability-database-memory")
    assert up.run("up") == {"database-writer": "update", **dict.fromkeys(watched, "update")}


def test_another_kubernetes_version_updates_the_cluster_and_its_nodes_and_replaces_nothing(up: Stack) -> None:
    up.configure(kubernetesVersion="1.35")
    planned = up.run("preview")
    up.configure(kubernetesVersion="1.36")
    assert set(planned.values()) == {"update"}
    assert {"cluster-eksCluster", "cluster-a", "cluster-b", "cluster-c"} <= planned.keys()


def test_a_change_behind_our_back_is_found_by_refresh_and_repaired_by_up(up: Stack) -> None:
    logs = boto3.client("logs")
    name = "/aws/eks/point-dev/cluster"
    logs.put_retention_policy(logGroupName=name, retentionInDays=1)
    boto3.client("cloudwatch").delete_alarms(AlarmNames=["point-dev-latency"])
    up.run("refresh")
    assert up.run("up") == {"cluster-control-plane": "update", "observability-latency": "create"}
    group = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
    assert group["retentionInDays"] == 7
    assert boto3.client("cloudwatch").describe_alarms(AlarmNames=["point-dev-latency"])["MetricAlarms"]


def test_a_replacement_cascades_and_the_old_one_goes_last(up: Stack) -> None:
    acm, route53 = boto3.client("acm"), boto3.client("route53")
    old = [c["CertificateArn"] for c in acm.list_certificates()["CertificateSummaryList"]]
    up.configure(domainName="loyalty.dev.example.com")

    done = up.run("up")

    replaced = {name for name, op in done.items() if op in REPLACED}
    # The certificate takes its proofs and its issue along; who only names it is changed where it stands.
    assert replaced >= {
        "dns",
        "dns-validation-service",
        "dns-validation-origin",
        "routing-primary",
        "mesh-gateway",
    }
    assert {n for n, op in done.items() if op == "update"} >= {"edge-https", "routing", "points-tls"}
    assert not {"network", "edge", "database", "cache", "cluster-a"} & done.keys()
    certificates = acm.list_certificates()["CertificateSummaryList"]
    assert [c["DomainName"] for c in certificates] == ["loyalty.dev.example.com"]
    assert certificates[0]["CertificateArn"] not in old
    listeners = boto3.client("elbv2").describe_listeners(LoadBalancerArn=_load_balancer())["Listeners"]
    https = next(x for x in listeners if x["Port"] == 443)
    assert [c["CertificateArn"] for c in https["Certificates"]] == [certificates[0]["CertificateArn"]]
    zone = route53.list_hosted_zones()["HostedZones"][0]["Id"]
    records = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    names = {r["Name"] for r in records if r["Type"] == "A"}
    assert names == {"loyalty.dev.example.com.", "origin.loyalty.dev.example.com."}
    assert up.outputs()["url"] == "https://loyalty.dev.example.com"
    assert up.run("preview", "--expect-no-changes") == {}


def _load_balancer() -> str:
    return boto3.client("elbv2").describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]


def test_destroy_leaves_nothing(up: Stack) -> None:
    assert set(up.run("destroy").values()) == {"delete"}
    assert {k: n for k, n in _left().items() if n} == {}


def test_a_wrong_value_ends_the_preview_in_one_line_without_a_traceback(
    ports: dict[str, int], tmp_path: Path
) -> None:
    stack = Stack(tmp_path / "wrong", ports)
    stack.configure(natGateways=2)
    done = stack.engine.run("preview", "--stack", STACK, check=False)
    assert done.status != 0
    assert 'config natGateways is "2": allowed is 1 or 3' in done.text
    assert "Traceback" not in done.text


@pytest.mark.parametrize(
    ("stack", "region"), [("prod", None), ("prod", "us-east-1"), ("dev", "eu-central-1"), ("trial", None)]
)
def test_make_preview_passes_every_policy_with_the_known_number_of_resources(
    ports: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str, region: str | None
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)  # what other tests left in their moto is adopted
    cli = find_cli()
    assert cli is not None
    found = plan.preview(cli, stack, tmp_path / stack, ports, region=region)
    assert found.status == 0, found.text
    assert "[mandatory]" not in found.text
    assert "monthlyCostUsd" in found.text
    golden = GOLDEN / f"resources-{'-'.join(filter(None, (stack, region)))}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(json.dumps(found.counts, indent=2) + "\n")
    assert found.counts == json.loads(golden.read_text())


def test_a_pull_request_s_preview_shows_its_one_change(
    ports: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    repository = tmp_path / "repository"
    for name in plan.LINKED:
        shutil.copytree(paths.ROOT / name, repository / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in paths.ROOT.glob("Pulumi*.yaml"):
        shutil.copy(file, repository)
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "base"], check=True)
    file = repository / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("cache.t4g.small", "cache.t4g.medium"))
    monkeypatch.setattr(paths, "ROOT", repository)

    cli = find_cli()
    assert cli is not None
    found = plan.preview(cli, STACK, tmp_path / STACK, ports, base="HEAD")

    assert found.status == 0, found.text
    assert re.findall(r"^ ([~+-]{1,2}) +(\S+) (\S+) \w+ ?\[diff", found.text, re.M) == [
        ("~", "aws:elasticache:ReplicationGroup", "cache")
    ]
    assert "~ 1 to update" in found.text


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("type_", "inputs", "refusal"),
    [
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
        ("aws:lb/loadBalancer:LoadBalancer", {"name": "b", "subnets": ["subnet-1"]}, "InvalidSubnetID"),
        ("aws:rds/subnetGroup:SubnetGroup", {"name": "g", "subnetIds": ["subnet-1"]}, "InvalidSubnet"),
        (
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            {
                "role": "r",
                "policyArn": "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicyV2",
            },
            "does not exist or is not attachable",
        ),
    ],
)
def test_what_aws_s_own_models_refuse_is_found(type_: str, inputs: dict[str, Any], refusal: str) -> None:
    with pytest.raises(Exception, match=refusal):
        live.create(type_, inputs)
