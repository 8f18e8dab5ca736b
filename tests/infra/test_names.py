"""Every name that AWS bounds fits, for the longest environment that config takes; and no two stacks share one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from infra.models.account import RUNNER

LONGEST = "a23456789-123456789x"
BOUNDS = {
    "aws:backup/plan:Plan": ("name", 50),
    "aws:backup/selection:Selection": ("name", 50),
    "aws:backup/vault:Vault": ("name", 50),
    "aws:cloudwatch/dashboard:Dashboard": ("dashboardName", 255),
    "aws:cloudwatch/logGroup:LogGroup": ("name", 512),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("name", 255),
    "aws:codebuild/project:Project": ("name", 150),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": ("ecrRepositoryPrefix", 30),
    "aws:ecr/repository:Repository": ("name", 256),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": ("prefix", 256),
    "aws:elasticache/replicationGroup:ReplicationGroup": ("replicationGroupId", 40),
    "aws:kms/alias:Alias": ("name", 256),
    "aws:rds/cluster:Cluster": ("clusterIdentifier", 63),
    "aws:rds/clusterInstance:ClusterInstance": ("identifier", 63),
    "eks:index:Cluster": ("name", 100),
}
"""Types whose name is said here, and how long AWS lets it be (API references; the engine bounds the rest by itself)."""
AUTONAMED = {
    "aws:iam/role:Role": 64,
    "aws:lb/loadBalancer:LoadBalancer": 32,
    "aws:lb/targetGroup:TargetGroup": 32,
}
"""Types that Pulumi names after the resource, with eight characters more, and AWS's bound."""


def _named(run: Any) -> Iterator[tuple[str, str]]:
    for resource in run.resources:
        if resource.type in BOUNDS:
            name = resource.inputs[BOUNDS[resource.type][0]]
            # The alarms of another region than the stack's are named there.
            yield f"{resource.type} {resource.inputs.get('region')}", name


@pytest.fixture(scope="module")
def longest(run_stack: Callable[..., Any]) -> Any:
    return run_stack("prod", preview=False, environment=LONGEST, **RUNNER)


def test_names_fit_for_the_longest_environment(longest: Any) -> None:
    assert len(LONGEST) == 20
    seen = {r.type for r in longest.resources}
    assert seen >= BOUNDS.keys()
    for resource in longest.resources:
        if resource.type in BOUNDS:
            field, most = BOUNDS[resource.type]
            assert len(resource.inputs[field]) <= most, f"{resource.type} {resource.inputs[field]}"
        elif resource.type in AUTONAMED:
            assert len(resource.name) + 8 <= AUTONAMED[resource.type], f"{resource.type} {resource.name}"


def test_whoever_says_a_name_is_known_here(longest: Any) -> None:
    said = {
        r.type
        for r in longest.resources
        if LONGEST in str(r.inputs.get("name", "")) and r.type.startswith(("aws:", "eks:"))
    }
    assert said <= BOUNDS.keys()


def test_two_environments_share_no_name(longest: Any, run_stack: Callable[..., Any]) -> None:
    other = run_stack("prod", preview=False, environment="b", **RUNNER)
    assert not set(_named(longest)) & set(_named(other))


def test_one_environment_in_two_regions_shares_no_name_where_a_name_is_for_all_regions(
    updated: Any, run_stack: Callable[..., Any]
) -> None:
    other = run_stack("prod", preview=False, region="eu-west-1")
    worldwide = ("aws:cloudwatch/dashboard:Dashboard",)
    shared = set(_named(updated)) & set(_named(other))
    assert not {(t, n) for t, n in shared if "us-east-1" in t or t.startswith(worldwide)}
