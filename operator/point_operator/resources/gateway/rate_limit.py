"""How many requests the gateway lets through for one PointService, and what else it is told about them."""

import re
from collections.abc import Sequence
from typing import Any

from point_operator.model import kinds, names
from point_operator.model.api import PointService, RateLimit
from point_operator.resources import metadata
from point_operator.resources.gateway import rate_limit_service
from point_operator.resources.gateway.request_authentication import MEMBER_HEADER
from point_operator.resources.pods import service
from point_operator.resources.surroundings import Surroundings

SERVICE, MEMBER = rate_limit_service.SERVICE, rate_limit_service.MEMBER
MEMBER_SHARE, HEALTH, ADDRESS = "member_share", "health", "remote_address"
REMEMBERED = 10_000
"""Members, and clients' addresses, whose buckets one gateway pod remembers; the one unseen for longest goes first."""
HEALTH_PER_SECOND, HEALTH_PER_ADDRESS = 100, 10
"""Health checks a second at one gateway pod, all together and from one address: who floods them leaves those of a
DNS or a load balancer alone, and nobody's points wait for any."""
UNLIMITED = 2**32 - 1
ASK_TIMEOUT = "0.1s"
"""How long a request waits for the rate limit service, before the gateway decides alone."""
FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
LOCAL = f"{FILTERS}.local_ratelimit.v3.LocalRateLimit"


