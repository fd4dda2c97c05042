"""When requests are acknowledged, and when an agent closes, with other implementations at the other end."""

from __future__ import annotations

import math
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from txcoap import Agent, Parameters, Site
from txcoap.parameters import LAN_PARAMETERS
from txcoap.transports import udp

from .peers import LOOPBACK4, Query, ask, baseURI, startServer
from .tree import makeTree

PEERS = ("libcoap", "aiocoap", "node-coap")


class TimingTests(TestCase):
    """With each of them."""

    timeout = 120

    async def serve(self, delay: float) -> str:
        """Start our server, with a PIGGYBACK_DELAY; its URI."""
        from twisted.internet import reactor

        site = Site(makeTree(reactor), parameters=Parameters(PIGGYBACK_DELAY=delay))
        port: Any = udp.listenUDP(reactor, 0, site.buildProtocol(reactor), LOOPBACK4)
        self.addCleanup(port.stopListening)
        return baseURI(LOOPBACK4, port.getHost().port)

    async def test_atOnce(self) -> None:
        """PIGGYBACK_DELAY of 0: what is late comes apart, what is not goes in the acknowledgement."""
        base = await self.serve(0)
        for peer in PEERS:
            for path, type in (("hello", "ACK"), ("delayed?100", "CON")):
                (answer,) = await ask(self, peer, Query("GET", f"{base}/{path}"))
                self.assertEqual((answer.code, answer.type), ("2.05", type), f"{peer} {path}")

    async def test_never(self) -> None:
        """An infinite one: it is in the acknowledgement, though the request has been repeated by then."""
        base = await self.serve(math.inf)
        asked = [ask(self, peer, Query("GET", f"{base}/delayed?3500")) for peer in PEERS]
        for peer, each in zip(PEERS, asked, strict=True):
            (answer,) = await each
            self.assertEqual((answer.code, answer.type), ("2.05", "ACK"), peer)

    async def test_agent(self) -> None:
        """An agent in a hurry, whose sockets close as soon as they can, and one that waits at its end."""
        from twisted.internet import reactor

        for peer in PEERS:
            base = await startServer(self, peer)
            slow, observable = ("async?1", "time") if peer == "libcoap" else ("delayed?300", "obs")
            agent = Agent(reactor, parameters=LAN_PARAMETERS, idleTimeout=0)
            answers = await gatherResults([agent.get(base) for _ in range(20)])
            self.assertEqual(len({each.code for each in answers}), 1, peer)
            asked = agent.get(f"{base}/{slow}")
            observed = await agent.observe(f"{base}/{observable}")
            await agent.close(grace=10)
            self.assertTrue((await asked).code.isSuccess, peer)
            self.assertIsNone(await observed.notifyEnd(), peer)
            self.assertEqual(agent.getHosts(), [])
