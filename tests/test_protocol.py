"""
Tests for L{txcoap.protocol}: the machines under a reactor.
"""

from __future__ import annotations

import errno
import gc
import weakref
from random import Random
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.wire import CLIENT, LIFETIME, SERVER, Peer, ServerTestCase
from txcoap.codes import Code
from txcoap.errors import (
    MessageTooLarge,
    NoAcknowledgement,
    NoResponse,
    RequestQueueFull,
    ResetReceived,
    SocketClosed,
    TokenInUse,
    Unreachable,
)
from txcoap.interfaces import IDatagramReceiver, ITransport
from txcoap.limits import Limits
from txcoap.message import Request
from txcoap.parameters import Parameters
from txcoap.protocol import CoAPProtocol
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, decode, encode
from txcoap.server import Site

GET = Request(Code.GET, uriPath=("x",))


class Hello(Resource):
    """Says hello."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"hello"


class ClientTestCase(ServerTestCase):
    """A protocol that asks a peer which does what a test says."""

    def setUp(self) -> None:
        """Open a protocol at C{SERVER}, and a peer at C{CLIENT}."""
        super().setUp()
        self.traced: list[tuple[str, bytes, Any]] = []
        self.open()

    def open(self, **how: Any) -> None:
        """Open the protocol anew."""
        if SERVER in self.wire.sockets:
            self.socket.stopListening()
        self.protocol = CoAPProtocol(
            None,
            self.reactor,
            chance=Random(3),
            trace=lambda *seen: self.traced.append(seen),
            **how,
        )
        self.socket = self.wire.open(self.protocol, SERVER)

    def request(self, request: Request = GET, **how: Any) -> Deferred[Datagram | None]:
        """Ask the peer."""
        return self.protocol.request(request, CLIENT, **how)


class InterfaceTests(ServerTestCase):
    """What a protocol is to those around it."""

    def test_interfaces(self) -> None:
        """A protocol provides C{IDatagramReceiver}; the sockets of these tests what ports do."""
        verifyObject(IDatagramReceiver, CoAPProtocol(None, self.reactor))
        self.serve(Hello())
        verifyObject(ITransport, self.socket)

    def test_getHost(self) -> None:
        """C{getHost} is the socket's address; without a socket there is none."""
        self.serve(Hello())
        self.assertEqual(self.protocol.getHost(), IPv4Address("UDP", *SERVER))
        self.socket.stopListening()
        self.assertRaises(SocketClosed, self.protocol.getHost)
        self.assertRaises(SocketClosed, self.protocol.toPeer, "192.0.2.1", 1)

    def test_toPeer(self) -> None:
        """C{toPeer} writes an address as the socket does, and refuses what the socket cannot reach."""
        self.serve(Hello())
        self.assertEqual(self.protocol.toPeer(*CLIENT), CLIENT)
        self.assertRaises(ValueError, self.protocol.toPeer, "2001:db8::1", 1)

    def test_isOpen(self) -> None:
        """C{isOpen} tells whether there is a socket; the same protocol can be opened again."""
        protocol = CoAPProtocol(Site(Hello()), self.reactor)
        self.assertFalse(protocol.isOpen)
        for _ in range(2):
            socket = self.wire.open(protocol, SERVER)
            self.assertTrue(protocol.isOpen)
            self.peer.send(CON, Code.GET)
            self.assertEqual(self.peer.takeOne().payload, b"hello")
            socket.stopListening()
            self.assertFalse(protocol.isOpen)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_defaultReactor(self) -> None:
        """Without a reactor it is the installed one."""
        self.assertIs(CoAPProtocol().reactor, _reactor)

    def test_counters(self) -> None:
        """What came and went is counted, and the tables' sizes are told."""
        self.serve(Hello())
        self.answerTo()
        self.assertEqual((self.protocol.counters.received, self.protocol.counters.sent), (1, 1))
        self.assertEqual(self.protocol.sizes()["remembered"], 1)


class TraceTests(ServerTestCase):
    """The trace hook."""

    def test_both(self) -> None:
        """It sees every datagram in and out, malformed ones too."""
        self.serve(Hello())
        seen: list[tuple[str, bytes, Any]] = []
        self.protocol.trace = lambda *event: seen.append(event)
        self.ask()
        self.peer.sendBytes(b"\x40\x01\x12\x34\xff")
        words = [(word, peer) for word, _, peer in seen]
        self.assertEqual(words, [("received", CLIENT), ("sent", CLIENT)] * 2)
        self.assertEqual([data for _, data, _ in seen], [data for _, _, data in self.wire.sent])


