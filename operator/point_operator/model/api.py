"""The PointService as the operator sees it: frozen, typed, defaults already filled in by the API server.

The CRD (`crds/pointservices.yaml`) says what each field means and which values are allowed; this module
repeats its defaults so that a test, or an object stored before a field existed, reads the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from point_operator.model import gateways
from point_operator.model.claims import Claim, read
from point_operator.model.gateways import ListedGateway, ParentRef
from point_operator.model.pods import Autoscaling, PodTemplate, Resources

GROUP = "pointservice.io"
VERSION = "v1alpha1"
PLURAL = "pointservices"
KIND = "PointService"


class InvalidSpecError(Exception):
    """A spec that the CRD let through but that this version can't read; its text says which field."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Field names are snake_case here and camelCase in the resource."""


class Tls(_Struct, frozen=True):
    """TLS towards a server. Without `ca_secret` the system's authorities are trusted."""

    enabled: bool = True
    ca_secret: str = ""


class Database(_Struct, frozen=True):
    """The MySQL that holds the points. Secrets are names in the PointService's namespace.

    `pool_size` is a pod's connections to each server, which else goes by its cores. What is None is the service's
    to choose.
    """

    host: str
    credentials_secret: str
    migration_secret: str
    reader_host: str = ""
    port: int = 3306
    name: str = "points"
    pool_size: int | None = None
    acquire_timeout_seconds: float | None = None
    connection_lifetime_seconds: int | None = None
    tls: Tls = Tls()


class Cache(_Struct, frozen=True):
    """The Redis used for locks and finished answers. An empty `auth_secret` means no authentication."""

    host: str
    port: int = 6379
    cluster_mode: bool = True
    auth_secret: str = ""
    timeout_seconds: float | None = None
    answer_ttl_seconds: int | None = msgspec.field(default=None, name="answerTTLSeconds")
    tls: Tls = Tls()


class GatewayTls(_Struct, frozen=True):
    """The gateway's certificate; an empty name means `<PointService>-tls`."""

    credential_name: str = ""


class Jwt(_Struct, frozen=True):
    """Whose tokens are believed. Exactly one of `jwks` and `jwks_uri` is not empty; `client_claim` may be."""

    issuer: str
    audiences: tuple[str, ...] = ()
    audience_claim: str = "aud"
    jwks: str = ""
    jwks_uri: str = ""
    member_claim: str = "sub"
    role_claim: str = "role"
    client_claim: str = ""


class MemberLimit(_Struct, frozen=True):
    """Requests per second of one member over all gateway pods; `burst` is requests at once, 0 for twice that."""

    requests_per_second: int
    burst: int = 0


class RateLimit(_Struct, frozen=True):
    """Requests per second over all gateway pods; `burst` is requests at once, 0 for the default.

    `scope` is Local (each gateway pod counts its share) or Global (all of them count together).
    """

    enabled: bool = True
    scope: str = "Local"
    requests_per_second: int = 1000
    burst: int = 0
    per_member: MemberLimit | None = None


class Cors(_Struct, frozen=True):
    """Web origins that may call the service; `max_age_seconds` is how long a preflight may be cached."""

    allow_origins: tuple[str, ...]
    max_age_seconds: int = 600


class Gateway(_Struct, frozen=True):
    """How the service is reached: `name`, the three after it or `parent_ref` say by which listed gateway; `parse` fills
    in all but the last."""

    hosts: tuple[str, ...]
    jwt: Jwt
    name: str = ""
    namespace: str = ""
    selector: dict[str, str] = {}
    service_account: str = ""
    parent_ref: ParentRef | None = None
    tls: GatewayTls = GatewayTls()
    rate_limit: RateLimit = RateLimit()
    cors: Cors | None = None


class CircuitBreaker(_Struct, frozen=True):
    """When a pod is taken out, and how much may wait. Times are seconds."""

    consecutive_5xx_errors: int = msgspec.field(default=5, name="consecutive5xxErrors")
    interval_seconds: int = 5
    base_ejection_seconds: int = 30
    max_ejection_percent: int = 50
    min_health_percent: int = 10
    max_connections: int = 1024
    max_pending_requests: int = 1024


class Retries(_Struct, frozen=True):
    """Repeats of reads."""

    attempts: int = 2
    per_try_timeout_seconds: int = 2


class Mesh(_Struct, frozen=True):
    """How the gateway behaves towards the pods."""

    circuit_breaker: CircuitBreaker = CircuitBreaker()
    retries: Retries = Retries()
    timeout_seconds: int = 5


