"""
Tests for L{txcoap.sansio.shares}: whoever fills a table does not lock the others out.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap.block import Block
from txcoap.codes import Code
from txcoap.errors import TooManyRequests
from txcoap.limits import DEFAULT_LIMITS
from txcoap.options import NO_OPTIONS, Options
from txcoap.sansio.blocks import transferKey
from txcoap.sansio.datagrams import ACK, CON, NON
from txcoap.sansio.duplicates import ENTRY_SIZE, Accounts
from txcoap.sansio.events import IncomingRequest
from txcoap.sansio.shares import Shares, hostOf

from .machines import STEADY, Machine

GREEDY = "192.0.2.66"


def limited(**limits: int) -> Machine:
    """A machine with some limits."""
    return Machine(STEADY.evolve(PROBING_RATE=None), DEFAULT_LIMITS.evolve(**limits))


# Text has other hashes in each process: none of these hosts may have the greedy one's account by chance.
_accounts = Accounts(hostOf)
_MODEST = [
    host
    for host in map("198.51.100.{}".format, range(256))
    if _accounts[host, 5683] != _accounts[GREEDY, 5683]
]


def modest(number: int) -> tuple[str, int]:
    """A peer that asks for little, each on a host of its own."""
    return _MODEST[number], 5683


class HostTests(SynchronousTestCase):
    """What a host is."""

    def test_port(self) -> None:
        """All ports of an address are one host, also where the socket speaks IPv6."""
        hosts = {hostOf(peer) for peer in (("192.0.2.1", 1), ("192.0.2.1", 2), ("::ffff:192.0.2.1", 3, 0, 0))}
        self.assertEqual(len(hosts), 1)
        self.assertNotEqual(hostOf(("192.0.2.1", 1)), hostOf(("192.0.2.2", 1)))

    def test_network(self) -> None:
        """An IPv6 network of 64 bits is one host; but on a link every address is one."""
        self.assertEqual(hostOf(("2001:db8::1", 1, 0, 0)), hostOf(("2001:db8::ffff:2", 2, 0, 0)))
        self.assertNotEqual(hostOf(("2001:db8::1", 1, 0, 0)), hostOf(("2001:db8:0:1::1", 1, 0, 0)))
        self.assertNotEqual(hostOf(("fe80::1", 1, 0, 2)), hostOf(("fe80::2", 1, 0, 2)))

    def test_others(self) -> None:
        """Any other address is a host of its own."""
        self.assertEqual(hostOf(b"/run/x"), b"/run/x")
        self.assertEqual(hostOf(("no:address", 1)), "no:address")


class SharesTests(SynchronousTestCase):
    """The rule: at most as much as is left free."""

    @settings(deadline=None, max_examples=50, derandomize=True)
    @given(st.integers(1, 60), st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=120))
    def test_rule(self, maximum: int, wishes: list[tuple[int, int]]) -> None:
        """Who has something gets more only if as much is left free afterwards, but for one."""
        shares = Shares(maximum)
        held: dict[int, int] = {}
        for host, amount in wishes:
            used = sum(held.values())
            if used + amount <= maximum and shares.allows(host, used, amount):
                shares.take(host, amount)
                self.assertTrue(host not in held or held[host] + amount <= maximum - used)
                held[host] = held.get(host, 0) + amount
        for host, amount in held.items():
            shares.give(host, amount)
        self.assertEqual(len(shares), 0)

    def test_alone(self) -> None:
        """Alone a host gets the half; of a table for one, all."""
        for maximum, half in ((1, 1), (2, 1), (3, 2), (4, 2), (100, 50)):
            shares, used = Shares(maximum), 0
            while used < maximum and shares.allows("one", used):
                shares.take("one")
                used += 1
            self.assertEqual(used, half)
            self.assertTrue(used == maximum or shares.allows("other", used))

    def test_trusted(self) -> None:
        """A host that is None may have all."""
        shares = Shares(4)
        shares.take(None, 3)
        self.assertTrue(shares.allows(None, 3))


class RememberedBytesTests(SynchronousTestCase):
    """The memory of messages that must not run twice."""

    def test_greedy(self) -> None:
        """A host that fills it is answered 4.29 with Max-Age (RFC 8516), whatever its port; others go on."""
        machine = limited(rememberedBytes=20 * ENTRY_SIZE)
        served = 0
        for port in range(1, 100):
            report = machine.receive(CON, Code.POST, port, peer=(GREEDY, port))
            if isinstance(report, IncomingRequest):
                machine.answer(report)
                served += 1
        self.assertEqual(served, 10)
        refusal = machine.sent()[-1]
        self.assertEqual((refusal.type, refusal.code), (ACK, Code.TOO_MANY_REQUESTS))
        self.assertIsNotNone(refusal.options.maxAge)
        self.assertEqual(machine.counters.throttled, 89)
        for number in range(5):
            machine.answer(machine.asked(CON, Code.POST, 1, peer=modest(number)))
        machine.asked(CON, Code.GET, 1000, peer=(GREEDY, 1))

    def test_replies(self) -> None:
        """The replies count too, and all of it is given back in time."""
        machine = limited(rememberedBytes=20 * ENTRY_SIZE)
        machine.answer(machine.asked(CON, Code.POST, 1, peer=(GREEDY, 1)), payload=bytes(10 * ENTRY_SIZE))
        self.assertIsNone(machine.receive(CON, Code.POST, 2, peer=(GREEDY, 1)))
        machine.asked(CON, Code.POST, 2, peer=modest(1))
        machine.advance(STEADY.EXCHANGE_LIFETIME * 1.002)
        for number in range(10):
            machine.answer(machine.asked(CON, Code.POST, number, peer=(GREEDY, 1)))
        self.assertIsNone(machine.receive(CON, Code.POST, 11, peer=(GREEDY, 1)))

    def test_repeated(self) -> None:
        """What was served before is known as ever, by a greedy host too."""
        machine = limited(rememberedBytes=8 * ENTRY_SIZE)
        for messageID in range(20):
            report = machine.receive(CON, Code.POST, messageID, peer=(GREEDY, 1))
            if isinstance(report, IncomingRequest):
                machine.answer(report)
        machine.sent()
        self.assertIsNone(machine.receive(CON, Code.POST, 0, peer=(GREEDY, 1)))
        self.assertEqual(machine.sentOne().code, Code.CONTENT)


class PendingRequestsTests(SynchronousTestCase):
    """The requests that wait for their answers."""

    def fill(self, machine: Machine) -> list[IncomingRequest]:
        """One host asks as often as it may."""
        reports = [machine.receive(CON, Code.GET, each, peer=(GREEDY, each + 1)) for each in range(50)]
        return [each for each in reports if isinstance(each, IncomingRequest)]

    def test_greedy(self) -> None:
        """A host has half of them at most, and then 4.29; each of the others gets one."""
        machine = limited(pendingRequests=10)
        self.assertEqual(len(self.fill(machine)), 5)
        self.assertEqual(machine.sent()[-1].code, Code.TOO_MANY_REQUESTS)
        self.assertEqual(machine.counters.throttled, 45)
        for number in range(5):
            machine.asked(CON, Code.GET, 1, peer=modest(number))
        self.assertIsNone(machine.receive(CON, Code.GET, 1, peer=modest(9)))
        self.assertEqual(machine.sent()[-1].code, Code.SERVICE_UNAVAILABLE)

    def test_everyEnd(self) -> None:
        """However they end, their host may ask again: answered, silenced, rejected, forgotten."""
        machine = limited(pendingRequests=10)
        for _ in range(3):
            answered, silenced, apart, *rest = self.fill(machine)
            machine.answer(answered, confirmable=False)
            machine.silence(silenced)
            machine.answer(apart)
            machine.receive(ACK, Code.EMPTY, machine.sent()[-1].messageID, peer=apart.peer)
            self.assertEqual(machine.sizes()["pendingRequests"], len(rest))
            machine.advance(STEADY.EXCHANGE_LIFETIME * 1.002)
            self.assertEqual(machine.sizes()["pendingRequests"], 0)

    def test_separate(self) -> None:
        """A response that is not acknowledged yet is still on its host's account."""
        machine = limited(pendingRequests=4)
        for request in self.fill(machine):
            machine.answer(request)
        self.assertIsNone(machine.receive(CON, Code.GET, 99, peer=(GREEDY, 1)))
        machine.asked(CON, Code.GET, 99, peer=modest(1))

    def test_quick(self) -> None:
        """Requests that are answered at once are never too many."""
        machine = limited(pendingRequests=1)
        for each in range(100):
            machine.answer(machine.asked(NON, Code.GET, each, peer=(GREEDY, 1)))


