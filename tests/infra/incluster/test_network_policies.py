"""What the network policies on AWS let through: every connection that the stack lives by, and no other."""

from typing import Any

import pytest
from point_infra.incluster import manifest
from point_local.stack.reach import Peer, allowed

COMPONENT = "app.kubernetes.io/component"
NAME = "app.kubernetes.io/name"


def pod(namespace: str, **labels: str) -> Peer:
    """A pod, whose address is one of the nodes' subnets', as the VPC CNI gives it."""
    names = {"name": NAME, "component": COMPONENT, "k8s": "k8s-app"}
    return Peer(namespace, {names.get(k, k): v for k, v in labels.items()}, "10.0.20.77")


SERVICE, CANARY, MIGRATION, LIMITS = (
    pod("points", component=c) for c in ("service", "canary", "migration", "rate-limit")
)
GATEWAY = pod("istio-ingress", istio="ingressgateway")
ISTIOD, KIALI = pod("istio-system", app="istiod"), pod("istio-system", app="kiali")
PROMETHEUS, ALERTMANAGER, GRAFANA, OBJECTS, PROMETHEUS_OPERATOR = (
    pod("monitoring", name=n)
    for n in (
        *("prometheus", "alertmanager", "grafana", "kube-state-metrics"),
        "kube-prometheus-stack-prometheus-operator",
    )
)
SECRETS, SECRETS_WEBHOOK, SECRETS_CERTIFICATE = (
    pod("external-secrets", name=f"external-secrets{n}") for n in ("", "-webhook", "-cert-controller")
)
BALANCING, AUTOSCALER = (
    pod("kube-system", name=f"aws-{n}") for n in ("load-balancer-controller", "cluster-autoscaler")
)
CNI = pod("kube-system", k8s="istio-cni-node")
OPERATOR = pod("point-system", name="point-operator")
NAMES, SHOP = pod("kube-system", k8s="kube-dns"), pod("shop", app="shop")
BALANCER = Peer(address="10.0.1.7")
DATA = Peer(address="10.0.65.20")
NODE = Peer(address="10.0.20.5")  # or the control plane's, which has addresses beside the nodes'
API = Peer(address="172.20.0.1")
OUTSIDE = Peer(address="198.51.100.7")
IDENTITY = Peer(address="169.254.170.23")
PODS = {
    SERVICE, CANARY, MIGRATION, LIMITS, GATEWAY, ISTIOD, KIALI, PROMETHEUS, ALERTMANAGER, GRAFANA, OBJECTS,
    PROMETHEUS_OPERATOR, SECRETS, SECRETS_WEBHOOK, SECRETS_CERTIFICATE, BALANCING, AUTOSCALER, CNI,
}  # fmt: skip
READERS = {
    ISTIOD, KIALI, PROMETHEUS, GRAFANA, OBJECTS, PROMETHEUS_OPERATOR, SECRETS, SECRETS_CERTIFICATE,
    BALANCING, AUTOSCALER, CNI,
}  # fmt: skip
"""Who asks the API server."""
CALLERS_OF_AWS = {ALERTMANAGER, SECRETS, BALANCING, AUTOSCALER}
WEBHOOKS = {
    (ISTIOD, 15017), (PROMETHEUS_OPERATOR, 10250), (SECRETS_WEBHOOK, 10250), (BALANCING, 9443),
}  # fmt: skip
OTHERS = {NAMES, BALANCER, DATA, NODE, API, OUTSIDE, IDENTITY, SHOP}
"""`OPERATOR` has a policy of its own chart's."""

