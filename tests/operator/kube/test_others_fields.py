"""What other people's tools write to a child stays theirs, and what is ours is known as ours."""

from typing import Any

import pytest
from point_operator.model import kinds, names

pytestmark = pytest.mark.integration

REPAIRED = "point_operator_drift_repaired_total"


@pytest.fixture
def settled(tenant: Any) -> Any:
    """A PointService that is Ready."""
    tenant.ready()
    return tenant


def _look(tenant: Any) -> dict[str, Any]:
    """Have the Deployment looked at and applied; return its spec then."""
    tenant.spec(logLevel="DEBUG")
    tenant.kube.wait("the new log level", lambda: "DEBUG" in str(tenant.get(kinds.DEPLOYMENT)))
    return tenant.get(kinds.DEPLOYMENT)["spec"]


def test_the_replicas_stay_by_whatever_path_they_were_written(settled: Any) -> None:
    settled.edit(kinds.DEPLOYMENT, {"spec": {"replicas": 8}})
    assert _look(settled)["replicas"] == 8
    settled.edit(kinds.DEPLOYMENT, {"spec": {"replicas": 6, "template": {"spec": {"hostNetwork": True}}}})
    settled.kube.wait("the network to be its own", lambda: not _pod(settled).get("hostNetwork"))
    assert settled.get(kinds.DEPLOYMENT)["spec"]["replicas"] == 6


