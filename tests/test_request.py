"""
Tests for L{txcoap.request}: what a resource learns of a request, and the short ways to the right answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.wire import CLIENT, SERVER, ServerTestCase
from txcoap.addresses import addressOf, describeAddress
from txcoap.codes import Code
from txcoap.errors import InvalidURI, MalformedOption
from txcoap.interfaces import IResource
from txcoap.message import Response
from txcoap.options import NO_OPTIONS, Options
from txcoap.request import NOT_DONE_YET, Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import CON, NON, Datagram


class Doing(Resource):
    """Answers every method by a function of the request."""

    isLeaf = True
    heedsConditions = True

    def __init__(self, do: Callable[[Request], Any]) -> None:
        for code in Code:
            if code.isRequest:
                setattr(self, f"render_{code.phrase}", do)


class Careless(Resource):
    """Does what it is asked to PUT, whatever the conditions."""

    isLeaf = True

    def __init__(self, do: Callable[[Request], Any]) -> None:
        self.render_PUT = do


class RequestTestCase(ServerTestCase):
    """A server whose only resource does what a test says."""

    def doing(self, do: Callable[[Request], Any], *how: Any, **options: Any) -> Datagram:
        """The answer to a request that a function handles."""
        if SERVER in self.wire.sockets:
            self.wire.sockets[SERVER].stopListening()
        self.serve(Doing(do))
        return self.answerTo(*how, **options)

    def told(self, question: Callable[[Request], Any], *how: Any, **options: Any) -> Any:
        """What a question to the request gives."""
        answers: list[Any] = []
        self.doing(lambda request: answers.append(question(request)), *how, **options)
        (answer,) = answers
        return answer


class BodyTests(RequestTestCase):
    """L{Request.text} and L{Request.json}."""

    def test_text(self) -> None:
        """A body that is not UTF-8 is the client's fault: 4.00, and nothing is logged."""
        self.assertEqual(self.doing(Request.text, Code.POST, payload=b"\xc3\xa9").payload, b"\xc3\xa9")
        answer = self.doing(Request.text, Code.POST, payload=b"\xff")
        self.assertEqual((answer.code, answer.payload), (Code.BAD_REQUEST, b"the body is not UTF-8"))

    def test_json(self) -> None:
        """Likewise one that is no JSON, or nested without end; a resource may catch it as C{ValueError}."""
        read: list[Any] = []
        self.doing(lambda request: read.append(request.json()), Code.POST, payload=b'{"a": 1}')
        self.assertEqual(read, [{"a": 1}])
        for payload in (b"{", b"\xff", b"", b"[" * 1000):
            answer = self.doing(lambda request: str(request.json()), Code.POST, payload=payload)
            self.assertEqual((answer.code, answer.payload), (Code.BAD_REQUEST, b"the body is not JSON"))

        def catch(request: Request) -> str:
            try:
                return str(request.json())
            except ValueError:
                return "none"

        self.assertEqual(self.doing(catch, Code.POST, payload=b"{").payload, b"none")