class AskTests(ClientTestCase):
    """Requests of ours."""

    def test_piggybacked(self) -> None:
        """The Deferred fires with the datagram of the response."""
        waiting = self.request(token=b"t")
        asked = self.peer.takeOne()
        self.assertEqual((asked.type, asked.code, asked.token), (CON, Code.GET, b"t"))
        self.peer.send(ACK, Code.CONTENT, asked.messageID, b"t", payload=b"x")
        response = self.successResultOf(waiting)
        assert response is not None
        self.assertEqual((response.code, response.payload), (Code.CONTENT, b"x"))
        self.assertForgets()

    def test_amidTurn(self) -> None:
        """What is asked while a turn of the transport's goes on is sent when that ends, all together."""
        parameters = Parameters(NSTART=4)

        def again(_: Any) -> None:
            self.request(parameters=parameters)

        for _ in range(2):
            self.request(parameters=parameters).addCallback(again)
        self.wire.settle()
        self.wire.sent.clear()
        for datagram in self.peer.take():
            self.protocol.datagramReceived(
                encode(ACK, Code.CONTENT, datagram.messageID, datagram.token), CLIENT
            )
            self.assertEqual(self.wire.sent, [])
        self.protocol.turnEnded()
        self.assertEqual(len(self.wire.sent), 2)

    def test_closedAmidTurn(self) -> None:
        """What was put off until the turn ends is sent when the socket is closed before that."""

        def last(_: Any) -> None:
            self.request(confirmable=False).addErrback(lambda failure: failure.trap(SocketClosed))
            self.socket.stopListening()

        self.request().addCallback(last)
        self.wire.settle()
        asked = self.peer.takeOne()
        self.wire.sent.clear()
        self.protocol.datagramReceived(encode(ACK, Code.CONTENT, asked.messageID, asked.token), CLIENT)
        self.assertEqual([decode(data).type for _, _, data in self.wire.sent], [NON])

    def test_separate(self) -> None:
        """A separate response is acknowledged."""
        waiting = self.request(token=b"t")
        self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
        self.reactor.elapse(100)
        self.assertNoResult(waiting)
        messageID = self.peer.send(CON, Code.CONTENT, token=b"t")
        self.successResultOf(waiting)
        acknowledgement = self.peer.takeOne()
        self.assertEqual((acknowledgement.type, acknowledgement.messageID), (ACK, messageID))
        self.assertForgets()

    def test_failures(self) -> None:
        """A request that nobody answers, or that is reset, fails; so does one acknowledged alone."""
        waiting = self.request()
        self.reactor.elapse(100)
        self.failureResultOf(waiting, NoAcknowledgement)
        self.assertEqual(len(self.peer.take()), 5)
        waiting = self.request()
        self.peer.sendEmpty(RST, self.peer.takeOne().messageID)
        self.failureResultOf(waiting, ResetReceived)
        waiting = self.request()
        self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
        self.reactor.elapse(LIFETIME)
        self.failureResultOf(waiting, NoResponse)
        self.assertForgets()

    def test_timeout(self) -> None:
        """C{timeout} ends a request, however far it is."""
        waiting = self.request(timeout=1)
        self.reactor.advance(0.999)
        self.assertNoResult(waiting)
        self.reactor.advance(0.001)
        self.failureResultOf(waiting, NoAcknowledgement)
        self.assertForgets()

    def test_unreachable(self) -> None:
        """A port's word that a datagram did not arrive fails the request at once (RFC 7252 4.2)."""
        waiting = self.request()
        (_, _, data) = self.wire.sent[-1]
        self.protocol.datagramUnreachable(b"", CLIENT, errno.ECONNREFUSED)
        self.protocol.datagramUnreachable(data, ("192.0.2.77", 1), errno.ECONNREFUSED)
        self.assertNoResult(waiting)
        self.protocol.datagramUnreachable(data[:8], CLIENT, errno.ECONNREFUSED)
        error = self.failureResultOf(waiting, Unreachable).value
        self.assertEqual(error.errno, errno.ECONNREFUSED)
        self.assertForgets()

    def test_unreachableAfterTheEnd(self) -> None:
        """Such word is nothing where nothing is under way, or on a ping that is over."""
        ping = self.protocol.ping(CLIENT)
        (_, _, data) = self.wire.sent[-1]
        self.protocol.datagramUnreachable(data, CLIENT, errno.ECONNREFUSED)
        self.failureResultOf(ping, Unreachable)
        self.protocol.datagramUnreachable(data, CLIENT, errno.ECONNREFUSED)
        self.assertForgets()

    def test_sendingFails(self) -> None:
        """A port that cannot send at all fails the request at once, though the Deferred is returned first."""
        self.wire.errors[CLIENT[0]] = errno.ENETUNREACH
        error = self.failureResultOf(self.request(), Unreachable).value
        self.assertEqual(error.errno, errno.ENETUNREACH)
        self.failureResultOf(self.protocol.ping(CLIENT), Unreachable)
        self.assertForgets()

    def test_cancelSent(self) -> None:
        """Cancelling stops the repetitions."""
        waiting = self.request()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertForgets()

    def test_cancelQueued(self) -> None:
        """One that waits for its turn is never sent (RFC 7252 4.7)."""
        first, second, third = self.request(), self.request(), self.request()
        second.cancel()
        self.failureResultOf(second, CancelledError)
        asked = self.peer.takeOne()
        self.peer.send(ACK, Code.CONTENT, asked.messageID, asked.token)
        self.successResultOf(first)
        asked = self.peer.takeOne()
        self.peer.send(ACK, Code.CONTENT, asked.messageID, asked.token)
        self.successResultOf(third)
        self.assertForgets()

    def test_cancelAcknowledged(self) -> None:
        """One that is acknowledged is forgotten: its late response gets a Reset (RFC 7252 4.2)."""
        waiting = self.request(token=b"t")
        self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.peer.send(CON, Code.CONTENT, token=b"t")
        self.assertEqual(self.peer.takeOne().type, RST)
        self.assertForgets()

    def test_cancelNonConfirmable(self) -> None:
        """A NON too is forgotten."""
        waiting = self.request(confirmable=False)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertForgets()

    def test_cancelGivesTheTurn(self) -> None:
        """Cancelling the one under way lets the next go."""
        first, second = self.request(token=b"1"), self.request(token=b"2")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        asked = self.peer.take()
        self.assertEqual([each.token for each in asked], [b"1", b"2"])
        self.peer.send(ACK, Code.CONTENT, asked[1].messageID, b"2")
        self.successResultOf(second)
        self.assertForgets()

    def test_cancelInsideCallback(self) -> None:
        """A callback may ask again, or cancel others, while a datagram is being handled."""
        first, second = self.request(token=b"1"), self.request(token=b"2")
        again: list[Any] = []

        def next_(response: Any) -> None:
            second.cancel()
            again.append(self.request(token=b"3"))

        first.addCallback(next_)
        self.peer.send(ACK, Code.CONTENT, self.peer.takeOne().messageID, b"1")
        self.failureResultOf(second, CancelledError)
        # The turn was the second's by then, so that it went out before the callback ran.
        asked = self.peer.take()[-1]
        self.assertEqual(asked.token, b"3")
        self.peer.send(ACK, Code.CONTENT, asked.messageID, b"3")
        self.successResultOf(again[0])
        self.assertForgets()

    def test_cancelInsideErrback(self) -> None:
        """Of those that fail at the same time, the first to be told may cancel the others, or close."""
        for isClosing in (False, True):
            self.open()
            peers = [("192.0.2.31", 1), ("192.0.2.32", 1)]
            waiting: list[Deferred[Any]] = [self.protocol.request(GET, peer, timeout=1) for peer in peers]
            waiting += [self.protocol.ping(peer, timeout=1) for peer in peers]

            def end(failure: Failure, isClosing: bool = isClosing, all: Any = waiting) -> Failure:
                if isClosing:
                    self.socket.stopListening()
                for each in all:
                    each.cancel()
                return failure

            for each in waiting:
                each.addErrback(end)
            self.reactor.advance(1)
            for each in waiting:
                self.failureResultOf(each, NoAcknowledgement, CancelledError, SocketClosed)
            self.assertEqual(self.protocol.sizes()["transmissions"], 0)

    def test_noResponse(self) -> None:
        """Where silence is asked for: None, for a CON at the acknowledgement, for a NON once it is sent."""
        silent = Request(Code.PUT, noResponse=26)
        self.assertIsNone(self.successResultOf(self.request(silent, confirmable=False)))
        self.peer.take()
        waiting = self.request(silent)
        self.assertNoResult(waiting)
        self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
        self.assertIsNone(self.successResultOf(waiting))
        self.assertForgets()

    def test_limits(self) -> None:
        """What a limit forbids fails at once, and changes nothing."""
        self.open(limits=Limits(queuedRequests=1))
        self.request(token=b"t").addErrback(lambda _: None)
        self.request().addErrback(lambda _: None)
        sizes = self.protocol.sizes()
        self.assertRaises(RequestQueueFull, self.request)
        self.assertRaises(TokenInUse, self.request, token=b"t")
        self.assertRaises(MessageTooLarge, self.request, Request(Code.PUT, bytes(65_507)))
        self.assertEqual(self.protocol.sizes(), sizes)

    def test_tokenTooLong(self) -> None:
        """A token has 8 bytes at most (RFC 7252 3): a longer one is refused, in a queue too."""
        first = self.request(token=b"12345678")
        self.assertRaises(ValueError, self.request, token=b"123456789")
        asked = self.peer.takeOne()
        self.peer.send(ACK, Code.CONTENT, asked.messageID, asked.token)
        self.successResultOf(first)
        self.assertForgets()

    def test_parameters(self) -> None:
        """Transmission parameters of the protocol, and of one request alone."""
        self.open(parameters=Parameters(MAX_RETRANSMIT=0))
        waiting = self.request(timeout=None, parameters=Parameters(MAX_RETRANSMIT=1))
        self.reactor.advance(3)
        self.reactor.advance(6)
        self.failureResultOf(waiting, NoAcknowledgement)
        self.assertEqual(len(self.peer.take()), 2)
        waiting = self.request()
        self.reactor.advance(3)
        self.failureResultOf(waiting, NoAcknowledgement)
        self.assertEqual(len(self.peer.take()), 1)

    def test_randomTokens(self) -> None:
        """Tokens are random and not used twice at once; message IDs start at random (RFC 7252 5.3.1)."""
        self.open(parameters=Parameters(NSTART=100))
        for _ in range(50):
            self.request().addErrback(lambda _: None)
        asked = self.peer.take()
        self.assertEqual(len({each.token for each in asked}), 50)
        self.assertTrue(all(len(each.token) >= 4 for each in asked))
        self.assertEqual(len({each.messageID for each in asked}), 50)

    def test_strangersResponse(self) -> None:
        """A response counts only from the peer that was asked (RFC 7252 5.3.2)."""
        waiting = self.request(token=b"t")
        stranger = Peer(self.wire, ("192.0.2.66", 1))
        asked = self.peer.takeOne()
        stranger.send(ACK, Code.CONTENT, asked.messageID, b"t")
        stranger.send(NON, Code.CONTENT, None, b"t")
        self.assertNoResult(waiting)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)

    def test_ping(self) -> None:
        """A ping is an empty CON, answered by a Reset (RFC 7252 4.3)."""
        waiting = self.protocol.ping(CLIENT)
        ping = self.peer.takeOne()
        self.assertEqual((ping.type, ping.code, ping.token), (CON, 0, b""))
        self.peer.sendEmpty(RST, ping.messageID)
        self.assertIsNone(self.successResultOf(waiting))
        self.assertForgets()

    def test_pingFails(self) -> None:
        """A ping that nobody answers fails after MAX_TRANSMIT_WAIT, or after its timeout."""
        waiting = self.protocol.ping(CLIENT, timeout=3)
        self.reactor.advance(3)
        self.failureResultOf(waiting, NoAcknowledgement)
        waiting = self.protocol.ping(CLIENT)
        self.reactor.elapse(100)
        self.failureResultOf(waiting, NoAcknowledgement)
        self.assertForgets()

    def test_pingCancelled(self) -> None:
        """A cancelled ping is not repeated."""
        waiting = self.protocol.ping(CLIENT)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertForgets()

    def test_closed(self) -> None:
        """When the socket closes, all that waits fails, and no timer is left."""
        waiting = [self.request(), self.request(), self.protocol.ping(CLIENT)]
        self.wire.settle()
        self.socket.stopListening()
        for each in waiting:
            self.failureResultOf(each, SocketClosed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.protocol.sizes()["openRequests"], 0)

    def test_closedAndCancelled(self) -> None:
        """Whoever learns that the socket is closed may cancel the others."""
        waiting: list[Deferred[Any]] = [self.request(), self.request(), self.protocol.ping(CLIENT)]

        def cancelAll(failure: Failure) -> Failure:
            for each in waiting:
                each.cancel()
            return failure

        for each in waiting:
            each.addErrback(cancelAll)
        self.socket.stopListening()
        for each in waiting:
            self.failureResultOf(each, SocketClosed, CancelledError)

    def test_closedInTheQueue(self) -> None:
        """What waited for its turn is not sent by the next socket."""
        waiting = [self.request(), self.request()]
        self.socket.stopListening()
        for each in waiting:
            self.failureResultOf(each, SocketClosed)
        self.peer.take()
        self.socket = self.wire.open(self.protocol, SERVER)
        self.protocol.ping(CLIENT).addErrback(lambda _: None)
        self.assertEqual(self.peer.takeOne().code, Code.EMPTY)

    def test_closedInsideCallback(self) -> None:
        """A callback may close the socket."""
        waiting = self.request(token=b"t")
        waiting.addCallback(lambda _: self.socket.stopListening())
        self.peer.send(ACK, Code.CONTENT, self.peer.takeOne().messageID, b"t")
        self.assertFalse(self.protocol.isOpen)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_notOpen(self) -> None:
        """Without a socket nothing is asked: SocketClosed."""
        self.socket.stopListening()
        self.assertRaises(SocketClosed, self.request)
        self.assertRaises(SocketClosed, self.protocol.ping, CLIENT)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_oneTimer(self) -> None:
        """However much is under way, the reactor has one delayed call."""
        self.open(parameters=Parameters(NSTART=50))
        for _ in range(20):
            self.request().addErrback(lambda _: None)
        calls = [each for each in self.reactor.getDelayedCalls() if each.getTime() > self.reactor.seconds()]
        self.assertEqual(len(calls), 1)

    def test_noCycles(self) -> None:
        """A request that is done leaves nothing for the garbage collector."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        waiting = self.request(token=b"t")
        seen = weakref.ref(waiting)
        self.peer.send(ACK, Code.CONTENT, self.peer.takeOne().messageID, b"t")
        del waiting
        self.assertIsNone(seen())


class TwoRolesTests(ServerTestCase):
    """One socket is server and client at once."""

    def test_bothWays(self) -> None:
        """A server asks its client back, over the same port and while it answers it."""

        class Callback(Resource):
            isLeaf = True

            async def render_GET(self, request: Any) -> Any:
                response = await self.ask(request.peer)
                return b"you said " + response.payload

            def ask(self, peer: Any) -> Any:
                return test.protocol.request(GET, peer)

        test = self
        self.serve(Callback())
        other = CoAPProtocol(Site(Hello()), self.reactor, chance=Random(5))
        self.wire.open(other, ("192.0.2.20", 1))
        waiting = other.request(GET, SERVER)
        self.wire.settle()
        response = self.successResultOf(waiting)
        assert response is not None
        self.assertEqual(response.payload, b"you said hello")
        self.assertEqual(
            {frozenset(each[:2]) for each in self.wire.sent}, {frozenset([SERVER, ("192.0.2.20", 1)])}
        )
        self.assertForgets()


class FailingTraceTests(ClientTestCase):
    """What sees every datagram, and fails."""

    def test_fails(self) -> None:
        """What a trace fails on is sent all the same, and the failure is logged."""
        self.request().addErrback(lambda _: None)
        self.reactor.elapse(1)

        def fail(*seen: Any) -> None:
            self.protocol.trace = None
            raise RuntimeError("scripted")

        self.protocol.trace = fail
        self.reactor.elapse(3)
        self.assertEqual(len(self.peer.take()), 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.reactor.elapse(8)
        self.assertEqual(len(self.peer.take()), 1)