class Server(_Struct, frozen=True):
    """How the service's process behaves. What is None is its own to choose."""

    request_timeout_seconds: float | None = None
    target_latency_seconds: float | None = None
    drain_timeout_seconds: int | None = None
    idempotency_retention_hours: int | None = None
    idempotency_scope: str | None = None
    upkeep_interval_seconds: int | None = None
    shared_transaction_requests: int | None = None


class Policy(_Struct, frozen=True):
    """The shop's rules. Amounts are points, expiries are days of 24 hours."""

    min_earn: int = 1
    max_earn: int = 100_000
    max_balance: int = 10_000_000
    default_expiry_days: int = 365
    max_expiry_days: int = 1824
    expiring_soon_days: int | None = None


class Tracing(_Struct, frozen=True):
    """Where spans go, and of how many requests in a hundred; None leaves that to the service."""

    endpoint: str
    sampling_percent: float | None = None


class Observability(_Struct, frozen=True):
    """What is made for people who watch the service; `labels` are for what a Prometheus selects by label."""

    dashboard: bool = True
    service_monitor: bool = True
    alerts: bool = True
    labels: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    tracing: Tracing | None = None


class Canary(_Struct, frozen=True):
    """A canary of a new image: `weight` percent of the requests for `bake_seconds`."""

    weight: int = 10
    bake_seconds: int = 60
    max_error_percent: int = 5


class Rollout(_Struct, frozen=True):
    """How a new image takes over: `strategy` is RollingUpdate or Canary.

    `migration_deadline_seconds` is how long all tries of a migration may take together, None for ever.
    """

    strategy: str = "RollingUpdate"
    progress_deadline_seconds: int = 180
    migration_deadline_seconds: int | None = None
    canary: Canary = Canary()


class Spec(_Struct, frozen=True):
    """The user's wishes."""

    image: str
    database: Database
    cache: Cache
    gateway: Gateway
    image_pull_policy: str = "IfNotPresent"
    log_level: str = "INFO"
    log_key_secret: str = ""
    paused: bool = False
    deletion_policy: str = "Remove"
    mesh: Mesh = Mesh()
    rollout: Rollout = Rollout()
    autoscaling: Autoscaling = Autoscaling()
    resources: Resources = Resources()
    pod_template: PodTemplate = PodTemplate()
    server: Server = Server()
    policy: Policy = Policy()
    observability: Observability = Observability()


class PointService(_Struct, frozen=True):
    """One PointService: who it is, what it wants and what it was admitted to."""

    name: str
    namespace: str
    uid: str
    generation: int
    created: str
    """Creation time as the API writes it (RFC 3339, UTC), so that text order is time order."""
    deleting: bool
    spec: Spec
    claims: tuple[Claim, ...] = ()
    """The newest first; more than one while a change of them is under way."""
    no_gateway: str = ""
    """Why none of the listed gateways is meant, in words."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def credential_name(self) -> str:
        """Name of the gateway's certificate Secret; empty at a Gateway API Gateway, which has its own."""
        return (
            ""
            if self.spec.gateway.parent_ref
            else self.spec.gateway.tls.credential_name or f"{self.name}-tls"
        )


def parse(body: Mapping[str, Any], listed: Sequence[ListedGateway] = (gateways.DEFAULT,)) -> PointService:
    """Read a PointService from the API, its gateway being one of the listed.

    Raises InvalidSpecError naming the field that can't be read.
    """
    metadata = body["metadata"]
    try:
        spec = msgspec.convert(body.get("spec", {}), Spec)
    except msgspec.ValidationError as error:
        raise InvalidSpecError(str(error).replace("`$", "`spec")) from error
    wanted = spec.gateway
    if wanted.parent_ref is not None:
        found = gateways.find_parent(listed, wanted.parent_ref)
    else:
        found = gateways.find(listed, wanted.name, wanted.namespace, wanted.selector, wanted.service_account)
    if isinstance(found, ListedGateway):
        fields = msgspec.structs.asdict(found)
        spec = msgspec.structs.replace(spec, gateway=msgspec.structs.replace(wanted, **fields))
    return PointService(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        created=metadata.get("creationTimestamp") or "",
        deleting=bool(metadata.get("deletionTimestamp")),
        spec=spec,
        claims=read(body),
        no_gateway="" if isinstance(found, ListedGateway) else found,
    )
