"""
Addresses and control messages of a datagram socket: the one place that knows C's structures.

A wildcard socket is told by the kernel which of the host's addresses a datagram was sent to
(IP_PKTINFO of ip(7), IPV6_PKTINFO of RFC 3542 section 6), and is told of ICMP errors by its error
queue (IP_RECVERR and IPV6_RECVERR of ip(7) and ipv6(7), Linux only).

Nothing here does I/O: bytes and tuples in, values out.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

__all__ = [
    "ERROR_SPACE",
    "IPV6_PKTINFO",
    "IPV6_RECVERR",
    "IPV6_RECVPKTINFO",
    "IP_PKTINFO",
    "IP_RECVERR",
    "IS_LINUX",
    "MSG_ERRQUEUE",
    "PKTINFO_SPACE",
    "ControlMessage",
    "LocalAddress",
    "SocketAddress",
    "interfaceIndex",
    "literalAddress",
    "localAddress",
    "outgoing",
    "reportedError",
]

ControlMessage = tuple[int, int, bytes]
"""One control message as C{recvmsg} gives it and C{sendmsg} takes it: level, type, data."""

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""A socket address: C{(host, port)} of IPv4, C{(host, port, flow, scope)} of IPv6."""

IS_LINUX = sys.platform.startswith("linux")

# Python 3.10 to 3.13 lack some of these names; the numbers are Linux's ABI.
IP_PKTINFO: int | None = getattr(socket, "IP_PKTINFO", 8 if IS_LINUX else None)
IP_RECVERR = 11
IPV6_RECVERR = 25
MSG_ERRQUEUE = 0x2000
IPV6_PKTINFO: int | None = getattr(socket, "IPV6_PKTINFO", None)
IPV6_RECVPKTINFO: int | None = getattr(socket, "IPV6_RECVPKTINFO", None)

# struct in_pktinfo: interface, address to answer from, address in the header.
_PKTINFO4 = struct.Struct("@I4s4s")
# struct in6_pktinfo: address, interface.
_PKTINFO6 = struct.Struct("@16sI")
# struct sock_extended_err: errno, origin, type, code, pad, info, data.
_EXTENDED_ERROR = struct.Struct("@IBBBBII")
# Its origin and type for Time Exceeded: of ICMP, and of ICMPv6.
_TIME_EXCEEDED = ((2, 11), (3, 3))

PKTINFO_SPACE = socket.CMSG_SPACE(_PKTINFO4.size) + socket.CMSG_SPACE(_PKTINFO6.size)
"""Room for both kinds of PKTINFO: a dual-stack socket gives both for an IPv4 datagram."""

ERROR_SPACE = PKTINFO_SPACE + socket.CMSG_SPACE(_EXTENDED_ERROR.size + 28)
"""Room for an error and the address of the router that reported it (a sockaddr_in6 at most)."""

_ANY4 = bytes(4)
_ANY6 = bytes(16)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


class LocalAddress(NamedTuple):
    """
    The address of ours that a datagram was sent to, to be handed to C{send} unchanged.

    @ivar address: The address as text; IPv4 in its own form also on a dual-stack socket.
    @ivar isMulticast: Whether many may have received it: multicast, or an IPv4 broadcast.
    @ivar interface: The index of the interface it came in by.
    @ivar ancillary: What makes C{sendmsg} answer from that address, or, where it was multicast, by that
        interface.
    """

    address: str
    isMulticast: bool
    interface: int
    ancillary: tuple[ControlMessage, ...]


def localAddress(ancillary: Sequence[ControlMessage]) -> LocalAddress | None:
    """
    Read PKTINFO.

    @param ancillary: The control messages that came with a datagram.
    @return: The address that was asked, or None where the messages do not tell.
    """
    for level, kind, data in reversed(ancillary):
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(data) == _PKTINFO4.size:
            return _local4(kind, data)
        if level == socket.IPPROTO_IPV6 and kind == IPV6_PKTINFO and len(data) == _PKTINFO6.size:
            return _local6(kind, data)
    return None


def _local4(kind: int, data: bytes) -> LocalAddress:
    interface, source, destination = _PKTINFO4.unpack(data)
    # Linux puts an address of ours in the middle; it differs for what was sent to many.
    isMulticast = source != destination
    # To many: by that interface, from its own address. To us alone: from the address that was asked.
    fields = (interface, _ANY4, _ANY4) if isMulticast else (0, source, _ANY4)
    return LocalAddress(
        socket.inet_ntop(socket.AF_INET, destination),
        isMulticast,
        interface,
        ((socket.IPPROTO_IP, kind, _PKTINFO4.pack(*fields)),),
    )


