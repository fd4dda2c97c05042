"""
Tests for L{txcoap.resource}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcoap.codes import Code
from txcoap.errors import MethodNotAllowed, NotFound
from txcoap.interfaces import IResource
from txcoap.linkformat import write
from txcoap.resource import NoResource, Resource, getChildForRequest


class Asked:
    """As much of a request as a resource looks at."""

    def __init__(self, code: Code = Code.GET, path: tuple[str, ...] = ()) -> None:
        self.code = code
        self.prepath: list[str] = []
        self.postpath = list(path)


class Every(Resource):
    """Has every method that CoAP has."""

    def render_GET(self, request: Any) -> str:
        return "GET"

    def render_POST(self, request: Any) -> str:
        return "POST"

    def render_PUT(self, request: Any) -> str:
        return "PUT"

    def render_DELETE(self, request: Any) -> str:
        return "DELETE"

    def render_FETCH(self, request: Any) -> str:
        return "FETCH"

    def render_PATCH(self, request: Any) -> str:
        return "PATCH"

    def render_iPATCH(self, request: Any) -> str:
        return "iPATCH"


class Light(Resource):
    """Has two methods."""

    def render_GET(self, request: Any) -> str:
        return "on"

    def render_PUT(self, request: Any) -> None:
        return None


class RenderTests(SynchronousTestCase):
    """L{Resource.render} calls the method of the request's name."""

    def test_interface(self) -> None:
        """Every kind of resource provides C{IResource}."""
        for resource in (Resource(), Light(), NoResource()):
            verifyObject(IResource, resource)

    def test_everyMethod(self) -> None:
        """Each of the seven methods has its C{render_} method (RFC 7252 5.8, RFC 8132)."""
        for code in Code:
            if code.isRequest:
                self.assertEqual(Every().render(Asked(code)), code.phrase)

    def test_methodNotAllowed(self) -> None:
        """A method that the resource lacks is a 4.05 that names those it has."""
        error = self.assertRaises(MethodNotAllowed, Light().render, Asked(Code.DELETE))
        self.assertEqual(error.diagnostic, "allowed: GET, PUT")

    def test_partOfAPath(self) -> None:
        """A resource without any method is only part of a path: it is not found."""
        for code in (Code.GET, Code.DELETE):
            self.assertRaises(NotFound, Resource().render, Asked(code))

    def test_noResource(self) -> None:
        """L{NoResource} is not found, whatever the method."""
        for code in (Code.GET, Code.PUT, Code.IPATCH):
            self.assertRaises(NotFound, NoResource().render, Asked(code))

    def test_allowedMethods(self) -> None:
        """C{allowedMethods} is what the class, or the instance, has."""
        self.assertEqual(Light().allowedMethods, ("GET", "PUT"))
        self.assertEqual(Resource().allowedMethods, ())
        own = Resource()
        own.render_FETCH = lambda request: b""  # type: ignore[attr-defined]
        self.assertEqual(own.allowedMethods, ("FETCH",))


