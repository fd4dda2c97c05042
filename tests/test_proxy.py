"""
Tests for L{txcoap.proxy} and L{txcoap.relay}: what a forward proxy asks, and what its clients get.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.errors import Forbidden
from txcoap.interfaces import IProxy
from txcoap.limits import Limits
from txcoap.memory import SERVER_HOST
from txcoap.message import Response
from txcoap.observation import Observation
from txcoap.observe import ObservableResource
from txcoap.options import NO_OPTIONS, Options
from txcoap.parameters import Parameters
from txcoap.proxy import AllowList, ForwardProxy, Target
from txcoap.relay import Relay
from txcoap.request import NOT_DONE_YET, Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, decode, encode
from txcoap.server import Site
from txcoap.testing import MemoryNetwork, ScriptedPeer
from txcoap.uri import URI

PROXY_HOST = "192.0.2.80"
PROXY = f"coap://{PROXY_HOST}"
ORIGIN = f"coap://{SERVER_HOST}"
PEER = "192.0.2.3"

# Unknown options: an odd number is critical, one with the bit 2 is unsafe to forward.
SAFE_CRITICAL, SAFE, UNSAFE_CRITICAL, UNSAFE = 65001, 65000, 65003, 65002


class Echoing(Resource):
    """Says what it was asked, and keeps the requests."""

    isLeaf = True
    heedsConditions = True
    allowedMethods = ("GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH")

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.responses: list[Response] = []

    def render(self, request: Any) -> Any:
        self.requests.append(request)
        return self.responses.pop(0) if self.responses else f"{request.method} {request.uri}"

    @property
    def options(self) -> Options:
        """Of the request that came last."""
        return self.requests[-1].options


class Clock(ObservableResource):
    """A state to observe."""

    state = "0"
    body: Any = b""

    def render_GET(self, request: Any) -> Any:
        return self.body or self.state

    def tick(self, state: str) -> None:
        self.state = state
        self.notifyObservers()


class ProxyCase(SynchronousTestCase):
    """
    A client, a proxy and an origin server.

    @ivar origin: What the server has, whatever the path.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.origin: Any = Echoing()
        self.network.listen(Site(self.origin))
        self.own = Resource()
        self.own.putChild("own", Echoing())
        self.upstreamPort = self.network.listen(self.network.newProtocol(), "192.0.2.81", 0)
        self.upstream = Agent(self.network.reactor, protocol=self.upstreamPort.protocol)
        self.client = self.network.agent()

    def serve(self, *allowed: str, limits: Limits | None = None, **how: Any) -> ForwardProxy:
        """Open the proxy, for whom it may ask."""
        policy = how.pop("policy", None) or AllowList(*(allowed or ("*",)))
        proxy = ForwardProxy(self.upstream, policy, **how)
        site = Site(self.own, proxy=proxy, limits=limits or Limits())
        self.port = self.network.listen(site, PROXY_HOST)
        return proxy

    def ask(self, uri: str = ORIGIN, method: str = "GET", payload: Any = b"", **how: Any) -> Response:
        """Ask through the proxy, for an answer that needs no time."""
        response = self.wait(self.client.request(method, uri, payload, **{"proxy": PROXY, **how}))
        assert isinstance(response, Response)
        return response

    def wait(self, asking: Deferred[Any], seconds: float = 0.0) -> Any:
        """What comes of it after so long."""
        self.network.advance(seconds)
        return self.successResultOf(asking)

    def assertAnswer(self, response: Response, code: str, text: str | None = None) -> None:
        """It has this code and this text."""
        self.assertEqual(
            (response.code.dotted, response.text()), (code, response.text() if text is None else text)
        )


