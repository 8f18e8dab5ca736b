"""The gateway's HTTPS listener, shared by every PointService of that gateway."""

from collections.abc import Sequence
from typing import Any

import msgspec

from point_operator.model import kinds
from point_operator.model.gateways import ListedGateway
from point_operator.resources import metadata

PORT = 443


class Sharer(msgspec.Struct, frozen=True):
    """A PointService at a shared gateway, with what it was admitted to."""

    namespace: str
    name: str
    hosts: tuple[str, ...]
    credential_name: str
    valid: bool = True
    """Whether the gateway can present that certificate."""
    member_claim: str = "sub"
    """The claim that says who the member is."""


def build(gateway: ListedGateway, sharers: Sequence[Sharer]) -> metadata.Manifest:
    """Return the Gateway for those who share one, the first one first; there is at least one.

    The first server takes connections for any name or none, because an AWS load balancer names no host
    when it opens TLS to its targets; which hosts exist is the VirtualServices' matter, and only those in the
    sharers' namespaces count. It presents the first certificate that is there. One that has another certificate gets
    a server of its own, for clients that do name the host; while it is missing, the first one stands in for it.
    """
    default = next((one for one in sharers if one.valid), sharers[0]).credential_name
    everybody = sorted({f"{one.namespace}/*" for one in sharers})
    servers = [_server("https", everybody, default)]
    named: dict[str, Sharer] = {}
    for one in sharers:
        if one.valid and one.credential_name != default:
            name = f"https-{one.namespace}-{one.name}"
            before = named.get(name)
            if before is None or before.credential_name == one.credential_name:
                hosts = dict.fromkeys((*(before.hosts if before else ()), *one.hosts))
                named[name] = msgspec.structs.replace(one, hosts=tuple(hosts))
    servers += [
        _server(name, [f"{one.namespace}/{host}" for host in one.hosts], one.credential_name)
        for name, one in named.items()
    ]
    manifest = metadata.shared(kinds.GATEWAY, gateway.namespace, gateway.selector)
    manifest["spec"] = {"selector": gateway.selector, "servers": servers}
    return manifest


def _server(name: str, hosts: list[str], credential_name: str) -> dict[str, Any]:
    return {
        "name": name,
        "port": {"number": PORT, "name": name, "protocol": "HTTPS"},
        "hosts": hosts,
        "tls": {
            "mode": "SIMPLE",
            "credentialName": credential_name,
            "minProtocolVersion": "TLSV1_2",
        },
    }
