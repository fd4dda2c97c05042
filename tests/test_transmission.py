"""
Tests for L{txcoap.sansio.transmissions}: retransmission, whose turn it is, PROBING_RATE and message IDs
(RFC 7252 4.2, 4.4, 4.7).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.errors import (
    MessageTooLarge,
    NoAcknowledgement,
    ProbingRateExceeded,
    RequestError,
    ResetReceived,
    Unreachable,
)
from txcoap.message import Request
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.sansio.datagrams import ACK, CON, NON, RST
from txcoap.sansio.events import Progress, RequestFailed, ResponseReceived

from .machines import PEER, STEADY, Machine, get

OTHER = ("192.0.2.2", 5683)


def errorOf(event: object) -> RequestError:
    """Why a request failed."""
    assert isinstance(event, RequestFailed), event
    return event.error


class RetransmissionTests(SynchronousTestCase):
    """A confirmable message is repeated with exponential back-off (RFC 7252 4.2)."""

    def test_schedule(self) -> None:
        """With factor 1.0: sent at 0, 2, 6, 14 and 30 seconds, and given up at 62."""
        machine = Machine()
        exchange = machine.request(get(), PEER, machine.now)
        self.assertEqual(machine.advance(61.999), [])
        self.assertEqual(machine.times(), [0, 2, 6, 14, 30])
        (event,) = machine.advance(0.001)
        self.assertIsInstance(errorOf(event), NoAcknowledgement)
        self.assertIs(exchange.progress, Progress.DONE)
        self.assertEqual(machine.advance(400), [])
        self.assertEqual(len(machine.raw), 5)

    def test_late(self) -> None:
        """
        What was missed while nothing was done is not made up for: one repetition at most, none shortly before
        the next nor after MAX_TRANSMIT_SPAN; the rest at their times (4.2).
        """
        rows: list[tuple[float, list[float]]] = [
            (5.0, [0, 6, 14, 30]),
            (5.0 - 2, [0, 3, 6, 14, 30]),
            (9.0, [0, 9, 14, 30]),
            (25.0, [0, 25, 30]),
            (32.0, [0]),
            (70.0, [0]),
        ]
        for asleep, times in rows:
            machine = Machine()
            machine.request(get(), PEER, machine.now)
            machine.sent()
            machine.now += asleep
            machine.expire(machine.now)
            machine.advance(max(0.0, 62 - asleep))
            self.assertEqual(machine.times(), times)
            self.assertEqual(machine.counters.timeouts, 1)

    def test_sameBytes(self) -> None:
        """Each repetition is the same, byte for byte."""
        machine = Machine()
        machine.request(get(uriPath=("a",)), PEER, machine.now)
        machine.advance(62)
        self.assertEqual(machine.raw, machine.raw[:1] * 5)
        self.assertEqual(machine.counters.retransmissions, 4)
        self.assertEqual(machine.counters.timeouts, 1)

    def test_jitter(self) -> None:
        """
        The first time-out lies between ACK_TIMEOUT and ACK_RANDOM_FACTOR times it, spread over all of
        that; each further one is twice the one before.
        """
        firsts = []
        for seed in range(200):
            machine = Machine(DEFAULT_PARAMETERS, seed=seed)
            machine.request(get(), PEER, machine.now)
            (event,) = machine.advance(93.01)
            times = machine.times()
            first = times[1]
            firsts.append(first)
            self.assertEqual(len(times), 5)
            for each, factor in enumerate((1, 3, 7, 15)):
                self.assertAlmostEqual(times[each + 1], first * factor, places=4)
        self.assertTrue(2.0 <= min(firsts) < 2.05)
        self.assertTrue(2.95 < max(firsts) <= 3.0)

    def test_settings(self) -> None:
        """ACK_TIMEOUT and MAX_RETRANSMIT are settings, for one request too."""
        machine = Machine()
        parameters = STEADY.evolve(ACK_TIMEOUT=0.5, MAX_RETRANSMIT=2)
        machine.request(get(), PEER, machine.now, parameters=parameters)
        (event,) = machine.advance(3.6)
        self.assertEqual(machine.times(), [0, 0.5, 1.5])
        self.assertIsInstance(errorOf(event), NoAcknowledgement)

    def test_noRetransmission(self) -> None:
        """With MAX_RETRANSMIT 0 it is sent once, and given up after the first time-out."""
        machine = Machine(STEADY.evolve(MAX_RETRANSMIT=0))
        machine.request(get(), PEER, machine.now)
        (event,) = machine.advance(2)
        self.assertEqual(machine.times(), [0])
        self.assertIsInstance(errorOf(event), NoAcknowledgement)

    def test_nonConfirmable(self) -> None:
        """A non-confirmable request is sent once (4.3)."""
        machine = Machine()
        machine.request(get(), PEER, machine.now, confirmable=False)
        machine.advance(300)
        self.assertEqual(machine.times(), [0])

    def test_acknowledged(self) -> None:
        """An empty acknowledgement ends the repetitions, not the request."""
        machine = Machine()
        exchange = machine.request(get(), PEER, machine.now)
        machine.advance(3)
        self.assertIsNone(machine.receive(ACK, Code.EMPTY, machine.sent()[0].messageID))
        self.assertIs(exchange.progress, Progress.ACKNOWLEDGED)
        self.assertEqual(machine.advance(100), [])
        self.assertEqual(machine.times(), [0, 2])

    def test_reset(self) -> None:
        """A Reset ends the request, confirmable or not."""
        for confirmable in (True, False):
            machine = Machine()
            machine.request(get(), PEER, machine.now, confirmable=confirmable)
            event = machine.receive(RST, Code.EMPTY, machine.sentOne().messageID)
            self.assertIsInstance(errorOf(event), ResetReceived)
            machine.advance(100)
            self.assertEqual(machine.sent(), [])

    def test_answered(self) -> None:
        """A piggybacked response ends the repetitions."""
        machine = Machine()
        machine.request(get(), PEER, machine.now)
        sent = machine.sentOne()
        event = machine.receive(ACK, Code.CONTENT, sent.messageID, sent.token)
        self.assertIsInstance(event, ResponseReceived)
        machine.advance(100)
        self.assertEqual(machine.sent(), [])

    def test_acknowledgementLost(self) -> None:
        """A separate response that comes without the acknowledgement ends them too (5.2.2)."""
        machine = Machine()
        machine.request(get(), PEER, machine.now)
        sent = machine.sentOne()
        event = machine.receive(CON, Code.CONTENT, 99, sent.token, payload=b"x")
        self.assertIsInstance(event, ResponseReceived)
        self.assertEqual([each.type for each in machine.sent()], [ACK])
        self.assertEqual(machine.advance(100), [])
        self.assertEqual(machine.sent(), [])

    def test_strangersAcknowledgement(self) -> None:
        """An acknowledgement or Reset of another ID, or from another peer, means nothing."""
        machine = Machine()
        machine.request(get(), PEER, machine.now)
        messageID = machine.sentOne().messageID
        for type in (ACK, RST):
            self.assertIsNone(machine.receive(type, Code.EMPTY, messageID ^ 1))
            self.assertIsNone(machine.receive(type, Code.EMPTY, messageID, peer=OTHER))
        machine.advance(2)
        self.assertEqual(machine.times(), [0, 2])
        self.assertEqual(machine.counters.ignored, 4)

    def test_nonNotAcknowledgeable(self) -> None:
        """An acknowledgement of a non-confirmable message means nothing."""
        machine = Machine()
        exchange = machine.request(get(), PEER, machine.now, confirmable=False)
        self.assertIsNone(machine.receive(ACK, Code.EMPTY, machine.sentOne().messageID))
        self.assertIs(exchange.progress, Progress.SENT)

    def test_tooLarge(self) -> None:
        """A request that does not fit a datagram is refused before anything changes."""
        machine = Machine()
        with self.assertRaises(MessageTooLarge):
            machine.request(Request(Code.PUT, b"x" * 65536), PEER, machine.now)
        self.assertEqual(machine.sent(), [])
        self.assertEqual(machine.sizes()["openRequests"], 0)


class UnreachableTests(SynchronousTestCase):
    """What the network returns (RFC 7252 4.2)."""

    def test_request(self) -> None:
        """A request that comes back has failed, with the system's error number."""
        for confirmable in (True, False):
            machine = Machine()
            machine.request(get(), PEER, machine.now, confirmable=confirmable)
            machine.sent()
            error = errorOf(machine.receiveUnreachable(machine.raw[0], PEER, 111, machine.now))
            assert isinstance(error, Unreachable)
            self.assertEqual(error.errno, 111)
            self.assertEqual(machine.advance(300), [])
            self.assertEqual(machine.sent(), [])

    def test_start(self) -> None:
        """The start of the message is enough: routers cut what they return (RFC 792)."""
        machine = Machine()
        machine.request(get(uriPath=("a",)), PEER, machine.now)
        machine.sent()
        event = machine.receiveUnreachable(machine.raw[0][:8], PEER, 113, machine.now)
        self.assertIsInstance(errorOf(event), Unreachable)

    def test_forged(self) -> None:
        """What does not hold the message itself, or names another peer, counts for nothing."""
        machine = Machine()
        machine.request(get(uriPath=("a",)), PEER, machine.now)
        machine.sent()
        data = machine.raw[0]
        for forged, peer in (
            (b"", PEER),
            (data[:4] + b"\0\0\0\0" + data[8:], PEER),
            (data + b"x", PEER),
            (data, OTHER),
        ):
            self.assertIsNone(machine.receiveUnreachable(forged, peer, 111, machine.now))
        machine.advance(2)
        self.assertEqual(machine.times(), [0, 2])


