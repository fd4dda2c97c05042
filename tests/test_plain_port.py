"""
Tests for L{txcoap.protocol} on ports that are not of txcoap.
"""

from __future__ import annotations

import errno
from random import Random
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError
from twisted.internet.error import MessageLengthError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.test_protocol import GET, Hello
from tests.wire import CLIENT, SERVER, Peer, Reactor, Socket
from txcoap.codes import Code
from txcoap.errors import (
    Unreachable,
)
from txcoap.protocol import CoAPProtocol
from txcoap.sansio.datagrams import ACK, CON, decode
from txcoap.server import Site


class Bare:
    """A transport as Twisted's own: no C{send}, and it may raise."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.errors: list[Exception] = []

    def write(self, data: bytes, peer: Any) -> None:
        """Send, or raise."""
        if self.errors:
            raise self.errors.pop(0)
        self.socket.send(data, peer)

    def getHost(self) -> Any:
        """Where it is."""
        return self.socket.getHost()


class PlainPortTests(SynchronousTestCase):
    """Under the reactor's own C{listenUDP}."""

    def setUp(self) -> None:
        """Open a protocol on a transport of Twisted's kind."""
        self.reactor = Reactor()
        self.wire = self.reactor.wire
        self.peer = Peer(self.wire)
        self.protocol = CoAPProtocol(Site(Hello()), self.reactor, chance=Random(1))
        inner = Peer(self.wire, SERVER)
        inner.datagramReceived = self.protocol.datagramReceived  # type: ignore[method-assign]
        self.transport = Bare(inner.socket)
        self.protocol.makeConnection(self.transport)  # type: ignore[arg-type]

    def test_serves(self) -> None:
        """It answers."""
        self.peer.send(CON, Code.GET)
        self.assertEqual(self.peer.takeOne().payload, b"hello")

    def test_asks(self) -> None:
        """It asks, and keeps time: such a port does not tell where a turn ends."""
        peer = self.protocol.toPeer(*CLIENT)
        self.assertEqual(peer, CLIENT)
        waiting = self.protocol.request(GET, peer)
        self.assertEqual(len(self.peer.take()), 1)
        self.reactor.advance(3)
        self.assertEqual(len(self.peer.take()), 1)
        asked = decode(self.wire.sent[-1][2])
        self.peer.send(ACK, Code.CONTENT, asked.messageID, asked.token)
        self.successResultOf(waiting)
        self.assertEqual(self.protocol.getHost(), IPv4Address("UDP", *SERVER))

    def test_writeRaises(self) -> None:
        """A full buffer is a lost datagram; other errors fail the request."""
        self.transport.errors = [BlockingIOError(errno.EAGAIN, "full")]
        waiting = self.protocol.request(GET, CLIENT)
        self.assertNoResult(waiting)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        for error in (OSError(errno.ENETUNREACH, "no"), MessageLengthError("long"), ValueError("bad")):
            self.transport.errors = [error]
            self.failureResultOf(self.protocol.request(GET, CLIENT), Unreachable)


class RealPortTests(TestCase):
    """On loopback, under the installed reactor's own C{listenUDP}."""

    async def test_loopback(self) -> None:
        """C{reactor.listenUDP(0, CoAPProtocol(Site(root)))} serves, and such a protocol asks."""
        reactor: Any = _reactor
        server, client = CoAPProtocol(Site(Hello())), CoAPProtocol()
        port = reactor.listenUDP(0, server, "127.0.0.1")
        other = reactor.listenUDP(0, client, "127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(other.stopListening)
        response = await client.request(GET, client.toPeer("127.0.0.1", port.getHost().port))
        assert response is not None
        self.assertEqual(response.payload, b"hello")
