"""
Tests for L{txcoap.observation}: what C{agent.observe} gives, with a server made by hand and with a real one,
on a network in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.watching import Counter, Teller
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.errors import NoAcknowledgement, ObservationEnded, RequestError, SocketClosed
from txcoap.memory import SERVER_HOST
from txcoap.observation import Observation
from txcoap.observe import ObservableResource
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram
from txcoap.server import Site
from txcoap.testing import MemoryNetwork

URI = f"coap://{SERVER_HOST}/n"
TOKEN = b"\x0a\x0b"

# RFC 7641 3.3.1: after Max-Age the client waits 5 to 15 seconds more.
LEAST, MOST = 5.0, 15.0


class ClientTestCase(SynchronousTestCase):
    """A client."""

    def setUp(self) -> None:
        """It has its socket."""
        self.network = MemoryNetwork()
        self.agent = self.network.agent()
        self.protocol = next(iter(self.network._ports.values())).protocol

    def assertNothingLeft(self) -> None:
        """No table of the client has anything, and the clock has no call for it."""
        self.network.advance(300.0)
        sizes = self.protocol.sizes()
        # Of a closed socket peers and duplicates are forgotten with the protocol.
        spared = () if self.protocol.isOpen else ("peers", "remembered", "rememberedBytes")
        left = {name: size for name, size in sizes.items() if size and name not in ("deadlines", *spared)}
        self.assertEqual({}, left)
        self.assertFalse(self.protocol._observing)
        self.assertEqual([], self.network.clock.getDelayedCalls())


class TellerTestCase(ClientTestCase):
    """A client, and a server made by hand."""

    def setUp(self) -> None:
        """Nothing is asked yet."""
        super().setUp()
        self.server = Teller(self.network)

    def ask(self, **how: Any) -> tuple[Deferred[Observation], Datagram]:
        """Observe; the request that comes to the server."""
        observing = self.agent.observe(URI, token=TOKEN, **how)
        return observing, self.server.newsOne()

    def observe(self, payload: bytes = b"0", number: int = 10, maxAge: int = 60, **how: Any) -> Observation:
        """Observe what a server takes; its first state is already read."""
        observing, request = self.ask(**how)
        self.server.answer(request, payload, observe=number, maxAge=maxAge)
        observation = self.successResultOf(observing)
        self.assertEqual(payload, self.next(observation))
        return observation

    def next(self, observation: Observation) -> bytes:
        """The state that is here."""
        state = self.successResultOf(Deferred.fromCoroutine(observation.__anext__()))
        return state.payload

    def reading(self, observation: Observation) -> Deferred[Any]:
        """The state that comes next."""
        return Deferred.fromCoroutine(observation.__anext__())

    def tell(self, payload: bytes, number: int, **values: Any) -> Datagram:
        """A notification, and what the client says to it."""
        reply = self.server.tell(TOKEN, payload, observe=number, **values)
        assert reply is not None
        return reply


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


class AskingAgainTests(TellerTestCase):
    """When nothing is heard for longer than the state is fresh (RFC 7641 3.3.1)."""

    def test_afterMaxAge(self) -> None:
        """It asks again Max-Age and 5 to 15 seconds after the last notification, with the same token."""
        observation = self.observe(maxAge=30)
        self.network.advance(20.0)
        self.tell(b"1", 11, maxAge=40)
        self.assertEqual(b"1", self.next(observation))
        self.network.advance(40.0 + LEAST)
        self.assertEqual([], self.server.news())
        self.network.advance(MOST - LEAST)
        request = self.server.news()[0]
        self.assertEqual((TOKEN, 0), (request.token, request.options.observe))
        self.server.answer(request, b"2", observe=12)
        self.assertEqual(b"2", self.next(observation))
        self.assertEqual(ACK, self.tell(b"3", 13).type)
        self.assertEqual(b"3", self.next(observation))

    def test_atRandom(self) -> None:
        """The time differs from client to client, so that not all ask at once."""
        times = set()
        for n in range(20):
            network = MemoryNetwork(seed=n)
            agent, server = network.agent(), Teller(network)
            observing = agent.observe(URI)
            server.answer(server.newsOne(), b"0", observe=1, maxAge=10)
            self.successResultOf(observing)
            begin = network.clock.seconds()
            while not server.news():
                network.advance(0.5)
            times.add(network.clock.seconds() - begin)
        self.assertGreater(len(times), 5)
        self.assertTrue(min(times) >= 10 + LEAST and max(times) <= 10.5 + MOST, times)

    def test_defaultMaxAge(self) -> None:
        """Without Max-Age a state is fresh for 60 seconds (RFC 7252 5.10.5)."""
        observing, request = self.ask()
        self.server.answer(request, b"0", observe=1)
        self.successResultOf(observing)
        self.network.advance(60.0 + LEAST)
        self.assertEqual([], self.server.news())
        self.network.advance(MOST - LEAST)
        self.assertEqual(TOKEN, self.server.news()[0].token)

    def test_silence(self) -> None:
        """While the server is silent it asks again and again, and takes up where it was."""
        observation = self.observe(maxAge=10)
        self.network.advance(1000.0)
        asked = [each for each in self.server.news() if each.options.observe == 0]
        self.assertGreater(len({each.messageID for each in asked}), 5)
        self.assertEqual({TOKEN}, {each.token for each in asked})
        self.assertIsNone(observation.reason)
        while not (news := self.server.news()):
            self.network.advance(1.0)
        self.server.answer(news[-1], b"back", observe=11)
        self.assertEqual(b"back", self.next(observation))

    def test_restarted(self) -> None:
        """The response to the renewal is taken whatever its number: the server may have restarted."""
        observation = self.observe(number=1000, maxAge=10)
        self.network.advance(10.0 + MOST)
        self.server.answer(self.server.news()[0], b"anew", observe=3)
        self.assertEqual(b"anew", self.next(observation))
        self.tell(b"and on", 4)
        self.assertEqual(b"and on", self.next(observation))

    def test_oldNotificationMeanwhile(self) -> None:
        """
        A notification from before the renewal that comes before the response to it does not keep that
        response from being taken, nor an older one from being dropped.
        """
        observation = self.observe(number=10, maxAge=10)
        self.network.advance(10.0 + MOST)
        request = self.server.news()[0]
        self.tell(b"older", 9)
        self.assertNoResult(reading := self.reading(observation))
        self.tell(b"delayed", 11)
        self.assertEqual(b"delayed", self.successResultOf(reading).payload)
        self.server.answer(request, b"newest", observe=12)
        self.assertEqual(b"newest", self.next(observation))

    def test_overtaken(self) -> None:
        """A notification that overtakes the response to the renewal is newer than that."""
        observation = self.observe(number=10, maxAge=10)
        self.network.advance(10.0 + MOST)
        request = self.server.news()[0]
        self.tell(b"newest", 13)
        self.server.answer(request, b"overtaken", observe=12)
        self.assertEqual(b"newest", self.next(observation))
        self.assertNoResult(self.reading(observation))

    def test_renewalIsRepeated(self) -> None:
        """A notification does not stop the renewal from being repeated until it is answered."""
        self.observe(maxAge=10)
        self.network.advance(10.0 + MOST)
        request = self.server.news()[0]
        self.tell(b"1", 11)
        self.network.advance(50.0)
        self.assertIn(request.messageID, [each.messageID for each in self.server.news()])

    def test_notificationsPostponeIt(self) -> None:
        """As long as there is news it does not ask."""
        self.observe(maxAge=10)
        for n in range(20):
            self.network.advance(10.0)
            self.tell(b"%d" % n, 11 + n, maxAge=10)
        self.assertEqual([], [each for each in self.server.news() if each.code])

    def test_serviceUnavailable(self) -> None:
        """5.03 is not the end: it asks again after its Max-Age."""
        observation = self.observe()
        self.server.tell(TOKEN, b"busy", Code.SERVICE_UNAVAILABLE, maxAge=100)
        self.assertIsNone(observation.reason)
        self.network.advance(100.0)
        self.assertEqual([], self.server.news())
        self.network.advance(MOST)
        self.server.answer(self.server.news()[0], b"back", observe=50)
        self.assertEqual(b"back", self.next(observation))

    def test_serviceUnavailableAgain(self) -> None:
        """However often."""
        observation = self.observe()
        self.server.tell(TOKEN, b"busy", Code.SERVICE_UNAVAILABLE, maxAge=10)
        for _ in range(3):
            self.network.advance(10.0 + MOST)
            self.server.answer(self.server.news()[0], b"", Code.SERVICE_UNAVAILABLE, maxAge=10)
        self.network.advance(10.0 + MOST)
        self.server.answer(self.server.news()[0], b"back", observe=50)
        self.assertEqual(b"back", self.next(observation))


class EndTests(TellerTestCase):
    """How it ends."""

    def ended(self, observation: Observation) -> RequestError | None:
        """Its reason, which is told in every way."""
        self.assertIs(observation.reason, self.successResultOf(observation.notifyEnd()))
        self.assertNothingLeft()
        return observation.reason

    def test_error(self) -> None:
        """An error is the end; whoever waits for the next state gets it as the reason (RFC 7641 4.2)."""
        observation = self.observe()
        ending, reading = observation.notifyEnd(), self.reading(observation)
        self.server.tell(TOKEN, b"gone", Code.NOT_FOUND)
        reason = self.failureResultOf(reading, ObservationEnded).value
        self.assertEqual(Code.NOT_FOUND, reason.response.code)
        self.assertIs(reason, self.successResultOf(ending))
        self.assertIs(reason, self.ended(observation))
        self.failureResultOf(self.reading(observation), ObservationEnded)

    def test_withoutObserve(self) -> None:
        """A notification without Observe is the last state."""
        observation = self.observe()
        self.server.tell(TOKEN, b"last")
        self.assertEqual(b"last", self.next(observation))
        self.failureResultOf(self.reading(observation), ObservationEnded)
        self.assertIsInstance(self.ended(observation), ObservationEnded)

    def test_notTaken(self) -> None:
        """A server that does not take it gives one state; the observation says so (RFC 7641 3.1)."""
        observing, request = self.ask()
        self.server.answer(request, b"0")
        observation = self.successResultOf(observing)
        self.assertFalse(observation.isEstablished)
        self.assertEqual(b"0", self.next(observation))
        self.failureResultOf(self.reading(observation), StopAsyncIteration)
        self.assertIsInstance(self.ended(observation), ObservationEnded)

    def test_notTakenWithError(self) -> None:
        """Its one response may be an error."""
        observing, request = self.ask()
        self.server.answer(request, b"", Code.NOT_FOUND)
        observation = self.successResultOf(observing)
        state = self.successResultOf(self.reading(observation))
        self.assertEqual(Code.NOT_FOUND, state.code)
        self.assertIsInstance(self.ended(observation), ObservationEnded)

    def test_noAnswer(self) -> None:
        """Where nobody answers at first, the Deferred fails."""
        observing, _ = self.ask()
        self.network.advance(100.0)
        self.failureResultOf(observing, NoAcknowledgement)
        self.assertNothingLeft()

    def test_cancel(self) -> None:
        """Cancelling asks with Observe=1 and the same token (RFC 7641 3.6); the reader comes to its end."""
        observation = self.observe(accept=50)
        reading = self.reading(observation)
        cancelling = observation.cancel()
        self.failureResultOf(reading, StopAsyncIteration)
        request = self.server.newsOne()
        self.assertEqual(
            (TOKEN, 1, ("n",), 50),
            (request.token, request.options.observe, request.options.uriPath, request.options.accept),
        )
        self.assertNoResult(cancelling)
        self.server.answer(request, b"0")
        self.assertIsNone(self.successResultOf(cancelling))
        self.assertIsNone(self.ended(observation))

    def test_cancelAlone(self) -> None:
        """A server that is gone does not keep it from ending."""
        observation = self.observe()
        cancelling = observation.cancel()
        self.network.advance(100.0)
        self.assertIsNone(self.successResultOf(cancelling))
        self.assertIsNone(self.ended(observation))

    def test_cancelLazily(self) -> None:
        """Lazily nothing is sent; the next notification is answered with a Reset (RFC 7641 3.6)."""
        for type in (CON, NON):
            observation = self.observe()
            self.assertIsNone(self.successResultOf(observation.cancel(lazily=True)))
            self.assertEqual([], self.server.news())
            self.assertEqual(RST, self.tell(b"1", 11, type=type).type)
            self.assertIsNone(self.ended(observation))

    def test_cancelTwice(self) -> None:
        """Once is enough."""
        observation = self.observe()
        observation.cancel()
        self.assertIsNone(self.successResultOf(observation.cancel()))
        self.server.answer(self.server.newsOne())
        self.assertNothingLeft()

    def test_cancelWithLargeAnswer(self) -> None:
        """The answer to that is of no interest: its other blocks are not fetched."""
        observation = self.observe()
        cancelling = observation.cancel()
        self.server.answer(self.server.newsOne(), b"0" * 1024, block2=0 << 4 | 8 | 6)
        self.successResultOf(cancelling)
        self.assertEqual([], self.server.news())
        self.assertNothingLeft()

    def test_cancelWhileSilent(self) -> None:
        """Cancelled while it waits to ask again, it does not."""
        observation = self.observe(maxAge=10)
        self.network.advance(10.0 + MOST + 100.0)
        observation.cancel(lazily=True)
        self.server.news()
        self.assertNothingLeft()
        self.assertEqual([], self.server.news())

    def test_cancelObserving(self) -> None:
        """The Deferred of C{observe} cancelled: the request is taken back."""
        observing, request = self.ask()
        observing.cancel()
        self.failureResultOf(observing, CancelledError)
        self.network.advance(10.0)
        self.assertEqual([], self.server.news())
        self.server.answer(request, b"0", observe=1)
        self.assertEqual(RST, self.tell(b"1", 2).type)
        self.assertNothingLeft()

    def test_nobodyWaits(self) -> None:
        """A notification with a token that nothing has is rejected, confirmable or not (RFC 7641 3.6)."""
        self.observe()
        for type in (CON, NON):
            reply = self.server.tell(b"other", b"?", type=type, observe=1)
            assert reply is not None
            self.assertEqual(RST, reply.type)

    def closeSocket(self) -> None:
        """Close the client's socket."""
        for port in list(self.network._ports.values()):
            if port.protocol is self.protocol:
                port.stopListening()

    def test_closed(self) -> None:
        """When the socket is closed it ends, with that as the reason."""
        observation = self.observe()
        reading = self.reading(observation)
        self.closeSocket()
        self.failureResultOf(reading, SocketClosed)
        self.assertEqual([], self.network.clock.getDelayedCalls())
        self.assertIsInstance(self.ended(observation), SocketClosed)

    def test_closedWhileAsking(self) -> None:
        """The same before the first response."""
        observing, _ = self.ask()
        self.closeSocket()
        self.failureResultOf(observing, SocketClosed)
        self.assertNothingLeft()

    def test_closedWhileItWaits(self) -> None:
        """And while it waits to ask again."""
        observation = self.observe()
        self.server.tell(TOKEN, b"busy", Code.SERVICE_UNAVAILABLE, maxAge=1000)
        self.closeSocket()
        self.assertEqual([], self.network.clock.getDelayedCalls())
        self.assertIsInstance(self.ended(observation), SocketClosed)


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


