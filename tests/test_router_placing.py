"""
Tests for L{txcoap.router}: routers as resources in trees, and as attributes of classes.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from tests.test_router import Annex, Building, RouterCase, served
from txcoap import Code, Resource
from txcoap.interfaces import IResource
from txcoap.linkformat import parse
from txcoap.router import Router
from txcoap.service import makeRoot
from txcoap.tap import findResources
from txcoap.testing import StubAgent


class PlacingTests(RouterCase):
    """Routers are resources, in trees and below each other."""

    def test_resource(self) -> None:
        """A router is a resource: for a site, for C{twistd coap}, and as C{app.resource()}."""
        verifyObject(IResource, self.app)
        self.assertIs(self.app.resource(), self.app)
        self.assertIs(makeRoot(self.app, None), self.app)
        self.assertIs(findResources("tests.test_router.served"), served)

    def test_mounted(self) -> None:
        """In a tree its paths go on from where it was put."""
        inner = Router()
        inner.route("/")(lambda request: "inner")
        inner.route("/<x>/y")(lambda request, x: f"{x} {request.prepath}")
        root = Resource()
        root.putChild("in", inner.resource())
        self.agent = StubAgent(root)
        self.assertAnswers("/in", "inner")
        self.assertAnswers("/in/1/y", "1 ['in', '1', 'y']")
        self.assertEqual(self.ask("/in/1").code, Code.NOT_FOUND)
        self.assertEqual(self.ask("/in/").code, Code.NOT_FOUND)

    def test_subroute(self) -> None:
        """Routes below a prefix, whose parameters go to all functions; prefixes nest."""
        with self.app.subroute("/rooms/<room>") as rooms:

            @rooms.route("/")
            def room(request: Any, room: str) -> str:
                return room

            with rooms.subroute("/lamps/") as lamps:

                @lamps.route("/<int:number>")
                def lamp(request: Any, room: str, number: int) -> str:
                    return f"{room} {number}"

        self.assertAnswers("/rooms/hall", "hall")
        self.assertAnswers("/rooms/hall/lamps/3", "hall 3")
        self.assertEqual(self.ask("/rooms/hall/").code, Code.NOT_FOUND)
        self.assertRaises(ValueError, self.app.subroute, "rooms")
        self.assertRaises(ValueError, rooms.route, "x")

    def test_mount(self) -> None:
        """Any resource can be mounted, with all below it; routes go before it, the longest mount first."""

        class Leaf(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> str:
                return f"{request.prepath} {request.postpath}"

        other = Router()
        other.route("/<x>")(lambda request, x: f"other {x}")
        self.app.mount("/files", Leaf())
        self.app.mount("/files/deep/er", other)
        self.app.subroute("/sub").mount("/tree", Leaf())
        self.app.route("/files/own")(lambda request: "own")
        self.assertAnswers("/files", "['files'] []")
        self.assertAnswers("/files/a/b", "['files'] ['a', 'b']")
        self.assertAnswers("/files/own", "own")
        self.assertAnswers("/files/deep/er/x", "other x")
        self.assertAnswers("/sub/tree/x", "['sub', 'tree'] ['x']")
        self.assertEqual(self.ask("/sub").code, Code.NOT_FOUND)
        for path, resource, complaint in (
            ("/<x>", other, "without parameters"),
            ("/", other, "without parameters"),
            ("/files", other, "a resource already"),
            ("/new", object(), "is no resource"),
        ):
            with self.assertRaisesRegex(ValueError, complaint):
                self.app.mount(path, resource)

    def test_links(self) -> None:
        """C{/.well-known/core} names the visible paths without parameters, and what is mounted (RFC 6690)."""
        attributes = {"rt": "temperature", "if": "sensor"}
        self.app.route("/")(lambda request: "")
        self.app.route("/a b", attributes=attributes, contentFormat=60, observable=True)(lambda request: b"")
        self.app.route("/a b", methods=["FETCH"], contentFormat="json")(lambda request: b"")
        self.app.route("/c/<x>")(lambda request, x: "")
        self.app.route("/hidden", isVisible=False)(lambda request: "")
        inner = Router()
        inner.route("/d")(lambda request: "")
        self.app.mount("/in", inner)
        links = parse(self.ask("/.well-known/core").text())
        self.assertEqual([link.target for link in links], ["/", "/a%20b", "/in/d"])
        self.assertEqual(
            dict(links[1].attributes),
            {"rt": "temperature", "if": "sensor", "ct": "60 50", "obs": None},
        )

    def test_ownCore(self) -> None:
        """A router may answer C{/.well-known/core} itself."""
        self.app.route("/.well-known/core")(lambda request: "mine")
        self.assertAnswers("/.well-known/core", "mine")


class BoundTests(RouterCase):
    """A router as an attribute of a class."""

    def test_instances(self) -> None:
        """The methods of each instance answer, also those of a subclass's, and its errors."""
        for building in (Building("hall"), Building("shed"), Annex("annex")):
            self.assertIs(building.app, building.app)
            self.agent = StubAgent(building.app.resource())
            self.assertAnswers("/rooms/1", f"{building.name} 1")
            self.assertEqual(self.ask("/rooms/none").text(), f"{building.name} lacks 'none'")

    def test_class(self) -> None:
        """Asked of the class there is nobody to answer."""
        self.assertRaisesRegex(RuntimeError, "ask an instance for its app", Building.app.resource)

    def test_assigned(self) -> None:
        """A router may be put into a class afterwards."""

        class Late:
            def answer(self, request: Any) -> str:
                return type(self).__name__

        router = Router()
        router.route("/")(Late.answer)
        Late.router = router  # type: ignore[attr-defined]
        late: Any = Late()
        self.agent = StubAgent(late.router)
        self.assertAnswers("", "Late")
        self.assertIs(late.router, late.router)
