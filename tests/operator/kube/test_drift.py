"""When a child still is what was applied, and what of others' additions is taken back."""

from typing import Any

import pytest
from point_operator.kube import drift

MANIFEST: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "points", "namespace": "points", "labels": {"a": "b"}},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "spec": {"containers": [{"name": "app", "resources": {"limits": {"cpu": "0.5"}}, "args": ["x"]}]}
        },
    },
}
CONTAINER = 'k:{"name":"app"}'


def _fields() -> dict[str, Any]:
    """What the server notes as ours after MANIFEST was applied: the selector and the arguments as a whole."""
    container = {".": {}, "f:name": {}, "f:resources": {"f:limits": {"f:cpu": {}}}, "f:args": {}}
    template = {"f:spec": {"f:containers": {CONTAINER: container}}}
    return {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {"f:selector": {}, "f:template": template},
    }


def _live(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    versions = {"Deployment": "apps/v1", "VirtualService": "networking.istio.io/v1"}
    metadata = {"managedFields": list(entries), "creationTimestamp": "t"}
    return {"apiVersion": versions.get(kind, "v1"), "kind": kind, "metadata": metadata}


def _ours(fields: dict[str, Any]) -> dict[str, Any]:
    return {"manager": "point-operator", "operation": "Apply", "fieldsV1": fields}


def _theirs(fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": fields, **more}


def _template(**parts: Any) -> dict[str, Any]:
    return {"f:spec": {"f:template": {f"f:{name}": fields for name, fields in parts.items()}}}


def test_what_is_ours_is_as_applied_however_the_server_writes_it() -> None:
    assert drift.holds(MANIFEST, _live("Deployment", _ours(_fields())))


@pytest.mark.parametrize(
    "gone",
    [
        ("f:metadata", "f:labels", "f:a"),
        ("f:spec", "f:selector"),
        ("f:spec", "f:template", "f:spec", "f:containers", CONTAINER, "f:args"),
        ("f:spec", "f:template", "f:spec", "f:containers", CONTAINER, "f:resources", "f:limits", "f:cpu"),
        ("f:spec", "f:template", "f:spec", "f:containers", CONTAINER),
    ],
)
def test_what_somebody_has_taken_is_not(gone: tuple[str, ...]) -> None:
    fields = _fields()
    place = fields
    for name in gone[:-1]:
        place = place[name]
    del place[gone[-1]]
    place["f:kept"] = {}  # an empty set of fields would mean the whole
    assert not drift.holds(MANIFEST, _live("Deployment", _ours(fields)))


def test_what_we_have_never_applied_is_not_as_applied() -> None:
    assert not drift.holds(MANIFEST, _live("Deployment"))
    assert not drift.holds(MANIFEST, _live("Deployment", _theirs(_fields())))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("VirtualService", {"f:spec": {"f:exportTo": {}}}),
        ("Deployment", _template(spec={"f:hostNetwork": {}})),
        ("Deployment", _template(spec={"f:containers": {'k:{"name":"more"}': {".": {}, "f:image": {}}}})),
        (
            "Deployment",
            _template(spec={"f:containers": {CONTAINER: {"f:env": {'k:{"name":"POINT_X"}': {}}}}}),
        ),
        ("Deployment", _template(metadata={"f:annotations": {"f:traffic.sidecar.istio.io/x": {}}})),
        ("Deployment", _template(metadata={"f:labels": {"f:security.istio.io/tlsMode": {}}})),
    ],
)
def test_what_is_added_to_what_guards_is_taken_back(kind: str, fields: dict[str, Any]) -> None:
    assert drift.additions(_live(kind, _ours(_fields()), _theirs(fields))) == fields


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Deployment", {"f:spec": {"f:replicas": {}}}),
        ("Deployment", {"f:spec": {"f:paused": {}}}),
        ("Deployment", _template(metadata={"f:annotations": {".": {}, "f:kubectl.kubernetes.io/restartedAt": {}}})),
        ("Deployment", _template(metadata={"f:annotations": {"f:a/b": {}, "f:c/d": {}}})),
        ("Deployment", _template(spec={"f:containers": {CONTAINER: {"f:env": {'k:{"name":"STAKATER_X"}': {}}}}})),
        ("Deployment", _template(spec={"f:containers": {CONTAINER: {"f:args": {}}}})),
        ("ServiceAccount", {"f:imagePullSecrets": {}}),
        ("ConfigMap", {"f:data": {"f:more": {}}}),
        ("VirtualService", {"f:metadata": {"f:labels": {}}}),
    ],
    ids=[
        "replicas", "paused", "a restart", "two annotations at once", "a reloader's variable", "also ours",
        "a cluster's pull secret", "more data", "metadata",
    ],
)  # fmt: skip
def test_everything_else_that_is_added_stays(kind: str, fields: dict[str, Any]) -> None:
    assert drift.additions(_live(kind, _ours(_fields()), _theirs(fields))) == {}


@pytest.mark.parametrize(
    "entry",
    [_theirs({"f:spec": {"f:b": {}}}, subresource="status"), _ours({"f:spec": {"f:b": {}}})],
    ids=["a subresource's", "ours"],
)
def test_who_may_add(entry: dict[str, Any]) -> None:
    assert drift.additions(_live("VirtualService", entry)) == {}


def test_a_claim_takes_additions_and_leaves_the_rest_with_its_owner() -> None:
    mixed = {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:hostNetwork": {}}}}}
    live = _live("Deployment", _ours(_fields()), _theirs(mixed))
    theirs, ours = drift.claim(live, drift.additions(live))
    assert theirs == _theirs({"f:spec": {"f:replicas": {}}})
    assert ours["fieldsV1"]["f:spec"]["f:template"]["f:spec"].keys() == {"f:containers", "f:hostNetwork"}
    assert "f:replicas" not in ours["fieldsV1"]["f:spec"]


def test_a_claim_without_an_entry_of_ours_makes_one() -> None:
    live = _live("VirtualService", _theirs({"f:spec": {"f:b": {}}}))
    (entry,) = drift.claim(live, drift.additions(live))
    assert (entry["manager"], entry["operation"]) == ("point-operator", "Apply")
    assert entry["fieldsV1"] == {"f:spec": {"f:b": {}}}


def test_what_is_adopted_is_taken_over_but_for_the_number_of_pods() -> None:
    live = _live("Deployment", _theirs({"f:spec": {"f:replicas": {}, "f:paused": {}}, "f:metadata": {}}))
    assert drift.additions(live, adopted=True) == {"f:spec": {"f:paused": {}}}
