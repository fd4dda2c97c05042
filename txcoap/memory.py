"""
A network in memory, for tests: sockets that a L{twisted.internet.task.Clock} moves datagrams between.

The names for users are those of L{txcoap.testing}.
"""

from __future__ import annotations

import errno
import math
from collections import Counter, deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.task import Clock, Cooperator
from zope.interface import implementer

from .addresses import addressOf, describeAddress
from .client import Agent
from .errors import FormatError
from .groups import Group, isGroup
from .interfaces import IDatagramReceiver, ISite, ITransport
from .limits import Limits
from .networkreactor import NetworkClock, NetworkReactor
from .parameters import Parameters
from .protocol import CoAPProtocol, Trace
from .sansio.datagrams import Datagram, decode
from .sansio.transmission import MAX_DATAGRAM
from .transports.ancillary import LocalAddress

__all__ = [
    "CLIENT_HOST",
    "COAP_PORT",
    "SERVER_HOST",
    "MemoryNetwork",
    "MemoryPort",
    "Passage",
]

# RFC 5737 keeps these addresses for documentation; nothing is ever sent to them.
SERVER_HOST = "192.0.2.1"
CLIENT_HOST = "192.0.2.2"
COAP_PORT = 5683
FIRST_FREE_PORT = 49152

# How much longer a datagram takes at most that is held back, in seconds.
_HELD_BACK = 1.0

_RECORDED = 100_000


class Passage:
    """
    A datagram on its way, as the network's record shows it.

    @ivar time: When it was sent.
    @ivar source: The sender's address, such as C{("192.0.2.2", 49152)}.
    @ivar target: Where it was sent to.
    @ivar data: Its bytes.
    @ivar fate: C{"sent"} while it is on its way, then C{"delivered"}, C{"lost"}, or C{"nobody"} if
        nothing listens at the target.
    @ivar datagram: The same as a L{Datagram<txcoap.sansio.datagrams.Datagram>}, with C{.type},
        C{.code}, C{.messageID}, C{.token}, C{.options} and C{.payload}; None if it is no CoAP message.
    """

    def __init__(self, time: float, source: Hashable, target: Hashable, data: bytes) -> None:
        self.time = time
        self.source = source
        self.target = target
        self.data = data
        self.fate = "sent"
        self.datagram: Datagram | None = None
        with suppress(FormatError):
            self.datagram = decode(data)

    def __repr__(self) -> str:
        what = self.datagram or self.data
        return f"<{self.time:.3f} s {self.source} to {self.target} {self.fate}: {what!r}>"


@implementer(IListeningPort, ITransport)
class MemoryPort:
    """
    A socket of a L{MemoryNetwork}.

    @ivar protocol: What it gives its datagrams to.
    @ivar address: Where others reach it: C{(host, port)}, or for IPv6 C{(host, port, 0, 0)}.
    @ivar groups: The addresses of the groups that it hears.
    """

    def __init__(self, network: MemoryNetwork, protocol: Any, address: Hashable) -> None:
        self.protocol = protocol
        self.address: Any = address
        self.groups: set[str] = set()
        self._network = network

    def __repr__(self) -> str:
        return f"<MemoryPort of {type(self.protocol).__name__} on {describeAddress(self.getHost())}>"

    def startListening(self) -> None:
        """Open it; L{MemoryNetwork.listen} has done so."""
        self._network._ports[self.address] = self
        self.protocol.makeConnection(self)

    def stopListening(self) -> Deferred[None]:
        """Close it. What is on its way here arrives at nobody."""
        if self._network._ports.pop(self.address, None) is not None:
            self.protocol.doStop()
        return succeed(None)

    def joinGroup(self, group: Group) -> list[str]:
        """
        Hear what is sent to a group; its interface does not matter here.

        @raise ValueError: if the group is not of the port's own address family.
        """
        if group.isIPv6 is not (":" in self.address[0]):
            raise ValueError(f"a socket at {self.address[0]} hears nothing of {group.address}")
        self.groups.add(group.address)
        return ["memory"]

    def byInterface(self, peer: Any, interface: str, hops: int | None) -> None:
        """There is one interface, to which everybody is next."""

    def getHost(self) -> IAddress:
        """See L{ITransport}."""
        return addressOf(self.address[:2])

    def toPeer(self, host: str, port: int) -> Hashable:
        """See L{ITransport}."""
        if (":" in host) is not (":" in self.address[0]):
            raise ValueError(f"{host} is not of the address family of {self.address[0]}")
        return _peer(host, port)

    def send(self, data: bytes, peer: Hashable, local: Any = None) -> int | None:
        """See L{ITransport}."""
        if len(data) > MAX_DATAGRAM:
            return errno.EMSGSIZE
        self._network._carry(Passage(self._network.clock.seconds(), self.address, peer, data))
        return None

    def write(self, data: bytes, addr: Any) -> None:
        """Send, as C{DatagramProtocol}s of other makes do."""
        self.send(data, addr)


