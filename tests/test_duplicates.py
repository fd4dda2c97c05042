"""
Tests for L{txcoap.sansio.duplicates}.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.sansio.counters import Counters
from txcoap.sansio.deadlines import Deadlines
from txcoap.sansio.duplicates import ENTRY_SIZE, RANKS, TRACE_SIZE, Duplicates, Rank

CON, NON = 0, 1


def memory(entries: int = 100, maximumSafeReply: int = 512) -> Duplicates:
    """A memory for so many messages without replies."""
    return Duplicates(247.0, 145.0, entries * ENTRY_SIZE, maximumSafeReply, Deadlines(), Counters())


def remember(duplicates: Duplicates, key: int, code: int, type: int, now: float) -> bool:
    """Remember a message of a host that may take what it likes; whether there was room."""
    return duplicates.add(key, code, type, now) is None


def everything(duplicates: Duplicates) -> dict[int, bytes]:
    """All that is remembered, by key."""
    return {key: reply for shard in duplicates.shards for key, reply in shard.items()}


class RankTests(SynchronousTestCase):
    """What does no harm twice (RFC 7252 5.1, RFC 8132 2.2, 3)."""

    def test_methods(self) -> None:
        """GET and FETCH are safe; PUT, DELETE and iPATCH idempotent; POST and PATCH are neither."""
        ranks = {
            Rank.SAFE: (Code.GET, Code.FETCH, Code.CONTENT, Code.NOT_FOUND),
            Rank.IDEMPOTENT: (Code.PUT, Code.DELETE, Code.IPATCH),
            Rank.OTHER: (Code.POST, Code.PATCH),
        }
        for rank, codes in ranks.items():
            for code in codes:
                self.assertIs(RANKS[code], rank)


class DuplicatesTests(SynchronousTestCase):
    """The memory of messages received."""

    def test_remembered(self) -> None:
        """A message is remembered without a reply, and then with one."""
        duplicates = memory()
        self.assertTrue(remember(duplicates, 1, Code.GET, CON, 0.0))
        self.assertEqual(everything(duplicates), {1: b""})
        duplicates.settle(1, Code.GET, b"reply")
        self.assertEqual(everything(duplicates), {1: b"reply"})
        self.assertEqual(duplicates.size, ENTRY_SIZE + 5)

    def test_replaced(self) -> None:
        """A later reply takes the place of the one before; the size follows."""
        duplicates = memory()
        duplicates.add(1, Code.GET, CON, 0.0)
        duplicates.settle(1, Code.GET, b"acknowledged")
        duplicates.settle(1, Code.GET, b"reply")
        self.assertEqual(duplicates.size, ENTRY_SIZE + 5)

    def test_settleForgotten(self) -> None:
        """The reply to a message that is no longer remembered is not kept."""
        duplicates = memory()
        duplicates.settle(1, Code.GET, b"reply")
        self.assertEqual((everything(duplicates), duplicates.size), ({}, 0))

    def test_largeSafeReply(self) -> None:
        """A large reply to a safe request is made again rather than kept (RFC 7252 4.5)."""
        duplicates = memory(maximumSafeReply=8)
        for key, code in ((1, Code.GET), (2, Code.PUT), (3, Code.POST)):
            remember(duplicates, key, code, CON, 0.0)
            duplicates.settle(key, code, b"123456789")
        self.assertEqual(everything(duplicates), {2: b"123456789", 3: b"123456789"})
        self.assertEqual(duplicates.size, 2 * (ENTRY_SIZE + 9) + TRACE_SIZE)

    def test_largeSafeReplyAgain(self) -> None:
        """However often such a request is repeated, what that takes is counted, and goes in time."""
        duplicates = memory(maximumSafeReply=8)
        for _ in range(1000):
            duplicates.add(1, Code.GET, CON, 0.0)
            duplicates.settle(1, Code.GET, b"123456789")
        self.assertTrue(duplicates.size <= 100 * ENTRY_SIZE)
        duplicates.add(1, Code.GET, CON, 0.0)
        duplicates.expire(248.0)
        self.assertEqual((duplicates.size, everything(duplicates)), (0, {}))

    def test_lifetimes(self) -> None:
        """Confirmable ones are kept for EXCHANGE_LIFETIME, others for NON_LIFETIME (4.8.2)."""
        duplicates = memory()
        duplicates.add(1, Code.POST, CON, 0.0)
        duplicates.add(2, Code.POST, NON, 0.0)
        duplicates.expire(144.9)
        self.assertEqual(set(everything(duplicates)), {1, 2})
        duplicates.expire(145.2)
        self.assertEqual(set(everything(duplicates)), {1})
        duplicates.expire(246.9)
        self.assertEqual(set(everything(duplicates)), {1})
        duplicates.expire(247.3)
        self.assertEqual((everything(duplicates), duplicates.size), ({}, 0))

    def test_next(self) -> None:
        """C{next} says when there is something to forget."""
        duplicates = memory()
        self.assertEqual(duplicates.next(), float("inf"))
        duplicates.add(1, Code.GET, CON, 0.0)
        self.assertTrue(247 <= duplicates.next() <= 247.25)
        duplicates.add(2, Code.GET, NON, 50.0)
        self.assertTrue(195 <= duplicates.next() <= 195.15)

    def test_safeFirst(self) -> None:
        """When it is full, replies to safe requests go first, then those to idempotent ones."""
        duplicates = memory(3)
        duplicates.add(1, Code.PUT, CON, 0.0)
        duplicates.add(2, Code.GET, CON, 1.0)
        duplicates.add(3, Code.POST, CON, 2.0)
        self.assertTrue(remember(duplicates, 4, Code.POST, CON, 3.0))
        self.assertEqual(set(everything(duplicates)), {1, 3, 4})
        self.assertTrue(remember(duplicates, 5, Code.GET, CON, 4.0))
        self.assertEqual(set(everything(duplicates)), {3, 4, 5})
        self.assertEqual(duplicates.counters.evicted, 2)

    def test_oldestFirst(self) -> None:
        """Among those of a rank the oldest goes."""
        duplicates = memory(3)
        for key in range(6):
            duplicates.add(key, Code.GET, CON, float(key))
        self.assertEqual(set(everything(duplicates)), {3, 4, 5})

    def test_fullOfOthers(self) -> None:
        """What is not idempotent is kept for its time, whatever comes; then nothing more is taken."""
        duplicates = memory(2)
        duplicates.add(1, Code.POST, CON, 0.0)
        duplicates.add(2, Code.PATCH, NON, 0.0)
        for code in (Code.GET, Code.PUT, Code.POST):
            self.assertFalse(remember(duplicates, 3, code, CON, 1.0))
        self.assertEqual((set(everything(duplicates)), duplicates.counters.evicted), ({1, 2}, 0))
        duplicates.expire(146.0)
        self.assertTrue(remember(duplicates, 3, Code.POST, CON, 146.0))

    def test_bounded(self) -> None:
        """Whatever comes, the size covers what is kept, and is within bounds but for one reply."""
        random = Random(2)
        duplicates = memory(50, maximumSafeReply=64)
        now = 0.0
        for key in range(5000):
            now += random.expovariate(5)
            duplicates.expire(now)
            code = random.choice((Code.GET, Code.PUT, Code.DELETE, Code.POST))
            if remember(duplicates, key, code, random.choice((CON, NON)), now):
                duplicates.settle(key, code, b"x" * random.randint(0, 100))
            total = sum(ENTRY_SIZE + len(reply) for reply in everything(duplicates).values())
            self.assertTrue(duplicates.size >= total)
            self.assertTrue(duplicates.size <= 50 * ENTRY_SIZE + 100)
        duplicates.expire(now + 248)
        self.assertEqual((duplicates.size, everything(duplicates)), (0, {}))
