"""A real kube-apiserver takes every object of every stack, with every rule of its kind and without a warning.

What a chart makes is the chart's; here is what the program declares itself: namespaces, the operator, network policies,
monitors, secrets, bindings, and the PointService.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.tenants import PUBLISHED
from point_infra import offline
from point_local.alone import apiserver
from point_local.build import tools
from pulumi.runtime import rpc

ROOT = Path(__file__).resolve().parents[3]
CRD = ROOT / "crds" / "pointservices.yaml"
TARGET_GROUP_BINDING = Path(__file__).parent / "crds" / "targetgroupbinding.json"
"""What the program uses of it: its module can't be had where this runs."""
_SECRETS = (
    "github.com/external-secrets/external-secrets@v1.3.2",
    "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
)
_MONITORS = next(iter(PUBLISHED.values()))
FIRST = ("Namespace", "CustomResourceDefinition")

pytestmark = pytest.mark.integration


def _crds() -> list[Path]:
    secrets = tools.module_dir(*_SECRETS) / "config/crds/bases"
    monitors = tools.module_dir(*_MONITORS[0]) / "example/prometheus-operator-crd"
    return [
        apiserver.istio_crds(),
        TARGET_GROUP_BINDING,
        *(
            secrets / f"external-secrets.io_{kind}.yaml"
            for kind in ("externalsecrets", "clustersecretstores")
        ),
        *(
            monitors / f"monitoring.coreos.com_{kind}.yaml"
            for kind in ("servicemonitors", "podmonitors", "prometheusrules")
        ),
    ]


@pytest.fixture(scope="module")
def server() -> Any:
    if missing := apiserver.missing_programs():
        pytest.skip(f"not built: {', '.join(missing)} (point-local tools)")
    with apiserver.start(_crds()) as running:
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


def _apply(server: Any, manifest: dict[str, Any]) -> str:
    strict = ["--server-side", "--validate=strict"]
    if manifest.get("type") != "kubernetes.io/tls":  # whose certificate the mocks make up
        strict.append("--warnings-as-errors")
    return server.kubectl("apply", *strict, "-f", "-", stdin=json.dumps(manifest))


@pytest.fixture
def emptied(server: Any) -> Iterator[Any]:
    """The server, with nothing of another stack's in it."""
    yield server
    for kind in ("pointservices", "targetgroupbindings", "externalsecrets", "deployments", "networkpolicies"):
        server.kubectl("delete", kind, "--all", "--all-namespaces", "--ignore-not-found", check=False)


@pytest.mark.parametrize("stack", offline.stacks())
def test_every_object_is_taken_as_it_is(emptied: Any, run_stack: Callable[..., Any], stack: str) -> None:
    manifests = objects(run_stack(stack, preview=False, createPointService=True))
    kinds = {m["kind"] for m in manifests}
    assert kinds >= {"PointService", "TargetGroupBinding", "ExternalSecret", "PodMonitor", "NetworkPolicy"}
    for manifest in manifests:
        said = _apply(emptied, manifest)
        assert "serverside-applied" in said, manifest["metadata"]["name"]
        if manifest["kind"] == "CustomResourceDefinition":
            name = f"crd/{manifest['metadata']['name']}"
            emptied.kubectl("wait", "--for=condition=Established", "--timeout=20s", name)


@pytest.mark.parametrize("stack", offline.stacks())
def test_the_output_can_be_applied_as_it_is(emptied: Any, run_stack: Callable[..., Any], stack: str) -> None:
    emptied.kubectl("apply", "--server-side", "-f", str(CRD))
    emptied.kubectl("wait", "--for=condition=Established", "--timeout=20s", "-f", str(CRD))
    emptied.kubectl("create", "namespace", "points", check=False)
    made = run_stack(stack, preview=False).outputs["pointServiceYaml"]
    said = emptied.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=made)
    assert "pointservice.pointservice.io/points serverside-applied" in said


@pytest.mark.parametrize(
    ("kind", "change", "refusal"),
    [
        ("Deployment", {"spec": {"replica": 2}}, "spec.replica: field not declared"),
        ("TargetGroupBinding", {"spec": {"targetType": "pod"}}, "Unsupported value"),
        ("PodMonitor", {"spec": {"podMetricsEndpoint": []}}, "podMetricsEndpoint"),
        ("NetworkPolicy", {"spec": {"policyTypes": ["Inbound"]}}, "policyTypes"),
    ],
)
def test_a_wrong_object_is_refused_by_name(
    emptied: Any, run_stack: Callable[..., Any], kind: str, change: dict[str, Any], refusal: str
) -> None:
    manifests = objects(run_stack("dev", preview=False))
    for first in (m for m in manifests if m["kind"] in FIRST):
        _apply(emptied, first)
    good = next(m for m in manifests if m["kind"] == kind)
    with pytest.raises(RuntimeError, match=refusal):
        _apply(emptied, {**good, "spec": {**good["spec"], **change["spec"]}})


def test_a_pod_that_a_restricted_namespace_would_refuse_is_a_warning_and_so_an_error(
    emptied: Any, run_stack: Callable[..., Any]
) -> None:
    manifests = objects(run_stack("dev", preview=False))
    for first in (m for m in manifests if m["kind"] in FIRST):
        _apply(emptied, first)
    operator = next(m for m in manifests if m["kind"] == "Deployment")
    operator["spec"]["template"]["spec"]["hostNetwork"] = True
    with pytest.raises(RuntimeError, match="would violate PodSecurity"):
        _apply(emptied, operator)
