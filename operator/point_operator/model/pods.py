"""What a PointService says of its pods: how many and how large."""

import msgspec


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
