"""The template of every kind of pod: what the operator says, and what `spec.podTemplate` adds to it.

The schema refuses what would take something away from the operator's; of two things with one name that is what holds.
"""

from collections.abc import Sequence
from typing import Any

from point_operator.model import names
from point_operator.model.api import PointService
from point_operator.model.pods import PodTemplate, Verbatim
from point_operator.resources.pods import container

Fields = dict[str, Any]


def build(
    point_service: PointService, metadata: Fields, pod: Fields, *, with_variables: bool = True
) -> Fields:
    """Return the template of pods that have this metadata and this spec.

    `with_variables` is for pods whose containers run `spec.image`: the variables are meant for no other program.
    """
    added = point_service.spec.pod_template
    containers = [_with_variables(one, added) for one in pod["containers"]] if with_variables else None
    wanted = {
        "nodeSelector": added.node_selector,
        "affinity": added.affinity,
        "priorityClassName": added.priority_class_name,
        "imagePullSecrets": list(added.image_pull_secrets),
        "tolerations": _tolerations(pod.get("tolerations", ()), added.tolerations),
        "terminationGracePeriodSeconds": added.termination_grace_period_seconds,
        "containers": containers,
    }
    pod = pod | {name: value for name, value in wanted.items() if value}
    if added.topology_spread_constraints is not None and "topologySpreadConstraints" in pod:
        ours = pod.pop("topologySpreadConstraints")
        pod["topologySpreadConstraints"] = _spread(ours, added.topology_spread_constraints)
    return {"metadata": _metadata(metadata, added), "spec": pod}


def _metadata(ours: Fields, added: PodTemplate) -> Fields:
    annotations = added.annotations | ours.get("annotations", {})
    if names.CONFIG_HASH in annotations and added.service_account.annotations:
        # Who gives pods rights by their ServiceAccount looks at it when they start.
        whole = [annotations[names.CONFIG_HASH], added.service_account.annotations]
        annotations[names.CONFIG_HASH] = names.digest(whole)[:16]
    found = ours | {"labels": added.labels | ours["labels"]}
    return found | {"annotations": annotations} if annotations else found


def _tolerations(ours: Sequence[Fields], added: Sequence[Verbatim]) -> list[Fields]:
    """Return ours, of which another one of the same taint takes the place, before the others.

    Of several that fit a taint the first one counts: who tolerates everything still leaves a node that is dead.
    """
    replaced = {one.get("key") for one in added if one.get("effect") in (None, "", "NoExecute")}
    return [*(one for one in ours if one["key"] not in replaced), *added]


def _spread(ours: Sequence[Fields], added: Sequence[Verbatim]) -> list[Fields]:
    """Whom they count stays ours: pods of the same kind and revision."""
    counted = {name: ours[0][name] for name in ("labelSelector", "matchLabelKeys")}
    return [one | counted for one in added]


def _with_variables(one: Fields, added: PodTemplate) -> Fields:
    """Add variables. Those of ours that are not set are then empty, since what is read from elsewhere may name them."""
    said = {variable["name"] for variable in one["env"]}
    empty = [{"name": name} for name in container.VARIABLES if name not in said] if added.env_from else []
    found = one | {"env": [*one["env"], *empty, *added.env]}
    return found | {"envFrom": list(added.env_from)} if added.env_from else found
