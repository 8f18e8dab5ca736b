"""What the operator makes of a PointService, on a real API server and with its own rights only."""

from typing import Any

import pytest
from harness.tenants import NOW
from point_operator.model import kinds, names

pytestmark = pytest.mark.integration

IN_NAMESPACE = (
    kinds.SERVICE_ACCOUNT,
    kinds.SERVICE,
    kinds.DEPLOYMENT,
    kinds.AUTOSCALER,
    kinds.DISRUPTION_BUDGET,
    kinds.PEER_AUTHENTICATION,
    kinds.AUTHORIZATION_POLICY,
    kinds.DESTINATION_RULE,
    kinds.VIRTUAL_SERVICE,
)
AT_GATEWAY = (kinds.ENVOY_FILTER, kinds.REQUEST_AUTHENTICATION, kinds.AUTHORIZATION_POLICY)


def test_every_child_exists_once_the_migration_is_through(tenant: Any) -> None:
    tenant.ready()
    for kind in IN_NAMESPACE:
        assert tenant.get(kind) is not None, kind
    assert tenant.get(kinds.CONFIG_MAP, "points-dashboard") is not None
    for kind in AT_GATEWAY:
        assert tenant.at_gateway(kind) is not None, kind
    shared = names.shared_name("istio-ingress", {"istio": "ingressgateway"})
    assert tenant.kube.get(kinds.GATEWAY, "istio-ingress", shared) is not None
    assert tenant.kube.get(kinds.ENVOY_FILTER, "istio-ingress", shared) is not None


def test_no_pod_starts_before_the_migration_is_through(tenant: Any) -> None:
    tenant.create()
    tenant.wait_reason("Progressing", "Migrating")
    assert tenant.get(kinds.DEPLOYMENT) is None
    tenant.migrated()
    tenant.kube.wait("the Deployment", lambda: tenant.get(kinds.DEPLOYMENT))


def test_everything_is_applied_within_a_second(tenant: Any) -> None:
    tenant.create()
    tenant.kube.wait("the route, which comes last", lambda: tenant.get(kinds.VIRTUAL_SERVICE), seconds=1)


def test_a_settled_point_service_costs_no_write(tenant: Any, operator: Any) -> None:
    tenant.ready()
    looks = operator.metric("point_operator_reconciles_total")
    writes = len(_writes(tenant))
    versions = _versions(tenant)
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": "look again"}}})
    tenant.kube.wait("another look", lambda: operator.metric("point_operator_reconciles_total") > looks)
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": "and again"}}})
    tenant.kube.wait("yet another", lambda: operator.metric("point_operator_reconciles_total") > looks + 1)
    assert len(_writes(tenant)) == writes
    assert _versions(tenant) == versions


@pytest.mark.usefixtures("optional_kinds")
def test_nor_do_children_of_kinds_of_other_projects(tenant: Any, operator: Any) -> None:
    test_a_settled_point_service_costs_no_write(tenant, operator)
    for kind in kinds.WATCHING:
        assert tenant.get(kind)["spec"], kind.kind
    assert tenant.condition("Degraded")["status"] == "False"


def test_the_replicas_are_the_autoscalers(tenant: Any) -> None:
    tenant.ready()
    tenant.kube.patch(kinds.DEPLOYMENT, tenant.namespace, "points", {"spec": {"replicas": 7}}, "scale")
    tenant.spec(logLevel="DEBUG")
    tenant.kube.wait("the new log level", lambda: "DEBUG" in str(tenant.get(kinds.DEPLOYMENT)))
    assert tenant.get(kinds.DEPLOYMENT)["spec"]["replicas"] == 7


def test_a_new_deployment_starts_with_the_fewest_pods_at_once(tenant: Any) -> None:
    tenant.create(autoscaling={"minReplicas": 3})
    tenant.migrated()
    tenant.kube.wait(
        "three", lambda: (tenant.get(kinds.DEPLOYMENT) or {"spec": {}})["spec"].get("replicas") == 3
    )
    tenant.rolled_out(3)
    tenant.wait_reason("Ready", "Available")
    tenant.spec(logLevel="DEBUG")
    tenant.kube.wait("the new log level", lambda: "DEBUG" in str(tenant.get(kinds.DEPLOYMENT)))
    assert tenant.get(kinds.DEPLOYMENT)["spec"]["replicas"] == 3


