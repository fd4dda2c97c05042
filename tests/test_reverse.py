"""
Tests for L{txcoap.reverse}: another server as a part of the tree.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from tests.test_proxy import PROXY, SAFE_CRITICAL, Clock, Echoing, ProxyCase
from txcoap.codes import Code
from txcoap.errors import LinkFormatError, NotFound
from txcoap.interfaces import IResource
from txcoap.linkformat import parse
from txcoap.memory import SERVER_HOST
from txcoap.message import Response
from txcoap.options import Options
from txcoap.resource import Resource
from txcoap.reverse import ReverseProxy
from txcoap.server import Site


class ReverseCase(ProxyCase):
    """A reverse proxy in a tree."""

    def reverse(self, base: str = f"coap://{SERVER_HOST}/base?k=1", **how: Any) -> ReverseProxy:
        """Put a reverse proxy at C{/out/in}."""
        proxy = ReverseProxy(base, self.upstream, **how)
        root, out = Resource(), Resource()
        root.putChild("out", out)
        out.putChild("in", proxy)
        self.port = self.network.listen(Site(root), "192.0.2.80")
        return proxy

    def get(self, path: str, method: str = "GET", payload: bytes = b"", **how: Any) -> Response:
        """Ask the proxy."""
        return self.ask(f"{PROXY}/out/in{path}", method, payload, proxy=None, **how)


class ReverseProxyTests(ReverseCase):
    """Requests to C{/out/in} of the proxy, and what comes of them."""

    def test_interface(self) -> None:
        """L{ReverseProxy} provides C{IResource}."""
        verifyObject(IResource, self.reverse())

    def test_paths(self) -> None:
        """What is below it is below the base, and queries are appended."""
        self.reverse()
        rows = [
            ("", "/base?k=1"),
            ("/a/b%2Fc", "/base/a/b/c?k=1"),
            ("/", "/base/?k=1"),
            ("?x=2&y", "/base?k=1&x=2&y"),
            ("/gr%C3%BCn", "/base/grün?k=1"),
        ]
        for path, expected in rows:
            self.assertAnswer(self.get(path), "2.05", f"GET {expected}")
        self.assertEqual(self.origin.requests[1].options.uriPath, ("base", "a", "b/c"))

    def test_bases(self) -> None:
        """A base may end in a slash, or be the root."""
        proxy = self.reverse(f"coap://{SERVER_HOST}/base/")
        self.assertAnswer(self.get("/a"), "2.05", "GET /base/a")
        self.assertAnswer(self.get(""), "2.05", "GET /base/")
        self.port.stopListening()
        self.network.listen(Site(ReverseProxy(f"coap://{SERVER_HOST}", self.upstream)), "192.0.2.80")
        self.assertAnswer(self.get("/a"), "2.05", "GET /out/in/a")
        self.assertAnswer(self.ask(f"{PROXY}/", proxy=None), "2.05", "GET /")
        self.assertEqual(list(proxy.getLinks("/x")), [])

    def test_wrongBases(self) -> None:
        """A base is the URI of one server."""
        self.assertRaises(ValueError, ReverseProxy, "inner")
        self.assertRaises(TypeError, ReverseProxy, b"coap://inner")
        self.assertRaisesRegex(ValueError, "multicast", ReverseProxy, "coap://[ff02::fd]/")

    def test_options(self) -> None:
        """Options pass as through any proxy; Uri-Host is the other server's own."""
        self.reverse("coap://inner.example")
        self.network.names["inner.example"] = SERVER_HOST
        self.get("", "PUT", b"x", contentFormat=50, ifNoneMatch=True, uriHost="outer.example")
        expected = Options(uriHost="inner.example", contentFormat=50, ifNoneMatch=True, hopLimit=16)
        self.assertEqual(self.origin.options, expected)
        self.assertEqual(self.get("", hopLimit=1).code, Code.HOP_LIMIT_REACHED)

    def test_critical(self) -> None:
        """It is no proxy to its clients: what is not understood is refused."""
        self.reverse()
        odd = Options.fromPairs([(SAFE_CRITICAL, b"")])
        self.assertEqual(self.get("", options=odd).code, Code.BAD_OPTION)
        self.assertEqual(self.get("", proxyUri="coap://a/").code, Code.PROXYING_NOT_SUPPORTED)

    def test_outside(self) -> None:
        """No path leads out of the base."""
        self.reverse()
        for segment in ("..", "."):
            response = self.get("", uriPath=("out", "in", segment, "secret"))
            self.assertEqual(response.code, Code.BAD_REQUEST)
        self.assertFalse(self.origin.requests)

    def test_location(self) -> None:
        """A Location below the base is rewritten; another is left out."""
        self.reverse()
        rows: list[tuple[Any, Any]] = [
            (("base", "1"), ("out", "in", "1")),
            (("base",), ("out", "in")),
            (("elsewhere",), ()),
            (("basement", "1"), ()),
        ]
        for given, expected in rows:
            self.origin.responses = [Response(Code.CREATED, locationPath=given, locationQuery=("q",))]
            options = self.get("", "POST").options
            self.assertEqual(options.locationPath, expected)
            self.assertEqual(options.locationQuery, ("q",) if expected else ())

    def test_bodies(self) -> None:
        """Bodies of many blocks, both ways."""
        self.reverse()
        self.origin.responses = [Response(Code.CHANGED, bytes(5000))]
        self.assertEqual(len(self.get("/a", "PUT", bytes(3000)).payload), 5000)
        self.assertEqual(len(self.origin.requests[0].payload), 3000)

    def test_gateway(self) -> None:
        """What goes wrong behind it: 5.02 and 5.04."""
        self.reverse("coap://nobody.example")
        self.assertEqual(self.get("").code, Code.BAD_GATEWAY)

    def test_observe(self) -> None:
        """Observing goes through."""
        clock = Clock()
        self.network.listen(Site(clock), "192.0.2.2")
        proxy = self.reverse("coap://192.0.2.2")
        states: list[str] = []
        observation = self.wait(self.client.observe(f"{PROXY}/out/in"))
        observation.subscribe(lambda state: states.append(state.text()))
        clock.tick("1")
        self.network.advance(1)
        self.assertEqual((states, proxy.observations), (["0", "1"], 1))
        observation.cancel()
        self.network.advance(1)
        self.assertEqual((clock.observerCount, proxy.observations), (0, 0))

    def test_observeMalformed(self) -> None:
        """A state with an option that cannot be read is told as 5.02, which is the last."""
        clock: Any = Clock()
        self.network.listen(Site(clock), "192.0.2.2")
        proxy = self.reverse("coap://192.0.2.2")
        observation = self.wait(self.client.observe(f"{PROXY}/out/in"))
        pairs = [(Options.locationPath.number, b"\xcc"), (Options.contentFormat.number, b"")]
        clock.body = Response(Code.CONTENT, b"x", Options.fromPairs(pairs))
        clock.tick("1")
        self.network.advance(1)
        self.assertEqual(self.successResultOf(observation.notifyEnd()).response.code, Code.BAD_GATEWAY)
        self.assertEqual((clock.observerCount, proxy.observations), (0, 0))

    def test_ownAgent(self) -> None:
        """Without an agent it makes its own with the first request, to be closed with it."""
        proxy = ReverseProxy("coap://nobody.example")
        self.network.listen(Site(proxy), "192.0.2.80")
        self.assertRaises(RuntimeError, proxy.discover)
        self.successResultOf(proxy.close())
        self.assertEqual(self.ask(PROXY, proxy=None).code, Code.BAD_GATEWAY)
        self.successResultOf(proxy.close())


