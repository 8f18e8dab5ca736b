"""The gateway's HTTPS listener, shared by every PointService of that gateway."""

from collections.abc import Sequence
from typing import Any

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.resources import metadata

PORT = 443


def build(sharers: Sequence[PointService]) -> metadata.Manifest | None:
    """Return the Gateway for the PointServices that share one, oldest first, or None when there are none.

    The first server takes connections for any name or none, because an AWS load balancer names no host
    when it opens TLS to its targets; which hosts exist is the VirtualServices' matter. It presents the
    oldest PointService's certificate. One that has another certificate gets a server of its own, for
    clients that do name the host.
    """
    if not sharers:
        return None
    first = sharers[0]
    gateway = first.spec.gateway
    servers = [_server("https", ["*"], first.credential_name)]
    for other in sharers[1:]:
        if other.credential_name != first.credential_name:
            servers.append(
                _server(
                    f"https-{names.in_gateway(other).replace('.', '-')}",
                    list(other.spec.gateway.hosts),
                    other.credential_name,
                )
            )
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
