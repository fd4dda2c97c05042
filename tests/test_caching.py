"""
Tests for L{txcoap.caching}: an agent that keeps responses, and a server that it asks.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from txcoap import Agent, Code, Options, Request, Resource, Response, Site, endpoints
from txcoap.caching import CachedResponse, CachingAgent
from txcoap.errors import InvalidURI, MalformedResponse, NoAcknowledgement, NotFound, Unreachable
from txcoap.interfaces import IAgent
from txcoap.message import Request as Message
from txcoap.testing import StubAgent
from txcoap.uri import URI


class Origin(Resource):
    """
    A resource that counts what it is asked.

    @ivar body: What it has.
    @ivar values: Options of its responses.
    @ivar asked: Every request.
    @ivar pending: What answers later, if not None.
    """

    isLeaf = True

    def __init__(self, body: bytes = b"one") -> None:
        super().__init__()
        self.body = body
        self.values: dict[str, Any] = {}
        self.asked: list[Request] = []
        self.pending: list[Deferred[bytes]] | None = None

    def render_GET(self, request: Request) -> Any:
        """What it has."""
        self.asked.append(request)
        if self.pending is not None:
            self.pending.append(Deferred())
            return self.pending[-1]
        return Response(Code.CONTENT, self.body, **self.values)

    render_FETCH = render_GET

    def render_PUT(self, request: Request) -> None:
        """Have something else."""
        self.body = request.payload

    def render_POST(self, request: Request) -> Response:
        """Something was made."""
        return Response(Code.CREATED, locationPath=("made",))

    def render_DELETE(self, request: Request) -> None:
        """Refuse."""
        raise NotFound()


class CachingTestCase(SynchronousTestCase):
    """An agent with a cache, and the origin."""

    how: dict[str, Any] = {}

    def setUp(self) -> None:
        """Nothing is stored."""
        self.origin = Origin()
        self.below = StubAgent(self.origin)
        self.agent = CachingAgent(self.below, **self.how)

    def get(self, path: str = "/x", **how: Any) -> Any:
        """The response to a GET."""
        return self.successResultOf(self.agent.get(f"coap://origin{path}", **how))

    @property
    def asked(self) -> int:
        """How often the origin was asked."""
        return len(self.origin.asked)


class HitTests(CachingTestCase):
    """What is fresh answers for the origin."""

    def test_interface(self) -> None:
        """L{CachingAgent} provides C{IAgent}."""
        verifyObject(IAgent, self.agent)

    def test_hit(self) -> None:
        """It is the same, with the Max-Age that is left (RFC 7252 5.7.1), and says that it was stored."""
        self.origin.values = {"maxAge": 30, "contentFormat": 50, "etag": b"t"}
        first = self.get()
        self.below.advance(12.0)
        second = self.get()
        self.assertEqual(self.asked, 1)
        self.assertIsInstance(second, CachedResponse)
        self.assertEqual((first.isFromCache, first.age), (False, 0.0))
        self.assertEqual((second.isFromCache, second.age), (True, 12.0))
        self.assertEqual((second.code, second.payload), (Code.CONTENT, b"one"))
        self.assertEqual((second.contentFormat, second.etag, second.maxAge), (50, b"t", 18))
        self.assertEqual((second.peer, second.host), (first.peer, first.host))
        self.below.advance(18.0)
        self.get()
        self.assertEqual(self.asked, 2)

    def test_sameRequest(self) -> None:
        """However the same is asked for: by URI, by parts, by options, by header names."""
        self.get("/x?a=1", accept=50)
        for how in (
            {"uri": "coap://ORIGIN:5683/x?a=1", "options": Options(accept=50)},
            {"uri": "coap://origin/x", "params": {"a": 1}, "headers": {"Accept": "application/json"}},
            {"host": "origin", "path": "/x", "query": {"a": 1}, "accept": "application/json"},
        ):
            self.assertTrue(self.successResultOf(self.agent.get(**how)).isFromCache, how)

    def test_others(self) -> None:
        """Another Accept, query or host is another request."""
        self.get("/x?a=1", accept=50)
        self.assertFalse(self.get("/x?a=1", accept=0).isFromCache)
        self.assertFalse(self.get("/x?a=2", accept=50).isFromCache)
        self.assertFalse(self.successResultOf(self.agent.get("coap://other/x?a=1", accept=50)).isFromCache)

    def test_fetch(self) -> None:
        """FETCH is stored by its body (RFC 8132 2.1)."""
        for body, isFromCache in ((b"a", False), (b"b", False), (b"a", True)):
            response = self.successResultOf(self.agent.fetch("coap://origin/x", body, contentFormat=0))
            self.assertEqual(response.isFromCache, isFromCache, body)

    def test_large(self) -> None:
        """A body in blocks is stored whole (RFC 7959 2.10)."""
        self.origin.body = bytes(range(256)) * 20
        self.get()
        response = self.get()
        self.assertTrue(response.isFromCache)
        self.assertEqual((response.payload, response.options.block2), (self.origin.body, None))
        self.assertEqual(self.asked, 1)

    def test_passesBy(self) -> None:
        """Streams, parts, conditions, blocks and No-Response pass by; so does what is wrong."""
        self.origin.body = bytes(5000)
        self.get()
        for how in (
            {"stream": True},
            {"byteRange": (1024, 10)},
            {"ifMatch": (b"t",)},
            {"block2": (0, False, 2)},
            {"noResponse": 0},
        ):
            self.assertFalse(getattr(self.get(**how), "isFromCache", False), how)
        self.failureResultOf(self.agent.get("http://origin/x"), InvalidURI)
        self.failureResultOf(self.agent.get("coap://origin/x?new", nonsense=1), ValueError)
        self.failureResultOf(self.agent.get(), TypeError)

    def test_silence(self) -> None:
        """No-Response gives None, as without a cache (RFC 7967)."""
        self.assertIsNone(self.get(noResponse=26))

    def test_find(self) -> None:
        """L{CachingAgent.find} tells at once what is stored, and asks nobody."""
        target = URI.fromText("coap://origin/x")
        request = Message(Code.GET, b"", target.toOptions())
        self.assertIsNone(self.agent.find(request, target))
        self.get()
        self.below.advance(3.0)
        found = self.agent.find(request, target)
        assert found is not None
        self.assertEqual((found.payload, found.maxAge), (b"one", 57))
        self.assertIsNone(self.agent.find(Message(Code.PUT, b"", target.toOptions()), target))
        self.assertEqual((self.asked, self.agent.counters.hits, self.agent.counters.misses), (1, 1, 1))

    def test_discover(self) -> None:
        """What is made of a request is cached as well."""
        self.origin.values = {"contentFormat": 40}
        self.origin.body = b"</x>"
        for _ in range(2):
            self.assertEqual(
                [link.target for link in self.successResultOf(self.agent.discover("coap://o"))], ["/x"]
            )
        self.assertEqual(self.asked, 1)

    def test_rest(self) -> None:
        """C{ping} goes to the agent below; so does C{close}, which leaves what is stored."""
        self.assertIsNone(self.successResultOf(self.agent.ping("coap://origin")))
        self.get()

        async def use() -> None:
            async with self.agent:
                pass

        self.successResultOf(Deferred.fromCoroutine(use()))
        self.assertTrue(self.get().isFromCache)

    def test_grace(self) -> None:
        """C{close} gives the agent below as much time as it was given."""
        graces: list[float | None] = []

        class Plain:
            reactor = self.below.clock

            def close(self, *, grace: float | None = 0.0) -> None:
                graces.append(grace)

        CachingAgent(Plain()).close(grace=10.0)
        self.assertEqual(graces, [10.0])

    def test_relayed(self) -> None:
        """
        What was relayed with a critical option that is not known here answers who relays it, and is refused
        to all others, as if it came from the origin (RFC 7252 5.4.1).
        """
        self.origin.values = {"options": Options.fromPairs([(65001, b"x")]), "etag": b"t", "maxAge": 9}
        for isFromCache in (False, True):
            response = self.get(relaying=True)
            self.assertEqual(isinstance(response, CachedResponse), isFromCache)
        for wait in (0.0, 10.0):
            self.below.advance(wait)
            waiting = self.agent.get("coap://origin/x")
            self.below.flush()
            failure = self.failureResultOf(waiting, MalformedResponse)
            self.assertIn("needs 65001, not understood", str(failure.value))

    def test_plainAgent(self) -> None:
        """The agent below may be one of a user's own, whose responses are plain."""

        class Plain:
            reactor = self.below.clock

            def request(self, method: Any, uri: Any, payload: bytes = b"", **how: Any) -> Any:
                answer: Deferred[Response] = Deferred()
                answer.callback(Response(Code.CONTENT, b"plain"))
                return answer

        agent = CachingAgent(Plain())
        for isFromCache in (False, True):
            response = self.successResultOf(agent.get("coap://origin/x"))
            self.assertEqual(
                (response.payload, isinstance(response, CachedResponse)), (b"plain", isFromCache)
            )


