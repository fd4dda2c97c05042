"""
Multicast groups: which addresses are one, which are CoAP's own, and how they are written (RFC 7252 8, 12.8).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

__all__ = ["ALL_COAP_NODES", "Answering", "Group", "isGroup", "readGroups"]

ALL_COAP_NODES = ("224.0.1.187", "ff02::fd", "ff05::fd")
"""The groups of all CoAP nodes: of IPv4; of IPv6 on this link, and at this site (RFC 7252 12.8)."""

NAME = "all-coap-nodes"
"""What stands for L{ALL_COAP_NODES} in text."""


class Answering(Enum):
    """
    What a resource answers to a request that came by multicast (RFC 7252 8.2). Where the request has
    No-Response, that says what is wanted instead (RFC 7967 2.1); but to L{NEVER}.
    """

    NEVER = "nothing: such a request is not for it, and is not rendered"
    USEFUL = "no error, and no 2.05 without a body"
    SUCCESS = "no error"
    ALWAYS = "everything"


@dataclass(frozen=True)
class Group:
    """
    A multicast group, and the interface to hear it by.

    @ivar address: An IPv4 or IPv6 multicast address, as text in its usual form.
    @ivar interface: The name or number of a network interface; empty for all of them.
    """

    address: str
    interface: str = ""

    @property
    def isIPv6(self) -> bool:
        """Whether it is a group of IPv6."""
        return ":" in self.address

    def __str__(self) -> str:
        return f"{self.address}%{self.interface}" if self.interface else self.address


@lru_cache(256)
def isGroup(host: str) -> bool:
    """
    Whether an address is that of a group.

    @param host: A literal, with or without a zone; anything else is no group.
    """
    address = _addressOf(host)
    return address is not None and address.is_multicast


def readGroups(text: str) -> tuple[Group, ...]:
    """
    The groups that a text means: C{"224.0.1.187"}, C{"ff02::fd%eth0"}; C{"all-coap-nodes"} and
    C{"all-coap-nodes%eth0"} are those of L{ALL_COAP_NODES}.

    @raise ValueError: if it means none; the text says why.
    """
    host, mark, interface = text.partition("%")
    if mark and not interface:
        raise ValueError(f"after % comes the name of a network interface; got {text!r}")
    if host == NAME:
        return tuple([Group(each, interface) for each in ALL_COAP_NODES])
    address = _addressOf(host)
    if address is None:
        raise ValueError(f"{host!r} is no address; give one such as 224.0.1.187 or ff02::fd, or {NAME}")
    if not address.is_multicast:
        raise ValueError(
            f"{host} is no multicast address; those are 224.0.0.0 to 239.255.255.255, and those that "
            "begin with ff"
        )
    return (Group(str(address), interface),)


def _addressOf(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
