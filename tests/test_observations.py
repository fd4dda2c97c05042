"""
Tests for L{txcoap.sansio.observations}: the rules of observing, for both roles.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from txcoap.sansio.observations import (
    BURST,
    BURST_INTERVAL,
    CONFIRM_INTERVAL,
    NON_INTERVAL,
    REORDERING_TIME,
    Relation,
    Sequence,
    Spread,
    isNewer,
    sequenceAt,
)

NUMBERS = 1 << 24
HALF = 1 << 23

numbers = some.integers(0, NUMBERS - 1)
bounded = settings(deadline=None, max_examples=200, derandomize=True)


def relation(confirmable: bool = True, confirmEvery: int = 10, now: float = 0.0) -> Relation:
    """Somebody who observes."""
    return Relation("peer", None, b"t", confirmable, confirmEvery, now)


class IsNewerTests(SynchronousTestCase):
    """L{isNewer} compares 24-bit numbers on a circle, for 128 seconds (RFC 7641 3.4)."""

    def test_greater(self) -> None:
        """A greater number is newer, a lesser one and the same one are not."""
        self.assertTrue(isNewer(2, 0.0, 1, 0.0))
        self.assertFalse(isNewer(1, 0.0, 2, 0.0))
        self.assertFalse(isNewer(1, 0.0, 1, 0.0))

    def test_rollsOver(self) -> None:
        """After 2 ** 24 - 1 comes 0, which is newer."""
        self.assertTrue(isNewer(0, 0.0, NUMBERS - 1, 0.0))
        self.assertFalse(isNewer(NUMBERS - 1, 0.0, 0, 0.0))

    def test_half(self) -> None:
        """Less than 2 ** 23 ahead is newer; exactly as much is not, in either direction."""
        self.assertTrue(isNewer(HALF - 1, 0.0, 0, 0.0))
        self.assertFalse(isNewer(HALF, 0.0, 0, 0.0))
        self.assertFalse(isNewer(0, 0.0, HALF, 0.0))
        self.assertTrue(isNewer(0, 0.0, HALF + 1, 0.0))

    def test_time(self) -> None:
        """More than 128 seconds later any number is newer; at 128 seconds not yet."""
        self.assertEqual(128.0, REORDERING_TIME)
        self.assertFalse(isNewer(1, 128.0, 2, 0.0))
        self.assertTrue(isNewer(1, 128.1, 2, 0.0))

    @bounded
    @given(numbers, numbers)
    def test_neverBoth(self, one: int, other: int) -> None:
        """Of two numbers at one time at most one is newer."""
        self.assertFalse(isNewer(one, 0.0, other, 0.0) and isNewer(other, 0.0, one, 0.0))

    @bounded
    @given(numbers, some.integers(1, HALF - 1))
    def test_ahead(self, old: int, step: int) -> None:
        """Wherever on the circle: what is fewer than 2 ** 23 steps ahead is newer, and not older."""
        new = (old + step) % NUMBERS
        self.assertTrue(isNewer(new, 0.0, old, 0.0))
        self.assertFalse(isNewer(old, 0.0, new, 0.0))


class SequenceAtTests(SynchronousTestCase):
    """L{sequenceAt} numbers notifications by the clock (RFC 7641 4.4)."""

    @bounded
    @given(some.floats(0, 2e9), some.lists(some.floats(0, 60), max_size=50))
    def test_newer(self, begin: float, pauses: list[float]) -> None:
        """However fast they follow each other, each is newer than the one before."""
        now, last = begin, sequenceAt(begin, None)
        for pause in pauses:
            now += pause
            number = sequenceAt(now, last)
            self.assertTrue(0 <= number < NUMBERS)
            self.assertTrue(isNewer(number, 0.0, last, 0.0))
            last = number

    def test_sameMoment(self) -> None:
        """At the same moment they count up."""
        first = sequenceAt(5.0, None)
        self.assertEqual(first + 1, sequenceAt(5.0, first))

    def test_rollsOver(self) -> None:
        """The last number is followed by 0."""
        end = (NUMBERS - 1) / 1024
        self.assertEqual(NUMBERS - 1, sequenceAt(end, None))
        self.assertEqual(0, sequenceAt(end, NUMBERS - 1))
        self.assertEqual(0, sequenceAt(end + 1 / 1024, NUMBERS - 1))

    @bounded
    @given(some.floats(0, 2e9), some.floats(0.01, 128))
    def test_afterRestart(self, when: float, gone: float) -> None:
        """A server that remembers nothing gives numbers newer than those that it gave before."""
        before = sequenceAt(when, None)
        self.assertTrue(isNewer(sequenceAt(when + gone, None), 0.0, before, 0.0))

    def test_rate(self) -> None:
        """The clock makes fewer than 2 ** 23 steps in 256 seconds (4.4)."""
        steps = (sequenceAt(1256.0, None) - sequenceAt(1000.0, None)) % NUMBERS
        self.assertLess(steps, HALF)


class SequenceTests(SynchronousTestCase):
    """L{Sequence} lets through what is news."""

    def test_outOfOrder(self) -> None:
        """What was overtaken is dropped, a repetition too; the newest is what counts."""
        sequence = Sequence()
        heard = [number for number in (3, 1, 3, 5, 4, 6) if sequence.accepts(number, 0.0)]
        self.assertEqual([3, 5, 6], heard)

    def test_refusedDoesNotCount(self) -> None:
        """A dropped one does not move the 128 seconds."""
        sequence = Sequence()
        self.assertTrue(sequence.accepts(9, 0.0))
        self.assertFalse(sequence.accepts(1, 100.0))
        self.assertTrue(sequence.accepts(1, 129.0))

    def test_restart(self) -> None:
        """When the relation begins anew, anything is news."""
        sequence = Sequence()
        sequence.accepts(9, 0.0)
        sequence.restart()
        self.assertTrue(sequence.accepts(1, 0.0))


class RelationTests(SynchronousTestCase):
    """A L{Relation} says which notifications are confirmable, and when one may follow."""

    def test_confirmable(self) -> None:
        """Where all are to be, all are."""
        self.assertTrue(relation().needsConfirmation(0.0))

    def test_oneInSoMany(self) -> None:
        """Else one in C{confirmEvery} is (RFC 7641 4.5)."""
        told = relation(confirmable=False, confirmEvery=3)
        self.assertFalse(told.needsConfirmation(0.0))
        told.unconfirmed = 2
        self.assertTrue(told.needsConfirmation(0.0))

    def test_24Hours(self) -> None:
        """And the first after 24 hours without one (RFC 7641 4.5)."""
        told = relation(confirmable=False, confirmEvery=10**9, now=10.0)
        self.assertFalse(told.needsConfirmation(10.0 + CONFIRM_INTERVAL - 1))
        self.assertTrue(told.needsConfirmation(10.0 + CONFIRM_INTERVAL))

    def test_last(self) -> None:
        """The last one is, for the observer is to learn of the end."""
        told = relation(confirmable=False)
        told.isLast = True
        self.assertTrue(told.needsConfirmation(0.0))

    def test_pace(self) -> None:
        """One follows after 3 seconds, or after a round trip where that is known (RFC 7641 4.5.1)."""
        told = relation(confirmable=False, now=7.0)
        self.assertEqual(7.0 + NON_INTERVAL, told.nextAt())
        told.roundTrip = 0.25
        self.assertEqual(7.25, told.nextAt())


class SpreadTests(SynchronousTestCase):
    """L{Spread} gives each relation its turn, a burst at a time."""

    def test_order(self) -> None:
        """First come, first served; once in the queue, not again."""
        spread, one, other = Spread(), relation(), relation()
        for each in (one, other, one):
            spread.add(each)
        self.assertEqual([one, other], spread.take(0.0))
        self.assertEqual([], spread.take(0.0))

    def test_again(self) -> None:
        """After its turn one can come again."""
        spread, one = Spread(), relation()
        for _ in range(2):
            spread.add(one)
            self.assertEqual([one], spread.take(0.0))

    def test_bursts(self) -> None:
        """A burst at once, the next after the interval, until all had their turn."""
        spread = Spread()
        waiting = [relation() for _ in range(2 * BURST + 1)]
        for each in waiting:
            spread.add(each)
        now, taken = 0.0, []
        for size in (BURST, BURST, 1):
            burst = spread.take(now)
            self.assertEqual(size, len(burst))
            taken += burst
            upcoming = spread.nextAt()
            self.assertEqual(None if len(taken) == len(waiting) else now + BURST_INTERVAL, upcoming)
            now += BURST_INTERVAL
        self.assertEqual(waiting, taken)

    def test_earned(self) -> None:
        """Each acknowledgement lets one more go, before the interval is over."""
        spread = Spread()
        for _ in range(2 * BURST):
            spread.add(relation())
        spread.take(0.0)
        spread.earn(0.0)
        spread.earn(0.0)
        self.assertEqual(2, len(spread.take(0.001)))

    def test_notTwice(self) -> None:
        """One that time has let go already is not let go by the late acknowledgement as well."""
        spread = Spread()
        for _ in range(4 * BURST):
            spread.add(relation())
        spread.take(0.0)
        self.assertEqual(BURST, len(spread.take(BURST_INTERVAL)))
        for _ in range(BURST):
            spread.earn(0.0)
        self.assertEqual(0, len(spread.take(BURST_INTERVAL)))
        spread.earn(BURST_INTERVAL)
        self.assertEqual(1, len(spread.take(BURST_INTERVAL)))

    def test_notSaved(self) -> None:
        """What was earned while nobody waited does not make a larger burst."""
        spread = Spread()
        for _ in range(50):
            spread.earn(0.0)
        for _ in range(2 * BURST):
            spread.add(relation())
        self.assertEqual(BURST, len(spread.take(0.0)))
