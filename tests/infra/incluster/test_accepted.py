"""A real kube-apiserver takes every object of every stack, with every rule of its kind and without a warning.

What a chart makes is the chart's; here is what the program declares itself: namespaces, the operator, network policies,
monitors, secrets, bindings, and the PointService.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.crds import published
from point_infra import offline
from point_infra.foundation.cluster import VIEWERS
from point_local.alone import apiserver
from point_local.programs import paths
from point_local.programs.command import wait_established
from pulumi.runtime import rpc

ROOT = Path(__file__).resolve().parents[3]
CRD = ROOT / "crds" / "pointservices.yaml"
FIRST = ("Namespace", "CustomResourceDefinition")
VIEWER = "arn:aws:iam::123456789012:role/preview"

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Any:
    if missing := apiserver.missing_programs():
        pytest.skip(f"not built: {', '.join(missing)} (point-local tools)")
    with apiserver.start(published()) as running:
        yield running


def objects(run: Any) -> list[dict[str, Any]]:
    """What a stack declares in the cluster beside charts, what others need first."""
    declared = [
        _plain(r.inputs)
        for r in run.resources
        if r.type.startswith("kubernetes:") and ":Release" not in r.type
    ]
    return sorted(declared, key=lambda o: FIRST.index(o["kind"]) if o["kind"] in FIRST else len(FIRST))


def _plain(value: Any) -> Any:
    """A value as the engine hands it on: out of the wrapping of a secret, numbers whole where they are."""
    if isinstance(value, dict):
        if rpc._special_sig_key in value:
            return _plain(value["value"])
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _apply(server: Any, manifests: list[dict[str, Any]]) -> str:
    strict = ["--server-side", "--validate=strict", "--warnings-as-errors"]
    # The mocks make the certificate up, which is a warning.
    real = [m for m in manifests if m.get("type") != "kubernetes.io/tls"]
    whole = json.dumps({"apiVersion": "v1", "kind": "List", "items": real})
    return server.kubectl("apply", *strict, "-f", "-", stdin=whole)


def _prepare(server: Any, manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make what others need first; returns the others."""
    _apply(server, [m for m in manifests if m["kind"] in FIRST])
    wait_established(server.kubectl, "crd")
    return [m for m in manifests if m["kind"] not in FIRST]


@pytest.fixture
def emptied(server: Any) -> Iterator[Any]:
    """The server, with nothing of another stack's in it."""
    yield server
    for kind in ("pointservices", "targetgroupbindings", "externalsecrets", "deployments", "networkpolicies"):
        server.kubectl("delete", kind, "--all", "--all-namespaces", "--ignore-not-found", check=False)


@pytest.mark.parametrize("stack", offline.stacks())
def test_every_object_is_taken_as_it_is(emptied: Any, run_stack: Callable[..., Any], stack: str) -> None:
    manifests = objects(run_stack(stack, preview=False, createPointService=True, viewerRoleArns=[VIEWER]))
    kinds = {m["kind"] for m in manifests}
    assert kinds >= {"PointService", "TargetGroupBinding", "ExternalSecret", "PodMonitor", "NetworkPolicy"}
    others = _prepare(emptied, manifests)
    said = _apply(emptied, others).splitlines()
    assert len(said) >= len(others) - 1
    assert all(line.endswith("serverside-applied") for line in said)


@pytest.mark.parametrize("stack", offline.stacks())
def test_the_output_can_be_applied_as_it_is(emptied: Any, run_stack: Callable[..., Any], stack: str) -> None:
    emptied.kubectl("apply", "--server-side", "-f", str(CRD))
    wait_established(emptied.kubectl, "-f", str(CRD))
    emptied.kubectl("create", "namespace", "points", check=False)
    made = run_stack(stack, preview=False).outputs["pointServiceYaml"]
    said = emptied.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=made)
    assert "pointservice.pointservice.io/points serverside-applied" in said


@pytest.mark.parametrize(
    ("kind", "change", "refusal"),
    [
        ("Deployment", {"spec": {"replica": 2}}, "unknown field .replica"),
        ("TargetGroupBinding", {"spec": {"targetType": "pod"}}, "Unsupported value"),
        ("PodMonitor", {"spec": {"podMetricsEndpoint": []}}, "podMetricsEndpoint"),
        ("NetworkPolicy", {"spec": {"policyTypes": ["Inbound"]}}, "policyTypes"),
    ],
)
def test_a_wrong_object_is_refused_by_name(
    emptied: Any, run_stack: Callable[..., Any], kind: str, change: dict[str, Any], refusal: str
) -> None:
    manifests = objects(run_stack("dev", preview=False))
    good = next(m for m in _prepare(emptied, manifests) if m["kind"] == kind)
    with pytest.raises(RuntimeError, match=refusal):
        _apply(emptied, [{**good, "spec": {**good["spec"], **change["spec"]}}])


