"""
Tests for L{txcoap.sansio.peers}.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.sansio.deadlines import NEVER
from txcoap.sansio.peers import GRAIN, MessageIDs, Peer, Peers

LIFETIME = DEFAULT_PARAMETERS.EXCHANGE_LIFETIME


class Waiting:
    """Its turn never comes."""

    def ask(self, request: str, peer: Peer, active: int, now: float) -> bool:
        """Wait on."""
        return False


class MessageIDsTests(SynchronousTestCase):
    """No message ID comes again within EXCHANGE_LIFETIME (RFC 7252 4.4)."""

    def test_countUp(self) -> None:
        """IDs count up from the start, and go on at 0 after the last."""
        ids = MessageIDs(65534, LIFETIME)
        self.assertEqual([ids.take(0.0) for _ in range(4)], [65534, 65535, 0, 1])

    def test_allInUse(self) -> None:
        """At once, nearly all 65,536 can be had, each once; then none until the first is free."""
        for start in (0, 1, 1023, 1024, 40000, 65535):
            ids = MessageIDs(start, LIFETIME)
            taken = []
            while (number := ids.take(10.0)) is not None:
                taken.append(number)
            self.assertEqual(len(taken), len(set(taken)))
            self.assertTrue(len(taken) >= 65536 - 1024)
            self.assertEqual(ids.freeAt(), 10.0 + LIFETIME)
            self.assertIsNone(ids.take(10.0 + LIFETIME - 0.01))
            self.assertIsNotNone(ids.take(10.0 + LIFETIME))

    def test_neverAgainTooSoon(self) -> None:
        """At any speed and from any start, two uses of an ID are EXCHANGE_LIFETIME apart."""
        random = Random(3)
        for _ in range(3):
            ids = MessageIDs(random.getrandbits(16), LIFETIME)
            used: dict[int, float] = {}
            now = 0.0
            for _ in range(150_000):
                now += random.random() / 200
                number = ids.take(now)
                if number is None:
                    now = ids.freeAt()
                    number = ids.take(now)
                    assert number is not None
                self.assertTrue(now - used.get(number, -NEVER) >= LIFETIME)
                used[number] = now


class ProbingTests(SynchronousTestCase):
    """PROBING_RATE: what a peer that does not answer is sent (RFC 7252 4.7)."""

    parameters = DEFAULT_PARAMETERS.evolve(PROBING_ALLOWANCE=100, PROBING_RATE=2.0)

    def setUp(self) -> None:
        self.peer = Peer("a", MessageIDs(0, LIFETIME), 0.0, 100)

    def test_allowance(self) -> None:
        """At first a few bytes may be sent at any rate."""
        self.assertTrue(self.peer.mayProbe(60, self.parameters, 0.0))
        self.assertTrue(self.peer.mayProbe(40, self.parameters, 0.0))
        self.assertFalse(self.peer.mayProbe(1, self.parameters, 0.0))

    def test_rate(self) -> None:
        """After that, so many bytes a second."""
        self.peer.mayProbe(100, self.parameters, 0.0)
        self.assertFalse(self.peer.mayProbe(21, self.parameters, 10.0))
        self.assertTrue(self.peer.mayProbe(20, self.parameters, 10.0))
        self.assertFalse(self.peer.mayProbe(1, self.parameters, 10.4))

    def test_notHoarded(self) -> None:
        """Silence earns no more than the allowance."""
        self.assertFalse(self.peer.mayProbe(101, self.parameters, 1e6))
        self.assertTrue(self.peer.mayProbe(100, self.parameters, 1e6))

    def test_heard(self) -> None:
        """An answer clears the account."""
        self.peer.mayProbe(100, self.parameters, 0.0)
        self.peer.heard(self.parameters)
        self.assertTrue(self.peer.mayProbe(100, self.parameters, 0.0))

    def test_off(self) -> None:
        """None is no limit."""
        self.assertTrue(self.peer.mayProbe(10**9, self.parameters.evolve(PROBING_RATE=None), 0.0))


class PeersTests(SynchronousTestCase):
    """The peers by address."""

    def peers(self, maximum: int = 3) -> Peers:
        """No peers so far."""
        return Peers(DEFAULT_PARAMETERS, maximum, Random(4))

    def used(self, peers: Peers, address: str, now: float) -> Peer:
        """A peer that there is a place for."""
        peer = peers.use(address, now)
        assert peer is not None
        return peer

    def test_same(self) -> None:
        """An address is one peer as long as it is remembered."""
        peers = self.peers()
        first = peers.use("a", 0.0)
        self.assertIs(peers.use("a", 100.0), first)
        self.assertIs(peers.get("a"), first)
        self.assertIsNone(peers.get("b"))
        self.assertEqual(len(peers), 1)

    def test_forgotten(self) -> None:
        """A peer is remembered for EXCHANGE_LIFETIME after its last use, and for L{GRAIN} more."""
        peers = self.peers()
        self.assertEqual(peers.next(), NEVER)
        peers.use("a", 0.0)
        peers.use("b", 1.0)
        peers.use("a", 2.0)
        self.assertEqual(peers.next(), 1.0 + GRAIN + LIFETIME)
        peers.expire(1.0 + LIFETIME)
        self.assertIsNotNone(peers.get("b"))
        peers.expire(1.0 + GRAIN + LIFETIME)
        self.assertIsNone(peers.get("b"))
        self.assertIsNotNone(peers.get("a"))
        peers.expire(2.0 + GRAIN + LIFETIME)
        self.assertEqual(len(peers), 0)

    def test_busyNotForgotten(self) -> None:
        """A peer with something under way or waiting is not forgotten."""
        peers = self.peers()
        active, waiting = self.used(peers, "a", 0.0), self.used(peers, "b", 0.0)
        active.active = 1
        waiting.askLater("request", Waiting())
        peers.expire(LIFETIME)
        self.assertEqual(len(peers), 2)
        active.active = 0
        peers.expire(2 * LIFETIME)
        self.assertEqual(len(peers), 1)

    def test_full(self) -> None:
        """When there is no place, the one that was idle longest goes."""
        peers = self.peers()
        for now, address in enumerate("abcad"):
            peers.use(address, float(now))
        self.assertIsNone(peers.get("b"))
        self.assertEqual(len(peers), 3)

    def test_fullOfBusy(self) -> None:
        """With all of them busy, there is no place for one more."""
        peers = self.peers()
        for address in "abc":
            self.used(peers, address, 0.0).active = 1
        self.assertIsNone(peers.use("d", 0.0))
        self.assertEqual(len(peers), 3)
        self.assertIsNotNone(peers.use("a", 0.0))

    def test_startsDiffer(self) -> None:
        """Message IDs start at random, for each peer anew."""
        peers = self.peers(20)
        starts = {self.used(peers, str(each), 0.0).messageIDs.take(0.0) for each in range(20)}
        self.assertTrue(len(starts) > 15)
