"""
Tests for L{txcoap.testing}.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import FileBodyProducer

import txcoap
from tests.recorders import Hearing
from txcoap import NOT_DONE_YET, Agent, Code, Parameters, Request, Resource, Response, Site
from txcoap.block import Block
from txcoap.errors import (
    NoAcknowledgement,
    NotFound,
    ResetReceived,
)
from txcoap.interfaces import IAgent, IDatagramReceiver
from txcoap.sansio.datagrams import ACK, CON, NON
from txcoap.testing import MemoryNetwork, ScriptedPeer, StubAgent


class Counting(Resource):
    """
    Counts what it is asked.
    """

    isLeaf = True

    def __init__(self) -> None:
        self.count = 0
        self.waiting: list[Deferred[bytes]] = []

    def render_GET(self, request: Request) -> bytes:
        return b"/".join(each.encode() for each in request.postpath)

    def render_POST(self, request: Request) -> Response:
        self.count += 1
        return Response(Code.CHANGED, b"%d" % self.count)

    def render_PUT(self, request: Request) -> Deferred[bytes]:
        waiting: Deferred[bytes] = Deferred()
        self.waiting.append(waiting)
        return waiting

    def render_DELETE(self, request: Request) -> int:
        return NOT_DONE_YET


class StubAgentTests(SynchronousTestCase):
    """An agent that asks resources without sockets."""

    def setUp(self) -> None:
        self.resource = Counting()
        self.agent = StubAgent(self.resource)

    def test_interface(self) -> None:
        """It is an agent."""
        self.assertTrue(IAgent.providedBy(self.agent))
        self.assertIsInstance(self.agent, Agent)

    def test_atOnce(self) -> None:
        """What is answered at once is there at once, whatever the name."""
        for uri in ("coap://test/a", "coap://light.example/a", "coap://192.0.2.1/a"):
            self.assertEqual(self.successResultOf(self.agent.get(uri)).payload, b"a")

    def test_methods(self) -> None:
        """Each method of an Agent is there."""
        response = self.successResultOf(self.agent.post("coap://test/", b"x"))
        self.assertEqual((response.code, response.payload), (Code.CHANGED, b"1"))
        self.assertEqual(self.successResultOf(self.agent.fetch("coap://test/")).code, Code.METHOD_NOT_ALLOWED)
        self.assertIsNone(self.successResultOf(self.agent.ping("coap://test")))

    def test_later(self) -> None:
        """What is answered later is there when time has passed."""
        asked = self.agent.put("coap://test/", b"x")
        self.agent.advance(10.0)
        self.assertNoResult(asked)
        self.resource.waiting[0].callback(b"done")
        self.agent.flush()
        self.assertEqual(self.successResultOf(asked).payload, b"done")

    def test_never(self) -> None:
        """What is never answered fails in the end."""
        asked = self.agent.delete("coap://test/", timeout=5.0)
        self.agent.advance(5.1)
        self.failureResultOf(asked)

    def test_nonConfirmable(self) -> None:
        """Non-confirmable requests as well."""
        response = self.successResultOf(self.agent.get("coap://test/a", confirmable=False))
        self.assertEqual((response.payload, response.isConfirmable), (b"a", False))

    def test_errors(self) -> None:
        """An exception in a resource becomes 5.00 and is logged, as it would be."""

        class Broken(Resource):
            isLeaf = True

            def render_GET(self, request: Request) -> bytes:
                raise ZeroDivisionError

        response = self.successResultOf(StubAgent(Broken()).get("coap://test/"))
        self.assertEqual(response.code, Code.INTERNAL_SERVER_ERROR)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_site(self) -> None:
        """A Site can be given instead of a resource."""
        site = Site(Resource())
        agent = StubAgent(site)
        self.assertIs(agent.site, site)
        response = self.successResultOf(agent.get("coap://test/none"))
        self.assertRaises(NotFound, response.raiseForCode)

    def test_network(self) -> None:
        """A network can be given, and be as bad as it is."""
        network = MemoryNetwork(loss=1.0)
        agent = StubAgent(self.resource, network=network, parameters=Parameters(ACK_TIMEOUT=0.1))
        asked = agent.get("coap://test/a")
        agent.advance(10.0)
        self.failureResultOf(asked, NoAcknowledgement)
        network.loss = 0.0
        self.assertEqual(self.successResultOf(agent.get("coap://test/a")).payload, b"a")

    def test_agentParameters(self) -> None:
        """What an agent takes is taken here too; the agents of a network take it as well."""
        network = MemoryNetwork()
        for agent in (StubAgent(self.resource, network=network, blockSize=16), network.agent(blockSize=16)):
            agent.post("coap://192.0.2.1/a", bytes(20))
            network.flush()
            datagram = network.passages[0].datagram
            assert datagram is not None
            self.assertEqual(datagram.options.block1, Block(0, True, 0))
            network.passages.clear()

    def test_cooperator(self) -> None:
        """What does its work bit by bit does it in the network's time."""
        agent = StubAgent(self.resource)
        producer = FileBodyProducer(BytesIO(bytes(5000)), cooperator=agent.network.cooperator, readSize=100)
        asking = agent.post("coap://test/a", producer)
        agent.flush()
        self.assertEqual(self.successResultOf(asking).code, Code.CHANGED)

    def test_trace(self) -> None:
        """A trace sees each message."""
        seen: list[str] = []
        agent = StubAgent(self.resource, trace=lambda way, data, peer: seen.append(way))
        self.successResultOf(agent.get("coap://test/a"))
        self.assertEqual(seen, ["sent", "received"])

    def test_withinResource(self) -> None:
        """A resource may itself ask by a StubAgent, as a proxy does."""
        inner = self.agent

        class Outer(Resource):
            isLeaf = True

            def render_GET(self, request: Request) -> Deferred[Any]:
                asked: Deferred[Any] = inner.get("coap://test/inner")
                return asked.addCallback(lambda response: response.payload)

        response = self.successResultOf(StubAgent(Outer()).get("coap://test/"))
        self.assertEqual(response.payload, b"inner")


