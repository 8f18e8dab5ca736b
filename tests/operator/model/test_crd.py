"""What the API server refuses before the operator sees it, and how it says so."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import gateway_trials, pod_trials, trials
from point_operator.model import api, kinds, names
from point_operator.resources import plan
from point_operator.resources.surroundings import Release, Surroundings

pytestmark = pytest.mark.integration

TRIALS = [*trials.TRIALS, *gateway_trials.TRIALS, *pod_trials.TRIALS]
TAKEN = [(path, value) for path, taken, _ in TRIALS for value in taken]
REFUSED = [(path, value, said) for path, _, refused in TRIALS for value, said in refused]


@pytest.fixture(scope="module")
def namespace(kube: Any) -> str:
    """A namespace in which no operator meets a valid PointService."""
    kube.server.kubectl("create", "namespace", "refused")
    return "refused"


@pytest.mark.parametrize(("path", "value", "said"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_can_t_work_is_refused_with_a_reason(
    kube: Any, namespace: str, spec: dict[str, Any], path: str, value: Any, said: str
) -> None:
    answer = _create(kube, namespace, "points", _with(spec, path, value), dry=True)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["message"]


@pytest.mark.parametrize(("path", "value"), TAKEN, ids=lambda value: str(value)[:40])
def test_what_works_is_taken(kube: Any, namespace: str, spec: dict[str, Any], path: str, value: Any) -> None:
    answer = _create(kube, namespace, "points", _with(spec, path, value), dry=True)
    assert answer.status_code == 201, answer.text


def test_what_a_pod_is_given_to_end_is_held_against_what_it_needs(
    kube: Any, namespace: str, spec: dict[str, Any]
) -> None:
    for drain, grace, code in ((0, 10, 201), (60, 69, 422), (60, 70, 201), (300, 310, 201)):
        asked = spec | {
            "server": {"drainTimeoutSeconds": drain},
            "podTemplate": {"terminationGracePeriodSeconds": grace},
        }
        assert _create(kube, namespace, "points", asked, dry=True).status_code == code, (drain, grace)


@pytest.mark.parametrize("component", [names.SERVICE, names.CANARY, "migration", "rate-limit"])
def test_no_label_or_annotation_of_ours_can_be_replaced(
    kube: Any, namespace: str, spec: dict[str, Any], component: str
) -> None:
    """Of each that the operator's own pods have, as they are."""
    template = _templates(spec)[component]["metadata"]
    for field in ("labels", "annotations"):
        for key in template.get(field, {}):
            asked = _with(spec, f"podTemplate.{field}", {key: "x"})
            answer = _create(kube, namespace, "points", asked, dry=True)
            assert answer.status_code == 422, (field, key)
            assert f"podTemplate.{field} must not" in answer.json()["message"]


def _templates(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The pods of a PointService that has each kind of them, by component."""
    limit = {"rateLimit": {"scope": "Global"}}
    body = {"metadata": {"name": "points", "namespace": "points", "uid": "u"}}
    point_service = api.parse(body | {"spec": spec | {"gateway": spec["gateway"] | limit}})
    made = plan.build(point_service, Surroundings(), Release(spec["image"], canary=1, weight=10)).everything
    found = [one["spec"]["template"] for one in made if one["kind"] in ("Deployment", "Job")]
    return {one["metadata"]["labels"][names.COMPONENT]: one for one in found}


def test_every_field_has_its_trials() -> None:
    crd = yaml.safe_load((Path(__file__).resolve().parents[3] / "crds/pointservices.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    tried = {path.replace(":uri", "") for path, _, _ in TRIALS}
    fields = set(_leaves(schema, ""))
    assert {one for one in fields if not any(f"{one}.".startswith(f"{path}.") for path in tried)} == set()


def _leaves(schema: dict[str, Any], path: str) -> Iterator[str]:
    fields = schema.get("properties", {})
    if not fields:
        yield path
    for name, field in fields.items():
        yield from _leaves(field, f"{path}.{name}" if path else name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("9lives", "metadata.name must start with a letter"),
        ("a.b", "metadata.name must start with a letter"),
        ("x" * 41, "metadata.name must start with a letter"),
        ("points-canary", "must not end in -canary or -rate-limit"),
        ("points-rate-limit", "must not end in -canary or -rate-limit"),
    ],
)
def test_a_name_that_no_service_could_have_is_refused(
    kube: Any, namespace: str, spec: dict[str, Any], name: str, said: str
) -> None:
    assert said in _create(kube, namespace, name, spec, dry=True).json()["message"]


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


def test_keys_become_the_clients_own_a_step_at_a_time(
    kube: Any, namespace: str, spec: dict[str, Any]
) -> None:
    """Before a pod keeps keys by client every pod must look for them so, and the gateway say the client."""

    def patch(**changed: Any) -> str:
        arguments = (
            "patch",
            "pts",
            "steps",
            "-n",
            namespace,
            "--type=merge",
            "-p",
            json.dumps({"spec": changed}),
        )
        return kube.server.kubectl(*arguments, check=False)

    by_client, by_caller = {"idempotencyScope": "Client"}, {"idempotencyScope": None}
    named, unnamed = ({"jwt": {"clientClaim": claim}} for claim in ("azp", None))
    alone, a_step_before = "must not change together with image", "clientClaim must stay as it is"
    _create(kube, namespace, "steps", spec).raise_for_status()
    assert a_step_before in patch(server=by_client, gateway=named)
    assert "needs gateway.jwt.clientClaim" in patch(server=by_client)
    assert "patched" in patch(gateway=named)
    assert alone in patch(server=by_client, image="other:1")
    assert "patched" in patch(server=by_client)
    assert a_step_before in patch(gateway={"jwt": {"clientClaim": "client_id"}})
    assert a_step_before in patch(server=by_caller, gateway=unnamed)
    assert "patched" in patch(image="other:1")
    assert alone in patch(server=by_caller, image="other:2")
    assert "patched" in patch(server=by_caller)
    assert "patched" in patch(gateway=unnamed)
    kube.delete(kinds.POINT_SERVICE, namespace, "steps")


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


def _with(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The spec with another value at a path; `:uri` has the keys fetched instead of given."""
    changed = copy.deepcopy(spec)
    if ":uri" in path:
        changed["gateway"]["jwt"] = dict(gateway_trials.URI)
    *folders, name = path.replace(":uri", "").split(".")
    place = changed
    for folder in folders:
        place = place.setdefault(folder, {})
    place[name] = value
    return changed


def _create(kube: Any, namespace: str, name: str, spec: dict[str, Any], *, dry: bool = False) -> Any:
    metadata = {"name": name, "namespace": namespace}
    kind = kinds.POINT_SERVICE
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
    return kube.client.post(kind.path(namespace), json=body, params={"dryRun": "All"} if dry else {})
