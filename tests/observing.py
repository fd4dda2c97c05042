"""
What the tests of observing have in common: a client, or a server, and at the other end one made by hand.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.watching import Counter, Teller, Watcher
from txcoap.errors import Forbidden
from txcoap.memory import SERVER_HOST
from txcoap.observation import Observation
from txcoap.resource import Resource
from txcoap.sansio.datagrams import Datagram
from txcoap.server import Site
from txcoap.testing import MemoryNetwork

URI = f"coap://{SERVER_HOST}/n"
TOKEN = b"\x0a\x0b"

# RFC 7641 3.3.1: after Max-Age the client waits 5 to 15 seconds more.
LEAST, MOST = 5.0, 15.0


class ClientTestCase(SynchronousTestCase):
    """A client."""

    def setUp(self) -> None:
        """It has its socket."""
        self.network = MemoryNetwork()
        self.agent = self.network.agent()
        self.protocol = next(iter(self.network._ports.values())).protocol

    def assertNothingLeft(self) -> None:
        """No table of the client has anything, and the clock has no call for it."""
        self.network.advance(300.0)
        sizes = self.protocol.sizes()
        # Of a closed socket peers and duplicates are forgotten with the protocol.
        spared = () if self.protocol.isOpen else ("peers", "remembered", "rememberedBytes")
        left = {name: size for name, size in sizes.items() if size and name not in ("deadlines", *spared)}
        self.assertEqual({}, left)
        self.assertFalse(self.protocol._observing)
        self.assertEqual([], self.network.clock.getDelayedCalls())


class TellerTestCase(ClientTestCase):
    """A client, and a server made by hand."""

    def setUp(self) -> None:
        """Nothing is asked yet."""
        super().setUp()
        self.server = Teller(self.network)

    def ask(self, **how: Any) -> tuple[Deferred[Observation], Datagram]:
        """Observe; the request that comes to the server."""
        observing = self.agent.observe(URI, token=TOKEN, **how)
        return observing, self.server.newsOne()

    def observe(self, payload: bytes = b"0", number: int = 10, maxAge: int = 60, **how: Any) -> Observation:
        """Observe what a server takes; its first state is already read."""
        observing, request = self.ask(**how)
        self.server.answer(request, payload, observe=number, maxAge=maxAge)
        observation = self.successResultOf(observing)
        self.assertEqual(payload, self.next(observation))
        return observation

    def next(self, observation: Observation) -> bytes:
        """The state that is here."""
        state = self.successResultOf(Deferred.fromCoroutine(observation.__anext__()))
        return state.payload

    def reading(self, observation: Observation) -> Deferred[Any]:
        """The state that comes next."""
        return Deferred.fromCoroutine(observation.__anext__())

    def tell(self, payload: bytes, number: int, **values: Any) -> Datagram:
        """A notification, and what the client says to it."""
        reply = self.server.tell(TOKEN, payload, observe=number, **values)
        assert reply is not None
        return reply


class ServerTestCase(SynchronousTestCase):
    """A server with an observable number at C{/n}, and someone to observe it."""

    def setUp(self) -> None:
        """Nobody observes yet."""
        self.network = MemoryNetwork()
        self.root = Resource()
        self.counter = self.put("n", Counter())
        self.port = self.network.listen(Site(self.root))
        self.watcher = Watcher(self.network)

    def put(self, path: str, resource: Any) -> Any:
        """Serve a resource."""
        self.root.putChild(path, resource)
        return resource

    def sizes(self) -> dict[str, int]:
        """What the server keeps."""
        sizes: dict[str, int] = self.port.protocol.sizes()
        return sizes

    def change(self, resource: Any = None) -> list[bytes]:
        """Change the number; what the observer then hears."""
        (resource or self.counter).count()
        self.network.flush()
        return self.watcher.payloads()


def forbid(request: Any) -> Any:
    """A render method that refuses."""
    raise Forbidden("not for you")