class TurnTests(SynchronousTestCase):
    """NSTART: how many requests are under way at once to one peer (RFC 7252 4.7)."""

    def ask(self, machine: Machine, count: int, peer: object = PEER) -> None:
        """Ask for /0, /1 and so on."""
        for each in range(count):
            machine.request(get(uriPath=(str(each),)), peer, machine.now)

    def test_one(self) -> None:
        """By default one; the others follow in order as each is answered."""
        machine = Machine()
        self.ask(machine, 4)
        for each in range(4):
            sent = machine.sentOne()
            self.assertEqual(sent.options.uriPath, (str(each),))
            machine.receive(ACK, Code.CONTENT, sent.messageID, sent.token)
        self.assertEqual(machine.sent(), [])

    def test_some(self) -> None:
        """With NSTART n, n of them."""
        machine = Machine(STEADY.evolve(NSTART=3))
        self.ask(machine, 5)
        self.assertEqual([each.options.uriPath for each in machine.sent()], [("0",), ("1",), ("2",)])

    def test_perPeer(self) -> None:
        """Each peer has its own queue."""
        machine = Machine()
        self.ask(machine, 2)
        self.ask(machine, 2, OTHER)
        self.assertEqual(len(machine.sent()), 2)

    def test_emptyAcknowledgement(self) -> None:
        """A request that was acknowledged is no longer outstanding."""
        machine = Machine()
        self.ask(machine, 2)
        machine.receive(ACK, Code.EMPTY, machine.sentOne().messageID)
        self.assertEqual(machine.sentOne().options.uriPath, ("1",))

    def test_failed(self) -> None:
        """Nor is one that failed: given up, rejected, unreachable or cancelled."""
        machine = Machine()
        self.ask(machine, 1)
        exchanges = [machine.request(get(), PEER, machine.now) for _ in range(4)]
        sent = machine.sentOne()
        machine.advance(62)
        sent = machine.sent()[-1]
        machine.receive(RST, Code.EMPTY, sent.messageID)
        machine.sentOne()
        machine.receiveUnreachable(machine.raw[-1], PEER, 111, machine.now)
        machine.sentOne()
        machine.cancel(exchanges[2], machine.now)
        self.assertEqual(machine.sentOne().token, exchanges[3].token)

    def test_cancelledWhileWaiting(self) -> None:
        """One that is cancelled before its turn is never sent."""
        machine = Machine()
        self.ask(machine, 1)
        waiting = [machine.request(get(uriPath=(name,)), PEER, machine.now) for name in "ab"]
        self.assertIs(waiting[0].progress, Progress.WAITING)
        machine.cancel(waiting[0], machine.now)
        sent = machine.sentOne()
        machine.receive(ACK, Code.CONTENT, sent.messageID, sent.token)
        self.assertEqual(machine.sentOne().options.uriPath, ("b",))

    def test_nonConfirmable(self) -> None:
        """Non-confirmable requests do not wait: PROBING_RATE bounds them."""
        machine = Machine()
        self.ask(machine, 2)
        machine.request(get(), PEER, machine.now, confirmable=False)
        self.assertEqual([each.type for each in machine.sent()], [CON, NON])

    def test_timeoutWhileWaiting(self) -> None:
        """The time-out of a request includes the wait for its turn."""
        machine = Machine()
        self.ask(machine, 1)
        machine.request(get(), PEER, machine.now, timeout=1.0)
        (event,) = machine.advance(1.1)
        self.assertIn("waited for its turn", str(errorOf(event)))
        self.assertEqual(len(machine.sent()), 1)