class ForwardProxyTests(ProxyCase):
    """Requests for others, and for the proxy itself."""

    def test_interface(self) -> None:
        """L{ForwardProxy} provides L{IProxy}."""
        verifyObject(IProxy, self.serve())

    def test_proxyUri(self) -> None:
        """Path and query of Proxy-Uri reach the server, as options of its own (RFC 7252 5.7.2, 6.4)."""
        self.serve()
        response = self.ask(f"{ORIGIN}/a%20b/gr%C3%BCn?x=1&y")
        self.assertAnswer(response, "2.05", "GET /a b/grün?x=1&y")
        expected = Options(uriPath=("a b", "grün"), uriQuery=("x=1", "y"), hopLimit=16)
        self.assertEqual(self.origin.options, expected)

    def test_proxyScheme(self) -> None:
        """Proxy-Scheme with the options of a URI says the same (RFC 7252 5.10.2)."""
        self.serve()
        self.network.listen(Site(self.origin), SERVER_HOST, 61616)
        how: dict[str, Any] = {"proxyScheme": "CoAP", "uriHost": SERVER_HOST, "proxy": None}
        for port in (None, 61616):
            response = self.ask(f"{PROXY}/a?b", uriPort=port, **how)
            self.assertAnswer(response, "2.05", "GET /a?b")
        self.assertEqual(self.origin.requests[-1].getHost().port, 61616)

    def test_precedence(self) -> None:
        """Proxy-Uri counts before all that says the same (RFC 7252 5.10.2)."""
        self.serve()
        how: dict[str, Any] = {"proxyScheme": "http", "proxyUri": f"{ORIGIN}/right", "proxy": None}
        self.assertAnswer(self.ask(f"{PROXY}/wrong", **how), "2.05", "GET /right")

    def test_methods(self) -> None:
        """Methods, bodies and what is safe to forward pass, and the response comes back whole."""
        self.serve()
        answer = Response(
            Code.CREATED,
            b"done",
            contentFormat=0,
            etag=b"e",
            maxAge=7,
            locationPath=("a", "b"),
            locationQuery=("c",),
        )
        self.origin.responses = [answer]
        how: dict[str, Any] = {
            "contentFormat": 50,
            "ifNoneMatch": True,
            "accept": 0,
            "etag": (b"x",),
        }
        self.assertEqual(self.ask(ORIGIN, "POST", b"{}", **how), answer)
        self.assertEqual(self.origin.requests[0].payload, b"{}")
        self.assertEqual(self.origin.options, Options(hopLimit=16, **how))
        for method in ("PUT", "DELETE", "FETCH", "PATCH", "iPATCH"):
            self.assertEqual(self.ask(ORIGIN, method).text(), f"{method} /")

    def test_errorsPass(self) -> None:
        """An error of the server is the client's, with its text."""
        self.serve()
        self.origin.responses = [Response(Code.NOT_FOUND, b"no such thing")]
        self.assertAnswer(self.ask(), "4.04", "no such thing")

    def test_valid(self) -> None:
        """2.03 passes: the entity tags are the client's (RFC 7252 5.9.1.3)."""
        self.serve()
        self.origin.responses = [Response(Code.VALID, etag=b"e")]
        self.assertEqual(self.ask(etag=(b"e",)), Response(Code.VALID, etag=b"e"))

    def test_confirmable(self) -> None:
        """The request goes on as it came."""
        self.serve()
        for confirmable in (True, False):
            self.ask(confirmable=confirmable)
            self.assertEqual(self.origin.requests[-1].isConfirmable, confirmable)

    def test_othersToTheRoot(self) -> None:
        """What has neither option is for the site's tree."""
        self.serve()
        self.assertAnswer(self.ask(f"{PROXY}/own", proxy=None), "2.05", "GET /own")
        self.assertEqual(self.ask(f"{PROXY}/other", proxy=None).code, Code.NOT_FOUND)

    def test_itself(self) -> None:
        """A request for the proxy itself is a local one (RFC 7252 5.7.2), whatever the policy."""
        self.serve(policy=lambda request, target: False, hosts=["proxy.example"])
        for uri in (f"{PROXY}/own?x", f"{PROXY}:5683/own?x", "coap://Proxy.Example/own?x"):
            self.assertAnswer(self.ask(uri), "2.05", "GET /own?x")
        self.assertAnswer(self.ask(f"{PROXY}/own?x", proxy=None, proxyScheme="coap"), "2.05", "GET /own?x")
        self.assertEqual(self.ask(f"{PROXY}:5684/own").code, Code.PROXYING_NOT_SUPPORTED)
        self.assertFalse(self.origin.requests)

    def test_itselfInBlocks(self) -> None:
        """Also with bodies of many blocks."""
        self.serve()
        big = Response(Code.CONTENT, bytes(5000))
        self.own.children["own"].responses = [big]
        self.assertEqual(len(self.ask(f"{PROXY}/own", "POST", bytes(3000)).payload), 5000)
        self.assertEqual(len(self.own.children["own"].requests[0].payload), 3000)

    def test_withoutProxy(self) -> None:
        """A site without proxy answers 5.05 (RFC 7252 5.10.2)."""
        for how in ({"proxyUri": "coap://x/"}, {"proxyScheme": "coap"}):
            self.assertEqual(self.ask(proxy=None, **how).code, Code.PROXYING_NOT_SUPPORTED)

    def test_otherSchemes(self) -> None:
        """What is not coap is 5.05 (RFC 7252 5.10.2)."""
        self.serve()
        for uri in ("http://x/", "coaps://x/", "coap+tcp://x/", "urn:x", "HTTPS://x/"):
            self.assertEqual(self.ask(PROXY, proxy=None, proxyUri=uri).code, Code.PROXYING_NOT_SUPPORTED, uri)
        for scheme in ("http", "coaps", "", "\u00e4"):
            response = self.ask(PROXY, proxy=None, options=Options.fromPairs([(39, scheme.encode())]))
            self.assertEqual(
                response.code, Code.PROXYING_NOT_SUPPORTED if scheme else Code.BAD_OPTION, scheme
            )

    def test_noURI(self) -> None:
        """What is no URI is a malformed option: 4.02 (RFC 7252 5.9.2.3)."""
        self.serve()
        for uri in (
            "x",
            "/a",
            "coap:",
            "coap://",
            "coap://[::1",
            "coap://a:0/",
            "coap://a/#b",
            "coap://u@a/",
            # Its parts have to fit their options.
            "coap://a/" + 256 * "x",
            ":",
        ):
            self.assertEqual(self.ask(PROXY, proxy=None, proxyUri=uri).code, Code.BAD_OPTION, uri)
        pairs = [(35, b"coap://\xff/")]
        self.assertEqual(self.ask(PROXY, proxy=None, options=Options.fromPairs(pairs)).code, Code.BAD_REQUEST)
        how: dict[str, Any] = {"proxyScheme": "coap", "proxy": None}
        self.assertEqual(self.ask(PROXY, uriHost="[x]", **how).code, Code.BAD_OPTION)
        self.assertEqual(self.ask(PROXY, uriPath=("..",), **how).code, Code.BAD_OPTION)

    def test_named(self) -> None:
        """A name is looked up by the proxy, and stays in Uri-Host (RFC 7252 5.7.2)."""
        self.serve()
        self.network.names["sensor.example"] = SERVER_HOST
        self.assertAnswer(self.ask("coap://sensor.example/t"), "2.05", "GET /t")
        self.assertEqual(self.origin.options.uriHost, "sensor.example")


