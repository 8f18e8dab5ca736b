"""When a child still is what was applied."""

from typing import Any

import pytest
from point_operator.kube import drift


@pytest.mark.parametrize(
    ("wanted", "live", "same"),
    [
        ({"a": 1}, {"a": 1, "default": 2}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "default": 2}]}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": {}}, {"a": None}, False),
        ({"a": "1"}, {"a": 1}, False),
    ],
)
def test_defaults_on_top_are_no_drift(wanted: object, live: object, same: bool) -> None:
    assert drift.matches(wanted, live) is same


def _live(*entries: dict[str, Any]) -> dict[str, Any]:
    metadata = {"managedFields": list(entries), "creationTimestamp": "t"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata}


def _entry(manager: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "fieldsV1": fields, **more}


OURS = {"manager": "point-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:a": {}}}}


@pytest.mark.parametrize(
    ("entry", "foreign"),
    [
        (OURS, False),
        (_entry("kubectl-edit", {"f:spec": {"f:b": {}}}), True),
        (_entry("kubectl-edit", {"f:metadata": {"f:labels": {}}}), False),
        (_entry("controller", {"f:status": {}}, subresource="status"), False),
        (_entry("hpa", {"f:spec": {}}, subresource="scale"), False),
        (_entry("point-operator", {"f:spec": {"f:b": {}}}), True),
    ],
)
def test_foreign_is_what_others_own_of_the_content(entry: dict[str, Any], foreign: bool) -> None:
    assert drift.foreign_fields(_live(entry)) is foreign


@pytest.mark.parametrize("dot", [{}, {".": {}}])
def test_a_rollout_restart_is_not_foreign(dot: dict[str, Any]) -> None:
    annotations = dot | {drift.ROLLOUT_RESTART: {}}
    fields = {"f:spec": {"f:template": {"f:metadata": {"f:annotations": annotations}}}}
    entry = {"manager": "kubectl-rollout", "operation": "Update", "fieldsV1": fields}
    assert not drift.foreign_fields(_live(entry))


def test_a_claim_makes_others_fields_ours() -> None:
    other = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:b": {"f:c": {}}}}}
    assert drift.claim(_live(OURS, other)) == [
        OURS | {"fieldsV1": {"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}}}
    ]


def test_a_claim_without_an_entry_of_ours_makes_one() -> None:
    other = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:b": {}}}}
    (entry,) = drift.claim(_live(other))
    assert (entry["manager"], entry["operation"]) == ("point-operator", "Apply")
    assert entry["fieldsV1"] == {"f:spec": {"f:b": {}}}
