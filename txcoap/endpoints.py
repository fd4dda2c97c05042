r"""
Where to listen, as text: C{"udp:5683"} to something that listens.

The syntax is that of Twisted's endpoints: fields between C{:}, C{name=value} or in order, C{\}
before a C{:}, C{=} or C{\} that is meant as such. Twisted's own endpoints are for streams only,
hence these::

    udp:5683                                 all addresses, IPv6 and IPv4
    udp:5683:interface=127.0.0.1
    udp:5683:interface=\:\:1
    udp:5683:interface=fe80\:\:1%eth0
    udp:5683:reuseport=1:rcvbuf=1048576
    udp:5683:reuseaddr=1                     several servers, who all hear a multicast group
    unix:/run/coap.sock:mode=660
    fd:3                                     a bound socket that the parent process left open
    systemd:name=coap.socket                 one from a systemd socket unit (FileDescriptorName=)
    systemd:index=0                          the first of them
"""

from __future__ import annotations

import errno
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.python.systemd import ListenFDs
from zope.interface import implementer

from .interfaces import IDatagramEndpoint
from .transports import ancillary, membership, sockets, udp, unix
from .transports.port import RECEIVE_BUFFER

__all__ = [
    "DEFAULT_PORT",
    "AdoptedServerEndpoint",
    "UDPServerEndpoint",
    "UnixServerEndpoint",
    "serverFromString",
]

T = TypeVar("T")

DEFAULT_PORT = 5683
"""RFC 7252 12.6."""


def _fromEnvironment() -> ListenFDs:
    """What systemd passed."""
    # Twisted removes the variables from the environment that it reads them from, hence the copy; and its own
    # endpoints read them when they are imported, so what they found is all that is left if they came first.
    passed = ListenFDs.fromEnvironment(dict(os.environ))
    parser = getattr(sys.modules.get("twisted.internet.endpoints"), "_SystemdParser", None)
    if passed.inheritedDescriptors():
        return passed
    # It is Twisted's own matter where that is kept; without it there is what is left.
    taken: ListenFDs = getattr(parser, "_sddaemon", passed)
    return taken


# Read once, as early as can be: a daemon's process number changes when it goes to the background.
_inherited = _fromEnvironment()

_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})

_FIELD = re.compile(r"(?:[^\\:]|\\.)*", re.DOTALL)
_NAMED = re.compile(r"((?:[^\\=]|\\.)*)=(.*)", re.DOTALL)


def _protocolOf(site: Any, reactor: Any) -> DatagramProtocol:
    build = getattr(site, "buildProtocol", None)
    protocol: DatagramProtocol = site if build is None else build(reactor)
    return protocol


class _Endpoint:
    """What the endpoints have in common: whatever goes wrong fails the Deferred."""

    def listen(self, site: Any) -> Deferred[IListeningPort]:
        """Open it: see L{IDatagramEndpoint.listen}."""
        return defer.execute(self._open, site)

    def _open(self, site: Any) -> IListeningPort:
        raise NotImplementedError