class QuestionTests(RequestTestCase):
    """What a request tells."""

    def test_method(self) -> None:
        """C{code} is the method as a Code, C{method} its name."""
        for code in Code:
            if code.isRequest:
                told = self.told(lambda request: (request.code, request.method), code)
                self.assertEqual(told, (code, code.phrase))

    def test_path(self) -> None:
        """C{path}, C{query} and C{uri} are text, decoded; C{prepath} and C{postpath} its segments."""
        request = self.told(lambda request: request, Code.GET, "a b/grün", uriQuery=("x=1", "y"))
        self.assertEqual(request.path, "/a b/grün")
        self.assertEqual(request.query, ("x=1", "y"))
        self.assertEqual(request.uri, "/a b/grün?x=1&y")
        self.assertEqual((request.prepath, request.postpath), ([], ["a b", "grün"]))
        self.assertEqual(self.told(lambda request: request.uri), "/")

    def test_args(self) -> None:
        """C{args} are the query's by name, as in C{twisted.web}, each a list."""
        told = self.told(lambda request: request.args, uriQuery=("a=1", "b", "a=2=3", "c=", "=d"))
        self.assertEqual(told, {"a": ["1", "2=3"], "b": [""], "c": [""], "": ["d"]})

    def test_reference(self) -> None:
        """C{reference} is path and query percent-encoded (RFC 3986): ASCII, whatever came."""
        rows: list[tuple[list[tuple[int, bytes]], str]] = [
            ([], "/"),
            ([(11, "grün".encode()), (11, b"a/b")], "/gr%C3%BCn/a%2Fb"),
            ([(11, b""), (11, b"")], "//"),
            ([(15, b"a=1&b"), (15, b'\xff\n"')], "/?a=1%26b&%FF%0A%22"),
        ]
        for pairs, expected in rows:
            requests: list[Request] = []
            self.doing(requests.append)
            self.peer.send(CON, Code.GET, options=Options.fromPairs(pairs))
            self.peer.take()
            if requests[1:]:
                self.assertEqual(requests[1].reference, expected)
                self.assertIn(f"GET {expected} from 192.0.2.9:40000", repr(requests[1]))
            else:
                self.fail(f"{pairs} was not served")

    def test_body(self) -> None:
        """The body is C{payload}, a file C{content}, and C{text()} or C{json()} of it."""
        request = self.told(lambda request: request, Code.PUT, "", b'{"a": 1}', contentFormat=50)
        self.assertEqual(request.payload, b'{"a": 1}')
        self.assertEqual(request.content.read(), b'{"a": 1}')
        self.assertEqual(request.text(), '{"a": 1}')
        self.assertEqual(request.json(), {"a": 1})
        self.assertEqual(request.contentFormat, 50)

    def test_options(self) -> None:
        """All options are there; C{accept} is a shorter way to one."""
        request = self.told(lambda request: request, accept=50, uriHost="h", etag=(b"e",))
        self.assertEqual(request.options, Options(accept=50, uriHost="h", etag=(b"e",)))
        self.assertEqual(request.accept, 50)
        self.assertIsNone(self.told(lambda request: request.accept))

    def test_message(self) -> None:
        """What a handler may want of the message: whether it was confirmable, its ID and token."""
        for type in (CON, NON):
            request = self.told(lambda request: request, type=type, token=b"t")
            sent = self.wire.between(CLIENT, SERVER)[-1]
            self.assertEqual((request.isConfirmable, request.token), (type == CON, b"t"))
            self.assertEqual(request.messageID, sent.messageID)

    def test_addresses(self) -> None:
        """Who asks, and where we listen."""
        request = self.told(lambda request: request)
        self.assertEqual(request.peer, CLIENT)
        self.assertEqual(request.getClientAddress(), IPv4Address("UDP", *CLIENT))
        self.assertEqual(request.getHost(), IPv4Address("UDP", *SERVER))

    def test_clientURI(self) -> None:
        """Where to ask who asks: by address and port, link-local ones with their zone; sockets by path."""
        request = self.told(lambda request: request)
        uris = {
            CLIENT: "coap://{}:{}/a/b?x=1".format(*CLIENT),
            ("::ffff:192.0.2.9", 5683, 0, 0): "coap://192.0.2.9/a/b?x=1",
            ("2001:db8::1", 61616, 0, 0): "coap://[2001:db8::1]:61616/a/b?x=1",
            ("fe80::1", 5683, 0, 3): "coap://[fe80::1%253]/a/b?x=1",
            b"/run/x.sock": "coap://%2Frun%2Fx.sock/a/b?x=1",
        }
        for peer, uri in uris.items():
            request.exchange.peer = peer
            self.assertEqual(str(request.getClientURI("/a/b", {"x": 1})), uri)
        request.exchange.peer = None
        self.assertRaises(InvalidURI, request.getClientURI)

    def test_writtenAndReturned(self) -> None:
        """What is returned after something was written goes on with it, as in C{twisted.web}."""
        rows: list[tuple[Any, bytes, int | None]] = [
            (None, b"ab", None),
            (b"c", b"abc", None),
            ("c", b"abc", 0),
            (succeed("c"), b"abc", 0),
            (Response(Code.CONTENT, b"else"), b"else", None),
        ]
        for result, payload, form in rows:

            def render(request: Request, result: Any = result) -> Any:
                request.write(b"a")
                request.write(b"b")
                return result

            answer = self.doing(render)
            self.assertEqual((answer.code, answer.payload), (Code.CONTENT, payload))
            self.assertEqual(answer.options.contentFormat, form)

    def test_site(self) -> None:
        """The site that serves it, and the resource that was found."""
        request = self.told(lambda request: request)
        self.assertIs(request.site, self.site)
        self.assertIs(request.resource, self.site.resource)

    def test_finished(self) -> None:
        """C{finished} tells whether it is answered."""
        request = self.told(lambda request: (request, request.finished))
        self.assertEqual((request[1], request[0].finished), (False, True))

    def test_undecodable(self) -> None:
        """Reading text that is no UTF-8 is a MalformedOption, a 4.00 if nobody minds (RFC 7252 3.2)."""

        def do(request: Request) -> str:
            self.assertRaises(MalformedOption, lambda: request.query)
            self.assertRaises(MalformedOption, lambda: request.uri)
            return request.args[""][0]

        self.serve(Doing(do))
        self.peer.send(CON, Code.GET, options=Options().adding((15, b"\xff")))
        self.assertEqual(self.peer.takeOne().code, Code.BAD_REQUEST)


