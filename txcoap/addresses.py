"""
Addresses of peers: as Twisted writes them, and for people.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

__all__ = ["addressOf", "describeAddress"]


def addressOf(peer: Any) -> IAddress:
    """A peer's address as Twisted writes it; an IPv4 address mapped into IPv6 as IPv4."""
    if not isinstance(peer, tuple):
        return UNIXAddress(peer)
    host, port = peer[0], peer[1]
    if ":" not in host:
        return IPv4Address("UDP", host, port)
    if host.startswith("::ffff:") and "." in host:
        return IPv4Address("UDP", host[7:], port)
    return IPv6Address("UDP", host, port, *peer[2:])


def describeAddress(address: Any) -> str:
    """An address for people: C{"127.0.0.1:5683"}, C{"[::1]:5683"}, or a path."""
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, UNIXAddress):
        return os.fsdecode(address.name or "an unnamed socket")
    return str(address)
