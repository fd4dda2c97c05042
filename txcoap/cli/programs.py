"""
Programs that get the states of a resource, each by its standard input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

__all__ = ["runProgram"]

_SHELL = "/bin/sh"


def runProgram(
    reactor: Any, command: str, data: bytes, environment: Mapping[str, str]
) -> Deferred[str | None]:
    """
    Run a command of the shell. Its standard output and error are those of this process.

    @param reactor: Provides C{IReactorProcess}.
    @param data: What it gets by its standard input.
    @return: A Deferred of why it failed, None if it did not. Cancelling it ends the program.
    """
    program = _Program(data)
    reactor.spawnProcess(
        program, _SHELL, [_SHELL, "-c", command], dict(environment), childFDs={0: "w", 1: 1, 2: 2}
    )
    return program.ended


class _Program(ProcessProtocol):
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.ended: Deferred[str | None] = Deferred(lambda _: self._terminate())

    def connectionMade(self) -> None:
        transport: Any = self.transport
        # One that does not read it loses it, which is its own affair.
        transport.write(self._data)
        transport.closeStdin()

    def _terminate(self) -> None:
        transport: Any = self.transport
        if transport.pid is not None:
            transport.signalProcess("TERM")

    def processEnded(self, reason: Failure) -> None:
        if self.ended.called:
            # Nobody waits for it any more.
            return
        self.ended.callback(None if reason.check(ProcessDone) else _words(reason.value))


def _words(end: Any) -> str:
    return f"status {end.exitCode}" if end.signal is None else f"signal {end.signal}"
