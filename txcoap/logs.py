"""
L{Sparing}: a log that a flood cannot fill.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["Sparing"]


class Sparing:
    """
    A L{Logger} that writes so many events of each kind in a period, and counts the rest: what a peer can
    bring about, it can bring about thousands of times in a second. A kind is a format. The next event of the
    kind that is written tells by its field C{unlogged} how many were not.

    @param log: What writes.
    @param burst: How many events of a kind are written in one period.
    @param period: In seconds.
    @param seconds: The clock.
    """

    def __init__(
        self,
        log: Logger,
        burst: int = 10,
        period: float = 60.0,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._logger = log
        self._burst = burst
        self._period = period
        self._seconds = seconds
        # For each kind: when its period ends, how many it has written, and how many were not written.
        self._kinds: dict[str, tuple[float, int, int]] = {}
        self._others: WeakKeyDictionary[Any, Sparing] = WeakKeyDictionary()

    def of(self, endpoint: Any) -> Sparing:
        """
        The log of one endpoint, a site or a protocol: what floods another in the same process takes nothing
        of it. That of None is this one.
        """
        if endpoint is None:
            return self
        spared = self._others.get(endpoint)
        if spared is None:
            spared = self._others[endpoint] = Sparing(self._logger, self._burst, self._period, self._seconds)
        return spared

    def info(self, format: str, **fields: Any) -> None:
        """Write an event of little weight."""
        unlogged = self._admit(format)
        if unlogged is not None:
            self._logger.info(_telling(format, unlogged), unlogged=unlogged, **fields)

    def error(self, format: str, **fields: Any) -> None:
        """Write that something is wrong."""
        unlogged = self._admit(format)
        if unlogged is not None:
            self._logger.error(_telling(format, unlogged), unlogged=unlogged, **fields)

    def failure(self, format: str, failure: Failure | None = None, **fields: Any) -> None:
        """Write an exception with its traceback; by default the one that is being handled."""
        unlogged = self._admit(format)
        if unlogged is not None:
            given = failure or Failure()
            self._logger.failure(_telling(format, unlogged), failure=given, unlogged=unlogged, **fields)

    def _admit(self, kind: str) -> int | None:
        """How many of a kind were not written since the last one was; None if this one is not to be."""
        now = self._seconds()
        end, written, unlogged = self._kinds.get(kind, (now, 0, 0))
        if now >= end:
            end, written = now + self._period, 0
        if written >= self._burst:
            self._kinds[kind] = end, written, unlogged + 1
            return None
        self._kinds[kind] = end, written + 1, 0
        return unlogged


def _telling(format: str, unlogged: int) -> str:
    return f"{format} (and {{unlogged}} more since the last that was logged)" if unlogged else format
