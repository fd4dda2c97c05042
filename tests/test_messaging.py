"""
Tests for L{txcoap.sansio.messaging}: what a message's type and code make of it, acknowledgements,
and separate responses. Copies are in test_repetition, retransmission and the order of requests in
test_transmission, limits in test_bounds.
"""

from __future__ import annotations

from errno import ECONNREFUSED

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.errors import MessageTooLarge, NoAcknowledgement, ResetReceived, Unreachable
from txcoap.options import NO_OPTIONS, Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, Type, encode
from txcoap.sansio.events import (
    IncomingRequest,
    PingAnswered,
    PingFailed,
    Reception,
    ResponseFailed,
)

from .machines import LOCAL, PEER, STEADY, Machine

# What a message is met with that nobody waits for (the table in messaging's head): the report, and
# the type of the answer.
NOTHING, RESET, REQUEST = (None, None), (None, RST), (IncomingRequest, None)
KINDS = [Code.EMPTY, Code.GET, Code.CONTENT, Code.fromByte(0x20), Code.PING]
TABLE: list[tuple[Type, list[tuple[type | None, Type | None]]]] = [
    # EMPTY, REQUEST, RESPONSE, RESERVED: classes 1 and 7 (signals are for streams, RFC 8323 5)
    (CON, [RESET, REQUEST, RESET, RESET, RESET]),
    (NON, [NOTHING, REQUEST, NOTHING, NOTHING, NOTHING]),
    (ACK, [NOTHING, NOTHING, NOTHING, NOTHING, NOTHING]),
    (RST, [NOTHING, NOTHING, NOTHING, NOTHING, NOTHING]),
]


class TypeTests(SynchronousTestCase):
    """Type and kind of code decide (RFC 7252 4.2, 4.3, table 1)."""

    def test_table(self) -> None:
        """Each type with each kind of code, to a machine that waits for nothing."""
        for type, row in TABLE:
            for code, (report, reply) in zip(KINDS, row, strict=True):
                machine = Machine()
                found = machine.receive(type, code, 7)
                self.assertEqual(None if found is None else found.__class__, report, (type, code))
                sent = machine.sent()
                expected = [] if reply is None else [Datagram(reply, Code.EMPTY, 7)]
                self.assertEqual(sent, expected, (type, code))

    def test_reserved(self) -> None:
        """Codes of the classes 1, 6 and 7 are reserved, whatever the detail (12.1)."""
        machine = Machine()
        for byte in [*range(0x20, 0x40), *range(0xC0, 0x100)]:
            machine.receive(CON, byte, byte)
            self.assertEqual(machine.sent(), [Datagram(RST, Code.EMPTY, byte)])
            machine.receive(NON, byte, byte)
            self.assertEqual(machine.sent(), [])

    def test_everyMethod(self) -> None:
        """Methods that no registry knows are requests too; 4.05 is for those above to say (5.8)."""
        machine = Machine()
        for byte in range(1, 32):
            self.assertEqual(machine.asked(CON, byte, byte).code, byte)

    def test_request(self) -> None:
        """What is passed on of a request is all that its sender said."""
        machine = Machine()
        options = Options(uriPath=("a",))
        request = machine.asked(CON, Code.PUT, 7, b"tok", options, b"on")
        self.assertEqual(
            (request.peer, request.local, request.confirmable, request.messageID, request.token),
            (PEER, LOCAL, True, 7, b"tok"),
        )
        self.assertEqual((request.code, request.options, request.payload), (Code.PUT, options, b"on"))
        self.assertFalse(machine.asked(NON, Code.PUT, 8).confirmable)


