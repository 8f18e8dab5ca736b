"""A real API server, the operator as a process on it, and a few words to say what a test wants.

There is no kubelet and no controller: a test says itself that a Job or a rollout is through.
"""

import contextlib
import copy
import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import yaml
from point_local import apiserver
from point_operator import kinds, names
from point_operator.kinds import Kind

ROOT = Path(__file__).resolve().parents[2]
USER = "system:serviceaccount:point-system:point-operator"
NOW = "2026-01-01T00:00:00Z"
NAMESPACE = Kind("", "v1", "namespaces", "Namespace")

T = TypeVar("T")

SPEC: dict[str, Any] = {
    "image": "docker.io/library/point-service:0.1.0",
    "database": {
        "host": "mysql.data",
        "credentialsSecret": "points-db",
        "migrationSecret": "points-db-master",
    },
    "cache": {"host": "redis.data", "authSecret": "points-redis"},
    "gateway": {
        "hosts": ["points.localhost"],
        "jwt": {"issuer": "https://issuer.localhost", "audiences": ["points"], "jwks": '{"keys": []}'},
    },
}


class Kube:
    """The API as the administrator sees it."""

    def __init__(self, server: apiserver.ApiServer) -> None:
        self.server = server
        cert, key = server.kubeconfig.with_suffix(".crt"), server.kubeconfig.with_suffix(".key")
        context = ssl.create_default_context(cafile=str(server.directory / "ca.crt"))
        context.load_cert_chain(cert, key)
        self.client = httpx.Client(base_url=server.url, verify=context, timeout=10)

    def close(self) -> None:
        """Close its connections."""
        self.client.close()

    def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """Return an object, or None."""
        answer = self.client.get(kind.path(namespace, name))
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def find(self, kind: Kind, namespace: str) -> list[dict[str, Any]]:
        """Return the objects of a kind that this operator made."""
        answer = self.client.get(kind.path(namespace), params={"labelSelector": names.SELECTOR})
        fixed = {"apiVersion": kind.api_version, "kind": kind.kind}
        return [fixed | one for one in answer.raise_for_status().json()["items"]]

    def create(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object; its kind may be left out."""
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        path = kind.path("" if kind is NAMESPACE else body["metadata"]["namespace"])
        return self.client.post(path, json=body).raise_for_status().json()

    def patch(
        self, kind: Kind, namespace: str, name: str, patch: dict[str, Any], subresource: str = ""
    ) -> dict[str, Any]:
        """Merge into an object, as someone who edits by hand."""
        answer = self.client.patch(
            kind.path(namespace, name, subresource),
            json=patch,
            params={"fieldManager": "kubectl-edit"},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        return answer.raise_for_status().json()

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object."""
        self.client.delete(kind.path(namespace, name)).raise_for_status()

    def wait(self, what: str, condition: Callable[[], T | None], seconds: float = 15) -> T:
        """Return the first truthy value of `condition()`; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds} s: {what}")
            time.sleep(0.02)


class Tenant:
    """A namespace with everything that a PointService needs, and the PointService `points` in it."""

    def __init__(self, kube: Kube, namespace: str, host: str) -> None:
        self.kube, self.namespace, self.host = kube, namespace, host
        kube.create(NAMESPACE, {"metadata": {"name": namespace}})
        for name in ("points-db", "points-db-master", "points-redis"):
            self.secret(name, username="u", password="p")

    def secret(self, name: str, **values: str) -> None:
        """Create a Secret."""
        metadata = {"name": name, "namespace": self.namespace}
        self.kube.create(kinds.SECRET, {"metadata": metadata, "stringData": values})

    def create(self, name: str = "points", **changes: Any) -> dict[str, Any]:
        """Create the PointService; `changes` replace top-level fields of spec, `gateway` is merged."""
        spec = copy.deepcopy(SPEC)
        spec["gateway"]["hosts"] = [self.host]
        spec["gateway"]["tls"] = {"credentialName": "points-tls"}
        spec["gateway"] |= changes.pop("gateway", {})
        metadata = {"name": name, "namespace": self.namespace}
        return self.kube.create(kinds.POINT_SERVICE, {"metadata": metadata, "spec": spec | changes})

    def get(self, kind: Kind, name: str = "points") -> dict[str, Any] | None:
        """Return an object of the namespace."""
        return self.kube.get(kind, self.namespace, name)

    def at_gateway(self, kind: Kind) -> dict[str, Any] | None:
        """Return the child of a kind in the gateway's namespace."""
        return self.kube.get(kind, "istio-ingress", f"{self.namespace}.points")

    def edit(self, kind: Kind, patch: dict[str, Any], name: str = "points") -> dict[str, Any]:
        """Change an object of the namespace by hand."""
        return self.kube.patch(kind, self.namespace, name, patch)

    def spec(self, **changes: Any) -> dict[str, Any]:
        """Change the PointService's spec."""
        return self.edit(kinds.POINT_SERVICE, {"spec": changes})

    def condition(self, kind: str, name: str = "points") -> dict[str, Any]:
        """Return a condition of the PointService, empty when it is not there yet."""
        body = self.get(kinds.POINT_SERVICE, name) or {}
        found = body.get("status", {}).get("conditions", [])
        return next((one for one in found if one["type"] == kind), {})

    def wait_reason(
        self, kind: str, reason: str, name: str = "points", seconds: float = 15
    ) -> dict[str, Any]:
        """Return the condition once it has this reason."""

        def condition() -> dict[str, Any] | None:
            found = self.condition(kind, name)
            return found if found.get("reason") == reason else None

        return self.kube.wait(f"{kind}={reason} (is {self.condition(kind, name)})", condition, seconds)

    def job(self) -> dict[str, Any]:
        """Return the migration Job that is not finished yet."""

        def pending() -> dict[str, Any] | None:
            jobs = self.kube.find(kinds.JOB, self.namespace)
            return next((one for one in jobs if not one.get("status", {}).get("conditions")), None)

        return self.kube.wait("a migration Job", pending)

    def migrated(self) -> None:
        """Say that the migration went well."""
        both = [_condition("SuccessCriteriaMet", "True"), _condition("Complete", "True")]
        status = {"succeeded": 1, "startTime": NOW, "completionTime": NOW, "conditions": both}
        name = self.job()["metadata"]["name"]
        self.kube.patch(kinds.JOB, self.namespace, name, {"status": status}, "status")

    def migration_failed(self, message: str) -> None:
        """Say that the migration failed."""
        both = [
            _condition("FailureTarget", "True", message=message, reason="BackoffLimitExceeded"),
            _condition("Failed", "True", message=message, reason="BackoffLimitExceeded"),
        ]
        status = {"failed": 3, "startTime": NOW, "conditions": both}
        name = self.job()["metadata"]["name"]
        self.kube.patch(kinds.JOB, self.namespace, name, {"status": status}, "status")

    def rolled_out(self, replicas: int = 2, *, available: int | None = None, stuck: bool = False) -> None:
        """Say how far the Deployment is."""
        deployment = self.kube.wait("the Deployment", lambda: self.get(kinds.DEPLOYMENT))
        self.kube.patch(kinds.DEPLOYMENT, self.namespace, "points", {"spec": {"replicas": replicas}}, "scale")
        deployment = self.get(kinds.DEPLOYMENT) or {}
        ready = replicas if available is None else available
        progress = "ProgressDeadlineExceeded" if stuck else "NewReplicaSetAvailable"
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": replicas,
            "updatedReplicas": 0 if stuck else replicas,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": replicas - ready,
            "conditions": [
                _condition("Available", "True" if ready else "False"),
                _condition("Progressing", "False" if stuck else "True", reason=progress),
            ],
        }
        self.kube.patch(kinds.DEPLOYMENT, self.namespace, "points", {"status": status}, "status")

    def ready(self, **changes: Any) -> None:
        """Create the PointService and bring it to Ready."""
        self.create(**changes)
        self.migrated()
        self.rolled_out()
        self.wait_reason("Ready", "Available")
        self.wait_reason("Progressing", "Complete")


