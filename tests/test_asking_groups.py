"""
Tests for L{txcoap.sansio.groups} and for what L{txcoap.sansio.messaging} does with datagrams that were
sent to a group: the machine's side of multicast (RFC 7252 8).
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import DrawFn, binary, composite, integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.errors import MessageTooLarge, RequestQueueFull, TokenInUse, TooManyPeers, Unreachable
from txcoap.limits import DEFAULT_LIMITS
from txcoap.message import Request
from txcoap.options import NO_OPTIONS, Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, encode
from txcoap.sansio.events import (
    GroupInquiry,
    GroupOver,
    GroupRequest,
    GroupResponse,
    IncomingRequest,
    RequestFailed,
)

from .machines import LOCAL, PEER, STEADY, Machine, get

GROUP = ("224.0.1.187", 5683)
ONE = ("192.0.2.11", 5683)
OTHER = ("192.0.2.12", 5683)


@composite
def datagrams(draw: DrawFn, token: bytes = b"tk") -> bytes:
    """Messages of all types and codes, and what is nearly one."""
    kind = draw(sampled_from([CON, NON, ACK, RST]))
    code = draw(sampled_from([0, 1, 2, 5, 0x45, 0x84, 0xA0, 0x20, 0xE0]))
    head = bytes([0x40 | kind << 4 | len(token), code]) + draw(integers(0, 0xFFFF)).to_bytes(2, "big")
    return head + token + draw(binary(max_size=12))


class AskingTests(SynchronousTestCase):
    """A request of ours to a group, and its responses."""

    def setUp(self) -> None:
        self.machine = Machine()
        self.exchange = self.ask()
        self.asked = self.machine.sentOne()

    def ask(self, seconds: float = 20.0, token: bytes | None = None) -> GroupRequest:
        return self.machine.requestGroup(get(), GROUP, seconds, self.machine.now, token=token)

    def test_sentOnce(self) -> None:
        """It is not confirmable, and is not repeated (RFC 7252 8.1)."""
        self.assertEqual((self.asked.type, self.asked.code), (NON, Code.GET))
        self.machine.advance(19)
        self.assertEqual(self.machine.sent(), [])

    def test_messageID(self) -> None:
        """Its message ID is none that is under way to anybody: a Reset could be meant for either (8.1)."""
        machine = self.machine
        used = self.asked.messageID
        for number in range(1, 5):
            data = encode(CON, Code.GET, used + number & 0xFFFF)
            peer = machine._transmissions.use(("192.0.2.99", number), machine.now)
            assert peer is not None
            machine._transmissions.sendOnce(None, peer, None, used + number & 0xFFFF, data)
        machine.sent()
        self.ask()
        self.assertEqual(machine.sentOne().messageID, used + 5 & 0xFFFF)

    def test_noMessageID(self) -> None:
        """Where all message IDs to the group are taken, that is told, and nothing is sent (RFC 7252 4.4)."""
        machine = self.machine
        peer = machine._transmissions.use(GROUP, machine.now)
        assert peer is not None
        while peer.messageIDs.take(machine.now) is not None:
            pass
        error = self.assertRaises(RequestQueueFull, self.ask)
        self.assertIn("no message ID is free", str(error))
        self.assertEqual(machine.sent(), [])

    def test_many(self) -> None:
        """Whoever answers with its token is heard, whatever its message ID (8.2)."""
        for peer, messageID in ((ONE, 1), (OTHER, 1), (OTHER, 2)):
            event = self.machine.receive(NON, Code.CONTENT, messageID, self.asked.token, peer=peer)
            assert isinstance(event, GroupResponse), event
            self.assertIs(event.exchange, self.exchange)
            self.assertEqual(event.peer, peer)

    def test_duplicate(self) -> None:
        """A response that comes twice counts once."""
        for expected in (GroupResponse, type(None)):
            event = self.machine.receive(NON, Code.CONTENT, 1, self.asked.token, peer=ONE)
            self.assertIsInstance(event, expected)
        self.assertEqual(self.machine.counters.duplicates, 1)

    def test_confirmable(self) -> None:
        """A confirmable response is acknowledged, each copy of it."""
        for _ in range(2):
            self.machine.receive(CON, Code.CONTENT, 9, self.asked.token, peer=ONE)
        self.assertEqual(self.machine.sent(), [Datagram(ACK, Code.EMPTY, 9)] * 2)

    def test_over(self) -> None:
        """When its time is over that is told, once."""
        self.assertEqual(self.machine.advance(19.9), [])
        (event,) = self.machine.advance(0.2)
        assert isinstance(event, GroupOver)
        self.assertIs(event.exchange, self.exchange)
        self.assertEqual(self.machine.advance(1000), [])

    def test_late(self) -> None:
        """What comes late is neither reported nor rejected; a confirmable response is acknowledged."""
        self.machine.cancel(self.exchange, self.machine.now)
        for type in (NON, CON):
            options = Options(observe=1)
            self.assertIsNone(
                self.machine.receive(type, Code.CONTENT, 5, self.asked.token, options, peer=ONE)
            )
        self.assertEqual(self.machine.sent(), [Datagram(ACK, Code.EMPTY, 5)])

    def test_forgotten(self) -> None:
        """Nothing is left of it once no late response can come (RFC 7252 5.3.1)."""
        self.machine.advance(100)
        self.assertEqual(self.machine.sizes()["groupRequests"], 1)
        self.machine.advance(1000)
        sizes = self.machine.sizes()
        self.assertEqual(
            {sizes[name] for name in ("groupRequests", "transmissions", "peers", "deadlines")}, {0}
        )

    def test_tokens(self) -> None:
        """Its token is used for nothing else in the meantime."""
        token = self.asked.token
        self.assertRaises(TokenInUse, self.ask, token=token)
        self.assertRaises(TokenInUse, self.machine.request, get(), ONE, self.machine.now, token=token)
        self.machine.cancel(self.exchange, self.machine.now)
        self.assertRaises(TokenInUse, self.ask, token=token)

    def test_limit(self) -> None:
        """One who answers for a thousand fills no memory."""
        machine = self.machine = Machine(limits=DEFAULT_LIMITS.evolve(groupResponses=2))
        self.ask(token=b"t")
        events = [machine.receive(NON, Code.CONTENT, number, b"t") for number in range(4)]
        self.assertEqual([type(each) for each in events], [GroupResponse] * 2 + [type(None)] * 2)
        self.assertEqual(machine.counters.groupResponsesIgnored, 2)

    def test_notWaiting(self) -> None:
        """Neither NSTART nor PROBING_RATE keeps a request to a group back."""
        for _ in range(30):
            self.machine.requestGroup(Request(Code.PUT, bytes(1000)), GROUP, 1.0, self.machine.now)
        self.assertEqual(len(self.machine.sent()), 30)

    def test_unreachable(self) -> None:
        """If it cannot be sent, it fails."""
        event = self.machine.receiveUnreachable(self.machine.raw[0], GROUP, 101, self.machine.now)
        assert isinstance(event, RequestFailed)
        self.assertIsInstance(event.error, Unreachable)
        self.assertEqual(self.machine.advance(100), [])

    def test_criticalOption(self) -> None:
        """A response that cannot be understood is not one; others may follow (5.4.1)."""
        options = Options.fromPairs([(9999, b"x")])
        self.assertIsNone(self.machine.receive(NON, Code.CONTENT, 1, self.asked.token, options, peer=ONE))
        self.assertIsInstance(
            self.machine.receive(NON, Code.CONTENT, 2, self.asked.token, peer=OTHER), GroupResponse
        )

    def test_otherToken(self) -> None:
        """What has another token is unasked for, as ever."""
        self.assertIsNone(self.machine.receive(CON, Code.CONTENT, 1, b"other", peer=ONE))
        self.assertEqual(self.machine.sent()[-1], Datagram(RST, Code.EMPTY, 1))

    def test_limits(self) -> None:
        """What cannot be sent fails at once, and changes nothing."""
        large = Request(Code.PUT, bytes(66000))
        self.assertRaises(MessageTooLarge, self.machine.requestGroup, large, GROUP, 1.0, self.machine.now)
        busy = Machine(limits=DEFAULT_LIMITS.evolve(peers=1))
        busy.request(get(), PEER, busy.now)
        self.assertRaises(TooManyPeers, busy.requestGroup, get(), GROUP, 1.0, busy.now)
        self.assertEqual(busy.sizes()["groupRequests"], 0)


class AskedTests(SynchronousTestCase):
    """A request that came by multicast."""

    def setUp(self) -> None:
        self.machine = Machine(STEADY)

    def arrive(self, data: bytes) -> IncomingRequest | None:
        report = self.machine.receiveGroupDatagram(data, PEER, LOCAL, self.machine.now)
        self.machine.advance(0)
        return report

    def get(self, messageID: int = 1, options: Options = NO_OPTIONS) -> IncomingRequest | None:
        return self.arrive(encode(NON, Code.GET, messageID, b"t", options))

    def test_leisure(self) -> None:
        """The answer comes within DEFAULT_LEISURE, not at once, and is not confirmable (8.2)."""
        times = []
        for number in range(50):
            machine = self.machine = Machine(STEADY, seed=number)
            request = self.get()
            assert isinstance(request, GroupInquiry)
            self.assertTrue(machine.answer(request, Code.CONTENT, payload=b"on"))
            self.assertFalse(machine.answer(request, Code.CONTENT, payload=b"again"))
            self.assertEqual(machine.sizes()["pendingRequests"], 1)
            machine.advance(STEADY.DEFAULT_LEISURE)
            ((time, datagram, _),) = machine.log
            self.assertEqual((datagram.type, datagram.payload), (NON, b"on"))
            times.append(time - 1000.0)
            self.assertEqual(machine.sizes()["pendingRequests"], 0)
        self.assertLess(min(times), 0.5)
        self.assertGreater(max(times), STEADY.DEFAULT_LEISURE - 0.5)

    def test_lateAnswer(self) -> None:
        """One that is ready after the leisure is sent at once."""
        request = self.get()
        assert request is not None
        self.machine.advance(6)
        self.machine.answer(request, Code.CONTENT, payload=b"on")
        self.assertEqual(self.machine.sentOne().payload, b"on")

    def test_silent(self) -> None:
        """
        Nothing but a non-confirmable request is heeded, and nothing is said to the rest: no Reset, no
        acknowledgement, no 4.02 (8.1).
        """
        for data in (
            encode(CON, Code.GET, 1, b"t"),
            encode(CON, Code.EMPTY, 2),
            encode(NON, Code.CONTENT, 3, b"t"),
            encode(CON, Code.CONTENT, 4, b"t"),
            encode(NON, Code.GET, 5, b"t", Options.fromPairs([(9999, b"x")])),
            encode(CON, Code.GET, 6, b"t")[:3],
            encode(CON, Code.GET, 6, b"t") + b"\xff",
            b"",
        ):
            self.assertIsNone(self.arrive(data), data)
        self.machine.advance(300)
        self.assertEqual(self.machine.log, [])

    def test_duplicate(self) -> None:
        """One that came by two interfaces is one."""
        self.assertIsNotNone(self.get())
        self.assertIsNone(self.get())
        self.assertIsNotNone(self.get(2))

    def test_bounded(self) -> None:
        """Those that wait for their leisure count among what is to be answered; one more is ignored."""
        limits = DEFAULT_LIMITS.evolve(pendingRequests=2)
        machine = self.machine = Machine(limits=limits, hostOf=lambda peer: None)
        for number in range(2):
            request = self.get(number)
            assert request is not None
            machine.answer(request, Code.CONTENT)
        self.assertIsNone(self.get(3))
        self.assertEqual((machine.counters.refused, machine.log), (1, []))
        machine.advance(6)
        self.assertIsNotNone(self.get(4))

    def test_noResponse(self) -> None:
        """No-Response keeps an answer back, as for others (RFC 7967)."""
        request = self.get(options=Options(noResponse=2))
        assert request is not None
        self.machine.answer(request, Code.CONTENT)
        self.machine.advance(10)
        self.assertEqual(self.machine.log, [])


class AnythingTests(SynchronousTestCase):
    """Whatever is sent to a group, or in answer to a request to one."""

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(data=datagrams())
    def test_heard(self, data: bytes) -> None:
        """Nothing is said to what comes by multicast before there is an answer to it (8.1)."""
        machine = Machine()
        report = machine.receiveGroupDatagram(data, PEER, LOCAL, machine.now)
        machine.advance(1000)
        self.assertEqual(machine.log, [])
        if report is not None:
            self.assertEqual((data[0] >> 4 & 3, data[1] >> 5), (NON, 0))
        self.assertEqual(machine.sizes()["pendingRequests"], 0)

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(answers=lists(tuples(datagrams(b"t"), sampled_from([ONE, OTHER, GROUP])), max_size=8))
    def test_answered(self, answers: list[tuple[bytes, tuple[str, int]]]) -> None:
        """Whatever is answered, nothing stays, and only what is confirmable is answered in turn."""
        machine = Machine()
        machine.requestGroup(get(), GROUP, 5.0, machine.now, token=b"t")
        machine.sent()
        for data, peer in answers:
            machine.arrive(data, peer)
            machine.advance(1)
        confirmable = sum(data[0] >> 4 & 3 == CON for data, _ in answers)
        unasked = sum(data[0] >> 4 & 3 == NON for data, _ in answers)
        self.assertLessEqual(len(machine.sent()), confirmable + unasked)
        machine.advance(2000)
        sizes = machine.sizes()
        self.assertEqual((sizes["groupRequests"], sizes["transmissions"], sizes["deadlines"]), (0, 0, 0))