class MalformedTests(SynchronousTestCase):
    """Message format errors (RFC 7252 4.2, 4.3)."""

    def met(self, text: str) -> list[Datagram]:
        """What a machine sends on some bytes that mean nothing."""
        machine = Machine()
        self.assertIsNone(machine.arrive(bytes.fromhex(text)))
        self.assertEqual(machine.counters.formatErrors, 1)
        return machine.sent()

    def test_confirmable(self) -> None:
        """In a confirmable message they are answered with a Reset."""
        for text in ("4901 0007" + "00" * 9, "4001 0007 ff", "4001 0007 f0", "4000 0007 61", "4801 0007"):
            self.assertEqual(self.met(text), [Datagram(RST, Code.EMPTY, 7)])

    def test_others(self) -> None:
        """In any other they are ignored."""
        for first in ("5", "6", "7"):
            for rest in ("901 0007" + "00" * 9, "001 0007 ff", "001 0007 f0", "000 0007 61", "801 0007"):
                self.assertEqual(self.met(first + rest), [])

    def test_version(self) -> None:
        """Messages of an unknown version are ignored, confirmable or not (3)."""
        for text in ("0001 0007", "8001 0007", "c001 0007"):
            self.assertEqual(self.met(text), [])

    def test_short(self) -> None:
        """What is shorter than a header is ignored."""
        for text in ("", "40", "4001", "4001 00"):
            self.assertEqual(self.met(text), [])


class PiggybackTests(SynchronousTestCase):
    """A response in time goes in the acknowledgement (RFC 7252 5.2.1)."""

    def test_confirmable(self) -> None:
        """The acknowledgement of the request's ID carries response and token."""
        machine = Machine()
        request = machine.asked(CON, Code.GET, 7, b"tok")
        self.assertTrue(machine.answer(request, Code.CONTENT, b"on", options=Options(etag=b"x")))
        self.assertEqual(machine.sent(), [Datagram(ACK, Code.CONTENT, 7, b"tok", Options(etag=b"x"), b"on")])
        self.assertEqual(machine.advance(10), [])
        self.assertEqual(machine.sent(), [])

    def test_nonConfirmable(self) -> None:
        """A non-confirmable request is answered non-confirmable, with an ID of ours (5.2.3)."""
        machine = Machine()
        request = machine.asked(NON, Code.GET, 7, b"tok")
        machine.answer(request, Code.CONTENT, b"on")
        sent = machine.sentOne()
        self.assertEqual((sent.type, sent.token, sent.payload), (NON, b"tok", b"on"))
        machine.advance(300)
        self.assertEqual(machine.sent(), [])

    def test_nonConfirmableAnsweredConfirmable(self) -> None:
        """It may be answered in a confirmable message where that is asked for (5.2.3)."""
        machine = Machine()
        machine.answer(machine.asked(NON, Code.GET, 7, b"tok"), confirmable=True)
        self.assertEqual(machine.sentOne().type, CON)

    def test_once(self) -> None:
        """A request takes one answer."""
        for type in (CON, NON):
            machine = Machine()
            request = machine.asked(type, Code.GET, 7)
            self.assertTrue(machine.answer(request))
            self.assertFalse(machine.answer(request, Code.NOT_FOUND))
            self.assertEqual(len(machine.sent()), 1)
            self.assertIs(request.state, Reception.ANSWERED)

    def test_tooLarge(self) -> None:
        """What does not fit a datagram is refused; another answer may take its place."""
        for type in (CON, NON):
            machine = Machine()
            request = machine.asked(type, Code.GET, 7)
            with self.assertRaises(MessageTooLarge):
                machine.answer(request, payload=b"x" * 65536)
            self.assertEqual(machine.sent(), [])
            self.assertTrue(machine.answer(request, Code.INTERNAL_SERVER_ERROR))

    def test_fromTheAddressAsked(self) -> None:
        """A reply leaves from the address that was asked."""
        machine = Machine()
        request = machine.receiveDatagram(encode(CON, Code.GET, 7), PEER, "b", machine.now)
        assert isinstance(request, IncomingRequest)
        machine.respond(request, Code.CONTENT, NO_OPTIONS, b"", machine.now)
        self.assertEqual([(peer, local) for _, peer, local in machine.datagramsToSend()], [(PEER, "b")])


