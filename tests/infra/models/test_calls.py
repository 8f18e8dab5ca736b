"""What CloudFormation's schemas leave open is held against the models of the API calls."""

from collections.abc import Callable
from typing import Any

import pytest
from infra.models.calls import refused
from infra.models.cloudformation import Declared, Finding
from infra.models.operations import CALLS, DOCUMENTED, TAKEN_OTHERWISE

BROKEN: list[tuple[str, dict[str, Any], str, str]] = [
    (":Budget", {"timeUnit": "WEEKLY"}, "Budget.TimeUnit", "is not one of"),
    (
        ":Project",
        {"environment": {"type": "LINUX", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"}},
        "Environment.Type",
        "is not one of",
    ),
    (
        ":Project",
        {"source": {"type": "GITHUB", "auth": {"type": "TOKEN"}}},
        "Source.Auth.Type",
        "is not one of",
    ),
    (
        ":Webhook",
        {"filterGroups": [{"filters": [{"type": "WORKFLOW", "pattern": "deploy"}]}]},
        "filterGroups.filters.type",
        "is not one of",
    ),
    (":Certificate", {"validationMethod": "PHONE"}, "ValidationMethod", "is not one of"),
    (":Record", {"type": "ALIAS"}, "Type", "is not one of"),
    (":NodeGroup", {"instanceTypes": ["m5.lagre"]}, "InstanceType", "is not one of"),
    (":HealthCheck", {"requestInterval": 5.0}, "HealthCheckConfig.RequestInterval", "from 10 to 30"),
    (":ParameterGroup", {"family": "redis9"}, "CacheParameterGroupFamily", "documentation"),
    (
        "rds/cluster:Cluster",
        {"enabledCloudwatchLogsExports": ["audit", "slow-query"]},
        "EnableCloudwatchLogsExports",
        "documentation",
    ),
    (":Addon", {"resolveConflictsOnUpdate": "MERGE"}, "resolveConflictsOnUpdate", "is not one of"),
    (":ReplicationGroup", {"authTokenUpdateStrategy": "SWAP"}, "authTokenUpdateStrategy", "is not one of"),
    (
        ":ClusterParameterGroup",
        {"parameters": [{"name": "time_zone", "value": "UTC", "applyMethod": "later"}]},
        "parameters.applyMethod",
        "is not one of",
    ),
    (":ReplicationGroup", {"description": None}, "", "requires ReplicationGroupDescription"),
    (
        ":WebAcl",
        {"visibilityConfig": {"metricName": "edge", "sampledRequestsEnabled": True}},
        "VisibilityConfig",
        "requires CloudWatchMetricsEnabled",
    ),
    (":ClusterInstance", {"monitoringInterval": 7.0}, "MonitoringInterval", "documentation"),
]


def test_no_call_s_model_refuses_what_is_declared(stacks: dict[str, list[Declared]]) -> None:
    assert [f for declared in stacks.values() for f in refused(declared)] == []


@pytest.mark.parametrize(("type_", "changes", "property_", "message"), BROKEN)
def test_what_a_call_would_refuse_is_found_by_resource_and_property(
    example: Callable[..., Declared], type_: str, changes: dict[str, Any], property_: str, message: str
) -> None:
    found = refused([example(type_, "broken", **changes)])
    assert property_ in {f.property for f in found}
    assert all(f.resource.endswith(" broken") for f in found)
    assert any(message in f.message for f in found if f.property == property_)


def test_a_property_that_no_call_takes_is_named(example: Callable[..., Declared]) -> None:
    """Until it is said what takes it, nothing says that its values are checked."""
    topic = example("sns/topic:Topic", "alarms", displayName="Points")
    assert refused([topic]) == [Finding("Topic alarms", "DisplayName", "no call takes it")]


def test_what_is_listed_is_of_a_call() -> None:
    assert {cfn for cfn, _ in DOCUMENTED} <= CALLS.keys()
    assert TAKEN_OTHERWISE.keys() <= CALLS.keys()