class PassingTests(ProxyCase):
    """Which options pass (RFC 7252 5.4.2, 5.7.1)."""

    def setUp(self) -> None:
        super().setUp()
        self.peer = ScriptedPeer(self.network, PEER)

    def through(self, number: int, **how: Any) -> Deferred[Any]:
        """Ask the scripted peer with an option."""
        asking = self.client.get(
            f"coap://{PEER}/", proxy=PROXY, options=Options.fromPairs([(number, b"v")]), relaying=True, **how
        )
        self.network.flush()
        return asking

    def test_safe(self) -> None:
        """What is not recognized passes if it is safe to forward, critical or not: OSCORE does so."""
        self.serve()
        for number in (SAFE, SAFE_CRITICAL, Options.oscore.number):
            answered = Options.fromPairs([(number, b"w")])
            self.peer.expect(options=Options(hopLimit=16).adding((number, b"v"))).reply(
                "2.05", b"ok", options=answered
            )
            response = self.wait(self.through(number))
            self.assertEqual((response.code, response.options), (Code.CONTENT, answered))
        self.peer.check()

    def test_accept(self) -> None:
        """Accept goes on, and what the server answers to it comes back, in whatever format."""
        self.serve()
        self.peer.expect(options=Options(hopLimit=16, accept=50)).reply("2.05", b"ok", contentFormat=0)
        asking = self.client.get(f"coap://{PEER}/", proxy=PROXY, accept=50)
        self.network.flush()
        self.assertAnswer(self.wait(asking), "2.05", "ok")
        self.peer.check()

    def test_unsafe(self) -> None:
        """What is unsafe to forward and not recognized is 4.02, elective or not (RFC 7252 5.7.1)."""
        self.serve()
        for number in (UNSAFE, UNSAFE_CRITICAL):
            response = self.wait(self.through(number))
            self.assertEqual(response.code, Code.BAD_OPTION)
            self.assertIn(str(number), response.text())
        self.peer.check()

    def test_unsafeInResponse(self) -> None:
        """In a response it makes 5.02."""
        self.serve()
        for number in (UNSAFE, UNSAFE_CRITICAL):
            self.peer.expect().reply("2.05", options=Options.fromPairs([(number, b"w")]))
            response = self.wait(self.client.get(f"coap://{PEER}/", proxy=PROXY))
            self.assertEqual(response.code, Code.BAD_GATEWAY)

    def test_unreadableResponse(self) -> None:
        """What cannot be read is 5.02, too, whatever message it comes in; not a time-out (5.7.1)."""
        self.serve()
        for confirmable in (True, False):
            unknown = self.peer.expect()
            unknown.reply("2.05", options=Options.fromPairs([(UNSAFE_CRITICAL, b"w")]))
            asking = self.client.get(f"coap://{PEER}/", proxy=PROXY, confirmable=confirmable)
            response = self.wait(asking)
            self.assertEqual(response.code, Code.BAD_GATEWAY)
            self.peer.expect()
            asking = self.client.get(f"coap://{PEER}/", proxy=PROXY, confirmable=confirmable)
            self.network.flush()
            heard, proxy = self.peer.heard[-1]
            kind = ACK if confirmable else NON
            answer = encode(kind, Code.CONTENT, heard.messageID, heard.token) + b"\xff"
            self.peer._port.send(answer, proxy)
            self.assertEqual(self.wait(asking).code, Code.BAD_GATEWAY)

    def test_repeated(self) -> None:
        """An unsafe option that is there too often counts as not recognized (RFC 7252 5.4.5)."""
        self.serve()
        for pairs in ([(35, b"coap://a/"), (35, b"coap://b/")], [(35, b"coap://a/"), (14, b""), (14, b"")]):
            response = self.ask(PROXY, proxy=None, options=Options.fromPairs(pairs))
            self.assertEqual(response.code, Code.BAD_OPTION)

    def test_notForProxy(self) -> None:
        """A request for the proxy itself, or without its options, has no critical option unrecognized."""
        self.serve()
        odd = Options.fromPairs([(SAFE_CRITICAL, b"v")])
        self.assertEqual(self.ask(f"{PROXY}/own", options=odd).code, Code.BAD_OPTION)
        self.assertEqual(self.ask(f"{PROXY}/own", options=odd, proxy=None).code, Code.BAD_OPTION)
        self.assertEqual(self.ask(f"{PROXY}/own", options=odd, confirmable=True).code, Code.BAD_OPTION)

    def test_hopByHop(self) -> None:
        """Blocks, their tags and sizes, are of each leg (RFC 7959 2.11, RFC 9175 3.4)."""
        self.serve()
        how: dict[str, Any] = {"block2": (0, False, 0), "size2": 0, "requestTag": (b"t",)}
        self.origin.responses = [Response(Code.CONTENT, bytes(100))]
        response = self.ask(**how)
        self.assertEqual(self.origin.options, Options(hopLimit=16))
        self.assertEqual(len(response.payload), 100)


