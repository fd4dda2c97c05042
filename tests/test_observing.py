"""
Tests for observing with txcoap at both ends, on a network in memory.
"""

from __future__ import annotations

from typing import Any

from tests.observing import ClientTestCase
from tests.watching import Counter
from txcoap.client import Agent
from txcoap.memory import SERVER_HOST
from txcoap.observation import Observation
from txcoap.observe import ObservableResource
from txcoap.resource import Resource
from txcoap.server import Site


class ServedTests(ClientTestCase):
    """With a real server."""

    def setUp(self) -> None:
        """A number and a large state."""
        super().setUp()
        self.root = Resource()
        self.counter, self.large = Counter(), Large()
        self.root.putChild("n", self.counter)
        self.root.putChild("large", self.large)
        self.port = self.network.listen(Site(self.root))

    def observe(self, path: str = "n") -> tuple[Observation, list[bytes]]:
        """Observe; the states as they come."""
        observing = self.agent.observe(f"coap://{SERVER_HOST}/{path}")
        self.network.flush()
        observation = self.successResultOf(observing)
        states: list[bytes] = []
        observation.subscribe(lambda state: states.append(state.payload))
        return observation, states

    def test_states(self) -> None:
        """Each change comes; after the end nothing is left on either side."""
        observation, states = self.observe()
        for _ in range(5):
            self.counter.count()
            self.network.flush()
        observation.cancel()
        self.counter.count()
        self.network.flush()
        self.assertEqual([b"%d" % n for n in range(6)], states)
        self.assertNothingLeft()
        self.assertEqual(0, self.port.protocol.sizes()["observers"])

    def test_large(self) -> None:
        """So do large states, whole, also when they change while they are fetched."""
        _, states = self.observe("large")
        self.network.latency = 0.1
        for letter in (b"b", b"c", b"d"):
            self.large.change(letter)
            self.network.advance(0.25)
        self.network.advance(5.0)
        self.assertEqual(b"d" * 5000, states[-1])
        self.assertTrue(all(len(set(state)) == 1 for state in states))

    def test_restart(self) -> None:
        """A server that comes back without memory is asked again."""
        observation, states = self.observe()
        self.port.stopListening()
        self.network.advance(20.0)
        self.counter.value = 50
        self.root = Resource()
        fresh = Counter(50)
        self.root.putChild("n", fresh)
        self.port = self.network.listen(Site(self.root))
        self.network.advance(80.0)
        self.assertEqual(b"50", states[-1])
        fresh.count()
        self.network.flush()
        self.assertEqual(b"51", states[-1])
        self.assertIsNone(observation.reason)

    def test_bothRoles(self) -> None:
        """One socket observes, and is observed, with the same token even (RFC 7641 4.1)."""
        own = Counter(100)
        root = Resource()
        root.putChild("own", own)
        self.protocol.site = Site(root)
        _, states = self.observe()
        there: list[bytes] = []
        host, port = self.protocol.transport.address
        protocol = self.port.protocol
        observing = Agent(self.network.reactor, protocol=protocol).observe(f"coap://{host}:{port}/own")
        self.network.flush()
        self.successResultOf(observing).subscribe(lambda state: there.append(state.payload))
        self.counter.count()
        own.count()
        self.network.flush()
        self.assertEqual(([b"0", b"1"], [b"100", b"101"]), (states, there))

    def test_sharedAddress(self) -> None:
        """Clients behind one address, as a NAT makes them, are told apart by port."""
        everyone: list[list[Any]] = []
        for port in (1000, 1001, 1002):
            agent = self.network.agent("192.0.2.50", port)
            observing = agent.observe(f"coap://{SERVER_HOST}/n", token=b"same")
            self.network.flush()
            everyone.append([])
            self.successResultOf(observing).subscribe(everyone[-1].append)
        self.counter.count()
        self.network.flush()
        for states in everyone:
            self.assertEqual([b"0", b"1"], [state.payload for state in states])


class Large(ObservableResource):
    """A state of several blocks, of one letter."""

    body = b"a" * 5000

    def change(self, letter: bytes) -> None:
        """Another letter, and tell."""
        self.body = letter * 5000
        self.notifyObservers()

    def render_GET(self, request: Any) -> bytes:
        """All of it."""
        return self.body
