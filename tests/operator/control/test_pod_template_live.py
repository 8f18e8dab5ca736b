"""What a user adds to the pods, on a real API server: applied, kept, and gone without a trace when it is taken out."""

from typing import Any

import pytest
from harness.tenants import NOW
from point_operator.model import kinds

pytestmark = pytest.mark.integration

REPAIRED = "point_operator_drift_repaired_total"
MARK = "points.example/mark"
TEMPLATE: dict[str, Any] = {
    "labels": {"team": "points"},
    "annotations": {MARK: "ours", "cluster-autoscaler.kubernetes.io/safe-to-evict": "true"},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/points"}},
    "nodeSelector": {"kubernetes.io/arch": "arm64"},
    "tolerations": [{"key": "dedicated", "value": "points", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["points"]}]}
                ]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 5, "preference": {
                    "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}}
            ],
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "mysql"}}}}
            ]
        },
    },
    "topologySpreadConstraints": [
        {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2}
    ],
    "priorityClassName": "system-cluster-critical",
    "imagePullSecrets": [{"name": "registry"}],
    "env": [
        {"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"},
        {"name": "EMPTY", "value": ""},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "collector", "key": "token", "optional": True}}},
    ],
    "envFrom": [{"configMapRef": {"name": "points-extra", "optional": True}, "prefix": "EXTRA_"}],
    "terminationGracePeriodSeconds": 90,
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "server": {"requestTimeoutSeconds": 2.5, "drainTimeoutSeconds": 60, "upkeepIntervalSeconds": 0},
    "observability": {"tracing": {"endpoint": "http://collector.monitoring:4318", "samplingPercent": 0.5}},
}
EVERYWHERE = {"rateLimit": {"scope": "Global", "requestsPerSecond": 100}}
DEPLOYMENTS = ("points", "points-rate-limit")


def _templates(tenant: Any) -> dict[str, Any]:
    return {name: tenant.get(kinds.DEPLOYMENT, name)["spec"]["template"] for name in DEPLOYMENTS}


def _uids(tenant: Any) -> set[str]:
    return {one["metadata"]["uid"] for one in tenant.kube.find(kinds.JOB, tenant.namespace)}


def _has(tenant: Any, mark: bool) -> bool:
    return all(
        (MARK in one["metadata"].get("annotations", {})) == mark for one in _templates(tenant).values()
    )


def _look(tenant: Any, operator: Any) -> None:
    """Have it looked at by an operator that remembers nothing."""
    operator.stop()
    operator.start()
    for note in ("once", "twice"):
        looks = operator.metric("point_operator_reconciles_total")
        tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": note}}})
        tenant.kube.wait(
            "a look", lambda before=looks: operator.metric("point_operator_reconciles_total") > before
        )


