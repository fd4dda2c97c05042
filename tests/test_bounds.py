"""
Tests for L{txcoap.limits}: each limit filled, and that everything is empty in the end.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.errors import RequestQueueFull, TooManyPeers
from txcoap.limits import DEFAULT_LIMITS
from txcoap.options import Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Type
from txcoap.sansio.duplicates import ENTRY_SIZE
from txcoap.sansio.events import IncomingRequest, RequestForgotten

from .machines import PEER, STEADY, Machine, get

LIFETIME = STEADY.EXCHANGE_LIFETIME


def limited(**limits: int) -> Machine:
    """A machine with some limits, and nothing else in the way; one host may fill them alone."""
    parameters = STEADY.evolve(PROBING_RATE=None)
    return Machine(parameters, DEFAULT_LIMITS.evolve(**limits), hostOf=lambda peer: None)


class RememberedBytesTests(SynchronousTestCase):
    """C{Limits.rememberedBytes}: the memory of messages received."""

    def setUp(self) -> None:
        self.machine = limited(rememberedBytes=4 * (ENTRY_SIZE + 4))

    def served(self, code: Code, messageID: int, type: Type = CON) -> bool:
        """After a second send a request; answer it if it is passed on; whether it was."""
        self.machine.advance(1)
        report = self.machine.receive(type, code, messageID)
        if isinstance(report, IncomingRequest):
            self.machine.answer(report)
            return True
        return False

    def test_safeFirst(self) -> None:
        """When it is full the oldest replies to safe requests make room; those may run again."""
        for messageID, code in enumerate((Code.POST, Code.GET, Code.PUT, Code.GET, Code.POST)):
            self.assertTrue(self.served(code, messageID))
        self.assertTrue(self.served(Code.GET, 1))
        self.assertFalse(self.served(Code.POST, 0))
        self.assertFalse(self.served(Code.PUT, 2))

    def test_thenIdempotent(self) -> None:
        """Then those to idempotent ones; never the others."""
        for messageID, code in enumerate((Code.PUT, Code.POST, Code.DELETE, Code.POST, Code.POST)):
            self.assertTrue(self.served(code, messageID))
        for messageID in (1, 3, 4):
            self.assertFalse(self.served(Code.POST, messageID))
        self.assertTrue(self.served(Code.PUT, 0))

    def test_fullOfOthers(self) -> None:
        """With only others left a confirmable request is answered 5.03 with Max-Age, until one goes."""
        for messageID in range(4):
            self.assertTrue(self.served(Code.POST, messageID))
        self.machine.sent()
        self.assertFalse(self.served(Code.GET, 9))
        refusal = self.machine.sentOne()
        self.assertEqual((refusal.type, refusal.code), (ACK, Code.SERVICE_UNAVAILABLE))
        self.assertEqual((refusal.messageID, refusal.options.maxAge), (9, 5))
        self.assertFalse(self.served(Code.POST, 0))
        self.assertEqual(self.machine.counters.refused, 1)
        self.machine.advance(LIFETIME * 1.001)
        self.assertTrue(self.served(Code.POST, 9))

    def test_fullNonConfirmable(self) -> None:
        """A non-confirmable request is then met with silence."""
        for messageID in range(4):
            self.served(Code.POST, messageID)
        self.machine.sent()
        self.assertFalse(self.served(Code.GET, 9, NON))
        self.assertEqual(self.machine.sent(), [])

    def test_fullResponse(self) -> None:
        """A confirmable response finds no place either: it is not acknowledged, and comes again."""
        exchange = self.machine.request(get(), PEER, self.machine.now)
        for messageID in range(4):
            self.served(Code.POST, messageID)
        self.machine.sent()
        self.assertIsNone(self.machine.receive(CON, Code.CONTENT, 99, exchange.token))
        self.assertEqual(self.machine.sent(), [])

    def test_bounded(self) -> None:
        """However many come, the memory stays within the limit."""
        for messageID in range(5000):
            self.served((Code.GET, Code.PUT, Code.POST)[messageID % 3], messageID)
            self.assertTrue(self.machine.sizes()["rememberedBytes"] <= 4 * (ENTRY_SIZE + 4))


class PendingRequestsTests(SynchronousTestCase):
    """C{Limits.pendingRequests}: peers' requests that are not answered yet."""

    def test_unanswered(self) -> None:
        """One more than that is answered 5.03 with Max-Age, before the acknowledgements and after."""
        for wait in (0.0, 1.0):
            machine = limited(pendingRequests=3)
            requests = [machine.asked(CON, Code.GET, each) for each in range(3)]
            machine.advance(wait)
            machine.sent()
            self.assertIsNone(machine.receive(CON, Code.GET, 9))
            refusal = machine.sentOne()
            self.assertEqual((refusal.code, refusal.options.maxAge), (Code.SERVICE_UNAVAILABLE, 5))
            self.assertIsNone(machine.receive(NON, Code.GET, 10))
            self.assertEqual(machine.sent(), [])
            self.assertEqual(machine.sizes()["pendingRequests"], 3)
            machine.resetRequest(requests[0]) if not wait else machine.answer(requests[0], confirmable=False)
            machine.asked(CON, Code.GET, 11)

    def test_lateCopies(self) -> None:
        """What was refused is not run later either: a copy that was under way for long is refused alike."""
        machine = limited(pendingRequests=1)
        request = machine.asked(CON, Code.GET, 1)
        self.assertIsNone(machine.receive(CON, Code.POST, 2))
        self.assertIsNone(machine.receive(NON, Code.POST, 3))
        refusal = machine.sentOne()
        machine.answer(request)
        machine.sent()
        machine.advance(30)
        self.assertIsNone(machine.receive(CON, Code.POST, 2))
        self.assertEqual(machine.sentOne(), refusal)
        self.assertIsNone(machine.receive(NON, Code.POST, 3))
        self.assertEqual(machine.sent(), [])

    def test_unacknowledgedResponse(self) -> None:
        """A separate response that is not acknowledged yet counts as well."""
        machine = limited(pendingRequests=1)
        request = machine.asked(CON, Code.GET, 1)
        machine.advance(1)
        machine.answer(request)
        self.assertIsNone(machine.receive(CON, Code.GET, 2))
        machine.receive(ACK, Code.EMPTY, machine.sent()[1].messageID)
        self.assertEqual(machine.sizes()["pendingRequests"], 0)
        machine.asked(CON, Code.GET, 3)

    def test_givenUpResponse(self) -> None:
        """So does one that is rejected or given up, until then."""
        for reset in (True, False):
            machine = limited(pendingRequests=1)
            request = machine.asked(CON, Code.GET, 1)
            machine.advance(1)
            machine.answer(request)
            if reset:
                machine.receive(RST, Code.EMPTY, machine.sent()[1].messageID)
            else:
                machine.advance(62)
            machine.asked(CON, Code.GET, 3)

    def test_everyEnd(self) -> None:
        """However a request ends, it is counted no longer."""
        machine = limited()
        machine.answer(machine.asked(CON, Code.GET, 1))
        machine.answer(machine.asked(NON, Code.GET, 2))
        machine.answer(machine.asked(CON, Code.GET, 3, options=Options(noResponse=26)))
        machine.resetRequest(machine.asked(CON, Code.GET, 4))
        machine.receive(CON, Code.GET, 5, options=Options.fromPairs([(9999, b"")]))
        machine.receive(NON, Code.GET, 6, options=Options.fromPairs([(9999, b"")]))
        self.assertEqual(machine.sizes()["pendingRequests"], 0)
        machine.asked(CON, Code.GET, 7)
        machine.advance(LIFETIME + 1)
        self.assertEqual(machine.sizes()["pendingRequests"], 0)

    def test_oneDeadline(self) -> None:
        """However many come and go, one deadline watches over them."""
        machine = limited()
        for each in range(1000):
            request = machine.asked(CON, Code.GET, each)
            machine.advance(0.1)
            machine.answer(request, confirmable=False)
        self.assertTrue(machine.sizes()["deadlines"] <= 3)

    def test_eachForgotten(self) -> None:
        """Each of them is forgotten at its time."""
        machine = limited()
        for each in range(50):
            machine.asked(CON, Code.GET, each)
            machine.advance(1)
        forgotten = machine.advance(LIFETIME - 20)
        self.assertEqual({type(each) for each in forgotten}, {RequestForgotten})
        self.assertEqual(len(forgotten), 30)
        self.assertEqual(len(machine.advance(20.1)), 20)


