"""
Child processes that a test starts, talks to and outlives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

#: Seconds that a process has between the end of its input and its end by force.
GRACE = 2.0


class ChildError(Exception):
    """A child process did not do what it should; the text has what it said."""


class Child(ProcessProtocol):
    """
    A child process. Its standard input stays open until the test's end, unless it is given all at
    once: a process that ends with its input outlives no test, however that ends.

    @ivar output: What it wrote to standard output so far.
    @ivar errors: What it wrote to standard error so far.
    @ivar status: Its exit status, or the negative number of the signal that ended it; None before.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.command = command
        self.output = b""
        self.errors = b""
        self.status: int | None = None
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    @classmethod
    def start(
        cls, case: TestCase, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Child:
        """
        Start a command; the end of the test is its end too.

        @param command: The program's full path, and its arguments.
        @param environment: What to add to the environment.
        """
        from twisted.internet import reactor

        child = cls(command)
        whole = {**os.environ, **(environment or {})}
        reactor.spawnProcess(child, command[0], command, whole)
        case.addCleanup(child.end)
        return child

    @classmethod
    async def run(
        cls,
        case: TestCase,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        input: bytes = b"",
        timeout: float = 20.0,
    ) -> Child:
        """
        Run a command to its end.

        @param input: Its standard input.
        @param timeout: Seconds that it may take.
        @return: The child, ended.
        @raise ChildError: if it does not end in time.
        """
        child = cls.start(case, command, environment)
        assert child.transport is not None
        child.transport.write(input)
        child.transport.closeStdin()
        await child.until(lambda: False, timeout)
        return child

    async def until(self, condition: Callable[[], bool], timeout: float) -> None:
        """
        Wait until a condition on what it wrote holds, or it has ended.

        @param timeout: Seconds that this may take.
        @raise ChildError: if it takes longer.
        """
        from twisted.internet import reactor

        waiting: Deferred[None] = Deferred()
        entry = condition, waiting
        self._waiting.append(entry)
        self._look()
        try:
            await waiting.addTimeout(timeout, reactor)
        except TimeoutError:
            self._waiting.remove(entry)
            raise ChildError(f"not done after {timeout} s: {self.describe()}") from None

    def _look(self) -> None:
        for entry in list(self._waiting):
            condition, waiting = entry
            if self.status is not None or condition():
                self._waiting.remove(entry)
                waiting.callback(None)

    def outReceived(self, data: bytes) -> None:
        """Keep it."""
        self.output += data
        self._look()

    def errReceived(self, data: bytes) -> None:
        """Keep it."""
        self.errors += data
        self._look()

    def processEnded(self, reason: Failure) -> None:
        """Keep its status."""
        exit: Any = reason.value
        self.status = exit.exitCode if exit.signal is None else -exit.signal
        self._look()

    def describe(self) -> str:
        """What to say of it where something failed."""
        said = (self.output + self.errors).decode("utf-8", "replace")[-2000:]
        return f"{' '.join(self.command)} (exit status {self.status}) said:\n{said}"

    async def end(self) -> None:
        """End it: by the end of its input or, where that does not help, by force."""
        if self.status is not None or self.transport is None:
            return
        self.transport.closeStdin()
        try:
            await self.until(lambda: False, GRACE)
        except ChildError:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess("KILL")
            await self.until(lambda: False, GRACE)
