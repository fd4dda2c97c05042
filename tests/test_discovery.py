"""
Tests for L{txcoap.discovery}: C{/.well-known/core} of a site (RFC 6690, RFC 7252 7.2).
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from tests.wire import ServerTestCase
from txcoap.codes import Code
from txcoap.discovery import WellKnownCore
from txcoap.interfaces import IResource
from txcoap.linkformat import parse
from txcoap.request import Request
from txcoap.resource import Resource

CORE = ".well-known/core"


class Sensor(Resource):
    """A resource with attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.attributes = {"if" if name == "ifs" else name: value for name, value in attributes.items()}

    def render_GET(self, request: Request) -> str:
        return "20"


class Own(Resource):
    """A list of links that a user wrote."""

    def render_GET(self, request: Request) -> str:
        return "mine"


class WellKnownCoreTests(ServerTestCase):
    """What a site says of itself."""

    def setUp(self) -> None:
        """Serve a few sensors."""
        super().setUp()
        root, room = Resource(), Resource()
        root.putChild("room", room)
        temperature = Sensor(rt=("temperature-c", "sensor"), ifs="sensor", title="It's warm")
        temperature.contentFormat = "text/plain"
        room.putChild("temp", temperature)
        room.putChild("light", Sensor(rt="light-lux", ifs="sensor", sz=12, ct=(0, 50)))
        root.putChild("log", Sensor(obs=True))
        hidden = Sensor(rt="hidden")
        hidden.isVisible = False
        root.putChild("hidden", hidden)
        self.root = root
        self.serve(root)

    def found(self, *queries: str) -> list[str]:
        """The targets that the answer to a query names."""
        answer = self.answerTo(Code.GET, CORE, uriQuery=queries)
        self.assertEqual((answer.code, answer.options.contentFormat), (Code.CONTENT, 40))
        return [link.target for link in parse(answer.payload.decode())]

    def test_interface(self) -> None:
        """L{WellKnownCore} provides C{IResource}."""
        verifyObject(IResource, WellKnownCore(self.root))

    def test_everything(self) -> None:
        """Without a query, every resource that can be asked for and is visible, with its attributes."""
        answer = self.answerTo(Code.GET, CORE)
        self.assertEqual(
            answer.payload.decode(),
            '</room/temp>;rt="temperature-c sensor";if="sensor";title="It\'s warm";ct=0,'
            '</room/light>;rt="light-lux";if="sensor";sz=12;ct="0 50",'
            "</log>;obs",
        )

    def test_filters(self) -> None:
        """Each filter of RFC 6690 4.1: a value, the start of one, any at all, the target."""
        rows = {
            "rt=temperature-c": ["/room/temp"],
            "rt=sensor": ["/room/temp"],
            "rt=temp*": ["/room/temp"],
            "rt=*": ["/room/temp", "/room/light"],
            "rt=temp": [],
            "rt=hidden": [],
            "if=sensor": ["/room/temp", "/room/light"],
            "ct=50": ["/room/light"],
            "ct=0": ["/room/temp", "/room/light"],
            "sz=12": ["/room/light"],
            "sz=*": ["/room/light"],
            "title=It's warm": ["/room/temp"],
            "href=/log": ["/log"],
            "href=/room/*": ["/room/temp", "/room/light"],
            "href=*": ["/room/temp", "/room/light", "/log"],
            "obs": ["/log"],
            "foo=bar": [],
        }
        for query, expected in rows.items():
            self.assertEqual(self.found(query), expected, query)

    def test_severalFilters(self) -> None:
        """Of several filters, all have to match."""
        self.assertEqual(self.found("if=sensor", "sz=*"), ["/room/light"])
        self.assertEqual(self.found("rt=light-lux", "ct=60"), [])

    def test_nothing(self) -> None:
        """Where nothing matches the answer is 2.05 without links, no error (RFC 6690 4.1)."""
        self.assertEqual(self.found("rt=nothing"), [])

    def test_accept(self) -> None:
        """Link format can be asked for; another format is 4.06."""
        self.assertEqual(self.answerTo(Code.GET, CORE, accept=40).code, Code.CONTENT)
        self.assertEqual(self.answerTo(Code.GET, CORE, accept=50).code, Code.NOT_ACCEPTABLE)

    def test_onlyGet(self) -> None:
        """It can be read, not written."""
        for code in (Code.PUT, Code.POST, Code.DELETE):
            self.assertEqual(self.answerTo(code, CORE).code, Code.METHOD_NOT_ALLOWED)

    def test_onlyThere(self) -> None:
        """Its neighbours are not found."""
        for path in (".well-known", CORE + "/x", CORE + "/", ".well-known/x"):
            self.assertEqual(self.answerTo(Code.GET, path).code, Code.NOT_FOUND, path)

    def test_later(self) -> None:
        """A resource put into the tree later is named too, and the root as C{/}."""
        self.root.putChild("new", Sensor())
        self.root.render_GET = lambda request: b""  # type: ignore[attr-defined]
        self.assertEqual(self.found(), ["/", "/room/temp", "/room/light", "/log", "/new"])

    def test_encoded(self) -> None:
        """A target is percent-encoded, and found by its decoded form too."""
        self.root.putChild("grün", Sensor())
        self.assertEqual(self.found("href=/grün"), ["/gr%C3%BCn"])

    def test_own(self) -> None:
        """A resource that the tree has at that path goes before."""
        wellKnown = Resource()
        self.root.putChild(".well-known", wellKnown)
        self.assertIn("/log", self.found())
        wellKnown.putChild("core", Own())
        self.assertEqual(self.answerTo(Code.GET, CORE).payload, b"mine")

    def test_leaf(self) -> None:
        """A root that is a leaf answers every path, this one too, as in C{twisted.web}."""
        self.socket.stopListening()
        root = Own()
        root.isLeaf = True
        self.serve(root)
        self.assertEqual(self.answerTo(Code.GET, CORE).payload, b"mine")

    def test_foreignResource(self) -> None:
        """A resource that is no subclass of L{Resource} goes before as well."""

        class Foreign:
            isLeaf = True

            def render(self, request: Request) -> bytes:
                return b"foreign"

        wellKnown = Resource()
        self.root.putChild(".well-known", wellKnown)
        wellKnown.putChild("core", Foreign())
        self.assertEqual(self.answerTo(Code.GET, CORE).payload, b"foreign")