class TreeTests(SynchronousTestCase):
    """Resources stand below each other."""

    def test_putChild(self) -> None:
        """What was put at a segment is found there; resources do not share their children."""
        root, light = Resource(), Light()
        root.putChild("light", light)
        self.assertIs(root.getChildWithDefault("light", None), light)
        self.assertEqual(dict(root.children), {"light": light})
        self.assertEqual(dict(Resource().children), {})

    def test_putChildTakesText(self) -> None:
        """A path is text in CoAP (RFC 7252 5.10.1): bytes, as C{twisted.web} has them, are refused."""
        error = self.assertRaises(TypeError, Resource().putChild, b"light", Light())
        self.assertIn("b'light'", str(error))

    def test_putChildTakesResources(self) -> None:
        """A class in the place of its instance, or None, is refused where it is put."""
        for child in (Light, None):
            error = self.assertRaises(TypeError, Resource().putChild, "light", child)
            self.assertIn("an instance", str(error))

    def test_slashInSegment(self) -> None:
        """A slash is warned of: C{a/b} is one segment, which only C{a%2Fb} asks for."""
        root, light = Resource(), Light()
        root.putChild("/light", light)
        (warning,) = self.flushWarnings([self.test_slashInSegment])
        self.assertIn("asked for as %2F", warning["message"])
        self.assertIs(root.getChildWithDefault("/light", None), light)

    def test_removeChild(self) -> None:
        """What was put is taken away, and given back; what is not there is a C{KeyError}."""
        root, light = Resource(), Light()
        self.assertRaises(KeyError, root.removeChild, "light")
        root.putChild("light", light)
        self.assertIs(root.removeChild("light"), light)
        self.assertEqual(dict(root.children), {})
        self.assertRaises(KeyError, root.removeChild, "light")
        self.assertRaises(NotFound, root.getChildWithDefault("light", None).render, None)

    def test_emptyChild(self) -> None:
        """A child without children of its own is a child, even where it counts as false."""

        class Falsy(Resource):
            def __len__(self) -> int:
                return 0

        root, child = Resource(), Falsy()
        root.putChild("x", child)
        self.assertIs(root.getChildWithDefault("x", None), child)

    def test_getChild(self) -> None:
        """C{getChild} makes what nobody put there; by default a resource that is not there."""

        class Numbers(Resource):
            def getChild(self, segment: str, request: Any) -> Any:
                return int(segment)

        self.assertEqual(Numbers().getChildWithDefault("12", None), 12)
        self.assertIsInstance(Resource().getChildWithDefault("12", None), NoResource)

    def test_walk(self) -> None:
        """The walk moves each segment from C{postpath} to C{prepath}; an empty segment is one too."""
        root, a, slash = Resource(), Resource(), Light()
        root.putChild("a", a)
        a.putChild("", slash)
        asked = Asked(path=("a", ""))
        self.assertIs(getChildForRequest(root, asked), slash)
        self.assertEqual((asked.prepath, asked.postpath), (["a", ""], []))

    def test_leaf(self) -> None:
        """A leaf stands for every path below it; what is left is in C{postpath}."""
        root, leaf = Resource(), Light()
        leaf.isLeaf = True
        root.putChild("a", leaf)
        asked = Asked(path=("a", "b", "c"))
        self.assertIs(getChildForRequest(root, asked), leaf)
        self.assertEqual((asked.prepath, asked.postpath), (["a"], ["b", "c"]))

    def test_getChildSeesTheRequest(self) -> None:
        """C{getChild} can take more of the path than its own segment, as in C{twisted.web}."""

        class Rest(Resource):
            def getChild(self, segment: str, request: Any) -> Any:
                taken = [segment, *request.postpath]
                request.postpath.clear()
                return tuple(taken)

        self.assertEqual(getChildForRequest(Rest(), Asked(path=("a", "b"))), ("a", "b"))


class LinksTests(SynchronousTestCase):
    """L{Resource.getLinks} tells C{/.well-known/core} what there is."""

    def test_tree(self) -> None:
        """Every resource with a method is a link; one that is only part of a path is none."""
        root, folder = Light(), Resource()
        root.putChild("folder", folder)
        folder.putChild("light", Light())
        self.assertEqual([link.target for link in root.getLinks("")], ["/", "/folder/light"])

    def test_attributes(self) -> None:
        """C{attributes} become the link's, C{contentFormat} its C{ct} (RFC 6690 3, RFC 7252 7.2.1)."""
        light = Light()
        light.contentFormat = "application/json"
        light.attributes = {"rt": "light", "if": ["a", "b"], "sz": 3, "obs": True}
        self.assertEqual(write(light.getLinks("/l")), '</l>;rt="light";if="a b";sz=3;obs;ct=50')

    def test_ownContentFormat(self) -> None:
        """C{ct} in C{attributes} goes before C{contentFormat}."""
        light = Light()
        light.contentFormat = 0
        light.attributes = {"ct": [0, 50]}
        self.assertEqual(write(light.getLinks("/l")), '</l>;ct="0 50"')

    def test_hidden(self) -> None:
        """An invisible resource is not named; those below it are."""
        light = Light()
        light.isVisible = False
        light.putChild("bulb", Light())
        self.assertEqual([link.target for link in light.getLinks("/l")], ["/l/bulb"])

    def test_quoting(self) -> None:
        """Segments are percent-encoded in a link's target (RFC 6690 2)."""
        root = Resource()
        for segment in ("a b", "ü/<>", "x,y;z=1", ""):
            root.putChild(segment, Light())
        self.assertEqual(len(self.flushWarnings([self.test_quoting])), 1)
        targets = [link.target for link in root.getLinks("")]
        self.assertEqual(targets, ["/a%20b", "/%C3%BC%2F%3C%3E", "/x,y;z=1", "/"])
