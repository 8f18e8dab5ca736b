"""What keeps a client's own X-Member-Id and X-Member-Role from ever passing the gateway."""

from point_operator.model import kinds
from point_operator.model.gateways import ListedGateway
from point_operator.resources import metadata
from point_operator.resources.gateway.request_authentication import MEMBER_HEADER, ROLE_HEADER

FORGEABLE = sorted(
    {
        separators
        for header in (MEMBER_HEADER, ROLE_HEADER)
        for first in "-_"
        for second in "-_"
        for separators in ["{0}{3}{1}{4}{2}".format(*header.split("-"), first, second)]
    }
)
"""The identity headers and their spellings with underscores, which some servers read as the same name."""


def build(gateway: ListedGateway) -> metadata.Manifest:
    """Return the EnvoyFilter for everybody at a gateway.

    Its filter runs first of all, before the token is checked, and removes every copy of the headers in
    whichever case: what the pods see can only come from a verified token. That holds for a token without
    the role claim, for a request without a token and for a preflight, where the token filter itself may
    leave a client's header alone (envoy 35553, 46586).
    """
    manifest = metadata.shared(kinds.ENVOY_FILTER, gateway.namespace, gateway.selector)
    manifest["spec"] = {
        "workloadSelector": {"labels": gateway.selector},
        "priority": 100,  # after other EnvoyFilters, so that nothing else comes to stand before it
        "configPatches": [
            {
                "applyTo": "HTTP_FILTER",
                "match": {
                    "context": "GATEWAY",
                    "listener": {
                        "filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}
                    },
                },
                "patch": {
                    "operation": "INSERT_FIRST",
                    "value": {
                        "name": "pointservice.io.identity",
                        "typed_config": {
                            "@type": "type.googleapis.com/"
                            "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                            "mutations": {"request_mutations": [{"remove": name} for name in FORGEABLE]},
                        },
                    },
                },
            }
        ],
    }
    return manifest