class SeparateTests(SynchronousTestCase):
    """A response that is not in time comes apart (RFC 7252 5.2.2)."""

    def acknowledged(self, machine: Machine) -> IncomingRequest:
        """A request whose acknowledgement was sent without the response."""
        request = machine.asked(CON, Code.POST, 7, b"tok")
        machine.advance(0.1)
        self.assertEqual(machine.sent(), [Datagram(ACK, Code.EMPTY, 7)])
        return request

    def test_emptyAcknowledgement(self) -> None:
        """After PIGGYBACK_DELAY an empty acknowledgement goes out, once."""
        machine = Machine()
        request = machine.asked(CON, Code.GET, 7, b"tok")
        self.assertEqual(machine.next(), machine.now + 0.05)
        machine.advance(0.049)
        self.assertEqual(machine.sent(), [])
        machine.advance(0.002)
        self.assertEqual(machine.sent(), [Datagram(ACK, Code.EMPTY, 7)])
        self.assertIs(request.state, Reception.ACKNOWLEDGED)
        machine.advance(200)
        self.assertEqual(machine.sent(), [])

    def test_settable(self) -> None:
        """The delay is a parameter."""
        machine = Machine(STEADY.evolve(PIGGYBACK_DELAY=1.0))
        machine.asked(CON, Code.GET, 7)
        machine.advance(0.99)
        self.assertEqual(machine.sent(), [])
        machine.advance(0.02)
        self.assertEqual(len(machine.sent()), 1)

    def test_atOnce(self) -> None:
        """A server that knows that it will take long can acknowledge at once, and only once."""
        machine = Machine()
        request = machine.asked(CON, Code.GET, 7)
        machine.acknowledge(request, machine.now)
        machine.acknowledge(request, machine.now)
        machine.advance(1)
        self.assertEqual(machine.sent(), [Datagram(ACK, Code.EMPTY, 7)])

    def test_nonNotAcknowledged(self) -> None:
        """A non-confirmable request is never acknowledged."""
        machine = Machine()
        request = machine.asked(NON, Code.GET, 7)
        machine.advance(1)
        self.assertEqual(machine.sent(), [])
        machine.answer(request)
        self.assertEqual(machine.sentOne().type, NON)

    def test_response(self) -> None:
        """The response is a confirmable message of its own, with the request's token."""
        machine = Machine()
        request = self.acknowledged(machine)
        self.assertTrue(machine.answer(request, Code.CHANGED, b"done"))
        sent = machine.sentOne()
        self.assertEqual((sent.type, sent.code, sent.token), (CON, Code.CHANGED, b"tok"))
        self.assertEqual(sent.payload, b"done")

    def test_responseAcknowledged(self) -> None:
        """It is repeated until it is acknowledged."""
        machine = Machine()
        machine.answer(self.acknowledged(machine))
        sent = machine.sentOne()
        machine.advance(7)
        self.assertEqual(machine.sent(), [sent, sent])
        self.assertIsNone(machine.receive(ACK, Code.EMPTY, sent.messageID))
        self.assertEqual(machine.advance(100), [])
        self.assertEqual(machine.sent(), [])

    def test_acknowledgedByResponse(self) -> None:
        """Whatever code, token and payload the acknowledgement has besides, it ends it (RFC 7252 5.2.2)."""
        for token in (b"tok", b"", b"other"):
            machine = Machine()
            machine.answer(self.acknowledged(machine))
            sent = machine.sentOne()
            self.assertIsNone(machine.receive(ACK, Code.CONTENT, sent.messageID, token, payload=b"more"))
            self.assertEqual(machine.advance(100), [])
            self.assertEqual(machine.sent(), [])

    def test_responseReset(self) -> None:
        """A Reset ends it: the peer does not know the request any more."""
        machine = Machine()
        request = self.acknowledged(machine)
        machine.answer(request)
        event = machine.receive(RST, Code.EMPTY, machine.sentOne().messageID)
        assert isinstance(event, ResponseFailed)
        self.assertIs(event.exchange, request)
        self.assertIsInstance(event.error, ResetReceived)

    def test_responseNeverAcknowledged(self) -> None:
        """It is given up as a request is, and that is told."""
        machine = Machine()
        request = self.acknowledged(machine)
        machine.answer(request)
        (event,) = machine.advance(62.1)
        assert isinstance(event, ResponseFailed)
        self.assertIs(event.exchange, request)
        self.assertIsInstance(event.error, NoAcknowledgement)

    def test_nonConfirmable(self) -> None:
        """It can be sent non-confirmable where that is asked for."""
        machine = Machine()
        machine.answer(self.acknowledged(machine), confirmable=False)
        self.assertEqual(machine.sentOne().type, NON)
        machine.advance(100)
        self.assertEqual(machine.sent(), [])

    def test_requestCopied(self) -> None:
        """A copy of the request gets the empty acknowledgement again, before and after the response."""
        machine = Machine()
        request = self.acknowledged(machine)
        self.assertIsNone(machine.receive(CON, Code.POST, 7, b"tok"))
        self.assertEqual(machine.sent(), [Datagram(ACK, Code.EMPTY, 7)])
        machine.answer(request)
        machine.sent()
        self.assertIsNone(machine.receive(CON, Code.POST, 7, b"tok"))
        self.assertEqual(machine.sent(), [Datagram(ACK, Code.EMPTY, 7)])


