"""Installing, upgrading and uninstalling, as docs/operator.md says it, on a real API server of their own."""

import contextlib
import copy
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from point_local.alone import apiserver
from point_local.programs import paths
from point_local.programs.command import wait_established

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[3]
DEPLOY, CHART = ROOT / "operator/deploy", ROOT / "operator/chart"
OURS = "app.kubernetes.io/name=point-operator"
AT_GATEWAY = "envoyfilters,gateways,requestauthentications,authorizationpolicies"
MANAGED = "app.kubernetes.io/managed-by=point-operator"
EVERYTHING = (
    "clusterroles,clusterrolebindings,roles,rolebindings,deployments,serviceaccounts,networkpolicies,pdb"
)


@pytest.fixture(scope="module")
def fresh() -> Iterator[apiserver.ApiServer]:
    """An API server with Istio's kinds and a gateway's namespace, and nothing of ours."""
    if missing := apiserver.missing_programs():
        pytest.skip(f"not built: {', '.join(missing)} (point-local tools)")
    with apiserver.start([apiserver.istio_crds()]) as server:
        server.kubectl("create", "namespace", "istio-ingress")
        server.kubectl("create", "namespace", "points")
        yield server


@pytest.fixture
def working(fresh: apiserver.ApiServer, process: Any) -> Callable[..., Any]:
    """How to run the operator with the rights that are installed, for the length of a block."""

    @contextlib.contextmanager
    def run() -> Iterator[None]:
        token = fresh.kubectl("create", "token", "point-operator", "-n", "point-system").strip()
        operator = process(fresh, fresh.token_kubeconfig("installed", token), "--no-lease", name="installed")
        operator.start()
        try:
            yield
        finally:
            operator.stop()

    return run


def test_manifests_are_installed_upgraded_and_uninstalled(
    fresh: apiserver.ApiServer, working: Any, example: dict[str, Any], tmp_path: Path
) -> None:
    _apply(fresh, *_earlier_release(tmp_path))
    assert "0.0.9" in fresh.kubectl("get", "deploy", "-n", "point-system", "-o", "yaml")
    fresh.kubectl("apply", "-f", "-", stdin=json.dumps(example))
    uid = _point_service(fresh)["metadata"]["uid"]

    fresh.kubectl("apply", "--server-side", "-k", str(DEPLOY))
    assert "0.0.9" not in fresh.kubectl("get", "deploy", "-n", "point-system", "-o", "yaml")
    wait_established(fresh.kubectl, "crd", "pointservices.pointservice.io")
    kept = _point_service(fresh)
    assert (kept["metadata"]["uid"], kept["metadata"]["generation"]) == (uid, 1)
    assert kept["spec"]["rollout"]["strategy"] == "RollingUpdate", "an object stored before the field has it"
    with working():
        fresh.kubectl("wait", "pts/points", "-n", "points", "--for=condition=Degraded", "--timeout=20s")
        assert fresh.kubectl("get", AT_GATEWAY, "-n", "istio-ingress", "-l", MANAGED, "-o", "name")
        fresh.kubectl("delete", "pts", "--all", "-A", "--timeout=30s")
    _delete(fresh)
    assert _left(fresh) == []
    assert fresh.kubectl("get", AT_GATEWAY, "-n", "istio-ingress", "-l", MANAGED, "-o", "name") == ""


def test_the_wrong_order_is_put_right_by_hand(
    fresh: apiserver.ApiServer, working: Any, example: dict[str, Any]
) -> None:
    _apply(fresh, "-k", str(DEPLOY))
    fresh.kubectl("apply", "-f", "-", stdin=json.dumps(example))
    with working():
        fresh.kubectl("wait", "pts/points", "-n", "points", "--for=condition=Degraded", "--timeout=20s")
    fresh.kubectl("delete", "pts", "points", "-n", "points", "--wait=false")
    assert _point_service(fresh)["metadata"]["deletionTimestamp"]
    nothing = '{"metadata": {"finalizers": null}}'
    fresh.kubectl("patch", "pts", "points", "-n", "points", "--type=merge", "-p", nothing)
    assert fresh.kubectl("get", "pts", "-A", "-o", "name") == ""
    fresh.kubectl("delete", AT_GATEWAY, "-n", "istio-ingress", "-l", MANAGED)
    assert fresh.kubectl("get", AT_GATEWAY, "-n", "istio-ingress", "-o", "name") == ""
    _delete(fresh)


def test_the_chart_is_installed_upgraded_and_uninstalled(
    fresh: apiserver.ApiServer, example: dict[str, Any], tmp_path: Path
) -> None:
    def helm(*args: str) -> None:
        program = paths.BIN / "helm"
        if not program.exists():
            pytest.skip("not built: helm (point-local tools)")
        command = [str(program), *args, "-n", "point-system", "--kubeconfig", str(fresh.kubeconfig)]
        environment = {**os.environ, "HOME": str(tmp_path), "HELM_CACHE_HOME": str(tmp_path)}
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=90, env=environment)

    helm("install", "point-operator", str(CHART), "--create-namespace")
    wait_established(fresh.kubectl, "crd", "pointservices.pointservice.io")
    fresh.kubectl("apply", "-f", "-", stdin=json.dumps(example))
    fresh.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "crds"))
    helm("upgrade", "point-operator", str(CHART), "--set", "replicas=3")
    deployment = json.loads(fresh.kubectl("get", "deploy", "-n", "point-system", "-o", "json"))["items"][0]
    assert deployment["spec"]["replicas"] == 3
    helm("uninstall", "point-operator")
    assert _left(fresh) == ["customresourcedefinition.apiextensions.k8s.io/pointservices.pointservice.io"]
    assert _point_service(fresh)["spec"]["image"] == example["spec"]["image"], (
        "Helm leaves CRDs and their objects"
    )


