"""
Tests for L{txcoap.sansio.notifying}: what observers are sent, and when.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.machines import PEER, STEADY, Machine, get
from txcoap.codes import Code
from txcoap.errors import NoAcknowledgement, ResetReceived, Unreachable
from txcoap.limits import DEFAULT_LIMITS, Limits
from txcoap.options import NO_OPTIONS, Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram
from txcoap.sansio.events import RelationEnded
from txcoap.sansio.observations import BURST, BURST_INTERVAL, Relation, sequenceAt

TOKEN = b"watch"
HOUR = 3600.0


class Bench(Machine):
    """A server with observers."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(STEADY, limits, hostOf=lambda peer: None)
        self.messageID = 0

    def observe(
        self, token: bytes = TOKEN, confirmable: bool = True, confirmEvery: int = 10, peer: Any = PEER
    ) -> Relation | None:
        """A peer asks to observe, and is answered."""
        self.messageID += 1
        request = self.asked(
            CON, Code.GET, self.messageID & 0xFFFF, token, Options(observe=0, uriPath=("x",)), peer=peer
        )
        relation = self.notifier.register(request, confirmable, confirmEvery, self.now)
        self.answer(request)
        self.sent()
        return relation

    def observer(self, *args: Any, **named: Any) -> Relation:
        """One that is taken."""
        relation = self.observe(*args, **named)
        assert relation is not None
        return relation

    def notify(self, relation: Relation, payload: bytes, code: Code = Code.CONTENT) -> None:
        """Tell an observer; an error is the last that it hears."""
        isLast = not code.isSuccess
        self.notifier.notify([relation], code, NO_OPTIONS, payload, self.now, isLast)
        self.notifier.pump(self.now)

    def told(self) -> list[bytes]:
        """The payloads that were sent since this was last asked."""
        return [datagram.payload for datagram in self.sent()]

    def confirm(self, datagram: Datagram, peer: Any = PEER) -> Any:
        """The observer acknowledges."""
        return self.receive(ACK, Code.EMPTY, datagram.messageID, peer=peer)

    def reject(self, datagram: Datagram) -> Any:
        """The observer rejects."""
        return self.receive(RST, Code.EMPTY, datagram.messageID)


