"""Whose an object is. Labels say where to look; they prove nothing, since anyone can write and copy them.

What proves it is the controller reference, and our entry in managedFields where no reference reaches (in the
gateway's namespace) or an orphaning deletion has taken it away.
"""

from collections.abc import Mapping
from typing import Any

from point_operator.kube import drift
from point_operator.model import kinds, names

Key = tuple[str, str]
"""Namespace and name of a PointService."""


class NotOwnedError(Exception):
    """An object with a child's name belongs to someone else; the text says which and what to do."""

    def __init__(self, live: Mapping[str, Any], owner: str) -> None:
        metadata = live["metadata"]
        super().__init__(
            f"{live['kind']} {metadata['namespace']}/{metadata['name']} is not this PointService's; "
            f"rename or remove it, or let it be taken over with the annotation {names.ADOPT}={owner}"
        )


def is_ours(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the object with a manifest's name is the manifest's. A PointService made anew owns it again."""
    has, needs = _controller(live), _controller(wanted)
    if has is not None:
        return needs is not None and all(has.get(key) == needs[key] for key in ("apiVersion", "kind", "name"))
    if drift.our_entry(live) is None:
        return False
    return needs is None or is_labelled(live, wanted)  # names at the gateway hold namespace and name


def is_labelled(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an object carries the labels by which the manifest's owner is found."""
    has, needs = live["metadata"].get("labels") or {}, wanted["metadata"]["labels"]
    keys = (names.MANAGED_BY, names.OWNER_NAME, names.OWNER_NAMESPACE, names.SHARED)
    return all(has.get(key) == needs.get(key) for key in keys)


def is_child(live: Mapping[str, Any], namespace: str, name: str, uid: str) -> bool:
    """Whether an object that was found by the labels of this PointService is its child: no copy, nobody else's."""
    controller, metadata = _controller(live), live["metadata"]
    if drift.our_entry(live) is None:
        return False
    if controller is not None:
        return controller.get("uid") == uid
    return metadata["namespace"] == namespace or metadata["name"] == names.at_gateway(namespace, name)


def owners(body: Mapping[str, Any]) -> set[Key]:
    """Return the PointServices that an object may be a child of, by its labels, its controller or its name."""
    metadata = body["metadata"]
    labels, controller = metadata.get("labels") or {}, _controller(body)
    found: set[Key] = set()
    if names.OWNER_NAME in labels and names.OWNER_NAMESPACE in labels:
        found.add((labels[names.OWNER_NAMESPACE], labels[names.OWNER_NAME]))
    if controller is not None and controller.get("kind") == kinds.POINT_SERVICE.kind:
        found.add((metadata["namespace"], controller["name"]))
    if controller is None and "." in metadata["name"]:
        namespace, _, name = metadata["name"].partition(".")
        found.add((namespace, name))
    return found


def _controller(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    references = body["metadata"].get("ownerReferences") or []
    return next((one for one in references if one.get("controller")), None)
