"""The program on Pulumi's real provider for Kubernetes, and a real kube-apiserver behind it.

Charts can't be had here, so a release is a component without children; what they would bring, the CRDs, is there.
Nothing runs a pod, so the operator's Deployment isn't waited for; nothing empties a namespace, so nothing is destroyed.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.crds import published
from point_local.alone import apiserver
from point_local.preview import plan
from point_local.preview.pulumi_cli import KUBERNETES
from point_local.preview.standin.engine import Done, Engine, find_cli, providers
from point_local.preview.standin.provider import PACKAGES

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long,
    pytest.mark.skipif(find_cli() is None, reason="no Pulumi CLI: `point-local pulumi-cli` builds it"),
    pytest.mark.skipif(
        not KUBERNETES.exists(), reason="no provider: `point-local pulumi-kubernetes` builds it"
    ),
    pytest.mark.filterwarnings("ignore"),  # the SDK's server is not ours to fix
]
STACK = "dev"
RELEASE = '''"""A chart that is not there."""

import pulumi


def release(name, chart, namespace, values, *, parent, provider, depends_on=()):
    opts = pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on))
    return pulumi.ComponentResource("test:index:Release", name, {"values": values}, opts)
'''


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    if missing := apiserver.missing_programs():
        pytest.skip(f"not built: {', '.join(missing)} (point-local tools)")
    with apiserver.start(published()) as running:
        yield running


class Project:
    """A copy of the program with one stack, and how to run the CLI on it."""

    def __init__(self, home: Path, ports: dict[str, int]) -> None:
        self.folder = plan.checkout(home / "project", linked=False)
        self._home, self._ports = home, ports
        (self.folder / "pulumi/point_infra/incluster/helm.py").write_text(RELEASE)
        _changed(self.folder / "operator/deploy/deployment.yaml", _not_waited_for)
        _changed(self.folder / f"Pulumi.{STACK}.yaml", _pushed)
        self.run("stack", "init", STACK)

    def run(self, *args: str) -> Done:
        """Run the CLI once, whatever it says; with a provider of its own, which a run's end cancels for good."""
        cli = find_cli()
        assert cli is not None
        command = [str(KUBERNETES)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as provider:
            assert provider.stdout is not None
            ports = {**self._ports, "kubernetes": int(provider.stdout.readline())}
            try:
                return Engine(cli, self.folder, self._home, ports).run(*args, check=False, seconds=600)
            finally:
                provider.terminate()


@pytest.fixture(scope="module")
def project(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    os.environ.pop("AWS_ENDPOINT_URL", None)
    kubeconfig = json.loads(server.kubectl("config", "view", "--raw", "--output=json"))
    with providers([p for p in PACKAGES if p != "kubernetes"], kubeconfig) as ports:
        yield Project(tmp_path_factory.mktemp("kubernetes"), ports)


def _changed(file: Path, change: Any) -> None:
    document = yaml.safe_load(file.read_text())
    change(document)
    file.write_text(yaml.safe_dump(document))


def _not_waited_for(deployment: dict[str, Any]) -> None:
    deployment["metadata"].setdefault("annotations", {})["pulumi.com/skipAwait"] = "true"


def _pushed(document: dict[str, Any]) -> None:
    for image in ("service", "operator"):
        document["config"][f"point-platform:{image}ImageDigest"] = "sha256:" + "1" * 64
    document["config"]["point-platform:createPointService"] = True


def test_what_is_declared_is_made_and_then_nothing_is_left_to_change(project: Project, server: Any) -> None:
    made = project.run("up", "--yes", "--skip-preview", "--stack", STACK)
    assert made.status == 0, made.text
    operator = json.loads(
        server.kubectl("-n", "point-system", "get", "deployment/point-operator", "-o", "json")
    )
    assert operator["spec"]["template"]["spec"]["containers"][0]["image"].endswith("@sha256:" + "1" * 64)
    points = json.loads(server.kubectl("-n", "points", "get", "pointservice/points", "--output=json"))
    assert points["spec"]["database"]["poolSize"] == 3
    again = project.run("preview", "--diff", "--expect-no-changes", "--stack", STACK)
    assert again.status == 0, again.text


def test_what_the_api_server_refuses_is_refused_in_the_plan_by_name(project: Project) -> None:
    file = project.folder / "operator/deploy/network-policy.yaml"
    _changed(file, lambda policy: policy["spec"].update(policyTypes=["Inbound"]))
    done = project.run("preview", "--stack", STACK)
    assert done.status != 0
    assert "networkpolicy-point-operator" in done.text
    assert "policyTypes" in done.text, done.text
