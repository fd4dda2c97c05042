"""
Tests for how the sockets of an agent close: when they are idle, at once, or when all is done.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase
from twisted.web.client import readBody

from tests.watching import Counter
from tests.wire import TEXT, AgentTestCase, Answering
from txcoap.client import Agent
from txcoap.endpoints import serverFromString
from txcoap.errors import NameNotFound, SocketClosed
from txcoap.protocol import CoAPProtocol
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON
from txcoap.server import Site


class LeavingTestCase(AgentTestCase):
    """An agent, and a server beside the scripted peer."""

    def serve(self, resource: Any) -> str:
        """Serve a resource; its URI."""
        root = Resource()
        root.putChild("x", resource)
        self.wire.open(CoAPProtocol(Site(root), self.reactor), ("192.0.2.5", 5683))
        return "coap://192.0.2.5/x"


class IdleTests(LeavingTestCase):
    """C{idleTimeout}."""

    def ask(self, agent: Agent) -> None:
        """One request, answered."""
        waiting = agent.get(TEXT)
        self.reply()
        self.successResultOf(waiting)

    def test_closes(self) -> None:
        """So long after the last request its socket closes, and no timer is left; the next opens another."""
        agent = self.newAgent(idleTimeout=10)
        for _ in range(2):
            self.ask(agent)
            self.reactor.elapse(6)
            self.ask(agent)
            self.reactor.elapse(9.9)
            self.assertEqual(len(agent.getHosts()), 1)
            self.reactor.elapse(0.2)
            self.assertEqual(agent.getHosts(), [])
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_atOnce(self) -> None:
        """0 seconds: closed at the end of the turn, so that what is asked next in it has the same socket."""
        agent = self.newAgent(idleTimeout=0)
        ports: list[int] = []

        async def ask() -> None:
            for _ in range(2):
                await agent.get("coap://192.0.2.5/x")
                (address,) = agent.getHosts()
                assert isinstance(address, IPv4Address)
                ports.append(address.port)

        self.serve(Answering(lambda request: b"x"))
        waiting = Deferred.fromCoroutine(ask())
        for _ in range(6):
            self.wire.settle()
        self.successResultOf(waiting)
        self.assertEqual(ports[0], ports[1])
        self.assertEqual(agent.getHosts(), [])

    def test_never(self) -> None:
        """By default it stays open."""
        self.ask(self.agent)
        self.reactor.elapse(100_000)
        self.assertEqual(len(self.agent.getHosts()), 1)

    def test_underWay(self) -> None:
        """A request that waits for its answer keeps it, however long that takes; its failure does not."""
        agent = self.newAgent(idleTimeout=1)
        waiting = agent.get(TEXT)
        self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
        self.reactor.elapse(200)
        self.assertEqual(len(agent.getHosts()), 1)
        waiting.cancel()
        waiting.addErrback(lambda _: None)
        self.reactor.elapse(1)
        self.assertEqual(agent.getHosts(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_pause(self) -> None:
        """A body that nobody takes for a while keeps it."""
        agent = self.newAgent(idleTimeout=1)
        streaming = agent.get(self.serve(Answering(lambda request: bytes(5000))), stream=True)
        self.wire.settle()
        response: Any = self.successResultOf(streaming)
        self.reactor.elapse(100)
        self.assertEqual(len(agent.getHosts()), 1)
        reading = readBody(response)
        self.wire.settle()
        self.assertEqual(self.successResultOf(reading), bytes(5000))
        self.reactor.elapse(1)
        self.assertEqual(agent.getHosts(), [])

    def test_observation(self) -> None:
        """An observation keeps it until it is over."""
        agent = self.newAgent(idleTimeout=1)
        observing = agent.observe(self.serve(Counter()))
        self.wire.settle()
        observation: Any = self.successResultOf(observing)
        self.reactor.elapse(100)
        self.assertEqual(len(agent.getHosts()), 1)
        observation.cancel()
        self.wire.settle()
        self.reactor.elapse(1)
        self.assertEqual(agent.getHosts(), [])

    def test_late(self) -> None:
        """What a peer repeats while the socket is open is acknowledged again (RFC 7252 4.2)."""
        agent = self.newAgent(idleTimeout=30)
        waiting = agent.get(TEXT)
        asked = self.peer.takeOne()
        self.peer.sendEmpty(ACK, asked.messageID)
        for _ in range(2):
            self.peer.send(CON, 69, 7, asked.token)
            again = self.peer.takeOne()
            self.assertEqual((again.type, again.messageID), (ACK, 7))
            self.reactor.elapse(3)
        self.successResultOf(waiting)

    def test_refused(self) -> None:
        """A time below 0 is refused."""
        for wrong in (-1, float("nan")):
            self.assertRaises(ValueError, self.newAgent, idleTimeout=wrong)


class GraceTests(LeavingTestCase):
    """C{close(grace=…)}."""

    def test_waits(self) -> None:
        """What is under way is answered, then the sockets close."""
        waiting = self.agent.get(TEXT)
        closing = self.agent.close(grace=None)
        self.assertNoResult(closing)
        self.reply()
        self.successResultOf(waiting)
        self.successResultOf(closing)
        self.assertEqual(self.ours(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_over(self) -> None:
        """What is not answered in that time fails."""
        waiting = self.agent.get(TEXT)
        closing = self.agent.close(grace=5)
        self.reactor.elapse(4.9)
        self.assertNoResult(closing)
        self.reactor.elapse(0.1)
        self.failureResultOf(waiting, SocketClosed)
        self.successResultOf(closing)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """Where nothing is under way it does not wait, also where there is no socket."""
        self.successResultOf(self.agent.close(grace=5))
        waiting = self.agent.get(TEXT)
        self.reply()
        self.successResultOf(waiting)
        self.successResultOf(self.agent.close(grace=5))
        self.assertEqual(self.ours(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_meanwhile(self) -> None:
        """New requests fail until it is closed; then they open sockets anew."""
        waiting = self.agent.get(TEXT)
        closing = self.agent.close(grace=5)
        self.failureResultOf(self.agent.get(TEXT), SocketClosed)
        self.reply()
        self.successResultOf(gatherResults([waiting, closing]))
        waiting = self.agent.get(TEXT)
        self.reply()
        self.successResultOf(waiting)

    def test_twice(self) -> None:
        """Closing again shortens the wait; both learn of the end."""
        waiting = self.agent.get(TEXT)
        patient, hasty = self.agent.close(grace=None), self.agent.close(grace=1)
        self.reactor.elapse(1)
        self.successResultOf(patient)
        self.successResultOf(hasty)
        self.failureResultOf(waiting, SocketClosed)
        waiting = self.agent.get(TEXT)
        patient, hasty = self.agent.close(grace=7), self.agent.close()
        self.successResultOf(patient)
        self.successResultOf(hasty)
        self.failureResultOf(waiting, SocketClosed)
        self.wire.settle()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_observation(self) -> None:
        """An observation is cancelled, and the server has heard of it before the socket closes."""
        counter = Counter()
        observing = self.agent.observe(self.serve(counter))
        self.wire.settle()
        observation: Any = self.successResultOf(observing)
        closing = self.agent.close(grace=5)
        self.assertNoResult(closing)
        self.wire.settle()
        self.successResultOf(closing)
        self.assertEqual(counter.observerCount, 0)
        self.assertIsNone(self.successResultOf(observation.notifyEnd()))

    def test_lookingUp(self) -> None:
        """A request whose host is being looked up is under way too, and may end without a socket."""
        names = self.reactor.nameResolver
        names.isSlow = True
        for host in ("four.example", "nobody.example"):
            waiting = self.agent.get(f"coap://{host}/x")
            closing = self.agent.close(grace=5)
            names.answer()
            if host == "four.example":
                self.assertNoResult(closing)
                self.reply()
                self.successResultOf(waiting)
            else:
                self.failureResultOf(waiting, NameNotFound)
            self.successResultOf(closing)

    def test_fresh(self) -> None:
        """So are those with sockets of their own."""
        agent = self.newAgent(freshSockets=True)
        waiting = agent.get(TEXT)
        closing = agent.close(grace=5)
        self.assertNoResult(closing)
        self.wire.settle()
        asked = self.peer.takeOne()
        self.peer.send(ACK, 69, asked.messageID, asked.token)
        self.successResultOf(gatherResults([waiting, closing]))
        self.assertEqual(self.ours(), [])

    def test_nextAddress(self) -> None:
        """A request that goes on at the next address of a name is under way meanwhile."""
        waiting = self.agent.get("coap://server.example/")
        closing = self.agent.close(grace=5)
        whence, whereto, data = self.wire.sent[-1]
        self.wire.sockets[whence].protocol.datagramUnreachable(data, whereto, errno.ECONNREFUSED)
        self.assertNoResult(closing)
        self.reply()
        self.successResultOf(waiting)
        self.assertIsNone(self.successResultOf(closing))
        self.assertEqual(self.ours(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_given(self) -> None:
        """A protocol that was given to the agent is not the agent's to close."""
        protocol = CoAPProtocol(None, self.reactor)
        self.wire.open(protocol, ("192.0.2.9", 40000))
        agent = self.newAgent(protocol=protocol)
        waiting = agent.get(TEXT)
        for grace in (0, 1, None):
            self.successResultOf(agent.close(grace=grace))
        self.assertEqual(len(agent.getHosts()), 1)
        self.reply()
        self.successResultOf(waiting)


