"""What the network policies on AWS let through: every connection that the service lives by, and no other."""

from typing import Any

import pytest
from point_infra.incluster import manifest
from point_infra.incluster.point_service import NAMESPACE
from point_local.stack.reach import Peer, allowed

COMPONENT = "app.kubernetes.io/component"
NAME = "app.kubernetes.io/name"
SERVICE = Peer(NAMESPACE, {COMPONENT: "service"})
CANARY = Peer(NAMESPACE, {COMPONENT: "canary"})
MIGRATION = Peer(NAMESPACE, {COMPONENT: "migration"})
LIMITS = Peer(NAMESPACE, {COMPONENT: "rate-limit"})
GATEWAY = Peer("istio-ingress", {"istio": "ingressgateway"})
ISTIOD = Peer("istio-system", {"app": "istiod"})
PROMETHEUS = Peer("monitoring", {NAME: "prometheus"})
OPERATOR = Peer("point-system", {NAME: "point-operator"})
NAMES = Peer("kube-system", {"k8s-app": "kube-dns"})
BALANCER = Peer(address="10.0.1.7")
DATA = Peer(address="10.0.65.20")
NODE = Peer(address="10.0.20.5")
OUTSIDE = Peer(address="198.51.100.7")
OURS = (SERVICE, CANARY, MIGRATION, LIMITS, GATEWAY)
OTHERS = (ISTIOD, PROMETHEUS, OPERATOR, BALANCER, DATA, NODE, OUTSIDE, Peer("kiali", {"app": "kiali"}))

OPEN = [
    (BALANCER, GATEWAY, 443),
    (BALANCER, GATEWAY, 15021),
    (GATEWAY, SERVICE, 8080),
    (GATEWAY, CANARY, 8080),
    (GATEWAY, LIMITS, 8081),
    *((pod, ISTIOD, 15012) for pod in (GATEWAY, SERVICE, CANARY, LIMITS)),
    *((pod, DATA, 3306) for pod in (SERVICE, CANARY, MIGRATION)),
    *((pod, DATA, 6379) for pod in (SERVICE, CANARY, LIMITS)),
    *((PROMETHEUS, pod, 15020) for pod in (GATEWAY, SERVICE, CANARY, LIMITS)),
    *((OPERATOR, pod, 15020) for pod in (SERVICE, CANARY)),
]
"""Caller, called, port."""


@pytest.fixture(scope="module")
def policies(updated: Any) -> list[dict[str, Any]]:
    declared = [*updated.of(":NetworkPolicy").values()]
    assert {p["metadata"]["namespace"] for p in declared} == {NAMESPACE, "istio-ingress", "point-system"}
    return declared


@pytest.mark.parametrize(("caller", "called", "port"), OPEN)
def test_what_the_service_lives_by_is_let_through(
    policies: list[dict[str, Any]], caller: Peer, called: Peer, port: int
) -> None:
    assert allowed(_numbers(policies), caller, called, port)


def test_nothing_else_is(policies: list[dict[str, Any]]) -> None:
    known = _numbers(policies)
    ports = {port for _, _, port in OPEN} | {22, 80, 443, 4317, 8126, 15000, 15090}
    pairs = [(a, b) for a in (*OURS, *OTHERS) for b in (*OURS, *OTHERS) if a in OURS or b in OURS]
    through = [(a, b, port) for a, b in pairs for port in ports if allowed(known, a, b, port)]
    # Who asks the gateway has no address that one could name, so anybody may on its two ports.
    at_the_door = [t for t in through if t[1] == GATEWAY and t[2] in (443, 15021)]
    assert [t for t in through if t not in OPEN and t not in at_the_door] == []
    assert not any(caller in (SERVICE, CANARY, MIGRATION, LIMITS) for caller, _, _ in at_the_door)


@pytest.mark.parametrize("pod", OURS)
def test_every_pod_may_ask_for_names(policies: list[dict[str, Any]], pod: Peer) -> None:
    assert allowed(_numbers(policies), pod, NAMES, 53, "UDP")


@pytest.mark.parametrize("namespace", [NAMESPACE, "istio-ingress"])
def test_a_pod_that_nobody_thought_of_is_cut_off(policies: list[dict[str, Any]], namespace: str) -> None:
    intruder, known = Peer(namespace, {"app": "intruder"}), _numbers(policies)
    for port in (80, 443, 3306, 6379, 8080, 15012, 15020):
        assert not any(allowed(known, intruder, other, port) for other in (*OURS, *OTHERS))
        assert not any(allowed(known, other, intruder, port) for other in (*OURS, *OTHERS))


def test_the_data_s_ranges_are_those_of_the_stack_s_subnets(updated: Any) -> None:
    ranges = {
        way["ipBlock"]["cidr"]
        for policy in updated.of(":NetworkPolicy").values()
        for rule in policy["spec"]["egress"]
        for way in rule.get("to", [])
        if "ipBlock" in way
    }
    assert ranges == {
        s["cidrBlock"] for n, s in updated.of("subnet:Subnet").items() if n.startswith("network-data-")
    }


def test_every_policy_says_why() -> None:
    text = (manifest.ROOT / "pulumi/point_infra/incluster/policies/points.yaml").read_text()
    assert all(part.lstrip().startswith("# ") for part in text.split("---\n"))


def _numbers(policies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the mocks record them, numbers are floats."""
    return [_whole(policy) for policy in policies]


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(v) for v in value]
    return int(value) if isinstance(value, float) else value
