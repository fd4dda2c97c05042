"""
Tests for L{txcoap.observation}: the states that C{agent.observe} gives, from a server made by hand.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from tests.observing import MOST, TOKEN, URI, TellerTestCase
from txcoap.codes import Code
from txcoap.errors import NoAcknowledgement, NoResponse, ObservationEnded
from txcoap.observation import Observation
from txcoap.sansio.datagrams import ACK, CON, NON, RST


class StateTests(TellerTestCase):
    """The states as they come."""

    def test_request(self) -> None:
        """It asks with Observe=0, and the token that is wanted; a state is a response."""
        observing, request = self.ask(accept=50)
        self.assertEqual(
            (CON, Code.GET, TOKEN, 0, ("n",), 50),
            (
                request.type,
                request.code,
                request.token,
                request.options.observe,
                request.options.uriPath,
                request.options.accept,
            ),
        )
        self.assertNoResult(observing)
        self.server.answer(request, b"0", observe=5, contentFormat=50)
        observation = self.successResultOf(observing)
        self.assertTrue(observation.isEstablished)
        state = self.successResultOf(self.reading(observation))
        self.assertEqual((Code.CONTENT, b"0", 50), (state.code, state.payload, state.contentFormat))

    def test_timeout(self) -> None:
        """C{timeout} bounds the wait for the first state; nothing is left of the request then."""
        observing, _ = self.ask(timeout=5)
        self.network.advance(4.9)
        self.assertNoResult(observing)
        self.network.advance(0.2)
        error = self.failureResultOf(observing, NoAcknowledgement).value
        self.assertEqual(5, error.seconds)
        self.assertNothingLeft()

    def test_timeoutAcknowledged(self) -> None:
        """It counts after an empty acknowledgement as well."""
        observing, request = self.ask(timeout=5)
        self.server.acknowledge(request)
        self.network.advance(5.1)
        self.failureResultOf(observing, NoResponse)
        self.assertNothingLeft()

    def test_timeoutOfFirstStateAlone(self) -> None:
        """It does not count afterwards: a silent server is asked again (RFC 7641 3.3.1)."""
        observation = self.observe(timeout=5, maxAge=10)
        self.network.advance(10 + MOST + 6)
        self.assertIsNone(observation.reason)
        self.assertEqual(0, self.server.news()[-1].options.observe)
        self.network.advance(200)
        self.assertIsNone(observation.reason)
        observation.cancel(lazily=True)
        self.assertNothingLeft()

    def test_fetch(self) -> None:
        """FETCH with its payload can be observed (RFC 8132 2.4)."""
        self.agent.observe(URI, b"part", method="FETCH")
        request = self.server.newsOne()
        self.assertEqual((Code.FETCH, b"part", 0), (request.code, request.payload, request.options.observe))

    def test_notifications(self) -> None:
        """Each is acknowledged, and read in turn."""
        observation = self.observe()
        for n in range(1, 4):
            reading = self.reading(observation)
            self.assertNoResult(reading)
            self.assertEqual(ACK, self.tell(b"%d" % n, 10 + n).type)
            self.assertEqual(b"%d" % n, self.successResultOf(reading).payload)

    def test_nonConfirmable(self) -> None:
        """One that is not confirmable is read, and not answered."""
        observation = self.observe()
        self.assertIsNone(self.server.tell(TOKEN, b"1", type=NON, observe=11))
        self.assertEqual(b"1", self.next(observation))

    def test_fresh(self) -> None:
        """C{isFresh} tells whether the newest state still holds, or the server has been silent for longer."""
        observation = self.observe(maxAge=20)
        self.network.advance(19)
        self.assertTrue(observation.isFresh)
        self.tell(b"1", 11, maxAge=30)
        self.network.advance(29)
        self.assertTrue(observation.isFresh)
        self.network.advance(1 + MOST)
        self.assertFalse(observation.isFresh)
        self.assertIsNone(observation.reason)
        self.server.answer(self.server.news()[-1], b"2", observe=12)
        self.assertTrue(observation.isFresh)

    def test_latestWins(self) -> None:
        """A slow reader gets the newest state, and not those before it."""
        observation = self.observe()
        for n in range(1, 4):
            self.tell(b"%d" % n, 10 + n)
        self.assertEqual(b"3", self.next(observation))
        self.assertNoResult(self.reading(observation))

    def test_outOfOrder(self) -> None:
        """What was overtaken is acknowledged, and not read (RFC 7641 3.4)."""
        observation = self.observe()
        self.tell(b"new", 13)
        self.assertEqual(b"new", self.next(observation))
        self.assertEqual(ACK, self.tell(b"old", 12).type)
        reading = self.reading(observation)
        self.assertNoResult(reading)
        self.network.advance(50.0)
        self.tell(b"newer", 14)
        self.assertEqual(b"newer", self.successResultOf(reading).payload)

    def test_rollsOver(self) -> None:
        """Numbers begin anew after 2 ** 24 - 1."""
        observation = self.observe(number=2**24 - 1)
        self.tell(b"next", 0)
        self.assertEqual(b"next", self.next(observation))

    def test_aResponse(self) -> None:
        """A first response that comes apart is one."""
        observing, request = self.ask()
        self.server.tell(TOKEN, b"0", observe=3)
        observation = self.successResultOf(observing)
        self.assertEqual(b"0", self.next(observation))

    def test_iteration(self) -> None:
        """C{async with} and C{async for}; at the end of the block it is cancelled."""
        seen: list[bytes] = []

        async def watch(observing: Deferred[Observation]) -> None:
            async with await observing as observation:
                async for state in observation:
                    seen.append(state.payload)
                    if len(seen) == 2:
                        break

        observing, request = self.ask()
        watching = Deferred.fromCoroutine(watch(observing))
        self.server.answer(request, b"0", observe=3)
        self.assertNoResult(watching)
        self.tell(b"1", 4)
        cancelling = self.server.heard[-1]
        self.assertEqual((1, TOKEN), (cancelling.options.observe, cancelling.token))
        self.server.answer(cancelling)
        self.successResultOf(watching)
        self.assertEqual([b"0", b"1"], seen)
        self.assertNothingLeft()

    def test_oneReader(self) -> None:
        """Two cannot wait for the next state at once."""
        observation = self.observe()
        self.reading(observation)
        self.failureResultOf(self.reading(observation), RuntimeError)

    def test_readerStops(self) -> None:
        """A reader that is cancelled leaves the next state for another."""
        observation = self.observe()
        reading = self.reading(observation)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.tell(b"1", 11)
        self.assertEqual(b"1", self.next(observation))


class CallbackTests(TellerTestCase):
    """States for callbacks and consumers."""

    def test_subscribe(self) -> None:
        """A callback gets the state that is here, and each that comes."""
        observing, request = self.ask()
        self.server.answer(request, b"0", observe=10)
        seen: list[bytes] = []
        self.successResultOf(observing).subscribe(lambda state: seen.append(state.payload))
        self.tell(b"1", 11)
        self.tell(b"2", 12)
        self.assertEqual([b"0", b"1", b"2"], seen)

    def test_failingCallback(self) -> None:
        """One that raises is logged, and called again; others are called as well."""
        observation = self.observe()
        seen: list[bytes] = []
        observation.subscribe(lambda state: 1 / 0)
        observation.subscribe(lambda state: seen.append(state.payload))
        self.tell(b"1", 11)
        self.tell(b"2", 12)
        self.assertEqual([b"1", b"2"], seen)
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_callbackCancels(self) -> None:
        """A callback may cancel: it is not called again."""
        observation = self.observe()
        seen: list[bytes] = []

        def once(state: Any) -> None:
            seen.append(state.payload)
            observation.cancel(lazily=True)

        observation.subscribe(once)
        self.tell(b"1", 11)
        self.assertEqual(RST, self.tell(b"2", 12).type)
        self.assertEqual([b"1"], seen)
        self.assertNothingLeft()

    def test_consumer(self) -> None:
        """A consumer may pause and resume; meanwhile the newest state is kept, and no other."""
        observation = self.observe()
        consumer = Consumer()
        observation.deliverTo(consumer)
        self.tell(b"1", 11)
        observation.pauseProducing()
        self.tell(b"2", 12)
        self.tell(b"3", 13)
        self.assertEqual([b"1"], consumer.written)
        observation.resumeProducing()
        self.assertEqual([b"1", b"3"], consumer.written)
        observation.resumeProducing()
        self.tell(b"4", 14)
        self.assertEqual([b"1", b"3", b"4"], consumer.written)

    def test_consumerStops(self) -> None:
        """A consumer that stops its producer cancels the observation."""
        observation = self.observe()
        consumer = Consumer()
        observation.deliverTo(consumer)
        consumer.producer.stopProducing()
        self.server.answer(self.server.newsOne())
        self.assertIsNone(consumer.producer)
        self.assertEqual(RST, self.tell(b"1", 11).type)
        self.assertEqual([], consumer.written)
        self.assertNothingLeft()

    def test_consumerAtTheEnd(self) -> None:
        """When the observation ends the producer is unregistered."""
        observation = self.observe()
        consumer = Consumer()
        observation.deliverTo(consumer)
        self.server.tell(TOKEN, code=Code.NOT_FOUND)
        self.assertIsNone(consumer.producer)


class BlockTests(TellerTestCase):
    """States of several blocks (RFC 7959 2.6)."""

    def first(self, letter: bytes, number: int | None, etag: bytes) -> dict[str, Any]:
        """What the first block of a state has."""
        return {"payload": letter * 1024, "observe": number, "block2": 8 | 6, "etag": (etag,)}

    def rest(self, letter: bytes, etag: bytes) -> None:
        """The client asks for the second and last block, and gets it."""
        request = self.server.news()[-1]
        self.assertEqual((Code.GET, None), (request.code, request.options.observe))
        self.assertNotEqual(TOKEN, request.token)
        block = request.options.block2
        assert block is not None
        self.assertEqual(1, block.number)
        self.server.answer(request, letter, block2=1 << 4 | 6, etag=(etag,))

    def test_first(self) -> None:
        """The first state is fetched whole before the Deferred fires."""
        observing, request = self.ask()
        self.server.answer(request, **self.first(b"a", 1, b"A"))
        self.assertNoResult(observing)
        self.rest(b"a", b"A")
        observation = self.successResultOf(observing)
        self.assertEqual(b"a" * 1025, self.next(observation))
        self.assertTrue(observation.isEstablished)

    def test_firstTimeout(self) -> None:
        """C{timeout} is for all blocks of the first state together."""
        observing, request = self.ask(timeout=5)
        self.network.advance(3)
        self.server.answer(self.server.heard[-1], **self.first(b"a", 1, b"A"))
        self.network.advance(1.9)
        self.assertNoResult(observing)
        self.network.advance(0.2)
        self.failureResultOf(observing, NoAcknowledgement)
        self.assertNothingLeft()

    def test_notification(self) -> None:
        """So is each of the others."""
        observation = self.observe()
        reading = self.reading(observation)
        self.server.tell(TOKEN, **self.first(b"a", 11, b"A"))
        self.assertNoResult(reading)
        self.rest_(b"a", b"A")
        self.assertEqual(b"a" * 1025, self.successResultOf(reading).payload)

    def rest_(self, letter: bytes, etag: bytes) -> None:
        """The same, where the request was heard along with the acknowledgement."""
        request = next(each for each in reversed(self.server.heard) if each.code == Code.GET)
        self.server.answer(request, letter, block2=1 << 4 | 6, etag=(etag,))

    def test_newerMeanwhile(self) -> None:
        """A newer state that comes while the rest is fetched takes its place."""
        observation = self.observe()
        reading = self.reading(observation)
        self.server.tell(TOKEN, **self.first(b"a", 11, b"A"))
        self.server.tell(TOKEN, **self.first(b"b", 12, b"B"))
        self.rest_(b"b", b"B")
        self.assertEqual(b"b" * 1025, self.successResultOf(reading).payload)
        self.network.advance(10.0)
        gets = [each for each in self.server.heard if each.code == Code.GET and each.options.block2]
        self.assertEqual(2, len(gets))

    def test_smallMeanwhile(self) -> None:
        """Also one of a single block."""
        observation = self.observe()
        self.server.tell(TOKEN, **self.first(b"a", 11, b"A"))
        self.tell(b"small", 12)
        self.assertEqual(b"small", self.next(observation))

    def test_changedMeanwhile(self) -> None:
        """Where the rest is of another state, that is fetched whole, or what the server tells next."""
        observation = self.observe()
        reading = self.reading(observation)
        self.server.tell(TOKEN, **self.first(b"a", 11, b"A"))
        self.rest_(b"b", b"B")
        request = self.server.news()[-1]
        block = request.options.block2
        self.assertTrue(block is None or block.number == 0)
        self.server.answer(request, b"b" * 1024, block2=8 | 6, etag=(b"B",))
        self.rest(b"b", b"B")
        self.assertEqual(b"b" * 1025, self.successResultOf(reading).payload)

    def test_restIsLost(self) -> None:
        """Where the rest does not come it asks again."""
        observation = self.observe()
        reading = self.reading(observation)
        self.server.tell(TOKEN, **self.first(b"a", 11, b"A"))
        self.network.advance(120.0)
        request = next(each for each in self.server.heard[2:] if each.options.observe == 0)
        self.assertEqual(TOKEN, request.token)
        self.assertNoResult(reading)
        self.assertIsNone(observation.reason)

    def test_restOfTheOnlyStateIsLost(self) -> None:
        """Where it is not taken, and the rest of its only state does not come, the Deferred fails."""
        observing, request = self.ask()
        self.server.answer(request, **self.first(b"a", None, b"A"))
        self.network.advance(100.0)
        self.failureResultOf(observing, NoAcknowledgement)
        self.assertNothingLeft()

    def test_notTaken(self) -> None:
        """Where it is not taken, its only state is fetched whole."""
        observing, request = self.ask()
        self.server.answer(request, **self.first(b"a", None, b"A"))
        self.rest(b"a", b"A")
        observation = self.successResultOf(observing)
        self.assertEqual(b"a" * 1025, self.next(observation))
        self.assertIsInstance(observation.reason, ObservationEnded)

    def test_cancelledMeanwhile(self) -> None:
        """Cancelled while the rest is fetched it fetches no more."""
        observation = self.observe()
        self.server.tell(TOKEN, **self.first(b"a", 11, b"A"))
        observation.cancel(lazily=True)
        self.server.news()
        self.network.advance(20.0)
        self.assertEqual([], self.server.news())
        self.assertNothingLeft()

    def test_malformed(self) -> None:
        """A block that cannot be the first of a state is no news, and harms nothing."""
        observation = self.observe()
        for block in (5 << 4 | 8 | 6, 8 | 7, 8 | 2):
            self.server.tell(TOKEN, b"a" * 100, observe=11 + block % 8, block2=block)
        self.tell(b"good", 30)
        self.assertEqual(b"good", self.next(observation))


@implementer(IConsumer)
class Consumer:
    """Keeps what is written to it, and its producer."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """A push producer."""
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        """It is done."""
        self.producer = None

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written.append(data)
