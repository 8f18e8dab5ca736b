"""What a PointService says of its pods: how many, how large, and what its user adds to them."""

from typing import Any

import msgspec

Verbatim = dict[str, Any]
"""A part that is passed on as Kubernetes has it; the schema has checked its form."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Field names are snake_case here and camelCase in the resource."""


class Autoscaling(_Struct, frozen=True):
    """How many pods run, and the CPU use in percent of the request that is aimed at."""

    min_replicas: int = 2
    max_replicas: int = 10
    target_cpu_utilization_percentage: int = msgspec.field(default=70, name="targetCPUUtilizationPercentage")


class Requests(_Struct, frozen=True):
    """Kubernetes quantities."""

    cpu: str | int = "200m"
    memory: str | int = "192Mi"


class Limits(_Struct, frozen=True):
    """Kubernetes quantities; an empty `cpu` means no limit."""

    cpu: str | int = ""
    memory: str | int = "384Mi"


class Resources(_Struct, frozen=True):
    """Of one application container."""

    requests: Requests = Requests()
    limits: Limits = Limits()


class ServiceAccount(_Struct, frozen=True):
    """Of the identity that the pods have, such as `eks.amazonaws.com/role-arn`."""

    annotations: dict[str, str] = {}


class PodTemplate(_Struct, frozen=True):
    """What is added to every pod that the operator makes; `resources/pods/pod_template.py` says how.

    `topology_spread_constraints` None keeps the operator's own, empty wants none. `env` and `env_from` are for
    containers of `spec.image` alone. `termination_grace_period_seconds` None leaves it to the operator.
    """

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    service_account: ServiceAccount = ServiceAccount()
    node_selector: dict[str, str] = {}
    tolerations: tuple[Verbatim, ...] = ()
    affinity: Verbatim = {}
    topology_spread_constraints: tuple[Verbatim, ...] | None = None
    priority_class_name: str = ""
    image_pull_secrets: tuple[Verbatim, ...] = ()
    env: tuple[Verbatim, ...] = ()
    env_from: tuple[Verbatim, ...] = ()
    termination_grace_period_seconds: int | None = None