def test_it_is_applied_kept_and_taken_out_without_a_trace(tenant: Any, operator: Any) -> None:
    tenant.ready(gateway=EVERYWHERE)
    tenant.rolled_out(name="points-rate-limit")
    before, jobs = _templates(tenant), _uids(tenant)
    account = tenant.get(kinds.SERVICE_ACCOUNT)["metadata"].get("annotations", {})
    tenant.spec(podTemplate=TEMPLATE, **SETTINGS)
    tenant.kube.wait("it in each kind of pods", lambda: _has(tenant, mark=True))
    after = _templates(tenant)
    for template in after.values():
        pod = template["spec"]
        assert template["metadata"]["labels"]["team"] == "points"
        for field in ("nodeSelector", "affinity", "imagePullSecrets", "priorityClassName"):
            assert pod[field] == TEMPLATE[field]
        assert TEMPLATE["tolerations"][0].items() <= pod["tolerations"][-1].items()
        assert pod["terminationGracePeriodSeconds"] == 90
        (spread,) = pod["topologySpreadConstraints"]
        assert (spread["maxSkew"], spread["minDomains"]) == (2, 2)
    variables = {one["name"]: one.get("value") for one in after["points"]["spec"]["containers"][0]["env"]}
    assert variables["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert variables["POINT_DRAIN_TIMEOUT_SECONDS"] == "60"
    assert variables["POINT_UPKEEP_INTERVAL_SECONDS"] == "0"
    assert variables["OTEL_TRACES_SAMPLER_ARG"] == "0.005"
    assert variables["POINT_DATABASE_READER_HOST"] is None
    assert after["points"]["spec"]["containers"][0]["envFrom"] == TEMPLATE["envFrom"]
    role = TEMPLATE["serviceAccount"]["annotations"]
    assert tenant.get(kinds.SERVICE_ACCOUNT)["metadata"]["annotations"].items() >= role.items()
    assert _uids(tenant) == jobs, "no migration again"

    generations = [tenant.get(kinds.DEPLOYMENT, name)["metadata"]["generation"] for name in DEPLOYMENTS]
    _look(tenant, operator)
    assert operator.metric(REPAIRED) == 0, "each field is known as ours"
    assert generations == [
        tenant.get(kinds.DEPLOYMENT, name)["metadata"]["generation"] for name in DEPLOYMENTS
    ]

    tenant.spec(podTemplate=None, server=None, observability=None)
    tenant.kube.wait("it to go", lambda: _has(tenant, mark=False))
    assert _templates(tenant) == before
    left = tenant.get(kinds.SERVICE_ACCOUNT)["metadata"].get("annotations", {})
    assert left.keys() == account.keys()
    assert _uids(tenant) == jobs


def test_whose_an_annotation_of_the_pods_is(tenant: Any) -> None:
    """Of the spec: repaired, and gone with it. Of others: left alone, unless it speaks to the proxy."""

    def annotations() -> dict[str, str]:
        return tenant.get(kinds.DEPLOYMENT)["spec"]["template"]["metadata"]["annotations"]

    def annotate(**values: str) -> None:
        tenant.edit(kinds.DEPLOYMENT, {"spec": {"template": {"metadata": {"annotations": values}}}})

    tenant.ready(podTemplate={"annotations": {MARK: "ours"}})
    assert annotations()[MARK] == "ours"
    annotate(**{MARK: "theirs", "reloader.example/last": "x"})
    tenant.kube.wait("ours to be back", lambda: annotations()[MARK] == "ours")
    annotate(**{"sidecar.istio.io/interceptionMode": "NONE"})
    tenant.kube.wait("that to go", lambda: "sidecar.istio.io/interceptionMode" not in annotations())
    tenant.spec(podTemplate={"annotations": {MARK: None}})
    tenant.kube.wait("ours to go", lambda: MARK not in annotations())
    assert annotations()["reloader.example/last"] == "x"


def test_a_migration_that_waits_to_start_is_made_anew_with_it(tenant: Any) -> None:
    """Without a Secret to pull the image with it would wait for ever: a Job can't be changed."""
    tenant.create()
    first = tenant.job()["metadata"]
    tenant.spec(podTemplate={"imagePullSecrets": [{"name": "registry"}]})
    tenant.kube.wait("another one", lambda: _uids(tenant) and first["uid"] not in _uids(tenant))
    again = tenant.job()
    assert again["metadata"]["name"] == first["name"]
    assert again["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_a_migration_that_has_started_is_left_alone(tenant: Any) -> None:
    tenant.create()
    job = tenant.job()["metadata"]
    status = {"status": {"active": 1, "ready": 1, "startTime": NOW}}
    tenant.kube.patch(kinds.JOB, tenant.namespace, job["name"], status, "status")
    tenant.spec(
        podTemplate={
            "annotations": {"points.example/mark": "x"},
            "serviceAccount": {"annotations": {"a": "b"}},
        }
    )
    tenant.kube.wait(
        "a look", lambda: "a" in tenant.get(kinds.SERVICE_ACCOUNT)["metadata"].get("annotations", {})
    )
    tenant.migrated()
    tenant.rolled_out()
    tenant.wait_reason("Ready", "Available")
    assert _uids(tenant) == {job["uid"]}
