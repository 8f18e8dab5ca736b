"""The program on Pulumi's real provider for Kubernetes: a real kube-apiserver behind it, its controllers, and istiod.

Istio's and external-secrets' charts are in Go modules and are installed for real. The others can't be had here, so
their releases are components without children, and what they would bring, the CRDs, is there. Nothing runs a pod: one
that the API server took is ready (`harness.controllers`).
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import charts, controllers
from harness.crds import published
from point_infra.config import versions
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
INCLUSTER = Path("pulumi/point_infra/incluster")
GATEWAY = "istio-ingressgateway"
INSTALLED = {
    "istio-base": "istio-system",
    "istio-cni": "kube-system",
    "istiod": "istio-system",
    GATEWAY: "istio-ingress",
    "external-secrets": "external-secrets",
}
"""Release -> namespace."""
RELEASE = '''"""The program's own way to install a chart, where the chart is there."""

import pulumi
from point_infra.incluster import helm_own


def release(name, chart, namespace, values, *, parent, provider, depends_on=()):
    if chart.repository == "REPOSITORY":
        return helm_own.release(
            name, chart, namespace, values, parent=parent, provider=provider, depends_on=depends_on
        )
    opts = pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on))
    return pulumi.ComponentResource("test:index:Release", name, {"values": values}, opts)
