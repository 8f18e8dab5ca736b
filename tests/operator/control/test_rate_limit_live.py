"""A limit that all gateway pods count together comes, is used once it can be, and goes."""

from typing import Any

import pytest
from point_operator.model import kinds

pytestmark = pytest.mark.integration

NAME = "points-rate-limit"
CHILDREN = (
    kinds.CONFIG_MAP,
    kinds.SERVICE,
    kinds.DESTINATION_RULE,
    kinds.DISRUPTION_BUDGET,
    kinds.DEPLOYMENT,
)


def test_the_service_counts_once_it_is_there_and_while_it_is(tenant: Any) -> None:
    tenant.ready(gateway={"rateLimit": {"scope": "Global", "requestsPerSecond": 100}})
    assert [kind.kind for kind in CHILDREN if tenant.get(kind, NAME) is None] == []
    assert (_limit(tenant)["scope"], _own_bucket(tenant)["max_tokens"]) == ("Local", 10)
    assert tenant.condition("Degraded")["reason"] == "AsExpected"
    tenant.rolled_out(name=NAME)
    tenant.kube.wait("the service to count", lambda: _limit(tenant)["scope"] == "Global")
    tenant.kube.wait("a wide bucket", lambda: _own_bucket(tenant)["max_tokens"] == 100)
    tenant.rolled_out(name=NAME, available=0)
    tenant.wait_reason("Degraded", "RateLimitServiceDown")
    assert tenant.condition("Ready")["status"] == "True"
    assert (_limit(tenant)["scope"], _own_bucket(tenant)["max_tokens"]) == ("Local", 10)


def test_another_limit_rolls_the_service(tenant: Any) -> None:
    tenant.ready(gateway={"rateLimit": {"scope": "Global", "requestsPerSecond": 100}})
    before = tenant.get(kinds.DEPLOYMENT, NAME)["spec"]["template"]
    tenant.spec(gateway={"rateLimit": {"requestsPerSecond": 200}})
    tenant.kube.wait(
        "another template", lambda: tenant.get(kinds.DEPLOYMENT, NAME)["spec"]["template"] != before
    )
    assert "requests_per_unit: 200" in tenant.get(kinds.CONFIG_MAP, NAME)["data"]["limits.yaml"]


def test_a_service_that_is_not_wanted_any_more_goes(tenant: Any) -> None:
    tenant.ready(gateway={"rateLimit": {"scope": "Global", "requestsPerSecond": 100}})
    tenant.spec(gateway={"rateLimit": {"scope": "Local"}})
    for kind in CHILDREN:
        tenant.kube.wait(f"the {kind.kind} to go", lambda k=kind: tenant.get(k, NAME) is None)
    patches = tenant.at_gateway(kinds.ENVOY_FILTER)["spec"]["configPatches"]
    assert len([one for one in patches if one["applyTo"] != "CLUSTER"]) == 3


def _limit(tenant: Any) -> dict[str, Any]:
    return tenant.get(kinds.POINT_SERVICE)["status"]["rateLimit"]


def _own_bucket(tenant: Any) -> dict[str, Any]:
    """What one gateway pod lets through by itself."""
    routes = tenant.at_gateway(kinds.ENVOY_FILTER)["spec"]["configPatches"][-1]["patch"]["value"]
    limits = routes["typed_per_filter_config"][f"pointservice.io.rate_limit.{tenant.namespace}.points"]
    return limits["descriptors"][0]["token_bucket"]
