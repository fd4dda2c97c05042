"""
Tests for L{txcoap.sansio.messaging}: what comes twice (RFC 7252 4.2, 4.3, 4.5).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.options import Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram
from txcoap.sansio.events import IncomingRequest, ResponseReceived

from .machines import PEER, STEADY, Machine, get


class DuplicateTests(SynchronousTestCase):
    """What comes twice is processed once (RFC 7252 4.5)."""

    def test_confirmable(self) -> None:
        """A copy of an answered confirmable request gets the same bytes again."""
        machine = Machine()
        machine.answer(machine.asked(CON, Code.POST, 7, b"tok", payload=b"x"), Code.CREATED, b"done")
        for _ in range(3):
            self.assertIsNone(machine.receive(CON, Code.POST, 7, b"tok", payload=b"x"))
        machine.sent()
        self.assertEqual(machine.raw, machine.raw[:1] * 4)
        self.assertEqual(machine.counters.duplicates, 3)

    def test_unanswered(self) -> None:
        """A copy that comes before the answer is ignored: the answer is on its way."""
        machine = Machine()
        request = machine.asked(CON, Code.POST, 7)
        self.assertIsNone(machine.receive(CON, Code.POST, 7))
        self.assertEqual(machine.sent(), [])
        machine.answer(request)
        self.assertEqual(len(machine.sent()), 1)

    def test_nonConfirmable(self) -> None:
        """A copy of a non-confirmable request is ignored."""
        machine = Machine()
        machine.answer(machine.asked(NON, Code.POST, 7))
        machine.sent()
        self.assertIsNone(machine.receive(NON, Code.POST, 7))
        self.assertEqual(machine.sent(), [])

    def test_otherBytes(self) -> None:
        """Other bytes under the same ID are a new message, of a peer that lost count."""
        machine = Machine()
        for type in (CON, NON):
            machine.answer(machine.asked(type, Code.POST, 7, payload=b"1"), payload=b"a")
            machine.answer(machine.asked(type, Code.POST, 7, payload=b"2"), payload=b"b")
        self.assertEqual([each.payload for each in machine.sent()], [b"a", b"b"] * 2)

    def test_otherPeer(self) -> None:
        """The same bytes from another peer are another message, if only the port differs."""
        machine = Machine()
        machine.answer(machine.asked(CON, Code.POST, 7))
        machine.answer(machine.asked(CON, Code.POST, 7, peer=("192.0.2.1", 5684)))
        machine.answer(machine.asked(CON, Code.POST, 7, peer=("192.0.2.2", 5683)))
        self.assertEqual(len(machine.sent()), 3)

    def test_lifetimes(self) -> None:
        """A copy is known for EXCHANGE_LIFETIME, or NON_LIFETIME; later it is a new message (4.5)."""
        for type, lifetime in ((CON, STEADY.EXCHANGE_LIFETIME), (NON, STEADY.NON_LIFETIME)):
            machine = Machine()
            machine.answer(machine.asked(type, Code.POST, 7))
            machine.advance(lifetime - 0.1)
            self.assertIsNone(machine.receive(type, Code.POST, 7))
            machine.advance(0.1 + lifetime / 1000)
            self.assertIsInstance(machine.receive(type, Code.POST, 7), IncomingRequest)

    def test_largeSafeReply(self) -> None:
        """A large reply to a safe request is not kept: the request is passed on again (4.5)."""
        machine = Machine()
        for _ in range(2):
            machine.answer(machine.asked(CON, Code.GET, 7), payload=b"x" * 1000)
        machine.answer(machine.asked(CON, Code.POST, 8), payload=b"x" * 1000)
        self.assertIsNone(machine.receive(CON, Code.POST, 8))
        self.assertEqual(len(machine.sent()), 4)

    def test_resetRequest(self) -> None:
        """A request that was rejected is rejected again."""
        machine = Machine()
        machine.resetRequest(machine.asked(CON, Code.GET, 7))
        machine.receive(CON, Code.GET, 7)
        self.assertEqual(machine.sent(), [Datagram(RST, Code.EMPTY, 7)] * 2)
        machine.advance(1)
        self.assertEqual(machine.sent(), [])

    def test_resetAnswered(self) -> None:
        """What was acknowledged or answered cannot be rejected any more."""
        machine = Machine()
        request = machine.asked(CON, Code.GET, 7)
        machine.answer(request)
        machine.resetRequest(request)
        self.assertEqual([each.type for each in machine.sent()], [ACK])


class ConfirmableResponseTests(SynchronousTestCase):
    """Confirmable responses to requests of ours, and their copies (RFC 7252 4.2, 4.5)."""

    def test_acknowledgedAgain(self) -> None:
        """A copy of a response that was acknowledged is acknowledged again, and reported once."""
        machine = Machine()
        exchange = machine.request(get(), PEER, machine.now)
        machine.sent()
        self.assertIsInstance(machine.receive(CON, Code.CONTENT, 99, exchange.token), ResponseReceived)
        self.assertIsNone(machine.receive(CON, Code.CONTENT, 99, exchange.token))
        self.assertEqual(machine.sent(), [Datagram(ACK, Code.EMPTY, 99)] * 2)

    def test_rejectedAgain(self) -> None:
        """A copy of a response that was rejected is rejected again."""
        machine = Machine()
        for _ in range(2):
            self.assertIsNone(machine.receive(CON, Code.CONTENT, 99, b"who?"))
        self.assertEqual(machine.sent(), [Datagram(RST, Code.EMPTY, 99)] * 2)

    def test_unawaitedNon(self) -> None:
        """A non-confirmable response that nobody waits for is ignored; it may be a late copy."""
        machine = Machine()
        self.assertIsNone(machine.receive(NON, Code.CONTENT, 99, b"who?"))
        self.assertEqual(machine.sent(), [])
        self.assertEqual(machine.counters.ignored, 1)

    def test_unawaitedNotification(self) -> None:
        """A notification is rejected even so, else it would never end (RFC 7641 3.6)."""
        machine = Machine()
        machine.receive(NON, Code.CONTENT, 99, b"who?", Options(observe=3))
        self.assertEqual(machine.sent(), [Datagram(RST, Code.EMPTY, 99)])