def test_a_pod_that_a_restricted_namespace_would_refuse_is_a_warning_and_so_an_error(
    emptied: Any, run_stack: Callable[..., Any]
) -> None:
    manifests = objects(run_stack("dev", preview=False))
    operator = next(m for m in _prepare(emptied, manifests) if m["kind"] == "Deployment")
    operator["spec"]["template"]["spec"]["hostNetwork"] = True
    with pytest.raises(RuntimeError, match="would violate PodSecurity"):
        _apply(emptied, [operator])


HELD_DOWN = "dry runs are all that it may ask for"
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
"""Kinds that no policy can look at, so that previewers have no right over them: Pulumi then shows its own inputs."""


class Previewer:
    """Whoever has the group of the stack's viewers, and no other right."""

    def __init__(self, server: Any) -> None:
        self._kubeconfig = server.user_kubeconfig("previewer", "preview", [VIEWERS])

    def ask(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl as it, whatever comes of it."""
        command = [str(paths.BIN / "kubectl"), "--kubeconfig", str(self._kubeconfig), *args]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)

    def write(self) -> subprocess.CompletedProcess[str]:
        """Try to make something in earnest."""
        return self.ask("create", "configmap", "mine", "--namespace=points")


def _kind(server: Any) -> str:
    """A CRD as it is, which Pulumi replaces whole."""
    return server.kubectl("get", "crd", "pointservices.pointservice.io", "--output=json")


@pytest.fixture
def declared(emptied: Any, run_stack: Callable[..., Any]) -> list[dict[str, Any]]:
    """What a previewer may try of a stack, in a cluster that has its namespaces, kinds, policies and previewers."""
    manifests = objects(run_stack("prod", preview=False, createPointService=True, viewerRoleArns=[VIEWER]))
    others = _prepare(emptied, manifests)
    held = [m for m in others if m["metadata"]["name"] == VIEWERS]
    assert {m["kind"] for m in held} == {*POLICIES, "ClusterRole", "ClusterRoleBinding"}
    _apply(emptied, held)
    return [m for m in others if m not in held and m["kind"] not in POLICIES]


@pytest.fixture
def previewer(emptied: Any, declared: list[dict[str, Any]]) -> Previewer:  # noqa: ARG001
    """One whom the policy holds down: the server learns of it a moment later."""
    someone = Previewer(emptied)
    deadline = time.monotonic() + 20
    while HELD_DOWN not in (said := someone.write()).stderr:
        assert time.monotonic() < deadline, said
        emptied.kubectl("delete", "configmap", "mine", "--namespace=points", "--ignore-not-found")
    return someone


def test_a_previewer_may_try_everything_that_is_new(
    emptied: Any, previewer: Previewer, declared: list[dict[str, Any]]
) -> None:
    namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}}]
    real = [*namespaces, *(m for m in declared if m.get("type") != "kubernetes.io/tls")]
    whole = json.dumps({"apiVersion": "v1", "kind": "List", "items": real})
    tried = previewer.ask("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=whole)
    assert tried.returncode == 0, tried.stderr
    assert len(tried.stdout.splitlines()) == len(real)
    assert not emptied.kubectl("get", "pointservices,deployments,networkpolicies", "--all-namespaces")
    tried = previewer.ask("replace", "--dry-run=server", "-f", "-", stdin=_kind(emptied))
    assert tried.returncode == 0, tried.stderr


def test_a_previewer_makes_changes_and_deletes_nothing(
    emptied: Any, previewer: Previewer, declared: list[dict[str, Any]]
) -> None:
    for one in declared:
        if one.get("type") != "kubernetes.io/tls":
            tried = previewer.ask("apply", "--server-side", "-f", "-", stdin=json.dumps(one))
            assert HELD_DOWN in tried.stderr, (one["kind"], tried.stderr)
    assert HELD_DOWN in previewer.ask("replace", "-f", "-", stdin=_kind(emptied)).stderr
    emptied.kubectl("create", "serviceaccount", "somebody", "--namespace=points")
    # Also what another role lets it do.
    emptied.kubectl(
        "create", "clusterrolebinding", "all", "--clusterrole=cluster-admin", f"--group={VIEWERS}"
    )
    try:
        for command in (
            ("label", "namespace", "points", "mine=yes"),
            ("delete", "namespace", "points"),
            ("create", "token", "somebody", "--namespace=points"),
        ):
            assert HELD_DOWN in previewer.ask(*command).stderr, command
        assert previewer.ask("auth", "can-i", "delete", "namespaces").stdout == "yes\n"
    finally:
        emptied.kubectl("delete", "clusterrolebinding", "all")
        emptied.kubectl("delete", "serviceaccount", "somebody", "--namespace=points")


def test_what_holds_a_previewer_down_is_out_of_its_reach(previewer: Previewer) -> None:
    for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        for verb in ("create", "patch", "update", "delete"):
            assert previewer.ask("auth", "can-i", verb, kind).stdout == "no\n", (verb, kind)


def test_others_are_not_held_down(emptied: Any, previewer: Previewer) -> None:  # noqa: ARG001
    emptied.kubectl("create", "configmap", "other", "--namespace=points")
    emptied.kubectl("delete", "configmap", "other", "--namespace=points")