class ValidationTests(CachingTestCase):
    """What is stale is validated."""

    def setUp(self) -> None:
        """Something is stale."""
        super().setUp()
        self.origin.values = {"etag": b"1", "maxAge": 10}
        self.get()
        self.below.advance(10.0)

    def test_valid(self) -> None:
        """Its ETag goes along; a 2.03 makes it fresh again, and the caller gets a 2.05 (RFC 7252 5.6.2)."""
        response = self.get()
        self.assertEqual(self.origin.asked[-1].options.etag, (b"1",))
        self.assertEqual((response.code, response.payload, response.maxAge), (Code.CONTENT, b"one", 10))
        self.assertTrue(response.isFromCache)
        self.assertEqual(response.age, 0.0)
        self.below.advance(9.0)
        self.assertEqual(self.get().maxAge, 1)
        self.assertEqual((self.asked, self.agent.counters.validations), (2, 1))

    def test_changed(self) -> None:
        """What is new takes its place, and both ETags go along the next time."""
        self.origin.body, self.origin.values = b"two", {"etag": b"2", "maxAge": 10}
        self.assertEqual(self.get().payload, b"two")
        self.below.advance(10.0)
        self.get()
        self.assertEqual(self.origin.asked[-1].options.etag, (b"2", b"1"))

    def test_back(self) -> None:
        """What the origin has again needs not be sent again."""
        self.test_changed()
        self.origin.body, self.origin.values = b"one", {"etag": b"1", "maxAge": 10}
        self.below.advance(10.0)
        response = self.get()
        self.assertEqual((response.payload, response.isFromCache), (b"one", True))

    def test_own(self) -> None:
        """One who has it gets a 2.03, from the origin or from the cache (5.10.6.2)."""
        for isAsked in (1, 0):
            before = self.asked
            response = self.get(etag=b"1")
            self.assertEqual((response.code, response.payload, response.etag), (Code.VALID, b"", b"1"))
            self.assertEqual(self.asked - before, isAsked)
        self.assertEqual(self.get(etag=b"9").code, Code.CONTENT)

    def test_ownUnknown(self) -> None:
        """A 2.03 for what only the caller has is theirs."""
        self.origin.values = {"etag": b"7", "maxAge": 10}
        self.assertEqual(self.get(etag=b"7").code, Code.VALID)
        self.assertEqual(self.origin.asked[-1].options.etag, (b"7", b"1"))
        self.assertEqual(self.get().payload, b"one")

    def test_wrong(self) -> None:
        """A 2.03 for what nobody has makes it ask again, for all of it."""
        answers = [Response(Code.VALID, b"", etag=b"9"), Response(Code.CONTENT, b"all")]
        self.patch(self.origin, "render_GET", lambda request: answers.pop(0))
        self.assertEqual(self.get().payload, b"all")
        self.assertEqual(answers, [])