OPEN = {
    (BALANCER, GATEWAY, 443),
    (BALANCER, GATEWAY, 15021),
    (GATEWAY, SERVICE, 8080),
    (GATEWAY, CANARY, 8080),
    (GATEWAY, LIMITS, 8081),
    *((pod, ISTIOD, 15012) for pod in (GATEWAY, SERVICE, CANARY, LIMITS)),
    *((pod, DATA, 3306) for pod in (SERVICE, CANARY, MIGRATION)),
    *((pod, DATA, 6379) for pod in (SERVICE, CANARY, LIMITS)),
    *((OPERATOR, pod, 15020) for pod in (SERVICE, CANARY)),
    *((PROMETHEUS, pod, 15020) for pod in (GATEWAY, SERVICE, CANARY, LIMITS)),
    *((PROMETHEUS, pod, 15014) for pod in (ISTIOD, CNI)),
    *((PROMETHEUS, pod, 8080) for pod in (PROMETHEUS, ALERTMANAGER, OBJECTS, OPERATOR)),
    *((PROMETHEUS, NODE, port) for port in (9100, 10250)),
    (PROMETHEUS, NAMES, 9153),
    (PROMETHEUS, GRAFANA, 3000),
    (PROMETHEUS, PROMETHEUS, 9090),
    (PROMETHEUS, ALERTMANAGER, 9093),
    (PROMETHEUS, PROMETHEUS_OPERATOR, 10250),
    (ALERTMANAGER, ALERTMANAGER, 9094),
    *((pod, PROMETHEUS, 9090) for pod in (GRAFANA, KIALI)),
    (GRAFANA, ALERTMANAGER, 9093),
    (KIALI, GRAFANA, 3000),
    (KIALI, ISTIOD, 15014),
    *((pod, API, 443) for pod in READERS),
    *((pod, NODE, 443) for pod in READERS),
    *((NODE, pod, port) for pod, port in WEBHOOKS),
    *((pod, OUTSIDE, 443) for pod in (*CALLERS_OF_AWS, ISTIOD)),  # istiod: the token issuer's keys
    *((pod, IDENTITY, 80) for pod in CALLERS_OF_AWS),
}
"""Caller, called, port."""


@pytest.fixture(scope="module")
def policies(updated: Any) -> list[dict[str, Any]]:
    return [_whole(p) for p in updated.of(":NetworkPolicy").values()]


def test_every_namespace_that_the_program_makes_denies_by_default(
    policies: list[dict[str, Any]], updated: Any
) -> None:
    made = {n["metadata"]["name"] for n in updated.of(":Namespace").values()}
    all_of_it = {p["metadata"]["namespace"] for p in policies if p["spec"]["podSelector"] == {}}
    assert all_of_it == made
    assert all(p["spec"]["policyTypes"] == ["Ingress", "Egress"] for p in policies)


def test_what_the_stack_lives_by_is_let_through(policies: list[dict[str, Any]]) -> None:
    assert {(a, b, port) for a, b, port in OPEN if not allowed(policies, a, b, port)} == set()
    assert allowed(policies, ALERTMANAGER, ALERTMANAGER, 9094, "UDP")


def test_nothing_else_is(policies: list[dict[str, Any]]) -> None:
    ports = {port for _, _, port in OPEN} | {22, 80, 443, 4317, 6443, 8126, 15000, 15010, 15090}
    pairs = [(a, b) for a in PODS | OTHERS | {OPERATOR} for b in PODS | OTHERS if a in PODS or b in PODS]
    through = {(a, b, port) for a, b in pairs for port in ports if allowed(policies, a, b, port)}
    more = through - OPEN
    # Who asks the gateway has no address that one could name, so anybody may on its two ports who has a way there.
    at_the_door = {t for t in more if t[1] == GATEWAY and t[2] in (443, 15021)}
    assert {a for a, _, _ in at_the_door} & {SERVICE, CANARY, MIGRATION, LIMITS} == set()
    # A pod's address is like the control plane's: a webhook is as open as the caller's side leaves it. Every pod may
    # have a proxy, and a proxy asks istiod.
    strangers = {NAMES, SHOP}
    assert {t for t in more - at_the_door if t[1] in PODS} == {
        *((a, webhook, port) for a in strangers for webhook, port in WEBHOOKS),
        *((a, ISTIOD, 15012) for a in strangers),
        (PROMETHEUS, SECRETS_WEBHOOK, 10250),
    }
    # For the same reason who asks the API server may ask others for its ports, and Prometheus, which goes to the nodes,
    # for theirs. What AWS and the token issuer are asked by has no address.
    assert {(a, port) for a, b, port in more if b not in PODS} == {
        *((a, port) for a in READERS - CALLERS_OF_AWS for port in (443, 6443)),
        *((a, 443) for a in CALLERS_OF_AWS),
        *((PROMETHEUS, port) for port in (9100, 10250, 15014, 15020)),
    }


