"""
When something is due: a heap for times of every kind, and queues for what is all kept equally long.

No clock here: the time comes in as C{now}, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

__all__ = ["NEVER", "Ages", "Deadline", "Deadlines"]

NEVER = float("inf")
T = TypeVar("T")
_new = object.__new__

Action = Callable[[Any, float], Any]


class Deadline:
    """
    One thing that is due at one time.

    @ivar when: The time.
    @ivar action: What to call then, with the target and the time; None once cancelled. Its name is
        the deadline's name.
    @ivar target: What it is about.
    """

    __slots__ = ("action", "target", "when")

    def __init__(self, when: float, action: Action, target: Any) -> None:
        self.when = when
        self.action: Action | None = action
        self.target = target


class Deadlines:
    """
    Deadlines of every kind, the next one first.

    A cancelled deadline stays in the heap until its time comes, or until cancelled ones are the
    greater part, when all of them go: both cost little for each deadline however many there are.
    """

    __slots__ = ("_cancelled", "_heap", "_serial")

    def __init__(self) -> None:
        # A serial number, which no two share, so that no comparison comes to the deadlines themselves.
        self._heap: list[tuple[float, int, Deadline]] = []
        self._serial = 0
        self._cancelled = 0

    def set(self, when: float, action: Action, target: Any) -> Deadline:
        """Call C{action(target, now)} from L{expire} once C{when} has come."""
        # As Deadline.__init__ does, in less time than it takes to call it.
        deadline = _new(Deadline)
        deadline.when = when
        deadline.action = action
        deadline.target = target
        self._serial = serial = self._serial + 1
        heappush(self._heap, (when, serial, deadline))
        return deadline

    def report(self, happened: Any, now: float) -> None:
        """Return this from L{expire}, as something that has happened now."""
        self.set(now, _asIs, happened)

    def cancel(self, deadline: Deadline | None) -> None:
        """Do not call it, if that has not happened yet. None is no deadline."""
        if deadline is None or deadline.action is None:
            return
        deadline.action = deadline.target = None
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
            self._heap = [each for each in self._heap if each[2].action is not None]
            heapify(self._heap)
            self._cancelled = 0

    def next(self) -> float:
        """The time of the next deadline, or L{NEVER}."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else NEVER

    def expire(self, now: float) -> list[Any]:
        """Call every action whose time has come; what they return, less the None among it."""
        results = []
        while self.next() <= now:
            deadline = heappop(self._heap)[2]
            action, target = deadline.action, deadline.target
            deadline.action = deadline.target = None
            assert action is not None
            result = action(target, now)
            if result is not None:
                results.append(result)
        return results

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled


def _asIs(happened: Any, now: float) -> Any:
    return happened


class Ages(Generic[T]):
    """
    Things in the order of their arrival, all kept equally long.

    They lie in buckets, each for a thousandth of the lifetime: eight bytes for a thing, and no object
    of its own. None is due before its lifetime is over, nor later than a thousandth of it after that.

    @param lifetime: In seconds.
    @ivar closes: Until when the newest bucket takes things; after that L{open} makes another.
    @ivar newest: That bucket.
    """

    __slots__ = ("_buckets", "_grain", "_lifetime", "closes", "newest")

    closes: float
    newest: list[T]

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._grain = lifetime / 1000
        self._buckets: deque[tuple[float, list[T]]] = deque()
        self._close()

    def add(self, thing: T, now: float) -> None:
        """Keep a thing from now on."""
        if now > self.closes:
            self.open(now)
        self.newest.append(thing)

    def open(self, now: float) -> None:
        """Begin a bucket."""
        self.closes = now + self._grain
        self.newest = []
        self._buckets.append((self.closes + self._lifetime, self.newest))

    def _close(self) -> None:
        self.closes = -NEVER
        self.newest = []

    def expire(self, now: float) -> Iterator[T]:
        """Those whose lifetime is over; they are kept no longer."""
        while self._buckets and self._buckets[0][0] <= now:
            _, things = self._buckets.popleft()
            if not self._buckets:
                self._close()
            yield from things

    def popOldest(self) -> T | None:
        """One of the oldest, kept no longer; None if there is none."""
        buckets = self._buckets
        while buckets:
            things = buckets[0][1]
            if things:
                return things.pop()
            buckets.popleft()
        self._close()
        return None

    def next(self) -> float:
        """When the next of them is due, or L{NEVER}."""
        return self._buckets[0][0] if self._buckets else NEVER
