"""Metadata of a child: its name, its labels and who owns it."""

from typing import Any

from point_operator.model import kinds, names
from point_operator.model.api import Gateway, PointService
from point_operator.model.gateways import PARENT, ListedGateway

Manifest = dict[str, Any]


def own(kind: kinds.Kind, point_service: PointService, name: str, component: str = "") -> Manifest:
    """Start a manifest in the PointService's namespace. The PointService owns it: it goes as garbage."""
    labels = names.labels(point_service)
    if component:
        labels["app.kubernetes.io/component"] = component
    owner = {
        "apiVersion": kinds.POINT_SERVICE.api_version,
        "kind": kinds.POINT_SERVICE.kind,
        "name": point_service.name,
        "uid": point_service.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {
        "name": name,
        "namespace": point_service.namespace,
        "labels": labels,
        "ownerReferences": [owner],
    }
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def in_gateway(kind: kinds.Kind, point_service: PointService) -> Manifest:
    """Start a manifest in the gateway's namespace, where no owner reference reaches: a finalizer cleans.

    Without the instance label: tools that prune by it would take what no owner protects for their own.
    """
    labels = names.labels(point_service)
    del labels[names.INSTANCE]
    metadata = {
        "name": names.in_gateway(point_service),
        "namespace": point_service.spec.gateway.namespace,
        "labels": labels,
    }
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def governing(gateway: Gateway | ListedGateway, selector: str, labels: str) -> Manifest:
    """Return what ties a policy to the pods of a gateway: their labels, in the field `selector` under `labels`, or the
    Gateway API Gateway that they are labelled with.

    Istio heeds `targetRefs` only at pods with that label, and may be told to heed nothing else there
    (`ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY`).
    """
    if parent := gateway.selector.get(PARENT):
        return {"targetRefs": [{"group": kinds.PARENT.group, "kind": kinds.PARENT.kind, "name": parent}]}
    return {selector: {labels: gateway.selector}}


def shared(kind: kinds.Kind, namespace: str, selector: dict[str, str]) -> Manifest:
    """Start a manifest that every PointService of one gateway shares."""
    labels = {
        "app.kubernetes.io/name": "point-service",
        names.MANAGED_BY: names.FIELD_MANAGER,
        names.SHARED: names.gateway_id(namespace, selector),
    }
    metadata = {"name": names.shared_name(namespace, selector), "namespace": namespace, "labels": labels}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
