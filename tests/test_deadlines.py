"""
Tests for L{txcoap.sansio.deadlines}.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap.sansio.deadlines import NEVER, Ages, Deadline, Deadlines


def told(target: str, now: float) -> tuple[str, float]:
    """An action that returns what it was called with."""
    return target, now


def silent(target: object, now: float) -> None:
    """An action that has nothing to say."""


class DeadlinesTests(SynchronousTestCase):
    """What is due at times of every kind."""

    def setUp(self) -> None:
        self.deadlines = Deadlines()

    def test_none(self) -> None:
        """Without deadlines nothing is ever due."""
        self.assertEqual(self.deadlines.next(), NEVER)
        self.assertEqual(self.deadlines.expire(1e9), [])
        self.assertEqual(len(self.deadlines), 0)

    def test_order(self) -> None:
        """Those that are due are called soonest first, with their target and the time."""
        for when in (3.0, 1.0, 2.0, 9.0):
            self.deadlines.set(when, told, f"at {when}")
        self.assertEqual(self.deadlines.next(), 1)
        self.assertEqual(self.deadlines.expire(3.0), [("at 1.0", 3.0), ("at 2.0", 3.0), ("at 3.0", 3.0)])
        self.assertEqual(self.deadlines.next(), 9)
        self.assertEqual(len(self.deadlines), 1)

    def test_notBefore(self) -> None:
        """Nothing is called before its time."""
        self.deadlines.set(1.0, told, "x")
        self.assertEqual(self.deadlines.expire(0.999), [])

    def test_nothingToSay(self) -> None:
        """None among the results is left out."""
        self.deadlines.set(1.0, silent, None)
        self.deadlines.set(1.0, told, "x")
        self.assertEqual(self.deadlines.expire(1.0), [("x", 1.0)])

    def test_cancelled(self) -> None:
        """A cancelled deadline is not called, does not count, and is not the next."""
        first = self.deadlines.set(1.0, told, "a")
        self.deadlines.set(2.0, told, "b")
        self.deadlines.cancel(first)
        self.assertEqual(len(self.deadlines), 1)
        self.assertEqual(self.deadlines.next(), 2)
        self.assertEqual(self.deadlines.expire(5.0), [("b", 5.0)])

    def test_cancelledLate(self) -> None:
        """To cancel twice, after it was called, or nothing at all, is no mistake."""
        deadline = self.deadlines.set(1.0, told, "a")
        self.deadlines.expire(1.0)
        self.deadlines.cancel(deadline)
        self.deadlines.cancel(None)
        other = self.deadlines.set(2.0, told, "b")
        self.deadlines.cancel(other)
        self.deadlines.cancel(other)
        self.assertEqual(len(self.deadlines), 0)
        self.assertEqual(self.deadlines.next(), NEVER)

    def test_letsGo(self) -> None:
        """A cancelled or past deadline keeps neither its action nor its target."""
        cancelled = self.deadlines.set(1.0, told, "a")
        past = self.deadlines.set(1.0, told, "b")
        self.deadlines.cancel(cancelled)
        self.deadlines.expire(1.0)
        for each in (cancelled, past):
            self.assertEqual((each.action, each.target), (None, None))

    def test_setFromWithin(self) -> None:
        """An action may set a deadline; one that is due already is called in the same turn."""

        def again(times: int, now: float) -> int:
            if times:
                self.deadlines.set(now, again, times - 1)
            return times

        self.deadlines.set(1.0, again, 3)
        self.assertEqual(self.deadlines.expire(1.0), [3, 2, 1, 0])

    def test_cancelFromWithin(self) -> None:
        """An action may cancel another that is due at the same time."""
        later: list[Deadline] = []
        self.deadlines.set(1.0, lambda target, now: self.deadlines.cancel(later[0]), None)
        later.append(self.deadlines.set(1.5, told, "never"))
        self.assertEqual(self.deadlines.expire(2.0), [])

    def test_noGrowth(self) -> None:
        """However many are set and cancelled, what is kept is at most twice those that are left."""
        kept = [self.deadlines.set(1000.0 + each, told, str(each)) for each in range(50)]
        for each in range(10_000):
            self.deadlines.cancel(self.deadlines.set(2000.0 + each, told, "x"))
        self.assertEqual(len(self.deadlines), len(kept))
        self.assertTrue(len(self.deadlines._heap) <= 2 * len(kept) + 65)

    @given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=300))
    @settings(deadline=None, max_examples=100, derandomize=True)
    def test_all(self, given: list[tuple[float, bool]]) -> None:
        """Exactly those that were not cancelled are called, in the order of their times."""
        deadlines = Deadlines()
        made = [(deadlines.set(when, told, str(when)), cancel) for when, cancel in given]
        for deadline, cancel in made:
            if cancel:
                deadlines.cancel(deadline)
        expected = sorted(when for when, cancel in given if not cancel)
        self.assertEqual(len(deadlines), len(expected))
        self.assertEqual([float(target) for target, _ in deadlines.expire(100)], expected)


class AgesTests(SynchronousTestCase):
    """What is all kept equally long."""

    def test_lifetime(self) -> None:
        """Nothing goes before its time, nor later than a thousandth of it after that."""
        ages: Ages[str] = Ages(100.0)
        ages.add("a", 0.0)
        self.assertEqual(list(ages.expire(99.99)), [])
        self.assertTrue(100.0 <= ages.next() <= 100.1)
        self.assertEqual(list(ages.expire(100.1)), ["a"])
        self.assertEqual(ages.next(), NEVER)

    def test_oldestFirst(self) -> None:
        """Under pressure those of the oldest bucket go first."""
        ages: Ages[int] = Ages(100.0)
        for each in range(5):
            ages.add(each, float(each))
        self.assertEqual([ages.popOldest() for _ in range(6)], [0, 1, 2, 3, 4, None])
        self.assertEqual(ages.next(), NEVER)

    def test_addAfterEmptied(self) -> None:
        """What is added after all went is kept for its time."""
        ages: Ages[str] = Ages(100.0)
        ages.add("a", 0.0)
        self.assertEqual(ages.popOldest(), "a")
        self.assertIsNone(ages.popOldest())
        ages.add("b", 0.01)
        self.assertEqual(list(ages.expire(100.2)), ["b"])

    def test_random(self) -> None:
        """Over a long run each thing comes out once, between its lifetime and a thousandth more."""
        random = Random(1)
        ages: Ages[float] = Ages(10.0)
        now, added, gone = 0.0, 0, 0
        while now < 200:
            now += random.expovariate(50)
            for born in ages.expire(now):
                gone += 1
                self.assertTrue(born + 10.0 <= now)
            if random.random() < 0.9 and now < 180:
                ages.add(now, now)
                added += 1
            self.assertTrue(ages.next() > now)
        self.assertEqual(gone, added)