def test_only_who_calls_aws_or_the_token_issuer_has_a_way_out(policies: list[dict[str, Any]]) -> None:
    ways = {(a, port) for a in PODS for port in (53, 80, 443, 8443) if allowed(policies, a, OUTSIDE, port)}
    assert ways == {(a, 443) for a in CALLERS_OF_AWS | {ISTIOD}}


@pytest.mark.parametrize("asker", sorted(PODS - {CNI}, key=str), ids=str)
def test_every_pod_may_ask_for_names(policies: list[dict[str, Any]], asker: Peer) -> None:
    assert allowed(policies, asker, NAMES, 53, "UDP")


@pytest.mark.parametrize(
    "namespace", ["points", "point-system", "istio-ingress", "istio-system", "monitoring", "external-secrets"]
)
def test_a_pod_that_nobody_thought_of_is_cut_off(policies: list[dict[str, Any]], namespace: str) -> None:
    intruder = pod(namespace, app="intruder")
    for port in (22, 80, 443, 3306, 6379, 8080, 15012, 15020):
        assert not any(allowed(policies, intruder, o, port) for o in PODS | OTHERS)
    for port in (22, 80, 443, 3306, 6379, 15012):
        assert not any(allowed(policies, o, intruder, port) for o in PODS | OTHERS)


def test_the_ranges_are_those_of_the_stack_s_subnets_and_services(updated: Any) -> None:
    tiers = {
        tier: {s["cidrBlock"] for n, s in updated.of("subnet:Subnet").items() if f"-{tier}-" in n}
        for tier in ("data", "private")
    }
    assert _ranges(updated, "points") == tiers["data"]
    assert _ranges(updated, "istio-system") == tiers["private"] | {"172.20.0.0/16"}
    assert _ranges(updated, "external-secrets") == tiers["private"] | {"172.20.0.0/16", "169.254.170.23/32"}


def test_in_a_vpc_that_is_there_the_control_plane_may_be_anywhere(run_stack: Any) -> None:
    tiers = {
        f"{tier}SubnetIds": [f"subnet-{i}{zone}234567" for zone in range(3)]
        for i, tier in enumerate(("public", "private", "data"))
    }
    made = run_stack("prod", preview=False, existingVpcId="vpc-0123456789abcdef0", **tiers)
    assert _ranges(made, "istio-system") == {"10.77.0.0/16", "100.64.0.0/16", "172.20.0.0/16"}


def test_istiod_and_the_operator_may_ask_the_token_issuer_on_its_own_port(run_stack: Any) -> None:
    made = run_stack("prod", preview=False, jwksUri="https://login.example.com:8443/keys")
    known = [_whole(p) for p in made.of(":NetworkPolicy").values()]
    assert [port for port in (443, 8443) if allowed(known, ISTIOD, OUTSIDE, port)] == [8443]
    # The operator looks at the keys, too, and goes to the API server's own ports besides.
    assert [port for port in (443, 8443, 8444) if allowed(known, OPERATOR, OUTSIDE, port)] == [443, 8443]


def test_every_policy_says_why() -> None:
    for file in (manifest.ROOT / "pulumi/point_infra/incluster/policies").glob("*.yaml"):
        assert all(part.lstrip().startswith("# ") for part in file.read_text().split("---\n")), file


def _ranges(run: Any, namespace: str) -> set[str]:
    return {
        way["ipBlock"]["cidr"]
        for policy in run.of(":NetworkPolicy").values()
        if policy["metadata"]["namespace"] == namespace
        for direction, side in (("ingress", "from"), ("egress", "to"))
        for rule in policy["spec"].get(direction, [])
        for way in rule.get(side, [])
        if "ipBlock" in way
    }


def _whole(value: Any) -> Any:
    """As the mocks record them, numbers are floats."""
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(v) for v in value]
    return int(value) if isinstance(value, float) else value
