"""
Tests for L{txcoap.proxy} and L{txcoap.relay}: observing through a forward proxy.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.test_proxy import PEER, PROXY, PROXY_HOST, UNSAFE, Clock, ProxyCase
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.limits import Limits
from txcoap.message import Response
from txcoap.observation import Observation
from txcoap.options import Options
from txcoap.proxy import AllowList, ForwardProxy
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON
from txcoap.server import Site
from txcoap.testing import ScriptedPeer


class ObserveTests(ProxyCase):
    """Observing through the proxy (RFC 7641 5)."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        root = Resource()
        root.putChild("clock", self.clock)
        root.putChild("echo", self.origin)
        self.network.listen(Site(root), "192.0.2.2")
        self.uri = "coap://192.0.2.2/clock"
        self.states: list[Response] = []

    def observe(self, uri: str = "", **how: Any) -> Any:
        """Observe through the proxy; the states go to C{states}."""
        observation = self.wait(self.client.observe(uri or self.uri, proxy=PROXY, **how))
        observation.subscribe(self.states.append)
        return observation

    def texts(self) -> list[str]:
        """The states so far."""
        return [state.text() for state in self.states]

    def test_states(self) -> None:
        """Each state goes on, as long as the client observes; then the proxy observes no more."""
        proxy = self.serve()
        observation = self.observe()
        self.assertTrue(observation.isEstablished)
        for state in "12":
            self.clock.tick(state)
            self.network.advance(1)
        self.assertEqual(self.texts(), ["0", "1", "2"])
        self.assertEqual((proxy.observations, self.clock.observerCount), (1, 1))
        observation.cancel()
        self.network.advance(1)
        self.assertEqual((proxy.observations, self.clock.observerCount), (0, 0))
        self.assertEqual(proxy.underWay, 0)

    def test_lazily(self) -> None:
        """A client that leaves without a word is noticed by its Reset."""
        proxy = self.serve()
        self.observe().cancel(lazily=True)
        self.clock.tick("1")
        self.network.advance(1)
        self.assertEqual((proxy.observations, self.clock.observerCount), (0, 0))

    def test_large(self) -> None:
        """States of many blocks come whole."""
        self.serve()
        self.clock.body = bytes(3000)
        self.observe()
        self.clock.body = bytes(4000)
        self.clock.tick("1")
        self.network.advance(2)
        self.assertEqual([len(state.payload) for state in self.states], [3000, 4000])

    def test_notObservable(self) -> None:
        """Where the server takes no observation, neither does the proxy."""
        proxy = self.serve()
        observation = self.observe("coap://192.0.2.2/echo")
        self.assertFalse(observation.isEstablished)
        self.assertEqual(self.texts(), ["GET /echo"])
        self.assertEqual(proxy.observations, 0)

    def test_error(self) -> None:
        """An error ends what it answers."""
        self.serve()
        observation = self.observe("coap://192.0.2.2/nothing")
        self.assertEqual([state.code for state in self.states], [Code.NOT_FOUND])
        self.assertFalse(observation.isEstablished)

    def test_ended(self) -> None:
        """The client is told when the server ends it, and why."""
        proxy = self.serve()
        observation = self.observe()
        self.clock.dismissObservers()
        self.network.advance(1)
        reason = self.successResultOf(observation.notifyEnd())
        self.assertEqual(reason.response.code, Code.NOT_FOUND)
        self.assertEqual(proxy.observations, 0)

    def test_unreachable(self) -> None:
        """Without an answer there is the error, and no observation."""
        self.serve()
        observation = self.observe("coap://192.0.2.1:9/")
        self.assertEqual([state.code for state in self.states], [Code.BAD_GATEWAY])
        self.assertFalse(observation.isEstablished)

    def test_again(self) -> None:
        """A client that asks again by the same token is one observer, here and there."""
        proxy = self.serve()
        self.observe(token=b"abc")
        self.network.advance(200)
        self.assertEqual((proxy.observations, self.clock.observerCount), (1, 1))

    def test_full(self) -> None:
        """Beyond the limit a request gets its answer, and does not observe."""
        proxy = self.serve(maximumObservations=1)
        self.assertTrue(self.observe().isEstablished)
        self.assertFalse(self.observe().isEstablished)
        self.assertEqual((proxy.observations, self.clock.observerCount), (1, 1))

    def test_fullMeanwhile(self) -> None:
        """So it is while the server has not answered those that ask first."""
        proxy = self.serve(maximumObservations=1)
        asking = [self.client.observe(self.uri, proxy=PROXY) for _ in range(3)]
        self.network.advance(1)
        established = [self.successResultOf(each).isEstablished for each in asking]
        self.assertEqual((established, proxy.observations), ([True, False, False], 1))

    def test_timeout(self) -> None:
        """The proxy's time-out is that of a request that observes too; then nothing goes through."""
        proxy = self.serve(timeout=5)
        peer = ScriptedPeer(self.network, PEER)
        peer.expect(code="GET").acknowledge()
        asking = self.client.observe(f"coap://{PEER}/", proxy=PROXY)
        self.network.advance(4)
        self.assertEqual((proxy.observations, proxy.underWay), (1, 1))
        self.network.advance(2)
        self.successResultOf(asking).subscribe(self.states.append)
        self.assertEqual([state.code for state in self.states], [Code.GATEWAY_TIMEOUT])
        self.assertEqual((proxy.observations, proxy.underWay), (0, 0))

    def test_serverSilent(self) -> None:
        """
        When the server no longer answers the client is told 5.04, and is noticed if it has gone as well: then
        nothing is left. A client that is still there asks again, and goes on when the server is back.
        """
        proxy = self.serve()
        here = self.observe()
        leaving = self.network.agent("192.0.2.99")
        self.wait(leaving.observe(self.uri, proxy=PROXY))
        self.assertEqual(proxy.observations, 2)
        silence = self.network.drop(lambda passage: "192.0.2.2" in _hostsOf(passage))
        self.network.drop(lambda passage: "192.0.2.99" in _hostsOf(passage))
        self.network.advance(1000)
        self.assertEqual(proxy.observations, 0)
        self.assertEqual(self.port.protocol.sizes()["observers"], 0)
        self.assertIsNone(here.reason)
        silence()
        self.clock.tick("1")
        self.network.advance(200)
        self.assertEqual((proxy.observations, self.texts()[-1]), (1, "1"))

    def test_lastState(self) -> None:
        """A state that comes without Observe is passed on as the last (RFC 7641 3.2)."""
        proxy = self.serve()
        peer = ScriptedPeer(self.network, PEER)
        peer.expect(code="GET").reply("2.05", b"0", observe=1)
        observation = self.observe(f"coap://{PEER}/")
        ((asked, _),) = peer.heard
        peer.expect(type=ACK)
        peer.send(self.upstreamPort.address, CON, Code.CONTENT, asked.token, b"1")
        self.network.advance(1)
        self.assertEqual(self.texts(), ["0", "1"])
        self.assertIsNotNone(self.successResultOf(observation.notifyEnd()))
        self.assertEqual((proxy.observations, self.port.protocol.sizes()["observers"]), (0, 0))

    def test_notForClients(self) -> None:
        """A state with an unknown option that is unsafe to forward is an error (RFC 7252 5.7.1)."""
        proxy = self.serve()
        observation = self.observe()
        self.clock.body = Response(Code.CONTENT, b"2", Options.fromPairs([(12, b""), (UNSAFE, b"")]))
        self.clock.tick("2")
        self.network.advance(1)
        reason = self.successResultOf(observation.notifyEnd())
        self.assertEqual(reason.response.code, Code.BAD_GATEWAY)
        self.assertEqual((proxy.observations, self.clock.observerCount), (0, 0))

    def test_agentLeaves(self) -> None:
        """Where the proxy's agent ends an observation, as when it closes, the client is told to come back."""
        proxy = self.serve()
        given: list[Observation] = []
        proxy.agent = Noting(self.upstream, given)
        self.observe()
        given[0].cancel()
        self.network.advance(0.5)
        self.assertEqual((proxy.observations, self.clock.observerCount), (0, 0))
        # The client's own patience is over then.
        proxy.agent = self.upstream
        self.network.advance(20)
        self.assertEqual((proxy.observations, self.clock.observerCount), (1, 1))

    def test_socketFull(self) -> None:
        """So it does where the socket has no place for one more observer."""
        proxy = self.serve(limits=Limits(observers=1))
        self.assertTrue(self.observe().isEstablished)
        self.assertFalse(self.observe().isEstablished)
        self.network.advance(1)
        self.assertEqual((proxy.observations, self.clock.observerCount), (1, 1))

    def test_closed(self) -> None:
        """When the proxy's socket closes it observes no more."""
        proxy = self.serve()
        observation = self.observe()
        self.port.stopListening()
        self.network.advance(1)
        self.assertEqual((proxy.observations, self.clock.observerCount), (0, 0))
        observation.cancel(lazily=True)

    def test_withoutObserve(self) -> None:
        """An agent that cannot observe is asked once."""
        proxy = ForwardProxy(OnlyAsking(self.upstream), AllowList("*"))
        self.network.listen(Site(Resource(), proxy=proxy), PROXY_HOST)
        self.assertFalse(self.observe().isEstablished)
        self.assertEqual(self.texts(), ["0"])


def _hostsOf(passage: Any) -> tuple[str, str]:
    return passage.source[0], passage.target[0]


class Noting:
    """An agent that keeps its observations."""

    def __init__(self, agent: Agent, observations: list[Observation]) -> None:
        self.agent = agent
        self.observations = observations

    def observe(self, *what: Any, **how: Any) -> Deferred[Any]:
        """As the agent does."""
        return self.agent.observe(*what, **how).addCallback(self._note)

    def _note(self, observation: Observation) -> Observation:
        self.observations.append(observation)
        return observation


class OnlyAsking:
    """An agent that cannot observe."""

    def __init__(self, agent: Agent) -> None:
        self.request = agent.request