class AnswerTests(RequestTestCase):
    """Code and options of the answer, where the method returns no Response."""

    def test_setResponseCode(self) -> None:
        """Whatever makes a Code will do."""
        for code in (Code.CREATED, "2.01", 201, "Created"):
            answer = self.doing(lambda request, code=code: request.setResponseCode(code), Code.PUT)  # type: ignore[misc]
            self.assertEqual(answer.code, Code.CREATED)

    def test_setOption(self) -> None:
        """Options are set by their names, several at once or one after the other; None removes one."""

        def do(request: Request) -> bytes:
            request.setOption(maxAge=3, locationPath=("a",))
            request.setOption(contentFormat="application/json", maxAge=None)
            return b"{}"

        answer = self.doing(do, Code.POST)
        self.assertEqual(answer.options, Options(contentFormat=50, locationPath=("a",)))

    def test_formatOfText(self) -> None:
        """Text is C{text/plain} unless the handler has set another format."""

        def do(request: Request) -> str:
            if request.query:
                request.setOption(contentFormat=41)
            request.setOption(maxAge=1)
            return "<a/>"

        self.assertEqual(self.doing(do).options, Options(contentFormat=0, maxAge=1))
        self.assertEqual(self.doing(do, uriQuery=("x",)).options, Options(contentFormat=41, maxAge=1))

    def test_formatOfTheResource(self) -> None:
        """With other options set, bytes carry the resource's content format all the same."""

        def do(request: Request) -> bytes:
            request.resource.contentFormat = 60
            request.setOption(maxAge=1)
            return b"\xa0"

        self.assertEqual(self.doing(do).options, Options(contentFormat=60, maxAge=1))

    def test_unknownFormat(self) -> None:
        """A content format that does not exist is the resource's bug: 5.00, logged."""

        def do(request: Request) -> bytes:
            request.resource.contentFormat = "text/nonsense"
            return b"x"

        self.assertEqual(self.doing(do).code, Code.INTERNAL_SERVER_ERROR)
        self.assertIn("nonsense", str(self.flushLoggedErrors(ValueError)[0].value))

    def test_unknownOption(self) -> None:
        """A name that no option has is the handler's bug: 5.00, logged."""
        answer = self.doing(lambda request: request.setOption(colour="red"))
        self.assertEqual(answer.code, Code.INTERNAL_SERVER_ERROR)
        self.assertIn("colour", str(self.flushLoggedErrors(ValueError)[0].value))


class NegotiationTests(RequestTestCase):
    """Accept (RFC 7252 5.10.4), and the format of bodies."""

    def negotiated(self, **options: Any) -> tuple[Code, int | None, bytes]:
        """What a resource that has text and JSON answers."""

        def do(request: Request) -> bytes:
            return b"%d" % request.negotiate("text/plain", 50)

        answer = self.doing(do, **options)
        return answer.code, answer.options.contentFormat, answer.payload

    def test_negotiate(self) -> None:
        """Without Accept the first format is chosen; with it, the one it asks for."""
        self.assertEqual(self.negotiated(), (Code.CONTENT, 0, b"0"))
        self.assertEqual(self.negotiated(accept=0), (Code.CONTENT, 0, b"0"))
        self.assertEqual(self.negotiated(accept=50), (Code.CONTENT, 50, b"50"))

    def test_notAcceptable(self) -> None:
        """Where there is no such representation: 4.06, and the diagnostic names those there are."""
        code, form, text = self.negotiated(accept=60)
        self.assertEqual((code, form), (Code.NOT_ACCEPTABLE, None))
        self.assertIn(b"text/plain", text)
        self.assertIn(b"application/json", text)

    def test_otherFormatThanAccepted(self) -> None:
        """
        What a method gives in another format than the client accepts is 4.06, though the method did not look
        (RFC 7252 5.10.4); so is what comes later.
        """

        def write(request: Request) -> object:
            request.setOption(contentFormat=0)
            request.write(b"x")
            request.finish()
            return NOT_DONE_YET

        results: list[Callable[[Request], Any]] = [
            lambda request: "x",
            lambda request: Response(Code.CONTENT, b"x", contentFormat=0),
            lambda request: succeed("x"),
            lambda request: request.respond(Response(Code.CONTENT, b"x", contentFormat=0)),
            write,
        ]
        for result in results:
            answer = self.doing(result, accept=50)
            self.assertEqual((answer.code, answer.options), (Code.NOT_ACCEPTABLE, NO_OPTIONS))
            self.assertIn(b"text/plain", answer.payload)
            self.assertEqual(self.doing(result, accept=0).payload, b"x")

    def test_formatUnknown(self) -> None:
        """Where no format is said, or it is no representation, there is nothing to compare."""
        self.assertEqual(self.doing(lambda request: b"x", accept=50).payload, b"x")
        answer = self.doing(lambda request: "x", Code.POST, accept=50)
        self.assertEqual((answer.code, answer.payload), (Code.CHANGED, b"x"))

    def test_requireFormat(self) -> None:
        """A body in a format that the resource does not take, or in none: 4.15 (RFC 7252 5.9.2.11)."""

        def do(request: Request) -> bytes:
            return b"%d" % request.requireFormat("application/json", 60)

        for taken in (50, 60):
            answer = self.doing(do, Code.PUT, "", b"x", contentFormat=taken)
            self.assertEqual((answer.code, answer.payload), (Code.CHANGED, b"%d" % taken))
        for refused in (0, None):
            answer = self.doing(do, Code.PUT, "", b"x", contentFormat=refused)
            self.assertEqual(answer.code, Code.UNSUPPORTED_CONTENT_FORMAT)
            self.assertIn(b"application/json", answer.payload)


