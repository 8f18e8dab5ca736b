"""Who may open a connection to whom, as NetworkPolicies say: both the caller's and the called one's.

The local cluster's network (a bridge and routes) enforces no NetworkPolicy, so this is what judges them here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, cast

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Peer:
    """A pod by its namespace and labels, or, without a namespace, an address outside of every pod.

    A pod has an address where a range may hold pods, too, as on AWS.
    """

    namespace: str = ""
    labels: Mapping[str, str] | None = field(default=None, hash=False)
    address: str = ""


def allowed(policies: Iterable[Object], caller: Peer, called: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the policies let `caller` open a connection to `port` of `called`. Raises ValueError.

    A pod that no policy selects in a direction may do everything in it. What a machine opens to a pod of its
    own is none of theirs. Named ports and port ranges are not known here.
    """
    known = list(policies)
    return _admits(known, called, caller, "Ingress", port, protocol) and _admits(
        known, caller, called, "Egress", port, protocol
    )


def _admits(
    policies: Sequence[Object], pod: Peer, other: Peer, direction: str, port: int, protocol: str
) -> bool:
    """Whether `pod` may be called by (Ingress) or call (Egress) the other."""
    mine = [p["spec"] for p in policies if _selects(p, pod) and direction in p["spec"]["policyTypes"]]
    rules = [rule for spec in mine for rule in spec.get(direction.lower(), [])]
    side = "from" if direction == "Ingress" else "to"
    return not mine or any(
        _matches_port(rule, port, protocol) and _matches_peer(rule.get(side, []), pod.namespace, other)
        for rule in rules
    )


def _selects(policy: Object, pod: Peer) -> bool:
    same = bool(pod.namespace) and policy["metadata"]["namespace"] == pod.namespace
    return same and _matches(policy["spec"]["podSelector"], pod.labels or {})


def _matches_port(rule: Object, port: int, protocol: str) -> bool:
    ports = cast("list[Object]", rule.get("ports", []))
    for one in ports:
        if not isinstance(one["port"], int) or "endPort" in one:
            raise ValueError(f"a port that is no number: {one}")
    return not ports or any(p["port"] == port and p.get("protocol", "TCP") == protocol for p in ports)


def _matches_peer(peers: Sequence[Object], namespace: str, other: Peer) -> bool:
    return not peers or any(_is(peer, namespace, other) for peer in peers)


def _is(peer: Object, namespace: str, other: Peer) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return bool(other.address) and ip_address(other.address) in ip_network(block["cidr"])
    if not other.namespace:
        return False
    if "namespaceSelector" in peer:
        # The label that the API server puts on every namespace is the one that is selected by here.
        if not _matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace}):
            return False
    elif other.namespace != namespace:
        return False
    return _matches(peer.get("podSelector", {}), other.labels or {})


def _matches(selector: Object, labels: Mapping[str, str]) -> bool:
    for expression in selector.get("matchExpressions", []):
        if expression["operator"] != "In":
            raise ValueError(f"a selector that is not known here: {expression}")
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())