class ScriptedPeerTests(SynchronousTestCase):
    """A peer that says what it is told, and hears what it is told."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.peer = ScriptedPeer(self.network)
        self.agent = self.network.agent()

    def ask(self, **how: Any) -> Deferred[Any]:
        """Ask the peer."""
        asked: Deferred[Any] = self.agent.get("coap://192.0.2.3/light", **how)
        self.network.flush()
        return asked

    def test_interface(self) -> None:
        """It takes datagrams as a protocol does."""
        self.assertTrue(IDatagramReceiver.providedBy(self.peer))

    def test_reply(self) -> None:
        """It answers what it expects, by default in the acknowledgement."""
        self.peer.expect(type=CON, code="GET", uriPath=("light",), accept=None).reply(
            "2.05", b"on", contentFormat=0
        )
        response = self.successResultOf(self.ask())
        self.assertEqual((response.code, response.payload, response.contentFormat), (Code.CONTENT, b"on", 0))
        self.assertFalse(response.isConfirmable)
        self.peer.check()
        self.assertEqual(len(self.peer.heard), 1)

    def test_replyNonConfirmable(self) -> None:
        """A non-confirmable request gets a non-confirmable answer."""
        self.peer.expect(type=NON).reply("4.04")
        self.assertEqual(self.successResultOf(self.ask(confirmable=False)).code, Code.NOT_FOUND)
        answer = self.network.passages[-1].datagram
        assert answer is not None
        self.assertEqual(answer.type, NON)

    def test_separate(self) -> None:
        """It can acknowledge, answer later, and expect the acknowledgement of that."""
        self.peer.expect(code=Code.GET).acknowledge().reply("2.05", b"on", type=CON, messageID=99, after=3.0)
        self.peer.expect(type=ACK, code=Code.EMPTY, messageID=99)
        asked = self.ask()
        self.network.advance(2.9)
        self.assertNoResult(asked)
        self.network.advance(0.2)
        self.assertEqual(self.successResultOf(asked).payload, b"on")
        self.peer.check()

    def test_reset(self) -> None:
        """It can reject."""
        self.peer.expect().reset()
        self.failureResultOf(self.ask(), ResetReceived)

    def test_repeated(self) -> None:
        """It can let a message come several times before it answers."""
        self.peer.expect(code="GET", times=3).reply("2.05")
        asked = self.ask()
        self.network.advance(2.9)
        self.assertNoResult(asked)
        self.network.advance(7.0)
        self.successResultOf(asked)
        self.peer.check()

    def test_wrongToken(self) -> None:
        """It can answer wrongly."""
        self.peer.expect().reply("2.05", token=b"wrong", options=txcoap.Options(maxAge=1))
        asked = self.ask()
        self.assertNoResult(asked)

    def test_raw(self) -> None:
        """It can send any bytes, and hear that a message format error is met by silence."""
        self.peer.expect(times=2).raw(b"\xff\xff")
        asked = self.ask()
        self.network.advance(3.1)
        self.assertNoResult(asked)
        self.peer.check()

    def test_send(self) -> None:
        """It can send what nothing called for; here a ping, and a request that nobody serves."""
        client = self.network.passages
        self.peer.expect().reply("2.05")
        self.successResultOf(self.ask())
        address = client[0].source
        number = self.peer.send(address, CON, Code.EMPTY)
        self.peer.expect(type=3, messageID=number)
        self.network.flush()
        self.peer.send(address, CON, "GET", b"t", messageID=500, uriPath=("a",))
        self.peer.expect(type=3, messageID=500)
        self.network.flush()
        self.peer.check()

    def test_wrong(self) -> None:
        """A message that differs from what is expected fails the test, and says in what."""
        self.peer.expect(code="GET", uriPath=("lamp",))
        error = self.assertRaises(AssertionError, self.ask)
        self.assertIn("uriPath is ('light',), not ('lamp',)", str(error))
        # Also if that was caught on the way.
        self.assertRaises(AssertionError, self.peer.check)

    def test_unexpected(self) -> None:
        """So does one where none is expected."""
        error = self.assertRaises(AssertionError, self.ask)
        self.assertIn("expected nothing", str(error))

    def test_noMessage(self) -> None:
        """So do bytes that are none."""
        self.peer.expect()
        self.network.listen(Hearing(), "192.0.2.8").send(b"?", self.peer.address)
        self.assertRaises(AssertionError, self.network.flush)

    def test_missing(self) -> None:
        """A message that did not come fails the check."""
        self.peer.check()
        self.peer.expect(code="GET", uriPath=("light",))
        error = self.assertRaises(AssertionError, self.peer.check)
        self.assertIn("did not hear", str(error))
        self.assertIn("uriPath=('light',)", str(error))

    def test_unknownField(self) -> None:
        """A field that messages do not have is refused where it is written."""
        self.assertRaises(ValueError, self.peer.expect, path=("light",))

    def test_unreachable(self) -> None:
        """What it sends to nobody is no failure of its own."""
        self.peer.send(("192.0.2.2", 1), NON, "2.05", b"t")
        self.network.flush()
        self.peer.check()
