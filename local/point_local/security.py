"""What no pod of ours may do, whoever asks for it: the namespaces with their Pod Security Standard."""

from point_local.manifests import apply

NAMESPACES = ("data", "istio-ingress", "istio-system", "monitoring", "points")
"""Namespaces that are made here; the operator's, point-system, comes with the operator."""


def restrict() -> None:
    """Make the namespaces, in each of which a pod that is not "restricted" is refused."""
    apply("namespaces", names=NAMESPACES)
