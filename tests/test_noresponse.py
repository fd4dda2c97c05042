"""
Tests for L{txcoap.sansio.exchanges}: the option No-Response (RFC 7967), in both roles.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.options import Options
from txcoap.sansio.datagrams import ACK, CON, NON, Datagram
from txcoap.sansio.events import RequestFailed, ResponseReceived

from .machines import PEER, STEADY, Machine, get

LIFETIME = STEADY.EXCHANGE_LIFETIME


class NoResponseServedTests(SynchronousTestCase):
    """A peer that asks for silence (RFC 7967 2.1)."""

    # The option's value, and which of 2.05, 4.04 and 5.00 it keeps away.
    table = (
        (0, ""),
        (2, "2"),
        (8, "4"),
        (16, "5"),
        (24, "45"),
        (26, "245"),
        (127, "245"),
    )

    def test_classes(self) -> None:
        """Each bit keeps one class of response away."""
        for value, unwanted in self.table:
            for code in (Code.CONTENT, Code.NOT_FOUND, Code.INTERNAL_SERVER_ERROR):
                machine = Machine()
                options = Options(noResponse=value)
                request = machine.asked(NON, Code.PUT, 7, b"t", options)
                self.assertTrue(machine.answer(request, code))
                silent = str(code.codeClass) in unwanted
                self.assertEqual(len(machine.sent()), 0 if silent else 1, (value, code))

    def test_acknowledged(self) -> None:
        """A confirmable request is acknowledged all the same, each copy of it."""
        machine = Machine()
        request = machine.asked(CON, Code.PUT, 7, b"t", Options(noResponse=26))
        machine.answer(request, Code.CHANGED)
        machine.receive(CON, Code.PUT, 7, b"t", Options(noResponse=26))
        machine.advance(10)
        self.assertEqual(machine.sent(), [Datagram(ACK, Code.EMPTY, 7)] * 2)

    def test_late(self) -> None:
        """An answer that comes after the acknowledgement adds nothing."""
        machine = Machine()
        request = machine.asked(CON, Code.PUT, 7, b"t", Options(noResponse=26))
        machine.advance(1)
        self.assertTrue(machine.answer(request, Code.CHANGED))
        self.assertFalse(machine.answer(request, Code.CHANGED))
        machine.advance(10)
        self.assertEqual(machine.sent(), [Datagram(ACK, Code.EMPTY, 7)])
        self.assertEqual(machine.sizes()["pendingRequests"], 0)

    def test_badOption(self) -> None:
        """It also keeps a 4.02 away."""
        machine = Machine()
        options = Options(noResponse=8).adding((9999, b""))
        machine.receive(CON, Code.PUT, 7, b"t", options)
        self.assertEqual(machine.sent(), [Datagram(ACK, Code.EMPTY, 7)])


class NoResponseAskedTests(SynchronousTestCase):
    """Our requests that ask for silence (RFC 7967 2.1, 4.2)."""

    def test_confirmable(self) -> None:
        """A confirmable request that wants nothing is done with its acknowledgement."""
        machine = Machine()
        exchange = machine.request(get(noResponse=26), PEER, machine.now)
        report = machine.receive(ACK, Code.EMPTY, machine.sentOne().messageID)
        assert isinstance(report, ResponseReceived)
        self.assertIs(report.exchange, exchange)
        self.assertIsNone(report.datagram)

    def test_confirmableUnacknowledged(self) -> None:
        """If nothing acknowledges it, it has failed."""
        machine = Machine()
        machine.request(get(noResponse=26), PEER, machine.now)
        (event,) = machine.advance(100)
        self.assertIsInstance(event, RequestFailed)

    def test_settled(self) -> None:
        """A non-confirmable request that wants nothing is settled once it was sent."""
        machine = Machine()
        for value, confirmable, settled in (
            (26, False, True),
            (127, False, True),
            (2, False, False),
            (26, True, False),
        ):
            exchange = machine.request(get(noResponse=value), PEER, machine.now, confirmable=confirmable)
            self.assertEqual(machine.isSettled(exchange), settled)
            machine.cancel(exchange, machine.now)
        self.assertFalse(machine.isSettled(machine.request(get(), PEER, machine.now, confirmable=False)))

    def test_partly(self) -> None:
        """One that wants errors alone takes silence for success, in the end."""
        machine = Machine()
        machine.request(get(noResponse=2), PEER, machine.now, confirmable=False)
        (event,) = machine.advance(STEADY.MAX_TRANSMIT_WAIT)
        assert isinstance(event, ResponseReceived)
        self.assertIsNone(event.datagram)

    def test_partlyAcknowledged(self) -> None:
        """The same after an acknowledgement."""
        machine = Machine()
        machine.request(get(noResponse=2), PEER, machine.now)
        self.assertIsNone(machine.receive(ACK, Code.EMPTY, machine.sentOne().messageID))
        (event,) = machine.advance(LIFETIME)
        assert isinstance(event, ResponseReceived)
        self.assertIsNone(event.datagram)

    def test_error(self) -> None:
        """An error that comes is an answer."""
        machine = Machine()
        machine.request(get(noResponse=2), PEER, machine.now)
        sent = machine.sentOne()
        report = machine.receive(ACK, Code.NOT_FOUND, sent.messageID, sent.token)
        assert isinstance(report, ResponseReceived) and report.datagram is not None
        self.assertEqual(report.datagram.code, Code.NOT_FOUND)