class Lock(Echoing):
    """Opens for fresh requests alone."""

    def render(self, request: Any) -> Any:
        request.requireFresh()
        return super().render(request)


class EchoTests(ProxyCase):
    """
    That a request is fresh its client alone can show: an Echo of the server is answered by the client, not by
    the proxy (RFC 9175 2.3).
    """

    def test_client(self) -> None:
        """A client that knows Echo does not notice; the request is made anew by the client, each time."""
        self.network.listen(Site(Lock()), PEER)
        self.serve()
        for _ in range(2):
            self.assertAnswer(self.ask(f"coap://{PEER}/x", "POST", b"open"), "2.04", "POST /x")
            self.network.advance(100)
        self.assertEqual(self.upstreamPort.protocol.sizes()["echoes"], 0)
        lock = [each for each in self.network.passages if each.target == (PEER, 5683)]
        self.assertEqual(len(lock), 4)

    def test_others(self) -> None:
        """One that gives another gets the 4.01, and nothing is done, though one before had an Echo."""
        lock = Lock()
        self.network.listen(Site(lock), PEER)
        self.serve()
        self.ask(f"coap://{PEER}/x", "POST")
        answer = self.ask(f"coap://{PEER}/x", "POST", echo=b"e")
        self.assertEqual(answer.code, Code.UNAUTHORIZED)
        self.assertIsNotNone(answer.options.echo)
        self.assertEqual(len(lock.requests), 1)

    def test_own(self) -> None:
        """One that the proxy gave stays with it; it shows nothing to others."""
        self.own.putChild("lock", Lock())
        self.serve()
        self.assertAnswer(self.ask(f"{PROXY}/lock", "POST", proxy=None), "2.04")
        self.assertAnswer(self.ask(method="POST"), "2.04")
        self.assertIsNone(self.origin.options.echo)
        self.ask(echo=b"e")
        self.assertEqual(self.origin.options.echo, b"e")