class ProbingTests(SynchronousTestCase):
    """PROBING_RATE bounds what a peer that does not answer is sent (RFC 7252 4.7)."""

    parameters = STEADY.evolve(PROBING_ALLOWANCE=100, PROBING_RATE=1.0, NSTART=100)

    def fill(self, machine: Machine, confirmable: bool = False) -> int:
        """Ask until it is refused; how often that went well."""
        for count in range(1000):
            try:
                machine.request(get(), PEER, machine.now, confirmable=confirmable)
            except ProbingRateExceeded:
                return count
        raise AssertionError("never refused")

    def test_cancelledWhenItsTurnCame(self) -> None:
        """One that may not go when its turn comes, and is cancelled, is not the next of its token."""
        machine = Machine(self.parameters.evolve(NSTART=1))
        ask = machine.request
        first = ask(Request(Code.PUT, bytes(80)), PEER, machine.now)
        second = ask(Request(Code.PUT, bytes(80)), PEER, machine.now, token=b"t")
        machine.cancel(first, machine.now)
        machine.cancel(second, machine.now)
        third = ask(Request(Code.GET), PEER, machine.now, token=b"t")
        self.assertEqual(machine.advance(0), [])
        machine.receive(NON, Code.CONTENT, 1, b"t")
        self.assertIs(third.progress, Progress.DONE)

    def test_exceeded(self) -> None:
        """After the allowance, requests fail at once with an error of their own."""
        for confirmable in (True, False):
            machine = Machine(self.parameters)
            count = self.fill(machine, confirmable)
            self.assertTrue(8 <= count <= 12)
            self.assertEqual(len(machine.sent()), count)
            self.assertEqual(machine.sizes()["openRequests"], count)

    def test_rate(self) -> None:
        """With time, there is room for more."""
        machine = Machine(self.parameters)
        self.fill(machine)
        machine.advance(20)
        self.assertTrue(1 <= self.fill(machine) <= 2)

    def test_anyAnswer(self) -> None:
        """Any answer clears the account: a response, an acknowledgement, a Reset."""
        for type, code in ((ACK, Code.CONTENT), (ACK, Code.EMPTY), (RST, Code.EMPTY), (NON, Code.CONTENT)):
            machine = Machine(self.parameters)
            full = self.fill(machine, confirmable=True)
            first = machine.sent()[0]
            token = first.token if code else b""
            machine.receive(type, code, first.messageID, token)
            self.assertTrue(self.fill(machine, confirmable=True) >= full - 1)

    def test_otherPeer(self) -> None:
        """Each peer has its own account."""
        machine = Machine(self.parameters)
        self.fill(machine)
        machine.request(get(), OTHER, machine.now)

    def test_off(self) -> None:
        """It can be turned off."""
        machine = Machine(self.parameters.evolve(PROBING_RATE=None))
        for _ in range(1000):
            machine.request(get(), PEER, machine.now, confirmable=False)

    def test_default(self) -> None:
        """By default the allowance is some eight full messages."""
        machine = Machine()
        for _ in range(8):
            machine.request(Request(Code.POST, b"x" * 1024), PEER, machine.now, confirmable=False)
        with self.assertRaises(ProbingRateExceeded):
            machine.request(Request(Code.POST, b"x" * 1124), PEER, machine.now, confirmable=False)


