"""What waits for a migration and what does not, on a real API server."""

from typing import Any

import pytest
from harness.tenants import NOW
from point_operator.model import api, kinds, names
from point_operator.resources.pods import migration

pytestmark = pytest.mark.integration

OLD, NEW = "docker.io/library/point-service:0.1.0", "docker.io/library/point-service:0.2.0"


def _image(tenant: Any) -> str:
    found = tenant.get(kinds.DEPLOYMENT)
    return found["spec"]["template"]["spec"]["containers"][0]["image"] if found else ""


def _migration(tenant: Any) -> tuple[str, str]:
    found = tenant.get(kinds.POINT_SERVICE)["status"]["migration"]
    return found["state"], found["job"]


def _jobs(tenant: Any) -> list[str]:
    found = tenant.kube.find(kinds.JOB, tenant.namespace)
    return [one["metadata"]["name"] for one in found if not one["metadata"].get("deletionTimestamp")]


def _served(tenant: Any) -> list[str]:
    return tenant.get(kinds.POINT_SERVICE)["status"]["served"]["images"]


def _config(tenant: Any) -> str:
    template = tenant.get(kinds.DEPLOYMENT)["spec"]["template"]
    return template["metadata"]["annotations"][names.CONFIG_HASH]


def _look(tenant: Any, note: str) -> None:
    """Have it looked at, which shows by a child's return."""
    tenant.kube.delete(kinds.SERVICE, tenant.namespace, "points")
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": note}}})
    tenant.kube.wait("the Service to return", lambda: tenant.get(kinds.SERVICE))
    tenant.kube.wait("the route", lambda: tenant.get(kinds.VIRTUAL_SERVICE))


def test_an_image_that_has_served_is_set_back_at_once(tenant: Any) -> None:
    tenant.ready()
    tenant.spec(image=NEW)
    tenant.migrated()
    tenant.kube.wait("the new image", lambda: _image(tenant) == NEW)
    tenant.rolled_out()
    tenant.kube.wait("it to serve", lambda: tenant.get(kinds.POINT_SERVICE)["status"]["image"] == NEW)
    tenant.spec(image=OLD)
    tenant.kube.wait("the old image", lambda: _image(tenant) == OLD)
    tenant.rolled_out()
    tenant.migrated()
    # The reason Complete may still be of the image before.
    tenant.kube.wait("it to be the newest", lambda: _served(tenant) == [OLD, NEW])
    tenant.wait_reason("Progressing", "Complete")


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Canary"])
def test_the_migration_of_a_mistyped_image_goes_when_the_image_is_put_right(
    tenant: Any, strategy: str
) -> None:
    """Its pod waits for the image for ever, and so the Job is active for ever."""
    tenant.ready()
    tenant.spec(image="docker.io/library/point-service:0.2.o", rollout={"strategy": strategy})
    job = tenant.job()["metadata"]["name"]
    tenant.kube.patch(kinds.JOB, tenant.namespace, job, {"status": {"active": 1, "startTime": NOW}}, "status")
    tenant.spec(image=NEW)
    tenant.kube.wait("it to go", lambda: job not in _jobs(tenant))
    tenant.migrated()
    assert len(_jobs(tenant)) == 1


def test_the_migration_of_another_image_that_has_started_is_let_run(tenant: Any) -> None:
    tenant.ready()
    tenant.spec(image=NEW)
    job = tenant.job()["metadata"]["name"]
    status = {"status": {"active": 1, "ready": 1, "startTime": NOW}}
    tenant.kube.patch(kinds.JOB, tenant.namespace, job, status, "status")
    tenant.spec(image=OLD)
    tenant.kube.wait("the old image's", lambda: len(_jobs(tenant)) == 2)
    _look(tenant, "once more")
    assert job in _jobs(tenant)


def test_a_deleted_deployment_comes_back_with_the_image_that_served(tenant: Any) -> None:
    tenant.ready()
    tenant.spec(image="docker.io/library/point-service:bad")
    tenant.migration_failed("table is gone")
    tenant.wait_reason("Degraded", "MigrationFailed")
    tenant.kube.delete(kinds.DEPLOYMENT, tenant.namespace, "points")
    tenant.kube.wait("it to return", lambda: _image(tenant) == OLD)
    tenant.kube.wait("two pods", lambda: tenant.get(kinds.DEPLOYMENT)["spec"]["replicas"] == 2)


