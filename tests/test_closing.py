"""
Tests for what a protocol does with observations, of both roles, when its socket closes.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.wire import CLIENT, SERVER, ServerTestCase
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
