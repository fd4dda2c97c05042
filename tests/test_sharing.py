"""
Tests for L{txcoap.sharing}: one observation of the origin, and all who observe by it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.observing import TOKEN, URI, ClientTestCase
from tests.watching import Counter, Teller
from txcoap import Code, Resource
from txcoap.caching import CachedResponse, CachingAgent, SharedObservation
from txcoap.errors import NoAcknowledgement, ObservationEnded
from txcoap.observation import Observation
from txcoap.received import ReceivedResponse
from txcoap.sansio.datagrams import Datagram
from txcoap.testing import StubAgent

CROWD = 1_000


class SharedTests(ClientTestCase):
    """Who observes the same, of an origin made by hand."""

    def setUp(self) -> None:
        """Nobody observes yet."""
        super().setUp()
        self.origin = Teller(self.network)
        self.caching = CachingAgent(self.agent)
        self.told: dict[str, list[bytes]] = {}

    def ask(self, *names: str, **how: Any) -> list[Deferred[Any]]:
        """Each of these observes, and notes the states."""

        def follow(observation: SharedObservation, name: str) -> SharedObservation:
            states = self.told.setdefault(name, [])

            def take(state: ReceivedResponse) -> None:
                states.append(state.payload)

            observation.subscribe(take)
            return observation

        return [self.caching.observe(URI, **how).addCallback(follow, name) for name in names]

    def observe(self, *names: str, **values: Any) -> list[SharedObservation]:
        """They observe, and the origin takes it."""
        observing = self.ask(*names)
        self.request = self.origin.newsOne()
        self.origin.answer(self.request, b"0", observe=10, **values)
        return [self.successResultOf(each) for each in observing]

    def tell(self, payload: bytes, number: int, **values: Any) -> Datagram | None:
        """The origin has a new state."""
        reply: Datagram | None = self.origin.tell(self.request.token, payload, observe=number, **values)
        return reply

    def get(self) -> Deferred[Any]:
        """Ask for the same."""
        return self.caching.get(URI)

    def test_one(self) -> None:
        """The origin is asked once, and all have the states."""
        members = self.observe("a", "b")
        self.assertTrue(all(each.isEstablished for each in members))
        self.tell(b"1", 11)
        self.assertEqual(self.told, {"a": [b"0", b"1"], "b": [b"0", b"1"]})
        self.assertEqual(self.origin.news(), [])

    def test_later(self) -> None:
        """Who comes later has the newest state at once, with the Max-Age that is left."""
        self.observe("a", maxAge=60)
        self.tell(b"1", 11, maxAge=40)
        self.network.advance(15.0)
        observation = self.successResultOf(self.caching.observe(URI))
        state = self.successResultOf(Deferred.fromCoroutine(observation.__anext__()))
        self.assertIsInstance(state, CachedResponse)
        self.assertEqual((state.payload, state.maxAge, state.age), (b"1", 25, 15.0))
        self.assertEqual(self.origin.news(), [])

    def test_fresh(self) -> None:
        """All know how long ago the origin was heard of."""
        first, second = self.observe("a", "b", maxAge=20)
        self.network.advance(19)
        self.assertTrue(first.isFresh and second.isFresh)
        self.network.advance(2)
        self.assertFalse(first.isFresh or second.isFresh)

    def test_latestWins(self) -> None:
        """Who is slow has the newest alone, and keeps nobody else waiting."""
        slow, _ = self.observe("slow", "fast")
        slow.pauseProducing()
        for n in (1, 2, 3):
            self.tell(b"%d" % n, 10 + n)
        self.assertEqual(self.told, {"slow": [b"0"], "fast": [b"0", b"1", b"2", b"3"]})
        slow.resumeProducing()
        self.assertEqual(self.told["slow"], [b"0", b"3"])

    def test_leave(self) -> None:
        """Who leaves is told nothing more; the last ends it, and the origin hears of that."""
        first, last = self.observe("a", "b")
        self.successResultOf(first.cancel())
        self.assertIsNone(self.successResultOf(first.notifyEnd()))
        self.tell(b"1", 11)
        self.assertEqual(self.told, {"a": [b"0"], "b": [b"0", b"1"]})
        self.assertEqual(self.origin.news(), [])
        leaving = last.cancel()
        goodbye = self.origin.newsOne()
        self.assertEqual((goodbye.options.observe, goodbye.token), (1, self.request.token))
        self.assertNoResult(leaving)
        self.origin.answer(goodbye)
        self.successResultOf(leaving)
        self.successResultOf(last.cancel())
        self.assertEqual(self.caching._sources, {})
        self.assertNothingLeft()

    def test_leaveInside(self) -> None:
        """One may leave as soon as there is a state; the others stay."""
        leaving, staying = self.ask("a", "b")
        leaving.addCallback(lambda observation: observation.cancel())
        self.request = self.origin.newsOne()
        self.origin.answer(self.request, b"0", observe=10)
        self.tell(b"1", 11)
        self.assertEqual(self.told, {"a": [b"0"], "b": [b"0", b"1"]})
        self.successResultOf(staying)

    def test_again(self) -> None:
        """After the last has left the next begins anew."""
        (only,) = self.observe("a")
        only.cancel(lazily=True)
        self.ask("b")
        self.assertEqual(self.origin.newsOne().options.observe, 0)

    def test_cancelAsking(self) -> None:
        """Who does not wait for the first state leaves the others theirs; the last takes it back."""
        first, second, third = self.ask("a", "b", "c")
        request = self.origin.newsOne()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertEqual(len(self.caching._sources), 1)
        third.cancel()
        self.failureResultOf(third, CancelledError)
        self.assertEqual((self.caching._sources, self.told), ({}, {}))
        self.origin.answer(request, b"0", observe=10)
        self.assertNothingLeft()

    def test_noAnswer(self) -> None:
        """Without a first state all have the failure."""
        asking = self.ask("a", "b")
        self.network.advance(100.0)
        for each in asking:
            self.failureResultOf(each, NoAcknowledgement)
        self.assertEqual(self.caching._sources, {})

    def test_notTaken(self) -> None:
        """An origin that does not observe gives its one state to all."""
        asking = self.ask("a", "b")
        self.origin.answer(self.origin.newsOne(), b"only")
        for each in asking:
            observation = self.successResultOf(each)
            self.assertFalse(observation.isEstablished)
            self.assertIsInstance(self.successResultOf(observation.notifyEnd()), ObservationEnded)
        self.assertEqual(self.told, {"a": [b"only"], "b": [b"only"]})
        self.assertEqual(self.caching._sources, {})
        self.assertTrue(self.successResultOf(self.get()).isFromCache)
        self.assertNothingLeft()

    def test_ended(self) -> None:
        """When the origin ends it, it ends for all, with its reason."""
        members = self.observe("a", "b")
        ends = [each.notifyEnd() for each in members]
        self.origin.tell(self.request.token, b"", code=Code.NOT_FOUND)
        for member, end in zip(members, ends, strict=True):
            reason: Any = self.successResultOf(end)
            self.assertIs(member.reason, reason)
            self.assertEqual(reason.response.code, Code.NOT_FOUND)
        self.assertEqual(self.caching._sources, {})

    def test_last(self) -> None:
        """Who has the last state knows that it is the last."""
        (only,) = self.observe("a")
        reasons: list[Any] = []
        only.subscribe(lambda state: reasons.append(only.reason))
        self.origin.tell(self.request.token, b"last")
        self.assertEqual(self.told["a"], [b"0", b"last"])
        self.assertIsInstance(reasons[-1], ObservationEnded)

    def test_hits(self) -> None:
        """While it is observed, requests need not ask the origin (RFC 7641 5); afterwards Max-Age counts."""
        self.observe("a", maxAge=60)
        self.tell(b"1", 11, maxAge=40)
        self.network.advance(39.0)
        response = self.successResultOf(self.get())
        self.assertEqual((response.payload, response.maxAge, response.isFromCache), (b"1", 1, True))
        self.assertIsNone(response.options.observe)
        self.network.advance(2.0)
        getting = self.get()
        asked = self.origin.newsOne()
        self.assertIsNone(asked.options.observe)
        self.origin.answer(asked, b"2")
        self.assertFalse(self.successResultOf(getting).isFromCache)

    def test_apart(self) -> None:
        """What is asked otherwise, or with a token or ETag of its own, is observed apart."""
        self.observe("a")
        for how in ({"accept": 50}, {"token": TOKEN}, {"etag": b"t"}):
            observing = self.caching.observe(URI, **how)
            request = self.origin.newsOne()
            self.assertEqual(request.options.observe, 0, how)
            self.origin.answer(request, b"0", observe=10)
            isShared = isinstance(self.successResultOf(observing), SharedObservation)
            self.assertEqual(isShared, "token" not in how and "etag" not in how, how)

    def test_nonConfirmable(self) -> None:
        """By which kind of message it is asked for does not set them apart (RFC 7641 3.1)."""
        self.observe("a")
        self.assertTrue(self.successResultOf(self.caching.observe(URI, confirmable=False)).isEstablished)
        self.assertEqual(self.origin.news(), [])

    def test_wrong(self) -> None:
        """What is wrong fails as it does without a cache."""
        self.failureResultOf(self.caching.observe(), TypeError)
        self.failureResultOf(self.caching.observe(URI, method="PUT"), ValueError)


class CrowdTests(SynchronousTestCase):
    """Very many observe one resource of a server."""

    def test_crowd(self) -> None:
        """A thousand are one observer to the origin, and none when they have left; each has every state."""
        root, counter = Resource(), Counter()
        root.putChild("n", counter)
        below = StubAgent(root)
        caching = CachingAgent(below)
        members: list[Observation] = []
        heard: list[bytes] = []

        def follow(observation: Any) -> None:
            members.append(observation)
            observation.subscribe(lambda state: heard.append(state.payload))

        for _ in range(CROWD):
            caching.observe("coap://origin/n").addCallback(follow)
        below.flush()
        self.assertEqual((counter.observerCount, len(members), len(heard)), (1, CROWD, CROWD))
        for n in (1, 2, 3):
            heard.clear()
            counter.count()
            below.advance(1.0)
            self.assertEqual(heard, [b"%d" % n] * CROWD)
        for member in members:
            member.cancel()
        below.flush()
        self.assertEqual(counter.observerCount, 0)
