"""
Sockets in multicast groups (RFC 7252 8, RFC 3376, RFC 3810), by interface.

Twisted's C{joinGroup} knows no interface of IPv6, and no IPv4 group on an IPv6 socket; here both are
joined by the number of the interface: ip_mreqn of ip(7), ipv6_mreq of RFC 3493 5.2.
"""

from __future__ import annotations

import errno
import socket
import struct

from ..groups import Group
from . import ancillary, sockets

__all__ = ["hearOnlyJoined", "join", "requireInterface"]

# struct ip_mreqn: group, local address, interface.
_MREQN = struct.Struct("@4s4si")
# struct ipv6_mreq: group, interface.
_MREQ6 = struct.Struct("@16sI")

# Without these, Linux gives a wildcard socket what comes by the groups that others on the host have joined,
# at whatever interface. Python has no names for them.
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29


def requireInterface(interface: str) -> int:
    """
    @param interface: A name or number; C{""} for none in particular.
    @return: Its index, or 0 for none in particular.
    @raise ValueError: there is no such interface.
    """
    index = ancillary.interfaceIndex(interface)
    if index:
        try:
            socket.if_indextoname(index)
        except (OSError, OverflowError):
            raise ValueError(f"there is no network interface {interface}") from None
    return index


def join(skt: socket.socket, group: Group) -> list[str]:
    """
    Make a socket hear what is sent to a group, and of no group but those that it joined.

    @return: The names of the interfaces by which it is heard.
    @raise ValueError: there is no such interface, or the socket is of the other family.
    @raise OSError: no interface carries multicast, or the named one does not.
    """
    if group.isIPv6 and skt.family != socket.AF_INET6:
        raise ValueError(f"an IPv4 socket hears nothing of {group.address}")
    if not group.isIPv6 and skt.family != socket.AF_INET and not sockets.isDualStack(skt):
        raise ValueError(f"an IPv6 socket hears nothing of {group.address}")
    if group.interface:
        interfaces = [(requireInterface(group.interface), group.interface)]
    else:
        interfaces = socket.if_nameindex()
    joined = []
    failure = OSError(errno.ENODEV, "this host has no network interface")
    for index, name in interfaces:
        try:
            _joinBy(skt, group, index)
        except OSError as e:
            if e.errno == errno.EADDRINUSE:
                # It was joined before.
                joined.append(name)
            failure = e
        else:
            joined.append(name)
    if not joined:
        raise failure
    if ancillary.IS_LINUX:  # pragma: no branch - other systems do so anyway
        _switchOff(skt, group.isIPv6)
    return joined


def hearOnlyJoined(skt: socket.socket) -> None:
    """Keep a socket from what is sent to groups that it has not joined, but another socket on this host."""
    if ancillary.IS_LINUX:  # pragma: no branch - other systems do so anyway
        if skt.family == socket.AF_INET or sockets.isDualStack(skt):
            _switchOff(skt, False)
        if skt.family == socket.AF_INET6:
            _switchOff(skt, True)


def _joinBy(skt: socket.socket, group: Group, index: int) -> None:
    if group.isIPv6:
        address = socket.inet_pton(socket.AF_INET6, group.address)
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, _MREQ6.pack(address, index))
    else:
        address = socket.inet_pton(socket.AF_INET, group.address)
        skt.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _MREQN.pack(address, bytes(4), index))


def _switchOff(skt: socket.socket, isIPv6: bool) -> None:
    level, option = (
        (socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL) if isIPv6 else (socket.IPPROTO_IP, _IP_MULTICAST_ALL)
    )
    try:
        skt.setsockopt(level, option, 0)
    except OSError:  # pragma: no cover
        # Linux before 4.20 has it for IPv4 alone.
        return