class ConfirmableTests(SynchronousTestCase):
    """Confirmable notifications (RFC 7641 4.2, 4.5)."""

    def setUp(self) -> None:
        """One observer."""
        self.bench = Bench()
        self.relation = self.bench.observer()

    def test_notification(self) -> None:
        """It has the token of the request, Observe, and a message ID of our own (RFC 7641 4.2)."""
        self.bench.notify(self.relation, b"1")
        sent = self.bench.sentOne()
        self.assertEqual((CON, Code.CONTENT, TOKEN, b"1"), (sent.type, sent.code, sent.token, sent.payload))
        self.assertEqual(self.relation.sequence, sent.options.observe)

    def test_oneInFlight(self) -> None:
        """While one is not acknowledged no other is sent; then the newest goes, the others never."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        first = bench.sentOne()
        for payload in (b"2", b"3", b"4"):
            bench.notify(self.relation, payload)
        self.assertEqual([], bench.sent())
        bench.confirm(first)
        self.assertEqual([b"4"], bench.told())

    def test_acknowledgedByResponse(self) -> None:
        """An acknowledgement is one, whatever else it says (RFC 7252 5.2.2)."""
        self.bench.notify(self.relation, b"1")
        self.bench.receive(ACK, Code.CONTENT, self.bench.sentOne().messageID, TOKEN, payload=b"1")
        self.bench.advance(HOUR)
        self.assertEqual([], self.bench.sent())
        self.bench.notify(self.relation, b"2")
        self.assertEqual([b"2"], self.bench.told())

    def test_numbers(self) -> None:
        """Each has a greater number than the one before, even at the same moment (RFC 7641 4.4)."""
        numbers = [self.relation.sequence]
        for payload in (b"1", b"2", b"3"):
            self.bench.notify(self.relation, payload)
            sent = self.bench.sentOne()
            numbers.append(sent.options.observe or 0)
            self.bench.confirm(sent)
        first = numbers[0]
        self.assertEqual([first, first + 1, first + 2, first + 3], numbers)

    def test_numbersAfterSilence(self) -> None:
        """However long there was no news, the number is the clock's, as it would be after a restart."""
        for silence in (300.0, 2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR):
            self.bench.advance(silence)
            self.bench.notify(self.relation, b"%d" % silence)
            sent = self.bench.sentOne()
            self.assertEqual(sequenceAt(self.bench.now, None), sent.options.observe)
            self.bench.confirm(sent)

    def test_repeated(self) -> None:
        """Without anything newer the same message is repeated, with the usual back-off."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        begin = bench.now
        bench.advance(100.0)
        sent = bench.sent()
        self.assertEqual([0.0, 2.0, 6.0, 14.0, 30.0], [when - begin for when, _, _ in bench.log[1:]])
        self.assertEqual({sent[0].messageID}, {each.messageID for each in sent})

    def test_renewed(self) -> None:
        """
        A repetition carries the newest state under a new message ID and number; it keeps the count of
        attempts and the back-off (RFC 7641 4.5.2).
        """
        bench = self.bench
        bench.notify(self.relation, b"1")
        begin = bench.now
        for payload in (b"2", b"3"):
            bench.notify(self.relation, payload)
        bench.advance(7.0)
        bench.notify(self.relation, b"4")
        ended = bench.advance(100.0)
        sent = bench.sent()
        self.assertEqual([0.0, 2.0, 6.0, 14.0, 30.0], [when - begin for when, _, _ in bench.log[1:]])
        self.assertEqual([b"1", b"3", b"3", b"4", b"4"], [each.payload for each in sent])
        ids = [each.messageID for each in sent]
        self.assertEqual(3, len(set(ids)))
        self.assertEqual((ids[1], ids[3]), (ids[2], ids[4]))
        numbers = [each.options.observe or 0 for each in sent]
        self.assertTrue(numbers[0] < numbers[1] == numbers[2] < numbers[3] == numbers[4], numbers)
        self.assertEqual([RelationEnded], [type(event) for event in ended])

    def test_oldAcknowledgement(self) -> None:
        """An acknowledgement of the message that was replaced says nothing of the newer one."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        first = bench.sentOne()
        bench.notify(self.relation, b"2")
        bench.advance(2.0)
        second = bench.sentOne()
        bench.confirm(first)
        bench.advance(4.0)
        self.assertEqual(second.messageID, bench.sentOne().messageID)
        bench.confirm(second)
        bench.advance(100.0)
        self.assertEqual([], bench.sent())
        self.assertEqual(1, len(bench.notifier))

    def test_acknowledgedAfterRenewal(self) -> None:
        """After the acknowledgement the next one begins with all attempts, and the first time-out."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        bench.advance(3.0)
        bench.confirm(bench.sent()[-1])
        bench.notify(self.relation, b"2")
        begin = bench.now
        bench.advance(7.0)
        self.assertEqual([0.0, 2.0, 6.0], [when - begin for when, _, _ in bench.log[-3:]])

    def test_givenUp(self) -> None:
        """An observer that acknowledges nothing is one no more (RFC 7641 4.5)."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        (event,) = bench.advance(62.0)
        assert isinstance(event, RelationEnded)
        self.assertIs(self.relation, event.relation)
        self.assertIsInstance(event.error, NoAcknowledgement)
        self.assertEqual(0, len(bench.notifier))
        bench.sent()
        bench.notify(self.relation, b"2")
        self.assertEqual([], bench.sent())

    def test_reset(self) -> None:
        """A Reset ends the relation, whatever waits (RFC 7641 3.6)."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        first = bench.sentOne()
        bench.notify(self.relation, b"2")
        event = bench.reject(first)
        assert isinstance(event, RelationEnded)
        self.assertIsInstance(event.error, ResetReceived)
        bench.advance(100.0)
        self.assertEqual([], bench.sent())
        self.assertEqual(0, bench.sizes()["transmissions"])

    def test_unreachable(self) -> None:
        """Word from the network that nobody is there ends it."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        bench.sent()
        event = bench.receiveUnreachable(bench.raw[-1], PEER, 111, bench.now)
        assert isinstance(event, RelationEnded)
        self.assertIsInstance(event.error, Unreachable)
        self.assertEqual(0, len(bench.notifier))

    def test_last(self) -> None:
        """The last one goes without Observe; its acknowledgement ends the relation (RFC 7641 4.2)."""
        bench = self.bench
        bench.notify(self.relation, b"gone", Code.NOT_FOUND)
        last = bench.sentOne()
        self.assertEqual((CON, Code.NOT_FOUND, None), (last.type, last.code, last.options.observe))
        bench.notify(self.relation, b"more")
        self.assertIsNone(bench.confirm(last))
        self.assertEqual([], bench.sent())
        self.assertEqual(0, len(bench.notifier))

    def test_lastWaits(self) -> None:
        """The last one waits for its turn like any other, and takes the place of a state that waits."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        first = bench.sentOne()
        bench.notify(self.relation, b"2")
        bench.notify(self.relation, b"gone", Code.NOT_FOUND)
        bench.confirm(first)
        self.assertEqual([b"gone"], bench.told())

    def test_lastRenews(self) -> None:
        """The last one is what a repetition carries."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        bench.sent()
        bench.notify(self.relation, b"gone", Code.NOT_FOUND)
        bench.advance(2.0)
        last = bench.sentOne()
        self.assertEqual((b"gone", None), (last.payload, last.options.observe))
        bench.confirm(last)
        self.assertEqual(0, len(bench.notifier))

    def test_ended(self) -> None:
        """Nothing more is sent to whom it was ended for, nor is anything left."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        bench.notify(self.relation, b"2")
        bench.sent()
        for _ in range(2):
            bench.notifier.end(self.relation, bench.now)
        bench.advance(100.0)
        self.assertEqual([], bench.sent())
        self.assertEqual(0, bench.sizes()["transmissions"])


class NonConfirmableTests(SynchronousTestCase):
    """Non-confirmable notifications (RFC 7641 4.5, 4.5.1)."""

    def setUp(self) -> None:
        """One observer, all of whose notifications but each hundredth are non-confirmable."""
        self.bench = Bench()
        self.relation = self.bench.observer(confirmable=False, confirmEvery=100)

    def test_once(self) -> None:
        """It is sent once."""
        self.bench.notify(self.relation, b"1")
        self.bench.advance(100.0)
        self.assertEqual([(NON, b"1")], [(each.type, each.payload) for each in self.bench.sent()])

    def test_everyThreeSeconds(self) -> None:
        """While the round trip is not known one goes every 3 seconds, the newest (RFC 7641 4.5.1)."""
        bench = self.bench
        begin = bench.now
        for n in range(10):
            bench.notify(self.relation, b"%d" % n)
            bench.advance(1.0)
        bench.advance(10.0)
        told = [(when - begin, each.payload) for when, each, _ in bench.log[1:]]
        self.assertEqual([(0.0, b"0"), (3.0, b"2"), (6.0, b"5"), (9.0, b"8"), (12.0, b"9")], told)

    def test_roundTrip(self) -> None:
        """Once the round trip is known one goes in each (RFC 7641 4.5.1)."""
        bench = self.bench
        self.relation.unconfirmed = 99
        bench.notify(self.relation, b"0")
        confirmable = bench.sentOne()
        self.assertEqual(CON, confirmable.type)
        bench.advance(0.5)
        bench.confirm(confirmable)
        begin = bench.now
        for n in range(1, 10):
            bench.notify(self.relation, b"%d" % n)
            bench.advance(0.125)
        told = [(when - begin, each.payload) for when, each, _ in bench.log[2:]]
        self.assertEqual([(0.0, b"1"), (0.5, b"4"), (1.0, b"8")], told)

    def test_repeatedIsNoMeasure(self) -> None:
        """The acknowledgement of a message that was repeated does not tell the round trip."""
        bench = self.bench
        self.relation.unconfirmed = 99
        bench.notify(self.relation, b"0")
        bench.advance(2.5)
        bench.confirm(bench.sent()[-1])
        self.assertIsNone(self.relation.roundTrip)

    def test_confirmEvery(self) -> None:
        """One in so many is confirmable; until it is acknowledged no other goes."""
        bench = Bench()
        relation = bench.observer(confirmable=False, confirmEvery=3)
        types = []
        for n in range(7):
            bench.notify(relation, b"%d" % n)
            (sent,) = bench.sent()
            types.append(sent.type)
            if sent.type == CON:
                bench.notify(relation, b"waits")
                bench.advance(1.0)
                self.assertEqual([], bench.sent())
                bench.confirm(sent)
                self.assertEqual([b"waits"], bench.told())
                types.append(NON)
            bench.advance(3.0)
        self.assertEqual([NON, NON, CON, NON, NON, CON, NON, NON, CON, NON], types)

    def test_24Hours(self) -> None:
        """At least one in 24 hours is confirmable (RFC 7641 4.5)."""
        bench = self.bench
        types = []
        for n in range(30):
            bench.notify(self.relation, b"%d" % n)
            (sent,) = bench.sent()
            types.append(sent.type)
            if sent.type == CON:
                bench.confirm(sent)
            bench.advance(HOUR)
        self.assertEqual([24], [n for n, each in enumerate(types) if each == CON])

    def test_reset(self) -> None:
        """A Reset of one ends the relation, long after it was sent too (RFC 7641 3.6)."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        first = bench.sentOne()
        bench.advance(50.0)
        event = bench.reject(first)
        assert isinstance(event, RelationEnded)
        self.assertIsInstance(event.error, ResetReceived)
        self.assertEqual((0, 0), (len(bench.notifier), bench.sizes()["transmissions"]))

    def test_resetWhileOneWaits(self) -> None:
        """What waits for its turn is then not sent."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        first = bench.sentOne()
        bench.notify(self.relation, b"2")
        bench.reject(first)
        bench.advance(10.0)
        self.assertEqual([], bench.sent())

    def test_acknowledged(self) -> None:
        """An acknowledgement of what asks for none is ignored."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        self.assertIsNone(bench.confirm(bench.sentOne()))
        self.assertEqual(1, len(bench.notifier))

    def test_last(self) -> None:
        """The last one waits its 3 seconds, and is confirmable."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        bench.notify(self.relation, b"gone", Code.NOT_FOUND)
        self.assertEqual([b"1"], bench.told())
        bench.advance(3.0)
        last = bench.sentOne()
        self.assertEqual((CON, b"gone", None), (last.type, last.payload, last.options.observe))
        bench.confirm(last)
        self.assertEqual(0, len(bench.notifier))

    def test_lastAtOnce(self) -> None:
        """Where nothing went before, the last is sent at once; it is confirmable too."""
        bench = self.bench
        bench.notify(self.relation, b"gone", Code.NOT_FOUND)
        last = bench.sentOne()
        self.assertEqual((CON, b"gone"), (last.type, last.payload))
        bench.confirm(last)
        self.assertEqual(0, len(bench.notifier))

    def test_endedWhileOneWaits(self) -> None:
        """Ended while one waits for its 3 seconds, it is not sent."""
        bench = self.bench
        bench.notify(self.relation, b"1")
        bench.notify(self.relation, b"2")
        bench.notifier.end(self.relation, bench.now)
        bench.advance(10.0)
        self.assertEqual([b"1"], bench.told())
        self.assertEqual(0, bench.sizes()["transmissions"])


class ProbingTests(SynchronousTestCase):
    """PROBING_RATE: what an observer is sent of whom nothing is heard (RFC 7252 4.7)."""

    def test_silent(self) -> None:
        """
        Notifications that are not confirmable go until PROBING_ALLOWANCE is used up. Then one is confirmable,
        whatever C{confirmEvery} says; who is gone is sent no more, who acknowledges goes on as before.
        """
        for answers in (True, False):
            bench = Bench()
            relation = bench.observer(confirmable=False, confirmEvery=10**6)
            sent: list[Datagram] = []
            while not sent or sent[-1].type == NON:
                bench.advance(3)
                bench.notify(relation, bytes(1000))
                sent += bench.sent()
            self.assertEqual((len(sent), sent[-1].type), (9, CON))
            if answers:
                bench.confirm(sent[-1])
                bench.advance(3)
                bench.notify(relation, b"more")
                self.assertEqual(bench.sentOne().type, NON)
            else:
                bench.advance(100)
                self.assertTrue(relation.hasEnded)


class RegistrationTests(SynchronousTestCase):
    """Who observes (RFC 7641 4.1)."""

    def test_again(self) -> None:
        """The same peer with the same token observes once; the new relation takes the old one's place."""
        bench = Bench()
        old, new = bench.observer(), bench.observer()
        self.assertEqual(1, len(bench.notifier))
        self.assertEqual((True, False), (old.hasEnded, new.hasEnded))
        bench.notify(old, b"old")
        bench.notify(new, b"new")
        self.assertEqual([b"new"], bench.told())

    def test_againWhileOneIsInFlight(self) -> None:
        """What was in flight for the old relation is not repeated."""
        bench = Bench()
        old = bench.observer()
        bench.notify(old, b"1")
        bench.sent()
        bench.observer()
        bench.advance(100.0)
        self.assertEqual([], bench.sent())
        self.assertEqual(1, len(bench.notifier))

    def test_againIsNewer(self) -> None:
        """The number goes on from where it was, however far that is ahead of the clock (RFC 7641 4.4)."""
        bench = Bench()
        old = bench.observer()
        for n in range(5):
            bench.notify(old, b"%d" % n)
            bench.confirm(bench.sentOne())
        self.assertEqual(old.sequence + 1, bench.observer().sequence)

    def test_tokensAndPeers(self) -> None:
        """Another token, or another peer with the same token, is another observer."""
        bench = Bench()
        other = ("192.0.2.7", 5683)
        relations = [bench.observer(), bench.observer(b"other"), bench.observer(peer=other)]
        self.assertEqual(3, len(bench.notifier))
        self.assertIs(relations[1], bench.notifier.find(PEER, b"other"))
        self.assertIs(relations[2], bench.notifier.find(other, TOKEN))
        self.assertIsNone(bench.notifier.find(other, b"other"))

    def test_limit(self) -> None:
        """Beyond the limit none is taken; one that observes already may ask again."""
        bench = Bench(DEFAULT_LIMITS.evolve(observers=2))
        self.assertIsNotNone(bench.observe(b"1"))
        two = bench.observer(b"2")
        self.assertIsNone(bench.observe(b"3"))
        self.assertIsNotNone(bench.observe(b"1"))
        bench.notifier.end(two, bench.now)
        self.assertIsNotNone(bench.observe(b"3"))
        self.assertEqual(2, bench.sizes()["observers"])