class MessageIDTests(SynchronousTestCase):
    """No message ID is used again to a peer within EXCHANGE_LIFETIME (RFC 7252 4.4)."""

    parameters = STEADY.evolve(PROBING_RATE=None)

    def useAll(self, machine: Machine) -> list[int]:
        """Send non-confirmable requests until one has to wait; the IDs used."""
        for _ in range(65537):
            exchange = machine.request(get(), PEER, machine.now, confirmable=False, token=None)
            waits = exchange.progress is Progress.WAITING
            machine.cancel(exchange, machine.now)
            if waits:
                return [each.messageID for each in machine.sent()]
        raise AssertionError("one was used twice")

    def test_countUp(self) -> None:
        """They count up from a random start, one for each new message."""
        machine = Machine(self.parameters)
        for _ in range(5):
            machine.request(get(), PEER, machine.now, confirmable=False)
        ids = [each.messageID for each in machine.sent()]
        self.assertEqual(ids, [(ids[0] + each) % 65536 for each in range(5)])

    def test_allUsed(self) -> None:
        """When all are used up requests wait, and go out when the first is free again."""
        machine = Machine(self.parameters)
        ids = self.useAll(machine)
        self.assertEqual(len(ids), len(set(ids)))
        for confirmable in (True, False):
            machine.request(get(), PEER, machine.now, confirmable=confirmable, timeout=1000.0)
        machine.advance(self.parameters.EXCHANGE_LIFETIME - 1)
        self.assertEqual(machine.sent(), [])
        machine.advance(1.1)
        self.assertEqual([each.type for each in machine.sent()], [CON, NON])

    def test_otherPeer(self) -> None:
        """That concerns one peer alone."""
        machine = Machine(self.parameters)
        self.useAll(machine)
        machine.request(get(), OTHER, machine.now)
        self.assertEqual(len(machine.sent()), 1)

    def test_waitCancelled(self) -> None:
        """Those that wait can be cancelled, and leave no deadline."""
        machine = Machine(self.parameters)
        self.useAll(machine)
        before = machine.sizes()["deadlines"]
        waiting = [machine.request(get(), PEER, machine.now) for _ in range(10)]
        self.assertEqual(machine.sizes()["deadlines"], before + 1)
        for exchange in waiting:
            machine.cancel(exchange, machine.now)
        self.assertEqual(machine.sizes()["deadlines"], before)
        machine.advance(300)
        self.assertEqual(machine.sent(), [])

    def test_separateResponse(self) -> None:
        """A separate response for which there is no ID is not sent; it is counted."""
        machine = Machine(self.parameters)
        self.useAll(machine)
        request = machine.asked(NON, Code.GET, 1)
        self.assertFalse(machine.answer(request))
        self.assertEqual(machine.counters.unsent, 1)