class HopLimitTests(ProxyCase):
    """RFC 8768."""

    def test_decremented(self) -> None:
        """Each proxy takes one off; where there is none it inserts its own."""
        self.serve(hopLimit=3)
        self.ask(hopLimit=255)
        self.assertEqual(self.origin.options.hopLimit, 254)
        self.ask()
        self.assertEqual(self.origin.options.hopLimit, 3)

    def test_none(self) -> None:
        """None inserts nothing."""
        self.serve(hopLimit=None)
        self.ask()
        self.assertEqual(self.origin.options, Options())

    def test_reached(self) -> None:
        """The last hop is not passed: 5.08, with the proxy's name."""
        self.serve(name="gate")
        self.assertAnswer(self.ask(hopLimit=1), "5.08", "gate")
        self.assertFalse(self.origin.requests)

    def test_malformed(self) -> None:
        """0 and what is no byte are 4.00."""
        self.serve()
        for value in (b"\0", b"", b"\1\2"):
            response = self.ask(options=Options.fromPairs([(16, value)]))
            self.assertEqual(response.code, Code.BAD_REQUEST, value)

    def test_loop(self) -> None:
        """Two proxies that ask each other find it out; both put their names to it (RFC 8768 4)."""
        self.serve(name="here")
        there = ForwardProxy(Looping(self.network.agent("192.0.2.91"), PROXY), AllowList("*"), name="there")
        self.network.listen(Site(Resource(), proxy=there), "192.0.2.90")
        self.upstream = self.network.agent("192.0.2.82")
        self.port.stopListening()
        proxy = ForwardProxy(Looping(self.upstream, "coap://192.0.2.90"), AllowList("*"), name="here")
        self.network.listen(Site(Resource(), proxy=proxy), PROXY_HOST)
        asking = self.client.get(ORIGIN, proxy=PROXY, hopLimit=4)
        self.assertAnswer(self.wait(asking, 5), "5.08", "here there here there")

    def test_settings(self) -> None:
        """What is no Hop-Limit, and what is no name, is refused where it is written."""
        for how in ({"hopLimit": 0}, {"hopLimit": 256}, {"name": "two words"}, {"name": ""}):
            self.assertRaises(ValueError, ForwardProxy, self.upstream, **how)


class Looping:
    """An agent that asks everything through another proxy."""

    def __init__(self, agent: Agent, proxy: str) -> None:
        self._agent, self._proxy = agent, proxy

    def request(self, *args: Any, **how: Any) -> Deferred[Any]:
        return self._agent.request(*args, proxy=self._proxy, **how)