class ManyTests(SynchronousTestCase):
    """Many are told of one change."""

    def setUp(self) -> None:
        """Observers for three bursts and a bit."""
        self.bench = Bench()
        self.peers = [("192.0.2.9", port) for port in range(1, 3 * BURST + 11)]
        self.relations = [self.bench.observer(peer=peer) for peer in self.peers]

    def test_silent(self) -> None:
        """Without an acknowledgement a burst goes in each interval, until everyone was told once."""
        bench = self.bench
        begin = bench.now
        for relation in self.relations:
            bench.notify(relation, b"1")
        bench.advance(1.0)
        told = bench.log[-len(self.peers) :]
        self.assertEqual(self.peers, [peer for _, _, peer in told])
        times = [round((when - begin) / BURST_INTERVAL) for when, _, _ in told]
        self.assertEqual([BURST, BURST, BURST, 10], [times.count(n) for n in range(4)])

    def test_acknowledged(self) -> None:
        """Each acknowledgement lets one more go at once: nobody waits for the interval."""
        bench = self.bench
        for relation in self.relations:
            bench.notify(relation, b"1")
        bench.sent()
        seen = begin = len(bench.log) - BURST
        while seen < len(bench.log):
            _, datagram, peer = bench.log[seen]
            seen += 1
            bench.confirm(datagram, peer)
            bench.sent()
        self.assertEqual(self.peers, [peer for _, _, peer in bench.log[begin:]])

    def test_newest(self) -> None:
        """Who waits for a turn while the state changes again is told the newest alone."""
        bench = self.bench
        for payload in (b"1", b"2"):
            for relation in self.relations:
                bench.notify(relation, payload)
        bench.advance(1.0)
        told = [datagram.payload for _, datagram, _ in bench.log[-len(self.peers) :]]
        self.assertEqual([b"1"] * BURST + [b"2"] * (len(self.peers) - BURST), told)

    def test_whoLeaves(self) -> None:
        """Who leaves while waiting for a turn is not told."""
        bench = self.bench
        for relation in self.relations:
            bench.notify(relation, b"1")
        for relation in self.relations[BURST:]:
            bench.notifier.end(relation, bench.now)
        bench.advance(1.0)
        self.assertEqual(BURST, len(bench.told()))


