"""Our client with a cache against other implementations' servers."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from txcoap import Agent
from txcoap.caching import CachingAgent

from .peers import LOOPBACK4
from .test_ask import AskingCase
from .tree import HELLO


class CachingCase(AskingCase):
    """
    A test with an agent of ours that has a cache.

    @ivar later: Seconds by which the cache's clock is ahead.
    """

    def setUp(self) -> None:
        """Make the agent."""
        from twisted.internet import reactor

        self.later = 0.0
        agent: Any = CachingAgent(Agent(reactor))
        now = agent._now
        self.patch(agent, "_now", lambda: now() + self.later)
        self.agent = agent
        self.addCleanup(agent.close)

    async def checkHit(self, uri: str) -> Any:
        """The second time the server is not asked; what comes then."""
        first = await self.agent.get(uri)
        second = await self.agent.get(uri)
        self.assertEqual((first.isFromCache, second.isFromCache), (False, True))
        self.assertEqual((second.code, second.payload), (first.code, first.payload))
        self.assertLessEqual(second.maxAge, first.maxAge)
        return second

    async def checkShared(self, uri: str) -> None:
        """Two who observe have the same states, of one observation; meanwhile C{get} is a hit."""
        agent: Any = self.agent
        async with await agent.observe(uri) as one, await agent.observe(uri) as other:
            self.assertEqual(len(agent._sources), 1)
            self.assertTrue(one.isEstablished and other.isEstablished)
            for _ in range(2):
                states = await DeferredList([_next(one), _next(other)], fireOnOneErrback=True)
                self.assertEqual(states[0][1].payload, states[1][1].payload)
            self.assertTrue((await agent.get(uri)).isFromCache)
        self.assertEqual(agent._sources, {})


def _next(observation: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(observation.__anext__())


class ScriptedServer:
    """What holds of the servers in C{scripts/}."""

    async def test_hit(self: Any) -> None:
        """What the server says is fresh is not asked for again."""
        response = await self.checkHit(f"{await self.serve()}/hello")
        self.assertEqual(response.payload, HELLO)
        self.assertLessEqual(response.maxAge, 30)

    async def test_validated(self: Any) -> None:
        """What is stale is validated, and not sent again (RFC 7252 5.6.2)."""
        uri = f"{await self.serve()}/hello"
        await self.agent.get(uri)
        self.later = 31.0
        response = await self.agent.get(uri)
        self.assertEqual((response.code.dotted, response.payload), ("2.05", HELLO))
        self.assertTrue(response.isFromCache)
        self.assertEqual((self.agent.counters.misses, self.agent.counters.validations), (2, 1))
        self.assertTrue((await self.agent.get(uri)).isFromCache)

    async def test_large(self: Any) -> None:
        """A body in blocks is kept whole."""
        response = await self.checkHit(f"{await self.serve()}/large?5000")
        self.assertEqual(len(response.payload), 5000)

    async def test_changed(self: Any) -> None:
        """What was put is what one gets."""
        uri = f"{await self.serve()}/store"
        for value in (b"one", b"two"):
            (await self.agent.put(uri, value)).raiseForCode()
            self.assertEqual((await self.checkHit(uri)).payload, value)

    async def test_shared(self: Any) -> None:
        """Observations are shared."""
        await self.checkShared(f"{await self.serve()}/obs")


class AiocoapTests(ScriptedServer, CachingCase):
    """aiocoap."""

    peer = "aiocoap"


class NodeCoapTests(ScriptedServer, CachingCase):
    """node-coap."""

    peer = "node-coap"


class LibcoapTests(CachingCase):
    """libcoap's example server."""

    peer = "libcoap"

    async def test_hit(self) -> None:
        """What the server says is fresh is not asked for again."""
        await self.checkHit(f"{await self.serve()}/")

    async def test_changed(self) -> None:
        """What was put is what one gets."""
        uri = f"{await self.serve(LOOPBACK4, '-d', '10')}/new"
        for value in (b"one", b"two"):
            (await self.agent.put(uri, value)).raiseForCode()
            self.assertEqual((await self.checkHit(uri)).payload, value)

    async def test_shared(self) -> None:
        """Observations are shared."""
        await self.checkShared(f"{await self.serve()}/time")
