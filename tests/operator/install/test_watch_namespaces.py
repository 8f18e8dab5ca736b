"""An operator for some namespaces only: it has no right elsewhere, needs none, and says when it can't work."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.gateway_trials import JWKS
from harness.kube import Kube, Process
from harness.tenants import PUBLISHED, Tenant, add_certificate, gateway_pod
from point_local.alone import apiserver
from point_local.build import tools
from point_local.programs import paths
from point_local.programs.command import wait_established
from point_operator.model import kinds, names

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[3]
USER = "system:serviceaccount:point-system:point-operator"
WATCHED = "team-a"


@pytest.fixture(scope="module")
def installed() -> Iterator[apiserver.ApiServer]:
    """An API server where the chart was installed for one namespace."""
    if missing := apiserver.missing_programs():
        pytest.skip(f"not built: {', '.join(missing)} (point-local tools)")
    with apiserver.start([apiserver.istio_crds(), ROOT / "crds/pointservices.yaml"]) as server:
        for namespace in ("istio-ingress", "old-ingress", "point-system"):
            server.kubectl("create", "namespace", namespace)
        yield server


@pytest.fixture(scope="module")
def tenants(installed: apiserver.ApiServer) -> Iterator[tuple[Tenant, Tenant]]:
    """One in the watched namespace, and one elsewhere."""
    spec: dict[str, Any] = {
        "image": "docker.io/library/point-service:0.1.0",
        "database": {"host": "db", "credentialsSecret": "points-db", "migrationSecret": "points-db-master"},
        "cache": {"host": "redis", "authSecret": "points-redis"},
        "gateway": {"jwt": {"issuer": "https://i.localhost", "audiences": ["a"], "jwks": JWKS}},
    }
    with contextlib.closing(Kube(installed)) as kube:
        add_certificate(kube, "points-tls")
        gateway_pod(kube, "gateway-1", {"istio": "ingressgateway"})
        pair = tuple(Tenant(kube, name, f"{name}.localhost", spec) for name in (WATCHED, "team-b"))
        values = f"watchNamespaces={{{WATCHED}}},formerGatewayNamespaces={{old-ingress}}"
        chart = [
            str(paths.BIN / "helm"),
            "template",
            "point-operator",
            str(ROOT / "operator/chart"),
            "--skip-tests",
        ]
        made = subprocess.run(
            [*chart, "--namespace", "point-system", "--set", values],
            capture_output=True,
            text=True,
            check=True,
        )
        installed.kubectl("apply", "--server-side", "-f", "-", stdin=made.stdout)
        yield pair


@pytest.fixture
def account(installed: apiserver.ApiServer, tenants: Any) -> Path:  # noqa: ARG001 - installs it
    token = installed.kubectl("create", "token", "point-operator", "-n", "point-system").strip()
    return installed.token_kubeconfig("watching", token)


def test_it_looks_after_its_namespaces_with_rights_in_them_alone(
    installed: apiserver.ApiServer, tenants: tuple[Tenant, Tenant], account: Path
) -> None:
    watched, other = tenants
    left = {"metadata": {"name": "left", "namespace": "old-ingress", "labels": _shared_labels()}, "spec": {}}
    watched.kube.create(kinds.ENVOY_FILTER, left)
    environment = {
        "POINT_OPERATOR_WATCH_NAMESPACES": WATCHED,
        "POINT_OPERATOR_FORMER_GATEWAY_NAMESPACES": "old-ingress",
    }
    process = Process(installed, account, "--no-lease", name="watching", **environment)
    process.start()
    try:
        other.create()
        watched.ready()
        watched.kube.delete(kinds.SERVICE, WATCHED, "points")
        watched.kube.wait("the Service to return", lambda: watched.get(kinds.SERVICE))
        watched.kube.wait(
            "what is left at a former gateway to go",
            lambda: watched.kube.get(kinds.ENVOY_FILTER, "old-ingress", "left") is None,
        )
        watched.kube.delete(kinds.POINT_SERVICE, WATCHED, "points")
        watched.kube.wait("it to be gone", lambda: watched.get(kinds.POINT_SERVICE) is None)
    finally:
        process.stop()
    assert "status" not in (other.get(kinds.POINT_SERVICE) or {})
    assert other.kube.find(kinds.DEPLOYMENT, "team-b") == []
    answered = [
        (one.get("responseStatus", {}).get("code"), one["requestURI"]) for one in installed.audit(USER)
    ]
    assert [uri for code, uri in answered if code == 403] == []


def test_a_kind_that_is_installed_later_is_watched(
    installed: apiserver.ApiServer, tenants: tuple[Tenant, Tenant], account: Path
) -> None:
    watched, _ = tenants
    process = Process(installed, account, "--no-lease", name="early", POINT_OPERATOR_WATCH_NAMESPACES=WATCHED)
    process.start()
    module, file = PUBLISHED[kinds.SERVICE_MONITOR]
    crd = str(tools.module_dir(*module) / file)
    try:
        watched.kube.wait("it to have looked what to watch", lambda: "Unresolved" in process.log.read_text())
        installed.kubectl("apply", "--server-side", "-f", crd)
        wait_established(installed.kubectl, "-f", crd)
        watched.ready()
        watched.kube.wait("it to be there", lambda: watched.get(kinds.SERVICE_MONITOR))
        # What no watch tells of is seen at the next look only: once may be luck.
        watched.kube.wait(
            "it to be watched", lambda: all(watched.repaired(kinds.SERVICE_MONITOR) for _ in range(4)), 50
        )
        watched.kube.delete(kinds.POINT_SERVICE, WATCHED, "points")
        watched.kube.wait("it to be gone", lambda: watched.get(kinds.POINT_SERVICE) is None)
    finally:
        process.stop()
        installed.kubectl("delete", "--ignore-not-found", "-f", crd)


def test_check_says_what_is_wrong_and_what_is_right(installed: apiserver.ApiServer, account: Path) -> None:
    status, said = _check(account)
    assert status == 1
    assert "ok    The API server knows pointservices.pointservice.io" in said
    assert "WRONG Nobody holds Lease point-system/point-operator" in said
    assert "ok    Gateway default: 1 of 1 pods in istio-ingress are ready" in said
    process = Process(installed, account, name="leading", POINT_OPERATOR_WATCH_NAMESPACES=WATCHED)
    process.start()
    try:
        status, said = _check(account)
    finally:
        process.stop()
    assert (status, "WRONG" in said) == (0, False), said
    elsewhere = "default=nowhere/istio=ingressgateway/istio-ingressgateway"
    status, said = _check(account, POINT_OPERATOR_GATEWAYS=elsewhere)
    assert status == 1
    assert "WRONG The API server did not answer: Forbidden" in said


def _check(account: Path, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "point_operator.main", "check", "--kubeconfig", str(account)]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def _shared_labels() -> dict[str, str]:
    return {names.MANAGED_BY: names.FIELD_MANAGER, names.SHARED: "nobody-s"}
