"""A runner of the stack's own stands where the Kubernetes API lets it in, before there is an API."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra.models.account import RUNNER
from point_infra.policy.rules import violations

WORKFLOWS = Path(__file__).resolve().parents[3] / ".github" / "workflows"


@pytest.fixture(scope="module")
def foundation(run_stack: Callable[..., Any]) -> Any:
    return run_stack("prod", preview=False, stage="foundation", apiPrivateClients=[], **RUNNER)


@pytest.fixture(scope="module")
def whole(run_stack: Callable[..., Any]) -> Any:
    return run_stack("prod", preview=False, apiPrivateClients=[], **RUNNER)


def test_it_is_of_the_foundation_and_named_for_the_stack(foundation: Any) -> None:
    assert not foundation.of("eks:index:Cluster")
    assert foundation.one(":Project")["name"] == foundation.outputs["runnerProject"] == "point-prod-runner"
    assert foundation.outputs["monthlyCostIsComplete"]


def test_a_stack_has_none_unless_it_is_asked_for(updated: Any) -> None:
    assert not updated.of(":Project")
    assert updated.outputs["runnerProject"] == ""


def test_it_stands_in_the_private_subnets_behind_a_group_that_nobody_enters(foundation: Any) -> None:
    place = foundation.one(":Project")["vpcConfig"]
    assert place == {
        "vpcId": "network",
        "subnets": [f"network-private-{zone}" for zone in "abc"],
        "securityGroupIds": ["runner"],
    }
    assert not foundation.of(":SecurityGroupIngressRule")
    (way,) = foundation.of(":SecurityGroupEgressRule").values()
    assert (way["ipProtocol"], way["fromPort"], way["toPort"]) == ("tcp", 443, 443)


def test_the_private_api_lets_it_in_before_anything_is_installed(whole: Any) -> None:
    rule = whole.of(":SecurityGroupIngressRule")["cluster-api-runner"]
    assert (rule["securityGroupId"], rule["referencedSecurityGroupId"]) == ("sg-cluster", "runner")
    assert (rule["fromPort"], rule["toPort"]) == (443, 443)
    assert whole.one("eks:index:Cluster")["endpointPublicAccess"] is False


def test_what_it_writes_is_encrypted_and_ends(foundation: Any) -> None:
    logs = foundation.one(":Project")["logsConfig"]["cloudwatchLogs"]
    (group,) = [g for g in foundation.of(":LogGroup").values() if g["name"] == logs["groupName"]]
    assert group["retentionInDays"] == 90
    assert group["kmsKeyId"]


def test_it_takes_its_jobs_by_a_connection_and_holds_no_token(foundation: Any) -> None:
    source = foundation.one(":Project")["source"]
    assert source["location"] == "https://github.com/points/points.git"
    assert source["auth"] == {"type": "CODECONNECTIONS", "resource": RUNNER["runnerConnectionArn"]}


def test_its_own_role_reaches_one_connection_one_log_group_and_network_interfaces(foundation: Any) -> None:
    policies = {n: json.loads(p["policy"])["Statement"] for n, p in foundation.of(":RolePolicy").items()}
    assert {n for n in policies if n.startswith("runner")} == {
        "runner-connection",
        "runner-logs",
        "runner-network",
    }
    (connection,) = policies["runner-connection"]
    assert connection["Resource"] == RUNNER["runnerConnectionArn"]
    changes = [s for s in policies["runner-network"] if not str(s["Action"]).startswith("['ec2:Describe")]
    assert [s["Action"] for s in changes] == [
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:CreateNetworkInterfacePermission",
    ]
    within = [f"arn:aws:ec2:ap-northeast-2:*:subnet/network-private-{zone}" for zone in "abc"]
    assert [r for r in changes[0]["Resource"] if "subnet" in r] == within
    assert all(s["Condition"]["ArnLike"] == {"ec2:Subnet": within} for s in changes[1:])


def test_it_keeps_every_rule(foundation: Any) -> None:
    broken = {r.name: violations(r.type, r.inputs) for r in foundation.resources}
    assert {name: found for name, found in broken.items() if found} == {}


def test_rights_to_an_older_connection_are_named_as_its_arn_is(run_stack: Callable[..., Any]) -> None:
    arn = RUNNER["runnerConnectionArn"].replace("codeconnections", "codestar-connections")
    made = run_stack("prod", preview=False, stage="foundation", **{**RUNNER, "runnerConnectionArn": arn})
    (statement,) = json.loads(made.of(":RolePolicy")["runner-connection"]["policy"])["Statement"]
    assert statement["Resource"] == arn
    assert all(action.startswith("codestar-connections:") for action in statement["Action"])


def test_the_jobs_that_need_the_api_are_those_that_it_takes_and_end_before_it_does(foundation: Any) -> None:
    jobs = {
        workflow["name"]: job
        for workflow in (yaml.safe_load(f.read_text()) for f in WORKFLOWS.glob("*.yaml"))
        for job in workflow["jobs"].values()
        if "codebuild" in job["runs-on"]
    }
    event, name = foundation.one(":Webhook")["filterGroups"][0]["filters"]
    assert event == {"type": "EVENT", "pattern": "WORKFLOW_JOB_QUEUED"}
    assert name == {"type": "WORKFLOW_NAME", "pattern": f"^({'|'.join(sorted(jobs))})$"}
    most = foundation.one(":Project")["buildTimeout"]
    assert all(job["timeout-minutes"] < most for job in jobs.values())
