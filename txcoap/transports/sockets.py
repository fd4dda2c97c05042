"""
Sockets as the datagram ports want them: opened, bound, and asked for what the kernel can tell.

Everything here is done once per socket; what a kernel does not know is done without.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import ancillary

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort

__all__ = [
    "WILDCARDS",
    "adopt",
    "askForErrors",
    "askForLocal",
    "dropped",
    "duplicate",
    "growReceiveBuffer",
    "isDualStack",
    "openUDP",
]

# linux/sock_diag.h: the socket's memory, nine numbers of 32 bits, and which of them counts drops.
_SO_MEMINFO = 55
_DROPS = 8

WILDCARDS = ("0.0.0.0", "::")  # noqa: S104
"""The addresses that stand for every address of the host."""


def openUDP(
    family: int, interface: str, port: int, *, reuseport: bool = False, reuseaddr: bool = False
) -> socket.socket:
    """
    Open and bind a non-blocking UDP socket.

    @param family: C{AF_INET} or C{AF_INET6}.
    @param interface: A literal address of that family, with a zone where it is link-local; C{""}
        for all of IPv4, C{"::"} for all of IPv6 and IPv4.
    @param port: 0 for any that is free.
    @param reuseport: Whether other sockets that ask for it too may share the port.
    @param reuseaddr: Likewise, by another option; see L{Port<txcoap.transports.udp.Port>} for what is
        different.
    @raise OSError: the address is in use, not ours, or of a family that is not here.
    @raise ValueError: it is no such address.
    """
    where = ancillary.literalAddress(family, interface or WILDCARDS[0], port)
    skt = socket.socket(family, socket.SOCK_DGRAM)
    try:
        skt.setblocking(False)
        if interface == "::":
            # Dual stack is Linux's default but a sysctl, and not the BSDs'.
            skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if reuseaddr:
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuseport:
            if not hasattr(socket, "SO_REUSEPORT"):  # pragma: no cover - not on Linux
                raise OSError(errno.ENOPROTOOPT, "this system has no SO_REUSEPORT")
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        skt.bind(where)
    except BaseException:
        skt.close()
        raise
    return skt


def adopt(
    fd: int, makePort: Callable[..., IListeningPort], reactor: Any, protocol: Any, **options: Any
) -> IListeningPort:
    """
    Listen on a socket that somebody else bound, by a descriptor of our own.

    @param makePort: Makes a port of the reactor, a socket, the protocol and the options.
    @return: The port, listening.
    @raise ValueError: it is no socket for such a port.
    @raise OSError: it is no open descriptor.
    """
    skt = duplicate(fd)
    try:
        port = makePort(reactor, skt, protocol, **options)
    except BaseException:
        skt.close()
        raise
    port.startListening()
    return port


def duplicate(fd: int) -> socket.socket:
    """
    @return: A socket of its own for a descriptor; its family and type are asked of the kernel.
    @raise OSError: it is no open descriptor, or no socket.
    """
    # Not socket.dup(): that makes it blocking for a moment, for whoever else reads the same socket as well.
    copy = os.dup(fd)
    try:
        return socket.socket(fileno=copy)
    except BaseException:
        os.close(copy)
        raise


def isDualStack(skt: socket.socket) -> bool:
    """
    @return: Whether it is an IPv6 socket that, bound to C{"::"}, speaks IPv4 too.
    """
    return skt.family == socket.AF_INET6 and not skt.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def askForErrors(skt: socket.socket) -> bool:
    """
    Ask for an error queue, which Linux fills with the ICMP errors about what this socket sent.

    @return: Whether there is one.
    """
    if not ancillary.IS_LINUX:  # pragma: no cover - other systems have no such option
        return False
    return _switchOn(skt, ancillary.IP_RECVERR, ancillary.IPV6_RECVERR)


def askForLocal(skt: socket.socket) -> bool:
    """
    Ask to be told the address that each datagram was sent to.

    @return: Whether it will be told.
    """
    return _switchOn(skt, ancillary.IP_PKTINFO, ancillary.IPV6_RECVPKTINFO)


def growReceiveBuffer(skt: socket.socket, size: int) -> None:
    """
    Ask for a receive buffer of at least so many bytes. The system's limit applies, without an
    error.
    """
    if skt.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < size:
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def dropped(skt: socket.socket) -> int:
    """
    @return: How many datagrams were lost because the receive buffer was full; 0 where the system does not
        tell.
    """
    if not ancillary.IS_LINUX:  # pragma: no cover - other systems do not tell
        return 0
    try:
        memory = skt.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
    except OSError:  # pragma: no cover - Linux before 4.12
        return 0
    return int.from_bytes(memory[4 * _DROPS :], sys.byteorder)


def _switchOn(skt: socket.socket, option4: int | None, option6: int | None) -> bool:
    """Switch an option on for the families that the socket speaks."""
    wanted = []
    if skt.family == socket.AF_INET or isDualStack(skt):
        wanted.append((socket.IPPROTO_IP, option4))
    if skt.family == socket.AF_INET6:
        wanted.append((socket.IPPROTO_IPV6, option6))
    isOn = False
    for level, option in wanted:
        if option is not None:  # pragma: no branch - None on systems other than Linux
            try:
                skt.setsockopt(level, option, 1)
            except OSError:  # pragma: no cover - a system may know the option and not have it
                continue
            isOn = True
    return isOn
