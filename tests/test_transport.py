"""
Tests for transports of the user's own: any object with C{write(data, address)} and C{getHost()} is a server's
and an agent's socket.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from txcoap import Agent, CoAPProtocol, Code, Resource, Router, Site
from txcoap.errors import NoAcknowledgement, SocketClosed
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, decode, encode

HERE, THERE = ("192.0.2.1", 5683), ("192.0.2.2", 5683)


class Wire:
    """
    As little as a transport can be: it keeps what is written.

    @ivar written: What was written, and whereto.
    """

    def __init__(self) -> None:
        self.written: list[tuple[bytes, Any]] = []

    def write(self, data: bytes, address: Any) -> None:
        """Keep it."""
        self.written.append((data, address))

    def getHost(self) -> IPv4Address:
        """Where it says that it is."""
        return IPv4Address("UDP", *HERE)

    def take(self) -> list[Datagram]:
        """What was written since the last call, having seen whereto."""
        written, self.written = self.written, []
        assert all(address == THERE for _, address in written)
        return [decode(data) for data, _ in written]


class Counted(Resource):
    """Counts its requests."""

    count = 0

    def render_POST(self, request: Any) -> str:
        self.count += 1
        return str(self.count)


class TransportCase(SynchronousTestCase):
    """A protocol on such a transport."""

    wire: Any

    def setUp(self) -> None:
        self.clock = Clock()
        self.root = Counted()
        self.wire = Wire()
        self.protocol = CoAPProtocol(Site(self.root), self.clock)
        self.protocol.makeConnection(self.wire)

    def deliver(self, *message: Any) -> list[Datagram]:
        """Give it a datagram; what it writes at once."""
        self.protocol.datagramReceived(encode(*message), THERE)
        taken: list[Datagram] = self.wire.take()
        return taken


class ServerTests(TransportCase):
    """As a server's socket."""

    def test_serves(self) -> None:
        """A request is answered, piggybacked or in a message of its own kind."""
        (answer,) = self.deliver(CON, Code.POST, 7, b"t")
        self.assertEqual((answer.type, answer.messageID, answer.token), (ACK, 7, b"t"))
        (answer,) = self.deliver(NON, Code.POST, 8, b"t")
        self.assertEqual((answer.type, answer.payload), (NON, b"2"))

    def test_duplicates(self) -> None:
        """A repeated request is answered again, and not rendered again (RFC 7252 4.5)."""
        first = self.deliver(CON, Code.POST, 7, b"t")
        again = self.deliver(CON, Code.POST, 7, b"t")
        self.assertEqual((first[0].payload, again[0].payload, self.root.count), (b"1", b"1", 1))

    def test_errors(self) -> None:
        """What is no message is rejected with a Reset where it is confirmable (RFC 7252 4.2)."""
        self.protocol.datagramReceived(b"\x40\x02\x00\x09\xff", THERE)
        (answer,) = self.wire.take()
        self.assertEqual((answer.type, answer.messageID), (RST, 9))
        for data in (b"", b"\x40", b"\x80\x01\x00\x09", b"\x50\x02\x00\x09\xff"):
            self.protocol.datagramReceived(data, THERE)
        self.assertEqual(self.wire.written, [])

    def test_later(self) -> None:
        """Time goes on: an answer that takes long is acknowledged first, and repeated until it is heard."""
        later: Deferred[str] = Deferred()
        app = Router()
        app.route("/")(lambda request: later)
        self.protocol.site = Site(app)
        self.assertEqual(self.deliver(CON, Code.GET, 7, b"t"), [])
        self.clock.advance(0.1)
        (acknowledgement,) = self.wire.take()
        self.assertEqual((acknowledgement.type, acknowledgement.code), (ACK, Code.EMPTY))
        later.callback("slow")
        (answer,) = self.wire.take()
        self.clock.advance(3)
        (again,) = self.wire.take()
        self.assertEqual((answer.messageID, answer.payload), (again.messageID, b"slow"))

    def test_detached(self) -> None:
        """After C{doStop} nothing is heard of the transport or written to it, and no call is left."""
        self.deliver(CON, Code.POST, 7, b"t")
        self.protocol.doStop()
        self.assertEqual(self.deliver(CON, Code.POST, 8, b"t"), [])
        self.protocol.datagramReceived(b"\x40\x02\x00\x09\xff", THERE)
        self.clock.advance(1000)
        self.assertEqual((self.wire.written, self.root.count, self.clock.calls), ([], 1, []))

    def test_again(self) -> None:
        """It can be given another transport, and knows nothing of the messages that came by the first."""
        self.deliver(CON, Code.POST, 7, b"t")
        self.protocol.doStop()
        self.wire = Wire()
        self.protocol.makeConnection(self.wire)
        (answer,) = self.deliver(CON, Code.POST, 7, b"t")
        self.assertEqual(answer.payload, b"2")