class GatewayTests(ProxyCase):
    """What a client is told of a server that does not answer (RFC 7252 5.9.3)."""

    def test_name(self) -> None:
        """A name without address: 5.02."""
        self.serve()
        self.assertAnswer(self.ask("coap://nobody.example/"), "5.02", "the server's name was not found")

    def test_refused(self) -> None:
        """Nobody listens there: 5.02 at once."""
        self.serve()
        self.assertAnswer(self.ask("coap://192.0.2.1:9/"), "5.02", "the server cannot be reached")

    def test_silent(self) -> None:
        """No answer in time: 5.04; the proxy's time-out can be set."""
        self.serve(timeout=5)
        ScriptedPeer(self.network, PEER).expect(times=2)
        asking = self.client.get(f"coap://{PEER}/", proxy=PROXY)
        self.assertAnswer(self.wait(asking, 6), "5.04")

    def test_silentByDefault(self) -> None:
        """Without one it is that of the agent, MAX_TRANSMIT_WAIT."""
        self.serve()
        ScriptedPeer(self.network, PEER).expect(times=5)
        asking = self.client.get(f"coap://{PEER}/", proxy=PROXY)
        self.network.advance(60)
        self.assertNoResult(asking)
        self.assertAnswer(self.wait(asking, 35), "5.04")

    def test_reset(self) -> None:
        """A Reset: 5.02."""
        self.serve()
        ScriptedPeer(self.network, PEER).expect().reset()
        self.assertAnswer(self.ask(f"coap://{PEER}/"), "5.02", "the server rejected the request")

    def test_queueFull(self) -> None:
        """Too many wait for one server: 5.03 with Max-Age."""
        self.upstream = self.network.agent("192.0.2.83", limits=Limits(queuedRequests=1))
        self.serve()
        ScriptedPeer(self.network, PEER).expect(times=2)
        parameters = Parameters(NSTART=10)
        uris = [f"coap://{PEER}/{number}" for number in range(3)]
        asking = [self.client.get(uri, proxy=PROXY, parameters=parameters) for uri in uris]
        self.network.flush()
        response = self.successResultOf(asking[2])
        self.assertEqual((response.code, response.maxAge), (Code.SERVICE_UNAVAILABLE, 1))
        for each in asking[:2]:
            each.addErrback(lambda _: None).cancel()

    def test_noResponse(self) -> None:
        """Silence that the client asks for holds on both legs (RFC 7967)."""
        self.serve()
        asking = self.client.put(ORIGIN, b"x", proxy=PROXY, noResponse=26, confirmable=False)
        self.network.flush()
        self.assertIsNone(self.successResultOf(asking))
        self.assertEqual(self.origin.options.noResponse, 26)
        sent = [decode(each.data).type for each in self.network.passages]
        self.assertEqual(sent, [NON, NON])
        asking = self.client.put(ORIGIN, b"x", proxy=PROXY, noResponse=26)
        self.assertIsNone(self.wait(asking, 1))

    def test_cancelled(self) -> None:
        """When nobody waits any more the request to the server is taken back."""
        proxy = self.serve()
        self.origin.responses = [NOT_DONE_YET]
        asking = self.client.get(ORIGIN, proxy=PROXY)
        self.network.advance(1)
        self.assertEqual(proxy.underWay, 1)
        self.assertEqual(self.openRequests(), 1)
        self.port.stopListening()
        self.network.flush()
        self.assertEqual((proxy.underWay, self.openRequests()), (0, 0))
        asking.addErrback(lambda _: None).cancel()

    def openRequests(self) -> int:
        """How many requests of the proxy are open."""
        protocol: Any = self.upstreamPort.protocol
        return int(protocol.sizes()["openRequests"])

    def test_close(self) -> None:
        """Closing it closes what its agent opened."""
        proxy = self.serve()
        self.successResultOf(proxy.close())
        self.successResultOf(ForwardProxy(Looping(self.upstream, PROXY)).close())


class Several(Relay):
    """Asks one server after the other."""

    def __init__(self, agent: Any, *uris: str) -> None:
        super().__init__(agent)
        self.uris = uris

    async def findHops(self, request: Request) -> list[tuple[URI, Options]]:
        return [(URI.fromText(each), NO_OPTIONS) for each in self.uris]


class SeveralTests(ProxyCase):
    """A relay that knows several servers."""

    def get(self, *uris: str) -> Response:
        """What it answers, below its own path."""
        root = Resource()
        root.putChild("any", Several(self.upstream, *uris))
        self.network.listen(Site(root), PROXY_HOST)
        return self.ask(f"{PROXY}/any/below", proxy=None)

    def test_next(self) -> None:
        """One that cannot be reached is passed over."""
        self.assertAnswer(self.get("coap://192.0.2.1:9/", ORIGIN + "/x", ORIGIN + "/y"), "2.05", "GET /x")
        self.assertEqual(len(self.origin.requests), 1)

    def test_none(self) -> None:
        """When none can be it is 5.02."""
        self.assertAnswer(self.get("coap://192.0.2.1:9/", "coap://192.0.2.1:10/"), "5.02")

    def test_notListed(self) -> None:
        """What is behind it is not listed."""
        self.get(ORIGIN)
        links = self.wait(self.client.get(f"{PROXY}/.well-known/core"))
        self.assertNotIn("any", links.text())