@implementer(IDatagramEndpoint)
@dataclass(frozen=True)
class UDPServerEndpoint(_Endpoint):
    """
    A UDP port.

    @ivar reactor: Provides C{IReactorFDSet} and C{IReactorTime}, or at least C{IReactorUDP}.
    @ivar port: 0 for any that is free.
    @ivar interface: A literal address; None is all of IPv6 and IPv4, or of IPv4 where there is no IPv6.
    @ivar reuseport: Whether other processes may share the port, and the peers are divided among them.
    @ivar reuseaddr: Whether other processes may share the port, and each hears what is sent to groups.
    @ivar receiveBuffer: At least how many bytes of waiting datagrams to ask the kernel for.
    """

    reactor: Any
    port: int = DEFAULT_PORT
    interface: str | None = None
    reuseport: bool = False
    reuseaddr: bool = False
    receiveBuffer: int = RECEIVE_BUFFER

    def _open(self, site: Any) -> IListeningPort:
        protocol = _protocolOf(site, self.reactor)
        return self._openAt(partial(self._listen, protocol))

    def _openAt(self, open: Callable[[str], T]) -> T:
        """What this opens at the interface; without one, at all addresses of the families that are here."""
        if self.interface is not None:
            return open(self.interface)
        try:
            return open("::")
        except CannotListenError as failure:
            if getattr(failure.socketError, "errno", None) not in _NO_IPV6:
                raise
            return open("0.0.0.0")  # noqa: S104

    def openShared(self, count: int) -> list[socket.socket]:
        """
        Open sockets that share this port, and among which the kernel divides the peers.

        @return: So many, bound, which belong to the caller. What is sent to groups comes to those alone that
            join them.
        @raise CannotListenError: the address cannot be bound; or, without C{reuseport}, somebody else has it.
        """
        return self._openAt(partial(self._share, count))

    def _share(self, count: int, interface: str) -> list[socket.socket]:
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        opened: list[socket.socket] = []
        try:
            # Another server of the same user, which shares its port too, would be joined without a word.
            with sockets.openUDP(family, interface, self.port, reuseport=self.reuseport) as first:
                port = first.getsockname()[1]
            for _ in range(count):
                opened.append(sockets.openUDP(family, interface, port, reuseport=True))
                sockets.growReceiveBuffer(opened[-1], self.receiveBuffer)
                membership.hearOnlyJoined(opened[-1])
        except (OSError, ValueError) as failure:
            for each in opened:
                each.close()
            raise CannotListenError(interface, self.port, failure) from failure
        return opened

    def _listen(self, protocol: DatagramProtocol, interface: str) -> IListeningPort:
        return udp.listenUDP(
            self.reactor,
            self.port,
            protocol,
            interface,
            reuseport=self.reuseport,
            reuseaddr=self.reuseaddr,
            receiveBuffer=self.receiveBuffer,
        )


@implementer(IDatagramEndpoint)
@dataclass(frozen=True)
class UnixServerEndpoint(_Endpoint):
    """
    A Unix datagram socket.

    @ivar reactor: Provides C{IReactorFDSet} and C{IReactorTime}.
    @ivar path: Where to bind.
    @ivar mode: The permission bits of the socket file.
    """

    reactor: Any
    path: str
    mode: int = unix.SERVER_MODE

    def _open(self, site: Any) -> IListeningPort:
        protocol = _protocolOf(site, self.reactor)
        return unix.listenUnix(self.reactor, self.path, protocol, mode=self.mode)


@implementer(IDatagramEndpoint)
@dataclass(frozen=True)
class AdoptedServerEndpoint(_Endpoint):
    """
    A socket that somebody else bound: UDP or Unix datagram, whichever it is. It is duplicated.

    @ivar reactor: Provides C{IReactorFDSet} and C{IReactorTime}.
    @ivar fd: Its descriptor.
    """

    reactor: Any
    fd: int

    def _open(self, site: Any) -> IListeningPort:
        try:
            with sockets.duplicate(self.fd) as skt:
                family = skt.family
            adopt = unix.adopt if family == socket.AF_UNIX else udp.adopt
            return adopt(self.reactor, self.fd, _protocolOf(site, self.reactor))
        except (OSError, ValueError) as failure:
            raise CannotListenError(None, f"fd:{self.fd}", failure) from failure


def serverFromString(reactor: Any, description: str) -> IDatagramEndpoint:
    """
    Read where to listen.

    @param reactor: What the endpoint will listen with.
    @param description: Such as C{"udp:5683:interface=127.0.0.1"}: see the head of this module.
    @return: An endpoint, not yet open.
    @raise ValueError: it cannot be understood; the text shows the form that can.
    """
    kind, *fields = _fields(description)
    if kind not in _KINDS:
        known = ", ".join(sorted(_KINDS))
        raise ValueError(f"cannot listen on {description!r}: it begins with none of {known}")
    chosen = _KINDS[kind]
    try:
        return chosen.make(reactor, **_arguments(chosen, fields))
    except ValueError as failure:
        raise ValueError(f"cannot listen on {description!r}: {failure} (write {chosen.form})") from None


@dataclass(frozen=True)
class _Kind:
    """One kind of endpoint: its form for people, its fields by name, and which may go without a name."""

    form: str
    make: Callable[..., IDatagramEndpoint]
    fields: dict[str, tuple[str, Callable[[str], Any]]]
    positional: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


