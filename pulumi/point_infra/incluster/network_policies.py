"""Who may talk to whom in the cluster: the policies of every namespace that the program fills."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pulumi
from point_infra.config.settings import Settings
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.network import Network
from point_infra.incluster import manifest
from point_infra.incluster.manifest import Object

_POLICIES = Path(__file__).parent / "policies"

Ranges = Mapping[str, pulumi.Output[list[str]]]
"""By the name that a range has in the policies."""


def declare(
    s: Settings, network: Network, cluster: Cluster, *, parent: pulumi.Resource, after: pulumi.Resource
) -> None:
    """Declare all of them, once the last of the namespaces is there."""
    ranges = {
        "DATA": pulumi.Output.all(*network.data_cidrs),
        "NODES": network.node_cidrs,
        # A pod's packet is looked at before and after the Service's address became the control plane's.
        "API": pulumi.Output.all(network.node_cidrs, cluster.service_cidr).apply(lambda a: [*a[0], a[1]]),
    }
    manifest.declare(
        "policy",
        _POLICIES,
        lambda d: filled_in(d, ranges, jwks_port(s)),
        parent=parent,
        provider=cluster.provider,
        depends_on=[after],
    )


def jwks_port(s: Settings) -> int:
    """Where the token issuer's keys are fetched."""
    return urlsplit(s.jwks_uri).port or 443


def with_way_to_keys(document: Object, port: int) -> Object:
    """The operator's own policy with a way to the token issuer's keys, which it looks at; anything else as it is."""
    if document["kind"] != "NetworkPolicy":
        return document
    spec = document["spec"]
    ways = spec.get("egress", ())
    if not ways or port in (open_["port"] for rule in ways for open_ in rule["ports"]):
        return document
    way = {"ports": [{"port": port, "protocol": "TCP"}]}
    return {**document, "spec": {**spec, "egress": [*ways, way]}}


def filled_in(document: Object, ranges: Ranges, jwks_port: int) -> Object:
    """A NetworkPolicy with this stack's ranges, and the port of its token issuer, where it has their names."""
    spec = dict(document["spec"])
    for direction, side in (("ingress", "from"), ("egress", "to")):
        if direction in spec:
            spec[direction] = [_rule(rule, side, ranges, jwks_port) for rule in spec[direction]]
    return {**document, "spec": spec}


def _rule(rule: Object, side: str, ranges: Ranges, jwks_port: int) -> Object:
    ports = [{**p, "port": jwks_port} if p["port"] == "JWKS" else p for p in rule["ports"]]
    peers = {side: _peers(rule[side], ranges)} if side in rule else {}
    return {**rule, **peers, "ports": ports}


def _peers(peers: Sequence[Object], ranges: Ranges) -> pulumi.Input[list[Object]]:
    named = {n: r for n, r in ranges.items() if {"ipBlock": {"cidr": n}} in peers}
    if not named:
        return list(peers)

    def fill(known: dict[str, Any]) -> list[Object]:
        return [
            one
            for peer in peers
            for one in (
                [{"ipBlock": {"cidr": cidr}} for cidr in known[peer["ipBlock"]["cidr"]]]
                if peer.get("ipBlock", {}).get("cidr") in known
                else [peer]
            )
        ]

    return pulumi.Output.all(**named).apply(fill)
