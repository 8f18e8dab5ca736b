"""What the API server refuses before the operator sees it, and how it says so."""

import copy
from typing import Any

import pytest
import yaml
from point_operator.model import api, kinds

pytestmark = pytest.mark.integration

JWT = {"issuer": "https://issuer.localhost", "jwks": '{"keys": []}'}
DATABASE = {"host": "m", "credentialsSecret": "a", "migrationSecret": "b"}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"autoscaling": {"minReplicas": 5, "maxReplicas": 4}}, "minReplicas must not be above"),
    ({"gateway": {"jwt": {"issuer": "i"}}}, "exactly one of gateway.jwt.jwks and gateway.jwt.jwksUri"),
    ({"gateway": {"jwt": JWT | {"jwksUri": "https://i/keys"}}}, "exactly one of gateway.jwt.jwks"),
    ({"gateway": {"jwt": {"issuer": "i", "jwks": "", "jwksUri": ""}}}, "an empty one counts as absent"),
    ({"gateway": {"jwt": {"issuer": "i", "jwks": "keys"}}}, "jwks must be a JSON Web Key Set"),
    (
        {"gateway": {"jwt": {"issuer": "i", "jwks": '{"keys": [{"kty": "RSA", "d": "x"}]}'}}},
        "public keys only",
    ),
    ({"gateway": {"jwt": {"issuer": "i", "jwks": '{"keys": [{"kty":"oct","k":"x"}]}'}}}, "public keys only"),
    ({"gateway": {"jwt": {"issuer": "i", "jwksUri": "issuer"}}}, "jwksUri must be an http or https URL"),
    ({"gateway": {"jwt": JWT | {"memberClaim": "role"}}}, "two different claims"),
    ({"gateway": {"jwt": JWT | {"issuer": ""}}}, "should be at least 1 chars long"),
    ({"gateway": {"hosts": ["https://points.localhost"]}}, "plain lower-case DNS name"),
    ({"gateway": {"hosts": ["*.localhost"]}}, "plain lower-case DNS name"),
    ({"gateway": {"hosts": ["points.localhost:443"]}}, "plain lower-case DNS name"),
    ({"gateway": {"hosts": ["Points.localhost"]}}, "plain lower-case DNS name"),
    ({"gateway": {"hosts": ["10.0.0.1"]}}, "plain lower-case DNS name"),
    ({"gateway": {"hosts": []}}, "should have at least 1 items"),
    ({"gateway": {"hosts": ["a.localhost", "a.localhost"]}}, "Duplicate value"),
    ({"gateway": {"cors": {"allowOrigins": ["shop.example.com"]}}}, "CORS origin must be scheme://host"),
    ({"gateway": {"cors": {"allowOrigins": ["https://shop.example.com/x"]}}}, "CORS origin must be"),
    ({"gateway": {"cors": {"allowOrigins": ["*"]}}}, "CORS origin must be"),
    ({"gateway": {"cors": {"allowOrigins": ["https://a:99999x"]}}}, "CORS origin must be"),
    ({"gateway": {"rateLimit": {"requestsPerSecond": 0}}}, "must be above zero"),
    ({"gateway": {"rateLimit": {"requestsPerSecond": -1}}}, "must be above zero"),
    ({"gateway": {"rateLimit": {"burst": 0}}}, "rateLimit.burst must be above zero"),
    (
        {"gateway": {"rateLimit": {"perMember": {"requestsPerSecond": 0}}}},
        "perMember.requestsPerSecond must be",
    ),
    ({"gateway": {"rateLimit": {"perMember": {"requestsPerSecond": 1001}}}}, "must not be above"),
    ({"gateway": {"rateLimit": {"scope": "Everywhere"}}}, "Unsupported value"),
    ({"gateway": {"rateLimit": {"scope": "Global", "burst": 5}}}, "have no meaning with scope Global"),
    (
        {"gateway": {"rateLimit": {"scope": "Global", "perMember": {"requestsPerSecond": 5, "burst": 9}}}},
        "have no meaning with scope Global",
    ),
    ({"gateway": {"selector": {}}}, "at least one label"),
    ({"database": DATABASE | {"name": "a-b"}}, "letters, digits and underscores"),
    ({"database": DATABASE | {"tls": {"enabled": False, "caSecret": "x"}}}, "has no meaning while"),
    ({"policy": {"minEarn": 10, "maxEarn": 5}}, "minEarn <= maxEarn <= maxBalance"),
    ({"policy": {"defaultExpiryDays": 9, "maxExpiryDays": 8}}, "defaultExpiryDays must not be above"),
    ({"image": "an image"}, "one image reference without spaces"),
    ({"image": ""}, "should be at least 1 chars long"),
    ({"imagePullPolicy": "Sometimes"}, "Unsupported value"),
    ({"resources": {"requests": {"cpu": "lots"}}}, "should match"),
    ({"mesh": {"timeoutSeconds": 0}}, "should be greater than or equal to 1"),
]