def _local6(kind: int, data: bytes) -> LocalAddress:
    destination, interface = _PKTINFO6.unpack(data)
    address = ipaddress.IPv6Address(destination)
    if address.is_multicast:
        reply = _PKTINFO6.pack(_ANY6, interface)
    else:
        # Elsewhere routing chooses the interface; a link-local address means nothing without one.
        reply = _PKTINFO6.pack(destination, interface if address.is_link_local else 0)
    return LocalAddress(
        socket.inet_ntop(socket.AF_INET6, destination),
        address.is_multicast,
        interface,
        ((socket.IPPROTO_IPV6, kind, reply),),
    )


def outgoing(isIPv6: bool, interface: int, hops: int | None) -> tuple[ControlMessage, ...]:
    """
    Say how one datagram is to leave the host, for C{sendmsg}.

    @param isIPv6: Whether it goes to an IPv6 address.
    @param interface: The index of the interface to send it by; 0 to let the kernel choose.
    @param hops: Its TTL or hop limit; None for the system's, which is 1 for multicast.
    """
    messages: list[ControlMessage] = []
    if interface:
        if isIPv6 and IPV6_PKTINFO is not None:
            messages.append((socket.IPPROTO_IPV6, IPV6_PKTINFO, _PKTINFO6.pack(_ANY6, interface)))
        elif not isIPv6 and IP_PKTINFO is not None:
            messages.append((socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO4.pack(interface, _ANY4, _ANY4)))
    if hops is not None:
        level, kind = (
            (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT) if isIPv6 else (socket.IPPROTO_IP, socket.IP_TTL)
        )
        messages.append((level, kind, struct.pack("@i", hops)))
    return tuple(messages)


def reportedError(ancillary: Sequence[ControlMessage]) -> int | None:
    """
    Read what came from a socket's error queue.

    @param ancillary: The control messages that came with the entry.
    @return: The errno, or None for what makes no destination unreachable (RFC 7252 4.2): EMSGSIZE is told
        when the path carries less than was thought, and the kernel now knows, so that the retransmission
        gets through; Time Exceeded, when routes change.
    """
    for level, kind, data in ancillary:
        isError = (level, kind) in (
            (socket.IPPROTO_IP, IP_RECVERR),
            (socket.IPPROTO_IPV6, IPV6_RECVERR),
        )
        if isError and len(data) >= _EXTENDED_ERROR.size:
            number, origin, type = _EXTENDED_ERROR.unpack_from(data)[:3]
            isPassing = number in (0, errno.EMSGSIZE) or (origin, type) in _TIME_EXCEEDED
            return None if isPassing else int(number)
    return None


def literalAddress(family: int, host: str, port: int, dualStack: bool = False) -> SocketAddress:
    """
    Write an address as a socket of that family gives and takes it, so that what was sent to and
    what answers compare equal.

    @param family: The socket's family.
    @param host: An IPv4 or IPv6 literal, which may carry a zone C{%eth0}.
    @param port: 0 to 65535.
    @param dualStack: Whether the socket is an IPv6 one that speaks IPv4 too.
    @return: The socket's address: two items of IPv4, four of IPv6.
    @raise ValueError: the host is no literal, its zone is no interface, or that socket cannot reach
        it.
    """
    if "%" not in host:
        return _written(family, host, port, dualStack)
    # An interface may get another index: it is looked up each time.
    text, _, zone = host.partition("%")
    written = _written(family, text, port, dualStack)
    return (*written[:3], interfaceIndex(zone)) if len(written) == 4 else written


@lru_cache(1024)
def _written(family: int, text: str, port: int, dualStack: bool) -> SocketAddress:
    """An address without a zone, as L{literalAddress} writes it."""
    if not 0 <= port <= 0xFFFF:
        raise ValueError(f"{port} is not a port: ports are 0 to 65535")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 or IPv6 address") from None
    if address.version == 6 and address in _MAPPED and family == socket.AF_INET:
        address = ipaddress.IPv4Address(address.packed[12:])
    if family == socket.AF_INET:
        if address.version != 4:
            raise ValueError(f"an IPv4 socket cannot reach {text}")
        return str(address), port
    if address.version == 4:
        if not dualStack:
            raise ValueError(f"an IPv6 socket cannot reach {text}")
        return f"::ffff:{address}", port, 0, 0
    return socket.inet_ntop(socket.AF_INET6, address.packed), port, 0, 0


def interfaceIndex(zone: str) -> int:
    """
    @return: The index of an interface that is named or numbered; 0 for no zone.
    @raise ValueError: there is no interface of that name.
    """
    if not zone:
        return 0
    if zone.isdecimal():
        return int(zone)
    try:
        return socket.if_nametoindex(zone)
    except OSError:
        raise ValueError(f"there is no network interface {zone!r}") from None
