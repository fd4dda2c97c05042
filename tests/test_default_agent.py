"""
Tests for L{txcoap.ask}: asking by the default agent of a reactor.
"""

from __future__ import annotations

import errno
import gc
import weakref
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from tests.watching import Counter
from tests.wire import SERVER, TEXT, AgentTestCase, Answering, Reactor
from txcoap import ask
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.endpoints import serverFromString
from txcoap.errors import Unreachable
from txcoap.parameters import SLOW_PARAMETERS, setDefault
from txcoap.request import Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import CON, NON, decode
from txcoap.server import Site


class DefaultAgentTests(AgentTestCase):
    """The default agent of a reactor."""

    def test_one(self) -> None:
        """Each reactor has one of its own, the same each time; it goes with the reactor."""
        agent = ask.getDefaultAgent(self.reactor)
        self.assertIsInstance(agent, Agent)
        self.assertIs(ask.getDefaultAgent(self.reactor), agent)
        other = Reactor()
        theirs = weakref.ref(ask.getDefaultAgent(other))
        self.assertIsNot(theirs(), agent)
        del other
        gc.collect()
        self.assertIsNone(theirs())

    def test_installed(self) -> None:
        """Without a reactor it is the installed one's."""
        self.assertIs(ask.getDefaultAgent(), ask.getDefaultAgent(_reactor))

    def test_set(self) -> None:
        """Another can take its place; it is given back, not closed."""
        mine = self.newAgent(parameters=SLOW_PARAMETERS)
        self.assertIsNone(ask.setDefaultAgent(mine, self.reactor))
        self.assertIs(ask.getDefaultAgent(self.reactor), mine)
        self.assertIs(ask.setDefaultAgent(None, self.reactor), mine)
        self.assertIsNot(ask.getDefaultAgent(self.reactor), mine)
        self.assertRaises(TypeError, ask.setDefaultAgent, "agent", self.reactor)

    def test_timing(self) -> None:
        """It goes by the default parameters, also if they were set after it was made."""
        agent = ask.getDefaultAgent(self.reactor)
        self.addCleanup(setDefault, None)
        setDefault(SLOW_PARAMETERS)
        self.assertIs(agent.parameters, SLOW_PARAMETERS)
        ask.get(TEXT, reactor=self.reactor).addErrback(lambda _: None)
        self.reactor.elapse(11)
        self.assertEqual(len(self.peer.take()), 1)

    def test_verbs(self) -> None:
        """There is a function for each method."""
        rows: list[tuple[Any, Code]] = [
            (ask.get, Code.GET),
            (ask.post, Code.POST),
            (ask.put, Code.PUT),
            (ask.delete, Code.DELETE),
            (ask.fetch, Code.FETCH),
            (ask.patch, Code.PATCH),
            (ask.iPatch, Code.IPATCH),
        ]
        for function, code in rows:
            waiting = function(TEXT, reactor=self.reactor, confirmable=True)
            asked = self.reply()
            self.assertEqual((asked.type, asked.code), (CON, code))
            self.successResultOf(waiting)
            self.wire.settle()
            self.assertEqual(self.ours(), [])
        waiting = ask.request("PUT", TEXT, "x", reactor=self.reactor)
        self.assertEqual(self.reply().payload, b"x")
        self.successResultOf(waiting)
        waiting = ask.get(host=SERVER[0], path="/a/b", reactor=self.reactor)
        self.assertEqual(self.reply().options.uriPath, ("a", "b"))
        self.successResultOf(waiting)

    def test_multicast(self) -> None:
        """A group can be asked too."""
        gathering = ask.multicast("coap://224.0.1.187/x", reactor=self.reactor)
        gathered = gathering.all()
        self.reactor.elapse(20)
        self.assertEqual(self.successResultOf(gathered), [])
        (request,) = [decode(data) for _, to, data in self.wire.sent if to[0] == "224.0.1.187"]
        self.assertEqual((request.type, request.options.uriPath), (NON, ("x",)))

    def test_multicastFails(self) -> None:
        """A group that cannot be sent to, or not in this way, fails at once."""
        group = "224.0.1.187"
        for how in ({"interface": "lo"}, {"hops": 2}):
            gathered = ask.multicast(f"coap://{group}/x", reactor=self.reactor, **how).all()
            self.failureResultOf(gathered, ValueError)
        self.wire.errors[group] = errno.ENETUNREACH
        gathered = ask.multicast(f"coap://{group}/x", reactor=self.reactor).all()
        self.reactor.elapse(0)
        self.failureResultOf(gathered, Unreachable)

    def test_wrong(self) -> None:
        """What is wrong fails the Deferred."""
        self.failureResultOf(ask.get("http://x/", reactor=self.reactor), ValueError)


class LoopbackTests(TestCase):
    """On the real reactor, of which trial sees that nothing is left behind: nothing is closed here."""

    async def serve(self) -> str:
        """Serve something; its URI."""
        self.clients: list[int] = []

        def answer(request: Request) -> bytes:
            self.clients.append(request.peer[1])
            return b"x"

        root = Resource()
        root.putChild("x", Answering(answer))
        self.counter = Counter()
        root.putChild("counter", self.counter)
        reactor: Any = _reactor
        port: Any = await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(Site(root))
        self.addCleanup(port.stopListening)
        return f"coap://127.0.0.1:{port.getHost().port}/"

    async def test_all(self) -> None:
        """Asking, observing, pinging and discovering."""
        uri = await self.serve()
        self.assertEqual((await ask.get(uri + "x")).payload, b"x")
        await ask.ping(uri, timeout=5)
        links = await ask.discover(uri)
        self.assertEqual({link.target for link in links}, {"/x", "/counter"})
        async with await ask.observe(uri + "counter") as states:
            self.counter.count()
            async for state in states:
                if state.payload == b"1":
                    break

    async def test_oneSocket(self) -> None:
        """Requests at the same time, and one after the other, go by one socket; later ones by another."""
        uri = await self.serve() + "x"
        await gatherResults([ask.get(uri) for _ in range(3)])
        await ask.get(uri)
        self.assertEqual(len(set(self.clients)), 1)
        self.assertEqual(len(self.clients), 4)
