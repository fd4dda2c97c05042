"""
Tests for requests by parts: host, port, path, query and headers beside the URI; and for the addresses of
both ends on every message.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.wire import ServerTestCase
from txcoap.client import Agent
from txcoap.endpoints import serverFromString
from txcoap.errors import InvalidURI
from txcoap.protocol import CoAPProtocol
from txcoap.resource import Resource
from txcoap.sansio.datagrams import CON, encode
from txcoap.server import Site
from txcoap.testing import StubAgent
from txcoap.transports.ancillary import LocalAddress
from txcoap.uri import URI


class Told(Resource):
    """Tells what it was asked."""

    isLeaf = True

    def render_GET(self, request: Any) -> str:
        return "\n".join([request.uri, *(f"{name}: {value}" for name, value in request.headers.items())])

    render_PUT = render_GET


class FromPartsTests(SynchronousTestCase):
    """A URI is made of its parts, as they read."""

    def test_parts(self) -> None:
        """Each way to give a part."""
        for host, how, text in (
            ("h", {}, "coap://h/"),
            ("::1", {"port": 61616, "path": "/a/b"}, "coap://[::1]:61616/a/b"),
            ("[::1]", {"path": "a/b/"}, "coap://[::1]/a/b/"),
            ("h", {"path": ("a/b", "c d")}, "coap://h/a%2Fb/c%20d"),
            ("h", {"path": "/50%25"}, "coap://h/50%2525"),
            ("h", {"path": "/"}, "coap://h/"),
            ("h", {"query": "x=1&y"}, "coap://h/?x=1&y"),
            ("h", {"query": "?x=1"}, "coap://h/?x=1"),
            ("h", {"query": {"x": 1, "y": "a&b"}}, "coap://h/?x=1&y=a%26b"),
            ("h", {"query": [("x", 1), "y", ("x", 2)]}, "coap://h/?x=1&y&x=2"),
            ("h", {"query": ""}, "coap://h/"),
            ("/run/x.sock", {"path": "/a"}, "coap://%2Frun%2Fx.sock/a"),
            ("H", {"scheme": "coaps"}, "coaps://h/"),
        ):
            self.assertEqual(URI.fromParts(host, **how).toText(), text)

    def test_wrong(self) -> None:
        """What makes no URI is an L{InvalidURI}."""
        for how, complaint in (
            ({"host": ""}, "the host is missing"),
            ({"host": "h", "port": 65536}, "a port is a number"),
            ({"host": "h", "path": "/a?x=1"}, "give that as query="),
            ({"host": "h", "path": ("..",)}, "cannot be '..'"),
            ({"host": "h", "scheme": "http"}, "no scheme of CoAP"),
        ):
            with self.assertRaisesRegex(InvalidURI, complaint):
                URI.fromParts(**how)
        self.assertRaisesRegex(TypeError, "a port is a number", URI.fromParts, "a", "5683")


class RequestTests(SynchronousTestCase):
    """An agent is asked by parts."""

    def setUp(self) -> None:
        self.agent = StubAgent(Told())

    def text(self, asking: Any) -> list[str]:
        """The lines of the response."""
        lines: list[str] = self.successResultOf(asking).text().split("\n")
        return lines

    def test_request(self) -> None:
        """C{request} takes host, port, path and query, as do the methods by name."""
        asking = self.agent.request("GET", host="test", port=5683, path="/a b/c", query={"x": 1})
        self.assertEqual(self.text(asking)[0], "/a b/c?x=1")
        asking = self.agent.get(host="test", path=("a", "b"), params={"y": 2})
        self.assertEqual(self.text(asking)[0], "/a/b?y=2")
        self.assertEqual(self.text(self.agent.put(payload=b"x", host="test"))[0], "/")

    def test_observe(self) -> None:
        """C{observe} likewise."""
        observing = self.agent.observe(host="test", path="/a", headers={"Accept": "text/plain"})
        self.agent.flush()
        states: list[Any] = []
        self.successResultOf(observing).subscribe(states.append)
        (state,) = states
        self.assertIn("Accept: text/plain", state.text())

    def test_headers(self) -> None:
        """Options are given by name, beside the others."""
        asking = self.agent.put(
            "coap://test/a",
            b"{}",
            headers={"Content-Type": "application/json; charset=utf8", "65000": b"x", "Content-Length": 2},
            accept="application/cbor",
        )
        self.assertEqual(
            self.text(asking)[1:],
            [
                "Uri-Host: test",
                "Uri-Path: ('a',)",
                "Content-Format: application/json",
                "Accept: application/cbor",
                "65000: (b'x',)",
            ],
        )

    def test_wrong(self) -> None:
        """Both a URI and a host, neither, parts that go with none, and wrong headers fail."""
        for how, error, complaint in (
            ({}, TypeError, "whom to ask"),
            ({"uri": "coap://test", "host": "test"}, TypeError, "not both"),
            ({"uri": "coap://test", "path": "/a"}, TypeError, "go with host="),
            ({"path": "/a"}, TypeError, "go with host="),
            ({"host": "test", "port": -1}, InvalidURI, "a port is"),
            ({"host": "test", "headers": {"X-Y": 1}}, ValueError, "no option is called 'X-Y'"),
        ):
            for ask in (self.agent.get, self.agent.observe, lambda **how: self.agent.request("GET", **how)):
                failure = self.failureResultOf(ask(**how), error)
                self.assertIn(complaint, failure.getErrorMessage())


class AddressTests(ServerTestCase):
    """Both ends of a message are known."""

    def test_asked(self) -> None:
        """A request knows which address of ours was asked, where the socket can tell."""
        hosts = []

        class Where(Resource):
            def render_GET(self, request: Any) -> None:
                hosts.append(request.getHost())

        self.serve(Where())
        self.ask()
        for address in ("192.0.2.7", "2001:db8::7"):
            local = LocalAddress(address, False, 1, ())
            data = encode(CON, 1, len(hosts), b"t")
            self.protocol.datagramReceived(data, ("192.0.2.9", 1), local)
        self.assertEqual(
            hosts,
            [
                IPv4Address("UDP", "192.0.2.1", 5683),
                IPv4Address("UDP", "192.0.2.7", 5683),
                IPv6Address("UDP", "2001:db8::7", 5683),
            ],
        )


class SocketTests(TestCase):
    """Over real sockets."""

    async def test_bothEnds(self) -> None:
        """A wildcard socket knows the address that was asked; a response its sender, and our port."""
        hosts = []

        class Where(Resource):
            def render_GET(self, request: Any) -> None:
                hosts.append(request.getHost())

        listening: Any = await serverFromString(reactor, "udp:0:interface=0.0.0.0").listen(Site(Where()))
        self.addCleanup(listening.stopListening)
        port = listening.getHost().port
        agent = Agent(reactor)
        self.addCleanup(agent.close)
        response = await agent.get(host="127.0.0.1", port=port)
        self.assertEqual(hosts, [IPv4Address("UDP", "127.0.0.1", port)])
        self.assertEqual(response.getPeerAddress(), IPv4Address("UDP", "127.0.0.1", port))
        self.assertEqual([response.getHost()], agent.getHosts())


class HostTests(SynchronousTestCase):
    """The socket's own address."""

    def test_afterwards(self) -> None:
        """A protocol asks its socket once, and anew when it has another."""

        class Transport:
            def __init__(self, port: int) -> None:
                self.port = port

            def getHost(self) -> IPv4Address:
                self.port += 1
                return IPv4Address("UDP", "192.0.2.1", self.port)

        agent = StubAgent(Told())
        protocol = CoAPProtocol(None, agent.clock)
        for port in (10, 20):
            protocol.makeConnection(Transport(port))  # type: ignore[arg-type]
            ports = [protocol.getHost().port for _ in range(2)]  # type: ignore[attr-defined]
            self.assertEqual(ports, [port + 1, port + 1])
            protocol.doStop()
