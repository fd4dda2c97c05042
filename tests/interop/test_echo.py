"""A server that limits what it sends to addresses that are not proven, with other implementations asking."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import TestCase

from txcoap import Code, Resource, Response, Site
from txcoap.observe import ObservableResource
from txcoap.transports import udp

from .peers import LOOPBACK4, Query, ask, baseURI

BODY = bytes(range(48, 58)) * 100


class Large(Resource):
    """A body larger than an address is sent that is not proven."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """It."""
        return BODY


class Lock(Resource):
    """What must be opened now, or not at all."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.opened = 0

    def render_PUT(self, request: Any) -> Response:
        """Open it."""
        request.requireFresh(10)
        self.opened += 1
        return Response(Code.CHANGED)


class State(ObservableResource):
    """What can be observed."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """It."""
        return b"on"


class GuardedTests(TestCase):
    """Who knows Echo gets all; who does not gets what is asked for in small blocks."""

    timeout = 60

    def serve(self) -> tuple[str, Any]:
        """Start our server; its URI, and its protocol."""
        from twisted.internet import reactor

        root = Resource()
        self.lock = Lock()
        for name, resource in (("large", Large()), ("lock", self.lock), ("state", State())):
            root.putChild(name, resource)
        protocol = Site(root, amplification=3).buildProtocol(reactor)
        port: Any = udp.listenUDP(reactor, 0, protocol, LOOPBACK4)
        self.addCleanup(port.stopListening)
        return baseURI(LOOPBACK4, port.getHost().port), protocol

    async def test_libcoap(self) -> None:
        """libcoap's client answers an Echo by itself."""
        base, protocol = self.serve()
        answers = await ask(self, "libcoap", Query("GET", f"{base}/large"))
        self.assertEqual(b"".join(each.payload for each in answers if each.code == "2.05"), BODY)
        *_, answer = await ask(self, "libcoap", Query("PUT", f"{base}/lock", payload=b"open"))
        self.assertEqual((answer.code, self.lock.opened), ("2.04", 1))
        self.assertTrue(protocol.counters.echoesDemanded >= 1)
        self.assertEqual(protocol.sizes()["provenAddresses"], 1)

    async def test_others(self) -> None:
        """The clients of aiocoap and node-coap, which know no Echo, get a large body in small blocks."""
        for peer in ("aiocoap", "node-coap"):
            base, protocol = self.serve()
            uri = f"{base}/large?something=to-make-the-request-a-little-longer"
            (answer,) = await ask(self, peer, Query("GET", uri))
            self.assertEqual((answer.code, answer.payload), ("2.05", BODY), peer)
            self.assertEqual(protocol.sizes()["provenAddresses"], 0)
            (answer,) = await ask(self, peer, Query("PUT", f"{base}/lock", payload=b"open"))
            self.assertEqual((answer.code, self.lock.opened), ("4.01", 0), peer)