def per_pod(total: int, pods: int) -> int:
    """Share of each of `pods` gateway pods in `total`, rounded up."""
    return -(-total // max(pods, 1))


def burst(limit: RateLimit) -> int:
    """Requests at once, over all gateway pods: a second may not see twice the limit."""
    return limit.burst or min(limit.requests_per_second, max(10, limit.requests_per_second // 10))


def scope(point_service: PointService, surroundings: Surroundings) -> str:
    """Who counts now: Global is what is wanted and can be had, Local that each gateway pod keeps its share."""
    wanted = point_service.spec.gateway.rate_limit.scope
    return wanted if surroundings.rate_limit_service_ready else "Local"


def sharers(point_service: PointService, surroundings: Surroundings) -> int:
    """Pods by which the buckets in the gateway are divided; 1 while the rate limit service counts.

    Then a gateway pod's own buckets only hold what one pod may never exceed, should the service not answer.
    """
    return 1 if scope(point_service, surroundings) == "Global" else max(surroundings.gateway_pods, 1)


def build(
    point_service: PointService, surroundings: Surroundings, others: Sequence[dict[str, Any]] = ()
) -> metadata.Manifest:
    """Return the PointService's EnvoyFilter: its limits, and `others`, the patches of its own routes and pods.

    The filters stand right before the router: what was refused for its token (401, 403) or answered as a
    preflight uses up nothing. They count requests to the API of this PointService's hosts only, all of them
    together, so several PointServices share a gateway without touching each other. (A limit set on the virtual
    hosts would give each host a bucket of its own.) Health checks, which need no token, have buckets of their own.

    With scope Global the rate limit service is asked first, about the member and only then about the whole,
    since it counts everything that it is asked about: what a member has too much takes nothing from the
    others. When it does not answer, the gateway's own buckets decide.
    """
    gateway, patches = point_service.spec.gateway, list(others)
    if gateway.rate_limit.enabled:
        filters = [
            *_askers(point_service),
            *(_bucket_filter(point_service, one) for one in _own(point_service)),
        ]
        patches += [*map(_before_router, filters), _limits(point_service, surroundings)]
    manifest = metadata.in_gateway(kinds.ENVOY_FILTER, point_service)
    governed = metadata.governing(gateway, "workloadSelector", "labels")
    manifest["spec"] = {**governed, "configPatches": patches}
    return manifest


def filter_name(point_service: PointService, counted: str = "") -> str:
    """Name of a filter in the gateway's chain, unlike that of any other PointService."""
    part = f"{counted}." if counted else ""
    return f"pointservice.io.rate_limit.{part}{names.in_gateway(point_service)}"


def _before_router(http_filter: dict[str, Any]) -> dict[str, Any]:
    """An idle filter. What it counts is in the routes: changing a listener would drain its connections."""
    return {
        "applyTo": "HTTP_FILTER",
        "match": {
            "context": "GATEWAY",
            "listener": {
                "filterChain": {
                    "filter": {
                        "name": "envoy.filters.network.http_connection_manager",
                        "subFilter": {"name": "envoy.filters.http.router"},
                    }
                }
            },
        },
        "patch": {"operation": "INSERT_BEFORE", "value": http_filter},
    }


def _askers(point_service: PointService) -> list[dict[str, Any]]:
    """The filters that ask the rate limit service, one for each thing counted, the member first."""
    return [
        {
            "name": filter_name(point_service, counted),
            "typed_config": {
                "@type": f"{FILTERS}.ratelimit.v3.RateLimit",
                "domain": names.in_gateway(point_service),
                "timeout": ASK_TIMEOUT,
                "failure_mode_deny": False,
                "stat_prefix": counted,
                "response_headers_to_add": _said(point_service, counted),
                "rate_limit_service": {
                    "transport_api_version": "V3",
                    "grpc_service": {
                        "envoy_grpc": {
                            "cluster_name": rate_limit_service.cluster(point_service),
                            "authority": rate_limit_service.host(point_service),
                        }
                    },
                },
            },
        }
        for counted in _counted_globally(point_service)
    ]


def _own(point_service: PointService) -> list[str]:
    """The buckets that a gateway pod has itself, in the order in which a request needs them.

    What a member has too much is refused first, and so takes nothing from the others.
    """
    member = [MEMBER_SHARE] if point_service.spec.gateway.rate_limit.per_member else []
    return [*member, SERVICE, HEALTH]


def _own_name(point_service: PointService, bucket: str) -> str:
    return filter_name(point_service, "" if bucket == SERVICE else bucket)


def _bucket_filter(point_service: PointService, bucket: str) -> dict[str, Any]:
    return {
        "name": _own_name(point_service, bucket),
        "typed_config": {"@type": LOCAL, "stat_prefix": _stat_prefix(point_service, bucket)},
    }


def _limits(point_service: PointService, surroundings: Surroundings) -> dict[str, Any]:
    gateway = point_service.spec.gateway
    match: dict[str, Any] = {"context": "GATEWAY"}
    if gateway.parent_ref is None:
        shared = names.shared_name(gateway.namespace, gateway.selector)
        match["routeConfiguration"] = {"gateway": f"{gateway.namespace}/{shared}"}
    actions = _actions(point_service)
    own = {
        _own_name(point_service, bucket): _bucket_limits(point_service, bucket, surroundings)
        for bucket in _own(point_service)
    }
    configs = own | {
        filter_name(point_service, counted): {
            "@type": f"{FILTERS}.ratelimit.v3.RateLimitPerRoute",
            "rate_limits": [{"actions": actions[counted]}],
        }
        for counted in _counted_globally(point_service)
    }
    return {
        "applyTo": "ROUTE_CONFIGURATION",
        "match": match,
        "patch": {"operation": "MERGE", "value": {"typed_per_filter_config": configs}},
    }


def _bucket_limits(point_service: PointService, bucket: str, surroundings: Surroundings) -> dict[str, Any]:
    always = {"numerator": 100, "denominator": "HUNDRED"}
    asked = _health_actions if bucket == HEALTH else _actions
    wanted = {SERVICE: (SERVICE,), MEMBER_SHARE: (MEMBER,), HEALTH: (HEALTH, ADDRESS)}[bucket]
    actions = asked(point_service)
    return {
        "@type": LOCAL,
        "stat_prefix": _stat_prefix(point_service, bucket),
        "filter_enabled": {"default_value": always},
        "filter_enforced": {"default_value": always},
        # What matches no descriptor, other hosts among it, falls to this bucket, which never empties.
        "token_bucket": _bucket(UNLIMITED, UNLIMITED, 1),
        "always_consume_default_token_bucket": False,
        "rate_limits": [{"actions": actions[one]} for one in wanted],
        "descriptors": [_descriptor(point_service, one, surroundings) for one in wanted],
        "max_dynamic_descriptors": REMEMBERED,
        "response_headers_to_add": [_header("x-local-rate-limit", "true"), *_said(point_service, bucket)],
    }


def _stat_prefix(point_service: PointService, bucket: str) -> str:
    # Istio's bootstrap keeps statistics with this beginning and makes the label `component` of what follows, to
    # the next dot. Dashboard and alerts ask for it (panels.py); they are about members, not about health checks.
    own = f"{point_service.namespace}/{point_service.name}"
    return f"component.{own}/{HEALTH}" if bucket == HEALTH else f"component.{own}"


def _said(point_service: PointService, counted: str) -> list[dict[str, Any]]:
    """What a refusal says: when to come back, and which limit it was (IETF draft RateLimit header fields, 10)."""
    limit = point_service.spec.gateway.rate_limit
    name, rate = {
        HEALTH: (HEALTH, HEALTH_PER_ADDRESS),
        SERVICE: (SERVICE, limit.requests_per_second),
    }.get(counted) or (MEMBER, limit.per_member.requests_per_second if limit.per_member else 0)
    return [
        _header("retry-after", "1"),
        _header("ratelimit", f'"{name}";r=0;t=1'),
        _header("ratelimit-policy", f'"{name}";q={rate};w=1'),
    ]


def _header(key: str, value: str) -> dict[str, Any]:
    return {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": {"key": key, "value": value}}


def _bucket(size: int, tokens: int, seconds: int) -> dict[str, Any]:
    """`tokens` every `seconds`; Envoy adds them bit by bit, so that no share has to be rounded."""
    return {"max_tokens": size, "tokens_per_fill": tokens, "fill_interval": f"{seconds}s"}


def _descriptor(point_service: PointService, counted: str, surroundings: Surroundings) -> dict[str, Any]:
    """What is counted together, and the bucket that it has. An entry without a value: a bucket for each."""
    limit, pods = point_service.spec.gateway.rate_limit, sharers(point_service, surroundings)
    whole = {"key": SERVICE, "value": names.in_gateway(point_service)}
    checks = {"key": HEALTH, "value": service.HEALTH_PATH}
    if counted == HEALTH:
        entries, bucket = [checks], _bucket(HEALTH_PER_SECOND, HEALTH_PER_SECOND, 1)
    elif counted == ADDRESS:
        entries, bucket = [checks, {"key": ADDRESS}], _bucket(HEALTH_PER_ADDRESS, HEALTH_PER_ADDRESS, 1)
    elif counted == MEMBER and limit.per_member:
        rate = limit.per_member.requests_per_second
        size = limit.per_member.burst or 2 * rate
        entries, bucket = [whole, {"key": MEMBER}], _bucket(per_pod(size, pods), rate, pods)
    else:
        # The rate limit service counts by the second of the clock, and lets a second's worth through at once.
        exact = scope(point_service, surroundings) == "Global"
        size = limit.requests_per_second if exact else burst(limit)
        entries, bucket = [whole], _bucket(per_pod(size, pods), limit.requests_per_second, pods)
    return {"entries": entries, "token_bucket": bucket}


def _counted_globally(point_service: PointService) -> list[str]:
    limit = point_service.spec.gateway.rate_limit
    if limit.scope != "Global":
        return []
    return [MEMBER, SERVICE] if limit.per_member else [SERVICE]


def _actions(point_service: PointService) -> dict[str, list[dict[str, Any]]]:
    """What makes up the descriptor of each thing counted among the calls of the API."""
    api = _asked(point_service, SERVICE, names.in_gateway(point_service), {"prefix": service.API_PREFIX})
    member = {"request_headers": {"header_name": MEMBER_HEADER, "descriptor_key": MEMBER}}
    return {SERVICE: [api], MEMBER: [api, member]}


def _health_actions(point_service: PointService) -> dict[str, list[dict[str, Any]]]:
    path = {"safe_regex": {"regex": re.escape(service.HEALTH_PATH) + r"(\?.*)?"}}
    checks = _asked(point_service, HEALTH, service.HEALTH_PATH, path)
    return {HEALTH: [checks], ADDRESS: [checks, {"remote_address": {}}]}


def _asked(point_service: PointService, key: str, value: str, path: dict[str, Any]) -> dict[str, Any]:
    """Match a path of what the virtual hosts match: each host in any case, with any port or none."""
    hosts = "|".join(re.escape(host) for host in point_service.spec.gateway.hosts)
    ours = {"name": ":authority", "string_match": {"safe_regex": {"regex": f"(?i)({hosts})(:.*)?"}}}
    headers = [ours, {"name": ":path", "string_match": path}]
    return {"header_value_match": {"descriptor_key": key, "descriptor_value": value, "headers": headers}}