class LoopbackTests(TestCase):
    """On a real reactor, of which trial sees that nothing is left behind."""

    async def serve(self) -> str:
        """Serve something; its URI."""
        reactor: Any = _reactor
        port: Any = await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(
            Site(Answering(lambda request: b"x"))
        )
        self.addCleanup(port.stopListening)
        return f"coap://127.0.0.1:{port.getHost().port}/"

    async def test_idle(self) -> None:
        """An agent that nobody closes leaves nothing once its requests are answered."""
        agent = Agent(_reactor, idleTimeout=0)
        response = await agent.get(await self.serve())
        self.assertEqual(response.payload, b"x")

    async def test_with(self) -> None:
        """C{async with} closes it, also when something is raised."""
        uri = await self.serve()
        agent = Agent(_reactor)

        async def fail() -> None:
            async with agent:
                await agent.get(uri)
                self.assertEqual(len(agent.getHosts()), 1)
                raise KeyError

        with self.assertRaises(KeyError):
            await fail()
        self.assertEqual(agent.getHosts(), [])
        async with agent:
            await agent.get(uri)

    async def test_grace(self) -> None:
        """A graceful close."""
        agent = Agent(_reactor)
        asking = agent.get(await self.serve())
        await agent.close(grace=5)
        self.assertEqual(self.successResultOf(asking).payload, b"x")

    async def test_bindAddress(self) -> None:
        """An agent on a local port that was chosen beforehand is known by it."""
        async with Agent(_reactor, bindAddress=("127.0.0.1", 0)) as agent:
            await agent.get(await self.serve())
            (address,) = agent.getHosts()
        assert isinstance(address, IPv4Address)
        async with Agent(_reactor, bindAddress=("127.0.0.1", address.port)) as agent:
            await agent.get(await self.serve())
            self.assertEqual(agent.getHosts(), [address])
