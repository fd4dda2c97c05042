"""
A worker as its supervisor sees it: a process with pipes. By one it is told what to do, by another it
reports, and what it writes elsewhere goes into the log.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger, eventFromJSON, globalLogPublisher
from twisted.python.failure import Failure

from .logs import Sparing
from .sansio.health import Health

__all__ = ["COMMANDS", "FIRST_SOCKET", "MARGIN", "PIPES", "REPORTS", "WorkerProcess"]

COMMANDS, REPORTS = 0, 3
"""The worker's descriptors: what it is told, and what it reports, a line each."""

PIPES = {COMMANDS: "w", 1: "r", 2: "r", REPORTS: "r"}
"""The pipes of a worker, as for C{spawnProcess}."""

FIRST_SOCKET = 4
"""The descriptor of the first socket; the others follow."""

RECORD = b"\x1e"
"""What an event for the log begins with (RFC 7464), unlike the text that C code or a crash writes."""

MARGIN = 5.0
"""Seconds over C{grace} after which a worker that was told to end is killed."""

LONGEST_LINE = 1 << 20
_MOST_ASKED = 8

# How long is waited for the last words of a process that is gone: children of its own may hold the pipes.
_LAST_WORDS = 1.0


class WorkerProcess(ProcessProtocol):
    """
    One process.

    @param serving: Called when it serves.
    @param ended: Called with why, once, when it is gone.
    @ivar servingSince: Since when, by the reactor's time; None if it does not yet.
    """

    _log = Logger()
    _spared = Sparing(Logger())

    def __init__(
        self, number: int, reactor: Any, serving: Callable[[], None], ended: Callable[[str], None]
    ) -> None:
        self.servingSince: float | None = None
        self._number = number
        self._reactor = reactor
        self._serving = serving
        self._ended = ended
        self._hasEnded = False
        self._lastWords: IDelayedCall | None = None
        self._partial = {descriptor: b"" for descriptor, way in PIPES.items() if way == "r"}
        self._asked: deque[Deferred[Health]] = deque()

    def tell(self, command: str) -> None:
        """Have it do something; see L{txcoap.worker}."""
        if self.transport is not None:
            self.transport.writeToChild(COMMANDS, f"{command}\n".encode())

    def signal(self, name: str) -> None:
        """Send it a signal: C{"TERM"}, C{"KILL"}."""
        try:
            if self.transport is not None:
                self.transport.signalProcess(name)
        except ProcessExitedAlready:
            return

    def health(self) -> Deferred[Health]:
        """
        What it counted.

        @return: A Deferred, which fails if the process ends, or is so far behind that it is not asked.
        """
        if len(self._asked) >= _MOST_ASKED:
            return fail(RuntimeError(f"worker {self._number} does not answer"))
        asked: Deferred[Health] = Deferred()
        self._asked.append(asked)
        self.tell("health")
        return asked

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Lines, of which the last may not be whole."""
        *lines, rest = (self._partial[childFD] + data).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._partial[childFD] = rest
        for line in lines:
            if childFD == REPORTS:
                self._reported(line)
            elif line:
                self._logged(line)

    def _reported(self, line: bytes) -> None:
        try:
            (what, value), *_ = json.loads(line).items()
            if what == "serving":
                self.servingSince = self._reactor.seconds()
                self._serving()
            elif what == "health" and self._asked:
                self._asked.popleft().callback(Health.fromDict(value))
        except (AttributeError, KeyError, TypeError, ValueError):
            # Something else in that process writes to the descriptor.
            self._spared.error("worker {number} reports {line!r}", number=self._number, line=line[:100])

    def _logged(self, line: bytes) -> None:
        """Log what it logged, under its number."""
        if line.startswith(RECORD):
            try:
                event = eventFromJSON(line[1:].decode("utf-8"))
                level = event["log_level"].name
                event["log_system"] = f"worker {self._number}, {event['log_namespace']}#{level}"
            except (AttributeError, KeyError, TypeError, ValueError):
                event = None
            if event is not None:
                if "log_failure" in event:
                    event["log_failure"].value = event.get("failureText")
                event["worker"] = self._number
                globalLogPublisher(event)
                return
        self._log.info(
            "worker {worker}: {line}", worker=self._number, line=line.decode("utf-8", "backslashreplace")
        )

    def processExited(self, reason: Failure) -> None:
        """It is gone; what it wrote may still be on its way."""
        self._lastWords = self._reactor.callLater(_LAST_WORDS, self._end, reason)

    def processEnded(self, reason: Failure) -> None:
        """It is gone, and so are the pipes."""
        if self._lastWords is not None and self._lastWords.active():
            self._lastWords.cancel()
        self._end(reason)

    def _end(self, reason: Failure) -> None:
        if self._hasEnded:
            return
        self._hasEnded = True
        for descriptor in (1, 2):
            if self._partial[descriptor]:
                self._logged(self._partial[descriptor])
        while self._asked:
            self._asked.popleft().errback(Failure(ConnectionDone()))
        value: Any = reason.value
        self._ended(f"signal {value.signal}" if value.signal else f"exit status {value.exitCode}")
