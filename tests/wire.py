"""
Sockets, a reactor and peers in memory, for the tests of what stands on a reactor: nothing happens but
what a test sends, and no time passes but what it lets pass.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.interfaces import IDatagramReceiver, ITransport
from txcoap.message import Response
from txcoap.options import NO_OPTIONS, Options
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.protocol import CoAPProtocol
from txcoap.request import NOT_DONE_YET, Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, Datagram, Type, decode, empty, encode
from txcoap.server import Site

SERVER = ("192.0.2.1", 5683)
CLIENT = ("192.0.2.9", 40000)
LIFETIME = DEFAULT_PARAMETERS.EXCHANGE_LIFETIME

# What is kept goes at most a thousandth of its lifetime late.
FORGOTTEN = 1.0011 * LIFETIME


def trusted(peer: Any) -> None:
    """As C{hostOf}: one peer may fill what it likes."""


class Wire:
    """
    Carries datagrams between sockets, each when the clock is next advanced.

    @ivar sockets: Every open socket by its address.
    @ivar sent: Each datagram that was sent, lost ones too: (whence, whereto, bytes).
    @ivar loses: Whether a datagram of these three is lost on the way.
    @ivar errors: Error numbers for hosts that cannot be sent to.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sockets: dict[Any, Socket] = {}
        self.sent: list[tuple[Any, Any, bytes]] = []
        self.loses: Callable[[Any, Any, bytes], bool] = lambda whence, whereto, data: False
        self.errors: dict[str, int] = {}

    def open(self, protocol: Any, address: Any) -> Socket:
        """Open a socket at an address, for a protocol."""
        if address in self.sockets:
            raise CannotListenError(address[0], address[1], OSError(errno.EADDRINUSE, "in use"))
        socket = self.sockets[address] = Socket(self, protocol, address)
        protocol.makeConnection(socket)
        return socket

    def carry(self, whence: Any, whereto: Any, data: bytes) -> int | None:
        """Take a datagram; the error number if its host cannot be sent to."""
        error = self.errors.get(whereto[0])
        if error is None:
            self.sent.append((whence, whereto, data))
            if not self.loses(whence, whereto, data):
                self.clock.callLater(0, self._deliver, whence, whereto, data)
        return error

    def _deliver(self, whence: Any, whereto: Any, data: bytes) -> None:
        socket = self.sockets.get(whereto)
        if socket is not None:
            socket.protocol.datagramReceived(data, whence)
            socket.protocol.turnEnded()

    def settle(self) -> None:
        """Let everything arrive that is under way."""
        self.clock.advance(0)

    def between(self, whence: Any, whereto: Any) -> list[Datagram]:
        """What one socket sent to the other so far."""
        return [decode(data) for a, b, data in self.sent if (a, b) == (whence, whereto)]


@implementer(ITransport, IListeningPort)
class Socket:
    """One end of a L{Wire}."""

    def __init__(self, wire: Wire, protocol: Any, address: Any) -> None:
        self.wire = wire
        self.protocol = protocol
        self.address = address

    def send(self, data: bytes, peer: Any, local: Any = None) -> int | None:
        """Put it on the wire."""
        return self.wire.carry(self.address, peer, data)

    def toPeer(self, host: str, port: int) -> Any:
        """Of the socket's own family only."""
        if (":" in host) != (len(self.address) == 4):
            raise ValueError(f"{host} is of the other family")
        return (host, port, 0, 0) if ":" in host else (host, port)

    def getHost(self) -> IAddress:
        """Where it is."""
        form = IPv6Address if len(self.address) == 4 else IPv4Address
        address: IAddress = form("UDP", *self.address[:2])
        return address

    def startListening(self) -> None:
        """It listens already."""

    def stopListening(self) -> Deferred[None] | None:
        """Close it."""
        if self.wire.sockets.pop(self.address, None) is not None:
            self.protocol.doStop()
        return None


class Names:
    """
    A resolver of host names, as C{reactor.nameResolver}, that answers when a test says.

    @ivar known: Addresses by name.
    @ivar isSlow: Whether to wait for L{answer}.
    @ivar asked: Each (name, address types, transport) that was asked for.
    @ivar cancelled: The names that are no longer of interest.
    """

    def __init__(self, known: Mapping[str, list[str]]) -> None:
        self.known = known
        self.isSlow = False
        self.asked: list[tuple[str, Any, str]] = []
        self.cancelled: list[str] = []
        self._waiting: list[tuple[Any, str]] = []

    def resolveHostName(self, receiver: Any, name: str, port: int, types: Any, transport: str) -> _Resolution:
        """See C{IHostnameResolver}."""
        self.asked.append((name, types, transport))
        resolution = _Resolution(self, name)
        receiver.resolutionBegan(resolution)
        self._waiting.append((receiver, name))
        if not self.isSlow:
            self.answer()
        return resolution

    def answer(self) -> None:
        """Answer everything that was asked."""
        waiting, self._waiting = self._waiting, []
        for receiver, name in waiting:
            for host in self.known.get(name, ()):
                form = IPv6Address if ":" in host else IPv4Address
                receiver.addressResolved(form("UDP", host, 0))
            receiver.resolutionComplete()


