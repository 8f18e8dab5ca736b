"""What no pod of ours may do, whoever asks for it: the namespaces with their Pod Security Standard and policies."""

from point_local.machine.node import SUBNET
from point_local.stack import manifests

NAMESPACES = ("data", "istio-ingress", "istio-system", "monitoring", "points")
"""Namespaces that are made here; the operator's, point-system, comes with the operator."""


def restrict() -> None:
    """Make the namespaces, in each of which a pod that is not "restricted" is refused, and their policies."""
    manifests.apply("namespaces", names=NAMESPACES)
    manifests.apply_text(network_policies())


def network_policies() -> str:
    """The network policies as YAML. This cluster's network enforces none (see `reach`)."""
    return manifests.render("network-policies", names=NAMESPACES, machines=f"{SUBNET}.0/24")