class MemoryNetwork:
    """
    A network without sockets: datagrams go from protocol to protocol when the clock is advanced.

    How bad it is can be changed at any time. The probabilities are from 0 to 1, for each datagram.

    @param seed: What chance begins with: the same seed gives the same run.
    @ivar loss: The probability that a datagram is lost.
    @ivar duplication: The probability that it arrives twice.
    @ivar reordering: The probability that it is held back up to a second, so that later ones overtake it.
    @ivar latency: Seconds from sending to arrival.
    @ivar clock: The time.
    @ivar reactor: What to give to whatever wants a reactor: the clock, and the network's names.
    @ivar names: The addresses of host names; others do not exist.
    @ivar cooperator: What does work bit by bit in the network's time. Twisted's own needs a reactor that
        runs, so give this one: C{FileBodyProducer(file, cooperator=network.cooperator)}.
    @ivar passages: What was sent, as L{Passage}, the first first; the last 100,000 of them.
    @ivar counts: How many were C{"sent"}, C{"delivered"}, C{"lost"}, C{"duplicated"}, C{"reordered"}, or
        arrived where C{"nobody"} listens.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        seed: int = 0,
        loss: float = 0.0,
        duplication: float = 0.0,
        reordering: float = 0.0,
        latency: float = 0.0,
    ) -> None:
        self.loss = loss
        self.duplication = duplication
        self.reordering = reordering
        self.latency = latency
        self.clock = NetworkClock() if clock is None else clock
        self.names: dict[str, str] = {}
        self.reactor = NetworkReactor(self.clock, self.names)
        # A step at a time, for how many are done in a span of real time is chance.
        self.cooperator = Cooperator(lambda: lambda: True, lambda step: self.clock.callLater(0.0, step))
        self.passages: deque[Passage] = deque(maxlen=_RECORDED)
        self.counts: Counter[str] = Counter()
        self._chance = Random(seed)
        self._ports: dict[Hashable, MemoryPort] = {}
        self._drops: list[Callable[[Passage], bool]] = []

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return f"<MemoryNetwork at {self.clock.seconds():.3f} s: {counts or 'nothing sent'}>"

    def listen(self, served: Any, host: str = SERVER_HOST, port: int = COAP_PORT) -> MemoryPort:
        """
        Open a socket.

        @param served: A L{Site}, or a protocol.
        @param host: An IPv4 or IPv6 literal.
        @param port: 0 for a free one.
        @return: The socket, with C{.protocol} and C{.address}.
        @raise CannotListenError: if the address is in use.
        """
        protocol = self.newProtocol(served) if ISite.providedBy(served) else served
        if not port:
            port = FIRST_FREE_PORT
            while _peer(host, port) in self._ports:
                port += 1
        address = _peer(host, port)
        if address in self._ports:
            raise CannotListenError(host, port, OSError(errno.EADDRINUSE, "address in use"))
        opened = MemoryPort(self, protocol, address)
        opened.startListening()
        return opened

    def newProtocol(
        self,
        site: Any = None,
        *,
        parameters: Parameters | None = None,
        limits: Limits | None = None,
        trace: Trace | None = None,
    ) -> CoAPProtocol:
        """
        A protocol on the network's time, its chance seeded; to be given to L{listen}.

        @param site: The L{Site} that it serves; None for clients.
        """
        given = {"parameters": parameters, "limits": limits}
        settings = getattr(site, "settings", {}) | {name: each for name, each in given.items() if each}
        return CoAPProtocol(
            site,
            self.reactor,
            **settings,
            chance=Random(self._chance.getrandbits(64)),
            trace=trace,
        )

    def agent(
        self,
        host: str = CLIENT_HOST,
        port: int = 0,
        *,
        parameters: Parameters | None = None,
        limits: Limits | None = None,
        trace: Trace | None = None,
        **how: Any,
    ) -> Agent:
        """
        An agent with a socket of its own.

        @param parameters: As for L{newProtocol}, and so are C{limits} and C{trace}.
        @param how: What else L{Agent<txcoap.client.Agent>} takes and is not about its sockets, such as
            C{blockSize}.
        """
        protocol = self.newProtocol(parameters=parameters, limits=limits, trace=trace)
        return Agent(self.reactor, protocol=self.listen(protocol, host, port).protocol, **how)

    def drop(self, predicate: Callable[[Passage], bool], times: int | None = None) -> Callable[[], None]:
        """
        Lose certain datagrams from now on: C{network.drop(lambda passage: passage.datagram.type == ACK)}.

        @param predicate: Called with each L{Passage} that is sent; True to lose it.
        @param times: How many to lose at most; None for no end.
        @return: A function that ends it.
        """
        left = [math.inf if times is None else times]

        def drops(passage: Passage) -> bool:
            if left[0] < 1 or not predicate(passage):
                return False
            left[0] -= 1
            return True

        def end() -> None:
            left[0] = 0

        self._drops.append(drops)
        return end

    def flush(self) -> None:
        """Deliver what takes no time."""
        self.advance(0.0)

    def advance(self, seconds: float) -> None:
        """
        Let time pass. Unlike with C{Clock.advance}, what is due along the way happens at its own time, so
        that time-outs that follow from one another keep their distance.
        """
        clock = self.clock
        until = clock.seconds() + seconds
        while True:
            calls = clock.getDelayedCalls()
            if isinstance(clock, NetworkClock):
                calls = calls[:1]
            due = min((call.getTime() for call in calls), default=math.inf)
            if due > until:
                break
            clock.advance(max(0.0, due - clock.seconds()))
            if clock.seconds() < due:
                # The sum was rounded down.
                clock.advance(math.ulp(due))
        clock.advance(max(0.0, until - clock.seconds()))

    def close(self) -> None:
        """Close every socket; what is under way fails."""
        for port in list(self._ports.values()):
            port.stopListening()

    def _carry(self, passage: Passage) -> None:
        self.passages.append(passage)
        self.counts["sent"] += 1
        chance = self._chance.random
        # Every predicate sees every datagram, so that each counts what it has lost.
        dropped = [drops(passage) for drops in self._drops]
        if True in dropped or (self.loss and chance() < self.loss):
            passage.fate = "lost"
            self.counts["lost"] += 1
            return
        if isGroup(passage.target[0]):  # type: ignore[index]
            self._spread(passage)
        else:
            self._send(passage, self._deliver)

    def _spread(self, passage: Passage) -> None:
        """To each who is in a group now a copy of its own."""
        host, port = passage.target[:2]  # type: ignore[index]
        local = LocalAddress(host, True, 0, ())
        hearing = [each for each in self._ports.values() if host in each.groups and each.address[1] == port]
        if not hearing:
            passage.fate = "nobody"
            self.counts["nobody"] += 1
        for each in hearing:
            self._send(passage, partial(self._deliverTo, each.address, local))

    def _send(self, passage: Passage, deliver: Callable[[Passage], None]) -> None:
        chance = self._chance.random
        copies = 1
        if self.duplication and chance() < self.duplication:
            self.counts["duplicated"] += 1
            copies = 2
        for _ in range(copies):
            delay = self.latency
            if self.reordering and chance() < self.reordering:
                self.counts["reordered"] += 1
                delay += _HELD_BACK * chance()
            self.clock.callLater(delay, deliver, passage)

    def _deliverTo(self, address: Hashable, local: LocalAddress, passage: Passage) -> None:
        port = self._ports.get(address)
        if port is not None:
            passage.fate = "delivered"
            self.counts["delivered"] += 1
            port.protocol.datagramReceived(passage.data, passage.source, local)
            _endTurn(port.protocol)

    def _deliver(self, passage: Passage) -> None:
        port = self._ports.get(passage.target)
        passage.fate = "nobody" if port is None else "delivered"
        self.counts[passage.fate] += 1
        if port is not None:
            port.protocol.datagramReceived(passage.data, passage.source)
            _endTurn(port.protocol)
        elif any(each.address[0] == passage.target[0] for each in self._ports.values()):  # type: ignore[index]
            # The host is there, and says that the port is closed (RFC 792); others say nothing.
            self.clock.callLater(self.latency, self._refuse, passage)

    def _refuse(self, passage: Passage) -> None:
        port = self._ports.get(passage.source)
        if port is not None and IDatagramReceiver.providedBy(port.protocol):
            port.protocol.datagramUnreachable(passage.data, passage.target, errno.ECONNREFUSED)
            _endTurn(port.protocol)


def _peer(host: str, port: int) -> Hashable:
    """An address as sockets write it."""
    return (host, port, 0, 0) if ":" in host else (host, port)


def _endTurn(protocol: Any) -> None:
    if IDatagramReceiver.providedBy(protocol):
        protocol.turnEnded()
