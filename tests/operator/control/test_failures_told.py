"""Whatever keeps a look from ending is in status, with its cause, and holds up nobody else."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import webhook
from harness.tenants import gateway_pod
from point_operator.model import kinds

pytestmark = pytest.mark.integration

CRD = Path(__file__).resolve().parents[3] / "crds/pointservices.yaml"


@pytest.fixture
def unchecked(server: Any) -> Iterator[None]:
    """Gateway selectors as they were before the schema checked them: objects of then may still be stored."""
    crd = yaml.safe_load(CRD.read_text())
    loose = copy.deepcopy(crd)
    spec = loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    selector = spec["properties"]["gateway"]["properties"]["selector"]
    selector.pop("x-kubernetes-validations")
    selector["additionalProperties"] = {"type": "string"}
    for one in (loose, crd):
        server.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(one))
        if one is loose:
            yield


def test_a_webhook_that_is_down_is_told_and_ready_stays_with_what_serves(tenant: Any, kube: Any) -> None:
    tenant.ready()
    with webhook.down(kube, kinds.DEPLOYMENT, tenant.namespace):
        changed = tenant.spec(logLevel="DEBUG")["metadata"]["generation"]
        degraded = tenant.wait_reason("Degraded", "ApiFailed", seconds=30)
        assert f"Deployment {tenant.namespace}/points" in degraded["message"]
        assert "test.pointservice.io" in degraded["message"]
        assert degraded["observedGeneration"] == changed
        ready = tenant.condition("Ready")
        assert (ready["status"], ready["observedGeneration"]) == ("True", changed - 1)
        assert tenant.condition("Reconciling")["reason"] == "ApiFailed"
    tenant.wait_reason("Degraded", "AsExpected", seconds=70)


def test_a_change_that_is_rejected_leaves_ready_with_what_serves(tenant: Any, kube: Any) -> None:
    tenant.ready()
    with webhook.denying(kube, kinds.JOB, tenant.namespace, "no more Jobs here"):
        changed = tenant.spec(image="docker.io/library/point-service:0.2.0")["metadata"]["generation"]
        assert "no more Jobs here" in tenant.wait_reason("Stalled", "Rejected")["message"]
        ready = tenant.condition("Ready")
        assert (ready["status"], ready["observedGeneration"]) == ("True", changed - 1)
    tenant.migrated()


@pytest.mark.usefixtures("unchecked")
def test_a_gateway_that_can_t_be_is_told_and_the_others_are_looked_at(
    make_tenant: Callable[[], Any],
) -> None:
    wrong, right = make_tenant(), make_tenant()
    wrong.create(gateway={"selector": {"istio": "a b"}})
    assert "istio=a b" in wrong.wait_reason("Degraded", "GatewayNotListed")["message"]
    selector = {"istio": right.namespace}
    gateway_pod(right.kube, right.namespace, selector)
    right.ready(gateway={"selector": selector})
    gateway_pod(right.kube, f"{right.namespace}-2", selector)
    right.kube.wait(
        "the second gateway pod",
        lambda: right.get(kinds.POINT_SERVICE)["status"]["rateLimit"]["gatewayPods"] == 2,
    )


def test_a_conflict_is_never_told(tenant: Any) -> None:
    """Somebody changes every child again and again, while the operator claims what they have added."""
    tenant.ready()
    before = _warnings(tenant)
    for number in range(250):
        patch = {"metadata": {"annotations": {"note": str(number)}}, "spec": {"exportTo": ["."]}}
        tenant.edit(kinds.DESTINATION_RULE, patch)
    tenant.kube.wait("the repair", lambda: "exportTo" not in tenant.get(kinds.DESTINATION_RULE)["spec"], 30)
    assert _warnings(tenant) == before


def _warnings(tenant: Any) -> list[str]:
    answer = tenant.kube.client.get(kinds.EVENT.path(tenant.namespace)).json()["items"]
    return [one["reason"] for one in answer if one["type"] == "Warning"]