class _Resolution:
    def __init__(self, names: Names, name: str) -> None:
        self.names = names
        self.name = name

    def cancel(self) -> None:
        self.names.cancelled.append(self.name)


class Reactor(Clock):
    """
    A clock that also opens sockets on a L{Wire} and resolves names.

    @ivar refusals: Error numbers for interfaces that cannot be bound.
    """

    def __init__(self, known: Mapping[str, list[str]] = {}) -> None:
        super().__init__()
        self.wire = Wire(self)
        self.nameResolver = Names(known)
        self.refusals: dict[str, int] = {}
        self._nextPort = 50000

    def elapse(self, seconds: float) -> None:
        """Let time pass from each delayed call to the next, as a real reactor does."""
        end = self.seconds() + seconds
        while self.calls and self.calls[0].getTime() <= end:
            self.advance(max(0.0, self.calls[0].getTime() - self.seconds()))
        self.advance(end - self.seconds())

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> Socket:
        """Open a socket; the wildcard of a family is a documentation address of it."""
        if interface in self.refusals:
            raise CannotListenError(interface, port, OSError(self.refusals[interface], "scripted"))
        if not port:
            port = self._nextPort
            self._nextPort += 1
        host = {"0.0.0.0": "192.0.2.8", "::": "2001:db8::8"}.get(interface, interface)
        return self.wire.open(protocol, (host, port, 0, 0) if ":" in host else (host, port))


@implementer(IDatagramReceiver)
class Peer(DatagramProtocol):
    """
    A peer that does nothing but what a test says.

    @ivar target: Whom it talks to.
    @ivar address: Where it is.
    """

    noisy = False

    def __init__(self, wire: Wire, address: Any = CLIENT, target: Any = SERVER) -> None:
        self.wire = wire
        self.address = address
        self.target = target
        self._came: list[Datagram] = []
        self._messageID = 0x1000
        self.socket = wire.open(self, address)

    def datagramReceived(self, data: bytes, peer: Any, local: Any = None) -> None:
        """Keep it for L{take}, and who sent it as L{target}."""
        self.target = peer
        self._came.append(decode(data))

    def datagramUnreachable(self, data: bytes, peer: Any, error: int) -> None:
        """Nothing."""

    def turnEnded(self) -> None:
        """Nothing."""

    def sendBytes(self, data: bytes) -> None:
        """Send just this, and let it arrive."""
        self.socket.send(data, self.target)
        self.wire.settle()

    def send(
        self,
        type: Type,
        code: int,
        messageID: int | None = None,
        token: bytes = b"",
        options: Options = NO_OPTIONS,
        payload: bytes = b"",
    ) -> int:
        """Send a message, by default with a new ID; its ID."""
        if messageID is None:
            self._messageID += 1
            messageID = self._messageID
        self.sendBytes(encode(type, code, messageID, token, options, payload))
        return messageID

    def sendEmpty(self, type: Type, messageID: int) -> None:
        """Send an empty message."""
        self.sendBytes(empty(type, messageID))

    def take(self) -> list[Datagram]:
        """What came since the last call."""
        self.wire.settle()
        came, self._came = self._came, []
        return came

    def takeOne(self) -> Datagram:
        """The only message that came since the last call."""
        (one,) = self.take()
        return one


