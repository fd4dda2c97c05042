"""
Tests for L{txcoap.server}: what comes back for what a peer asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import formatEvent
from zope.interface.verify import verifyObject

from tests.recorders import logged
from tests.wire import CLIENT, METHODS, SERVER, Answering, ServerTestCase, giving, trusted
from txcoap import errors
from txcoap.codes import Code
from txcoap.errors import ResponseError
from txcoap.interfaces import ISite
from txcoap.limits import Limits
from txcoap.message import Response
from txcoap.options import Options
from txcoap.parameters import Parameters
from txcoap.request import Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import CON, NON, RST
from txcoap.server import Site


class Readable(Resource):
    """Has GET alone."""

    def render_GET(self, request: Request) -> bytes:
        return b"read"


class ReturnTests(ServerTestCase):
    """What a render method may return."""

    def answered(self, answer: Callable[[Request], Any], code: int = Code.GET) -> tuple[Any, ...]:
        """Code, Content-Format and payload for what a method returns."""
        self.serve(Answering(answer))
        datagram = self.answerTo(code)
        self.socket.stopListening()
        return datagram.code, datagram.options.contentFormat, datagram.payload

    def test_interface(self) -> None:
        """L{Site} provides C{ISite}."""
        verifyObject(ISite, Site(Resource()))

    def test_kinds(self) -> None:
        """Bytes are the body; text is UTF-8 and C{text/plain}; None is no body; a Response is itself."""

        class Bytes(bytes):
            pass

        class Text(str):
            __slots__ = ()

        rows: list[tuple[Any, tuple[Any, ...]]] = [
            (b"\x00\xff", (Code.CONTENT, None, b"\x00\xff")),
            (Bytes(b"b"), (Code.CONTENT, None, b"b")),
            ("grün", (Code.CONTENT, 0, "grün".encode())),
            (Text("t"), (Code.CONTENT, 0, b"t")),
            (None, (Code.CONTENT, None, b"")),
            (Response(Code.CREATED, b"x", contentFormat=50), (Code.CREATED, 50, b"x")),
        ]
        for returned, expected in rows:
            self.assertEqual(self.answered(giving(returned)), expected)
            self.assertEqual(
                self.answered(giving(succeed(returned))),
                expected,
            )

    def test_coroutine(self) -> None:
        """A render method may be a coroutine."""

        async def render(request: Request) -> str:
            return await succeed("later")

        self.assertEqual(self.answered(render), (Code.CONTENT, 0, b"later"))

    def test_deferredCoroutine(self) -> None:
        """A Deferred may give a coroutine, and a coroutine return a Deferred."""

        async def inner() -> bytes:
            return b"deep"

        async def outer(request: Request) -> Any:
            return succeed(b"deep")

        self.assertEqual(self.answered(lambda request: succeed(inner()))[2], b"deep")
        self.assertEqual(self.answered(outer)[2], b"deep")

    def test_defaultCodes(self) -> None:
        """Success is 2.05 to GET and FETCH, 2.02 to DELETE, else 2.04 (RFC 7252 5.8, RFC 8132)."""
        expected = {Code.GET: Code.CONTENT, Code.FETCH: Code.CONTENT, Code.DELETE: Code.DELETED}
        for method in METHODS:
            for returned in (b"x", "x", None):
                code = self.answered(giving(returned), method)[0]
                self.assertEqual(code, expected.get(method, Code.CHANGED))

    def test_contentFormat(self) -> None:
        """Bytes carry the resource's content format; text has its own; no body has none."""
        for returned, expected in ((b"{}", 50), ("text", 0), (None, None), (b"", None)):
            resource = Answering(giving(returned))
            resource.contentFormat = "application/json"
            self.serve(resource)
            self.assertEqual(self.answerTo().options.contentFormat, expected)
            self.socket.stopListening()

    def test_rubbish(self) -> None:
        """Anything else is a bare 5.00, and an error in the log that names the resource."""
        events = logged(self)
        for rubbish in ([], 0, 2, True, {"a": 1}, object(), bytearray(b"x"), 1.5):
            events.clear()
            self.assertEqual(
                self.answered(giving(rubbish)),
                (Code.INTERNAL_SERVER_ERROR, None, b""),
            )
            texts = [event["log_format"] for event in events if event["log_level"].name == "error"]
            self.assertEqual(len(texts), 1)
            self.assertIn("a render method returns bytes, str", texts[0])

    def test_deferredRubbish(self) -> None:
        """A Deferred of rubbish is a bare 5.00 too."""
        answer = self.answered(lambda request: succeed([]))
        self.assertEqual(answer, (Code.INTERNAL_SERVER_ERROR, None, b""))


