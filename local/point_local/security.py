"""What no pod of ours may do, whoever asks for it: the namespaces with their Pod Security Standard."""

from point_local.manifests import apply

NAMESPACES = ("data", "istio-ingress", "monitoring", "points")
"""Namespaces that are made here; the operator's, point-system, comes with the operator."""
RESTRICTED = ("data", "monitoring")
"""Those in which a pod that is not "restricted" is refused; the proxies' still need NET_ADMIN."""


def restrict() -> None:
    """Make the namespaces."""
    apply("namespaces", names=NAMESPACES, restricted=RESTRICTED)
