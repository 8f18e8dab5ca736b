"""What the charts are told where a default would be refused, alert for ever, or leave one pod where two are meant."""

from typing import Any

import pytest


def _values(run: Any, chart: str) -> dict[str, Any]:
    return run.of(":Release")[chart]["values"]


def test_kiali_says_its_whole_security_context_since_the_chart_s_lacks_a_seccomp_profile(prod: Any) -> None:
    context = _values(prod, "kiali")["deployment"]["security_context"]
    # Pod Security Standards, restricted, as far as a container's own context goes.
    assert context["allowPrivilegeEscalation"] is False
    assert context["runAsNonRoot"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_every_namespace_that_a_release_goes_into_is_ours_and_restricted_or_one_of_kubernetes(
    prod: Any,
) -> None:
    """One that a chart's install makes has no label, and stays when the release goes."""
    made = {
        n["metadata"]["name"]: n["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce")
        for n in prod.of(":Namespace").values()
    }
    used = {r["namespace"] for r in prod.of(":Release").values()}
    assert used <= {*made, "kube-system"}
    assert {n for n in used & made.keys() if made[n] != "restricted"} == {"monitoring"}
    assert not any(r.get("createNamespace") for r in prod.of(":Release").values())


def test_nothing_is_watched_that_eks_hides(prod: Any) -> None:
    values = _values(prod, "kube-prometheus-stack")
    hidden = ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy")
    assert [values[part]["enabled"] for part in hidden] == [False] * 4


def test_the_load_balancer_controller_waits_for_no_kind_that_nobody_installs(prod: Any) -> None:
    gates = _values(prod, "aws-load-balancer-controller")["controllerConfig"]["featureGates"]
    assert gates == {"ALBGatewayAPI": False, "NLBGatewayAPI": False}


def test_a_new_gateway_pod_is_ready_once_the_load_balancer_finds_it_so(prod: Any) -> None:
    labels = prod.of(":Namespace")["istio-ingress"]["metadata"]["labels"]
    assert labels["elbv2.k8s.aws/pod-readiness-gate-inject"] == "enabled"
    assert _values(prod, "istio-ingressgateway")["podDisruptionBudget"] == {"maxUnavailable": 1}


@pytest.mark.parametrize("chart", ["aws-load-balancer-controller", "cluster-autoscaler", "external-secrets"])
def test_a_lost_zone_leaves_one_of_each_controller(prod: Any, chart: str) -> None:
    assert _values(prod, chart)["replicaCount"] == 2


def test_external_secrets_elects_and_a_drain_leaves_one(prod: Any) -> None:
    values = _values(prod, "external-secrets")
    assert values["leaderElect"] is True
    assert [v["podDisruptionBudget"]["enabled"] for v in (values, values["webhook"])] == [True, True]


def test_a_lost_zone_leaves_a_prometheus_that_sees_it(prod: Any, dev: Any) -> None:
    values = _values(prod, "kube-prometheus-stack")
    for spec in (values["prometheus"]["prometheusSpec"], values["alertmanager"]["alertmanagerSpec"]):
        assert spec["replicas"] == 2
        assert spec["podAntiAffinityTopologyKey"] == "topology.kubernetes.io/zone"
    assert _values(dev, "kube-prometheus-stack")["prometheus"]["prometheusSpec"]["replicas"] == 1