class ShortageTests(SynchronousTestCase):
    """What cannot be sent now is sent later."""

    def test_noMessageID(self) -> None:
        """
        Where no message ID is free when a notification is repeated, it is repeated as it was (RFC 7252 4.4);
        the newest state goes after it.
        """
        bench = Bench()
        relation = bench.observer()
        bench.notify(relation, b"1")
        first = bench.sentOne()
        bench.notify(relation, b"2")
        peer = bench._transmissions.use(PEER, bench.now)
        assert peer is not None
        while peer.messageIDs.take(bench.now) is not None:
            pass
        bench.advance(STEADY.ACK_TIMEOUT)
        self.assertEqual([first.messageID], [each.messageID for each in bench.sent()])
        bench.confirm(first)
        bench.advance(STEADY.EXCHANGE_LIFETIME)
        self.assertIn(b"2", bench.told())

    def test_noPlaceForThePeer(self) -> None:
        """The newest state goes once the peer has a place again."""
        bench = Bench(DEFAULT_LIMITS.evolve(peers=1))
        relation = bench.observer()
        other = ("192.0.2.7", 5683)
        bench.request(get(), other, bench.now)
        bench.sent()
        bench.notify(relation, b"1")
        self.assertEqual([], bench.sent())
        self.assertEqual(1, bench.counters.unsent)
        bench.notify(relation, b"2")
        bench.advance(200.0)
        payloads = bench.told()
        self.assertIn(b"2", payloads)
        self.assertNotIn(b"1", payloads)


class ClientTests(SynchronousTestCase):
    """
    A client that observes much (RFC 7641 4.5.1).
    """

    def test_oneClient(self) -> None:
        """
        At most NSTART notifications to one client are under way, over all that it observes.
        """
        bench = Bench()
        relations = [bench.observer(b"%d" % n) for n in range(5)]
        for relation in relations:
            bench.notify(relation, b"1")
        told = []
        while True:
            sent = bench.sent()
            if not sent:
                break
            self.assertEqual(1, len(sent))
            told.append(sent[0].token)
            bench.confirm(sent[0])
        self.assertEqual([b"%d" % n for n in range(5)], told)

    def test_silentClient(self) -> None:
        """
        When a client does not answer one of them, the relations whose notifications waited behind it end too.
        """
        bench = Bench()
        relations = [bench.observer(b"%d" % n) for n in range(5)]
        for relation in relations:
            bench.notify(relation, b"1")
        ended: list[Any] = []
        for _ in range(100):
            ended += bench.advance(1)
        self.assertEqual({relation.token for relation in relations}, {each.relation.token for each in ended})
        self.assertEqual({b"0"}, {each.token for each in bench.sent()})