def test_the_way_to_v1beta1_costs_no_object_and_no_conversion(
    fresh: apiserver.ApiServer, working: Any, example: dict[str, Any]
) -> None:
    """The first step is made: both are served. The others are tried."""
    _apply(fresh, "-k", str(DEPLOY))
    fresh.kubectl("apply", "-f", "-", stdin=json.dumps(example))
    crd = json.loads(fresh.kubectl("get", "crd", "pointservices.pointservice.io", "-o", "json"))
    old, new = crd["spec"]["versions"]
    assert (old["name"], new["name"], crd["status"]["storedVersions"]) == (
        "v1alpha1",
        "v1beta1",
        ["v1alpha1"],
    )
    beta = "pointservices.v1beta1.pointservice.io"
    fresh_made = example | {"apiVersion": "pointservice.io/v1beta1"}
    fresh_made["metadata"] = {"name": "later", "namespace": "points"}
    with working():
        read = json.loads(fresh.kubectl("get", beta, "points", "-n", "points", "-o", "json"))
        assert read["apiVersion"] == "pointservice.io/v1beta1"
        assert read["spec"] == _point_service(fresh)["spec"]
        fresh.kubectl("apply", "-f", "-", stdin=json.dumps(fresh_made))
        fresh.kubectl("wait", f"{beta}/later", "-n", "points", "--for=condition=Degraded", "--timeout=20s")
        _replace_versions(fresh, [old | {"storage": False}, new | {"storage": True}])
        everything = fresh.kubectl("get", beta, "-A", "-o", "json")  # written back, each is stored anew
        fresh.kubectl("replace", "-f", "-", stdin=everything)
        stored = '{"status": {"storedVersions": ["v1beta1"]}}'
        fresh.kubectl(
            "patch",
            "crd",
            "pointservices.pointservice.io",
            "--subresource=status",
            "--type=merge",
            "-p",
            stored,
        )
        _replace_versions(fresh, [new | {"storage": True}])
        assert fresh.kubectl("get", "pts", "-A", "-o", "name").split() == [
            "pointservice.pointservice.io/later", "pointservice.pointservice.io/points",
        ]  # fmt: skip
        _replace_versions(fresh, [old | {"storage": False}, new | {"storage": True}])
        fresh.kubectl("delete", "pts", "--all", "-A", "--timeout=60s")
    _delete(fresh)


def _replace_versions(server: apiserver.ApiServer, versions: list[dict[str, Any]]) -> None:
    crd = json.loads(server.kubectl("get", "crd", "pointservices.pointservice.io", "-o", "json"))
    crd["spec"]["versions"] = versions
    server.kubectl("replace", "-f", "-", stdin=json.dumps(crd))
    wait_established(server.kubectl, "crd", "pointservices.pointservice.io")
    for one in versions:
        if one["served"]:
            _wait_served(server, one["name"])


def _wait_served(server: apiserver.ApiServer, version: str) -> None:
    deadline = time.monotonic() + 20
    path = f"/apis/pointservice.io/{version}"
    while "pointservices" not in server.kubectl("get", "--raw", path, check=False):
        assert time.monotonic() < deadline, f"{path} is not served"
        time.sleep(0.1)


def _earlier_release(folder: Path) -> list[str]:
    """Manifests as an earlier version had them: another image, fewer rights, a field and a version less in the CRD."""
    text = subprocess.run(
        [str(paths.BIN / "kubectl"), "kustomize", str(DEPLOY)],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    manifests = [copy.deepcopy(one) for one in yaml.safe_load_all(text)]
    for one in manifests:
        if one["kind"] == "CustomResourceDefinition":
            del one["spec"]["versions"][1:]
            schema = one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            del schema["properties"]["spec"]["properties"]["rollout"]
        if one["kind"] == "ClusterRole":
            del one["rules"][-1]
        if one["kind"] == "Deployment":
            one["spec"]["template"]["spec"]["containers"][0]["image"] = (
                "docker.io/library/point-operator:0.0.9"
            )
    file = folder / "earlier.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    return ["-f", str(file)]


def _apply(server: apiserver.ApiServer, *what: str) -> None:
    server.kubectl("apply", "--server-side", *what)
    server.kubectl(
        "wait", "--for=condition=Established", "crd/pointservices.pointservice.io", "--timeout=20s"
    )


def _delete(server: apiserver.ApiServer) -> None:
    """Uninstall; the namespace is ended by hand, since its controller does not run here."""
    server.kubectl("delete", "-k", str(DEPLOY), "--wait=false")
    server.kubectl("wait", "--for=delete", "crd/pointservices.pointservice.io", "--timeout=30s")
    ended = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "point-system"},
        "spec": {"finalizers": []},
    }
    path = "/api/v1/namespaces/point-system/finalize"
    server.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(ended))


def _left(server: apiserver.ApiServer) -> list[str]:
    """What there still is of the operator."""
    found = server.kubectl("get", EVERYTHING, "-A", "-l", OURS, "-o", "name")
    crds = server.kubectl("get", "crd", "-o", "name")
    return [*found.split(), *(one for one in crds.split() if "pointservice" in one)]


def _point_service(server: apiserver.ApiServer) -> dict[str, Any]:
    return json.loads(server.kubectl("get", "pts", "points", "-n", "points", "-o", "json"))
