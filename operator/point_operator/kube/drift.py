"""Whether a child still is what was applied, and what someone else has added to it."""

from collections.abc import Mapping
from typing import Any

from point_operator.model import names

ROLLOUT_RESTART = "f:kubectl.kubernetes.io/restartedAt"
"""`kubectl rollout restart` sets this on the pods' template; undoing it would restart them once more."""


def matches(wanted: object, live: object) -> bool:
    """Whether `live` has everything that `wanted` says; the API server's defaults may come on top.

    Lists must be as long as wanted: most of those that we apply belong to us as a whole.
    """
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(
            key in live and matches(value, live[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(live, list | tuple)
            and len(wanted) == len(live)
            and all(matches(one, other) for one, other in zip(wanted, live, strict=True))
        )
    return wanted == live


def foreign_fields(live: Mapping[str, Any]) -> bool:
    """Whether someone else owns a field of the child outside its metadata and status."""
    return any(_is_foreign(entry) for entry in live["metadata"].get("managedFields") or [])


def claim(live: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return managedFields in which our entry owns what others added.

    The next apply then removes what we don't want: an apply removes only fields of its own manager.
    """
    entries: list[dict[str, Any]] = live["metadata"].get("managedFields") or []
    kept = [entry for entry in entries if not _is_foreign(entry)]
    merged: dict[str, Any] = {}
    for entry in entries:
        if _is_foreign(entry) or _is_ours(entry):
            _merge(merged, entry["fieldsV1"])
    ours = [entry for entry in kept if _is_ours(entry)]
    if not ours:
        return [*kept, _our_entry(live, merged)]
    return [{**entry, "fieldsV1": merged} if entry is ours[0] else entry for entry in kept]


def _our_entry(live: Mapping[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "manager": names.FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": live["apiVersion"],
        "time": live["metadata"]["creationTimestamp"],
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") == names.FIELD_MANAGER and entry.get("operation") == "Apply"


def _is_foreign(entry: Mapping[str, Any]) -> bool:
    """Metadata of others is theirs to keep, and subresources (status, scale) have owners of their own."""
    if entry.get("subresource") or _is_ours(entry) or entry.get("manager") == names.STARTING_MANAGER:
        return False
    fields = entry.get("fieldsV1") or {}
    touched = {key: value for key, value in fields.items() if key not in ("f:metadata", "f:status", ".")}
    return bool(touched) and touched != _restarted(touched)


def _restarted(touched: Mapping[str, Any]) -> dict[str, Any]:
    """What `kubectl rollout restart` leaves in managedFields, with or without the annotations' own marker."""
    try:
        annotations = touched["f:spec"]["f:template"]["f:metadata"]["f:annotations"]
    except (KeyError, TypeError):
        return {}
    if not set(annotations) <= {".", ROLLOUT_RESTART}:
        return {}
    return {"f:spec": {"f:template": {"f:metadata": {"f:annotations": dict(annotations)}}}}


def _merge(into: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value
