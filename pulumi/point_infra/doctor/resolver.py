"""What this machine sees of the network: public DNS, and the addresses that it has."""

import contextlib
import ipaddress
import socket
import urllib.request

import dns.exception
import dns.resolver

_PATIENCE = 5.0
"""Seconds that an answer may take."""
_MIRROR = "https://checkip.amazonaws.com"


class UnansweredError(Exception):
    """DNS did not answer; says why."""


def name_servers(name: str) -> list[str]:
    """Name servers of a zone by the system's resolver; none when the name is not there. Raises UnansweredError."""
    try:
        answer = dns.resolver.resolve(f"{name}.", "NS", lifetime=_PATIENCE, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.exception.DNSException as error:
        # A server that does not know a name that is delegated to it refuses, which the resolver says as a failure.
        raise UnansweredError(f"{error}; by hand: dig +short NS {name}") from None
    return [str(record.target) for record in answer]


def seen_as() -> str | None:
    """The address that this machine has on the Internet; None when that can't be asked."""
    with (
        contextlib.suppress(OSError, ValueError),
        urllib.request.urlopen(_MIRROR, timeout=_PATIENCE) as answer,
    ):
        return str(ipaddress.ip_address(answer.read(64).decode().strip()))
    return None


def inside_as(ranges: list[str]) -> dict[str, str]:
    """The address that this machine would use towards each range; nothing is sent."""
    found: dict[str, str] = {}
    for range_ in ranges:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((str(ipaddress.ip_network(range_).network_address + 1), 443))
            found[range_] = probe.getsockname()[0]
    return found