class FailureTests(ServerTestCase):
    """What a render method may raise."""

    def ways(self, error: Exception) -> list[Callable[[Request], Any]]:
        """The ways to fail: at once, by a Deferred, in a coroutine."""

        def atOnce(request: Request) -> Any:
            raise error

        async def coroutine(request: Request) -> Any:
            raise error

        return [atOnce, lambda request: fail(error), coroutine]

    def failing(self, error: Exception) -> list[tuple[Code, bytes, Options]]:
        """The answers to a resource that fails in each way."""
        answers = []
        for way in self.ways(error):
            self.serve(Answering(way))
            answer = self.answerTo()
            answers.append((answer.code, answer.payload, answer.options))
            self.socket.stopListening()
        return answers

    def test_responseErrors(self) -> None:
        """Every L{ResponseError} is answered with its code, its text as diagnostic (RFC 7252 5.5.2)."""
        for name in errors.__all__:
            kind = getattr(errors, name)
            if issubclass(kind, ResponseError):
                expected = (kind.code, b"why", Options())
                self.assertEqual(self.failing(kind("why")), [expected] * 3)

    def test_options(self) -> None:
        """A L{ResponseError} may bring options: Max-Age says when to ask again (RFC 7252 5.9.3.4)."""
        expected = (Code.SERVICE_UNAVAILABLE, b"", Options(maxAge=7))
        self.assertEqual(self.failing(errors.ServiceUnavailable(maxAge=7)), [expected] * 3)

    def test_anyCode(self) -> None:
        """L{ResponseError} itself takes a code."""
        answers = self.failing(ResponseError("busy", code="4.29"))
        self.assertEqual([code for code, _, _ in answers], [Code.TOO_MANY_REQUESTS] * 3)

    def test_otherExceptions(self) -> None:
        """For any other exception the peer learns nothing but 5.00; the log has the traceback."""
        answers = self.failing(ZeroDivisionError("a secret"))
        self.assertEqual(answers, [(Code.INTERNAL_SERVER_ERROR, b"", Options())] * 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_nothingLeaks(self) -> None:
        """No byte of an exception's text is sent."""
        self.failing(KeyError("a secret"))
        self.flushLoggedErrors(KeyError)
        self.assertNotIn(b"secret", b"".join(data for _, _, data in self.wire.sent))

    def test_ownRequestFails(self) -> None:
        """A request of the handler's own that fails is its bug, not the peer's: 5.00, logged."""
        answers = self.failing(errors.NoResponse("from behind"))
        self.assertEqual({answer[0] for answer in answers}, {Code.INTERNAL_SERVER_ERROR})
        self.assertEqual(len(self.flushLoggedErrors(errors.NoResponse)), 3)

    def test_cancelledInside(self) -> None:
        """A CancelledError that nobody asked for is an exception like others."""
        answers = self.failing(CancelledError())
        self.assertEqual({answer[0] for answer in answers}, {Code.INTERNAL_SERVER_ERROR})
        self.flushLoggedErrors(CancelledError)

    def test_getChildFails(self) -> None:
        """C{getChild} may raise as render methods may."""

        class Strict(Resource):
            def getChild(self, segment: str, request: Any) -> Any:
                if segment == "bug":
                    raise ZeroDivisionError
                raise errors.Forbidden(segment)

        self.serve(Strict())
        self.assertEqual(self.answerTo(Code.GET, "x").code, Code.FORBIDDEN)
        self.assertEqual(self.answerTo(Code.GET, "bug").code, Code.INTERNAL_SERVER_ERROR)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_tooLarge(self) -> None:
        """An answer whose options fit no datagram is the resource's bug: 5.00, logged."""
        self.serve(Answering(giving(Response(Code.CREATED, locationPath=("x" * 255,) * 300))))
        for type in (CON, NON):
            self.assertEqual(self.answerTo(type=type).code, Code.INTERNAL_SERVER_ERROR)
        self.assertEqual(len(self.flushLoggedErrors(errors.MessageTooLarge)), 2)

    def test_serverLives(self) -> None:
        """After a failure the next request is served."""
        self.serve(Answering(lambda request: 1 // (not request.query) and b"fine"))
        self.assertEqual(self.answerTo(uriQuery=("bug",)).code, Code.INTERNAL_SERVER_ERROR)
        self.assertEqual(self.answerTo().payload, b"fine")
        self.flushLoggedErrors(ZeroDivisionError)


class DispatchTests(ServerTestCase):
    """Which answer a request gets before any resource sees it."""

    def setUp(self) -> None:
        """Serve C{/} and C{/a/b}."""
        super().setUp()
        root, folder = Readable(), Resource()
        root.putChild("a", folder)
        folder.putChild("b", Readable())
        folder.putChild("", Readable())
        self.serve(root)

    def test_root(self) -> None:
        """A class in the place of its instance is refused when the site is made, and so are text and None."""
        for root in (Resource, "root", None):
            self.assertRaisesRegex(TypeError, "an instance; got", Site, root)

    def test_paths(self) -> None:
        """The path leads to the resource (RFC 7252 5.10.1); where there is none, 4.04."""
        found = {"": True, "a": False, "a/b": True, "a/": True, "a/b/c": False, "A/b": False, "x": False}
        for path, isFound in found.items():
            expected = Code.CONTENT if isFound else Code.NOT_FOUND
            self.assertEqual(self.answerTo(Code.GET, path).code, expected, path)

    def test_knownMethod(self) -> None:
        """A method that the resource lacks is 4.05, and the diagnostic names the others."""
        for method in METHODS[1:]:
            answer = self.answerTo(method, "a/b")
            self.assertEqual((answer.code, answer.payload), (Code.METHOD_NOT_ALLOWED, b"allowed: GET"))

    def test_knownMethodUnknownPath(self) -> None:
        """On a path where nothing is, every method that CoAP has is 4.04."""
        for method in METHODS:
            self.assertEqual(self.answerTo(method, "nowhere").code, Code.NOT_FOUND)

    def test_unknownMethod(self) -> None:
        """A method that CoAP does not have is 4.05, on any path (RFC 7252 5.8)."""
        for byte in (8, 31):
            for path in ("", "a/b", "nowhere", ".well-known/core"):
                self.assertEqual(self.answerTo(byte, path).code, Code.METHOD_NOT_ALLOWED)

    def test_unknownCriticalOption(self) -> None:
        """A critical option that is not known is 4.02 to a CON, silence to a NON (RFC 7252 5.4.1)."""
        options = Options().adding((9999, b""))
        self.peer.send(CON, Code.GET, options=options)
        self.assertEqual(self.peer.takeOne().code, Code.BAD_OPTION)
        self.peer.send(NON, Code.GET, options=options)
        self.assertEqual(self.peer.take(), [])

    def test_unknownElectiveOption(self) -> None:
        """An elective option that is not known is ignored (RFC 7252 5.4.1)."""
        self.peer.send(CON, Code.GET, options=Options().adding((9998, b"x")))
        self.assertEqual(self.peer.takeOne().code, Code.CONTENT)

    def test_undecodablePath(self) -> None:
        """A path that is no UTF-8 is 4.00 (RFC 7252 3.2)."""
        for path in (b"\xff", b"\xc3\x28", b"\xed\xa0\x80"):
            self.peer.send(CON, Code.GET, options=Options().adding((11, b"a"), (11, path)))
            answer = self.peer.takeOne()
            self.assertEqual(answer.code, Code.BAD_REQUEST)
            self.assertIn(b"Uri-Path", answer.payload)

    def test_undecodableQuery(self) -> None:
        """A query that is no UTF-8 is 4.00 where a handler reads it, and does no harm elsewhere."""
        self.socket.stopListening()
        root = Readable()
        root.putChild("query", Answering(lambda request: ",".join(request.query)))
        self.serve(root)
        bad = (15, b"\xff")
        self.peer.send(CON, Code.GET, options=Options(uriPath=("query",)).adding(bad))
        answer = self.peer.takeOne()
        self.assertEqual(answer.code, Code.BAD_REQUEST)
        self.assertIn(b"Uri-Query", answer.payload)
        self.peer.send(CON, Code.GET, options=Options().adding(bad))
        self.assertEqual(self.peer.takeOne().code, Code.CONTENT)
        self.peer.send(CON, Code.GET, options=Options(uriPath=(".well-known", "core")).adding(bad))
        self.assertEqual(self.peer.takeOne().code, Code.BAD_REQUEST)

    def test_proxyOptions(self) -> None:
        """Where there is no proxy, Proxy-Uri and Proxy-Scheme are 5.05 (RFC 7252 5.10.2)."""
        for options in (
            Options(proxyUri="coap://example.com/"),
            Options(proxyScheme="http", uriHost="example.com"),
        ):
            for method in (Code.GET, Code.POST):
                self.peer.send(CON, method, options=options)
                self.assertEqual(self.peer.takeOne().code, Code.PROXYING_NOT_SUPPORTED)

    def test_optionsBeyondProxy(self) -> None:
        """Options of higher numbers, such as Size1, ask for no proxy."""
        self.assertEqual(self.answerTo(size1=9, noResponse=0).code, Code.CONTENT)

    def test_uriHost(self) -> None:
        """Uri-Host and Uri-Port name this server, whatever they say (RFC 7252 5.10.1)."""
        self.assertEqual(self.answerTo(uriHost="anything.example", uriPort=1).code, Code.CONTENT)

    def test_noSite(self) -> None:
        """A protocol without a site rejects requests with a Reset (RFC 7252 4.2)."""
        self.protocol.site = None
        messageID = self.ask()
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.messageID), (RST, messageID))
        self.assertForgets()

    def test_buildProtocol(self) -> None:
        """A protocol that a site builds has its parameters and limits."""
        parameters = Parameters(NSTART=3)
        protocol = Site(Resource(), parameters=parameters, limits=Limits(peers=9)).buildProtocol(self.reactor)
        self.assertEqual(protocol.parameters, parameters)
        self.assertIs(protocol.reactor, self.reactor)


class AccessLogTests(ServerTestCase):
    """The access log."""

    def test_called(self) -> None:
        """It is called with each request and its response, errors too, once each."""
        self.serve(Readable())
        for path in ("", "nowhere"):
            self.answerTo(Code.GET, path)
        self.ask(Code.GET, noResponse=2)
        seen = [(request.uri, response.code) for request, response in self.accessed]
        self.assertEqual(seen, [("/", Code.CONTENT), ("/nowhere", Code.NOT_FOUND), ("/", Code.CONTENT)])

    def test_blocks(self) -> None:
        """A body that comes in blocks is one access, and so is one that is fetched in blocks."""
        self.serve(Answering(lambda request: bytes(3000)))
        for number in range(3):
            self.ask(Code.PUT, "up", bytes(16), block1=(number, number < 2, 0))
        for number in range(3):
            self.ask(Code.GET, "down", block2=(number, False, 6))
        self.assertEqual([request.uri for request, _ in self.accessed], ["/up", "/down"])

    def test_later(self) -> None:
        """It is called when the answer is there, not before."""
        answer: Deferred[Any] = Deferred()
        self.serve(Answering(lambda request: answer))
        self.ask()
        self.assertEqual(self.accessed, [])
        answer.callback(b"x")
        self.assertEqual(len(self.accessed), 1)

    def logging(self) -> list[Any]:
        """Serve with C{logAccess}; what is logged from now on."""
        site = self.serve(Readable())
        site.accessLog = site.logAccess
        return logged(self)

    def lines(self, logged: list[Any]) -> list[str]:
        """The lines of the access log."""
        return [formatEvent(event) for event in logged if "client" in event]

    def test_line(self) -> None:
        """C{logAccess} writes who asked what, the code and the size."""
        logged = self.logging()
        self.answerTo(uriQuery=("a=1", "b"))
        self.assertEqual(self.lines(logged), ['192.0.2.9:40000 "GET /?a=1&b" 2.05 4'])

    def test_undecodable(self) -> None:
        """A path that is no UTF-8 is logged as well as can be, and answered all the same."""
        logged = self.logging()
        self.peer.send(CON, Code.GET, options=Options().adding((11, b"\xff")))
        self.assertEqual(self.peer.takeOne().code, Code.BAD_REQUEST)
        (line,) = self.lines(logged)
        self.assertIn('"GET /%FF" 4.00', line)

    def test_forgery(self) -> None:
        """A path cannot forge lines, nor anything else but its own part of one."""
        logged = self.logging()
        self.answerTo(Code.GET, 'x" 2.05 0\n192.0.2.7:1 "GET ')
        (line,) = self.lines(logged)
        self.assertTrue(line.startswith('192.0.2.9:40000 "GET /x%22%202.05%200%0A192'))

    def test_failing(self) -> None:
        """An access log that fails is logged; the peer is answered all the same, and once."""

        def broken(request: Request, response: Response) -> None:
            raise ZeroDivisionError

        self.serve(Readable(), accessLog=broken)
        self.assertEqual(self.answerTo().payload, b"read")
        self.assertEqual(self.answerTo(Code.GET, "x").code, Code.NOT_FOUND)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_none(self) -> None:
        """Without one, nothing is logged."""
        self.serve(Readable(), accessLog=None)
        self.assertEqual(self.answerTo().payload, b"read")


class OverloadTests(ServerTestCase):
    """What a server does when its limits are reached."""

    def test_pendingRequests(self) -> None:
        """Beyond C{pendingRequests} unanswered ones, requests are answered 5.03 with Max-Age."""
        answers: list[Deferred[Any]] = []

        def wait(request: Request) -> Deferred[Any]:
            answers.append(Deferred())
            return answers[-1]

        self.serve(Answering(wait), limits=Limits(pendingRequests=2), hostOf=trusted)
        self.ask(Code.POST)
        self.ask(Code.POST)
        refused = self.answerTo(Code.POST)
        self.assertEqual(refused.code, Code.SERVICE_UNAVAILABLE)
        self.assertIsNotNone(refused.options.maxAge)
        answers[0].callback(b"")
        self.peer.take()
        self.ask(Code.POST)
        self.assertEqual(len(answers), 3)

    def test_addresses(self) -> None:
        """The wire of these tests is as real ones are: the answer comes from where was asked."""
        self.serve(Readable())
        self.answerTo()
        self.assertEqual([each[:2] for each in self.wire.sent], [(CLIENT, SERVER), (SERVER, CLIENT)])
