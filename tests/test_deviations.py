"""
Tests for what node-coap is known to get wrong, where no other test shows that it is right here. The whole
list is in C{docs/porting/features.rst}.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcoap import NOT_DONE_YET, Code, Options, Parameters, Request, Resource, Response, Site
from txcoap.sansio.datagrams import ACK, CON, NON, decode
from txcoap.testing import MemoryNetwork, ScriptedPeer, StubAgent

# No time-out is drawn, so that each repetition has its second.
STEADY = Parameters(ACK_RANDOM_FACTOR=1.0)


class Anything(Resource):
    """Says what it is given: as much of it, and how often."""

    isLeaf = True

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.requests: list[Request] = []

    def render_GET(self, request: Request) -> Any:
        """The answer, or how many bytes came."""
        self.requests.append(request)
        return f"{len(request.payload)}" if self.answer is None else self.answer

    render_POST = render_PUT = render_GET


class DeviationCase(SynchronousTestCase):
    """A server of ours, one that is scripted, and an agent."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.peer = ScriptedPeer(self.network)
        self.addCleanup(self.peer.check)

    def serve(self, resource: Resource) -> Any:
        """Serve a resource by the rules of L{STEADY}."""
        return self.network.listen(Site(resource, parameters=STEADY))

    def ask(self, port: Any, type: Any, code: Any, token: bytes, **how: Any) -> list[Any]:
        """Send a server a message, from the peer, which hears one from then on; what it says at once."""
        before = len(self.network.passages)
        self.peer.send(port.address, type, code, token, **how)
        self.peer.expect()
        self.network.flush()
        return [decode(each.data) for each in list(self.network.passages)[before + 1 :]]


class ClientTests(DeviationCase):
    """The client."""

    def setUp(self) -> None:
        super().setUp()
        self.sent: list[Any] = []
        self.agent = self.network.agent(
            parameters=STEADY.evolve(NSTART=2),
            trace=lambda way, data, peer: self.sent.append(decode(data)) if way == "sent" else None,
        )

    def test_sameMessageID(self) -> None:
        """A response in a message of the server's own is no acknowledgement, though its ID is ours (4.4)."""
        self.peer.expect(uriPath=("a",))
        self.peer.expect(uriPath=("b",)).acknowledge()
        a = self.agent.get("coap://192.0.2.3/a")
        b = self.agent.get("coap://192.0.2.3/b")
        self.network.flush()
        (askedA, sender), (askedB, _) = self.peer.heard
        self.peer.expect(type=ACK, code=0, messageID=askedA.messageID)
        self.peer.send(sender, CON, "2.05", askedB.token, b"b", messageID=askedA.messageID)
        self.network.flush()
        self.assertEqual(self.successResultOf(b).payload, b"b")
        self.assertNoResult(a)
        self.peer.expect(uriPath=("a",)).reply("2.05", b"a")
        self.network.advance(3)
        self.assertEqual(self.successResultOf(a).payload, b"a")

    def test_duplicatedAcknowledgement(self) -> None:
        """A response in an acknowledgement that comes twice is not answered (RFC 7252 4.2)."""
        self.peer.expect().reply("2.05", b"x").reply("2.05", b"x")
        asking = self.agent.get("coap://192.0.2.3/")
        self.network.advance(1)
        self.assertEqual(self.successResultOf(asking).payload, b"x")
        self.assertEqual(len(self.sent), 1)

    def test_text(self) -> None:
        """A body of text is as long as its bytes: what is too long for a message in UTF-8 goes in blocks."""
        agent = StubAgent(Anything())
        response = self.successResultOf(agent.put("coap://test/", "\u00e9" * 1100))
        self.assertEqual(response.text(), "2200")

    def test_binaryEntityTag(self) -> None:
        """An entity tag is bytes, and stays what it is (RFC 7252 5.10.6)."""
        tag = bytes([0xFF, 0xFE, 0x00])
        agent = StubAgent(Anything(Response("2.05", b"x", etag=tag)))
        response = self.successResultOf(agent.get("coap://test/"))
        self.assertEqual((response.etag, response.headers["ETag"]), (tag, (tag,)))

    def test_deregisteringByHand(self) -> None:
        """Observe may be given as any other option: 1 is sent as one byte, 0 as none."""
        self.peer.expect(options=Options(observe=1)).reply("2.05")
        self.successResultOf(self._asked(observe=1))
        self.peer.expect(options=Options(observe=0)).reply("2.05")
        self.successResultOf(self._asked(observe=0))
        self.assertEqual([each.options.get(6) for each in self.sent], [(b"\x01",), (b"",)])

    def _asked(self, **how: Any) -> Any:
        asking = self.agent.get("coap://192.0.2.3/", **how)
        self.network.flush()
        return asking


class ServerTests(DeviationCase):
    """The server."""

    def test_neverAcknowledged(self) -> None:
        """Nobody acknowledges an answer that came apart: nothing is logged, and it serves on."""
        resource = Anything(NOT_DONE_YET)
        port = self.serve(resource)
        self.ask(port, CON, Code.GET, b"t")
        self.network.advance(1)
        self.peer.expect(type=CON, code="2.05", times=5)
        (request,) = resource.requests
        request.write(b"late")
        request.finish()
        self.network.advance(300)
        self.assertEqual(self.flushLoggedErrors(), [])
        resource.answer = b"again"
        (response,) = self.ask(port, NON, Code.GET, b"u")
        self.assertEqual(response.payload, b"again")

    def test_largeLate(self) -> None:
        """An answer that is written late may be larger than a datagram."""
        resource = Anything(NOT_DONE_YET)
        agent = StubAgent(resource)
        asking = agent.get("coap://test/")
        agent.advance(1)
        (request,) = resource.requests
        request.write(bytes(5000))
        request.finish()
        agent.advance(1)
        self.assertEqual(len(self.successResultOf(asking).payload), 5000)

    def test_farBlock(self) -> None:
        """Hostile: 16 bytes that claim to be the last block of a gibibyte take no memory: 4.08."""
        port = self.serve(Anything())
        far = Options.fromPairs([(27, bytes.fromhex("fffff6"))])
        tracemalloc.start()
        try:
            (response,) = self.ask(port, CON, Code.PUT, b"", payload=b"x", options=far)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertEqual(response.code, Code.REQUEST_ENTITY_INCOMPLETE)
        self.assertLess(peak, 2**20)

    def test_emptyBlock(self) -> None:
        """A Block1 of no bytes is that of a body of one block, of 16 bytes at most (RFC 7959 2.2)."""
        port = self.serve(Anything())
        empty = Options.fromPairs([(27, b"")])
        (response,) = self.ask(port, CON, Code.PUT, b"t", payload=bytes(16), options=empty)
        self.assertEqual((response.code, response.payload), (Code.CHANGED, b"16"))