class PingTests(SynchronousTestCase):
    """CoAP pings (RFC 7252 4.3)."""

    def test_answered(self) -> None:
        """We answer a ping with a Reset, each copy of it."""
        machine = Machine()
        machine.receive(CON, Code.EMPTY, 7)
        machine.receive(CON, Code.EMPTY, 7)
        self.assertEqual(machine.sent(), [Datagram(RST, Code.EMPTY, 7)] * 2)

    def test_reset(self) -> None:
        """A Reset answers our ping."""
        machine = Machine()
        ping = machine.ping(PEER, machine.now)
        sent = machine.sentOne()
        self.assertEqual((sent.type, sent.code), (CON, Code.EMPTY))
        event = machine.receive(RST, Code.EMPTY, sent.messageID)
        assert isinstance(event, PingAnswered)
        self.assertIs(event.ping, ping)
        self.assertEqual(machine.advance(100), [])
        self.assertEqual(machine.sent(), [])

    def test_acknowledgement(self) -> None:
        """Some peers acknowledge it instead; they are there as well."""
        machine = Machine()
        machine.ping(PEER, machine.now)
        event = machine.receive(ACK, Code.EMPTY, machine.sentOne().messageID)
        self.assertIsInstance(event, PingAnswered)

    def test_unreachable(self) -> None:
        """It fails when the network returns it: nobody is there (RFC 7252 4.2)."""
        machine = Machine()
        ping = machine.ping(PEER, machine.now)
        ((data, _, _),) = machine.datagramsToSend()
        event = machine.receiveUnreachable(data, PEER, ECONNREFUSED, machine.now)
        assert isinstance(event, PingFailed)
        self.assertIs(event.ping, ping)
        self.assertIsInstance(event.error, Unreachable)

    def test_unanswered(self) -> None:
        """It is repeated and given up as any confirmable message."""
        machine = Machine()
        ping = machine.ping(PEER, machine.now)
        (event,) = machine.advance(100)
        assert isinstance(event, PingFailed)
        self.assertIs(event.ping, ping)
        self.assertIsInstance(event.error, NoAcknowledgement)
        self.assertEqual(machine.times(), [0, 2, 6, 14, 30])

    def test_timeout(self) -> None:
        """It can be given less time."""
        machine = Machine()
        machine.ping(PEER, machine.now, timeout=3.0)
        self.assertEqual(machine.advance(2.9), [])
        (event,) = machine.advance(0.2)
        self.assertIsInstance(event, PingFailed)
        machine.advance(60)
        self.assertEqual(machine.times(), [0, 2])

    def test_cancelled(self) -> None:
        """Cancelled, it is not sent again, and its answer means nothing."""
        machine = Machine()
        ping = machine.ping(PEER, machine.now, timeout=50.0)
        machine.cancelPing(ping, machine.now)
        self.assertEqual(machine.sizes()["transmissions"], 0)
        self.assertEqual(machine.advance(100), [])
        self.assertIsNone(machine.receive(RST, Code.EMPTY, machine.sentOne().messageID))