class ServedTests(ClientTestCase):
    """With a real server."""

    def setUp(self) -> None:
        """A number and a large state."""
        super().setUp()
        self.root = Resource()
        self.counter, self.large = Counter(), Large()
        self.root.putChild("n", self.counter)
        self.root.putChild("large", self.large)
        self.port = self.network.listen(Site(self.root))

    def observe(self, path: str = "n") -> tuple[Observation, list[bytes]]:
        """Observe; the states as they come."""
        observing = self.agent.observe(f"coap://{SERVER_HOST}/{path}")
        self.network.flush()
        observation = self.successResultOf(observing)
        states: list[bytes] = []
        observation.subscribe(lambda state: states.append(state.payload))
        return observation, states

    def test_states(self) -> None:
        """Each change comes; after the end nothing is left on either side."""
        observation, states = self.observe()
        for _ in range(5):
            self.counter.count()
            self.network.flush()
        observation.cancel()
        self.counter.count()
        self.network.flush()
        self.assertEqual([b"%d" % n for n in range(6)], states)
        self.assertNothingLeft()
        self.assertEqual(0, self.port.protocol.sizes()["observers"])

    def test_large(self) -> None:
        """So do large states, whole, also when they change while they are fetched."""
        _, states = self.observe("large")
        self.network.latency = 0.1
        for letter in (b"b", b"c", b"d"):
            self.large.change(letter)
            self.network.advance(0.25)
        self.network.advance(5.0)
        self.assertEqual(b"d" * 5000, states[-1])
        self.assertTrue(all(len(set(state)) == 1 for state in states))

    def test_restart(self) -> None:
        """A server that comes back without memory is asked again."""
        observation, states = self.observe()
        self.port.stopListening()
        self.network.advance(20.0)
        self.counter.value = 50
        self.root = Resource()
        fresh = Counter(50)
        self.root.putChild("n", fresh)
        self.port = self.network.listen(Site(self.root))
        self.network.advance(80.0)
        self.assertEqual(b"50", states[-1])
        fresh.count()
        self.network.flush()
        self.assertEqual(b"51", states[-1])
        self.assertIsNone(observation.reason)

    def test_bothRoles(self) -> None:
        """One socket observes, and is observed, with the same token even (RFC 7641 4.1)."""
        own = Counter(100)
        root = Resource()
        root.putChild("own", own)
        self.protocol.site = Site(root)
        _, states = self.observe()
        there: list[bytes] = []
        host, port = self.protocol.transport.address
        protocol = self.port.protocol
        observing = Agent(self.network.reactor, protocol=protocol).observe(f"coap://{host}:{port}/own")
        self.network.flush()
        self.successResultOf(observing).subscribe(lambda state: there.append(state.payload))
        self.counter.count()
        own.count()
        self.network.flush()
        self.assertEqual(([b"0", b"1"], [b"100", b"101"]), (states, there))

    def test_sharedAddress(self) -> None:
        """Clients behind one address, as a NAT makes them, are told apart by port."""
        everyone: list[list[Any]] = []
        for port in (1000, 1001, 1002):
            agent = self.network.agent("192.0.2.50", port)
            observing = agent.observe(f"coap://{SERVER_HOST}/n", token=b"same")
            self.network.flush()
            everyone.append([])
            self.successResultOf(observing).subscribe(everyone[-1].append)
        self.counter.count()
        self.network.flush()
        for states in everyone:
            self.assertEqual([b"0", b"1"], [state.payload for state in states])


class Large(ObservableResource):
    """A state of several blocks, of one letter."""

    body = b"a" * 5000

    def change(self, letter: bytes) -> None:
        """Another letter, and tell."""
        self.body = letter * 5000
        self.notifyObservers()

    def render_GET(self, request: Any) -> bytes:
        """All of it."""
        return self.body


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
