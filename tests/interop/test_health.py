"""Other implementations' clients asking our server how it does."""

from __future__ import annotations

import json

from twisted.trial.unittest import TestCase

from txcoap import Resource, Site
from txcoap.health import HealthResource
from txcoap.transports import udp

from .peers import LOOPBACK4, Answer, Query, ask, baseURI


class HealthTests(TestCase):
    """L{HealthResource}, whose body takes several blocks."""

    timeout = 60

    async def ask(self, peer: str, **how: object) -> list[Answer]:
        """What a client is answered, block by block with libcoap."""
        from twisted.internet import reactor

        root = Resource()
        root.putChild("health", HealthResource())
        port = udp.listenUDP(reactor, 0, Site(root).buildProtocol(reactor), LOOPBACK4)
        self.addCleanup(port.stopListening)
        base = baseURI(LOOPBACK4, port.getHost().port)  # type: ignore[attr-defined]
        return await ask(self, peer, Query("GET", f"{base}/health", **how))  # type: ignore[arg-type]

    async def test_aiocoap(self) -> None:
        """aiocoap reads the JSON."""
        await self.check("aiocoap")

    async def test_nodeCoAP(self) -> None:
        """So does node-coap."""
        await self.check("node-coap")

    async def check(self, peer: str) -> None:
        """Its first request is counted in the body, and none other."""
        (answer,) = await self.ask(peer)
        self.assertEqual((answer.code, answer.get("Content-Format")), ("2.05", ["application/json"]))
        self.assertEqual(json.loads(answer.payload)["received"]["requests"], {"GET": 1})

    async def test_libcoap(self) -> None:
        """libcoap gets text by its Accept."""
        answer, *_ = await self.ask("libcoap", options=((17, b""),))
        self.assertEqual((answer.code, answer.get("Content-Format")), ("2.05", ["text/plain"]))
        self.assertTrue(answer.payload.startswith(b"sockets 1\n"), answer.payload)
