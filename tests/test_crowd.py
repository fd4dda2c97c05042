"""
Many observers at once, over real sockets (RFC 7641 4.5.1): what a burst of notifications must not do.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from txcoap import Agent, ObservableResource, Parameters, Request, Resource, Site, endpoints
from txcoap.observation import Observation
from txcoap.received import ReceivedResponse

CLIENTS = 100
EACH = 10
TICKS = 3


class Count(ObservableResource):
    """A number."""

    isLeaf = True
    value = 0

    def render_GET(self, request: Request) -> str:
        """The number as it is."""
        return str(self.value)


class Crowd:
    """
    Who observes, and what each was told.

    @ivar told: The states, of each.
    @ivar missing: How many are still to be told of the newest.
    @ivar done: Fires when none is.
    """

    def __init__(self) -> None:
        self.told: list[list[str]] = []
        self.expect()

    def expect(self) -> None:
        """All are to be told of a state."""
        self.missing = CLIENTS * EACH
        self.done: Deferred[None] = Deferred()

    def follow(self, observation: Observation) -> None:
        """One more."""
        states: list[str] = []
        self.told.append(states)

        def take(state: ReceivedResponse) -> None:
            states.append(state.text())
            self.missing -= 1
            if not self.missing:
                self.done.callback(None)

        observation.subscribe(take)


class CrowdTests(TestCase):
    """A thousand observers of one server, on loopback."""

    timeout = 60

    async def test_ticks(self) -> None:
        """
        Of a thousand observers none misses a state and none is told it twice, no acknowledgement is lost, and
        a request amid the notifications is answered before they are all out.
        """
        root, count = Resource(), Count()
        root.putChild("count", count)
        endpoint = endpoints.serverFromString(reactor, "udp:0:interface=127.0.0.1")
        port: Any = await endpoint.listen(Site(root))
        self.addCleanup(port.stopListening)
        uri = f"coap://127.0.0.1:{port.getHost().port}/count"
        crowd = Crowd()
        for _ in range(CLIENTS):
            agent = Agent(reactor, parameters=Parameters(NSTART=EACH))
            self.addCleanup(agent.close)
            observing = [agent.observe(uri) for _ in range(EACH)]
            for observation in await gatherResults(observing):
                crowd.follow(observation)
        self.assertEqual(CLIENTS * EACH, count.observerCount)
        await crowd.done

        asker = Agent(reactor)
        self.addCleanup(asker.close)
        for tick in range(1, TICKS + 1):
            crowd.expect()
            count.value = tick
            count.notifyObservers()
            self.assertEqual(str(tick), (await asker.get(uri)).text())
            self.assertTrue(crowd.missing)
            await crowd.done
        expected = [str(tick) for tick in range(TICKS + 1)]
        self.assertEqual([expected] * (CLIENTS * EACH), crowd.told)
        self.assertEqual((0, 0), (port.protocol.counters.retransmissions, port.protocol.counters.duplicates))
