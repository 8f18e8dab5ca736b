"""Namespaces of our own: Pod Security at `restricted` unless a pod in it needs its node."""

from collections.abc import Mapping, Sequence

import pulumi_kubernetes as k8s

import pulumi

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def namespace(
    name: str,
    *,
    parent: pulumi.Resource,
    provider: k8s.Provider,
    after: Sequence[pulumi.Resource],
    labels: Mapping[str, str] = RESTRICTED,
) -> k8s.core.v1.Namespace:
    """Make a namespace; in one that is restricted, a pod that asks for more is refused."""
    return k8s.core.v1.Namespace(
        name,
        metadata={"name": name, "labels": dict(labels)},
        opts=pulumi.ResourceOptions(parent=parent, provider=provider, depends_on=list(after)),
    )
