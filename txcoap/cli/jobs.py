"""
What C{txcoap shell} does in the background: observing, above all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from .console import Console
from .failures import Exit

__all__ = ["Jobs"]


class Jobs:
    """
    Work that goes on, by number.

    @param write: Takes each line that it writes, and that it ended. It raises nothing.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._last = 0
        self._lines: dict[int, str] = {}
        self._work: dict[int, Deferred[Any]] = {}
        self._waiting: list[Deferred[None]] = []

    @property
    def numbers(self) -> tuple[int, ...]:
        """Those of what goes on."""
        return tuple(self._lines)

    def describe(self) -> list[str]:
        """A line for each."""
        return [f"[{number}] {line}" for number, line in self._lines.items()]

    def start(self, line: str, console: Console, perform: Callable[[Console], Any]) -> None:
        """
        Begin something.

        @param line: What it is.
        @param console: What its own streams are like.
        @param perform: A coroutine function of these, in which each line is marked with the number.
        """
        self._last = number = self._last + 1
        self._lines[number] = line
        stdout: Any = _Marked(self._write, f"[{number}] ", True)
        stderr: Any = _Marked(self._write, f"[{number}] ", False)
        streams = replace(console, stdout=stdout, stderr=stderr, encoding="utf-8")
        work = self._work[number] = Deferred.fromCoroutine(perform(streams))
        work.addBoth(self._ended, number)

    def _ended(self, result: Exit | Failure, number: int) -> None:
        line = self._lines.pop(number)
        del self._work[number]
        if not isinstance(result, Failure):
            end = "is over" if result is Exit.SUCCESS else f"failed, {int(result)}"
        else:
            end = "is cancelled" if result.check(CancelledError) else f"failed: {result.getErrorMessage()}"
        self._write(f"[{number}] {end}: {line}")
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:
                each.callback(None)

    async def cancel(self, numbers: Iterable[int]) -> None:
        """End some of it; returns when they have told their servers."""
        numbers = set(numbers)
        for number in numbers:
            self._work[number].cancel()
        await self.whenOver(numbers)

    async def whenOver(self, numbers: Iterable[int]) -> None:
        """Wait until these are over."""
        while self._lines.keys() & set(numbers):
            ended: Deferred[None] = Deferred()
            self._waiting.append(ended)
            await ended


class _Marked:
    """A stream whose lines go elsewhere, each marked."""

    def __init__(self, write: Callable[[str], None], mark: str, isForPeople: bool) -> None:
        self._write = write
        self._mark = mark
        self._isForPeople = isForPeople
        self._rest = ""

    def isatty(self) -> bool:
        """As on a terminal nothing is written that acts on one."""
        return self._isForPeople

    def write(self, data: bytes | str) -> None:
        """Write what is a whole line; keep the rest."""
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._write(self._mark + line)

    def flush(self) -> None:
        """There is nothing to do."""
