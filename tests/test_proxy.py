"""
Tests for L{txcoap.proxy} and L{txcoap.relay}: what a forward proxy asks, and what its clients get.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.recorders import logged
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.errors import Forbidden
from txcoap.interfaces import IProxy
from txcoap.limits import Limits
from txcoap.memory import SERVER_HOST
from txcoap.message import Response
from txcoap.observe import ObservableResource
from txcoap.options import Options
from txcoap.proxy import AllowList, ForwardProxy, Target
from txcoap.request import NOT_DONE_YET, Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, NON, encode
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
        """The last hop is not passed: 5.08, with the proxy's name; and it is logged (RFC 8768 3)."""
        self.serve(name="gate")
        events = logged(self)
        self.assertAnswer(self.ask(hopLimit=1), "5.08", "gate")
        self.assertFalse(self.origin.requests)
        (event,) = events
        self.assertEqual(event["log_namespace"], "txcoap.relay")
        self.assertIn("too many proxies", formatEvent(event))

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
