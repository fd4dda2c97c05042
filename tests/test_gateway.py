"""
Tests for L{txcoap.proxy} and L{txcoap.relay}: what clients get where the origin gives no answer.
"""

from __future__ import annotations

from typing import Any

from tests.test_proxy import ORIGIN, PEER, PROXY, PROXY_HOST, Looping, ProxyCase
from txcoap.codes import Code
from txcoap.limits import Limits
from txcoap.message import Response
from txcoap.options import NO_OPTIONS, Options
from txcoap.parameters import Parameters
from txcoap.proxy import ForwardProxy
from txcoap.relay import Relay
from txcoap.request import NOT_DONE_YET, Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import NON, decode
from txcoap.server import Site
from txcoap.testing import ScriptedPeer
from txcoap.uri import URI


class GatewayTests(ProxyCase):
    """What a client is told of a server that does not answer (RFC 7252 5.9.3)."""

    def test_name(self) -> None:
        """A name without address: 5.02."""
        self.serve()
        self.assertAnswer(self.ask("coap://nobody.example/"), "5.02", "the server's name was not found")

    def test_refused(self) -> None:
        """Nobody listens there: 5.02 at once."""
        self.serve()
        self.assertAnswer(self.ask("coap://192.0.2.1:9/"), "5.02", "the server cannot be reached")

    def test_silent(self) -> None:
        """No answer in time: 5.04; the proxy's time-out can be set."""
        self.serve(timeout=5)
        ScriptedPeer(self.network, PEER).expect(times=2)
        asking = self.client.get(f"coap://{PEER}/", proxy=PROXY)
        self.assertAnswer(self.wait(asking, 6), "5.04")

    def test_silentByDefault(self) -> None:
        """Without one it is that of the agent, MAX_TRANSMIT_WAIT."""
        self.serve()
        ScriptedPeer(self.network, PEER).expect(times=5)
        asking = self.client.get(f"coap://{PEER}/", proxy=PROXY)
        self.network.advance(60)
        self.assertNoResult(asking)
        self.assertAnswer(self.wait(asking, 35), "5.04")

    def test_reset(self) -> None:
        """A Reset: 5.02."""
        self.serve()
        ScriptedPeer(self.network, PEER).expect().reset()
        self.assertAnswer(self.ask(f"coap://{PEER}/"), "5.02", "the server rejected the request")

    def test_queueFull(self) -> None:
        """Too many wait for one server: 5.03 with Max-Age."""
        self.upstream = self.network.agent("192.0.2.83", limits=Limits(queuedRequests=1))
        self.serve()
        ScriptedPeer(self.network, PEER).expect(times=2)
        parameters = Parameters(NSTART=10)
        uris = [f"coap://{PEER}/{number}" for number in range(3)]
        asking = [self.client.get(uri, proxy=PROXY, parameters=parameters) for uri in uris]
        self.network.flush()
        response = self.successResultOf(asking[2])
        self.assertEqual((response.code, response.maxAge), (Code.SERVICE_UNAVAILABLE, 1))
        for each in asking[:2]:
            each.addErrback(lambda _: None).cancel()

    def test_noResponse(self) -> None:
        """Silence that the client asks for holds on both legs (RFC 7967)."""
        self.serve()
        asking = self.client.put(ORIGIN, b"x", proxy=PROXY, noResponse=26, confirmable=False)
        self.network.flush()
        self.assertIsNone(self.successResultOf(asking))
        self.assertEqual(self.origin.options.noResponse, 26)
        sent = [decode(each.data).type for each in self.network.passages]
        self.assertEqual(sent, [NON, NON])
        asking = self.client.put(ORIGIN, b"x", proxy=PROXY, noResponse=26)
        self.assertIsNone(self.wait(asking, 1))

    def test_cancelled(self) -> None:
        """When nobody waits any more the request to the server is taken back."""
        proxy = self.serve()
        self.origin.responses = [NOT_DONE_YET]
        asking = self.client.get(ORIGIN, proxy=PROXY)
        self.network.advance(1)
        self.assertEqual(proxy.underWay, 1)
        self.assertEqual(self.openRequests(), 1)
        self.port.stopListening()
        self.network.flush()
        self.assertEqual((proxy.underWay, self.openRequests()), (0, 0))
        asking.addErrback(lambda _: None).cancel()

    def openRequests(self) -> int:
        """How many requests of the proxy are open."""
        protocol: Any = self.upstreamPort.protocol
        return int(protocol.sizes()["openRequests"])

    def test_close(self) -> None:
        """Closing it closes what its agent opened."""
        proxy = self.serve()
        self.successResultOf(proxy.close())
        self.successResultOf(ForwardProxy(Looping(self.upstream, PROXY)).close())


class Several(Relay):
    """Asks one server after the other."""

    def __init__(self, agent: Any, *uris: str) -> None:
        super().__init__(agent)
        self.uris = uris

    async def findHops(self, request: Request) -> list[tuple[URI, Options]]:
        return [(URI.fromText(each), NO_OPTIONS) for each in self.uris]


class SeveralTests(ProxyCase):
    """A relay that knows several servers."""

    def get(self, *uris: str) -> Response:
        """What it answers, below its own path."""
        root = Resource()
        root.putChild("any", Several(self.upstream, *uris))
        self.network.listen(Site(root), PROXY_HOST)
        return self.ask(f"{PROXY}/any/below", proxy=None)

    def test_next(self) -> None:
        """One that cannot be reached is passed over."""
        self.assertAnswer(self.get("coap://192.0.2.1:9/", ORIGIN + "/x", ORIGIN + "/y"), "2.05", "GET /x")
        self.assertEqual(len(self.origin.requests), 1)

    def test_none(self) -> None:
        """When none can be it is 5.02."""
        self.assertAnswer(self.get("coap://192.0.2.1:9/", "coap://192.0.2.1:10/"), "5.02")

    def test_notListed(self) -> None:
        """What is behind it is not listed."""
        self.get(ORIGIN)
        links = self.wait(self.client.get(f"{PROXY}/.well-known/core"))
        self.assertNotIn("any", links.text())
