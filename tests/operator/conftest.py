"""A real API server, the operator as a process on it, and tenants under it."""

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from harness import gateway_api, gateway_trials
from harness.kube import Kube, Process
from harness.tenants import PUBLISHED, Tenant, add_certificate, gateway_pod
from point_local.alone import apiserver
from point_local.build import tools
from point_local.programs.command import wait_established
from point_operator.model import gateways, kinds

ROOT = Path(__file__).resolve().parents[2]

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
        "jwt": {"issuer": "https://issuer.localhost", "audiences": ["points"], "jwks": gateway_trials.JWKS},
    },
}


GATEWAYS = [gateways.DEFAULT] + [
    msgspec.structs.replace(gateways.DEFAULT, name=name, selector={"istio": name})
    for name in (f"tenant-{number}" for number in range(1, 200))
]
GATEWAYS.append(gateway_api.PLACE)
"""The operator's list: one for all, one that each tenant may have for itself, and one of Gateway API."""


@pytest.fixture(scope="session")
def server() -> Iterator[apiserver.ApiServer]:
    """An API server with the CRDs and the operator's manifests."""
    if missing := apiserver.missing_programs():
        pytest.skip(f"not built: {', '.join(missing)} (point-local tools)")
    with apiserver.start([apiserver.istio_crds(), ROOT / "crds/pointservices.yaml"]) as running:
        running.kubectl("create", "namespace", "istio-ingress")
        running.kubectl("apply", "--server-side", "-k", str(ROOT / "operator/deploy"))
        with contextlib.closing(Kube(running)) as kube:
            add_certificate(kube, "points-tls")
        yield running


@pytest.fixture(scope="session")
def kube(server: apiserver.ApiServer) -> Iterator[Kube]:
    """The API as the administrator sees it."""
    with contextlib.closing(Kube(server)) as made:
        gateway_pod(made, "istio-ingressgateway-1", {"istio": "ingressgateway"})
        yield made


@pytest.fixture(scope="session")
def account(server: apiserver.ApiServer) -> Path:
    """A kubeconfig of the operator's own service account, with its rights and no others."""
    token = server.kubectl("create", "token", "point-operator", "-n", "point-system", "--duration=2h").strip()
    return server.token_kubeconfig("operator", token)


@pytest.fixture(scope="session")
def operator(server: apiserver.ApiServer, account: Path, kube: Kube) -> Iterator[Process]:  # noqa: ARG001 - its gateway
    """The operator, running."""
    process = Process(server, account, "--no-lease", POINT_OPERATOR_GATEWAYS=";".join(map(str, GATEWAYS)))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def example() -> dict[str, Any]:
    """The example as a user applies it."""
    return yaml.safe_load((ROOT / "examples/pointservice.yaml").read_text())


@pytest.fixture
def spec() -> dict[str, Any]:
    """The smallest spec that is accepted."""
    return copy.deepcopy(SPEC)


@pytest.fixture(scope="session")
def process() -> type[Process]:
    """How to run the operator as a process."""
    return Process


_numbers = itertools.count(1)


@pytest.fixture
def make_tenant(kube: Kube, operator: Process, spec: dict[str, Any]) -> Iterator[Callable[[], Tenant]]:  # noqa: ARG001 - it must run
    """Make tenants, each with a namespace and a host of its own, under a running operator.

    Their PointServices go with the test: one that is never Ready would be looked at every ten seconds from then on.
    """
    made: list[Tenant] = []

    def make() -> Tenant:
        number = next(_numbers)
        made.append(Tenant(kube, f"tenant-{number}", f"points-{number}.localhost", spec))
        return made[-1]

    yield make
    for one in made:
        kube.clear(kinds.POINT_SERVICE, one.namespace)


@pytest.fixture
def tenant(make_tenant: Callable[[], Tenant]) -> Tenant:
    """A namespace of its own, under a running operator."""
    return make_tenant()


@pytest.fixture
def optional_kinds(server: Any, operator: Any) -> Iterator[None]:
    """The kinds of other projects as these publish them, known to cluster and operator for one test."""
    crds = [str(tools.module_dir(*module) / file) for module, file in PUBLISHED.values()]
    operator.stop()
    for crd in crds:
        server.kubectl("apply", "--server-side", "-f", crd)
        wait_established(server.kubectl, "-f", crd)
    operator.start()
    yield
    for crd in crds:
        server.kubectl("delete", "--ignore-not-found", "-f", crd)