def test_the_database_hears_of_a_password_before_the_pods_do(tenant: Any) -> None:
    tenant.ready()
    config = _config(tenant)
    tenant.edit(kinds.SECRET, {"stringData": {"password": "new"}}, "points-db")
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": "look now"}}})
    tenant.job()
    tenant.wait_reason("Progressing", "Migrating")
    assert _config(tenant) == config
    tenant.migrated()
    tenant.kube.wait("other pods", lambda: _config(tenant) != config)
    assert _image(tenant) == OLD


def test_metadata_of_a_secret_rolls_nothing(tenant: Any) -> None:
    tenant.ready()
    config = _config(tenant)
    for name in ("points-db", "points-redis"):
        tenant.edit(kinds.SECRET, {"metadata": {"labels": {"team": "points"}}}, name)
    tenant.kube.delete(kinds.SECRET, tenant.namespace, "points-redis")
    tenant.secret("points-redis", username="u", password="p")  # as a backup brings it back
    _look(tenant, "another label")
    assert _config(tenant) == config
    assert len(tenant.kube.find(kinds.JOB, tenant.namespace)) == 1


def test_a_job_that_another_release_has_made_is_left_and_counts(
    tenant: Any, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant.ready()
    job = tenant.kube.find(kinds.JOB, tenant.namespace)[0]
    operator.stop()
    path = kinds.JOB.path(tenant.namespace, job["metadata"]["name"])
    tenant.kube.client.delete(f"{path}?propagationPolicy=Background").raise_for_status()
    body = tenant.get(kinds.POINT_SERVICE)
    monkeypatch.setattr(migration, "RETRIES", 5)  # what the other release makes of the same wish
    other = migration.build(api.parse(body), "")
    other["metadata"]["name"] = job["metadata"]["name"]
    other["metadata"]["annotations"] = {names.HASH: "other"}
    _apply(tenant, other)
    operator.start()
    tenant.migrated()
    tenant.kube.wait("it to count", lambda: _migration(tenant) == ("Succeeded", job["metadata"]["name"]))
    assert tenant.condition("Degraded")["status"] == "False"
    (left,) = tenant.kube.find(kinds.JOB, tenant.namespace)
    assert left["spec"]["backoffLimit"] == 5


def test_an_eviction_is_no_try_of_a_migration(tenant: Any) -> None:
    tenant.create()
    spec = tenant.job()["spec"]
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert "activeDeadlineSeconds" not in spec


def test_what_is_for_watching_holds_nothing_up(tenant: Any) -> None:
    metadata = {"name": "points-dashboard", "namespace": tenant.namespace}
    tenant.kube.create(kinds.CONFIG_MAP, {"metadata": metadata, "data": {"mine": "x"}})
    tenant.create()
    tenant.migrated()
    tenant.rolled_out()
    degraded = tenant.wait_reason("Degraded", "NotWatched")
    assert f"ConfigMap {tenant.namespace}/points-dashboard" in degraded["message"]
    assert tenant.wait_reason("Ready", "Available")["status"] == "True"
    tenant.wait_reason("Progressing", "Complete")
    shared = names.shared_name("istio-ingress", {"istio": "ingressgateway"})
    assert tenant.kube.get(kinds.GATEWAY, "istio-ingress", shared) is not None
    assert tenant.get(kinds.VIRTUAL_SERVICE) is not None
    tenant.kube.delete(kinds.CONFIG_MAP, tenant.namespace, "points-dashboard")
    tenant.wait_reason("Degraded", "AsExpected", seconds=20)


def _apply(tenant: Any, manifest: dict[str, Any]) -> None:
    """Apply a manifest as the operator does."""
    kind = kinds.of(manifest)
    tenant.kube.client.patch(
        kind.path(tenant.namespace, manifest["metadata"]["name"]),
        json=manifest,
        params={"fieldManager": names.FIELD_MANAGER, "force": "true"},
        headers={"Content-Type": "application/apply-patch+yaml"},
    ).raise_for_status()
