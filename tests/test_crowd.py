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
        told: list[list[str]] = []
        missing = CLIENTS * EACH
        done: Deferred[None] = Deferred()

        def follow(observation: Observation) -> None:
            states: list[str] = []
            told.append(states)

            def take(state: ReceivedResponse) -> None:
                nonlocal missing
                states.append(state.text())
                missing -= 1
                if not missing:
                    done.callback(None)

            observation.subscribe(take)

        for _ in range(CLIENTS):
            agent = Agent(reactor, parameters=Parameters(NSTART=EACH))
            self.addCleanup(agent.close)
            observing = [agent.observe(uri) for _ in range(EACH)]
            for observation in await gatherResults(observing):
                follow(observation)
        self.assertEqual(CLIENTS * EACH, count.observerCount)

        await done

        asker = Agent(reactor)
        self.addCleanup(asker.close)
        for tick in range(1, TICKS + 1):
            missing, done = CLIENTS * EACH, Deferred()
            count.value = tick
            count.notifyObservers()
            self.assertEqual(str(tick), (await asker.get(uri)).text())
            self.assertTrue(missing)
            await done
        expected = [str(tick) for tick in range(TICKS + 1)]
        self.assertEqual([expected] * (CLIENTS * EACH), told)
        self.assertEqual((0, 0), (port.protocol.counters.retransmissions, port.protocol.counters.duplicates))