class DiscoverTests(ReverseCase):
    """The other server's links among ours."""

    def setUp(self) -> None:
        super().setUp()
        self.core: Any = Echoing()
        self.network.listen(Site(self.core), "192.0.2.2")

    def found(self, links: str, base: str = "coap://192.0.2.2/base") -> str:
        """What our own list says when the other server's says this."""
        proxy = self.reverse(base)
        self.core.responses = [Response(Code.CONTENT, links.encode(), contentFormat=40)]
        self.wait(proxy.discover())
        self.assertEqual(self.core.requests[-1].uri, "/.well-known/core")
        response = self.ask(f"{PROXY}/.well-known/core", proxy=None)
        self.assertEqual(len(parse(response.text())), len(proxy.links))
        return response.text()

    def test_links(self) -> None:
        """Those below the base, rewritten; their attributes as they are."""
        links = '</base/a>;rt="x";obs,</base>,</other>,<coap://192.0.2.2/base/b%20c>,<coap://192.0.2.3/base/d>,</basement>'
        expected = '</out/in/a>;rt="x";obs,</out/in>,</out/in/b%20c>'
        self.assertEqual(self.found(links), expected)

    def test_root(self) -> None:
        """All, where the base is the root; targets that make no URI are left out."""
        self.assertEqual(
            self.found("</>,</a>,<http://x/>,<coap://[>", "coap://192.0.2.2"), "</out/in>,</out/in/a>"
        )

    def test_failures(self) -> None:
        """An error, and what is no list of links, fail it; the links stay as they were."""
        proxy = self.reverse("coap://192.0.2.2")
        for response, error in (
            (Response(Code.NOT_FOUND), NotFound),
            (Response(Code.CONTENT, b"<<<"), LinkFormatError),
        ):
            self.core.responses = [response]
            asking = proxy.discover()
            self.network.flush()
            self.failureResultOf(asking, error)
        self.assertEqual(proxy.links, ())
