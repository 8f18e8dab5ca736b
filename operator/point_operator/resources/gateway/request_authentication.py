"""How the gateway checks a token and what it makes of its claims."""

from typing import Any

from point_operator.model import kinds
from point_operator.model.api import PointService
from point_operator.resources import metadata

MEMBER_HEADER = "x-member-id"
ROLE_HEADER = "x-member-role"
CLIENT_HEADER = "x-client-id"
AUDIENCE = "aud"
"""The claim in which Envoy's token check looks for audiences, and it in no other."""


def build(point_service: PointService) -> metadata.Manifest:
    """Return the RequestAuthentication at the gateway.

    `fromHeaders` shuts out `?access_token=`, where Istio would look as well. The token itself is not
    forwarded to the service. Audiences in another claim than `aud` are the policy's to check.
    """
    gateway = point_service.spec.gateway
    jwt = gateway.jwt
    rule: dict[str, Any] = {
        "issuer": jwt.issuer,
        "fromHeaders": [{"name": "Authorization", "prefix": "Bearer "}],
        "forwardOriginalToken": False,
        "outputClaimToHeaders": [
            {"header": header, "claim": claim}
            for header, claim in (
                (MEMBER_HEADER, jwt.member_claim),
                (ROLE_HEADER, jwt.role_claim),
                (CLIENT_HEADER, jwt.client_claim),
            )
            if claim
        ],
    }
    if jwt.audience_claim == AUDIENCE and jwt.audiences:
        rule["audiences"] = list(jwt.audiences)
    if jwt.jwks:
        rule["jwks"] = jwt.jwks
    else:
        rule["jwksUri"] = jwt.jwks_uri
    manifest = metadata.in_gateway(kinds.REQUEST_AUTHENTICATION, point_service)
    manifest["spec"] = {**metadata.governing(gateway, "selector", "matchLabels"), "jwtRules": [rule]}
    return manifest
