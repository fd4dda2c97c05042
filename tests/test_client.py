"""
Tests for L{txcoap.client}: what an agent sends, and what comes of it.
"""

from __future__ import annotations

import errno
from functools import partial
from io import BytesIO
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.client import FileBodyProducer, readBody
from zope.interface.verify import verifyObject

from tests.wire import LIFETIME, SERVER, TEXT, AgentTestCase
from txcoap import errors
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.interfaces import IAgent
from txcoap.options import Options
from txcoap.parameters import Parameters
from txcoap.protocol import CoAPProtocol
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, RST, encode
from txcoap.server import Site
from txcoap.uri import URI


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

    def test_notAgain(self) -> None:
        """What was refused is not asked again (RFC 7252 5.9.2), nor what may be asked later (RFC 8516 4)."""
        for code in (Code.BAD_OPTION, Code.FORBIDDEN, Code.TOO_MANY_REQUESTS, Code.SERVICE_UNAVAILABLE):
            waiting = self.agent.post(TEXT, b"x")
            self.reply(code, b"", Options(maxAge=1))
            self.reactor.advance(30)
            self.assertEqual(self.peer.take(), [])
            self.assertEqual(self.successResultOf(waiting).code, code)

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

    def test_deliverBody(self) -> None:
        """What reads the bodies of C{twisted.web}'s responses reads these."""
        for payload in (b"body", b""):
            waiting = self.agent.get(TEXT)
            self.reply(payload=payload)
            response = self.successResultOf(waiting)
            self.assertEqual(response.length, len(payload))
            self.assertEqual(self.successResultOf(readBody(response)), payload)

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
            ({"payload": None}, b"", None),
            ({"payload": None, "headers": None, "json": {}}, b"{}", 50),
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
        """C{params} are added to the query, encoded as nothing but themselves; they may be text."""
        for params in ({"a": 1, "b": "x&y=z"}, [("a", 1), ("b", "x&y=z")], ["a=1", ("b", "x&y=z")]):
            waiting = self.agent.get(TEXT + "?first", params=params)
            self.assertEqual(self.reply().options.uriQuery, ("first", "a=1", "b=x&y=z"))
            self.successResultOf(waiting)

    def test_wrongKind(self) -> None:
        """Arguments and parameters that are none are refused at once, and the text says what they are."""
        params: Any
        for params in (5, [5], [("a",)]):
            failure = self.failureResultOf(self.agent.get(TEXT, params=params), TypeError)
            self.assertIn("a query is text, a mapping of names to values, or a sequence", str(failure.value))
            self.assertIn(repr(params), str(failure.value))
        mapping: Any = {"a": 1}
        for how, hint in (
            ({"payload": mapping}, "json= sends it as JSON"),
            ({"options": mapping}, "Options("),
        ):
            text = str(self.failureResultOf(self.agent.put(TEXT, **how), TypeError).value)
            self.assertIn(hint, text)
        given: Any = 5
        waiting = self.agent.get(TEXT, parameters=given)
        text = str(self.failureResultOf(waiting, TypeError).value)
        self.assertEqual(text, "give parameters as Parameters(ACK_TIMEOUT=3) and the like; got 5")
        for make in (Agent, partial(CoAPProtocol, None), lambda _, **how: Site(Resource(), **how)):
            self.assertRaisesRegex(TypeError, "give parameters as", make, self.reactor, parameters=given)

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


class PayloadTests(AgentTestCase):
    """Payloads of requests and of responses."""

    def test_fetch(self) -> None:
        """A FETCH says what its body is (RFC 8132 2.3.1), unless someone else made it."""
        ask = partial(self.agent.request, Code.FETCH, TEXT)
        rows: list[tuple[Any, dict[str, Any], int | None]] = [
            (b"x", {}, 42),
            (b"", {}, 42),
            ("x", {}, 0),
            (b"", {"json": [1]}, 50),
            (b"x", {"contentFormat": 60}, 60),
            (b"x", {"options": Options(contentFormat=60)}, 60),
            (b"x", {"relaying": True}, None),
        ]
        for payload, how, expected in rows:
            waiting = ask(payload, **how)
            self.assertEqual(self.peer.takeOne().options.contentFormat, expected)
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
        waiting = self.agent.post(TEXT, b"x")
        self.assertIsNone(self.peer.takeOne().options.contentFormat)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)

    def test_ignored(self) -> None:
        """Where the code is not defined to have one, it is ignored (RFC 7252 5.5)."""
        waiting = self.agent.get(TEXT, etag=(b"v1",))
        self.reply(Code.VALID, b"what for?", Options(etag=b"v1"))
        response = self.successResultOf(waiting)
        self.assertEqual((response.code, response.payload, response.etag), (Code.VALID, b"", b"v1"))


class MistakeTests(AgentTestCase):
    """What cannot be asked fails the Deferred; nothing is sent, no socket opened."""

    def test_bodies(self) -> None:
        """A method that is not defined to have a body has none (RFC 7252 5.5)."""
        for method in (Code.GET, "delete"):
            for body in (b"x", "x", FileBodyProducer(BytesIO(b"x"))):
                error = self.assertRefused(self.agent.request(method, TEXT, body), ValueError)
                self.assertIn("has no body", str(error))

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
        self.assertRefused(self.agent.put(TEXT, b"x", json=1), TypeError)
        self.assertRefused(self.agent.put(TEXT, "x", json=1), TypeError)
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

    def test_uri(self) -> None:
        """A URI is text: C{bytes}, as C{twisted.web} has them, are refused with a word on that."""
        uri: Any = TEXT.encode()
        for ask in (self.agent.get, self.agent.observe, self.agent.ping, self.agent.discover):
            self.assertRefused(ask(uri), TypeError)

    def test_observe(self) -> None:
        """Only GET and FETCH can observe (RFC 7641 2, RFC 8132 2.4)."""
        self.assertRefused(self.agent.observe(TEXT, method="PUT"), ValueError)


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
        """In a CON it is rejected with a Reset, in a NON in silence; either way the request fails."""
        bad = Options().adding((9999, b""))
        for type, said in ((CON, [RST]), (NON, [])):
            waiting = self.agent.get(TEXT, token=b"t")
            self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
            self.peer.send(type, Code.CONTENT, None, b"t", bad)
            self.assertEqual([each.type for each in self.peer.take()], said)
            self.assertFails(waiting, errors.MalformedResponse)

    def test_garbled(self) -> None:
        """A response that is no message beyond its token: there is no use in waiting (RFC 7252 5.7.1)."""
        waiting = self.agent.get(TEXT, token=b"t")
        messageID = self.peer.takeOne().messageID
        self.peer.sendBytes(encode(ACK, Code.CONTENT, messageID, b"t") + b"\xff")
        error = self.assertFails(waiting, errors.MalformedResponse)
        self.assertIn("payload marker without a payload", str(error))

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

    def test_resolvingGroup(self) -> None:
        """While the name of a group is looked up: it is over, and nothing is sent."""
        self.reactor.nameResolver.isSlow = True
        gathering = self.agent.multicast("coap://many.example/")
        gathered = gathering.all()
        gathering.stop()
        self.assertEqual(self.successResultOf(gathered), [])
        self.reactor.nameResolver.answer()
        self.assertEqual((self.wire.sent, self.ours()), ([], []))

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
