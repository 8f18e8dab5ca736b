"""What is left of an outage once it is over: nothing."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from point_operator.model import kinds

pytestmark = pytest.mark.integration

CRDS = Path(__file__).resolve().parents[3] / "crds"


@pytest.fixture
def frozen_operator(operator: Any) -> Iterator[None]:
    """The operator, cut off from the world for the length of a test; it goes on afterwards."""
    operator.process.send_signal(signal.SIGSTOP)
    yield
    operator.process.send_signal(signal.SIGCONT)


def test_it_ends_when_told_as_soon_as_it_is_there(process: Any, server: Any, account: Path) -> None:
    early = process(server, account, "--no-lease", name="early")
    early.start()
    assert early.stop() == 0


def test_it_ends_when_told_while_it_can_t_begin(process: Any, server: Any, account: Path) -> None:
    waiting = process(server, account, "--no-lease", name="waiting")
    server.processes["kube-apiserver"].send_signal(signal.SIGSTOP)
    try:
        waiting.start()
        assert waiting.stop() == 0
    finally:
        server.processes["kube-apiserver"].send_signal(signal.SIGCONT)


def test_a_restarted_api_server_is_followed_again(tenant: Any, server: Any) -> None:
    tenant.ready()
    server.restart()
    tenant.kube.wait("the API", lambda: tenant.get(kinds.POINT_SERVICE))
    tenant.kube.delete(kinds.SERVICE, tenant.namespace, "points")
    tenant.kube.wait("the Service to return", lambda: tenant.get(kinds.SERVICE), 30)
    tenant.spec(logLevel="DEBUG")
    tenant.kube.wait("the new log level", lambda: "DEBUG" in str(tenant.get(kinds.DEPLOYMENT)), 30)


def test_a_hanging_api_server_is_waited_for(tenant: Any, server: Any, operator: Any) -> None:
    tenant.ready()
    failures = operator.metric("point_operator_errors_total")
    server.processes["kube-apiserver"].send_signal(signal.SIGSTOP)
    try:
        tenant.kube.wait(
            "requests to time out",
            lambda: (
                operator.metric("point_operator_errors_total") > failures
                or "can't count gateway pods" in operator.log.read_text()[-5000:]
            ),
            40,
        )
    finally:
        server.processes["kube-apiserver"].send_signal(signal.SIGCONT)
    tenant.kube.delete(kinds.SERVICE, tenant.namespace, "points")
    tenant.kube.wait("the Service to return", lambda: tenant.get(kinds.SERVICE), 30)


@pytest.mark.usefixtures("frozen_operator")
def test_what_happened_while_the_operator_was_away_is_made_up_for(tenant: Any, operator: Any) -> None:
    operator.process.send_signal(signal.SIGCONT)
    tenant.ready()
    operator.process.send_signal(signal.SIGSTOP)
    tenant.kube.delete(kinds.SERVICE, tenant.namespace, "points")
    tenant.spec(logLevel="DEBUG")
    tenant.edit(kinds.AUTOSCALER, {"spec": {"maxReplicas": 99}})
    operator.process.send_signal(signal.SIGCONT)
    tenant.kube.wait("the Service to return", lambda: tenant.get(kinds.SERVICE), 30)
    tenant.kube.wait("the new log level", lambda: "DEBUG" in str(tenant.get(kinds.DEPLOYMENT)), 30)
    tenant.kube.wait("the bounds", lambda: tenant.get(kinds.AUTOSCALER)["spec"]["maxReplicas"] == 10, 30)


def test_one_that_can_not_be_satisfied_holds_up_no_other(make_tenant: Any) -> None:
    hopeless, other = make_tenant(), make_tenant()
    hopeless.create(database={"host": "m", "credentialsSecret": "nope", "migrationSecret": "nope"})
    hopeless.wait_reason("Degraded", "SecretMissing")
    other.ready()


FLOOD = 80


def test_a_flood_of_point_services_holds_up_no_other(make_tenant: Any) -> None:
    calm, flooded = make_tenant(), make_tenant()
    calm.ready()
    described = {
        "namespace": "istio-ingress",
        "selector": {"istio": "ingressgateway"},
    }  # too little for the admission policy
    flooded.host = calm.host  # refused, and asked about again with each that comes or goes
    for number in range(FLOOD):
        flooded.create(f"flood-{number}", gateway=described)
        if number % 20 == 0:
            calm.kube.delete(kinds.SERVICE, calm.namespace, "points")
            calm.kube.wait("the Service to return", lambda: calm.get(kinds.SERVICE), 10)
    flooded.wait_reason("Ready", "HostConflict", f"flood-{FLOOD - 1}", seconds=60)
    calm.spec(logLevel="DEBUG")
    calm.kube.wait("the new log level", lambda: "DEBUG" in str(calm.get(kinds.DEPLOYMENT)), 10)
    for number in range(FLOOD):
        calm.kube.delete(kinds.POINT_SERVICE, flooded.namespace, f"flood-{number}")
    assert calm.condition("Ready")["reason"] == "Available"


def test_deleted_while_the_operator_was_down_is_cleaned_when_it_is_back(tenant: Any, operator: Any) -> None:
    tenant.ready()
    operator.stop()
    tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    assert tenant.get(kinds.POINT_SERVICE)["metadata"]["deletionTimestamp"]
    operator.start()
    tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
    assert tenant.at_gateway(kinds.REQUEST_AUTHENTICATION) is None


def test_an_unreadable_spec_can_still_be_deleted(tenant: Any, server: Any) -> None:
    tenant.ready()
    crd = server.kubectl("get", "crd", "pointservices.pointservice.io", "-o", "json")
    loose = _loosened(crd)
    server.kubectl("replace", "-f", "-", stdin=loose)
    try:
        tenant.kube.wait("the loose schema", lambda: _break(tenant))
        tenant.wait_reason("Ready", "InvalidSpec")
        tenant.kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
        tenant.kube.wait("it to be gone", lambda: tenant.get(kinds.POINT_SERVICE) is None)
    finally:
        server.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(CRDS))
    assert tenant.at_gateway(kinds.REQUEST_AUTHENTICATION) is None


def _loosened(crd: str) -> str:

    body = json.loads(crd)
    schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return json.dumps(body)


def _break(tenant: Any) -> bool:
    """Write a spec that no version can read; False while the schema still refuses it."""

    try:
        tenant.spec(image=None)
    except httpx.HTTPStatusError:
        return False
    return True
