"""What builders need to know besides the spec: facts that the operator reads from the cluster."""

import msgspec

from point_operator.model.kinds import Kind


class Trial(msgspec.Struct, frozen=True):
    """A new image on a few pods of its own: how many there are, and the percentage of requests they get."""

    replicas: int
    weight: int


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about the cluster at the moment of a reconcile."""

    gateway_pods: int = 1
    """Ready gateway pods that share the rate limit; never below 1."""
    config_hash: str = ""
    """Changes when the content of a Secret that the pods mount may have changed."""
    optional_kinds: frozenset[Kind] = frozenset()
    """Kinds of other projects (`kinds.OPTIONAL`) that the cluster knows."""

    image: str = ""
    """Image that the service's own pods run while another one is tried; empty for the spec's."""
    trial: Trial | None = None

    rate_limit_image: str = ""
    """Image of the Envoy rate limit service."""
    rate_limit_service_ready: bool = False
    """Whether this PointService's own rate limit service can be asked."""
    cache_user_named: bool = False
    """Whether the cache's Secret names the user; without a name it is `default`."""

    def knows(self, kind: Kind) -> bool:
        """Whether the cluster knows an optional kind."""
        return kind in self.optional_kinds