def test_a_feature_that_is_switched_off_is_removed(tenant: Any) -> None:
    tenant.ready()
    tenant.spec(observability={"dashboard": False}, gateway={"rateLimit": {"enabled": False}})
    tenant.kube.wait("the dashboard to go", lambda: tenant.get(kinds.CONFIG_MAP, "points-dashboard") is None)
    tenant.kube.wait(
        "the limit to go", lambda: "ratelimit" not in str(tenant.at_gateway(kinds.ENVOY_FILTER)["spec"])
    )


def test_a_field_that_left_the_spec_leaves_the_child(tenant: Any) -> None:
    tenant.ready(resources={"limits": {"cpu": "2"}})
    tenant.spec(resources={"limits": {"cpu": None}})

    def limits() -> Any:
        return tenant.get(kinds.DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]["resources"][
            "limits"
        ]

    tenant.kube.wait("the limit to go", lambda: "cpu" not in limits())


def test_a_changed_secret_rolls_the_pods(tenant: Any) -> None:
    tenant.ready()

    def config() -> str:
        template = tenant.get(kinds.DEPLOYMENT)["spec"]["template"]
        return template["metadata"]["annotations"][names.CONFIG_HASH]

    before = config()
    tenant.edit(kinds.SECRET, {"stringData": {"password": "new"}}, "points-redis")
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": "look now"}}})
    tenant.kube.wait("another template", lambda: config() != before)


def test_a_new_image_migrates_first_and_old_jobs_go(tenant: Any) -> None:
    tenant.ready()
    tenant.spec(image="docker.io/library/point-service:0.2.0")
    job = tenant.job()
    assert job["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":0.2.0")
    assert _image(tenant).endswith(":0.1.0")
    tenant.migrated()
    tenant.kube.wait("the new image", lambda: _image(tenant).endswith(":0.2.0"))
    tenant.kube.wait("one Job", lambda: len(tenant.kube.find(kinds.JOB, tenant.namespace)) == 1)


def test_a_failed_migration_leaves_the_running_version(tenant: Any) -> None:
    tenant.ready()
    tenant.spec(image="docker.io/library/point-service:bad")
    tenant.migration_failed("table is gone")
    degraded = tenant.wait_reason("Degraded", "MigrationFailed")
    assert "table is gone" in degraded["message"]
    assert "keeps serving" in degraded["message"]
    assert tenant.condition("Ready")["status"] == "True"
    assert _image(tenant).endswith(":0.1.0")
    assert tenant.get(kinds.POINT_SERVICE)["status"]["image"].endswith(":0.1.0")


def test_a_migration_that_failed_a_while_ago_is_tried_again(tenant: Any) -> None:
    tenant.create()
    first = tenant.job()["metadata"]["uid"]
    tenant.migration_failed("no connection", at=NOW)
    assert tenant.job()["metadata"]["uid"] != first
    tenant.migrated()
    tenant.kube.wait("the Deployment", lambda: tenant.get(kinds.DEPLOYMENT))


def test_paused_changes_and_repairs_nothing(tenant: Any) -> None:
    tenant.ready()
    tenant.spec(paused=True, logLevel="DEBUG")
    tenant.wait_reason("Progressing", "Paused")
    tenant.kube.delete(kinds.SERVICE, tenant.namespace, "points")
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": "look"}}})
    assert tenant.get(kinds.SERVICE) is None
    assert "DEBUG" not in str(tenant.get(kinds.DEPLOYMENT))
    tenant.spec(paused=False)
    tenant.kube.wait("the Service to return", lambda: tenant.get(kinds.SERVICE))


def test_the_example_is_accepted_as_it_is(tenant: Any, example: dict[str, Any]) -> None:
    made = tenant.kube.create(
        kinds.POINT_SERVICE,
        example | {"metadata": {"name": "example", "namespace": tenant.namespace}},
    )
    assert made["spec"]["policy"]["maxBalance"] == 10_000_000


def _image(tenant: Any) -> str:
    return tenant.get(kinds.DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]["image"]


def _writes(tenant: Any) -> list[Any]:
    records = tenant.kube.server.audit("system:serviceaccount:point-system:point-operator")
    return [
        one
        for one in records
        if one["verb"] not in ("get", "list", "watch") and tenant.namespace in one["requestURI"]
    ]


def _versions(tenant: Any) -> dict[str, str]:
    children = [child for kind in kinds.OWN_NAMESPACE for child in tenant.kube.find(kind, tenant.namespace)]
    return {child["metadata"]["uid"]: child["metadata"]["resourceVersion"] for child in children}