def _fields(description: str) -> Iterator[str]:
    r"""Cut at each C{:} that has no C{\\} before it."""
    position = 0
    while True:
        match = _FIELD.match(description, position)
        end = match.end() if match else position
        if end < len(description) and description[end] != ":":
            raise ValueError(f"cannot listen on {description!r}: nothing follows the last backslash")
        yield description[position:end]
        if end == len(description):
            return
        position = end + 1


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _arguments(kind: _Kind, fields: list[str]) -> dict[str, Any]:
    unnamed = list(kind.positional)
    given: dict[str, Any] = {}
    for field in fields:
        named = _NAMED.fullmatch(field)
        if named:
            name, value = _unescape(named[1]), _unescape(named[2])
        elif not field:
            continue
        elif unnamed:
            name, value = unnamed[0], _unescape(field)
        else:
            raise ValueError(f"{field!r} needs a name")
        if name not in kind.fields:
            raise ValueError(f"there is no {name!r}, only {', '.join(kind.fields)}")
        attribute, read = kind.fields[name]
        if attribute in given:
            raise ValueError(f"{name} is given twice")
        if name in unnamed:
            unnamed.remove(name)
        given[attribute] = read(value)
    for name in kind.required:
        if kind.fields[name][0] not in given:
            raise ValueError(f"{name} is missing")
    return given


def _number(limit: int, base: int = 10) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text, base)
        except ValueError:
            raise ValueError(f"{text!r} is not a number") from None
        if not 0 <= value <= limit:
            raise ValueError(f"{text} is not between 0 and {limit:{'o' if base == 8 else 'd'}}")
        return value

    return read


def _flag(text: str) -> bool:
    words = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}
    if text.lower() not in words:
        raise ValueError(f"{text!r} is neither 1 nor 0")
    return words[text.lower()]


def _literal(text: str) -> str:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    # The zone is looked up when it is listened on: the interface may come up later.
    ancillary.literalAddress(family, text.partition("%")[0], 0)
    return text


def _path(text: str) -> str:
    if not text:
        raise ValueError("the path is empty")
    return text


def _fromSystemd(
    reactor: Any, name: str | None = None, index: int | None = None, domain: str | None = None
) -> AdoptedServerEndpoint:
    """
    @param domain: Accepted for the sake of those used to Twisted's; the kernel knows it.
    """
    if (name is None) == (index is None):
        raise ValueError("either a name or an index is needed")
    descriptors = _inherited.inheritedDescriptors()
    if not descriptors:
        raise ValueError("systemd passed no sockets to this process")
    if index is not None:
        if index >= len(descriptors):
            raise ValueError(f"systemd passed {len(descriptors)} sockets: there is no number {index}")
        return AdoptedServerEndpoint(reactor, descriptors[index])
    names = _inherited.inheritedNamedDescriptors()
    if name not in names:
        raise ValueError(f"systemd passed no socket {name!r}, only {', '.join(sorted(names))}")
    return AdoptedServerEndpoint(reactor, names[name])


_KINDS = {
    "udp": _Kind(
        r"udp:5683, udp:5683:interface=127.0.0.1 or udp:5683:interface=\:\:1",
        UDPServerEndpoint,
        {
            "port": ("port", _number(0xFFFF)),
            "interface": ("interface", _literal),
            "reuseport": ("reuseport", _flag),
            "reuseaddr": ("reuseaddr", _flag),
            "rcvbuf": ("receiveBuffer", _number(0x7FFFFFFF)),
        },
        positional=("port",),
    ),
    "unix": _Kind(
        "unix:/run/coap.sock or unix:/run/coap.sock:mode=660",
        UnixServerEndpoint,
        {"path": ("path", _path), "mode": ("mode", _number(0o777, 8))},
        positional=("path",),
        required=("path",),
    ),
    "fd": _Kind(
        "fd:3",
        AdoptedServerEndpoint,
        {"fd": ("fd", _number(0x7FFFFFFF))},
        positional=("fd",),
        required=("fd",),
    ),
    "systemd": _Kind(
        "systemd:name=coap.socket or systemd:index=0",
        _fromSystemd,
        {"name": ("name", str), "index": ("index", _number(0xFFFF)), "domain": ("domain", str)},
    ),
}