'''


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    if missing := [*apiserver.missing_programs(), *controllers.missing_programs()]:
        pytest.skip(f"not built: {', '.join(missing)} (point-local tools)")
    with apiserver.start(published(istio=False)) as running, controllers.run(running):
        yield running


class Project:
    """A copy of the program with one stack and a chart repository of its own, and how to run the CLI on it."""

    def __init__(self, home: Path, ports: dict[str, int], repository: str) -> None:
        self.folder = plan.checkout(home / "project", linked=False)
        self._home, self._ports = home, ports
        incluster = self.folder / INCLUSTER
        shutil.move(incluster / "helm.py", incluster / "helm_own.py")
        (incluster / "helm.py").write_text(RELEASE.replace("REPOSITORY", repository))
        external = versions.EXTERNAL_SECRETS
        self.write(
            "pulumi/point_infra/config/versions.py",
            (versions.ISTIO_BASE.repository, repository),
            (external.repository, repository),
            (external.version, charts.EXTERNAL_SECRETS),
        )
        # Nobody answers for external-secrets' webhook here, and no policy lets a store in without it.
        self.write(INCLUSTER / "controllers.py", ('"webhook": two', '"webhook": two | {"create": False}'))
        _changed(self.folder / f"Pulumi.{STACK}.yaml", _pushed)
        self.run("stack", "init", STACK)

    def write(self, file: Path | str, *changes: tuple[str, str]) -> None:
        """Put other words in the place of some that a file has."""
        text = (self.folder / file).read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        (self.folder / file).write_text(text)

    def run(self, *args: str) -> Done:
        """Run the CLI once, whatever it says; with a provider of its own, which a run's end cancels for good."""
        cli = find_cli()
        assert cli is not None
        command = [str(KUBERNETES)]
        helm = {
            f"PULUMI_K8S_HELM_{name}": str(self._home / "helm" / name.lower())
            for name in ("REPOSITORY_CACHE", "REPOSITORY_CONFIG_PATH", "REGISTRY_CONFIG_PATH")
        }
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **helm}
        ) as provider:
            assert provider.stdout is not None
            ports = {**self._ports, "kubernetes": int(provider.stdout.readline())}
            try:
                return Engine(cli, self.folder, self._home, ports).run(*args, check=False, seconds=600)
            finally:
                provider.terminate()

    def up(self, *more: str) -> Done:
        """Make what the copy declares."""
        return self.run("up", "--yes", "--skip-preview", "--stack", STACK, *more)

    def unchanged(self) -> Done:
        """A plan that fails when it would change something."""
        return self.run("preview", "--diff", "--expect-no-changes", "--stack", STACK)


@pytest.fixture(scope="module")
def project(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    os.environ.pop("AWS_ENDPOINT_URL", None)
    kubeconfig = json.loads(server.kubectl("config", "view", "--raw", "--output=json"))
    home = tmp_path_factory.mktemp("kubernetes")
    with (
        charts.repository(home / "charts", versions.ISTIO_VERSION) as repository,
        providers([p for p in PACKAGES if p != "kubernetes"], kubeconfig) as ports,
    ):
        yield Project(home, ports, repository)


def _changed(file: Path, change: Any) -> None:
    document = yaml.safe_load(file.read_text())
    change(document)
    file.write_text(yaml.safe_dump(document))


def _pushed(document: dict[str, Any]) -> None:
    for image in ("service", "operator"):
        document["config"][f"point-platform:{image}ImageDigest"] = "sha256:" + "1" * 64
    document["config"]["point-platform:createPointService"] = True


def _inbound(policy: dict[str, Any]) -> None:
    policy["spec"]["policyTypes"] = ["Inbound"]


def _get(server: Any, *args: str) -> dict[str, Any]:
    return json.loads(server.kubectl("get", *args, "--output=json"))


def _revisions(server: Any) -> dict[str, tuple[str, str, int]]:
    """Of each release that Helm keeps, its newest revision: namespace, status, number."""
    kept = [s["metadata"] for s in _get(server, "secrets", "-A", "-l", "owner=helm")["items"]]
    found = [
        (int(m["labels"]["version"]), m["labels"]["name"], m["labels"]["status"], m["namespace"])
        for m in kept
    ]
    return {name: (namespace, status, n) for n, name, status, namespace in sorted(found)}


def _gateway(server: Any) -> list[dict[str, Any]]:
    return _get(server, "pods", "-n", "istio-ingress", "-l", f"app={GATEWAY}")["items"]


def test_what_is_declared_is_made_and_every_release_installed(project: Project, server: Any) -> None:
    made = project.up()
    assert made.status == 0, made.text
    operator = _get(server, "-n", "point-system", "deployment/point-operator")
    assert operator["spec"]["template"]["spec"]["containers"][0]["image"].endswith("@sha256:" + "1" * 64)
    assert operator["status"]["availableReplicas"] == operator["spec"]["replicas"]
    points = _get(server, "-n", "points", "pointservice/points")
    assert points["spec"]["database"]["poolSize"] == 3
    assert _revisions(server) == {name: (where, "deployed", 1) for name, where in INSTALLED.items()}


def test_then_nothing_is_left_to_change(project: Project) -> None:
    again = project.unchanged()
    assert again.status == 0, again.text


def test_istiod_gives_the_gateway_its_proxy_and_its_restricted_namespace_takes_it(server: Any) -> None:
    pods = _gateway(server)
    assert len(pods) == 2
    for pod in pods:
        (proxy,) = pod["spec"]["containers"]
        assert proxy["image"] == f"docker.io/istio/proxyv2:{versions.ISTIO_VERSION}"
        assert proxy["securityContext"]["allowPrivilegeEscalation"] is False
        assert "initContainers" not in pod["spec"]


def test_what_the_api_server_refuses_is_refused_in_the_plan_by_name(project: Project) -> None:
    file = project.folder / "operator/deploy/network-policy.yaml"
    whole = file.read_text()
    _changed(file, _inbound)
    done = project.run("preview", "--stack", STACK)
    file.write_text(whole)
    assert done.status != 0
    assert "networkpolicy-point-operator" in done.text
    assert "policyTypes" in done.text, done.text


def test_a_changed_value_is_an_upgrade_of_that_release_alone(project: Project, server: Any) -> None:
    project.write(INCLUSTER / "istio/gateway.yaml", ("replicaCount: 2", "replicaCount: 3"))
    made = project.up()
    assert made.status == 0, made.text
    revisions = {name: n for name, (_, _, n) in _revisions(server).items()}
    assert revisions == {**dict.fromkeys(INSTALLED, 1), GATEWAY: 2}
    assert len(_gateway(server)) == 3
    again = project.unchanged()
    assert again.status == 0, again.text


def test_a_release_whose_pods_the_namespace_refuses_takes_itself_back(project: Project, server: Any) -> None:
    project.write(INCLUSTER / "istio/gateway.yaml", ("  runAsNonRoot: true\n", "  runAsNonRoot: false\n"))
    project.write(INCLUSTER / "helm_own.py", ("_TIMEOUT_SECONDS = 600", "_TIMEOUT_SECONDS = 20"))
    made = project.up("--target", f"**Release::{GATEWAY}")
    assert made.status != 0
    assert GATEWAY in made.text, made.text
    assert _revisions(server)[GATEWAY] == ("istio-ingress", "deployed", 4)
    deployment = _get(server, "-n", "istio-ingress", f"deployment/{GATEWAY}")
    assert deployment["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True


def test_nothing_is_left_of_what_is_taken_away(project: Project, server: Any) -> None:
    done = project.run("destroy", "--yes", "--skip-preview", "--stack", STACK)
    assert done.status == 0, done.text
    assert _revisions(server) == {}
    left = {n["metadata"]["name"] for n in _get(server, "namespaces")["items"]}
    assert left <= {"default", "kube-system", "kube-public", "kube-node-lease"}
    for kind in ("deployments", "daemonsets", "pods", "mutatingwebhookconfigurations"):
        assert _get(server, kind, "-A")["items"] == []