class TransfersTests(SynchronousTestCase):
    """The bodies in blocks."""

    def put(self, machine: Machine, peer: Any, number: int) -> None:
        """A block of an upload comes."""
        key = transferKey(peer, Code.PUT, NO_OPTIONS)
        block = Block(number, True, 0)
        machine.transfers.receive(key, b"t", block, bytes(16), None, None, machine.now)

    def test_uploads(self) -> None:
        """A host that has its share of uploads is answered 4.29; others may send theirs."""
        machine = limited(uploads=4)
        for port in (1, 2):
            self.put(machine, (GREEDY, port), 0)
            self.put(machine, (GREEDY, port), 1)
        error = self.assertRaises(TooManyRequests, self.put, machine, (GREEDY, 3), 0)
        self.assertIn("maxAge", error.options)
        self.put(machine, modest(1), 0)
        self.put(machine, modest(2), 0)
        self.assertEqual(machine.sizes()["uploads"], 4)

    def test_youngUploads(self) -> None:
        """First blocks of one host make room for others of its own only."""
        machine = limited(uploads=4)
        self.put(machine, modest(1), 0)
        for port in range(1, 50):
            self.put(machine, (GREEDY, port), 0)
        self.put(machine, modest(1), 1)
        self.assertEqual(machine.sizes()["uploads"], 3)

    def test_uploadBytes(self) -> None:
        """So with the bytes of them; what is refused or taken is given back."""
        machine = limited(uploadBytes=64)
        self.put(machine, (GREEDY, 1), 0)
        self.put(machine, (GREEDY, 1), 1)
        self.assertRaises(TooManyRequests, self.put, machine, (GREEDY, 1), 2)
        self.assertEqual(machine.sizes()["uploadBytes"], 0)
        self.put(machine, (GREEDY, 1), 0)
        self.put(machine, (GREEDY, 1), 1)
        self.put(machine, modest(1), 0)

    def offer(self, machine: Machine, peer: Any, size: int = 100) -> None:
        """A response's body is kept."""
        key = transferKey(peer, Code.GET, NO_OPTIONS)
        machine.transfers.offer(key, b"t", Code.CONTENT, NO_OPTIONS, bytes(size), size, machine.now)

    def test_downloads(self) -> None:
        """A host that fetches much loses its own bodies, not those of others; in number and in bytes."""
        for machine in (limited(downloads=4), limited(downloadBytes=400)):
            self.offer(machine, modest(1))
            for port in range(1, 50):
                self.offer(machine, (GREEDY, port))
            key = transferKey(modest(1), Code.GET, NO_OPTIONS)
            self.assertIsNotNone(machine.transfers.find(key, b"t", machine.now))
            self.assertEqual(machine.sizes()["downloads"], 3)


class ObserversTests(SynchronousTestCase):
    """Who observes."""

    def test_greedy(self) -> None:
        """A host has half of the places at most; one that left makes room."""
        machine = limited(observers=6)

        def observe(peer: Any, token: bytes) -> Any:
            request = machine.asked(CON, Code.GET, token[0], token, Options(observe=0), peer=peer)
            machine.answer(request)
            return machine.notifier.register(request, True, 10, machine.now)

        relations = [observe((GREEDY, 1), bytes([number])) for number in range(6)]
        self.assertEqual([each is not None for each in relations], 3 * [True] + 3 * [False])
        self.assertEqual(machine.counters.observersRefused, 3)
        self.assertIsNotNone(observe(modest(1), b"1"))
        machine.notifier.end(relations[0], machine.now)
        self.assertIsNotNone(observe((GREEDY, 2), b"9"))
