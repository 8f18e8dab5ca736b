"""What a gateway does for every PointService before it looks at a token.

It removes a client's own X-Member-Id, X-Member-Role and X-Client-Id, answers preflights, and words refusals.
"""

from collections.abc import Sequence
from typing import Any

from point_operator.model import kinds
from point_operator.model.gateways import ListedGateway
from point_operator.resources import metadata
from point_operator.resources.gateway import refusals
from point_operator.resources.gateway.gateway import Sharer
from point_operator.resources.gateway.request_authentication import CLIENT_HEADER, MEMBER_HEADER, ROLE_HEADER

MANAGER = "envoy.filters.network.http_connection_manager"
_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
MANAGER_TYPE = f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager"
HTTP_FILTERS = f"{_EXTENSIONS}.http"

FORGEABLE = sorted(
    {
        separators
        for header in (MEMBER_HEADER, ROLE_HEADER, CLIENT_HEADER)
        for first in "-_"
        for second in "-_"
        for separators in ["{0}{3}{1}{4}{2}".format(*header.split("-"), first, second)]
    }
)
"""The identity headers and their spellings with underscores, which some servers read as the same name."""


BEARER = {"namespace": "pointservice.io", "key": "authorization"}
"""Where the Authorization header lies between the filter that reads it and the one that writes it."""


def build(gateway: ListedGateway, sharers: Sequence[Sharer] = ()) -> metadata.Manifest:
    """Return the EnvoyFilter for everybody at a gateway; of `sharers` it knows how they name members.

    Its filters run first of all, before the token is checked:

    1. The word before a token is put as `Bearer`, which the token check knows in that case only, while clients
       may write it in any (RFC 9110, 11.1).
    2. Every copy of the identity headers is removed in whichever case: what the pods see can only come from a
       verified token. That holds for a token without the role claim, for a request without a token and for a
       preflight, where the token filter itself may leave a client's header alone (envoy 35553, 46586).
    3. CORS, which Istio has behind the token check: there a refusal would bear no header that lets a page read it.
       Which origins a host allows is in its routes.
    """
    manifest = metadata.shared(kinds.ENVOY_FILTER, gateway.namespace, gateway.selector)
    manifest["spec"] = {
        **metadata.governing(gateway, "workloadSelector", "labels"),
        "priority": 100,  # after other EnvoyFilters, so that nothing else comes to stand before it
        "configPatches": [
            _patch(
                "NETWORK_FILTER",
                "MERGE",
                _filter(MANAGER, MANAGER_TYPE, {"local_reply_config": refusals.local_replies(sharers)}),
            ),
            # Each comes to stand before the one that is inserted before it.
            *(_patch("HTTP_FILTER", "INSERT_FIRST", one) for one in reversed(_filters())),
        ],
    }
    return manifest


def _patch(apply_to: str, operation: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "applyTo": apply_to,
        "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": {"name": MANAGER}}}},
        "patch": {"operation": operation, "value": value},
    }


def _filters() -> list[dict[str, Any]]:
    bearer = {
        "header": "authorization",
        "on_header_present": {
            "metadata_namespace": BEARER["namespace"],
            "key": BEARER["key"],
            "regex_value_rewrite": {
                "pattern": {"regex": "(?i)^bearer +(.*)$"},
                "substitution": r"Bearer \1",
            },
        },
    }
    written = {
        "append_action": "OVERWRITE_IF_EXISTS",
        "header": {
            "key": "authorization",
            # Empty for a header that was too long to be read; then this does nothing.
            "value": f"%DYNAMIC_METADATA({BEARER['namespace']}:{BEARER['key']})%",
        },
    }
    mutations = [*({"remove": name} for name in FORGEABLE), {"append": written}]
    return [
        _filter(
            "pointservice.io.bearer",
            f"{HTTP_FILTERS}.header_to_metadata.v3.Config",
            {"request_rules": [bearer]},
        ),
        _filter(
            "pointservice.io.identity",
            f"{HTTP_FILTERS}.header_mutation.v3.HeaderMutation",
            {"mutations": {"request_mutations": mutations}},
        ),
        # Under the name of Istio's own, so that both take what the routes say.
        _filter("envoy.filters.http.cors", f"{HTTP_FILTERS}.cors.v3.Cors", {}),
    ]


def _filter(name: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": kind, **config}}