class ConditionTests(RequestTestCase):
    """ETag, If-Match and If-None-Match (RFC 7252 5.10.6, 5.10.8)."""

    def test_setETag(self) -> None:
        """The answer carries the tag; a client that has it gets 2.03 without a body."""
        known: list[bool] = []

        def do(request: Request) -> str:
            known.append(request.setETag(b"v1"))
            return "body"

        answer = self.doing(do)
        self.assertEqual(
            (answer.code, answer.options.etag, answer.payload), (Code.CONTENT, (b"v1",), b"body")
        )
        answer = self.doing(do, etag=(b"v0", b"v1"))
        self.assertEqual(
            (answer.code, answer.options, answer.payload), (Code.VALID, Options(etag=b"v1"), b"")
        )
        answer = self.doing(do, etag=(b"v0",))
        self.assertEqual(answer.code, Code.CONTENT)
        self.assertEqual(known, [False, True, False])

    def test_fetch(self) -> None:
        """A FETCH is validated and conditional as a GET is (RFC 8132 2, 2.3.2)."""

        def do(request: Request) -> str:
            request.checkPreconditions(b"v1")
            request.setETag(b"v1")
            return "body"

        for options, code in (
            ({}, Code.CONTENT),
            ({"etag": (b"v1",)}, Code.VALID),
            ({"ifMatch": (b"v1",)}, Code.CONTENT),
            ({"ifMatch": (b"v0",)}, Code.PRECONDITION_FAILED),
        ):
            self.assertEqual(self.doing(do, Code.FETCH, "x", b"which", **options).code, code, options)

    def test_etagsLength(self) -> None:
        """A tag has 1 to 8 bytes; another is the handler's bug."""
        for tag in (b"", b"123456789"):
            answer = self.doing(lambda request, tag=tag: request.setETag(tag))  # type: ignore[misc]
            self.assertEqual(answer.code, Code.INTERNAL_SERVER_ERROR)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def judged(self, etag: bytes | None, pairs: list[tuple[int, bytes]]) -> Code:
        """How preconditions are judged for a resource of that tag."""
        if SERVER in self.wire.sockets:
            self.wire.sockets[SERVER].stopListening()
        self.serve(Doing(lambda request: request.checkPreconditions(etag)))
        self.peer.send(CON, Code.PUT, options=Options.fromPairs(pairs))
        return self.peer.takeOne().code

    def test_preconditions(self) -> None:
        """The conditions hold, or the answer is 4.12."""
        match, star, none = (1, b"v1"), (1, b""), (5, b"")
        rows: list[tuple[bytes | None, list[tuple[int, bytes]], bool]] = [
            (b"v1", [], True),
            (None, [], True),
            (b"v1", [match], True),
            (b"v2", [match], False),
            (b"v2", [match, (1, b"v2")], True),
            (None, [match], False),
            (b"", [match], False),
            (b"v1", [star], True),
            (b"", [star], True),
            (None, [star], False),
            (None, [none], True),
            (b"v1", [none], False),
            (b"", [none], False),
            (b"v1", [match, none], False),
        ]
        for etag, pairs, holds in rows:
            expected = Code.CHANGED if holds else Code.PRECONDITION_FAILED
            self.assertEqual(self.judged(etag, pairs), expected, (etag, pairs))

    def test_unheeded(self) -> None:
        """A resource that heeds no conditions is not asked to do on one what it would do without (5.4.1)."""
        done: list[Request] = []
        careless = Careless(done.append)
        self.serve(careless)
        for options in ({"ifMatch": (b"v1",)}, {"ifNoneMatch": True}):
            for more in ({}, {"block1": (0, True, 0)}):
                answer = self.answerTo(Code.PUT, "x", bytes(16), **options, **more)
                self.assertEqual(answer.code, Code.BAD_OPTION)
                self.assertIn(b"If-Match", answer.payload)
            # What it would not do in any case is told first.
            self.assertEqual(self.answerTo(Code.POST, "x", **options).code, Code.METHOD_NOT_ALLOWED)
        self.assertEqual((done, self.protocol.sizes()["uploads"]), ([], 0))
        self.assertEqual(self.answerTo(Code.PUT, "x").code, Code.CHANGED)

    def test_unheededElsewhere(self) -> None:
        """Nor is a resource that is no L{Resource}; where there is none that is told."""

        @implementer(IResource)
        class Bare:
            isLeaf = True

            def getChildWithDefault(self, segment: str, request: Any) -> Any:
                return self

            def getLinks(self, path: str) -> Any:
                return ()

            def render(self, request: Any) -> bytes:
                return b"done"

        root = Resource()
        root.putChild("bare", Bare())
        self.serve(root)
        for path, code in (("bare", Code.BAD_OPTION), ("none", Code.NOT_FOUND)):
            self.assertEqual(self.answerTo(Code.PUT, path, ifNoneMatch=True).code, code)


