"""
Tests for L{txcoap.observation}: when a client asks again, and how an observation ends for it.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from tests.observing import LEAST, MOST, TOKEN, URI, TellerTestCase
from tests.watching import Teller
from txcoap.codes import Code
from txcoap.errors import NoAcknowledgement, ObservationEnded, RequestError, SocketClosed
from txcoap.observation import Observation
from txcoap.options import Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST
from txcoap.testing import MemoryNetwork


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

    def test_sameRequest(self) -> None:
        """To ask again, and to leave, is the same request (RFC 7641 3.3.1, 3.6), but for Observe."""
        how = {"accept": 0, "params": {"a": 1}, "options": Options.fromPairs([(65000, b"v")])}
        observing, first = self.ask(**how)
        self.server.answer(first, b"0", observe=10, maxAge=5)
        observation = self.successResultOf(observing)
        self.network.advance(5.0 + MOST)
        again = self.server.news()[0]
        self.assertEqual((again.code, again.options, again.payload), (first.code, first.options, b""))
        self.server.answer(again, b"1", observe=11)
        observation.cancel()
        last = self.server.newsOne()
        self.assertEqual((last.token, last.options), (first.token, first.options.evolve(observe=1)))
        self.server.answer(last, b"1")

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
        self.comeBack(Code.SERVICE_UNAVAILABLE)

    def test_gatewayTimeout(self) -> None:
        """Nor is the 5.04 of a proxy whose server is silent."""
        self.comeBack(Code.GATEWAY_TIMEOUT)

    def comeBack(self, code: Code) -> None:
        """A server is not available, and then it is there again."""
        observation = self.observe()
        self.server.tell(TOKEN, b"busy", code, maxAge=100)
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

    def test_notTakenIsKnownAtOnce(self) -> None:
        """Who is given the only state can see at once why there will be no other."""
        observing, request = self.ask()
        reasons = []
        observing.addCallback(lambda observation: reasons.append(observation.reason))
        self.server.answer(request, b"0")
        self.assertIsInstance(reasons[0], ObservationEnded)

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
