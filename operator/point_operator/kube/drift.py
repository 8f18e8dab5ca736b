"""Whether a child still is what was applied, and which additions of others are taken back: both by `managedFields`.

The API server keeps who set which field. Who changes a field of ours takes it from our entry; so a field that is
ours has the value that we gave it, however the server writes that (0.5 of a CPU as `500m`, `1024Mi` as `1Gi`).
"""

import json
from collections.abc import Mapping
from typing import Any

from point_operator.model import kinds, names

Fields = dict[str, Any]
"""FieldsV1: `f:<name>` for a field, `k:<keys>` for an element of a list; no fields of its own means as a whole."""

OUR_VARIABLES = "POINT_"
"""What the names of the service's environment variables begin with."""
MESH = "istio.io/"
"""Labels and annotations by which pods tell their proxy what to do."""


def holds(manifest: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether every field that a manifest says is still ours in the child."""
    ours = our_entry(live)
    said = {field: value for field, value in manifest.items() if field not in ("apiVersion", "kind")}
    metadata = {key: value for key, value in said["metadata"].items() if key not in ("name", "namespace")}
    return ours is not None and _covers(ours["fieldsV1"], said | {"metadata": metadata})


def additions(live: Mapping[str, Any], *, adopted: bool = False) -> Fields:
    """Return the fields that others have added and that we take back, empty when there are none.

    Those are additions to what guards: anything in a kind of Istio's or a route, and what changes how the pods run or
    what their proxies let through. Everything else stays with whoever set it: how many pods there are, annotations that
    restart them (`kubectl rollout restart`, a reloader), other variables, what a cluster adds to ServiceAccounts.
    Of a child that is `adopted` everything is taken over but the number of pods.
    """
    part = _content if adopted else _guarded
    found: Fields = {}
    ours = (our_entry(live) or {}).get("fieldsV1", {})
    for entry in live["metadata"].get("managedFields") or []:
        if _is_foreign(entry):
            _merge(found, _without(part(kinds.of(live), entry.get("fieldsV1") or {}), ours))
    return found


def claim(live: Mapping[str, Any], taken: Fields) -> list[dict[str, Any]]:
    """Return managedFields in which our entry owns the fields of others that are `taken`, and nobody else.

    The next apply then removes what we don't want: an apply removes only fields of its own manager alone.
    """
    ours = our_entry(live)
    merged: Fields = {}
    _merge(merged, ours["fieldsV1"] if ours is not None else {})
    _merge(merged, taken)
    left = [
        entry | {"fieldsV1": rest} if _is_foreign(entry) else entry
        for entry in live["metadata"].get("managedFields") or []
        if entry is not ours
        and ((rest := _without(entry.get("fieldsV1") or {}, taken)) or not _is_foreign(entry))
    ]
    return [*left, (ours or _new_entry(live)) | {"fieldsV1": merged}]


def our_entry(live: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what our applies own of an object; None when we have never applied it."""
    entries = live["metadata"].get("managedFields") or []
    return next(
        (
            entry
            for entry in entries
            if (entry.get("manager"), entry.get("operation")) == (names.FIELD_MANAGER, "Apply")
            and not entry.get("subresource")
        ),
        None,
    )


def _new_entry(live: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "manager": names.FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": live["apiVersion"],
        "time": live["metadata"]["creationTimestamp"],
        "fieldsType": "FieldsV1",
    }


def _covers(fields: Fields, said: object) -> bool:
    if not fields:
        return True
    if isinstance(said, Mapping):
        return all(
            f"f:{name}" in fields and _covers(fields[f"f:{name}"], value) for name, value in said.items()
        )
    if isinstance(said, list | tuple):
        return all(
            any(_is_about(key, item) and _covers(fields[key], item) for key in fields) for item in said
        )
    return False


def _is_about(key: str, item: object) -> bool:
    """Whether a key of FieldsV1 means this element of a list. The server knows defaults of keys that we left out."""
    mark, _, text = key.partition(":")
    if mark == "v":
        return json.loads(text) == item
    return (
        mark == "k"
        and isinstance(item, Mapping)
        and all(item.get(name, value) == value for name, value in json.loads(text).items())
    )


def _is_foreign(entry: Mapping[str, Any]) -> bool:
    """Subresources (status, scale) have owners of their own."""
    ours = entry.get("manager") == names.FIELD_MANAGER and entry.get("operation") == "Apply"
    return not (ours or entry.get("subresource") or entry.get("manager") == names.STARTING_MANAGER)


def _guarded(kind: kinds.Kind, fields: Fields) -> Fields:
    """Return the part of a set of fields that is not left to others."""
    if kind.group.endswith("istio.io") or kind is kinds.HTTP_ROUTE:
        return _content(kind, fields)
    if kind is not kinds.DEPLOYMENT:
        return {}
    template = fields.get("f:spec", {}).get("f:template", {})
    metadata = {
        place: {
            name: rest for name, rest in template.get("f:metadata", {}).get(place, {}).items() if MESH in name
        }
        for place in ("f:annotations", "f:labels")
    }
    parts = {"f:metadata": _filled(metadata), "f:spec": _pod(template.get("f:spec", {}))}
    template = _filled(parts)
    return {"f:spec": {"f:template": template}} if template else {}


def _content(kind: kinds.Kind, fields: Fields) -> Fields:
    """Return what is neither metadata nor status, nor the number of pods, which is the autoscaler's."""
    content = {name: rest for name, rest in fields.items() if name not in ("f:metadata", "f:status", ".")}
    return _without(content, {"f:spec": {"f:replicas": {}}}) if kind is kinds.DEPLOYMENT else content


def _pod(fields: Fields) -> Fields:
    """Return those of a pod's fields that are not left to others: all but variables that are none of ours."""
    found: Fields = {}
    for name, rest in fields.items():
        if name == "f:env":
            kept = {key: value for key, value in rest.items() if f'"{OUR_VARIABLES}' in key}
        else:
            kept = _pod(rest)
        if kept or not rest:
            found[name] = kept
    return found


def _filled(fields: Fields) -> Fields:
    return {name: rest for name, rest in fields.items() if rest}


def _without(fields: Fields, other: Fields) -> Fields:
    """Return what is in one set of fields and not in another one."""
    left: Fields = {}
    for name, rest in fields.items():
        if name not in other:
            left[name] = rest
        elif set(more := _without(rest, other[name])) - {"."}:
            left[name] = more
    return left


def _merge(into: Fields, fields: Fields) -> None:
    for name, rest in fields.items():
        _merge(into.setdefault(name, {}), rest)