def _condition(kind: str, status: str, **more: str) -> dict[str, str]:
    times = (
        {"lastProbeTime": NOW}
        if kind in ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")
        else {}
    )
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": NOW,
        "reason": "Test",
        "message": "",
        **times,
        **more,
    }


@pytest.fixture(scope="session")
def server() -> Iterator[apiserver.ApiServer]:
    """An API server with the CRDs and the operator's manifests."""
    if missing := apiserver.missing_programs():
        pytest.skip(f"not built: {', '.join(missing)} (point-local tools)")
    with apiserver.start([apiserver.istio_crds(), ROOT / "crds/pointservices.yaml"]) as running:
        running.kubectl("create", "namespace", "istio-ingress")
        running.kubectl("apply", "--server-side", "-k", str(ROOT / "operator/deploy"))
        running.kubectl(
            "create", "secret", "generic", "points-tls", "-n", "istio-ingress",
            "--from-literal=tls.crt=c", "--from-literal=tls.key=k",
        )  # fmt: skip
        yield running


@pytest.fixture(scope="session")
def kube(server: apiserver.ApiServer) -> Iterator[Kube]:
    """The API as the administrator sees it."""
    with contextlib.closing(Kube(server)) as made:
        yield made


@pytest.fixture(scope="session")
def account(server: apiserver.ApiServer) -> Path:
    """A kubeconfig of the operator's own service account, with its rights and no others."""
    token = server.kubectl("create", "token", "point-operator", "-n", "point-system", "--duration=2h").strip()
    return server.token_kubeconfig("operator", token)


