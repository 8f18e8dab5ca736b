"""Children of the PointService: repaired when touched, gone when it goes, back when it comes back."""

import json

import pytest
from point_local.commands.demo import earn_and_use
from point_local.drill.observe import Object, get, items
from point_local.programs.command import kubectl, run, wait
from point_local.stack import application, edge
from point_local.stack.istio import GATEWAY_NAMESPACE

pytestmark = pytest.mark.e2e

OWNED = "app.kubernetes.io/managed-by=point-operator"
KINDS = [
    "configmap",
    "deployment",
    "destinationrule",
    "hpa",
    "job",
    "peerauthentication",
    "pdb",
    "service",
    "serviceaccount",
    "virtualservice",
]
GATEWAY_KINDS = ["gateway", "envoyfilter", "requestauthentication"]
BOTH = ["authorizationpolicy"]


def children() -> dict[tuple[str, str, str], Object]:
    """Every object that the operator made, by kind, namespace and name."""
    found: dict[tuple[str, str, str], Object] = {}
    for namespace, kinds in (
        (application.NAMESPACE, KINDS + BOTH),
        (GATEWAY_NAMESPACE, GATEWAY_KINDS + BOTH),
    ):
        for kind in kinds:
            for item in items(kind, namespace, OWNED):
                found[kind, namespace, item["metadata"]["name"]] = item
    return found


def test_every_kind_is_there() -> None:
    kinds = {kind for kind, _, _ in children()}
    assert kinds == set(KINDS + GATEWAY_KINDS + BOTH)


def test_the_charts_own_test_finds_nothing_wrong() -> None:
    try:
        said = run(["helm", "test", "point-operator", "--namespace", "point-system", "--logs"], timeout=300)
    finally:
        kubectl("delete", "pod", "point-operator-check", "-n", "point-system", "--ignore-not-found")
    assert "Succeeded" in said
    assert "ok    Gateway default" in said
    assert "WRONG" not in said


def test_a_deleted_child_comes_back() -> None:
    before = children()
    for kind, namespace, name in before:
        if kind in ("job", "deployment"):
            continue  # these come back too, with new pods: that is the next test's
        kubectl("delete", kind, name, "-n", namespace, "--wait=true")
        wait(f"{kind} {name} is back", lambda k=kind, n=name, ns=namespace: get(k, n, ns), seconds=20)
    wait("every child is back", lambda: set(children()) >= set(before), seconds=30)
    application.wait_ready()


def test_a_deleted_deployment_comes_back_serving() -> None:
    kubectl("delete", "deployment", application.NAME, "-n", application.NAMESPACE)
    wait("the deployment is back", lambda: get("deployment", application.NAME), seconds=20)
    application.wait_ready()
    wait("the service answers", lambda: edge.healthy(application.hosts()[0]), seconds=60)


@pytest.mark.parametrize(
    ("kind", "namespace", "patch", "path", "value"),
    [
        ("hpa", "points", {"spec": {"maxReplicas": 99}}, ("spec", "maxReplicas"), 10),
        (
            "virtualservice",
            "points",
            {"spec": {"hosts": ["evil.localhost"]}},
            ("spec", "hosts"),
            ["points.localhost"],
        ),
        (
            "peerauthentication",
            "points",
            {"spec": {"mtls": {"mode": "PERMISSIVE"}}},
            ("spec", "mtls", "mode"),
            "STRICT",
        ),
        ("authorizationpolicy", GATEWAY_NAMESPACE, {"spec": {"action": "DENY"}}, ("spec", "action"), "ALLOW"),
    ],
    ids=["hpa", "virtualservice", "peerauthentication", "authorizationpolicy"],
)
def test_an_edited_child_is_repaired(
    kind: str, namespace: str, patch: dict[str, object], path: tuple[str, ...], value: object
) -> None:
    name = next(n for k, ns, n in children() if k == kind and ns == namespace)

    def current() -> object:
        found: object = get(kind, name, namespace)
        for key in path:
            found = found[key] if isinstance(found, dict) else None
        return found

    kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(patch))
    wait(f"{kind} {name} is repaired", lambda: current() == value, seconds=20)


def test_deleting_the_resource_removes_every_child_and_applying_it_again_works() -> None:
    kubectl("delete", "pts", application.NAME, "-n", application.NAMESPACE, "--timeout=60s")
    wait("every child is gone", lambda: not children(), seconds=90)
    application.apply_pointservice()
    application.wait_ready()
    wait("the service answers", lambda: edge.healthy(application.hosts()[0]), seconds=60)
    earn_and_use()
