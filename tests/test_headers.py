"""
Tests for L{txcoap.headers}: options under the names that users of HTTP and node-coap look for.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire import ServerTestCase
from txcoap.codes import Code
from txcoap.definitions import STRING, Single
from txcoap.errors import MalformedOption
from txcoap.headers import Headers, fromHeaders, ignoreHeader, withHeader
from txcoap.message import Response
from txcoap.options import NO_OPTIONS, Options, registerOption
from txcoap.request import NOT_DONE_YET
from txcoap.resource import Resource

# Name, value, and the raw pairs that they stand for.
WRITTEN: list[tuple[str | int, Any, list[tuple[int, bytes]]]] = [
    ("Content-Type", "application/json", [(12, b"\x32")]),
    ("content-type", "application/json; charset=utf-8", [(12, b"\x32")]),
    ("Content-Format", 60, [(12, b"\x3c")]),
    ("CONTENT-FORMAT", "text/plain", [(12, b"")]),
    ("Accept", "application/cbor", [(17, b"\x3c")]),
    ("accept", 432, [(17, b"\x01\xb0")]),
    ("ETag", "abc", [(4, b"abc")]),
    ("Etag", b"\xff\xfe", [(4, b"\xff\xfe")]),
    ("etag", [b"a", "b"], [(4, b"a"), (4, b"b")]),
    ("Max-Age", 60, [(14, b"\x3c")]),
    ("max-age", "60", [(14, b"\x3c")]),
    ("Max-Age", b"\x01", [(14, b"\x01")]),
    ("Size1", "0", [(60, b"")]),
    ("Location-Path", "/hello/w/", [(8, b"hello"), (8, b"w"), (8, b"")]),
    ("Location-Path", ("a/b", "c"), [(8, b"a/b"), (8, b"c")]),
    ("Location-Path", "/", []),
    ("Location-Query", "?x=1&y", [(20, b"x=1"), (20, b"y")]),
    ("Uri-Query", "x=1", [(15, b"x=1")]),
    ("Location", "/a%20b/c?x=1", [(8, b"a b"), (8, b"c"), (20, b"x=1")]),
    ("Location", "", []),
    ("Observe", True, [(6, b"")]),
    ("Observe", "0", [(6, b"")]),
    ("Observe", 1, [(6, b"\x01")]),
    ("Observe", False, []),
    ("If-None-Match", "*", [(5, b"")]),
    ("If-None-Match", True, [(5, b"")]),
    ("If-None-Match", False, []),
    ("If-Match", "", [(1, b"")]),
    ("OSCORE", b"\x01", [(9, b"\x01")]),
    ("OCF-Content-Format-Version", 1, [(2053, b"\x01")]),
    ("Block2", b"\x02", [(23, b"\x02")]),
    ("Block2", (0, False, 2), [(23, b"\x02")]),
    ("65000", b"x", [(65000, b"x")]),
    (65000, [b"x", b"y"], [(65000, b"x"), (65000, b"y")]),
    ("14", 1, [(14, b"\x01")]),
    ("contentFormat", 0, [(12, b"")]),
    ("Max-Age", None, []),
    ("Content-Length", 5, []),
    ("Cache-Control", "no-cache", []),
    ("accept-ranges", "bytes", []),
]

WRONG: list[tuple[str | int, Any, str]] = [
    ("Max-Aeg", 1, "no option is called 'Max-Aeg'; near are Max-Age"),
    ("X-Powered-By", "x", "no option is called 'X-Powered-By'"),
    ("", "x", "no option is called ''"),
    ("65536", b"", "from 1 to 65535, not 65536"),
    ("0", b"", "from 1 to 65535, not 0"),
    (65000, "x", "option 65000 is not known: give bytes, not 'x'"),
    (65000, 1, "option 65000 is not known"),
    (b"Max-Age", 1, "named by text"),  # type: ignore[list-item]
    ("Max-Age", "soon", "Max-Age: expected a whole number"),
    ("Max-Age", -1, "Max-Age: expected a whole number"),
    ("Max-Age", True, "Max-Age: expected a whole number"),
    ("Max-Age", b"12345", "Max-Age takes 0 to 4 bytes"),
    ("Max-Age", (1, 2), "Max-Age: expected a whole number"),
    ("ETag", "123456789", "ETag takes 1 to 8 bytes"),
    ("Content-Type", "application/none", "no content format is called"),
    ("If-None-Match", "etag", "If-None-Match: expected True"),
    ("Location", "coap://host/a", "a Location of CoAP is a path"),
    ("Location", 5, "a Location of CoAP is a path"),
    ("Location", "/%ff", "invalid start byte"),
]


class WriteTests(SynchronousTestCase):
    """Names and values become options."""

    def test_values(self) -> None:
        """Each name and value stands for these options."""
        for name, value, pairs in WRITTEN:
            self.assertEqual(list(withHeader(NO_OPTIONS, name, value)), pairs, (name, value))

    def test_wrong(self) -> None:
        """What is no name, or no value of its option, is a C{ValueError} that says so."""
        for name, value, complaint in WRONG:
            with self.assertRaisesRegex(ValueError, complaint):
                withHeader(NO_OPTIONS, name, value)

    def test_replaces(self) -> None:
        """The last one counts; None takes an option away; others stay."""
        options = Options(maxAge=5, etag=(b"a", b"b"), uriPath=("x",))
        options = fromHeaders({"Max-Age": 6, "ETag": b"c", "etag": "d"}, options)
        self.assertEqual(options, Options(maxAge=6, etag=b"d", uriPath=("x",)))
        self.assertEqual(withHeader(options, "Max-Age", None), Options(etag=b"d", uriPath=("x",)))
        self.assertEqual(withHeader(Options(locationPath=("a",)), "Location", None), NO_OPTIONS)

    def test_ignore(self) -> None:
        """A name can be ignored, and no longer; one that is ignored anyway stays so."""
        with ignoreHeader("X-Powered-By"):
            self.assertEqual(fromHeaders({"x-powered-by": "x"}), NO_OPTIONS)
        self.assertRaises(ValueError, fromHeaders, {"x-powered-by": "x"})
        self.assertRaisesRegex(TypeError, "a mapping", fromHeaders, [("Accept", 50)])
        ignoreHeader("Content-Length").unregister()
        self.assertEqual(fromHeaders({"Content-Length": "5"}), NO_OPTIONS)

    @given(st.one_of(st.text(), st.integers()), st.one_of(st.text(), st.binary(), st.integers(), st.none()))
    @settings(deadline=None, max_examples=200, derandomize=True)
    def test_anything(self, name: str | int, value: Any) -> None:
        """Whatever is given is options, or a C{ValueError}."""
        try:
            options = withHeader(NO_OPTIONS, name, value)
        except ValueError:
            return
        self.assertIsInstance(options, Options)


class HeadersTests(SynchronousTestCase):
    """A message's options are read by name."""

    def test_read(self) -> None:
        """Names are those of the registry, in any case; formats are named, what repeats is a tuple."""
        options = Options(contentFormat=50, maxAge=5, locationPath=("a", "b"), etag=b"\xff")
        headers = Response(Code.CREATED, b"", options.adding((65000, b"x"))).headers
        self.assertEqual(
            dict(headers),
            {
                "ETag": (b"\xff",),
                "Location-Path": ("a", "b"),
                "Content-Format": "application/json",
                "Max-Age": 5,
                "65000": (b"x",),
            },
        )
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(headers["MAX-AGE"], 5)
        self.assertEqual(headers["65000"], (b"x",))
        self.assertIn("Headers", repr(headers))
        self.assertEqual(len(headers), 5)

    def test_absent(self) -> None:
        """What is not there, or is no name, is a C{KeyError}."""
        headers = Headers(Options(maxAge=5))
        for name in ("ETag", "X-Powered-By", "65000", "99999"):
            self.assertIsNone(headers.get(name))
            self.assertNotIn(name, headers)

    def test_unreadable(self) -> None:
        """A value of a wrong length is not there (RFC 7252 5.4.3); one that is no UTF-8 is malformed."""
        headers = Headers(Options.fromPairs([(12, b"123"), (14, b""), (20, b"\xff")]))
        self.assertEqual(list(headers), ["Max-Age", "Location-Query"])
        self.assertIsNone(headers.get("Content-Format"))
        self.assertEqual(headers["Max-Age"], 0)
        self.assertRaises(MalformedOption, headers.get, "Location-Query")

    @given(st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=5)), max_size=6))
    @settings(deadline=None, max_examples=200, derandomize=True)
    def test_hostile(self, pairs: list[tuple[int, bytes]]) -> None:
        """Whatever a peer sent is listed, and read, or malformed."""
        headers = Headers(Options.fromPairs(pairs))
        for name in headers:
            try:
                self.assertIsNotNone(headers[name])
            except MalformedOption:
                continue
        self.assertLessEqual(len(headers), len(pairs))

    def test_unknownFormat(self) -> None:
        """A content format that nobody knows is its number, as text."""
        self.assertEqual(Headers(Options(contentFormat=1542))["Content-Type"], "1542")

    def test_registered(self) -> None:
        """An option that a user registered is there under its name."""
        with registerOption(Single[str](65000, "Reading-Unit", STRING, 1, 16)):
            options = fromHeaders({"reading-unit": "K"})
            self.assertEqual(dict(Headers(options)), {"Reading-Unit": "K"})


