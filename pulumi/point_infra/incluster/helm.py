"""Install a Helm chart of a pinned version."""

from collections.abc import Mapping, Sequence

import pulumi_kubernetes as k8s

import pulumi
from point_infra.config.versions import Chart

_TIMEOUT_SECONDS = 600


def release(
    name: str,
    chart: Chart,
    namespace: str,
    values: Mapping[str, object],
    *,
    parent: pulumi.Resource,
    provider: k8s.Provider,
    depends_on: Sequence[pulumi.Resource] = (),
) -> k8s.helm.v3.Release:
    """A release that waits until its pods are ready, and takes itself back when they never are."""
    return k8s.helm.v3.Release(
        name,
        name=name,
        chart=chart.name,
        version=chart.version,
        repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo=chart.repository),
        namespace=namespace,
        values=dict(values),
        atomic=True,
        timeout=_TIMEOUT_SECONDS,
        opts=pulumi.ResourceOptions(parent=parent, provider=provider, depends_on=list(depends_on)),
    )
