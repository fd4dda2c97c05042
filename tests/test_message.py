"""
Tests for L{txcoap.message}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.errors import NotFound, ResponseError
from txcoap.message import Request, Response
from txcoap.options import Options


class RequestTests(SynchronousTestCase):
    """A request as a value."""

    def test_keywords(self) -> None:
        """Options can be given by name beside the payload, and on top of given ones."""
        request = Request(Code.PUT, b"on", Options(uriPath=("a",), accept=0), uriPath=("b",), contentFormat=0)
        self.assertEqual(request.options, Options(uriPath=("b",), accept=0, contentFormat=0))
        self.assertEqual((request.code, request.payload), (Code.PUT, b"on"))
        self.assertEqual(request.contentFormat, 0)

    def test_equality(self) -> None:
        """Requests of the same code, options and payload are one; they hash alike."""
        self.assertEqual(Request(Code.GET, accept=0), Request(Code.GET, accept="text/plain"))
        self.assertEqual(hash(Request(Code.GET)), hash(Request(Code.GET)))
        self.assertNotEqual(Request(Code.GET), Request(Code.POST))
        self.assertNotEqual(Request(Code.GET), Request(Code.GET, b"x"))
        self.assertNotEqual(Request(Code.GET), Request(Code.GET, accept=0))
        self.assertNotEqual(Request(Code.GET), 1)

    def test_repr(self) -> None:
        """The representation names method, format, options and the payload's size."""
        self.assertEqual(
            repr(Request(Code.PUT, b"on", contentFormat=0)),
            "<Request PUT text/plain; charset=utf-8 <Options Content-Format: 0> 2 bytes>",
        )

    def test_unknownOption(self) -> None:
        """An option that does not exist is refused when the request is made."""
        error = self.assertRaises(ValueError, Request, Code.GET, path="x")
        self.assertIn("'path'", str(error))


class ResponseTests(SynchronousTestCase):
    """A response as a value."""

    def test_text(self) -> None:
        """C{text} reads UTF-8, and refuses what is none."""
        self.assertEqual(Response(Code.CONTENT, "21 °C".encode()).text(), "21 °C")
        self.assertRaises(UnicodeDecodeError, Response(Code.CONTENT, b"\xff").text)

    def test_json(self) -> None:
        """C{json} reads JSON, and refuses what is none."""
        self.assertEqual(Response(Code.CONTENT, b'{"a": [1]}').json(), {"a": [1]})
        self.assertRaises(ValueError, Response(Code.CONTENT, b"{").json)

    def test_etag(self) -> None:
        """C{etag} is the first entity tag, or None (RFC 7252 5.10.6.1)."""
        self.assertEqual(Response(Code.CONTENT, etag=(b"a", b"b")).etag, b"a")
        self.assertEqual(Response(Code.CONTENT, etag=b"a").etag, b"a")
        self.assertIsNone(Response(Code.CONTENT).etag)

    def test_noBody(self) -> None:
        """A 2.03 has no body (RFC 7252 5.9.1.3)."""
        self.assertEqual(Response(Code.VALID, b"", etag=b"a").payload, b"")
        for code in (Code.VALID, "2.03"):
            self.assertRaises(ValueError, Response, code, b"x")

    def test_maxAge(self) -> None:
        """A response is fresh for 60 seconds unless it says otherwise (RFC 7252 5.10.5)."""
        self.assertEqual(Response(Code.CONTENT).maxAge, 60)
        self.assertEqual(Response(Code.CONTENT, maxAge=0).maxAge, 0)

    def test_location(self) -> None:
        """C{location} is the reference to what was created (RFC 7252 5.10.7)."""
        self.assertEqual(Response(Code.CREATED).location, "")
        self.assertEqual(Response(Code.CREATED, locationPath=("a", "b")).location, "/a/b")
        self.assertEqual(
            Response(Code.CREATED, locationPath=("a",), locationQuery=("x=1", "y")).location,
            "/a?x=1&y",
        )

    def test_raiseForCode(self) -> None:
        """Success passes; any error is raised with its class and its diagnostic text."""
        Response(Code.VALID).raiseForCode()
        error = self.assertRaises(NotFound, Response(Code.NOT_FOUND, b"no lamp 3").raiseForCode)
        self.assertEqual(error.diagnostic, "no lamp 3")
        unknown = self.assertRaises(ResponseError, Response(Code("5.31"), b"\xff").raiseForCode)
        self.assertEqual((unknown.code, unknown.diagnostic), (Code("5.31"), "\N{REPLACEMENT CHARACTER}"))

    def test_phrase(self) -> None:
        """C{phrase} is the code's words."""
        self.assertEqual(Response(Code.NOT_FOUND).phrase, "Not Found")

    def test_code(self) -> None:
        """Whatever makes a code will do, but it has to be one of a response."""
        self.assertIs(Response("4.04").code, Code.NOT_FOUND)
        self.assertIs(Response(205, b"x").code, Code.CONTENT)
        for wrong in (Code.GET, "PUT", 1, Code.EMPTY, Code.PING, "nonsense"):
            self.assertRaises(ValueError, Response, wrong)

    def test_payload(self) -> None:
        """A body is bytes; of anything else it is told where the response is made."""
        for wrong in ("text", None, bytearray(b"x")):
            self.assertRaises(TypeError, Response, Code.CONTENT, wrong)

    def test_notARequest(self) -> None:
        """Requests and responses differ in their codes, and so are never equal."""
        self.assertNotEqual(Response(Code.CONTENT), Request(Code.GET))