class UnansweredTests(SynchronousTestCase):
    """What waits for PIGGYBACK_DELAY."""

    def test_slowBeforeQuick(self) -> None:
        """Of the requests after one that takes its time none is kept that is answered."""
        machine = Machine(STEADY.evolve(PIGGYBACK_DELAY=60.0))
        slow = machine.asked(CON, Code.GET, 1)
        for each in range(5000):
            machine.answer(machine.asked(NON, Code.GET, each, b"t"), confirmable=False)
            machine.next()
        self.assertEqual(machine.sizes()["pendingRequests"], 1)
        machine.advance(59)
        machine.sent()
        machine.advance(2)
        self.assertEqual([each.messageID for each in machine.sent()], [slow.messageID])


class PeersTests(SynchronousTestCase):
    """C{Limits.peers}: whom message IDs are remembered of."""

    def test_idleGo(self) -> None:
        """When they are full, the one that was idle longest goes."""
        machine = limited(peers=3)
        for each in range(20):
            machine.request(get(), str(each), machine.now, confirmable=False)
            self.assertTrue(machine.sizes()["peers"] <= 3)

    def test_allBusy(self) -> None:
        """With none idle a request of ours fails at once, and changes nothing."""
        machine = limited(peers=3)
        exchanges = [machine.request(get(), each, machine.now) for each in "abc"]
        with self.assertRaises(TooManyPeers):
            machine.request(get(), "d", machine.now)
        with self.assertRaises(TooManyPeers):
            machine.ping("d", machine.now)
        self.assertEqual(machine.sizes()["openRequests"], 3)
        machine.cancel(exchanges[0], machine.now)
        machine.request(get(), "d", machine.now)

    def test_response(self) -> None:
        """A response that would need an ID is then not sent; a piggybacked one needs none."""
        machine = limited(peers=1)
        machine.request(get(), "busy", machine.now)
        machine.sent()
        self.assertFalse(machine.answer(machine.asked(NON, Code.GET, 1)))
        self.assertTrue(machine.answer(machine.asked(CON, Code.GET, 2)))
        self.assertEqual([each.type for each in machine.sent()], [ACK])
        self.assertEqual(machine.counters.unsent, 1)

    def test_answering(self) -> None:
        """
        A peer to whom a separate response or a ping is under way is not forgotten for another: its message
        IDs would begin anew, perhaps at the one in use (RFC 7252 4.4), and what is under way would never end.
        """
        machine = limited(peers=1)
        request = machine.asked(CON, Code.GET, 1)
        machine.acknowledge(request, machine.now)
        self.assertTrue(machine.answer(request))
        with self.assertRaises(TooManyPeers):
            machine.ping("other", machine.now)
        *_, response = machine.sent()
        machine.receive(ACK, Code.EMPTY, response.messageID)
        self.assertEqual(machine.sizes()["pendingRequests"], 0)
        ping = machine.ping("other", machine.now)
        with self.assertRaises(TooManyPeers):
            machine.request(get(), PEER, machine.now)
        machine.cancelPing(ping, machine.now)
        machine.request(get(), PEER, machine.now)

    def test_requestsNotRemembered(self) -> None:
        """Peers whose requests are answered in the acknowledgement take no place at all."""
        machine = limited(peers=1)
        for each in range(100):
            machine.answer(machine.asked(CON, Code.GET, 1, peer=str(each)))
        self.assertEqual(machine.sizes()["peers"], 0)


