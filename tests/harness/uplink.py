"""What leaves this machine: the packets that go out by the interface of the default route, and where they go."""

import socket
import struct
import threading
import time
from collections import Counter
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

_ALL, _IPV4, _IPV6 = 0x0003, 0x0800, 0x86DD  # linux/if_ether.h
_PACKET_OUTGOING = 4  # linux/if_packet.h
_IGMP, _TCP, _UDP = 2, 6, 17
_QUIET = 2.0
"""Seconds in which other programs would have shown that they use the uplink, too."""


def interfaces() -> list[str]:
    """Those of the default route; none without one."""
    routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()]
    return [route[0] for route in routes if route[1] == "00000000"]


def destination(protocol: int, packet: bytes) -> str | None:
    """Where a packet goes, as `udp 10.0.0.10:53`; None for what the kernel and its neighbours say among themselves.

    ARP, IGMP, and IPv6 to multicast and link-local addresses come and go with the machine's network and with nobody's
    program: a router that asks for this machine's address gets its answer.
    """
    if protocol == _IPV4:
        start, kind, to = (packet[0] & 0x0F) * 4, packet[9], ip_address(packet[16:20])
        if kind == _IGMP:
            return None
    elif protocol == _IPV6:
        start, kind, to = 40, packet[6], IPv6Address(packet[24:40])
        if to.is_multicast or to.is_link_local:
            return None
    else:
        return None
    if kind not in (_TCP, _UDP):
        return f"protocol {kind} {to}"
    (port,) = struct.unpack_from("!H", packet, start + 2)
    return f"{'tcp' if kind == _TCP else 'udp'} {to}:{port}"


class Uplink:
    """Listens from entry to exit. `quiet` says whether it was silent when it began, `sent` counts what left since."""

    def __init__(self, names: list[str] | None = None) -> None:
        self.sent: Counter[str] = Counter()
        self.quiet = True
        self._sockets = []
        for name in interfaces() if names is None else names:
            listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
            listener.bind((name, _ALL))
            listener.settimeout(0.2)
            self._sockets.append(listener)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._listen, args=(s,), daemon=True) for s in self._sockets]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        time.sleep(_QUIET if self._threads else 0)
        self.quiet = not self.sent
        self.sent.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        for listener in self._sockets:
            listener.close()

    def _listen(self, listener: socket.socket) -> None:
        while not self._ended.is_set():
            try:
                packet, (_, protocol, way, *_rest) = listener.recvfrom(128)
            except TimeoutError:
                continue
            if way == _PACKET_OUTGOING and (to := destination(protocol, packet)):
                self.sent[to] += 1