class Headed(Resource):
    """Answers as node-coap's users write it."""

    def render_GET(self, request: Any) -> bytes:
        request.setHeader("Content-Type", "application/json")
        request.setHeader("65000", [b"a", b"b"])
        return b"{}"

    def render_PUT(self, request: Any) -> int:
        request.setHeader("Max-Age", 5)
        request.writeHead(404, {"Content-Type": "text/plain", "ETag": "abc"})
        request.write(b"no ")
        request.write(request.getHeader("Content-Type").encode())
        request.finish()
        return NOT_DONE_YET

    def render_POST(self, request: Any) -> str:
        try:
            request.writeHead("2.01", {"ETag": "much too long"})
        except ValueError:
            request.writeHead("2.04")
        return "done"


class RequestTests(ServerTestCase):
    """A resource sets options by name."""

    def setUp(self) -> None:
        super().setUp()
        self.serve(Headed())

    def test_setHeader(self) -> None:
        """C{setHeader} sets an option of the answer, by name or by number, once or repeated."""
        answer = self.answerTo(Code.GET)
        self.assertEqual(answer.code, Code.CONTENT)
        self.assertEqual(list(answer.options), [(12, b"\x32"), (65000, b"a"), (65000, b"b")])

    def test_writeHead(self) -> None:
        """C{writeHead} sets the code and options, and leaves what was set before."""
        answer = self.answerTo(Code.PUT, contentFormat="application/cbor")
        self.assertEqual(answer.code, Code.NOT_FOUND)
        self.assertEqual(answer.options, Options(contentFormat=0, etag=b"abc", maxAge=5))
        self.assertEqual(answer.payload, b"no application/cbor")

    def test_writeHeadWrong(self) -> None:
        """Where C{writeHead} fails nothing of it is set."""
        answer = self.answerTo(Code.POST)
        self.assertEqual((answer.code, answer.options), (Code.CHANGED, Options(contentFormat=0)))