@pytest.mark.parametrize(
    "annotations",
    [
        {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"},
        {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z", "reloader.example/last": "x"},
        {"reloader.example/one": "x", "reloader.example/two": "y"},
    ],
    ids=["kubectl rollout restart", "with a reloader's at once", "two of a reloader"],
)
def test_a_restart_is_one_whole_rollout(settled: Any, annotations: dict[str, str]) -> None:
    edit = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    generation = settled.edit(kinds.DEPLOYMENT, edit)["metadata"]["generation"]
    settled.edit(kinds.SERVICE, {"spec": {"selector": {"app.kubernetes.io/component": "other"}}})
    settled.kube.wait("a look", lambda: "other" not in str(settled.get(kinds.SERVICE)["spec"]["selector"]))
    assert settled.get(kinds.DEPLOYMENT)["metadata"]["generation"] == generation
    assert _look(settled)["template"]["metadata"]["annotations"].items() >= annotations.items()


def test_a_variable_of_a_reloader_stays_and_one_of_ours_does_not(settled: Any) -> None:
    def add(name: str) -> None:
        container = {"name": "app", "env": [{"name": name, "value": "x"}]}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        settled.kube.client.patch(
            kinds.DEPLOYMENT.path(settled.namespace, "points"),
            json=patch,
            headers={"Content-Type": "application/strategic-merge-patch+json"},
        ).raise_for_status()

    add("STAKATER_POINTS_DB_SECRET")
    add("POINT_DATABASE_POOL_SIZE")
    settled.kube.wait("ours to go", lambda: "POINT_DATABASE_POOL_SIZE" not in str(_pod(settled)))
    assert "STAKATER_POINTS_DB_SECRET" in str(_pod(settled))


def test_a_selector_that_somebody_has_narrowed_is_put_right(settled: Any) -> None:
    settled.edit(kinds.SERVICE, {"spec": {"selector": {"none": "such"}}})
    settled.kube.wait("it to go", lambda: "none" not in settled.get(kinds.SERVICE)["spec"]["selector"], 2)


def test_what_a_cluster_adds_to_service_accounts_stays(settled: Any) -> None:
    settled.edit(kinds.SERVICE_ACCOUNT, {"imagePullSecrets": [{"name": "registry"}]})
    settled.kube.delete(kinds.SERVICE, settled.namespace, "points")
    settled.kube.wait("a look", lambda: settled.get(kinds.SERVICE))
    assert settled.get(kinds.SERVICE_ACCOUNT)["imagePullSecrets"] == [{"name": "registry"}]


def test_quantities_that_mean_the_same_are_no_drift(tenant: Any, operator: Any) -> None:
    tenant.ready(resources={"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"memory": "1024Mi"}})
    resources = _pod(tenant)["containers"][0]["resources"]
    assert resources["requests"] == {"cpu": "500m", "memory": "1Gi"}
    repaired, version = operator.metric(REPAIRED), _generation(tenant)
    operator.stop()  # what it remembers of the child goes with it
    operator.start()
    tenant.rolled_out(3)
    tenant.kube.wait(
        "the new number",
        lambda: tenant.get(kinds.POINT_SERVICE)["status"]["replicas"] == 3,
    )
    assert operator.metric(REPAIRED) == 0 <= repaired
    writes = [
        one
        for one in tenant.kube.server.audit("system:serviceaccount:point-system:point-operator")
        if one["verb"] == "patch"
        and one["objectRef"]["resource"] == "deployments"
        and one["objectRef"]["namespace"] == tenant.namespace
    ]
    assert len(writes) == 2, "what was made, and how many it starts with"
    assert _generation(tenant) == version + 1, "the number of pods"


def test_an_owner_label_that_was_overwritten_is_repaired(settled: Any) -> None:
    for label in (names.OWNER_NAME, names.OWNER_NAMESPACE, names.MANAGED_BY):
        for kind in (kinds.SERVICE, kinds.DEPLOYMENT):
            settled.edit(kind, {"metadata": {"labels": {label: "other"}}})
            settled.kube.wait(
                f"{label} of {kind.kind}",
                lambda k=kind, name=label: settled.get(k)["metadata"]["labels"][name] != "other",
                2,
            )
        name = f"{settled.namespace}.points"
        settled.kube.patch(
            kinds.REQUEST_AUTHENTICATION, "istio-ingress", name, {"metadata": {"labels": {label: "other"}}}
        )
        settled.kube.wait(
            f"{label} at the gateway",
            lambda name=label: (
                settled.at_gateway(kinds.REQUEST_AUTHENTICATION)["metadata"]["labels"][name] != "other"
            ),
            2,
        )
    assert settled.condition("Degraded")["status"] == "False"


def test_a_copy_that_carries_our_labels_is_left_alone(settled: Any) -> None:
    for kind, at in (
        (kinds.SERVICE, settled.namespace),
        (kinds.VIRTUAL_SERVICE, settled.namespace),
        (kinds.REQUEST_AUTHENTICATION, "istio-ingress"),
    ):
        original = settled.get(kind) if at == settled.namespace else settled.at_gateway(kind)
        metadata = {
            key: original["metadata"][key]
            for key in ("labels", "annotations", "ownerReferences")
            if key in original["metadata"]
        } | {"name": f"{settled.namespace}-copy", "namespace": at}
        spec = {key: value for key, value in original["spec"].items() if not key.startswith("clusterIP")}
        settled.kube.create(kind, {"metadata": metadata, "spec": spec})
    _look(settled)
    settled.kube.delete(kinds.SERVICE, settled.namespace, "points")
    settled.kube.wait("another look", lambda: settled.get(kinds.SERVICE))
    settled.wait_reason("Ready", "Available")
    copy = f"{settled.namespace}-copy"
    assert settled.get(kinds.SERVICE, copy) is not None
    assert settled.get(kinds.VIRTUAL_SERVICE, copy) is not None
    settled.kube.delete(kinds.POINT_SERVICE, settled.namespace, "points")
    settled.kube.wait("it to be gone", lambda: settled.get(kinds.POINT_SERVICE) is None)
    assert settled.kube.get(kinds.REQUEST_AUTHENTICATION, "istio-ingress", copy) is not None


def _pod(tenant: Any) -> dict[str, Any]:
    return tenant.get(kinds.DEPLOYMENT)["spec"]["template"]["spec"]


def _generation(tenant: Any) -> int:
    return tenant.get(kinds.DEPLOYMENT)["metadata"]["generation"]
