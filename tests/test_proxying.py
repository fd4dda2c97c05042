"""
Proxies over loopback, from the command line, in the documentation and in the examples; and with a cache.
"""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from examples import proxy as example
from tests.pages import PageCase
from tests.test_proxy import ORIGIN, PROXY, PROXY_HOST, UNSAFE, Clock, Echoing, ProxyCase
from txcoap.caching import CachingAgent
from txcoap.cli.arguments import Arguments, parse
from txcoap.cli.commands import perform
from txcoap.cli.console import Console
from txcoap.cli.preparing import Prepared
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.memory import SERVER_HOST
from txcoap.message import Response
from txcoap.options import Options
from txcoap.proxy import AllowList, ForwardProxy, Target
from txcoap.resource import Resource
from txcoap.server import Site
from txcoap.service import CoAPService
from txcoap.uri import URI

reactor: Any = _reactor


class LoopbackTests(TestCase):
    """Real sockets: a server, a proxy as a service, a client."""

    def setUp(self) -> None:
        """Start them."""
        root = Resource()
        self.clock = Clock()
        self.echo = Echoing()
        root.putChild("clock", self.clock)
        root.putChild("echo", self.echo)
        self.base = self.start(root)
        self.proxy = ForwardProxy(Agent(reactor))
        self.proxyBase = self.start(Resource(), proxy=self.proxy)
        self.agent = Agent(reactor, proxy=self.proxyBase)
        self.addCleanup(self.agent.close)

    def start(self, root: Any, **how: Any) -> str:
        """Serve a tree until the end of the test; where."""
        service = CoAPService(root, ["udp:0:interface=127.0.0.1"], reactor, **how)
        service.startService()
        self.addCleanup(service.stopService)
        return f"coap://127.0.0.1:{service.getHosts()[0].port}"  # type: ignore[attr-defined]

    async def test_requests(self) -> None:
        """Many at once, and bodies of many blocks."""
        answers = await gatherResults([self.agent.get(f"{self.base}/echo/{number}") for number in range(50)])
        self.assertEqual({each.text() for each in answers}, {f"GET /echo/{number}" for number in range(50)})
        self.echo.responses = [Response(Code.CHANGED, bytes(100_000))]
        response = await self.agent.put(f"{self.base}/echo", bytes(70_000))
        self.assertEqual(len(response.payload), 100_000)
        self.assertEqual(len(self.echo.requests[-1].payload), 70_000)

    async def test_name(self) -> None:
        """A name is looked up by the proxy."""
        port = URI.fromText(self.base).port
        response = await self.agent.get(f"coap://localhost:{port}/echo")
        self.assertEqual((response.code, self.echo.options.uriHost), (Code.CONTENT, "localhost"))

    async def test_itself(self) -> None:
        """A request for the proxy itself is answered by its own tree."""
        response = await self.agent.get(f"{self.proxyBase}/.well-known/core")
        self.assertEqual((response.code, response.payload), (Code.CONTENT, b""))
        port = URI.fromText(self.proxyBase).port
        response = await self.agent.get(f"coap://localhost:{port}/nothing")
        self.assertEqual(response.code, Code.NOT_FOUND)

    async def test_closedPort(self) -> None:
        """The network says at once that nobody listens there: 5.02."""
        response = await self.agent.get("coap://127.0.0.1:9/")
        self.assertEqual(response.code, Code.BAD_GATEWAY)

    async def test_discover(self) -> None:
        """The other server's links."""
        links = await self.agent.discover(self.base)
        self.assertEqual([link.target for link in links], ["/clock", "/echo"])

    async def test_observe(self) -> None:
        """States go through, and the end."""
        observation = await self.agent.observe(f"{self.base}/clock")
        states = []
        async for state in observation:
            states.append(state.text())
            if len(states) == 3:
                break
            self.clock.tick(str(len(states)))
        self.assertEqual(states, ["0", "1", "2"])
        await observation.cancel()

    async def test_command(self) -> None:
        """C{txcoap --proxy} asks through it; its word for a port at this machine will do."""
        for command in ("get", "discover", "observe"):
            console = Console(BytesIO(), BytesIO(), StringIO())
            port = URI.fromText(self.proxyBase).port
            more = ["-c", "1"] if command == "observe" else []
            arguments: Arguments = parse([command, "--proxy", f":{port}", f"{self.base}/clock", *more])
            self.assertEqual(await perform(reactor, arguments, Prepared(), console), 0)
            written = console.stdout.getvalue().decode()  # type: ignore[attr-defined]
            self.assertIn("/clock" if command == "discover" else "0", written)