class AgentTests(TransportCase):
    """As an agent's socket, of the same protocol."""

    def setUp(self) -> None:
        super().setUp()
        self.agent = Agent(self.clock, protocol=self.protocol)
        self.asking = self.agent.get("coap://192.0.2.2/x")
        (self.asked,) = self.wire.take()

    def test_asks(self) -> None:
        """A response is matched; it tells both ends."""
        asked = self.asked
        self.assertEqual(self.deliver(ACK, Code.CONTENT, asked.messageID, asked.token), [])
        response = self.successResultOf(self.asking)
        self.assertEqual(response.getPeerAddress(), IPv4Address("UDP", *THERE))
        self.assertEqual(response.getHost(), IPv4Address("UDP", *HERE))

    def test_bothRoles(self) -> None:
        """While it asks it serves, and a stray response is rejected, one to no request of ours."""
        (answer,) = self.deliver(CON, Code.POST, self.asked.messageID, b"t")
        self.assertEqual(answer.payload, b"1")
        (rejected,) = self.deliver(CON, Code.CONTENT, 9, b"stray")
        self.assertEqual((rejected.type, rejected.messageID), (RST, 9))
        self.assertNoResult(self.asking)
        self.asking.cancel()
        self.asking.addErrback(lambda _: None)

    def test_repeats(self) -> None:
        """A request is repeated, and given up."""
        for _ in range(100):
            self.clock.advance(1)
        self.assertEqual(len(self.wire.take()), 4)
        self.failureResultOf(self.asking, NoAcknowledgement)

    def test_detached(self) -> None:
        """C{doStop} fails what is under way; to close the agent leaves the user's transport alone."""
        self.successResultOf(self.agent.close())
        self.assertNoResult(self.asking)
        self.protocol.doStop()
        self.failureResultOf(self.asking, SocketClosed)
        self.failureResultOf(self.agent.get("coap://192.0.2.2/x"), SocketClosed)
        self.assertEqual(self.wire.written, [])


class Relay:
    """A transport over a socket that the user opened, with a prefix on every datagram."""

    PREFIX = b"tunnel:"

    def __init__(self, protocol: CoAPProtocol) -> None:
        self.protocol = protocol
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        reactor: Any = _reactor
        reactor.addReader(self)
        protocol.makeConnection(self)  # type: ignore[arg-type]

    def close(self) -> None:
        reactor: Any = _reactor
        reactor.removeReader(self)
        self.socket.close()

    def fileno(self) -> int:
        return self.socket.fileno()

    def doRead(self) -> None:
        data, address = self.socket.recvfrom(2048)
        if data.startswith(self.PREFIX):
            self.protocol.datagramReceived(data[len(self.PREFIX) :], address)

    def connectionLost(self, reason: Any) -> None:
        """Nothing."""

    def logPrefix(self) -> str:
        return "relay"

    def write(self, data: bytes, address: Any) -> None:
        self.socket.sendto(self.PREFIX + data, address)

    def getHost(self) -> IPv4Address:
        return IPv4Address("UDP", *self.socket.getsockname())


class RelayTests(TestCase):
    """Over loopback."""

    async def test_tunnel(self) -> None:
        """Server and agent on such transports understand each other, in blocks too."""

        class Echo(Resource):
            def render_PUT(self, request: Any) -> bytes:
                return bytes(request.payload)

        server, client = CoAPProtocol(Site(Echo())), CoAPProtocol()
        for protocol in (server, client):
            relay = Relay(protocol)
            self.addCleanup(relay.close)
            self.addCleanup(protocol.doStop)
        host: Any = server.getHost()
        agent = Agent(_reactor, protocol=client)
        body = bytes(range(256)) * 20
        response = await agent.put(host=host.host, port=host.port, payload=body)
        self.assertEqual(response.payload, body)
        self.assertEqual(response.getHost(), client.getHost())
