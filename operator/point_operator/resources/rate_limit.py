"""How many requests the gateway lets through for one PointService."""

import re
from typing import Any

from point_operator import kinds, names
from point_operator.api import PointService, RateLimit
from point_operator.resources import metadata
from point_operator.resources.request_authentication import MEMBER_HEADER
from point_operator.resources.surroundings import Surroundings

DESCRIPTOR, MEMBER = "pointservice", "member"
MEMBERS = 10_000
"""Members whose buckets one gateway pod remembers; the one unseen for longest is forgotten first."""
UNLIMITED = 2**32 - 1
TYPE = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"


def per_pod(total: int, pods: int) -> int:
    """Share of each of `pods` gateway pods in `total` requests per second, rounded up."""
    return -(-total // max(pods, 1))


def burst(limit: RateLimit) -> int:
    """Requests at once, over all gateway pods: a second may not see twice the limit."""
    return limit.burst or min(limit.requests_per_second, max(10, limit.requests_per_second // 10))


def build(point_service: PointService, surroundings: Surroundings) -> metadata.Manifest | None:
    """Return the EnvoyFilter, or None when there is no limit.

    The filter stands right before the router: what was refused for its token (401, 403) or answered as a
    preflight uses up nothing. It counts requests for this PointService's hosts only, all of them in one
    bucket, so several PointServices share a gateway without touching each other. (A limit set on the
    virtual hosts would give each host a bucket of its own.)
    """
    gateway = point_service.spec.gateway
    if not gateway.rate_limit.enabled:
        return None
    manifest = metadata.in_gateway(kinds.ENVOY_FILTER, point_service)
    manifest["spec"] = {
        "workloadSelector": {"labels": gateway.selector},
        "configPatches": [_filter(point_service), _limit(point_service, surroundings)],
    }
    return manifest


def filter_name(point_service: PointService) -> str:
    """Name of the filter in the gateway's chain, unlike that of any other PointService."""
    return f"pointservice.io.rate_limit.{names.in_gateway(point_service)}"


def _filter(point_service: PointService) -> dict[str, Any]:
    """An idle filter. The figures are in the routes: changing a listener would drain its connections."""
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
        "patch": {
            "operation": "INSERT_BEFORE",
            "value": {
                "name": filter_name(point_service),
                "typed_config": {"@type": TYPE, "stat_prefix": _stat_prefix(point_service)},
            },
        },
    }


def _limit(point_service: PointService, surroundings: Surroundings) -> dict[str, Any]:
    gateway, pods = point_service.spec.gateway, surroundings.gateway_pods
    always = {"numerator": 100, "denominator": "HUNDRED"}
    config = {
        "@type": TYPE,
        "stat_prefix": _stat_prefix(point_service),
        "filter_enabled": {"default_value": always},
        "filter_enforced": {"default_value": always},
        # Other hosts match no descriptor and fall to this bucket, which never empties.
        "token_bucket": _bucket(UNLIMITED, UNLIMITED),
        "always_consume_default_token_bucket": False,
        "rate_limits": [{"actions": actions} for actions in _actions(point_service)],
        "descriptors": _descriptors(point_service, pods),
        "max_dynamic_descriptors": MEMBERS,
        "response_headers_to_add": [_header("x-local-rate-limit", "true"), _header("retry-after", "1")],
    }
    shared = names.shared_name(gateway.namespace, gateway.selector)
    return {
        "applyTo": "ROUTE_CONFIGURATION",
        "match": {
            "context": "GATEWAY",
            "routeConfiguration": {"gateway": f"{gateway.namespace}/{shared}"},
        },
        "patch": {
            "operation": "MERGE",
            "value": {"typed_per_filter_config": {filter_name(point_service): config}},
        },
    }


def _stat_prefix(point_service: PointService) -> str:
    return f"point_rate_limit.{names.in_gateway(point_service)}"


def _header(key: str, value: str) -> dict[str, Any]:
    return {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": {"key": key, "value": value}}


def _bucket(size: int, per_second: int) -> dict[str, Any]:
    return {"max_tokens": size, "tokens_per_fill": per_second, "fill_interval": "1s"}


def _descriptors(point_service: PointService, pods: int) -> list[dict[str, Any]]:
    """The buckets: one for the service, and one for each member if wanted. A request needs both.

    Envoy asks the smaller one first, so what a member has too much takes nothing from the others.
    """
    limit = point_service.spec.gateway.rate_limit
    service = {"key": DESCRIPTOR, "value": names.in_gateway(point_service)}
    buckets = [
        {
            "entries": [service],
            "token_bucket": _bucket(per_pod(burst(limit), pods), per_pod(limit.requests_per_second, pods)),
        }
    ]
    if limit.per_member:
        rate = limit.per_member.requests_per_second
        size = limit.per_member.burst or 2 * rate
        member = {"key": MEMBER}  # no value: a bucket for each member
        buckets.append(
            {
                "entries": [service, member],
                "token_bucket": _bucket(per_pod(size, pods), per_pod(rate, pods)),
            }
        )
    return buckets


def _actions(point_service: PointService) -> list[list[dict[str, Any]]]:
    ours = _our_hosts(point_service)
    if not point_service.spec.gateway.rate_limit.per_member:
        return [[ours]]
    member = {"request_headers": {"header_name": MEMBER_HEADER, "descriptor_key": MEMBER}}
    return [[ours], [ours, member]]


def _our_hosts(point_service: PointService) -> dict[str, Any]:
    """Match what the virtual hosts match: each host in any case, with any port or none."""
    hosts = "|".join(re.escape(host) for host in point_service.spec.gateway.hosts)
    authority = {"name": ":authority", "string_match": {"safe_regex": {"regex": f"(?i)({hosts})(:.*)?"}}}
    return {
        "header_value_match": {
            "descriptor_key": DESCRIPTOR,
            "descriptor_value": names.in_gateway(point_service),
            "headers": [authority],
        }
    }
