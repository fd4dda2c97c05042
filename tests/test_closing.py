"""
Tests for what a protocol does with observations, of both roles, when its socket closes.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.wire import CLIENT, LIFETIME, SERVER, Keeping, ServerTestCase
from txcoap.client import Agent
from txcoap.errors import SocketClosed
from txcoap.observe import ObservableResource
from txcoap.protocol import CoAPProtocol
from txcoap.request import Request


class Clock(ObservableResource):
    """Can be observed."""

    isLeaf = True

    def render_GET(self, request: Request) -> str:
        return "now"


class ClosingTests(ServerTestCase):
    """A socket that closes takes its observations with it."""

    def setUp(self) -> None:
        """Observe a resource."""
        super().setUp()
        self.peer.socket.stopListening()
        self.clock = Clock()
        self.serve(self.clock)
        self.client = CoAPProtocol(None, self.reactor, chance=Random(9))
        self.clientSocket = self.wire.open(self.client, CLIENT)
        self.agent = Agent(self.reactor, protocol=self.client)
        waiting = self.agent.observe("coap://192.0.2.1/")
        self.wire.settle()
        self.observation: Any = self.successResultOf(waiting)
        self.assertEqual(self.clock.observerCount, 1)

    def test_server(self) -> None:
        """The resource has no observers any more, and no timer is left."""
        self.socket.stopListening()
        self.assertEqual(self.clock.observerCount, 0)
        self.clock.notifyObservers()
        self.clientSocket.stopListening()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_client(self) -> None:
        """Whoever observes learns that it is over, and no timer is left."""
        ended = self.observation.notifyEnd()
        self.clientSocket.stopListening()
        self.assertIsInstance(self.successResultOf(ended), SocketClosed)
        self.socket.stopListening()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_afterwards(self) -> None:
        """On a closed socket nothing can be observed."""
        self.clientSocket.stopListening()
        self.failureResultOf(self.agent.observe("coap://192.0.2.1/"), SocketClosed)

    def test_whileItWaits(self) -> None:
        """An observation that waits to register again ends too."""
        self.socket.stopListening()
        self.reactor.elapse(70)
        self.clientSocket.stopListening()
        self.reactor.elapse(400)
        self.assertIsInstance(self.successResultOf(self.observation.notifyEnd()), SocketClosed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertNotIn(SERVER, self.wire.sockets)


class AtOnceTests(ServerTestCase):
    """Several things end at the same time; who is told of the first may end the others."""

    def test_requests(self) -> None:
        """A request that is finished because another was given up."""
        kept = Keeping()
        self.serve(kept)
        self.ask(token=b"1")
        self.ask(token=b"2")
        one, two = kept.requests
        one.notifyFinish().addErrback(lambda _: two.finish())
        given = two.notifyFinish()
        self.reactor.elapse(2 * LIFETIME)
        self.assertTrue(two.finished)
        self.assertTrue(given.called)
        given.addErrback(lambda _: None)
        self.assertEqual({name: size for name, size in self.protocol.sizes().items() if size}, {})

    def test_groups(self) -> None:
        """A gathering that is stopped because another is over."""
        agent = Agent(self.reactor, protocol=self.newClient())
        one, two = (agent.multicast("coap://224.0.1.187/x") for _ in range(2))
        both = [one.all(), two.all()]
        both[0].addCallback(lambda found: two.stop())
        self.reactor.elapse(30)
        self.assertIsNone(self.successResultOf(both[0]))
        self.assertEqual(self.successResultOf(both[1]), [])

    def newClient(self) -> CoAPProtocol:
        """A client's."""
        protocol = CoAPProtocol(None, self.reactor, chance=Random(9))
        self.wire.open(protocol, ("192.0.2.8", 40000))
        return protocol


class ReopeningTests(ServerTestCase):
    """A protocol that is given another socket after its first was closed."""

    def test_forgets(self) -> None:
        """Nothing of what the first socket left undone goes on; what peers ask anew is answered."""
        kept = Keeping()
        self.serve(kept)
        self.ask(token=b"1")
        self.reactor.advance(0.05)
        kept.requests[0].write(b"never acknowledged")
        kept.requests[0].finish()
        self.ask(token=b"2")
        self.socket.stopListening()
        self.peer.take()
        kept.requests[1].acknowledge()
        kept.requests[1].finish()
        self.wire.open(self.protocol, SERVER)
        self.assertEqual(set(self.protocol.sizes().values()), {0})
        self.assertEqual(self.protocol.counters.received, 0)
        self.ask(token=b"3")
        kept.requests[2].finish()
        self.assertEqual(self.peer.takeOne().token, b"3")
        self.reactor.elapse(300)
        self.assertEqual(self.peer.take(), [])
        self.assertEqual(set(self.protocol.sizes().values()), {0})
