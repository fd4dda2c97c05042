"""Proxies: other implementations' clients through ours, our client through theirs."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

from txcoap import Agent, Code, ObservableResource, Request, Site
from txcoap.proxy import ForwardProxy
from txcoap.resource import Resource
from txcoap.transports import udp

from .child import Child
from .peers import (
    LOOPBACK4,
    START_TIMEOUT,
    Answer,
    Query,
    aiocoapCommand,
    ask,
    baseURI,
    environment,
    freePort,
    libcoapCommand,
    nodeCommand,
    ping,
    program,
)
from .tree import HELLO, large, makeTree, summary

PROXY_URI = 35
PROXY_SCHEME = 39
URI_HOST = 3
URI_PORT = 7


class ProxyCase(TestCase):
    """A test with a server of ours, at C{base}, that is asked through a proxy."""

    peer = ""
    timeout = 60

    def setUp(self) -> None:
        """Start the server, and make an agent."""
        from twisted.internet import reactor

        self.root: Any = makeTree(reactor)
        self.base = self.start(Site(self.root))
        self.agent = Agent(reactor)
        self.addCleanup(self.agent.close)

    def start(self, site: Site) -> str:
        """Serve a site until the end of the test; where."""
        from twisted.internet import reactor

        port = udp.listenUDP(reactor, 0, site.buildProtocol(reactor), LOOPBACK4)
        self.addCleanup(port.stopListening)
        return baseURI(LOOPBACK4, port.getHost().port)  # type: ignore[attr-defined]


class Through:
    """What holds of every client through our proxy."""

    async def ask(self: Any, methods: str, path: str, **how: Any) -> list[Answer]:
        """What the peer's client is answered through our proxy."""
        proxy = self.start(Site(Resource(), proxy=ForwardProxy(self.agent)))
        options = [(PROXY_URI, f"{self.base}{path}".encode()), *how.pop("options", ())]
        return await ask(self, self.peer, Query(methods, f"{proxy}/", options=options, **how))

    async def test_methods(self: Any) -> None:
        """Path, query, body and options reach the server; the response comes back."""
        [answer] = await self.ask("GET", "/hello")
        self.assertEqual((answer.code, answer.payload), ("2.05", HELLO))
        [answer] = await self.ask("GET", "/query?x=1&y")
        self.assertEqual(answer.payload, b"x=1\ny")
        answers = await self.ask("POST,PUT,DELETE", "/echo", payload=b"body")
        self.assertEqual([each.code for each in answers], ["2.04", "2.04", "2.02"])
        self.assertEqual([each.payload for each in answers], [b"body", b"body", b""])

    async def test_nonConfirmable(self: Any) -> None:
        """A request that is not confirmable is answered likewise."""
        [answer] = await self.ask("GET", "/hello", confirmable=False)
        self.assertEqual((answer.type, answer.payload), ("NON", HELLO))

    async def test_errors(self: Any) -> None:
        """The server's errors, and the proxy's own."""
        [answer] = await self.ask("GET", "/nothing")
        self.assertEqual(answer.code, "4.04")
        self.base = "coap://127.0.0.1:9"
        [answer] = await self.ask("GET", "/")
        self.assertEqual(answer.code, "5.02")
        self.base = "coap://192.0.2.1"
        [answer] = await self.ask("GET", "/")
        self.assertEqual(answer.code, "5.05")
        self.base = "http://127.0.0.1"
        [answer] = await self.ask("GET", "/")
        self.assertEqual(answer.code, "5.05")

    async def test_delayed(self: Any) -> None:
        """What takes long comes apart."""
        [answer] = await self.ask("GET", "/delayed?600")
        self.assertEqual(answer.payload, b"delayed GET")

    async def test_blocks(self: Any) -> None:
        """Bodies of many blocks, up and down."""
        body = large(5000)
        answers = await self.ask("PUT", "/upload", payload=body)
        self.assertEqual(answers[-1].payload, summary(body))
        answers = await self.ask("GET", "/large?5000")
        self.assertTrue(large(5000).startswith(answers[0].payload[:60]))


