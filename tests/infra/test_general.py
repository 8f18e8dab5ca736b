"""Any region, any size, and what is there already: what the program then declares."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from point_infra.config import authorities

NETWORK = (
    "vpc:Vpc",
    "subnet:Subnet",
    "natGateway:NatGateway",
    "routeTable:RouteTable",
    "flowLog:FlowLog",
    ":Eip",
)


@pytest.fixture(scope="module")
def virginia(run_stack: Callable[..., Any]) -> Any:
    return run_stack("prod", preview=False, region="us-east-1")


@pytest.fixture(scope="module")
def trial(run_stack: Callable[..., Any]) -> Any:
    return run_stack("trial", preview=False)


def test_nothing_of_seoul_is_left_in_another_region(virginia: Any) -> None:
    declared = str([r.inputs for r in virginia.resources])
    # ARNs of what AWS would have made are made up, in Seoul.
    assert "ap-northeast-2" not in declared.replace("ap-northeast-2:123456789012:", "")
    assert {s["availabilityZone"] for s in virginia.of("subnet:Subnet").values()} == {
        f"us-east-1{letter}" for letter in "abc"
    }


def test_where_alarms_of_the_health_check_belong_anyway_one_topic_and_key_do(
    virginia: Any, updated: Any
) -> None:
    for run, topics in ((virginia, 1), (updated, 2)):
        keys = [name for name in run.of("kms/key:Key") if not name.endswith("-backup")]
        assert len(run.of("topic:Topic")) == len(keys) == topics


def test_the_database_s_authorities_are_the_region_s(virginia: Any) -> None:
    secret = virginia.of("core/v1:Secret")["points-db-ca"]
    assert all(c in str(secret).replace("\\n", "\n") for c in authorities.SHIPPED["us-east-1"].split("\n"))


def test_a_network_that_is_there_is_built_in_and_left_alone(run_stack: Callable[..., Any]) -> None:
    tiers = {tier: [f"subnet-{i}{zone}234567" for zone in range(3)] for i, tier in enumerate("abc")}
    made = run_stack(
        "prod",
        preview=False,
        existingVpcId="vpc-0123456789abcdef0",
        publicSubnetIds=tiers["a"],
        privateSubnetIds=tiers["b"],
        dataSubnetIds=tiers["c"],
    )
    assert not any(made.of(kind) for kind in NETWORK)
    assert made.one(":LoadBalancer")["subnets"] == tiers["a"]
    assert [g["subnetIds"] for g in made.of(":NodeGroup").values()] == [[i] for i in tiers["b"]]
    assert made.one("rds/subnetGroup:SubnetGroup")["subnetIds"] == tiers["c"]
    assert made.outputs["vpcId"] == "vpc-0123456789abcdef0"
    to_data = made.of(":NetworkPolicy")["policy-points-networkpolicy-service"]["spec"]["egress"]
    assert {"ipBlock": {"cidr": "10.77.0.0/24"}} in [way for rule in to_data for way in rule.get("to", [])]
    assert {g["vpcId"] for g in made.of("securityGroup:SecurityGroup").values()} == {"vpc-0123456789abcdef0"}
    assert not [name for name in made.of(":MetricAlarm") if "nat" in name]


def test_a_cluster_that_is_there_gets_what_the_service_needs_and_keeps_what_is_its_own(
    run_stack: Callable[..., Any],
) -> None:
    tiers = {
        f"{tier}SubnetIds": [f"subnet-{i}{zone}234567" for zone in range(3)]
        for i, tier in enumerate(("public", "private", "data"))
    }
    made = run_stack(
        "dev",
        preview=False,
        existingVpcId="vpc-0123456789abcdef0",
        existingClusterName="shop",
        apiPrivateClients=[],
        containerInsights=False,
        **tiers,
    )
    kinds = ("eks:index:Cluster", ":NodeGroup", ":Addon", ":LaunchTemplate")
    assert not any(made.of(kind) for kind in kinds)
    assert "cluster-autoscaler" not in made.of(":Release")
    assert made.of(":Release")["aws-load-balancer-controller"]["values"]["clusterName"] == "shop"
    kubeconfig = json.loads(str(made.of("pulumi:providers:kubernetes")["cluster"]["kubeconfig"]))
    assert kubeconfig["users"][0]["user"]["exec"]["args"][-2:] == ["--cluster-name", "shop"]
    opened = [r["securityGroupId"] for r in made.of(":SecurityGroupIngressRule").values()]
    assert "sg-shop" in opened
    assert made.outputs["kubeconfigCommand"].endswith("--name shop")


def test_a_zone_in_another_account_gets_its_records_by_that_account_s_role(
    run_stack: Callable[..., Any],
) -> None:
    role = "arn:aws:iam::210987654321:role/dns"
    made = run_stack("prod", preview=False, zoneRoleArn=role)
    assert role in str(made.of("pulumi:providers:aws")["zone"]["assumeRoles"])


def test_a_key_of_somebody_else_s_encrypts_everything(run_stack: Callable[..., Any]) -> None:
    key = f"arn:aws:kms:ap-northeast-2:210987654321:key/mrk-{'a' * 32}"
    made = run_stack("prod", preview=False, kmsKeyArn=key)
    assert made.one("rds/cluster:Cluster")["kmsKeyId"] == key
    assert made.one(":ReplicationGroup")["kmsKeyId"] == key
    assert {g["kmsKeyId"] for g in made.of(":LogGroup").values()} == {key}
    assert {v["kmsKeyArn"] for v in made.of("backup/vault:Vault").values()} > {key}
    # A key is of its region.
    elsewhere = ("us-east-1", "backup")
    assert made.of("kms/key:Key").keys() == {f"point-prod-ap-northeast-2-{name}" for name in elsewhere}


def test_tags_of_the_user_s_own_are_on_whatever_has_tags(run_stack: Callable[..., Any]) -> None:
    made = run_stack("dev", preview=False, extraTags=["CostCenter=loyalty"])
    tagged = [r.inputs["tags"] for r in made.resources if r.inputs.get("tags") and r.type.startswith("aws:")]
    assert len(tagged) > 40
    assert all(t["CostCenter"] == "loyalty" and t["Profile"] == "lean" for t in tagged)


def test_a_serverless_database_says_its_bounds_and_is_alarmed_by_them(run_stack: Callable[..., Any]) -> None:
    made = run_stack(
        "dev",
        preview=False,
        databaseInstanceClass="db.serverless",
        databaseMinCapacity="1",
        databaseMaxCapacity="16",
    )
    cluster = made.one("rds/cluster:Cluster")
    assert cluster["serverlessv2ScalingConfiguration"] == {"minCapacity": 1, "maxCapacity": 16}
    assert made.of(":MetricAlarm")["observability-connections"]["threshold"] == 0.8 * 2000


def test_a_class_that_is_not_looked_into_is_not_asked_to_be(run_stack: Callable[..., Any]) -> None:
    made = run_stack("dev", preview=False, databaseInstanceClass="db.t3.medium")
    assert made.one("rds/cluster:Cluster")["performanceInsightsEnabled"] is False
    assert not any(i["performanceInsightsEnabled"] for i in made.of(":ClusterInstance").values())


def test_a_trial_has_one_of_each_and_no_alarm_on_what_it_has_not(trial: Any) -> None:
    assert trial.of(":ClusterInstance").keys() == {"database-writer"}
    shard = trial.one(":ReplicationGroup")
    assert shard["nodeGroupConfigurations"][0]["replicaCount"] == 0
    assert (shard["automaticFailoverEnabled"], shard["multiAzEnabled"]) == (True, False)
    assert {g["capacityType"] for g in trial.of(":NodeGroup").values()} == {"SPOT"}
    assert {g["amiType"] for g in trial.of(":NodeGroup").values()} == {"AL2023_ARM_64_STANDARD"}
    assert not [a for a in trial.of(":MetricAlarm") if "reader" in a or "cache-2" in a or "node" in a]
    assert "amazon-cloudwatch-observability" not in {a["addonName"] for a in trial.of(":Addon").values()}


@pytest.mark.parametrize(
    ("database", "pool"), [("db.r5.large", 20), ("db.t4g.medium", 3), ("db.t4g.large", 4)]
)
def test_the_pods_pools_fit_the_connections_of_a_small_class(
    run_stack: Callable[..., Any], database: str, pool: int
) -> None:
    made = run_stack("dev", preview=False, databaseInstanceClass=database).outputs["pointServiceYaml"]
    assert yaml.safe_load(made)["spec"]["database"]["poolSize"] == pool


def test_the_cache_knows_a_new_token_before_anybody_is_given_it(updated: Any) -> None:
    """It takes minutes to change and takes both meanwhile; pods would be refused with one that it has yet to learn."""
    order = [(r.type.rpartition(":")[2], r.name) for r in updated.resources]
    assert order.index(("ReplicationGroup", "cache")) < order.index(("SecretVersion", "cache-token"))
