"""Names and labels of everything that belongs to a PointService."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from point_operator.model.api import GROUP, PointService

FIELD_MANAGER = "point-operator"
STARTING_MANAGER = "point-operator-start"
"""Field manager of what is set once, when a child is made, and then left to others."""
FINALIZER = f"{GROUP}/finalizer"

INSTANCE = "app.kubernetes.io/instance"
MANAGED_BY = "app.kubernetes.io/managed-by"
OWNER_NAME = f"{GROUP}/name"
OWNER_NAMESPACE = f"{GROUP}/namespace"
SHARED = f"{GROUP}/gateway"
"""Marks what all PointServices of one gateway share; its value is `gateway_id`."""

SELECTOR = f"{MANAGED_BY}={FIELD_MANAGER}"
"""Label selector of every object that this operator makes."""

HASH = f"{GROUP}/hash"
"""Annotation: hash of the manifest as rendered. A field that left the manifest shows by it."""
CONFIG_HASH = f"{GROUP}/config-hash"
"""Annotation on pods: changes when a Secret that they mount does, so that they roll."""
HOSTS = f"{GROUP}/hosts"
"""Annotation on a namespace: the hosts its PointServices may have, by comma; `*.` before one means all below it."""
ADOPT = f"{GROUP}/adopt"
"""Annotation on a foreign object; its value `<namespace>/<name>` allows that PointService to take it over."""

SERVICE = "service"
CANARY = "canary"
"""Components that serve: the service itself, and the few pods that try a new image."""
COMPONENT = "app.kubernetes.io/component"

APPLICATION = "app"
"""Name of the application container; autoscaling measures it alone."""

USER = 10001
PORT = 8080


def labels(point_service: PointService) -> dict[str, str]:
    """Labels that every child carries. Owner name and namespace make it findable from another namespace."""
    return {
        "app.kubernetes.io/name": "point-service",
        INSTANCE: point_service.name,
        MANAGED_BY: FIELD_MANAGER,
        OWNER_NAME: point_service.name,
        OWNER_NAMESPACE: point_service.namespace,
    }


def pod_labels(point_service: PointService, component: str = SERVICE) -> dict[str, str]:
    """The selector of the pods of one component; those of another one and of a migration don't match it."""
    return {OWNER_NAME: point_service.name, COMPONENT: component}


def every_pod(point_service: PointService) -> dict[str, str]:
    """The selector of all pods of a PointService, whatever they do."""
    return {OWNER_NAME: point_service.name}


def serving(point_service: PointService, component: str = SERVICE) -> str:
    """Name of the Deployment, Service and DestinationRule of a component that serves."""
    return point_service.name if component == SERVICE else f"{point_service.name}-{component}"


def owner_selector(namespace: str, name: str) -> str:
    """Label selector of every child of one PointService, in whichever namespace the child is."""
    return f"{SELECTOR},{OWNER_NAMESPACE}={namespace},{OWNER_NAME}={name}"


def is_elsewhere(child: Mapping[str, Any]) -> bool:
    """Whether a child of one PointService is in another namespace than that, where no owner reference reaches."""
    owner = (child["metadata"].get("labels") or {}).get(OWNER_NAMESPACE)
    return owner is not None and owner != child["metadata"]["namespace"]


def in_gateway(point_service: PointService) -> str:
    """Name of a child in the gateway's namespace."""
    return at_gateway(*point_service.key)


def at_gateway(namespace: str, name: str) -> str:
    """The same of a PointService of that name. No namespace holds a dot, so no two pairs share a name."""
    return f"{namespace}.{name}"


def gateway_key(namespace: str, selector: Mapping[str, str]) -> str:
    """One gateway, readable: the pods that a selector finds in a namespace."""
    return f"{namespace}/{','.join(f'{key}={value}' for key, value in sorted(selector.items()))}"


def gateway_id(namespace: str, selector: Mapping[str, str]) -> str:
    """Short stable name of one gateway: the pods that a selector finds in a namespace."""
    return digest({"namespace": namespace, "selector": dict(selector)})[:10]


def shared_name(namespace: str, selector: Mapping[str, str]) -> str:
    """Name of the objects that all PointServices of one gateway share."""
    return f"pointservices-{gateway_id(namespace, selector)}"


def service_host(point_service: PointService, component: str = SERVICE) -> str:
    """A component's name inside the cluster."""
    return f"{serving(point_service, component)}.{point_service.namespace}.svc.cluster.local"


def version(image: str) -> str:
    """Version of an image as a label value: its tag, or the beginning of its digest."""
    name, _, hashed = image.partition("@")
    if hashed:
        return hashed.rpartition(":")[2][:12]
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag[:63].strip("-_.") or "latest"


def digest(value: object) -> str:
    """Hex SHA-256 of plain data, the same for the same content in whichever order."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