class PolicyTests(ProxyCase):
    """Whom the proxy asks."""

    def test_default(self) -> None:
        """Without a policy it asks this machine's loopback addresses alone, and answers 5.05 else (5.7.2)."""
        self.network.listen(Site(self.origin), "127.0.0.1", 61616)
        self.network.listen(Site(Resource(), proxy=ForwardProxy(self.upstream)), PROXY_HOST)
        self.assertAnswer(self.ask("coap://127.0.0.1:61616/a"), "2.05", "GET /a")
        self.assertAnswer(self.ask(f"{ORIGIN}/a"), "5.05", "the proxy does not ask there")

    def test_judgedAddress(self) -> None:
        """A name is judged by the address that is then asked, so that no name opens a closed address."""
        self.serve("198.51.100.0/24")
        self.network.names["evil.example"] = SERVER_HOST
        self.assertEqual(self.ask("coap://evil.example/").code, Code.PROXYING_NOT_SUPPORTED)
        self.assertFalse(self.origin.requests)

    def test_never(self) -> None:
        """Groups, no address in particular, and Unix sockets are asked by no policy."""
        self.serve("*")
        for host in (
            "224.0.1.187",
            "[ff02::fd]",
            "0.0.0.0",
            "[::]",
            "255.255.255.255",
            "%2Frun%2Fx",
            "[::ffff:0.0.0.0]",
        ):
            self.assertEqual(self.ask(f"coap://{host}/").code, Code.PROXYING_NOT_SUPPORTED, host)
        response = self.ask(PROXY, proxy=None, proxyScheme="coap", uriHost="/run/x.sock")
        self.assertEqual(response.code, Code.PROXYING_NOT_SUPPORTED)

    def test_asked(self) -> None:
        """A policy sees request and target; it may raise what is to be answered."""
        seen = []

        def policy(request: Request, target: Target) -> bool:
            seen.append((request.method, str(target.uri), target.address))
            if request.method == "DELETE":
                raise Forbidden("read only")
            return True

        self.serve(policy=policy)
        self.network.names["a.example"] = SERVER_HOST
        self.assertEqual(self.ask("coap://a.example/b").code, Code.CONTENT)
        self.assertAnswer(self.ask(ORIGIN, "DELETE"), "4.03", "read only")
        self.assertEqual(
            seen, [("GET", "coap://a.example/b", SERVER_HOST), ("DELETE", f"{ORIGIN}/", SERVER_HOST)]
        )

    def test_maximumRequests(self) -> None:
        """More requests than may wait are 5.03 with Max-Age."""
        proxy = self.serve(maximumRequests=1)
        self.origin.responses = [NOT_DONE_YET]
        waiting = self.client.get(ORIGIN, proxy=PROXY)
        self.network.advance(1)
        self.assertEqual(proxy.underWay, 1)
        response = self.ask()
        self.assertEqual((response.code, response.maxAge), (Code.SERVICE_UNAVAILABLE, 1))
        self.origin.requests[0].respond(Response(Code.CONTENT))
        self.wait(waiting)
        self.assertEqual(self.ask().code, Code.CONTENT)


class BodyTests(ProxyCase):
    """Bodies of many blocks, whole on each leg (RFC 7959 2.11)."""

    def test_both(self) -> None:
        """Up and down."""
        self.serve()
        body = bytes(range(256)) * 40
        self.origin.responses = [Response(Code.CHANGED, body[::-1])]
        self.assertEqual(self.ask(ORIGIN, "PUT", body).payload, body[::-1])
        self.assertEqual([each.payload for each in self.origin.requests], [body])

    def test_longURI(self) -> None:
        """A URI too long for Proxy-Uri goes by Proxy-Scheme (RFC 7252 5.10.2)."""
        self.serve()
        path = "/".join(["x" * 200] * 6)
        self.assertAnswer(self.ask(f"{ORIGIN}/{path}?q"), "2.05", f"GET /{path}?q")

    def test_limit(self) -> None:
        """A body larger than the limit is 4.13 with Size1."""
        self.serve(maximumBody=2000)
        response = self.ask(ORIGIN, "PUT", bytes(5000))
        self.assertEqual((response.code, response.options.size1), (Code.REQUEST_ENTITY_TOO_LARGE, 2000))

    def test_laterBlock(self) -> None:
        """A block that is asked for by itself is cut from the whole."""
        self.serve()
        self.origin.responses = [Response(Code.CONTENT, bytes(3000)), Response(Code.CONTENT, bytes(3000))]
        uri = URI.fromText(ORIGIN)
        asking = self.client.get(uri, proxy=PROXY, byteRange=(2048, None))
        self.assertEqual(len(self.wait(asking).payload), 952)


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
