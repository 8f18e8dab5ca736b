"""Who may call what: at the gateway by token, at the pods by the gateway's mesh identity."""

from typing import Any

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata
from point_operator.resources.gateway import rate_limit_service
from point_operator.resources.gateway.request_authentication import AUDIENCE
from point_operator.resources.pods.service import API_PREFIX, HEALTH_PATH

API_PATHS = [f"{API_PREFIX}*"]
READS = ["GET", "HEAD"]
METHODS = [*READS, "POST"]


def build_gateway(point_service: PointService) -> metadata.Manifest:
    """Return the policy at the gateway: a verified token of our issuer, or the health check.

    Every rule names the hosts, so that a token of one PointService opens no other one that shares the
    gateway. No token means 403; a bad one is answered 401 before this policy, and a preflight of an allowed
    origin 200 (`gateway_guard`). Any other OPTIONS ends here.
    """
    gateway = point_service.spec.gateway
    hosts = [text for host in gateway.hosts for text in (host, f"{host}:*")]
    health = {"hosts": hosts, "methods": READS, "paths": [HEALTH_PATH]}
    rules = [_token_rule(point_service, hosts), {"to": [{"operation": health}]}]
    manifest = metadata.in_gateway(kinds.AUTHORIZATION_POLICY, point_service)
    governed = metadata.governing(gateway, "selector", "matchLabels")
    manifest["spec"] = {**governed, "action": "ALLOW", "rules": rules}
    return manifest


def build_workload(point_service: PointService) -> metadata.Manifest:
    """Return the policy at the pods: the gateway's service account and nobody else.

    The pods believe X-Member-Id, so whoever could call them directly could be any member. `cluster.local`
    stands for the mesh's own trust domain, whatever it is called.
    """
    gateway = point_service.spec.gateway
    principal = f"cluster.local/ns/{gateway.namespace}/sa/{gateway.service_account}"
    source = [{"source": {"principals": [principal]}}]
    rules: list[dict[str, Any]] = [
        {"from": source, "to": [{"operation": {"paths": API_PATHS, "methods": METHODS}}]},
        {"from": source, "to": [{"operation": {"paths": [HEALTH_PATH], "methods": READS}}]},
    ]
    if rate_limit_service.is_wanted(point_service):
        rules.append({"from": source, "to": [{"operation": {"paths": [rate_limit_service.ASK]}}]})
    manifest = metadata.own(kinds.AUTHORIZATION_POLICY, point_service, point_service.name)
    manifest["spec"] = {
        "selector": {"matchLabels": names.every_pod(point_service)},
        "action": "ALLOW",
        "rules": rules,
    }
    return manifest


def _token_rule(point_service: PointService, hosts: list[str]) -> dict[str, Any]:
    """A token of exactly our issuer, meant for us, that names a member.

    The principal is `issuer/subject`: an issuer `https://a/b` could pass for `https://a/` by prefix alone,
    so the iss claim is compared whole. A space at an end of a member's id would be lost in a header, and make it
    another member's.
    """
    jwt = point_service.spec.gateway.jwt
    when: list[dict[str, Any]] = [
        {"key": "request.auth.claims[iss]", "values": [jwt.issuer]},
        {
            "key": f"request.auth.claims[{jwt.member_claim}]",
            "values": ["*"],
            "notValues": [" *", "* "],
        },
    ]
    if jwt.audiences:
        standard = jwt.audience_claim == AUDIENCE
        key = "request.auth.audiences" if standard else f"request.auth.claims[{jwt.audience_claim}]"
        when.append({"key": key, "values": list(jwt.audiences)})
    return {
        "from": [{"source": {"requestPrincipals": [f"{jwt.issuer}/*"]}}],
        "to": [{"operation": {"hosts": hosts, "paths": API_PATHS, "methods": METHODS}}],
        "when": when,
    }