class ClientTests(ProxyCase):
    """C{Agent(proxy=...)}, and the same for one request."""

    def sent(self) -> Options:
        """The options of the request that went to the proxy."""
        passage = next(each for each in self.network.passages if each.target[0] == PROXY_HOST)  # type: ignore[index]
        self.network.passages.clear()
        assert passage.datagram is not None
        return passage.datagram.options

    def test_default(self) -> None:
        """An agent's proxy is asked for everything, unless a request says otherwise."""
        self.serve()
        port = self.network.listen(self.network.newProtocol(), "192.0.2.77", 0)
        agent = Agent(self.network.reactor, protocol=port.protocol, proxy=PROXY)
        self.wait(agent.get(f"{ORIGIN}/a?b", params={"c": 1}))
        self.assertEqual(self.sent(), Options(proxyUri=f"{ORIGIN}/a?b&c=1"))
        self.wait(agent.get(f"{ORIGIN}/a", proxy=None))
        self.assertRaises(StopIteration, self.sent)
        self.wait(agent.get(URI.fromText(f"{ORIGIN}/a"), proxy=URI.fromText(f"{PROXY}/ignored")))
        self.assertEqual(self.sent(), Options(proxyUri=f"{ORIGIN}/a"))

    def test_forms(self) -> None:
        """The URI goes whole in Proxy-Uri; by Proxy-Scheme where the agent says so, also of an IPv6 host."""
        self.serve()
        self.network.names["a.example"] = SERVER_HOST
        port = self.network.listen(self.network.newProtocol(), "192.0.2.77", 0)
        agent = Agent(self.network.reactor, protocol=port.protocol, proxy=PROXY, useProxyScheme=True)
        self.wait(agent.get("coap://a.example/x"))
        self.assertEqual(self.sent(), Options(proxyScheme="coap", uriHost="a.example", uriPath=("x",)))
        agent.get("coap://[2001:db8::1]:61616/x").addErrback(lambda _: None).cancel()
        self.network.flush()
        expected = Options(proxyScheme="coap", uriHost="[2001:db8::1]", uriPort=61616, uriPath=("x",))
        self.assertEqual(self.sent(), expected)

    def test_schemes(self) -> None:
        """What the client itself could not ask goes to the proxy all the same; to it only by coap."""
        self.serve()
        self.assertEqual(self.ask("coaps://x/").code, Code.PROXYING_NOT_SUPPORTED)
        self.failureResultOf(self.client.get(ORIGIN, proxy="coaps://x"), ValueError)
        self.failureResultOf(self.client.get("nonsense", proxy=PROXY), ValueError)
        self.assertRaises(ValueError, Agent, self.network.reactor, proxy="nonsense")


