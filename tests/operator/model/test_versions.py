"""A PointService is one thing under the two names of its version, on a real API server."""

import json
from typing import Any

import msgspec
import pytest
from point_operator.model import kinds

pytestmark = pytest.mark.integration

ALPHA = kinds.POINT_SERVICE
BETA = msgspec.structs.replace(ALPHA, version="v1beta1")


@pytest.fixture(scope="module")
def namespace(kube: Any) -> str:
    """A namespace of its own."""
    kube.server.kubectl("create", "namespace", "versions")
    return "versions"


@pytest.mark.parametrize(("written", "read"), [(ALPHA, BETA), (BETA, ALPHA)], ids=lambda one: one.version)
def test_what_is_written_by_one_name_is_read_by_the_other_and_put_back(
    kube: Any, namespace: str, spec: dict[str, Any], written: kinds.Kind, read: kinds.Kind
) -> None:
    name = f"by-{written.version}"
    asked = _body(written, namespace, name, spec)
    _apply(kube, asked)

    def both() -> tuple[dict[str, Any], dict[str, Any]] | None:
        """As it is by either name; None when an operator that runs has written in between."""
        status = {"status": {"image": spec["image"], "url": "https://points.example"}}
        one = kube.patch(written, namespace, name, status, "status")
        other = kube.get(read, namespace, name)
        same = one["metadata"]["resourceVersion"] == other["metadata"]["resourceVersion"]
        return (one, other) if same else None

    one, other = kube.wait("a quiet moment", both)
    assert other == one | {"apiVersion": read.api_version}
    del other["metadata"]["resourceVersion"]
    kube.server.kubectl("replace", "-f", "-", stdin=json.dumps(other))
    _apply(kube, asked | {"apiVersion": read.api_version})
    again = kube.get(written, namespace, name)
    assert again["spec"] == one["spec"]
    assert again["metadata"]["generation"] == one["metadata"]["generation"] == 1
    kube.delete(read, namespace, name)
    assert kube.get(written, namespace, name) is None


def test_server_side_apply_by_either_name_is_the_same_manager_s(
    kube: Any, namespace: str, spec: dict[str, Any]
) -> None:
    """A field that is left out of the next apply goes, whichever name either was written by."""
    for kind, more in ((ALPHA, {"logLevel": "DEBUG"}), (BETA, {})):
        _apply(kube, _body(kind, namespace, "applied", spec | more), "--server-side")
    assert kube.get(ALPHA, namespace, "applied")["spec"]["logLevel"] == "INFO"
    kube.delete(ALPHA, namespace, "applied")


def test_both_names_are_explained_alike(kube: Any) -> None:
    def explained(kind: kinds.Kind, *more: str) -> str:
        said = kube.server.kubectl("explain", "pts.spec", f"--api-version={kind.api_version}", *more)
        assert f"VERSION:    {kind.version}" in said
        return said.replace(kind.version, "")

    for more in ((), ("--recursive",)):
        assert explained(ALPHA, *more) == explained(BETA, *more)
    assert "memberClaim" in explained(BETA, "--recursive")


def test_both_names_refuse_alike(kube: Any, namespace: str, spec: dict[str, Any]) -> None:
    said = set[str]()
    for kind in (ALPHA, BETA):
        wrong = spec | {"autoscaling": {"minReplicas": 5, "maxReplicas": 4}}
        answer = kube.client.post(kind.path(namespace), json=_body(kind, namespace, "points", wrong))
        assert answer.status_code == 422
        said.add(answer.json()["message"])
    assert len(said) == 1
    assert "minReplicas must not be above" in said.pop()


def _body(kind: kinds.Kind, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """One that an operator would leave alone, at a host of its own."""
    gateway = spec["gateway"] | {"hosts": [f"{name}.{namespace}.example"]}
    metadata = {"name": name, "namespace": namespace}
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    return body | {"spec": spec | {"paused": True, "gateway": gateway}}


def _apply(kube: Any, body: dict[str, Any], *more: str) -> None:
    kube.server.kubectl("apply", *more, "-f", "-", stdin=json.dumps(body))