class ChangeTests(CachingTestCase):
    """A change is seen by those who change."""

    def test_put(self) -> None:
        """After a PUT the origin is asked."""
        self.get("/x?raw")
        self.successResultOf(self.agent.put("coap://origin/x", b"two"))
        self.assertEqual(self.get("/x?raw").payload, b"two")

    def test_location(self) -> None:
        """So it is for what a POST has made (RFC 7252 5.8.2)."""
        self.get("/made")
        self.successResultOf(self.agent.post("coap://origin/x"))
        self.assertFalse(self.get("/made").isFromCache)

    def test_refused(self) -> None:
        """A change that was refused is none."""
        self.get()
        self.assertEqual(self.successResultOf(self.agent.delete("coap://origin/x")).code, Code.NOT_FOUND)
        self.assertTrue(self.get().isFromCache)

    def test_noAnswer(self) -> None:
        """One that was not answered may have been one; so may one that wanted no answer."""
        self.get()
        self.successResultOf(self.agent.put("coap://origin/x", b"two", noResponse=26))
        self.assertEqual(self.get().payload, b"two")
        self.below.network.drop(lambda passage: getattr(passage.datagram, "code", None) == Code.PUT)
        putting = self.agent.put("coap://origin/x", b"three")
        self.below.advance(100.0)
        self.failureResultOf(putting, NoAcknowledgement)
        self.assertFalse(self.get().isFromCache)

    def test_underWay(self) -> None:
        """A GET after the change does not wait for one from before it, nor is that one's answer stored."""
        pending: list[Deferred[bytes]] = []
        self.origin.pending = pending
        before = self.agent.get("coap://origin/x")
        # It is acknowledged: another may go.
        self.below.advance(3.0)
        self.successResultOf(self.agent.put("coap://origin/x", b"two"))
        after = self.agent.get("coap://origin/x")
        self.below.flush()
        pending[0].callback(b"old")
        self.below.advance(1.0)
        self.assertEqual(self.successResultOf(before).payload, b"old")
        self.assertNoResult(after)
        pending[1].callback(b"two")
        self.below.advance(1.0)
        self.assertEqual(self.successResultOf(after).payload, b"two")
        self.assertEqual(self.get().payload, b"two")


