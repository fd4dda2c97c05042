"""
The messages of a command in a file, as Wireshark and tcpdump read it: C{pcap}, each packet an IP packet.

The headers of IP and UDP are made here: a socket does not show those that were on the wire. Messages by
Unix sockets have none, and are left out.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Hashable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, BinaryIO

from twisted.internet.address import IPv4Address, IPv6Address

from ..addresses import addressOf

__all__ = ["Capture"]

# Microseconds, version 2.4, in this machine's order of bytes; packets begin with IPv4 or IPv6 (LINKTYPE_RAW).
_HEADER = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, 101)
_UDP = 17
_HOP_LIMIT = 64


class Capture:
    """
    A trace of an L{Agent<txcoap.client.Agent>} that writes each message.

    @param path: The file, which is written anew.
    @param time: Tells the time of day in seconds.
    @ivar hosts: Tells the addresses of the agent's sockets.
    @raise OSError: if it cannot be written.
    """

    def __init__(self, path: str, time: Callable[[], float]) -> None:
        self._file: BinaryIO = open(path, "wb")  # noqa: SIM115 (close() does)
        self._file.write(_HEADER)
        self._file.flush()
        self._time = time
        self.hosts: Callable[[], list[Any]] = list

    def __call__(self, direction: str, data: bytes, peer: Hashable) -> None:
        """A message went by; see L{Trace<txcoap.protocol.Trace>}."""
        address = addressOf(peer)
        if not isinstance(address, (IPv4Address, IPv6Address)):
            return
        there = (address.host.partition("%")[0], address.port)
        here = self._here(address)
        packet = _packet(here, there, data) if direction == "sent" else _packet(there, here, data)
        seconds, fraction = divmod(self._time(), 1)
        head = struct.pack("=IIII", int(seconds), int(fraction * 1e6), len(packet), len(packet))
        # What was asked for goes on, even if the disk is full.
        with suppress(OSError):
            self._file.write(head + packet)
            self._file.flush()

    def _here(self, peer: IPv4Address | IPv6Address) -> tuple[str, int]:
        """Where the peer is spoken to from."""
        family, port = (socket.AF_INET6 if isinstance(peer, IPv6Address) else socket.AF_INET), 0
        for host in self.hosts():
            if type(host) is type(peer):
                port = host.port
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                # Nothing is sent: the system says which address it would send from.
                probe.connect((peer.host, peer.port))
                return probe.getsockname()[0].partition("%")[0], port
            except OSError:
                return ("::" if isinstance(peer, IPv6Address) else "0.0.0.0"), port  # noqa: S104

    def close(self) -> None:
        """It is complete."""
        with suppress(OSError):
            self._file.close()


def _packet(source: tuple[str, int], target: tuple[str, int], data: bytes) -> bytes:
    """An IP packet with a datagram (RFC 791, RFC 8200, RFC 768)."""
    ends = ip_address(source[0]).packed + ip_address(target[0]).packed
    size = 8 + len(data)
    pseudo = ends + struct.pack("!II", size, _UDP)
    datagram = struct.pack("!HHHH", source[1], target[1], size, 0) + data
    # A sum of 0 would say that there is none.
    total = _sum(pseudo + datagram) or 0xFFFF
    datagram = datagram[:6] + struct.pack("!H", total) + datagram[8:]
    if len(ends) == 32:
        return struct.pack("!IHBB", 6 << 28, size, _UDP, _HOP_LIMIT) + ends + datagram
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + size, 0, 0, _HOP_LIMIT, _UDP)
    return head + struct.pack("!H", _sum(head + b"\0\0" + ends)) + ends + datagram


def _sum(data: bytes) -> int:
    """The checksum of the Internet (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
