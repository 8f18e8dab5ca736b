"""The listener that the end-to-end tests trust: it hears what leaves, and lets the network's own talk be."""

import os
import socket
import struct
import time

import pytest
from harness.uplink import Uplink, destination

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806


def ipv4(protocol: int, to: str, port: int = 0, options: bytes = b"") -> bytes:
    start = bytes([0x40 | 5 + len(options) // 4]) + bytes(8) + bytes([protocol]) + bytes(6)
    return start + socket.inet_aton(to) + options + struct.pack("!HH", 40_000, port)


def ipv6(protocol: int, to: str, port: int = 0) -> bytes:
    start = b"\x60" + bytes(5) + bytes([protocol, 64]) + bytes(16)
    return start + socket.inet_pton(socket.AF_INET6, to) + struct.pack("!HH", 40_000, port)


@pytest.mark.parametrize(
    ("protocol", "packet", "to"),
    [
        (IPV4, ipv4(17, "10.0.0.10", 53), "udp 10.0.0.10:53"),
        (IPV4, ipv4(6, "203.0.113.80", 443, options=bytes(4)), "tcp 203.0.113.80:443"),
        (IPV4, ipv4(1, "169.254.169.254"), "protocol 1 169.254.169.254"),
        (IPV6, ipv6(17, "2001:db8::1", 123), "udp 2001:db8::1:123"),
        (IPV6, ipv6(58, "2001:db8::1"), "protocol 58 2001:db8::1"),
        (IPV4, ipv4(2, "224.0.0.22"), None),
        (IPV6, ipv6(58, "fe80::1"), None),
        (IPV6, ipv6(0, "ff02::16"), None),
        (ARP, bytes(28), None),
    ],
)
def test_a_packet_has_a_destination_unless_it_is_the_networks_own(
    protocol: int, packet: bytes, to: str | None
) -> None:
    assert destination(protocol, packet) == to


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may listen to an interface")
def test_a_packet_that_leaves_is_heard() -> None:
    with Uplink(["lo"]) as uplink, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("127.3.2.1", 9))
        deadline = time.monotonic() + 10
        while "udp 127.3.2.1:9" not in uplink.sent and time.monotonic() < deadline:
            time.sleep(0.01)
    assert uplink.sent["udp 127.3.2.1:9"] == 1