class ServerTestCase(SynchronousTestCase):
    """A server in memory, and a L{Peer} that asks it."""

    def setUp(self) -> None:
        """Nothing is served yet; see L{serve}."""
        self.reactor = Reactor()
        self.wire = self.reactor.wire
        self.peer = Peer(self.wire)
        self.accessed: list[tuple[Request, Response]] = []

    def serve(self, root: Any, **how: Any) -> Site:
        """Serve a tree at L{SERVER}."""
        how.setdefault("accessLog", lambda *access: self.accessed.append(access))
        self.site = Site(root, **how)
        self.protocol = CoAPProtocol(
            self.site,
            self.reactor,
            chance=Random(7),
            **self.site.settings,
        )
        self.socket = self.wire.open(self.protocol, SERVER)
        return self.site

    def ask(
        self,
        code: int = Code.GET,
        path: str = "",
        payload: bytes = b"",
        type: Type = CON,
        token: bytes = b"tkn",
        **options: Any,
    ) -> int:
        """Send a request, by default confirmable; its message ID."""
        segments = tuple(path.split("/")) if path else ()
        return self.peer.send(type, code, None, token, Options(uriPath=segments, **options), payload)

    def answerTo(self, *how: Any, **options: Any) -> Datagram:
        """The one message that a request is answered with, having seen that it fits the request."""
        messageID = self.ask(*how, **options)
        answer = self.peer.takeOne()
        self.assertEqual(answer.token, options.get("token", b"tkn"))
        if options.get("type", CON) == CON:
            self.assertEqual((answer.type, answer.messageID), (ACK, messageID))
        else:
            self.assertEqual(answer.type, NON)
        return answer

    def assertForgets(self, protocol: CoAPProtocol | None = None) -> None:
        """
        Nothing is open any more; after EXCHANGE_LIFETIME, in which nothing is sent, nothing is left.
        """
        protocol = protocol or self.protocol
        sizes = protocol.sizes()
        for table in ("openRequests", "transmissions", "pendingRequests"):
            self.assertEqual(sizes[table], 0, table)
        self.wire.settle()
        sent = len(self.wire.sent)
        self.reactor.elapse(FORGOTTEN)
        self.assertEqual(self.wire.sent[sent:], [])
        self.assertEqual(set(protocol.sizes().values()), {0}, protocol.sizes())
        self.assertEqual(self.reactor.getDelayedCalls(), [])


METHODS = [code for code in Code if code.isRequest]


def giving(returned: Any) -> Callable[[Request], Any]:
    """A render method that returns just this."""
    return lambda request: returned


class Answering(Resource):
    """
    Answers every method with what a function of the request returns.
    """

    isLeaf = True

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        self._answer = answer
        for code in METHODS:
            setattr(self, f"render_{code.phrase}", answer)


class Keeping(Answering):
    """
    Keeps its requests, to be answered later.

    @ivar requests: Them.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        super().__init__(self._keep)

    def _keep(self, request: Request) -> int:
        self.requests.append(request)
        return NOT_DONE_YET


SERVER6 = ("2001:db8::1", 5683, 0, 0)
TEXT = "coap://192.0.2.1/x"

KNOWN = {
    "server.example": ["2001:db8::1", "192.0.2.1"],
    "four.example": ["192.0.2.1"],
    "many.example": ["192.0.2.51", "192.0.2.52", "192.0.2.1", "192.0.2.53"],
}


class AgentTestCase(SynchronousTestCase):
    """An agent in memory, and a peer at C{SERVER} that does what a test says."""

    def setUp(self) -> None:
        """Make both."""
        self.reactor = Reactor(KNOWN)
        self.wire = self.reactor.wire
        self.peer = Peer(self.wire, SERVER)
        self.agent = self.newAgent()

    def newAgent(self, **how: Any) -> Agent:
        """An agent whose chance is known."""
        return Agent(self.reactor, chance=Random(11), **how)

    def reply(
        self,
        code: Code = Code.CONTENT,
        payload: bytes = b"",
        options: Options = Options(),  # noqa: B008
    ) -> Datagram:
        """Answer the one request that came, in its acknowledgement; the request."""
        asked = self.peer.takeOne()
        if asked.type == CON:
            self.peer.send(ACK, code, asked.messageID, asked.token, options, payload)
        else:
            self.peer.send(NON, code, None, asked.token, options, payload)
        return asked

    def assertForgets(self, agent: Agent | None = None) -> None:
        """
        Nothing is under way any more; after EXCHANGE_LIFETIME, in which nothing is sent, nothing is left.
        """
        protocols = [
            socket.protocol
            for socket in self.wire.sockets.values()
            if isinstance(socket.protocol, CoAPProtocol)
        ]
        for protocol in protocols:
            sizes = protocol.sizes()
            self.assertEqual((sizes["openRequests"], sizes["transmissions"]), (0, 0))
        self.wire.settle()
        sent = len(self.wire.sent)
        self.reactor.elapse(FORGOTTEN)
        self.assertEqual(self.wire.sent[sent:], [])
        for protocol in protocols:
            self.assertEqual(set(protocol.sizes().values()), {0})
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def ours(self) -> list[Any]:
        """The addresses of the agent's open sockets."""
        return [address for address in self.wire.sockets if address != SERVER]
