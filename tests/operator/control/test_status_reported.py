"""What `kubectl get`, `kubectl wait` and Events tell about a PointService."""

from typing import Any

import pytest
from harness.tenants import gateway_pod
from point_operator.model import kinds

pytestmark = pytest.mark.integration


def test_ready_tells_url_image_replicas_and_limit(tenant: Any) -> None:
    tenant.ready()
    status = tenant.get(kinds.POINT_SERVICE)["status"]
    assert status["url"] == f"https://{tenant.host}"
    assert status["image"] == "docker.io/library/point-service:0.1.0"
    assert (status["replicas"], status["readyReplicas"]) == (2, 2)
    assert status["rateLimit"] == {"scope": "Local", "gatewayPods": 1, "requestsPerSecondPerPod": 1000}
    assert status["migration"]["state"] == "Succeeded"
    assert status["observedGeneration"] == tenant.get(kinds.POINT_SERVICE)["metadata"]["generation"]


def test_kubectl_waits_and_prints(tenant: Any, server: Any) -> None:
    tenant.ready()
    server.kubectl("wait", "--for=condition=Ready", "pts/points", "-n", tenant.namespace, "--timeout=5s")
    table = server.kubectl("get", "pts", "-n", tenant.namespace)
    assert table.split("\n")[0].split() == ["NAME", "READY", "URL", "REPLICAS", "AGE"]
    assert table.split("\n")[1].split()[:4] == ["points", "True", f"https://{tenant.host}", "2"]


def test_scaling_moves_the_fewest_replicas(tenant: Any, server: Any) -> None:
    tenant.ready()
    server.kubectl("scale", "pts/points", "-n", tenant.namespace, "--replicas=3")
    tenant.kube.wait("three at least", lambda: tenant.get(kinds.AUTOSCALER)["spec"]["minReplicas"] == 3)


def test_pods_that_are_not_ready_are_told(tenant: Any) -> None:
    tenant.create()
    tenant.migrated()
    tenant.rolled_out(2, available=0)
    tenant.kube.wait(
        "the number", lambda: "0 of 2 pods ready" in tenant.condition("Ready").get("message", "")
    )
    assert tenant.condition("Ready")["reason"] == "PodsNotReady"
    assert tenant.condition("Progressing")["reason"] == "RollingOut"


def test_a_stuck_rollout_is_told_while_the_old_version_serves(tenant: Any) -> None:
    tenant.ready()
    tenant.rolled_out(2, stuck=True)
    assert "keeps serving" in tenant.wait_reason("Degraded", "RolloutStuck")["message"]
    assert tenant.condition("Ready")["status"] == "True"
    assert tenant.condition("Stalled")["reason"] == "RolloutStuck"


def test_a_pod_without_proxy_is_not_ready(tenant: Any) -> None:
    tenant.ready()
    template = tenant.get(kinds.DEPLOYMENT)["spec"]["template"]
    pod = {
        "metadata": {"name": "bare", "namespace": tenant.namespace, "labels": template["metadata"]["labels"]}
    }
    tenant.kube.create(kinds.POD, pod | {"spec": template["spec"]})
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": "look"}}})
    assert "bare" in tenant.wait_reason("Ready", "NoSidecar")["message"]


def test_a_missing_secret_is_named_and_holds_the_start(tenant: Any) -> None:
    tenant.create(database={"host": "m", "credentialsSecret": "nope", "migrationSecret": "points-db-master"})
    degraded = tenant.wait_reason("Degraded", "SecretMissing")
    assert degraded["message"] == f"Secret nope does not exist in namespace {tenant.namespace}"
    assert tenant.kube.find(kinds.JOB, tenant.namespace) == []
    tenant.secret("nope", username="u")
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": "look"}}})
    tenant.kube.wait("the missing key", lambda: "lacks password" in tenant.condition("Degraded")["message"])


def test_a_missing_certificate_is_named(tenant: Any) -> None:
    tenant.create(gateway={"tls": {"credentialName": "gone"}})
    tenant.migrated()
    tenant.rolled_out()
    assert "istio-ingress" in tenant.wait_reason("Ready", "CertificateMissing")["message"]


