"""
Whom a forward proxy may ask: an L{AllowList}.

A proxy asks from where it stands, so whoever may use it reaches what only it could reach before. So the list
is closed: what is not on it is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from .uri import URI

__all__ = ["AllowList", "Target", "plainAddress"]


@dataclass(frozen=True, slots=True)
class Target:
    """
    Whom a request to a proxy is for.

    @ivar uri: The L{URI} that the client asks for.
    @ivar address: The IP address that the proxy would ask: the URI's own, or one that its name has.
    """

    uri: URI
    address: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """
    One line of the list.

    @ivar name: A name, in lower case; with a leading dot all below it; C{""} for anything.
    @ivar network: The addresses, where they are what counts.
    @ivar port: The one port, or None for any.
    """

    name: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    def allows(self, target: Target, address: IPv4Address | IPv6Address) -> bool:
        if self.port not in (None, target.uri.port):
            return False
        if self.network is not None:
            return address in self.network
        host = target.uri.host
        return not self.name or host == self.name or (self.name[0] == "." and host.endswith(self.name))


# A network in brackets or bare, or a name; then perhaps a port.
_PATTERN = re.compile(
    r"(?:coap://)?"
    r"(?:\[(?P<inside>[^\]\[]+)\]|(?P<bare>[0-9A-Fa-f]*:[0-9A-Fa-f]*:[^\[\]]*)|(?P<name>[^:\[\]]+?))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_NAME = re.compile(r"(?:\*\.)?[^*/?#@%\s\"]+")
_IPV4 = re.compile(r"[0-9.]+(?:/[0-9]*)?")
_FORMS = (
    'write a host ("sensor.example"), all below a domain ("*.example"), an address or network '
    '("192.0.2.0/24", "[2001:db8::/32]"), or "*" for anything; a port may follow ("sensor.example:5683")'
)


class AllowList:
    """
    A policy for L{ForwardProxy<txcoap.proxy.ForwardProxy>}: C{AllowList("[2001:db8::/32]",
    "sensor.example:5683")}.

    An address or a network allows what has such an address, whether it is asked for by address or by name. A
    name allows what is asked for by it, whatever address it has, except loopback addresses. Without a port
    every port is allowed.

    @param patterns: A host (C{"sensor.example"}), all below a domain (C{"*.example"}), an address or network
        (C{"192.0.2.0/24"}, C{"[2001:db8::/32]"}) or C{"*"}; each may begin with C{coap://} and end with a
        port (C{":5683"}).
    @param loopback: Whether the proxy's own machine may be asked at its loopback addresses; else only those
        of them that are on the list as addresses.
    @raise ValueError: for a pattern that is none.
    """

    def __init__(self, *patterns: str, loopback: bool = True) -> None:
        self._loopback = loopback
        self._rules = tuple(map(_read, patterns))
        self._patterns = patterns

    def __repr__(self) -> str:
        allowed = [*self._patterns, *(["loopback"] if self._loopback else [])]
        return f"<{type(self).__name__} {', '.join(allowed) or 'of nothing'}>"

    @property
    def isFixed(self) -> bool:
        """Whether it judges by the target alone, and never otherwise than before; a subclass may not."""
        return type(self).__call__ is AllowList.__call__

    def __call__(self, request: object, target: Target) -> bool:
        """Whether a request may go to this target."""
        address = plainAddress(target.address)
        if address.is_loopback and self._loopback:
            return True
        # Who may choose what a name means must not thereby open this machine.
        rules = [rule for rule in self._rules if rule.network is not None or not address.is_loopback]
        return any(rule.allows(target, address) for rule in rules)


# A proxy judges the same few addresses, several times for each request.
@lru_cache(1024)
def plainAddress(text: str) -> IPv4Address | IPv6Address:
    """An address from its literal, without its zone; one of IPv4 mapped into IPv6 as IPv4."""
    address = ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _read(pattern: str) -> _Rule:
    match = _PATTERN.fullmatch(pattern)
    if match is None:
        raise ValueError(f"{pattern!r} says nobody to be asked; {_FORMS}")
    inside, bare, name, digits = match.group("inside", "bare", "name", "port")
    port = None if digits is None else int(digits)
    if port is not None and not 0 < port <= 0xFFFF:
        raise ValueError(f"{pattern!r}: a port is a number from 1 to 65535")
    return _Rule("", _network(inside or bare, pattern), port) if name is None else _named(name, port, pattern)


def _named(name: str, port: int | None, pattern: str) -> _Rule:
    if name == "*":
        return _Rule("", None, port)
    if _IPV4.fullmatch(name):
        return _Rule("", _network(name, pattern), port)
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{pattern!r} says nobody to be asked; {_FORMS}")
    # The URI of a request has its name in this form too.
    return _Rule(URI("coap", name.removeprefix("*")).host, None, port)


def _network(text: str, pattern: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as e:
        raise ValueError(f"{pattern!r}: {e}") from None
