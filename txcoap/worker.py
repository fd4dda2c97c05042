"""
A worker of L{txcoap.workers}, a process that nobody but the supervisor starts.

It serves what C{twistd coap} would with the same arguments, at sockets that it is given. It is told by
lines at its standard input: C{health}; C{take 6,7} to read those sockets as well, in the place of another
worker; C{leave 6,7}. It reports at a pipe of its own, writes what is logged to its standard output as JSON,
and ends when its input does. On Linux it gets a SIGTERM when its supervisor is gone, however that ended:
so it ends even if it is too busy to read its input.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

from twisted.application.reactors import installReactor
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.logger import ILogObserver, LogEvent, Logger, globalLogBeginner, jsonFileLogObserver
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from twisted.python.usage import UsageError
from zope.interface import implementer

from .endpoints import AdoptedServerEndpoint
from .service import CoAPService
from .tap import Options, makeService
from .workerprocess import COMMANDS, MARGIN, REPORTS

__all__ = ["Commands", "Records", "WorkerOptions", "followSupervisor", "main", "run", "stop"]

_log = Logger()

# prctl(2): the signal to be sent when the parent is gone.
_PR_SET_PDEATHSIG = 1


class WorkerOptions(Options):
    """The options of C{twistd coap}, and what the supervisor says beside them."""

    optParameters = [
        ["number", None, "1", "Which worker this is; the first hears the groups."],
        ["sockets", None, "", "The descriptors of the sockets."],
        ["directory", None, ".", "Where to be, once modules and files are found."],
    ]

    def opt_reactor(self, name: str) -> None:
        """The reactor to run."""
        installReactor(name)

    def postOptions(self) -> None:
        """What is the supervisor's is not for the worker."""
        self["workers"] = self["prometheus"] = None
        self["listen"] = [f"fd:{each}" for each in self["sockets"].split(",")]
        if self["number"] != "1":
            # All sockets in a group are sent a copy of what is sent to it.
            self["multicast"] = []
        super().postOptions()


class Commands(LineOnlyReceiver):
    """What the supervisor says."""

    delimiter = b"\n"

    def __init__(self, service: CoAPService, reactor: Any) -> None:
        self._service = service
        self._reactor = reactor
        self._taken: dict[str, list[IListeningPort]] = {}

    def connectionMade(self) -> None:
        """Say when it serves."""
        self._service.whenListening().addCallback(lambda _: self._report("serving", True))

    def lineReceived(self, line: bytes) -> None:
        """One command."""
        what, _, sockets = line.decode().partition(" ")
        if what == "health":
            self._report("health", self._service.health().toDict())
        elif what == "take" and sockets not in self._taken:
            taken: list[IListeningPort] = []
            self._taken[sockets] = taken
            for descriptor in sockets.split(","):
                taking = self._service.listenAlso(AdoptedServerEndpoint(self._reactor, int(descriptor)))
                taking.addCallbacks(
                    taken.append,
                    lambda failure: _log.failure("this worker cannot stand in for another", failure=failure),
                )
        elif what == "leave":
            for port in self._taken.pop(sockets, ()):
                self._service.leave(port)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Without a supervisor nobody would end this process."""
        stop(self._reactor)

    def _report(self, what: str, value: Any) -> None:
        self.sendLine(json.dumps({what: value}).encode())  # type: ignore[no-untyped-call]


def stop(reactor: Any) -> None:
    """Stop the reactor, unless that has begun: a process group is told at once, and by its supervisor too."""
    with suppress(ReactorNotRunning):
        reactor.stop()


@implementer(ILogObserver)
class Records:
    """Writes each event for the supervisor. The text of an error, which JSON would lose, goes beside it."""

    def __init__(self, output: IO[Any]) -> None:
        self._write = jsonFileLogObserver(output)

    def __call__(self, event: LogEvent) -> None:
        """Write one."""
        if "log_failure" in event:
            event = {**event, "failureText": event["log_failure"].getErrorMessage()}
        self._write(event)


def main(words: Sequence[str]) -> int:
    """
    Serve until told to end.

    @return: The exit status.
    """
    # Ctrl-C reaches all processes of a terminal; the supervisor says what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    globalLogBeginner.beginLoggingTo([Records(sys.stdout)])
    options = WorkerOptions()
    try:
        options.parseOptions(list(words))
        os.chdir(options["directory"])
        service = makeService(options)
        assert isinstance(service, CoAPService)
        service.startService()
    except UsageError as e:
        _log.critical("{error}", error=e)
        return 1
    except Exception:
        _log.failure("the worker cannot start")
        return 1
    from twisted.internet import reactor

    run(service, reactor, float(options["grace"]) + MARGIN)
    return 0


def run(service: CoAPService, reactor: Any, patience: float) -> None:
    """
    Run the reactor until the supervisor ends, or a SIGTERM comes.

    @param patience: Seconds after a SIGTERM at which this process is killed if it has not ended. The
        supervisor does so too, but it may be gone.
    """

    def terminate(*ignored: Any) -> None:
        # Python's function for the signal runs though the reactor does not; the alarm needs neither.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, patience)
        reactor.callFromThread(stop, reactor)

    StandardIO(Commands(service, reactor), COMMANDS, REPORTS)  # type: ignore[call-arg]
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    # The reactor's own would complain about the second.
    reactor.callWhenRunning(signal.signal, signal.SIGTERM, terminate)
    reactor.callWhenRunning(followSupervisor)
    reactor.run()


def followSupervisor() -> None:
    """Have the system send SIGTERM when the supervisor is gone. Where it cannot the pipe has to do."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


if __name__ == "__main__":  # pragma: no branch - to be imported is not what it is for
    sys.exit(main(sys.argv[1:]))
