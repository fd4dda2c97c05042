"""
Tests for L{txcoap.shortcuts}: a forward proxy with a cache, and requests that come again.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.test_proxy import ORIGIN, PROXY, PROXY_HOST, Clock, Echoing, ProxyCase
from txcoap import shortcuts
from txcoap.caching import CachingAgent
from txcoap.client import Agent
from txcoap.errors import Forbidden
from txcoap.memory import SERVER_HOST
from txcoap.message import Response
from txcoap.proxy import AllowList, ForwardProxy, Target
from txcoap.request import Request
from txcoap.server import Site

NAME = "coap://origin.example"


def _note(states: list[bytes], state: Response) -> None:
    states.append(state.payload)


class CachingProxyCase(ProxyCase):
    """A proxy with a cache."""

    def setUp(self) -> None:
        """The client's time goes by the network's, as the cache's does."""
        super().setUp()
        agent = Agent(self.network.reactor, protocol=self.upstreamPort.protocol)
        self.upstream: Any = CachingAgent(agent)
        self.accessed: list[Request] = []

    @property
    def asked(self) -> int:
        """How often the origin was asked."""
        return len(self.origin.requests)

    def spy(self, proxy: ForwardProxy) -> list[bool]:
        """Which requests the proxy answered at once."""
        answered: list[bool] = []
        answersAtOnce = proxy.answersAtOnce

        def noting(request: Request) -> bool:
            answered.append(answersAtOnce(request))
            return answered[-1]

        self.patch(proxy, "answersAtOnce", noting)
        return answered


