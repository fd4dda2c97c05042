"""
Tests for L{txcoap.client}.
"""

from __future__ import annotations

import errno
import os
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from tests.wire import CLIENT, FORGOTTEN, LIFETIME, SERVER, Peer, Reactor
from txcoap import errors
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.endpoints import serverFromString
from txcoap.interfaces import IAgent
from txcoap.options import Options
from txcoap.parameters import Parameters
from txcoap.protocol import CoAPProtocol
from txcoap.request import Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram
from txcoap.server import Site
from txcoap.uri import URI

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


class RequestTests(AgentTestCase):
    """What goes out for what is asked."""

    def test_interface(self) -> None:
        """L{Agent} provides C{IAgent}."""
        verifyObject(IAgent, self.agent)

    def test_methods(self) -> None:
        """There is a method for each of CoAP's, and C{request} for all."""
        agent = self.agent
        rows: list[tuple[Any, Code]] = [
            (agent.get(TEXT), Code.GET),
            (agent.post(TEXT), Code.POST),
            (agent.put(TEXT), Code.PUT),
            (agent.delete(TEXT), Code.DELETE),
            (agent.fetch(TEXT), Code.FETCH),
            (agent.patch(TEXT), Code.PATCH),
            (agent.iPatch(TEXT), Code.IPATCH),
            (agent.request("GET", TEXT), Code.GET),
            (agent.request("iPATCH", TEXT), Code.IPATCH),
            (agent.request(Code.POST, TEXT), Code.POST),
            (agent.request(3, TEXT), Code.PUT),
        ]
        for waiting, code in rows:
            asked = self.reply()
            self.assertEqual((asked.type, asked.code, asked.options.uriPath), (CON, code, ("x",)))
            self.successResultOf(waiting)

    def test_uri(self) -> None:
        """Path and query are those of the URI (RFC 7252 6.4); it may be a L{URI}."""
        text = "coap://192.0.2.1/a%20b/gr%C3%BCn?x=1&y"
        for uri in (text, URI.fromText(text)):
            waiting = self.agent.get(uri)
            asked = self.reply()
            expected = Options(uriPath=("a b", "grün"), uriQuery=("x=1", "y"))
            self.assertEqual(asked.options, expected)
            self.successResultOf(waiting)

    def test_response(self) -> None:
        """The response has code, body and options; who sent it, and how."""
        waiting = self.agent.get(TEXT)
        self.reply(Code.CONTENT, b'{"a": 1}', Options(contentFormat=50, etag=b"e", maxAge=9))
        response = self.successResultOf(waiting)
        self.assertEqual(response.code, Code.CONTENT)
        self.assertEqual((response.contentFormat, response.etag, response.maxAge), (50, b"e", 9))
        self.assertEqual(response.json(), {"a": 1})
        self.assertEqual(response.peer, SERVER)
        self.assertEqual(response.getPeerAddress(), IPv4Address("UDP", *SERVER))
        self.assertFalse(response.isConfirmable)
        response.raiseForCode()

    def test_everyCode(self) -> None:
        """Any code fires the callback; C{raiseForCode} makes an error of 4.xx and 5.xx."""
        for code, kind in ((Code.NOT_FOUND, errors.NotFound), (Code.BAD_GATEWAY, errors.BadGateway)):
            waiting = self.agent.get(TEXT)
            self.reply(code, b"why")
            response = self.successResultOf(waiting)
            self.assertEqual((response.code, response.text()), (code, "why"))
            self.assertEqual(self.assertRaises(kind, response.raiseForCode).diagnostic, "why")

    def test_payloads(self) -> None:
        """Bytes go as they are, text as UTF-8 C{text/plain}, C{json=} as JSON."""
        rows: list[tuple[dict[str, Any], bytes, int | None]] = [
            ({"payload": b"\xff"}, b"\xff", None),
            ({"payload": "grün"}, "grün".encode(), 0),
            ({"payload": "<a/>", "contentFormat": 41}, b"<a/>", 41),
            ({"payload": b"{}", "contentFormat": "application/json"}, b"{}", 50),
            ({"json": {"a": [1]}}, b'{"a": [1]}', 50),
            ({"json": 0}, b"0", 50),
            ({"json": {}, "contentFormat": "application/senml+json"}, b"{}", 110),
        ]
        for how, payload, form in rows:
            waiting = self.agent.put(TEXT, **how)
            asked = self.reply()
            self.assertEqual((asked.payload, asked.options.contentFormat), (payload, form))
            self.successResultOf(waiting)

    def test_params(self) -> None:
        """C{params} are added to the query, encoded as nothing but themselves."""
        for params in ({"a": 1, "b": "x&y=z"}, [("a", 1), ("b", "x&y=z")]):
            waiting = self.agent.get(TEXT + "?first", params=params)
            self.assertEqual(self.reply().options.uriQuery, ("first", "a=1", "b=x&y=z"))
            self.successResultOf(waiting)

    def test_options(self) -> None:
        """Options are given by name, as a whole, or as bare numbers."""
        whole = Options(accept=50).adding((65000, b"x"))
        waiting = self.agent.get(TEXT, options=whole, etag=(b"a", b"b"), maxAge=3)
        expected = Options(uriPath=("x",), accept=50, etag=(b"a", b"b"), maxAge=3).adding((65000, b"x"))
        self.assertEqual(self.reply().options, expected)
        self.successResultOf(waiting)

    def test_nonConfirmable(self) -> None:
        """C{confirmable=False} sends a NON."""
        waiting = self.agent.get(TEXT, confirmable=False)
        self.assertEqual(self.reply(payload=b"x").type, NON)
        self.assertEqual(self.successResultOf(waiting).payload, b"x")
        self.assertForgets()

    def test_token(self) -> None:
        """A token can be given, the empty one too; otherwise it is random."""
        for token in (b"", b"12345678"):
            waiting = self.agent.get(TEXT, token=token)
            self.assertEqual(self.reply().token, token)
            self.successResultOf(waiting)
        tokens = set()
        for _ in range(5):
            waiting = self.agent.get(TEXT)
            tokens.add(self.reply().token)
            self.successResultOf(waiting)
        self.assertEqual(len(tokens), 5)

    def test_noResponse(self) -> None:
        """Where No-Response asks for silence the Deferred fires with None (RFC 7967)."""
        silent = self.agent.put(TEXT, b"x", confirmable=False, noResponse=26)
        self.assertIsNone(self.successResultOf(silent))
        self.assertEqual(self.peer.takeOne().options.noResponse, 26)
        silent = self.agent.put(TEXT, b"x", noResponse=26)
        self.assertNoResult(silent)
        self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
        self.assertIsNone(self.successResultOf(silent))
        self.assertForgets()

    def test_parameters(self) -> None:
        """Transmission parameters, the agent's or a single request's."""
        agent = self.newAgent(parameters=Parameters(MAX_RETRANSMIT=0))
        for how, sent in (({}, 1), ({"parameters": Parameters(MAX_RETRANSMIT=2)}, 3)):
            waiting = agent.get(TEXT, **how)
            self.reactor.elapse(100)
            self.failureResultOf(waiting, errors.NoAcknowledgement)
            self.assertEqual(len(self.peer.take()), sent)

    def test_order(self) -> None:
        """Requests to one peer take turns, in order (NSTART, RFC 7252 4.7)."""
        waiting = [self.agent.get(TEXT, params={"n": n}) for n in range(3)]
        for n in range(3):
            self.assertEqual(self.reply().options.uriQuery, (f"n={n}",))
            self.successResultOf(waiting[n])
        self.assertForgets()

    def test_trace(self) -> None:
        """C{trace} sees every datagram."""
        seen: list[tuple[Any, ...]] = []
        agent = self.newAgent(trace=lambda *event: seen.append(event))
        waiting = agent.get(TEXT)
        self.reply()
        self.successResultOf(waiting)
        self.assertEqual([(word, peer) for word, _, peer in seen], [("sent", SERVER), ("received", SERVER)])
        self.assertEqual([data for _, data, _ in seen], [data for _, _, data in self.wire.sent])


