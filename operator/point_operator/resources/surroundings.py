"""What builders need to know besides the spec: facts of the cluster, and which images run side by side."""

import msgspec

from point_operator.model.kinds import Kind


class Release(msgspec.Struct, frozen=True):
    """Which images run, and how the requests are shared among them."""

    image: str
    """What the service's own pods run: the spec's, or an older one while the spec's has to prove itself."""
    canary: int = 0
    """Pods of their own that run the spec's image; 0 while there is no canary."""
    weight: int = 0
    """Percentage of the requests that they get."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about the cluster at the moment of a look."""

    gateway_pods: int = 1
    """Ready gateway pods that share the rate limit; never below 1."""
    config_hash: str = ""
    """Changes when the data of a Secret that the pods mount has changed."""
    login: str = ""
    """Changes when the user or the password of the database has changed."""
    optional_kinds: frozenset[Kind] = frozenset()
    """Kinds of other projects (`kinds.OPTIONAL`) that the cluster knows."""

    listeners: tuple[str, ...] = ()
    """HTTPS listeners of the Gateway API Gateway that is meant, by name."""
    runbook_url: str = ""
    """The page that holds the runbook; empty when nobody has said where it is."""
    rate_limit_image: str = ""
    """Image of the Envoy rate limit service."""
    rate_limit_service_ready: bool = False
    """Whether this PointService's own rate limit service can be asked."""
    cache_user_named: bool = False
    """Whether the cache's Secret names the user; without a name it is `default`."""

    def knows(self, kind: Kind) -> bool:
        """Whether the cluster knows an optional kind."""
        return kind in self.optional_kinds
