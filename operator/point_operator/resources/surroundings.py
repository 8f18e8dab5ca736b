"""What builders need to know besides the spec: facts that the operator reads from the cluster."""

import msgspec


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about the cluster at the moment of a reconcile."""

    gateway_pods: int = 1
    """Ready gateway pods that share the rate limit; never below 1."""
    config_hash: str = ""
    """Changes when the content of a Secret that the pods mount may have changed."""
    service_monitors: bool = False
    """Whether the cluster knows the kind ServiceMonitor."""
