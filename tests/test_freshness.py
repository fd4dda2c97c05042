"""
Tests for L{txcoap.sansio.freshness} and L{txcoap.sansio.cacheable}: the rules of caching, by hand and against
a simpler cache.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.message import Request, Response
from txcoap.options import Options
from txcoap.sansio.cacheable import Key, keyOf, placeOf
from txcoap.sansio.freshness import OVERHEAD, REPRESENTATIONS, Cache, Stored
from txcoap.uri import URI

CHECKED = settings(deadline=None, derandomize=True, max_examples=60, stateful_step_count=30)

TARGET = URI.fromText("coap://192.0.2.1/a/b?x=1")


def asking(code: Code = Code.GET, payload: bytes = b"", target: URI = TARGET, **values: Any) -> Request:
    """A request for a target."""
    return Request(code, payload, target.toOptions(), **values)


def key(code: Code = Code.GET, payload: bytes = b"", target: URI = TARGET, **values: Any) -> Key:
    """Its key, which it has."""
    found = keyOf(asking(code, payload, target, **values), target)
    assert found is not None
    return found


def content(payload: bytes = b"21", **values: Any) -> Response:
    """A representation."""
    return Response(Code.CONTENT, payload, **values)


class KeyTests(SynchronousTestCase):
    """Which requests one response can answer (RFC 7252 5.6)."""

    def test_same(self) -> None:
        """The same request for the same target."""
        self.assertEqual(key(), key())

    def test_differs(self) -> None:
        """Another method, scheme, host, port, path, query or Accept is another request."""
        others = [
            key(Code.FETCH),
            key(accept=50),
            key(contentFormat=0),
            *(
                key(target=URI.fromText(text))
                for text in (
                    "coaps://192.0.2.1/a/b?x=1",
                    "coap://192.0.2.2/a/b?x=1",
                    "coap://192.0.2.1:61616/a/b?x=1",
                    "coap://192.0.2.1/a?x=1",
                    "coap://192.0.2.1/a/b",
                )
            ),
        ]
        self.assertEqual(len({key(), *others}), 1 + len(others))

    def test_fetch(self) -> None:
        """The body of a FETCH is part of it (RFC 8132 2.1)."""
        self.assertNotEqual(key(Code.FETCH, b"a"), key(Code.FETCH, b"b"))
        self.assertNotEqual(key(Code.FETCH), key(Code.GET))

    def test_noCacheKey(self) -> None:
        """Options that are NoCacheKey are not part of it; nor are ETag and Hop-Limit, which are heeded."""
        for values in ({"size1": 7}, {"size2": 0}, {"echo": b"e"}, {"etag": b"t"}, {"hopLimit": 7}):
            self.assertEqual(key(**values), key(), values)

    def test_unknown(self) -> None:
        """An unknown option that is safe to forward is part of it, unless it is NoCacheKey (5.4.2)."""
        for number, isPart in ((65000, True), (65001, True), (65052, False)):
            request = Request(Code.GET, b"", TARGET.toOptions().adding((number, b"v")))
            self.assertEqual(keyOf(request, TARGET) != key(), isPart, number)

    def test_none(self) -> None:
        """Other methods, conditions, blocks, observing, No-Response and unknown unsafe options have none."""
        for code in (Code.POST, Code.PUT, Code.DELETE, Code.PATCH, Code.IPATCH):
            self.assertIsNone(keyOf(asking(code), TARGET))
        for values in (
            {"ifMatch": b"t"},
            {"ifNoneMatch": True},
            {"observe": 0},
            {"block2": (0, False, 6)},
            {"noResponse": 2},
            {"oscore": b""},
            {"proxyScheme": "coap"},
        ):
            self.assertIsNone(keyOf(asking(**values), TARGET), values)
        unsafe = Request(Code.GET, b"", TARGET.toOptions().adding((65002, b"v")))
        self.assertIsNone(keyOf(unsafe, TARGET))


class FreshTests(SynchronousTestCase):
    """For how long a response answers (RFC 7252 5.6.1)."""

    def setUp(self) -> None:
        """Nothing is stored."""
        self.cache = Cache()

    def maxAge(self, now: float) -> int | None:
        """What is left of Max-Age of what answers; None if nothing does."""
        stored = self.cache.find(key(), now)
        return None if stored is None else stored.response(now).maxAge

    def test_maxAge(self) -> None:
        """As long as Max-Age says; what is handed out says how much of it is left (5.7.1)."""
        self.cache.store(key(), content(maxAge=10), 100.0)
        for now, left in ((100.0, 10), (100.5, 9), (101.0, 9), (109.9, 0), (110.0, None), (200.0, None)):
            self.assertEqual(self.maxAge(now), left, now)

    def test_default(self) -> None:
        """60 seconds where it does not say (5.10.5)."""
        self.cache.store(key(), content(), 0.0)
        self.assertEqual((self.maxAge(59.0), self.maxAge(60.0)), (1, None))

    def test_zero(self) -> None:
        """Not at all with Max-Age 0."""
        self.cache.store(key(), content(maxAge=0), 0.0)
        self.assertIsNone(self.maxAge(0.0))

    def test_whatIsStored(self) -> None:
        """All but what was of the message: Observe, blocks, sizes."""
        response = content(contentFormat=50, etag=b"t", observe=7, size2=2, block2=(0, False, 6), maxAge=9)
        response = Response(response.code, response.payload, response.options.adding((65000, b"safe")))
        stored = self.cache.store(key(), response, 0.0)
        assert stored is not None
        given = stored.response(4.0)
        expected = Options(contentFormat=50, etag=b"t", maxAge=5).adding((65000, b"safe"))
        self.assertEqual((given.code, given.payload, given.options), (Code.CONTENT, b"21", expected))

    def test_shared(self) -> None:
        """Within a second all get the same response, which is put into bytes but once."""
        stored = self.cache.store(key(), content(), 0.0)
        assert stored is not None
        self.assertIs(stored.response(1.1), stored.response(1.9))
        self.assertIsNot(stored.response(1.9), stored.response(2.1))

    def test_notStored(self) -> None:
        """Other successes, errors that do not say for how long, and those of one request alone."""
        for response in (
            Response(Code.VALID),
            Response(Code.CREATED),
            Response(Code.CHANGED),
            Response(Code.DELETED),
            Response(Code.NOT_FOUND),
            Response(Code.INTERNAL_SERVER_ERROR),
            Response(Code.TOO_MANY_REQUESTS, maxAge=9),
            Response(Code.REQUEST_ENTITY_INCOMPLETE, maxAge=9),
            Response(Code.HOP_LIMIT_REACHED, maxAge=9),
        ):
            self.assertIsNone(self.cache.store(key(), response, 0.0), response)
        self.assertEqual(len(self.cache), 0)

    def test_error(self) -> None:
        """An error that says for how long is stored."""
        self.cache.store(key(), Response(Code.NOT_FOUND, b"gone", maxAge=30), 0.0)
        self.assertEqual((self.maxAge(10.0), self.maxAge(30.0)), (20, None))

    def test_unsafe(self) -> None:
        """A response with an option that is unsafe and unknown is not stored (5.6, 5.4.2)."""
        for number, isStored in ((65000, True), (65002, False)):
            response = Response(Code.CONTENT, b"", Options.fromPairs([(number, b"")]))
            self.assertEqual(self.cache.store(key(), response, 0.0) is not None, isStored, number)

    def test_outdated(self) -> None:
        """What the origin answered last counts, though it cannot be stored; unless it only failed."""
        for code, left in ((Code.INTERNAL_SERVER_ERROR, 59), (Code.NOT_FOUND, None)):
            self.cache.store(key(), content(), 0.0)
            self.cache.store(key(), Response(code), 0.0)
            self.assertEqual(self.maxAge(1.0), left, code)


class ValidationTests(SynchronousTestCase):
    """What is stale is validated (RFC 7252 5.6.2)."""

    def setUp(self) -> None:
        """One is stale."""
        self.cache = Cache()
        self.stored = self.cache.store(key(), content(b"one", etag=b"1", maxAge=5, contentFormat=0), 0.0)

    def valid(self, **values: Any) -> Response:
        """A 2.03."""
        return Response(Code.VALID, b"", **values)

    def test_etags(self) -> None:
        """The ETags of what is stored go along, the newest first, but for those that the request has."""
        self.cache.store(key(), content(b"two", etag=b"2"), 6.0)
        self.assertEqual(self.cache.begin(key()).etags, (b"2", b"1"))
        self.assertEqual(self.cache.begin(key(), (b"2",)).etags, (b"1",))
        self.assertEqual(self.cache.begin(key(accept=50)).etags, ())

    def test_few(self) -> None:
        """Only so many are kept; what has none, or the same, gives place to what comes."""
        for n in range(10):
            self.cache.store(key(), content(b"%d" % n, etag=b"%d" % n), 6.0)
        self.assertEqual(self.cache.begin(key()).etags, (b"9", b"8", b"7", b"6"))
        self.cache.store(key(), content(b"none"), 6.0)
        self.cache.store(key(), content(b"new", etag=b"8"), 6.0)
        self.assertEqual(self.cache.begin(key()).etags, (b"8", b"9", b"7"))

    def test_valid(self) -> None:
        """A 2.03 makes it fresh for the Max-Age that it has, and brings its options up to date (5.9.1.3)."""
        fetch = self.cache.begin(key())
        answer = fetch.answered(self.valid(etag=b"1", maxAge=30, contentFormat=50), 10.0)
        self.assertIs(answer, self.stored)
        found = self.cache.find(key(), 20.0)
        assert found is not None
        response = found.response(20.0)
        self.assertEqual((response.payload, response.maxAge), (b"one", 20))
        self.assertEqual((response.contentFormat, response.etag), (50, b"1"))
        self.assertEqual(self.cache.counters.validations, 1)

    def test_defaultMaxAge(self) -> None:
        """Without Max-Age it is 60 seconds, as in any response."""
        self.cache.begin(key()).answered(self.valid(etag=b"1"), 10.0)
        self.assertIsNotNone(self.cache.find(key(), 69.0))
        self.assertIsNone(self.cache.find(key(), 70.0))

    def test_chosen(self) -> None:
        """An older one that the origin has again is the one that answers."""
        self.cache.store(key(), content(b"two", etag=b"2", maxAge=5), 6.0)
        self.cache.begin(key()).answered(self.valid(etag=b"1"), 20.0)
        found = self.cache.find(key(), 21.0)
        assert found is not None
        self.assertEqual(found.response(21.0).payload, b"one")

    def test_withoutETag(self) -> None:
        """A 2.03 that leaves its ETag out means the one that was sent."""
        self.assertIs(self.cache.begin(key()).answered(self.valid(), 10.0), self.stored)

    def test_useless(self) -> None:
        """A 2.03 for what was not sent is no answer to one who has nothing."""
        fetch = self.cache.begin(key())
        self.assertIsNone(fetch.answered(self.valid(etag=b"9"), 10.0))
        fetch.etags = ()
        answer = content(b"new")
        self.assertIs(fetch.answered(answer, 11.0), answer)

    def test_own(self) -> None:
        """A 2.03 for what only the one who asks has goes to them, and is not stored."""
        fetch = self.cache.begin(key(), (b"own",))
        answer = self.valid(etag=b"own")
        self.assertIs(fetch.answered(answer, 10.0), answer)
        self.assertIsNone(self.cache.find(key(), 10.0))

    def test_evicted(self) -> None:
        """What went meanwhile is stored again."""
        fetch = self.cache.begin(key())
        self.cache.clear()
        self.assertIs(fetch.answered(self.valid(etag=b"1"), 10.0), self.stored)
        self.assertIsNotNone(self.cache.find(key(), 11.0))

    def test_stale(self) -> None:
        """For want of better what is stale answers, for so long; not what is known to be otherwise now."""
        self.assertIs(self.cache.findStale(key(), 14.9, 10.0), self.stored)
        self.assertIsNone(self.cache.findStale(key(), 15.0, 10.0))
        self.cache.invalidate(placeOf(asking(), TARGET))
        self.assertIsNone(self.cache.findStale(key(), 6.0, 10.0))

    def test_staleBehindError(self) -> None:
        """An error that was stored does not hide it."""
        self.cache.store(key(), Response(Code.SERVICE_UNAVAILABLE, maxAge=1), 6.0)
        self.assertIs(self.cache.findStale(key(), 9.0, 10.0), self.stored)


class InvalidationTests(SynchronousTestCase):
    """A change makes what is stored for its target stale (RFC 7252 5.9.1)."""

    def setUp(self) -> None:
        """Something is stored for three places."""
        self.cache = Cache()
        self.keys = {}
        for text in ("/a", "/a?x=1", "/b"):
            each = self.keys[text] = key(target=URI.fromText(f"coap://192.0.2.1{text}"))
            self.cache.store(each, content(etag=b"t"), 0.0)

    def fresh(self) -> list[str]:
        """What answers still."""
        return [text for text, each in self.keys.items() if self.cache.find(each, 1.0)]

    def change(self, response: Response, path: str = "/a") -> None:
        """A request for a path is answered so."""
        target = URI.fromText(f"coap://192.0.2.1{path}")
        self.cache.changed(placeOf(asking(Code.POST, target=target), target), response)

    def test_success(self) -> None:
        """Whatever the query; what is somewhere else stays. The ETags are sent along still."""
        self.change(Response(Code.CHANGED), "/a?y")
        self.assertEqual(self.fresh(), ["/b"])
        self.assertEqual(self.cache.begin(self.keys["/a"]).etags, (b"t",))
        self.assertEqual(self.cache.counters.invalidations, 2)

    def test_error(self) -> None:
        """An error changes nothing."""
        self.change(Response(Code.CONFLICT))
        self.assertEqual(self.fresh(), ["/a", "/a?x=1", "/b"])

    def test_location(self) -> None:
        """What was created is new as well (5.8.2)."""
        self.change(Response(Code.CREATED, locationPath=("b",)))
        self.assertEqual(self.fresh(), [])

    def test_underWay(self) -> None:
        """What was asked before the change may be older: it answers, and is not stored."""
        each = self.keys["/a"]
        fetch, validating = self.cache.begin(each), self.cache.begin(each)
        self.change(Response(Code.CHANGED))
        self.assertEqual((fetch.isCurrent, self.cache.begin(each).isCurrent), (False, True))
        old = content(b"old")
        self.assertIs(fetch.answered(old, 1.0), old)
        answer = validating.answered(Response(Code.VALID, etag=b"t"), 1.0)
        assert isinstance(answer, Stored)
        self.assertEqual((answer.response(1.0).payload, answer.response(1.0).maxAge), (b"21", 0))
        self.assertNotIn("/a", self.fresh())


class BoundTests(SynchronousTestCase):
    """Only so much is stored."""

    def keys(self, number: int) -> list[Key]:
        """Different ones."""
        return [key(target=URI("coap", "192.0.2.1", 5683, (f"{n:03}",))) for n in range(number)]

    def test_entries(self) -> None:
        """Beyond the number of entries the one used longest ago goes."""
        cache = Cache(maximumEntries=3)
        keys = self.keys(4)
        for each in keys[:3]:
            cache.store(each, content(), 0.0)
        cache.find(keys[0], 1.0)
        cache.store(keys[3], content(), 1.0)
        self.assertEqual([cache.find(each, 2.0) is not None for each in keys], [True, False, True, True])
        self.assertEqual((len(cache), cache.counters.evictions), (3, 1))

    def test_bytes(self) -> None:
        """So it is beyond the number of bytes, all that is stored beside the body counted."""
        cache = Cache(maximumBytes=10 * (OVERHEAD + 1100))
        for each in self.keys(30):
            cache.store(each, content(bytes(1000)), 0.0)
        self.assertIn(len(cache), (10, 11))
        self.assertLessEqual(cache.size, 10 * (OVERHEAD + 1100))

    def test_largest(self) -> None:
        """What is too large is not stored, and nothing goes for it."""
        cache = Cache(largest=OVERHEAD + 100)
        self.assertIsNone(cache.store(key(), content(bytes(101)), 0.0))
        self.assertIsNotNone(cache.store(key(), content(bytes(50)), 0.0))

    def test_oneKey(self) -> None:
        """Of one key alone the oldest response goes."""
        cache = Cache(maximumBytes=2 * (OVERHEAD + 1100))
        for n in range(3):
            cache.store(key(), content(bytes(1000), etag=b"%d" % n), 0.0)
        self.assertEqual(cache.begin(key()).etags, (b"2", b"1"))

    def test_nothingLeft(self) -> None:
        """When all went no table has anything."""
        cache = Cache(maximumEntries=1)
        for each in self.keys(3):
            cache.end(cache.begin(each))
            cache.store(each, content(), 0.0)
        self.assertEqual((len(cache._entries), len(cache._places), cache._fetches), (1, 1, {}))
        cache.clear()
        self.assertEqual((cache.size, cache._places), (0, {}))

    def test_refused(self) -> None:
        """Bounds that make no sense are refused."""
        for bound in ("maximumBytes", "maximumEntries"):
            self.assertRaises(ValueError, Cache, **{bound: 0})


class Caching(RuleBasedStateMachine):
    """
    A cache against one that keeps the last answer of the origin to each path, and nothing else: what answers
    is that, and is as old as it may be.
    """

    paths = st.sampled_from(["/a", "/a?x", "/b", "/c"])

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.cache = Cache(maximumEntries=3, maximumBytes=4 * OVERHEAD)
        # Of each path: payload, ETag, and until when it answers.
        self.model: dict[str, tuple[bytes, bytes | None, float]] = {}

    def keyOf(self, path: str) -> Key:
        """A path's key."""
        return key(target=URI.fromText(f"coap://192.0.2.1{path}"))

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.now += seconds

    @rule(
        path=paths,
        payload=st.binary(max_size=400),
        etag=st.sampled_from([None, b"1", b"2"]),
        maxAge=st.sampled_from([None, 0, 1, 30]),
    )
    def fetch(self, path: str, payload: bytes, etag: bytes | None, maxAge: int | None) -> None:
        """The origin gives a representation."""
        response = content(payload, etag=etag, maxAge=maxAge)
        self.cache.begin(self.keyOf(path)).answered(response, self.now)
        self.model[path] = (payload, etag, self.now + (60 if maxAge is None else maxAge))

    @precondition(lambda self: bool(self.model))
    @rule(path=paths, maxAge=st.sampled_from([None, 0, 20]))
    def validate(self, path: str, maxAge: int | None) -> None:
        """The origin says that it has what it gave last, if the cache asks for that."""
        fetch = self.cache.begin(self.keyOf(path))
        payload, etag, _ = self.model.get(path, (b"", None, 0.0))
        if etag is None or etag not in fetch.etags:
            self.cache.end(fetch)
            return
        answer = fetch.answered(Response(Code.VALID, etag=etag, maxAge=maxAge), self.now)
        assert isinstance(answer, Stored)
        assert answer.response(self.now).payload == payload
        self.model[path] = (payload, etag, self.now + (60 if maxAge is None else maxAge))

    @rule(path=paths, code=st.sampled_from([Code.CHANGED, Code.DELETED, Code.BAD_REQUEST]))
    def change(self, path: str, code: Code) -> None:
        """A change, or none."""
        target = URI.fromText(f"coap://192.0.2.1{path}")
        self.cache.changed(placeOf(asking(Code.PUT, target=target), target), Response(code))
        if code.isSuccess:
            for other, (payload, etag, _) in list(self.model.items()):
                if other.partition("?")[0] == path.partition("?")[0]:
                    self.model[other] = (payload, etag, -1.0)

    @rule(path=paths)
    def ask(self, path: str) -> None:
        """What answers is the last, and fresh; its Max-Age never promises more than there is."""
        stored = self.cache.find(self.keyOf(path), self.now)
        if stored is not None:
            payload, etag, until = self.model[path]
            given = stored.response(self.now)
            assert self.now < until
            assert (given.payload, given.etag) == (payload, etag)
            assert given.maxAge == int(until - self.now)

    @invariant()
    def bounded(self) -> None:
        """It is within its bounds, and its books are right."""
        cache = self.cache
        entries = cache._entries
        assert len(entries) <= 3
        assert cache.size == sum(each.size for entry in entries.values() for each in entry) <= 4 * OVERHEAD
        assert all(0 < len(entry) <= REPRESENTATIONS for entry in entries.values())
        assert {each for keys in cache._places.values() for each in keys} == set(entries)
        assert not cache._fetches


class ModelTests(SynchronousTestCase):
    """Whatever happens, in whatever order."""

    def test_model(self) -> None:
        """It answers as the simpler one would, or not at all."""
        run_state_machine_as_test(Caching, settings=CHECKED)