class Observing(Through):
    """What holds of those that say how many states they want."""

    async def test_observe(self: Any) -> None:
        """States go through."""
        ticking = Ticking()
        self.root.putChild("ticking", ticking)
        call = LoopingCall(ticking.tick)
        call.start(0.1)
        self.addCleanup(call.stop)
        answers = await self.ask("GET", "/ticking", observe=3)
        numbers = [int(each.payload) for each in answers]
        self.assertGreaterEqual(len(numbers), 3)
        self.assertEqual(numbers, sorted(set(numbers)))


class Ticking(ObservableResource):
    """A number that grows."""

    number = 0

    def render_GET(self, request: Request) -> str:
        return str(self.number)

    def tick(self) -> None:
        self.number += 1
        self.notifyObservers()


class LibcoapThroughTests(Through, ProxyCase):
    """libcoap's C{coap-client}."""

    peer = "libcoap"

    async def test_flag(self) -> None:
        """Its C{-P}, with a name too."""
        proxy = self.start(Site(Resource(), proxy=ForwardProxy(self.agent)))
        for uri in (f"{self.base}/hello", f"{self.base}/hello".replace("127.0.0.1", "localhost")):
            child = await Child.run(
                self, [*libcoapCommand("coap-client-notls"), "-B", "10", "-P", proxy, uri]
            )
            self.assertIn(HELLO, child.output, child.describe())

    async def test_observe(self) -> None:
        """States go through."""
        proxy = self.start(Site(Resource(), proxy=ForwardProxy(self.agent)))
        await self.agent.put(f"{self.base}/obs", b"first")
        command = [*libcoapCommand("coap-client-notls"), "-s", "10", "-P", proxy, f"{self.base}/obs"]
        child = Child.start(self, command)
        await child.until(lambda: b"first" in child.output, START_TIMEOUT)
        await self.agent.put(f"{self.base}/obs", b"second")
        await child.until(lambda: b"second" in child.output, START_TIMEOUT)
        self.assertIn(b"second", child.output, child.describe())


class AiocoapThroughTests(Observing, ProxyCase):
    """aiocoap's client."""

    peer = "aiocoap"

    async def test_scheme(self) -> None:
        """Proxy-Scheme, as its own proxies want it."""
        proxy = self.start(Site(Resource(), proxy=ForwardProxy(self.agent)))
        host, _, port = self.base.removeprefix("coap://").partition(":")
        options = [
            (PROXY_SCHEME, b"coap"),
            (URI_HOST, host.encode()),
            (URI_PORT, int(port).to_bytes(2, "big")),
        ]
        [answer] = await ask(self, self.peer, Query("GET", f"{proxy}/hello", options=options))
        self.assertEqual(answer.payload, HELLO)


class NodeThroughTests(Observing, ProxyCase):
    """node-coap's client."""

    peer = "node-coap"


class Theirs:
    """What holds of every proxy, asked by our client."""

    async def test_requests(self: Any) -> None:
        """Methods with path, query and body."""
        response = await self.agent.get(f"{self.base}/hello")
        self.assertEqual((response.code, response.payload), (Code.CONTENT, HELLO))
        response = await self.agent.get(f"{self.base}/query?x=1&y")
        self.assertEqual(response.payload, b"x=1\ny")
        response = await self.agent.put(f"{self.base}/echo", b"body", contentFormat=42)
        self.assertEqual(
            (response.code, response.payload, response.contentFormat), (Code.CHANGED, b"body", 42)
        )
        response = await self.agent.get(f"{self.base}/nothing")
        self.assertEqual(response.code, Code.NOT_FOUND)

    async def test_blocks(self: Any) -> None:
        """Bodies of many blocks, up and down."""
        response = await self.agent.get(f"{self.base}/large?5000")
        self.assertEqual(response.payload, large(5000))
        response = await self.agent.put(f"{self.base}/upload", large(5000))
        self.assertEqual(response.payload, summary(large(5000)))

    async def test_observe(self: Any) -> None:
        """States go through."""
        await self.agent.put(f"{self.base}/obs", b"first", proxy=None)
        observation = await self.agent.observe(f"{self.base}/obs")
        states = []
        async for state in observation:
            states.append(state.payload)
            if len(states) == 2:
                break
            await self.agent.put(f"{self.base}/obs", b"second", proxy=None)
        self.assertEqual(states, [b"first", b"second"])
        await observation.cancel()