class CachedTests(ProxyCase):
    """With a L{CachingAgent} below it."""

    def setUp(self) -> None:
        super().setUp()
        self.upstream: Any = CachingAgent(self.upstream)

    def test_fresh(self) -> None:
        """A fresh response is given again, whoever asks; its Max-Age runs down."""
        self.serve()
        self.origin.responses = [Response(Code.CONTENT, b"x", maxAge=50)]
        self.assertEqual(self.ask().payload, b"x")
        self.network.advance(20)
        response = self.ask(hopLimit=9)
        self.assertEqual((response.payload, response.maxAge), (b"x", 30))
        self.assertEqual(len(self.origin.requests), 1)

    def test_unsafe(self) -> None:
        """What may not pass does not pass from the cache either (RFC 7252 5.7.1)."""
        self.serve()
        odd = Options.fromPairs([(UNSAFE, b"x"), (Options.etag.number, b"e")])
        self.origin.responses = [Response(Code.CONTENT, b"x", odd), Response(Code.CONTENT, b"x", odd)]
        for _ in range(2):
            self.assertEqual(self.ask().code, Code.BAD_GATEWAY)

    def test_observers(self) -> None:
        """A thousand observers share one observation of the server, which ends with the last of them."""
        clock = Clock()
        self.network.listen(Site(clock), "192.0.2.2")
        proxy = self.serve()
        states: list[str] = []
        observations = []
        for _ in range(1000):
            observation = self.wait(self.client.observe("coap://192.0.2.2/", proxy=PROXY))
            observation.subscribe(lambda state: states.append(state.text()))
            observations.append(observation)
        self.assertEqual((proxy.observations, clock.observerCount), (1000, 1))
        states.clear()
        clock.tick("1")
        self.network.advance(60)
        self.assertEqual(states, ["1"] * 1000)
        for observation in observations:
            observation.cancel()
        self.network.advance(60)
        self.assertEqual((proxy.observations, clock.observerCount), (0, 0))

    def test_ended(self) -> None:
        """All of them are told when the server ends it."""
        clock = Clock()
        self.network.listen(Site(clock), "192.0.2.2")
        proxy = self.serve()
        observations = [self.wait(self.client.observe("coap://192.0.2.2/", proxy=PROXY)) for _ in range(3)]
        clock.dismissObservers()
        self.network.advance(1)
        codes = [self.successResultOf(each.notifyEnd()).response.code for each in observations]
        self.assertEqual(codes, [Code.NOT_FOUND] * 3)
        self.assertEqual(proxy.observations, 0)


class ExampleTests(ProxyCase):
    """C{examples/proxy.py}."""

    def test_readOnly(self) -> None:
        """It reads, and changes nothing; it remembers, and tells what it does."""
        site = example.makeSite(self.upstream, "192.0.2.1")
        self.upstream.reactor = self.network.reactor
        self.network.listen(site, PROXY_HOST)
        self.assertAnswer(self.ask(f"{ORIGIN}/a"), "2.05", "GET /a")
        self.assertAnswer(self.ask(f"{ORIGIN}/a", "PUT", b"x"), "4.05", "this proxy reads only")
        self.assertEqual(self.ask("coap://192.0.2.2/").code, Code.PROXYING_NOT_SUPPORTED)
        self.assertAnswer(self.ask(PROXY, proxy=None), "2.05", "0 0")
        self.ask(f"{ORIGIN}/a")
        self.assertEqual(len(self.origin.requests), 1)


class PageTests(PageCase):
    """The page on proxies."""

    page = "docs/proxies.rst"

    def test_asking(self) -> None:
        """Through the proxy, and not."""
        self.network.names.update({"proxy.example": "192.0.2.80", "sensor.example": SERVER_HOST})
        origin = Echoing()
        self.network.listen(Site(origin))
        proxy = ForwardProxy(self.network.agent("192.0.2.81"), AllowList("*"))
        self.network.listen(Site(Resource(), proxy=proxy), "192.0.2.80")
        port = self.network.listen(self.network.newProtocol(), "192.0.2.77", 0)
        self.space["Agent"] = lambda reactor, **how: Agent(
            self.network.reactor, protocol=port.protocol, **how
        )
        self.assertEqual(self.runMain(self.mains[0]), "GET /temperature\n" * 2)
        self.assertEqual([each.options.hopLimit for each in origin.requests], [16, None])

    def test_policy(self) -> None:
        """The function refuses what it says."""
        self.network.names["sensor.example"] = SERVER_HOST
        self.network.listen(Site(Echoing()))
        proxy = ForwardProxy(self.network.agent("192.0.2.81"), self.space["policy"])
        self.network.listen(Site(Resource(), proxy=proxy), "192.0.2.80")
        client = self.network.agent()
        rows = [("GET", ORIGIN, "2.05"), ("PUT", ORIGIN, "4.01"), ("GET", f"{ORIGIN}:5684", "5.05")]
        for method, uri, code in rows:
            asking = client.request(method, uri, proxy=PROXY)
            self.network.flush()
            self.assertEqual(self.successResultOf(asking).code.dotted, code)

    def test_reverse(self) -> None:
        """Its path is below the base of the other."""
        proxy = self.space["root"].children["cellar"]
        self.assertEqual((proxy.base.host, proxy.base.path), ("fd00::5", ("sensors",)))
        self.assertTrue(
            self.space["allowed"](None, Target(URI.fromText("coap://a.sensors.example"), "192.0.9.1"))
        )
