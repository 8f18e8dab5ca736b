"""A real API server as its administrator sees it, and the operator as a process on it.

There is no kubelet and no controller: a test says itself that a Job or a rollout is through.
"""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from point_local.alone import apiserver
from point_local.alone.ports import free_port
from point_operator.model import names
from point_operator.model.kinds import Kind

T = TypeVar("T")


def _checked(answer: httpx.Response) -> httpx.Response:
    """Raise HTTPStatusError with what the API server said."""
    if answer.is_error:
        raise httpx.HTTPStatusError(answer.text, request=answer.request, response=answer)
    return answer


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
        return None if answer.status_code == 404 else _checked(answer).json()

    def find(self, kind: Kind, namespace: str) -> list[dict[str, Any]]:
        """Return the objects of a kind that this operator made."""
        answer = self.client.get(kind.path(namespace), params={"labelSelector": names.SELECTOR})
        fixed = {"apiVersion": kind.api_version, "kind": kind.kind}
        return [fixed | one for one in _checked(answer).json()["items"]]

    def create(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object; its kind may be left out."""
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        path = kind.path(body["metadata"].get("namespace", ""))
        return _checked(self.client.post(path, json=body)).json()

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
        return _checked(answer).json()

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object."""
        _checked(self.client.delete(kind.path(namespace, name)))

    def clear(self, kind: Kind, namespace: str) -> None:
        """Delete every object of a kind, if the server knows the kind; what holds them back is not waited for."""
        answer = self.client.delete(kind.path(namespace))
        if answer.status_code != 404:
            _checked(answer)

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


class Process:
    """The command `point-operator`, as a process of its own."""

    def __init__(
        self,
        server: apiserver.ApiServer,
        account: Path,
        *arguments: str,
        name: str = "one",
        **environment: str,
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
        self.port = free_port()
        self._environment = {
            **os.environ,
            # Whatever a test's jwksUri names is asked of nobody: not even the name leaves this machine.
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
            "POINT_OPERATOR_HTTP_PORT": str(self.port),
            "POINT_OPERATOR_POD": name,
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 20) -> None:
        """Start it and wait until it is healthy."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._arguments, stderr=log, stdout=subprocess.DEVNULL, env=self._environment
            )
        deadline = time.monotonic() + timeout
        while not self._healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                pytest.fail(f"not healthy within {timeout} s: {self.log.read_text()[-3000:]}")
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