class PayloadTests(RequestTestCase):
    """Payloads where the method is not defined to have one (RFC 7252 5.5)."""

    def test_ignored(self) -> None:
        """One is ignored, whatever its length."""
        for code in (Code.GET, Code.DELETE):
            for payload, options in ((b"x", {}), (bytes(1200), {}), (b"x", {"uriHost": "h"})):
                seen = self.told(lambda request: request.payload, code, "x", payload, **options)
                self.assertEqual(seen, b"")
        self.assertEqual(self.told(lambda request: request.payload, Code.FETCH, "x", b"x"), b"x")

    def test_noLimit(self) -> None:
        """No limit is exceeded by it."""
        resource = Doing(lambda request: "fine")
        resource.maximumBody = 0
        self.serve(resource)
        self.assertEqual(self.answerTo(Code.GET, "x", b"x").payload, b"fine")
        self.assertEqual(self.answerTo(Code.PUT, "x", b"x").code, Code.REQUEST_ENTITY_TOO_LARGE)

    def test_block1(self) -> None:
        """Nor does it come in blocks: Block1 is an option of other methods (5.4)."""
        self.serve(Doing(lambda request: "fine"))
        for code in (Code.GET, Code.DELETE):
            self.assertEqual(self.answerTo(code, "x", bytes(16), block1=(0, True, 0)).code, Code.BAD_OPTION)
        self.assertEqual(self.protocol.sizes()["uploads"], 0)


class AddressTests(SynchronousTestCase):
    """Peers' addresses, for Twisted and for people."""

    def test_forms(self) -> None:
        """Each form that a socket gives, as an address and as text."""
        rows: list[tuple[Any, Any, str]] = [
            (("192.0.2.1", 5683), IPv4Address("UDP", "192.0.2.1", 5683), "192.0.2.1:5683"),
            (
                ("2001:db8::1", 5683, 0, 0),
                IPv6Address("UDP", "2001:db8::1", 5683),
                "[2001:db8::1]:5683",
            ),
            (("fe80::1%eth0", 1, 0, 2), IPv6Address("UDP", "fe80::1%eth0", 1, 0, 2), "[fe80::1%eth0]:1"),
            (("::ffff:192.0.2.1", 1, 0, 0), IPv4Address("UDP", "192.0.2.1", 1), "192.0.2.1:1"),
            ("/run/x.sock", UNIXAddress("/run/x.sock"), "/run/x.sock"),
            (b"/run/x.sock", UNIXAddress("/run/x.sock"), "/run/x.sock"),
        ]
        # Of a transport of somebody else's.
        self.assertEqual(describeAddress("radio 7"), "radio 7")
        for peer, address, text in rows:
            self.assertEqual(addressOf(peer), address)
            self.assertEqual(describeAddress(address), text)