@pytest.fixture(scope="module")
def namespace(kube: Any) -> str:
    """A namespace in which no operator meets a valid PointService."""
    kube.server.kubectl("create", "namespace", "refused")
    return "refused"


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_wrong_spec_is_refused_with_a_reason(
    kube: Any, namespace: str, spec: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    answer = _create(kube, namespace, "points", _merged(spec, change))
    assert answer.status_code == 422, answer.text
    assert message in answer.json()["message"]


@pytest.mark.parametrize("name", ["9lives", "a.b", "x" * 41])
def test_a_name_that_no_service_could_have_is_refused(
    kube: Any, namespace: str, spec: dict[str, Any], name: str
) -> None:
    answer = _create(kube, namespace, name, spec)
    assert "metadata.name must start with a letter" in answer.json()["message"]


@pytest.mark.parametrize("name", ["points-canary", "points-rate-limit"])
def test_a_name_that_another_one_gives_to_its_children_is_refused(
    kube: Any, namespace: str, spec: dict[str, Any], name: str
) -> None:
    answer = _create(kube, namespace, name, spec)
    assert "must not end in -canary or -rate-limit" in answer.json()["message"]


def test_the_database_can_not_be_changed_for_another(kube: Any, namespace: str, spec: dict[str, Any]) -> None:
    _create(kube, namespace, "moved", spec).raise_for_status()
    patch = '{"spec": {"database": {"name": "other"}}}'
    output = kube.server.kubectl(
        "patch", "pts", "moved", "-n", namespace, "--type=merge", "-p", patch, check=False
    )
    assert "database.name is immutable" in output
    kube.delete(kinds.POINT_SERVICE, namespace, "moved")


def test_the_operator_knows_the_same_defaults(kube: Any, namespace: str, spec: dict[str, Any]) -> None:
    made = _create(kube, namespace, "plain", spec).raise_for_status().json()
    assert api.parse(made).spec == api.parse(made | {"spec": spec}).spec
    kube.delete(kinds.POINT_SERVICE, namespace, "plain")


def test_every_field_is_explained(kube: Any) -> None:
    crd = yaml.safe_load(kube.server.kubectl("get", "crd", "pointservices.pointservice.io", "-o", "yaml"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert sorted(_unexplained(schema, "spec")) == []


def _unexplained(schema: dict[str, Any], path: str) -> list[str]:
    found = [] if schema.get("description") else [path]
    for name, field in schema.get("properties", {}).items():
        found += _unexplained(field, f"{path}.{name}")
    return found


def _merged(spec: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    gateway = spec["gateway"] | change.get("gateway", {})
    return copy.deepcopy(spec | change | {"gateway": gateway})


def _create(kube: Any, namespace: str, name: str, spec: dict[str, Any]) -> Any:
    metadata = {"name": name, "namespace": namespace}
    kind = kinds.POINT_SERVICE
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
    return kube.client.post(kind.path(namespace), json=body)