class MistakeTests(AgentTestCase):
    """What cannot be asked fails the Deferred; nothing is sent, no socket opened."""

    def assertRefused(self, waiting: Deferred[Any], kind: type[Exception]) -> Any:
        """It failed so, and left nothing."""
        error = self.failureResultOf(waiting, kind).value
        self.assertEqual(self.wire.sent, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        return error

    def test_schemes(self) -> None:
        """C{coaps} and the like are refused, never asked over plain UDP (RFC 7252 6.2)."""
        for scheme in ("coaps", "coap+tcp", "coaps+tcp", "coap+ws", "coaps+ws"):
            uri = f"{scheme}://192.0.2.1/x"
            for waiting in (self.agent.get(uri), self.agent.ping(uri), self.agent.discover(uri)):
                error = self.assertRefused(waiting, errors.UnsupportedScheme)
                self.assertIn(scheme, str(error))
        for uri in ("http://192.0.2.1/", "/x", "192.0.2.1", "coap:///x", "coap://[::1/x", ""):
            for waiting in (self.agent.get(uri), self.agent.ping(uri), self.agent.discover(uri)):
                self.assertRefused(waiting, errors.InvalidURI)
        self.assertEqual(self.ours(), [])

    def test_values(self) -> None:
        """Values that an option cannot have, and options and methods that there are not."""
        rows: list[dict[str, Any]] = [
            {"etag": b"123456789"},
            {"maxAge": -1},
            {"accept": "text/nonsense"},
            {"colour": "red"},
        ]
        for how in rows:
            self.assertRefused(self.agent.get(TEXT, **how), ValueError)
        self.assertRefused(self.agent.request("TAKE", TEXT), ValueError)
        self.assertRefused(self.agent.get(TEXT, params={"x" * 300: 1}), ValueError)
        self.assertEqual(self.ours(), [])

    def test_unserializable(self) -> None:
        """A value that JSON does not have fails the Deferred too."""
        self.assertRefused(self.agent.put(TEXT, json={1, 2}), TypeError)

    def test_token(self) -> None:
        """So does a token that is too long, or in use."""
        self.failureResultOf(self.agent.get(TEXT, token=b"123456789"), ValueError)
        first = self.agent.get(TEXT, token=b"t")
        self.failureResultOf(self.agent.get(TEXT, token=b"t"), errors.TokenInUse)
        self.reply()
        self.successResultOf(first)
        self.assertForgets()

    def test_tooLarge(self) -> None:
        """So do options that fit no datagram."""
        waiting = self.agent.put(TEXT, params=[("x", "y" * 250)] * 300)
        self.assertRefused(waiting, errors.MessageTooLarge)


class FailureTests(AgentTestCase):
    """The ways in which a request ends without a response."""

    def assertFails(self, waiting: Deferred[Any], kind: type[Exception]) -> Any:
        """It failed so, and left nothing."""
        error = self.failureResultOf(waiting, kind).value
        self.peer.take()
        self.assertForgets()
        return error

    def test_noAcknowledgement(self) -> None:
        """MAX_TRANSMIT_WAIT without any acknowledgement (RFC 7252 4.8.2)."""
        waiting = self.agent.get(TEXT)
        self.reactor.elapse(93)
        error = self.assertFails(waiting, errors.NoAcknowledgement)
        self.assertIsInstance(error, TimeoutError)

    def test_noResponse(self) -> None:
        """EXCHANGE_LIFETIME after an empty acknowledgement."""
        waiting = self.agent.get(TEXT)
        self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
        self.reactor.elapse(LIFETIME - 1)
        self.assertNoResult(waiting)
        self.reactor.elapse(1)
        self.assertFails(waiting, errors.NoResponse)

    def test_noResponseToNon(self) -> None:
        """A NON that nobody answers."""
        waiting = self.agent.get(TEXT, confirmable=False)
        self.reactor.elapse(93)
        self.assertFails(waiting, errors.NoResponse)

    def test_timeout(self) -> None:
        """C{timeout} covers the whole request, wherever it is."""
        waiting = self.agent.get(TEXT, timeout=1.5)
        self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
        self.reactor.elapse(1.499)
        self.assertNoResult(waiting)
        self.reactor.elapse(0.001)
        self.assertFails(waiting, errors.NoResponse)

    def test_timeoutInTheQueue(self) -> None:
        """The time of a request that waits for its turn runs."""
        first, second = self.agent.get(TEXT), self.agent.get(TEXT, timeout=1)
        self.reactor.elapse(1)
        self.failureResultOf(second, errors.NoResponse)
        self.reply()
        self.successResultOf(first)
        self.assertForgets()

    def test_reset(self) -> None:
        """The peer rejects the message."""
        waiting = self.agent.get(TEXT)
        self.peer.sendEmpty(RST, self.peer.takeOne().messageID)
        error = self.assertFails(waiting, errors.ResetReceived)
        self.assertIsInstance(error, ConnectionResetError)

    def test_unreachable(self) -> None:
        """The network refuses to send."""
        self.wire.errors["192.0.2.1"] = errno.ENETUNREACH
        error = self.assertFails(self.agent.get(TEXT), errors.Unreachable)
        self.assertEqual(error.errno, errno.ENETUNREACH)
        self.assertIsInstance(error, OSError)

    def test_malformed(self) -> None:
        """A piggybacked response with an unknown critical option (RFC 7252 5.4.1)."""
        waiting = self.agent.get(TEXT)
        self.reply(Code.CONTENT, b"", Options().adding((9999, b"")))
        error = self.assertFails(waiting, errors.MalformedResponse)
        self.assertIn("9999", str(error))

    def test_malformedSeparate(self) -> None:
        """In a CON it is rejected, and fails; in a NON it is nothing."""
        bad = Options().adding((9999, b""))
        waiting = self.agent.get(TEXT, token=b"t")
        self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
        self.peer.send(NON, Code.CONTENT, None, b"t", bad)
        self.assertEqual(self.peer.take(), [])
        self.assertNoResult(waiting)
        self.peer.send(CON, Code.CONTENT, None, b"t", bad)
        self.assertEqual(self.peer.takeOne().type, RST)
        self.assertFails(waiting, errors.MalformedResponse)

    def test_closed(self) -> None:
        """C{close} ends all that is under way."""
        waiting = [self.agent.get(TEXT), self.agent.get(TEXT), self.agent.ping(TEXT)]
        self.assertIsNone(self.successResultOf(self.agent.close()))
        for each in waiting:
            self.failureResultOf(each, errors.SocketClosed)
        self.peer.take()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class CancelTests(AgentTestCase):
    """Cancelling takes a request back, wherever it is: no timer, no entry in any table is left."""

    def assertCancels(self, waiting: Deferred[Any]) -> None:
        """Cancel it."""
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.peer.take()
        self.assertForgets()

    def test_resolving(self) -> None:
        """While the name is looked up; the late answer is ignored."""
        self.reactor.nameResolver.isSlow = True
        for how in ({}, {"timeout": 9}):
            self.assertCancels(self.agent.get("coap://server.example/", **how))
            self.assertEqual(self.ours(), [])
            self.reactor.nameResolver.answer()
        self.assertEqual(self.wire.sent, [])

    def test_resolved(self) -> None:
        """After the name was found."""
        waiting = self.agent.get("coap://server.example/")
        self.assertCancels(waiting)
        self.assertCancels(self.agent.get("coap://many.example/", timeout=5))

    def test_sent(self) -> None:
        """While it is repeated."""
        for how in ({}, {"timeout": 50}, {"confirmable": False}):
            waiting = self.agent.get(TEXT, **how)
            self.reactor.elapse(10)
            self.assertCancels(waiting)

    def test_acknowledged(self) -> None:
        """While the response is awaited."""
        waiting = self.agent.get(TEXT)
        self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
        self.assertCancels(waiting)

    def test_queued(self) -> None:
        """While it waits for its turn: it is never sent."""
        first, second = self.agent.get(TEXT), self.agent.get(TEXT, timeout=60)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.reply()
        self.successResultOf(first)
        self.assertForgets()

    def test_ping(self) -> None:
        """A ping; and one whose name is looked up."""
        self.assertCancels(self.agent.ping(TEXT))
        self.reactor.nameResolver.isSlow = True
        self.assertCancels(self.agent.ping("coap://server.example", timeout=4))

    def test_freshSocket(self) -> None:
        """The socket of its own is closed."""
        self.agent = self.newAgent(freshSockets=True)
        waiting = self.agent.get(TEXT)
        self.assertEqual(len(self.ours()), 1)
        self.assertCancels(waiting)
        self.assertEqual(self.ours(), [])


class SocketTests(AgentTestCase):
    """Which sockets are opened."""

    def test_one(self) -> None:
        """One for all requests of an address family, opened when first needed."""
        self.assertEqual(self.ours(), [])
        Peer(self.wire, SERVER6)
        for _ in range(3):
            self.agent.get(TEXT).addErrback(lambda _: None)
            self.agent.get("coap://[2001:db8::1]/").addErrback(lambda _: None)
            self.agent.ping("coap://192.0.2.77/").addErrback(lambda _: None)
        opened = [address[0] for address in self.ours() if address != SERVER6]
        self.assertEqual(opened, ["192.0.2.8", "2001:db8::8"])

    def test_closeAndReopen(self) -> None:
        """C{close} closes them; a later request opens others; closing twice is fine."""
        for _ in range(2):
            waiting = self.agent.get(TEXT)
            self.reply()
            self.successResultOf(waiting)
            self.successResultOf(self.agent.close())
            self.successResultOf(self.agent.close())
            self.assertEqual(self.ours(), [])

    def test_fresh(self) -> None:
        """With C{freshSockets}, one for each request, closed with the response or the failure."""
        agent = self.newAgent(freshSockets=True)
        first, second = agent.get(TEXT), agent.get(TEXT)
        self.assertEqual(len(self.ours()), 2)
        for asked in self.peer.take():
            source = next(
                a for a, _, data in self.wire.sent if data[2:4] == asked.messageID.to_bytes(2, "big")
            )
            self.peer.target = source
            self.peer.send(ACK, Code.CONTENT, asked.messageID, asked.token)
        gathered = self.successResultOf(gatherResults([first, second]))
        self.assertEqual([each.code for each in gathered], [Code.CONTENT] * 2)
        self.assertEqual(self.ours(), [])
        failing = agent.get(TEXT, timeout=1)
        self.reactor.elapse(1)
        self.failureResultOf(failing, errors.NoAcknowledgement)
        self.assertEqual(self.ours(), [])
        refused = agent.get(TEXT, token=b"123456789")
        self.failureResultOf(refused, ValueError)
        self.assertEqual(self.ours(), [])

    def test_freshClose(self) -> None:
        """C{close} closes those too."""
        agent = self.newAgent(freshSockets=True)
        waiting = agent.get(TEXT)
        self.successResultOf(agent.close())
        self.failureResultOf(waiting, errors.SocketClosed)
        self.assertEqual(self.ours(), [])

    def test_bindAddress(self) -> None:
        """C{bindAddress} says what to send from."""
        agent = self.newAgent(bindAddress=("192.0.2.44", 4444))
        agent.get(TEXT).addErrback(lambda _: None)
        self.assertEqual(self.ours(), [("192.0.2.44", 4444)])

    def test_bindAddressOfTheOtherFamily(self) -> None:
        """A peer of the other family cannot be reached from it."""
        agent = self.newAgent(bindAddress=("192.0.2.44", 4444))
        self.failureResultOf(agent.get("coap://[2001:db8::1]/"), errors.Unreachable)
        waiting = agent.get("coap://server.example/")
        self.assertEqual(self.reply().options.uriHost, "server.example")
        self.successResultOf(waiting)

    def test_cannotBind(self) -> None:
        """A socket that cannot be opened fails the request, and the next one tries again."""
        agent = self.newAgent(bindAddress=("192.0.2.44", 4444))
        self.reactor.refusals["192.0.2.44"] = errno.EADDRINUSE
        self.failureResultOf(agent.get(TEXT), CannotListenError)
        self.failureResultOf(agent.ping(TEXT), CannotListenError)
        self.reactor.refusals.clear()
        waiting = agent.get(TEXT)
        self.reply()
        self.successResultOf(waiting)

    def test_withoutIPv6(self) -> None:
        """Where there is no IPv6, its addresses are unreachable, and a name's others are asked."""
        self.reactor.refusals["::"] = errno.EAFNOSUPPORT
        self.failureResultOf(self.agent.get("coap://[2001:db8::1]/"), errors.Unreachable)
        waiting = self.agent.get("coap://server.example/")
        self.reply()
        self.assertEqual(self.successResultOf(waiting).peer, SERVER)

    def test_givenProtocol(self) -> None:
        """With a protocol of the user's, no socket is opened, nor closed."""
        protocol = CoAPProtocol(None, self.reactor)
        self.wire.open(protocol, CLIENT)
        agent = Agent(self.reactor, protocol=protocol)
        waiting = agent.get(TEXT)
        self.reply()
        self.successResultOf(waiting)
        self.assertEqual(self.ours(), [CLIENT])
        self.successResultOf(agent.close())
        self.assertTrue(protocol.isOpen)
        self.failureResultOf(agent.get("coap://[2001:db8::1]/"), errors.Unreachable)

    def test_givenProtocolClosed(self) -> None:
        """Once the user has closed it, requests fail."""
        protocol = CoAPProtocol(None, self.reactor)
        agent = Agent(self.reactor, protocol=protocol)
        for _ in range(2):
            self.failureResultOf(agent.get(TEXT), errors.SocketClosed)
            self.failureResultOf(agent.ping(TEXT), errors.SocketClosed)
            socket = self.wire.open(protocol, CLIENT)
            socket.stopListening()

    def test_sharedPort(self) -> None:
        """A server asks its client back over its own port, on the path by which the client asked."""

        class Registry(Resource):
            isLeaf = True

            async def render_POST(self, request: Request) -> Any:
                host, port = request.peer
                response = await back.get(f"coap://{host}:{port}/")
                return b"welcome, " + response.payload

        class Device(Resource):
            isLeaf = True

            def render_GET(self, request: Request) -> bytes:
                return b"device %d" % request.peer[1]

        self.peer.socket.stopListening()
        server = CoAPProtocol(Site(Registry()), self.reactor)
        self.wire.open(server, SERVER)
        back = Agent(self.reactor, protocol=server)
        device = CoAPProtocol(Site(Device()), self.reactor)
        self.wire.open(device, CLIENT)
        waiting = Agent(self.reactor, protocol=device).post("coap://192.0.2.1/")
        self.wire.settle()
        self.assertEqual(self.successResultOf(waiting).payload, b"welcome, device 5683")
        self.assertEqual({frozenset(each[:2]) for each in self.wire.sent}, {frozenset([SERVER, CLIENT])})


class NameTests(AgentTestCase):
    """Hosts by name, and literals."""

    def test_literals(self) -> None:
        """A literal is asked at once, without any name service; Uri-Host is left out (RFC 7252 6.4)."""
        six = Peer(self.wire, SERVER6)
        for uri, peer in (("coap://192.0.2.1", self.peer), ("coap://[2001:db8::1]", six)):
            self.agent.get(uri).addErrback(lambda _: None)
            self.assertEqual(peer.takeOne().options, Options())
        self.assertEqual(self.reactor.nameResolver.asked, [])

    def test_port(self) -> None:
        """The port is the URI's; it is not repeated in Uri-Port."""
        peer = Peer(self.wire, ("192.0.2.1", 61616))
        self.agent.get("coap://192.0.2.1:61616/").addErrback(lambda _: None)
        self.assertEqual(peer.takeOne().options, Options())

    def test_name(self) -> None:
        """A name is looked up by the reactor; it goes with the request as Uri-Host."""
        waiting = self.agent.get("coap://FOUR.example/x")
        self.assertEqual(self.reply().options, Options(uriHost="four.example", uriPath=("x",)))
        self.assertEqual(self.successResultOf(waiting).peer, SERVER)
        self.assertEqual(
            self.reactor.nameResolver.asked, [("four.example", [IPv6Address, IPv4Address], "UDP")]
        )

    def test_firstAddress(self) -> None:
        """The first address that the resolver gives is asked, and no other while it may answer."""
        six = Peer(self.wire, SERVER6)
        waiting = self.agent.get("coap://server.example/")
        asked = six.takeOne()
        six.send(ACK, Code.CONTENT, asked.messageID, asked.token)
        self.assertEqual(self.successResultOf(waiting).peer, SERVER6)
        self.assertEqual(self.peer.take(), [])

    def test_nextAddress(self) -> None:
        """An address that cannot be reached is passed over: the next one is asked."""
        self.wire.errors = {"192.0.2.51": errno.ENETUNREACH, "192.0.2.52": errno.EHOSTUNREACH}
        waiting = self.agent.get("coap://many.example/")
        self.reply()
        self.assertEqual(self.successResultOf(waiting).peer, SERVER)
        self.assertForgets()

    def test_nextAddressLater(self) -> None:
        """The same holds where the network's word comes back later: nobody was asked by then."""
        waiting = self.agent.get("coap://many.example/", timeout=5)
        for host in ("192.0.2.51", "192.0.2.52"):
            whence, whereto, data = self.wire.sent[-1]
            self.assertEqual(whereto[0], host)
            self.reactor.elapse(1)
            protocol = self.wire.sockets[whence].protocol
            protocol.datagramUnreachable(data, whereto, errno.ECONNREFUSED)
        self.reply()
        self.successResultOf(waiting)

    def test_noAddressLeft(self) -> None:
        """Where none can be reached, the last one's failure stands."""
        self.wire.errors = dict.fromkeys(KNOWN["many.example"], errno.ENETUNREACH)
        self.failureResultOf(self.agent.get("coap://many.example/"), errors.Unreachable)
        self.assertForgets()

    def test_noSecondQuestion(self) -> None:
        """Any other failure is final: a request that may have arrived is not sent elsewhere."""
        first = Peer(self.wire, ("192.0.2.51", 5683))
        waiting = self.agent.post("coap://many.example/")
        first.sendEmpty(RST, first.takeOne().messageID)
        self.failureResultOf(waiting, errors.ResetReceived)
        waiting = self.agent.post("coap://many.example/")
        self.reactor.elapse(100)
        self.failureResultOf(waiting, errors.NoAcknowledgement)
        self.assertEqual(
            {whereto[0] for _, whereto, _ in self.wire.sent if whereto != whereto[1]} & {SERVER[0]}, set()
        )

    def test_notFound(self) -> None:
        """A name without address is NameNotFound; nothing is opened."""
        error = self.failureResultOf(self.agent.get("coap://nowhere.example/"), errors.NameNotFound).value
        self.assertIsInstance(error, errors.RequestError)
        self.assertEqual(self.ours(), [])

    def test_slow(self) -> None:
        """A slow name service eats up the time of the request."""
        names = self.reactor.nameResolver
        names.isSlow = True
        waiting = self.agent.get("coap://four.example/", timeout=5)
        self.reactor.elapse(5)
        self.failureResultOf(waiting, errors.NameNotFound)
        waiting = self.agent.get("coap://four.example/", timeout=5)
        self.reactor.elapse(4)
        names.answer()
        self.peer.take()
        self.reactor.elapse(0.999)
        self.assertNoResult(waiting)
        self.reactor.elapse(0.001)
        self.failureResultOf(waiting, errors.NoAcknowledgement)
        self.assertForgets()


class PingTests(AgentTestCase):
    """L{Agent.ping} (RFC 7252 4.3)."""

    def test_answered(self) -> None:
        """It fires with None once the Reset is there; names work too."""
        for uri in ("coap://192.0.2.1", "coap://four.example/any?thing"):
            waiting = self.agent.ping(uri)
            ping = self.peer.takeOne()
            self.assertEqual((ping.type, ping.code, ping.token, ping.options), (CON, 0, b"", Options()))
            self.peer.sendEmpty(RST, ping.messageID)
            self.assertIsNone(self.successResultOf(waiting))
        self.assertForgets()

    def test_failures(self) -> None:
        """It fails as requests do."""
        self.failureResultOf(self.agent.ping("coap://nowhere.example"), errors.NameNotFound)
        waiting = self.agent.ping(TEXT, timeout=2)
        self.reactor.elapse(2)
        self.failureResultOf(waiting, errors.NoAcknowledgement)
        waiting = self.agent.ping(TEXT)
        self.reactor.elapse(93)
        self.failureResultOf(waiting, errors.NoAcknowledgement)
        self.wire.errors["192.0.2.1"] = errno.EHOSTUNREACH
        self.failureResultOf(self.agent.ping(TEXT), errors.Unreachable)


class DiscoverTests(AgentTestCase):
    """L{Agent.discover} (RFC 6690)."""

    def test_links(self) -> None:
        """It asks for C{/.well-known/core} in link format, with the given filters, and reads the answer."""
        waiting = self.agent.discover("coap://192.0.2.1/ignored?too", "rt=lamp*", "if=x")
        asked = self.reply(payload=b'</l>;rt="lamp";ct=0,</m>')
        expected = Options(uriPath=(".well-known", "core"), uriQuery=("rt=lamp*", "if=x"), accept=40)
        self.assertEqual(asked.options, expected)
        links = self.successResultOf(waiting)
        self.assertEqual([(link.target, link.rt) for link in links], [("/l", ("lamp",)), ("/m", ())])

    def test_notEncoded(self) -> None:
        """Targets that a server did not percent-encode are, so that they can be asked for."""
        waiting = self.agent.discover("coap://192.0.2.1")
        self.reply(payload="</caf\u00e9/a b>;obs".encode())
        (link,) = self.successResultOf(waiting)
        self.assertEqual((link.target, link.obs), ("/caf%C3%A9/a%20b", True))

    def test_how(self) -> None:
        """What holds for requests holds here."""
        waiting = self.agent.discover("coap://192.0.2.1", confirmable=False, timeout=3, accept=None)
        asked = self.reply()
        self.assertEqual((asked.type, asked.options.accept), (NON, None))
        self.assertEqual(self.successResultOf(waiting), ())

    def test_failures(self) -> None:
        """An error response and what is no link format fail it."""
        waiting = self.agent.discover("coap://192.0.2.1")
        self.reply(Code.NOT_FOUND, b"no")
        self.failureResultOf(waiting, errors.NotFound)
        for rubbish in (b"rubbish", b"\xff\xfe"):
            waiting = self.agent.discover("coap://192.0.2.1")
            self.reply(payload=rubbish)
            self.failureResultOf(waiting, errors.LinkFormatError)


class Name(Resource):
    """Says who asks."""

    isLeaf = True

    def render_GET(self, request: Request) -> str:
        return type(request.getClientAddress()).__name__


class LoopbackTests(TestCase):
    """On real sockets."""

    async def ask(self, listen: str, uri: str, **how: Any) -> Any:
        """The body that a real server gives to a real agent."""
        reactor: Any = _reactor
        port: Any = await serverFromString(reactor, listen).listen(Site(Name()))
        agent = Agent(reactor, **how)
        try:
            response = await agent.get(uri.format(getattr(port.getHost(), "port", 0)), timeout=10)
        finally:
            await agent.close()
            await port.stopListening()
        return response.payload

    async def test_addresses(self) -> None:
        """IPv4, and a name; with one socket for all, or one for each."""
        for how in ({}, {"freshSockets": True}, {"bindAddress": ("127.0.0.1", 0)}):
            for uri in ("coap://127.0.0.1:{}/", "coap://localhost:{}/"):
                answer = await self.ask("udp:0:interface=127.0.0.1", uri, **how)
                self.assertEqual(answer, b"IPv4Address")

    async def test_unix(self) -> None:
        """A Unix socket, written into the URI as libcoap does."""
        with TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            uri = "coap://" + path.replace("/", "%2F") + "/"
            for how in ({}, {"freshSockets": True}):
                self.assertEqual(await self.ask(f"unix:{path}", uri, **how), b"UNIXAddress")

    async def test_closedPort(self) -> None:
        """Nobody listens: the request fails at once."""
        agent = Agent(_reactor)
        self.addCleanup(agent.close)
        reactor: Any = _reactor
        port = reactor.listenUDP(0, CoAPProtocol(), "127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        with self.assertRaises(errors.Unreachable):
            await agent.get(f"coap://127.0.0.1:{number}/", timeout=10)

    async def test_closeWhileAsking(self) -> None:
        """Closing an agent with requests under way, on fresh sockets too."""
        reactor: Any = _reactor
        silent = reactor.listenUDP(0, CoAPProtocol(), "127.0.0.1")
        self.addCleanup(silent.stopListening)
        silent.protocol.datagramReceived = lambda data, peer, local=None: None
        for isFresh in (False, True):
            agent = Agent(reactor, freshSockets=isFresh)
            waiting = agent.get(f"coap://127.0.0.1:{silent.getHost().port}/")
            await agent.close()
            self.failureResultOf(waiting, errors.SocketClosed)