class TheirsCase(ProxyCase):
    """A test with a proxy of theirs."""

    async def through(self, command: list[str], port: int, ready: bytes = b"", **how: Any) -> None:
        """Start a proxy, and ask through it from now on."""
        from twisted.internet import reactor

        child = Child.start(self, command, environment())
        if ready:
            await child.until(lambda: ready in child.output, START_TIMEOUT)
        else:
            await ping(LOOPBACK4, port)
        self.assertIsNone(child.status, child.describe())
        self.agent = Agent(reactor, proxy=baseURI(LOOPBACK4, port), **how)
        self.addCleanup(self.agent.close)


class LibcoapProxyTests(Theirs, TheirsCase):
    """libcoap's C{coap-server -P}."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Start it."""
        super().setUp()
        port = freePort(LOOPBACK4)
        server = [*libcoapCommand("coap-server-notls"), "-A", LOOPBACK4, "-p", str(port)]
        watch = '"$@" & server=$!; cat >/dev/null; kill $server'
        command = [program("sh", "a POSIX shell"), "-c", watch, "sh", *server, "-P", ",proxy.example"]
        await self.through(command, port)


class AiocoapProxyTests(TheirsCase):
    """
    aiocoap's C{aiocoap-proxy --forward}, which knows Proxy-Scheme alone, and refuses responses with Max-Age
    (0.4.17), which a notification of ours always has.
    """

    async def setUp(self) -> None:  # type: ignore[override]
        """Start it."""
        super().setUp()
        aiocoapCommand("aiocoap_server.py")
        port = freePort(LOOPBACK4)
        words = ["-m", "aiocoap.cli.proxy", "--forward", "--bind", f"{LOOPBACK4}:{port}"]
        await self.through([sys.executable, *words], port, useProxyScheme=True)

    async def test_requests(self) -> None:
        """Methods with path, query and body."""
        response = await self.agent.get(f"{self.base}/query?x=1&y")
        self.assertEqual((response.code, response.payload), (Code.CONTENT, b"x=1\ny"))
        response = await self.agent.put(f"{self.base}/echo", b"body", contentFormat=42)
        self.assertEqual(
            (response.code, response.payload, response.contentFormat), (Code.CHANGED, b"body", 42)
        )
        response = await self.agent.get(f"{self.base}/nothing")
        self.assertEqual(response.code, Code.NOT_FOUND)

    async def test_blocks(self) -> None:
        """Bodies of many blocks, up and down."""
        response = await self.agent.get(f"{self.base}/large?5000")
        self.assertEqual(response.payload, large(5000))
        response = await self.agent.put(f"{self.base}/upload", large(5000))
        self.assertEqual(response.payload, summary(large(5000)))


class NodeProxyTests(TheirsCase):
    """node-coap's C{proxy: true}, which asks for the root whatever the path is, at an explicit port."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Start it."""
        super().setUp()
        port = freePort(LOOPBACK4)
        await self.through([*nodeCommand("node_proxy.js"), LOOPBACK4, str(port)], port, b"ready\n")

    async def test_root(self) -> None:
        """The root."""
        self.root.putChild("", Resource())
        response = await self.agent.get(self.base)
        self.assertEqual(response.code, Code.NOT_FOUND)
        self.root.render_GET = lambda request: "the root"
        response = await self.agent.get(self.base)
        self.assertEqual(response.text(), "the root")