class QueuedRequestsTests(SynchronousTestCase):
    """C{Limits.queuedRequests}: our requests that wait for their turn."""

    def test_full(self) -> None:
        """One more than that fails at once, and changes nothing; with another peer it does not."""
        machine = limited(queuedRequests=3)
        exchanges = [machine.request(get(), PEER, machine.now) for _ in range(4)]
        with self.assertRaises(RequestQueueFull):
            machine.request(get(), PEER, machine.now)
        self.assertEqual(machine.sizes()["openRequests"], 4)
        machine.request(get(), "other", machine.now)
        machine.cancel(exchanges[2], machine.now)
        machine.request(get(), PEER, machine.now)


class EmptyTests(SynchronousTestCase):
    """EXCHANGE_LIFETIME, plus a thousandth, after the last message nothing is left of anything."""

    def assertEmpty(self, machine: Machine) -> None:
        """Nothing is left in any table, and nothing is due."""
        machine.advance(LIFETIME * 1.001 + 0.001)
        self.assertEqual(set(machine.sizes().values()), {0}, machine.sizes())
        self.assertEqual(machine.next(), float("inf"))

    def test_fresh(self) -> None:
        """Before anything."""
        self.assertEqual(set(Machine().sizes().values()), {0})

    def test_served(self) -> None:
        """After requests served in each way."""
        machine = Machine()
        machine.answer(machine.asked(CON, Code.POST, 1))
        machine.answer(machine.asked(NON, Code.POST, 2))
        machine.answer(machine.asked(CON, Code.GET, 3), payload=b"x" * 2000)
        machine.resetRequest(machine.asked(CON, Code.POST, 4))
        late = machine.asked(CON, Code.POST, 5)
        machine.advance(1)
        machine.answer(late)
        machine.receive(ACK, Code.EMPTY, machine.sent()[-1].messageID)
        self.assertEmpty(machine)

    def test_responseGivenUp(self) -> None:
        """After a separate response that nobody acknowledged."""
        machine = Machine()
        late = machine.asked(CON, Code.POST, 5)
        machine.advance(1)
        machine.answer(late)
        machine.advance(62)
        self.assertEmpty(machine)

    def test_neverAnswered(self) -> None:
        """After a request that was never answered, counted from its acknowledgement."""
        machine = Machine()
        machine.asked(CON, Code.POST, 5)
        machine.asked(NON, Code.POST, 6)
        machine.advance(0.05)
        self.assertEmpty(machine)

    def test_asked(self) -> None:
        """After requests of ours that ended in each way."""
        machine = Machine(STEADY.evolve(NSTART=10))
        for _ in range(4):
            machine.request(get(), PEER, machine.now)
        machine.ping(PEER, machine.now)
        cancelled = machine.request(get(), PEER, machine.now, confirmable=False)
        first, second, third, *_ = machine.sent()
        machine.cancel(cancelled, machine.now)
        machine.receive(ACK, Code.CONTENT, first.messageID, first.token)
        machine.receive(CON, Code.CONTENT, 99, second.token)
        machine.receive(RST, Code.EMPTY, third.messageID)
        machine.receive(CON, Code.CONTENT, 98, b"who?")
        machine.receive(NON, Code.CONTENT, 97, b"who?")
        machine.advance(62)
        self.assertEmpty(machine)

    def test_leastLifetime(self) -> None:
        """With the shortest lifetimes too."""
        machine = Machine(STEADY.evolve(ACK_TIMEOUT=0.001, MAX_RETRANSMIT=0, MAX_LATENCY=0.001))
        machine.request(get(), PEER, machine.now)
        machine.answer(machine.asked(CON, Code.POST, 1))
        machine.asked(CON, Code.POST, 2)
        machine.advance(3)
        self.assertEqual(set(machine.sizes().values()), {0})

    def test_malformed(self) -> None:
        """What is no message leaves nothing."""
        machine = Machine()
        machine.arrive(b"\x49\x01\x00\x07" + bytes(9))
        machine.arrive(b"")
        self.assertEqual(set(machine.sizes().values()), {0})
