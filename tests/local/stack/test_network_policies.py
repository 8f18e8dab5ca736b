"""What the network policies let through. This cluster's network enforces none, so their logic is judged here."""

import re
from typing import Any

import pytest
import yaml
from point_local.programs import paths
from point_local.stack import namespaces
from point_local.stack.reach import Peer, allowed

COMPONENT = "app.kubernetes.io/component"
SERVICE = Peer("points", {COMPONENT: "service"})
CANARY = Peer("points", {COMPONENT: "canary"})
MIGRATION = Peer("points", {COMPONENT: "migration"})
LIMITS = Peer("points", {COMPONENT: "rate-limit"})
GATEWAY = Peer("istio-ingress", {"istio": "ingressgateway"})
ISTIOD = Peer("istio-system", {"app": "istiod"})
MYSQL = Peer("data", {"app": "mysql"})
VALKEY = Peer("data", {"app": "valkey"})
PROMETHEUS = Peer("monitoring", {"app.kubernetes.io/name": "prometheus"})
OPERATOR = Peer("point-system", {"app.kubernetes.io/name": "point-operator"})
NAMES = Peer("kube-system", {"k8s-app": "kube-dns"})
MACHINE = Peer(address="172.30.0.11")
OUTSIDE = Peer(address="198.51.100.7")
PODS = (SERVICE, CANARY, MIGRATION, LIMITS, GATEWAY, ISTIOD, MYSQL, VALKEY, PROMETHEUS, OPERATOR)

OPEN = [
    (OUTSIDE, GATEWAY, 443),
    (MACHINE, GATEWAY, 15021),
    (GATEWAY, SERVICE, 8080),
    (GATEWAY, CANARY, 8080),
    (GATEWAY, LIMITS, 8081),
    (SERVICE, MYSQL, 3306),
    (CANARY, MYSQL, 3306),
    (MIGRATION, MYSQL, 3306),
    (MYSQL, MYSQL, 3306),
    (MACHINE, MYSQL, 3306),
    (SERVICE, VALKEY, 6379),
    (CANARY, VALKEY, 6379),
    (LIMITS, VALKEY, 6379),
    (VALKEY, VALKEY, 6379),
    (MACHINE, VALKEY, 6379),
    (VALKEY, VALKEY, 16379),
    (GATEWAY, ISTIOD, 15012),
    (SERVICE, ISTIOD, 15012),
    (CANARY, ISTIOD, 15012),
    (LIMITS, ISTIOD, 15012),
    (MACHINE, ISTIOD, 15017),
    (ISTIOD, MACHINE, 6443),
    (PROMETHEUS, GATEWAY, 15020),
    (PROMETHEUS, SERVICE, 15020),
    (PROMETHEUS, CANARY, 15020),
    (PROMETHEUS, LIMITS, 15020),
    (PROMETHEUS, ISTIOD, 15014),
    (PROMETHEUS, OPERATOR, 8080),
    (PROMETHEUS, MACHINE, 10250),
    (PROMETHEUS, MACHINE, 6443),
    (MACHINE, PROMETHEUS, 9090),
    (OPERATOR, MACHINE, 6443),
    (OPERATOR, SERVICE, 15020),
    (OPERATOR, CANARY, 15020),
]
"""Every connection that the stack lives by: caller, called, port."""


@pytest.fixture(scope="module")
def policies() -> list[dict[str, Any]]:
    deploy = paths.ROOT / "operator/deploy"
    texts = [(deploy / name).read_text() for name in ("namespace.yaml", "network-policy.yaml")]
    operators = [one for text in texts for one in yaml.safe_load_all(text) if one["kind"] == "NetworkPolicy"]
    return [*yaml.safe_load_all(namespaces.network_policies()), *operators]


@pytest.mark.parametrize(("caller", "called", "port"), OPEN)
def test_what_the_stack_lives_by_is_let_through(
    policies: list[dict[str, Any]], caller: Peer, called: Peer, port: int
) -> None:
    assert allowed(policies, caller, called, port)


def test_nothing_else_is(policies: list[dict[str, Any]]) -> None:
    ports = {port for _, _, port in OPEN} | {22, 80, 4317, 15000, 15090}
    let_through = [
        (caller, called, port)
        for caller in (*PODS, OUTSIDE)
        for called in PODS
        for port in ports
        if allowed(policies, caller, called, port)
    ]
    # A machine and the outside differ in their address alone, and operator and istiod may ask any server for HTTPS.
    also = [
        (OUTSIDE, GATEWAY, 15021),
        (OUTSIDE, OPERATOR, 8080),
        (OPERATOR, GATEWAY, 443),
        (ISTIOD, GATEWAY, 443),
    ]
    # On AWS there are two.
    also += [(PROMETHEUS, PROMETHEUS, 8080), (PROMETHEUS, PROMETHEUS, 9090)]
    assert [t for t in let_through if t not in OPEN + also] == []


def test_no_pod_of_the_service_has_a_way_out(policies: list[dict[str, Any]]) -> None:
    for pod in (SERVICE, CANARY, MIGRATION, LIMITS, GATEWAY, MYSQL, VALKEY):
        for port in (53, 80, 443, 8080):
            assert not allowed(policies, pod, OUTSIDE, port)
            assert not allowed(policies, pod, OUTSIDE, port, "UDP")


@pytest.mark.parametrize("namespace", [*namespaces.NAMESPACES, "point-system"])
def test_a_pod_that_nobody_thought_of_is_cut_off(policies: list[dict[str, Any]], namespace: str) -> None:
    intruder = Peer(namespace, {"app": "intruder"})
    ports = (22, 443, 3306, 6379, 6443, 8080, 15012, 15020)
    assert not any(allowed(policies, intruder, o, p) for o in (*PODS, OUTSIDE, MACHINE) for p in ports)
    assert not any(allowed(policies, o, intruder, p) for o in (SERVICE, OUTSIDE, MACHINE) for p in (22, 443))


@pytest.mark.parametrize("pod", [p for p in PODS if p != OPERATOR])
def test_every_pod_may_ask_for_names(policies: list[dict[str, Any]], pod: Peer) -> None:
    assert allowed(policies, pod, NAMES, 53, "UDP")


def test_no_name_is_left_that_only_a_stack_on_aws_can_fill_in(policies: list[dict[str, Any]]) -> None:
    said = set(re.findall(r"\b[A-Z]{3,}\b", yaml.safe_dump([p["spec"] for p in policies])))
    assert said <= {"TCP", "UDP"}


def test_every_policy_opens_with_its_reason() -> None:
    for file in (
        "local/point_local/stack/manifests/network-policies.yaml",
        "operator/deploy/network-policy.yaml",
    ):
        lines = (paths.ROOT / file).read_text().splitlines()
        starts = [i for i, line in enumerate(lines) if line.startswith("apiVersion:")]
        assert starts
        assert all(lines[i - 1].startswith("# ") for i in starts), file