class SharingTests(CachingTestCase):
    """Who asks the same at the same time shares one request."""

    def setUp(self) -> None:
        """The origin takes its time."""
        super().setUp()
        self.pending: list[Deferred[bytes]] = []
        self.origin.pending = self.pending

    def ask(self, number: int = 1, **how: Any) -> list[Deferred[Any]]:
        """Ask so many times."""
        return [self.agent.get("coap://origin/x", **how) for _ in range(number)]

    def answer(self) -> None:
        """The origin answers what it was asked first."""
        self.pending.pop(0).callback(b"late")
        self.below.advance(1.0)

    def test_shared(self) -> None:
        """All get the one response."""
        asking = self.ask(10)
        self.answer()
        self.assertEqual({self.successResultOf(each).payload for each in asking}, {b"late"})
        self.assertEqual((self.asked, self.agent.counters.joined), (1, 9))
        self.assertEqual(self.agent._askings, {})

    def test_cancelled(self) -> None:
        """Whoever cancels leaves the others theirs."""
        first, second = self.ask(2)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.answer()
        self.assertEqual(self.successResultOf(second).payload, b"late")

    def test_lastCancelled(self) -> None:
        """When all have cancelled nobody is asked any more, and nothing is left."""
        asking = self.ask(2)
        for each in asking:
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.below.advance(300.0)
        self.assertEqual(self.below.clock.getDelayedCalls(), [])
        self.assertEqual((self.agent._askings, self.agent.cache._fetches), ({}, {}))

    def test_failed(self) -> None:
        """All get the one failure."""
        self.below.network.drop(lambda passage: True)
        asking = self.ask(3)
        self.below.advance(100.0)
        for each in asking:
            self.failureResultOf(each, NoAcknowledgement)
        self.assertEqual((self.agent._askings, self.agent.cache._fetches), ({}, {}))

    def test_apart(self) -> None:
        """What is sent otherwise is sent apart; what cannot be compared as well."""
        self.ask()
        for how in ({"confirmable": False}, {"etag": b"t"}, {"timeout": 7}, {"progress": _Unhashable()}):
            before = len(self.agent._askings)
            self.ask(**how)
            self.assertEqual(self.agent.counters.joined, 0)
            self.assertEqual(len(self.agent._askings) - before, int("progress" not in how))

    def test_leftInside(self) -> None:
        """One may ask again as soon as it is answered, and gets what is stored."""
        again: list[Any] = []
        self.ask()[0].addCallback(lambda _: self.agent.get("coap://origin/x")).addCallback(again.append)
        self.answer()
        self.assertTrue(again[0].isFromCache)


class _Unhashable(list[Any]):
    """A callable of which nobody can tell whether it is the same."""

    def __call__(self, *progress: Any) -> None:
        """Be told."""


class StaleTests(CachingTestCase):
    """What is stale answers if the origin cannot be reached, where that is wanted."""

    how = {"staleIfError": 100.0}

    def setUp(self) -> None:
        """Something is stale."""
        super().setUp()
        self.get()
        self.below.advance(60.0)

    def ask(self, agent: CachingAgent) -> Deferred[Any]:
        """Ask in vain."""
        self.below.network.drop(lambda passage: True)
        asking = agent.get("coap://origin/x", timeout=5)
        self.below.advance(5.0)
        return asking

    def test_stale(self) -> None:
        """It has Max-Age 0."""
        response = self.successResultOf(self.ask(self.agent))
        self.assertEqual((response.payload, response.maxAge, response.age), (b"one", 0, 65.0))
        self.assertTrue(response.isFromCache)
        self.assertEqual(self.agent.counters.stale, 1)

    def test_tooStale(self) -> None:
        """Only for so long."""
        self.below.advance(96.0)
        self.failureResultOf(self.ask(self.agent), TimeoutError)

    def test_notAsked(self) -> None:
        """By default it does not answer."""
        agent = CachingAgent(self.below)
        agent.cache = self.agent.cache
        self.failureResultOf(self.ask(agent), TimeoutError)

    def test_gateway(self) -> None:
        """So it is where a proxy says that it cannot reach the origin; another error is its answer."""
        for code, isStale in (
            (Code.BAD_GATEWAY, True),
            (Code.GATEWAY_TIMEOUT, True),
            (Code.NOT_FOUND, False),
        ):
            self.patch(self.origin, "render_GET", lambda request, code=code: Response(code))
            self.assertEqual(self.get().isFromCache, isStale)


class SocketTests(TestCase):
    """Over real sockets."""

    timeout = 30

    async def test_sockets(self) -> None:
        """A hit needs no server; when that is gone, what was not stored cannot be had."""
        origin = Origin()
        port: Any = await endpoints.serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(
            Site(origin)
        )
        uri = f"coap://127.0.0.1:{port.getHost().port}"
        async with CachingAgent(Agent(reactor)) as agent:
            self.assertFalse((await agent.get(f"{uri}/a")).isFromCache)
            await port.stopListening()
            self.assertTrue((await agent.get(f"{uri}/a")).isFromCache)
            with self.assertRaises(Unreachable):
                await agent.get(f"{uri}/b")