class ShortcutTests(CachingProxyCase):
    """Requests that came before, byte for byte."""

    def test_atOnce(self) -> None:
        """The second is answered at once, as the long way would, with the Max-Age that is left."""
        atOnce = self.spy(self.serve())
        self.origin.responses = [Response("2.05", b"{}", contentFormat=50, etag=b"t", maxAge=30)]
        first = self.ask(f"{ORIGIN}/a?b", accept=50)
        self.network.advance(7.0)
        second = self.ask(f"{ORIGIN}/a?b", accept=50)
        self.assertEqual((atOnce, self.asked), ([False, True], 1))
        self.assertEqual((second.code, second.payload), (first.code, first.payload))
        self.assertEqual(second.options, first.options.evolve(maxAge=23))

    def test_stale(self) -> None:
        """When it is stale the origin is asked."""
        atOnce = self.spy(self.serve())
        for _ in range(2):
            self.ask(ORIGIN)
            self.network.advance(60.0)
        self.assertEqual((atOnce, self.asked), ([False, False], 2))

    def test_other(self) -> None:
        """Other requests go the long way, and find what is stored for them."""
        atOnce = self.spy(self.serve())
        self.ask(f"{ORIGIN}/a")
        for how in ({"etag": b"t"}, {"hopLimit": 9}, {"accept": 0}, {"method": "PUT"}, {"method": "FETCH"}):
            self.ask(f"{ORIGIN}/a", **how)
        self.ask(f"{ORIGIN}/b")
        self.assertEqual(atOnce, [False] * 7)
        self.assertEqual(self.asked, 5)

    def test_large(self) -> None:
        """A body larger than a block goes out in blocks, and only its first request goes to the proxy."""
        atOnce = self.spy(self.serve())
        body = bytes(range(256)) * 12
        self.origin.responses = [Response("2.05", body)]
        for _ in range(2):
            self.assertEqual(self.ask(ORIGIN).payload, body)
        self.assertEqual((atOnce, self.asked), ([False, True], 1))

    def test_hopLimit(self) -> None:
        """One that may go no further is refused (RFC 8768 3), whatever is stored."""
        self.serve()
        self.ask(ORIGIN)
        for _ in range(2):
            self.assertEqual(self.ask(ORIGIN, hopLimit=1).code.dotted, "5.08")

    def test_policy(self) -> None:
        """A policy is asked each time, and may change its mind; an L{AllowList} cannot."""
        asked: list[Target] = []

        def policy(request: Request, target: Target) -> bool:
            asked.append(target)
            if len(asked) == 3:
                raise Forbidden("enough")
            return len(asked) < 4

        atOnce = self.spy(self.serve(policy=policy))
        codes = [self.ask(ORIGIN).code.dotted for _ in range(4)]
        self.assertEqual(codes, ["2.05", "2.05", "4.03", "5.05"])
        self.assertEqual(len({(each.uri, each.address) for each in asked}), 1)
        self.assertEqual(atOnce[:2], [False, True])

    def test_derivedPolicy(self) -> None:
        """One derived from L{AllowList} may judge by the request: it is asked each time."""

        class Once(AllowList):
            asked = 0

            def __call__(self, request: object, target: Target) -> bool:
                self.asked += 1
                return self.asked == 1

        self.serve(policy=Once())
        self.assertEqual([self.ask(ORIGIN).code.dotted for _ in range(2)], ["2.05", "5.05"])

    def test_policyReplaced(self) -> None:
        """What another policy let through is judged anew."""
        proxy = self.serve()
        self.ask(ORIGIN)
        proxy.policy = AllowList()
        self.assertEqual(self.ask(ORIGIN).code.dotted, "5.05")

    def test_name(self) -> None:
        """A name needs no look-up while what it led to is fresh."""
        self.network.names["origin.example"] = SERVER_HOST
        atOnce = self.spy(self.serve())
        for _ in range(2):
            response = self.ask(NAME)
            self.assertEqual(response.code.dotted, "2.05")
        self.assertEqual((atOnce, self.asked), ([False, True], 1))

    def test_nameMoved(self) -> None:
        """When a name leads elsewhere, what the new place says is found at once too."""
        self.network.names["origin.example"] = SERVER_HOST
        atOnce = self.spy(self.serve())
        self.ask(NAME)
        self.network.advance(60.0)
        elsewhere = "192.0.2.90"
        self.network.names["origin.example"] = elsewhere
        moved = Echoing()
        self.network.listen(Site(moved), elsewhere)
        for _ in range(2):
            self.ask(NAME)
        self.assertEqual((atOnce, self.asked, len(moved.requests)), ([False, False, True], 1, 1))

    def test_ourselves(self) -> None:
        """At another socket the same may be for the proxy itself (RFC 7252 5.7.2)."""
        proxy = self.serve()
        other = "192.0.2.88"
        self.network.listen(Site(Echoing()), other)
        self.assertEqual(self.ask(f"coap://{other}").code.dotted, "2.05")
        second = "192.0.2.89"
        self.network.listen(Site(self.own, proxy=proxy), second)
        self.assertEqual(self.ask(f"coap://{second}/own").code.dotted, "2.05")
        atOnce = self.spy(proxy)
        self.ask(f"coap://{second}/own", proxy=f"coap://{second}")
        self.assertEqual(atOnce, [False])

    def test_few(self) -> None:
        """Only so many are known: the oldest go."""
        self.patch(shortcuts, "MAXIMUM", 3)
        atOnce = self.spy(self.serve())
        for n in (0, 1, 2, 3, 3, 0):
            self.ask(f"{ORIGIN}/{n}")
        self.assertEqual(atOnce, [False, False, False, False, True, False])
        self.assertEqual(self.asked, 4)

    def test_accessLog(self) -> None:
        """They are in the access log."""
        logged: list[str] = []
        proxy = ForwardProxy(self.upstream, AllowList("*"))
        site = Site(self.own, proxy=proxy, accessLog=lambda request, response: logged.append(response.text()))
        self.network.listen(site, PROXY_HOST)
        for _ in range(2):
            self.ask(f"{ORIGIN}/a")
        self.assertEqual(logged, ["GET /a"] * 2)

    def test_withoutCache(self) -> None:
        """Without a cache there are none."""
        self.upstream = Agent(self.network.reactor, protocol=self.upstreamPort.protocol)
        atOnce = self.spy(self.serve())
        for _ in range(2):
            self.ask(ORIGIN)
        self.assertEqual((atOnce, self.asked), ([False, False], 2))


class ObservingTests(CachingProxyCase):
    """Observing through a proxy with a cache (RFC 7641 5)."""

    def test_shared(self) -> None:
        """Two clients who observe the same are one observer to the origin, which has none when they left."""
        self.origin = clock = Clock()
        clock.isLeaf = True
        self.network.listen(Site(clock), "192.0.2.90")
        self.serve()
        clients = [self.network.agent(f"192.0.2.{n}") for n in (101, 102)]
        told: list[list[bytes]] = [[], []]
        observations = []
        for client, states in zip(clients, told, strict=True):
            observing = client.observe("coap://192.0.2.90/", proxy=PROXY)
            self.network.advance(1.0)
            observation = self.successResultOf(observing)
            observation.subscribe(partial(_note, states))
            observations.append(observation)
        self.assertEqual(clock.observerCount, 1)
        for state in ("1", "2"):
            clock.tick(state)
            self.network.advance(1.0)
        self.assertEqual(told, [[b"0", b"1", b"2"]] * 2)
        for count, observation in zip((1, 0), observations, strict=True):
            observation.cancel()
            self.network.advance(1.0)
            self.assertEqual(clock.observerCount, count)