@pytest.fixture(scope="session")
def operator(server: apiserver.ApiServer, account: Path) -> Iterator["Process"]:
    """The operator, running."""
    process = Process(server, account, "--no-lease")
    process.start()
    yield process
    process.stop()


class Process:
    """The command `point-operator`, as a process of its own."""

    def __init__(
        self, server: apiserver.ApiServer, account: Path, *arguments: str, name: str = "one"
    ) -> None:
        self._arguments = [
            sys.executable,
            "-m",
            "point_operator.main",
            "--kubeconfig",
            str(account),
            *arguments,
        ]
        self.log = server.directory / f"operator-{name}.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._name = name
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 20) -> None:
        """Start it and wait until it is healthy."""
        environment = {
            **os.environ,
            "POINT_OPERATOR_HTTP_PORT": str(self.port),
            "POINT_OPERATOR_POD": self._name,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._arguments, stderr=log, stdout=subprocess.DEVNULL, env=environment
            )
        deadline = time.monotonic() + timeout
        while not self._healthy():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.05)

    def stop(self) -> int:
        """Ask it to end and return its exit status."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def metrics(self) -> str:
        """Return what Prometheus would read."""
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics").text

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        lines = [line for line in self.metrics().splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz").status_code == 200
        except httpx.TransportError:
            return False


_numbers = itertools.count(1)


@pytest.fixture
def make_tenant(kube: Kube, operator: Process) -> Callable[[], Tenant]:  # noqa: ARG001 - it must run
    """Make tenants, each with a namespace and a host of its own, under a running operator."""

    def make() -> Tenant:
        number = next(_numbers)
        return Tenant(kube, f"tenant-{number}", f"points-{number}.localhost")

    return make


@pytest.fixture
def tenant(make_tenant: Callable[[], Tenant]) -> Tenant:
    """A namespace of its own, under a running operator."""
    return make_tenant()


@pytest.fixture(scope="session")
def example() -> dict[str, Any]:
    """The example as a user applies it."""
    return yaml.safe_load((ROOT / "examples/pointservice.yaml").read_text())


@pytest.fixture
def spec() -> dict[str, Any]:
    """The smallest spec that is accepted."""
    return copy.deepcopy(SPEC)


@pytest.fixture(scope="module")
def optional_kinds(server: apiserver.ApiServer, operator: Process) -> Iterator[None]:
    """The kinds of other projects, known to the cluster and to the operator for one module of tests."""
    crds = [json.dumps(_loose_crd(kind)) for kind in kinds.OPTIONAL]
    operator.stop()
    for crd in crds:
        server.kubectl("apply", "-f", "-", stdin=crd)
        server.kubectl("wait", "--for=condition=Established", "--timeout=20s", "-f", "-", stdin=crd)
    operator.start()
    yield
    for crd in crds:
        server.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=crd)


def _loose_crd(kind: Kind) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {"plural": kind.plural, "kind": kind.kind},
            "versions": [{"name": kind.version, "served": True, "storage": True, "schema": schema}],
        },
    }


@pytest.fixture(scope="session")
def process() -> type[Process]:
    """How to run the operator as a process."""
    return Process