def test_the_limit_follows_the_number_of_gateway_pods(tenant: Any) -> None:
    selector = {"istio": tenant.namespace}
    gateway_pod(tenant.kube, f"{tenant.namespace}-1", selector)
    tenant.ready(gateway={"selector": selector, "rateLimit": {"requestsPerSecond": 100}})
    for number in (2, 3):
        gateway_pod(tenant.kube, f"{tenant.namespace}-{number}", selector)

    def limit() -> Any:
        return tenant.get(kinds.POINT_SERVICE)["status"]["rateLimit"]

    wanted = {"scope": "Local", "gatewayPods": 3, "requestsPerSecondPerPod": 34}
    tenant.kube.wait("a third for each", lambda: limit() == wanted)
    spec = str(tenant.at_gateway(kinds.ENVOY_FILTER)["spec"])
    assert "'fill_interval': '3s'" in spec
    assert "'tokens_per_fill': 100" in spec


def test_a_gateway_that_is_not_there_is_told(tenant: Any) -> None:
    tenant.create(gateway={"name": tenant.namespace})
    tenant.migrated()
    tenant.rolled_out()
    absent = tenant.wait_reason("Ready", "GatewayAbsent")
    assert f"no pod in namespace istio-ingress with the labels istio={tenant.namespace}" in absent["message"]
    assert tenant.condition("Reconciling")["reason"] == "GatewayAbsent"
    assert tenant.get(kinds.POINT_SERVICE)["status"]["rateLimit"]["gatewayPods"] == 0


def test_so_is_one_none_of_whose_pods_is_ready_until_one_is(tenant: Any) -> None:
    selector = {"istio": tenant.namespace}
    gateway_pod(tenant.kube, tenant.namespace, selector, ready=False)
    tenant.create(gateway={"selector": selector})
    tenant.migrated()
    tenant.rolled_out()
    assert "None of the 1 pods" in tenant.wait_reason("Ready", "GatewayAbsent")["message"]
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    tenant.kube.patch(kinds.POD, "istio-ingress", tenant.namespace, ready, "status")
    tenant.wait_reason("Ready", "Available")


def test_a_gateway_that_runs_as_somebody_else_is_told(tenant: Any) -> None:
    gateway_pod(tenant.kube, tenant.namespace, {"istio": tenant.namespace}, account="nobody")
    tenant.create(gateway={"name": tenant.namespace})
    tenant.migrated()
    tenant.rolled_out()
    told = tenant.wait_reason("Ready", "GatewayIdentity")["message"]
    assert "run as service account nobody and not as istio-ingressgateway" in told
    assert tenant.condition("Stalled")["reason"] == "GatewayIdentity"


def test_keys_that_can_t_be_fetched_are_told(tenant: Any) -> None:
    jwt = {"issuer": f"https://{tenant.namespace}", "jwksUri": "https://login.points.invalid/keys"}
    tenant.create(gateway={"jwt": jwt})
    tenant.migrated()
    tenant.rolled_out()
    assert "https://login.points.invalid/keys" in tenant.wait_reason("Ready", "KeysUnavailable")["message"]
    assert tenant.condition("Reconciling")["reason"] == "KeysUnavailable"


def test_ready_stays_with_what_serves_until_the_new_image_does(tenant: Any, server: Any) -> None:
    tenant.ready()
    changed = tenant.spec(image="docker.io/library/point-service:0.2.0")["metadata"]["generation"]
    tenant.wait_reason("Reconciling", "Migrating")
    ready = tenant.condition("Ready")
    assert (ready["status"], ready["observedGeneration"]) == ("True", changed - 1)
    assert tenant.get(kinds.POINT_SERVICE)["status"]["observedGeneration"] == changed
    wait = ("wait", "--for=condition=Ready", "pts/points", "-n", tenant.namespace)
    assert "timed out" in server.kubectl(*wait, "--timeout=1s", check=False)
    tenant.migrated()
    tenant.kube.wait("the new image", lambda: "0.2.0" in str(tenant.get(kinds.DEPLOYMENT)["spec"]))
    tenant.rolled_out()
    server.kubectl(*wait, "--timeout=15s")
    assert tenant.condition("Reconciling") == {}


def test_events_tell_of_changes_only(tenant: Any) -> None:
    tenant.ready()
    for note in ("one", "two", "three"):
        tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": note}}})
    tenant.spec(paused=True)
    tenant.wait_reason("Progressing", "Paused")
    answer = tenant.kube.client.get(kinds.EVENT.path(tenant.namespace)).json()["items"]
    reasons = [one["reason"] for one in answer]
    assert reasons.count("Available") == 1
    assert reasons.count("Migrating") == 1
