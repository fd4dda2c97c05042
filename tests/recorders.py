"""
What keeps what it is told: protocols, the log, and a socket that plays what a test wrote.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from txcoap.interfaces import IDatagramReceiver


def logged(case: SynchronousTestCase) -> list[Any]:
    """What Twisted's log is told from now on, until the test is over."""
    events: list[Any] = []
    observer: Any = events.append
    globalLogPublisher.addObserver(observer)
    case.addCleanup(globalLogPublisher.removeObserver, observer)
    return events


class Hearing(DatagramProtocol):
    """Keeps what it hears: a protocol that knows nothing of CoAP."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, Any]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Keep it."""
        self.heard.append((datagram, addr))

    def stopProtocol(self) -> None:
        """Keep that too."""
        self.heard.append((b"stopped", None))


@implementer(IDatagramReceiver)
class Recorder(DatagramProtocol):
    """
    Keeps what it is told. It answers a datagram that begins with C{b"?"}, and raises on one that is
    C{b"bug"}.
    """

    noisy = False

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any, Any]] = []
        self.unreachable: list[tuple[bytes, Any, int]] = []
        self.turns = 0
        self.stopped = False
        self.eachTime: Callable[[], object] = lambda: None
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def datagramReceived(self, data: bytes, peer: Any, local: Any = None) -> None:
        """
        Keep it.
        """
        self.received.append((data, peer, local))
        self.eachTime()
        if data.startswith(b"?"):
            self.transport.send(b"!" + data[1:], peer, local)  # type: ignore[union-attr]
        if data == b"bug":
            raise RuntimeError("a bug in the protocol")

    def datagramUnreachable(self, data: bytes, peer: Any, error: int) -> None:
        """
        Keep it.
        """
        self.unreachable.append((data, peer, error))

    def turnEnded(self) -> None:
        """
        Count it, and look whether what somebody waits for has come.
        """
        self.turns += 1
        waiting, self._waiting = self._waiting, []
        for condition, found in waiting:
            if condition():
                found.callback(None)
            else:
                self._waiting.append((condition, found))

    def stopProtocol(self) -> None:
        """
        Note it.
        """
        self.stopped = True

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """
        @return: a Deferred that fires once a turn leaves the condition true.
        """
        found: Deferred[None] = Deferred()
        self._waiting.append((condition, found))
        if condition():
            self.turnEnded()
        return found

    @property
    def payloads(self) -> list[bytes]:
        """
        The payloads received so far.
        """
        return [data for data, _, _ in self.received]


class ScriptedSocket:
    """
    A UDP socket that receives and sends as a test wrote: bytes arrive, an exception or errno is
    raised.
    """

    type = socket.SOCK_DGRAM

    def __init__(
        self,
        incoming: list[Any] | None = None,
        host: tuple[Any, ...] = ("127.0.0.1", 5683),
        peer: tuple[Any, ...] = ("127.0.0.1", 40000),
    ) -> None:
        self.family = socket.AF_INET6 if len(host) == 4 else socket.AF_INET
        self.incoming = incoming or []
        self.ancillary: list[tuple[int, int, bytes]] = []
        self.errors: list[Any] = []
        self.failures: list[int | Exception] = []
        self.sent: list[tuple[Any, ...]] = []
        self.options: dict[tuple[int, int], int] = {}
        self.host = host
        self.peer = peer
        self.closed = False

    def _next(self) -> tuple[bytes, Any]:
        given = self.incoming.pop(0) if self.incoming else errno.EAGAIN
        if isinstance(given, int):
            raise OSError(given, os.strerror(given))
        if isinstance(given, Exception):
            raise given
        return given if isinstance(given, tuple) else (given, self.peer)

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        """
        Play the next of what comes in.
        """
        data, peer = self._next()
        return data[:size], peer

    def recvmsg(self, size: int, space: int, flags: int = 0) -> tuple[Any, ...]:
        """
        Play the next of what comes in, or of the error queue.
        """
        if flags:
            if not self.errors:
                raise BlockingIOError(errno.EAGAIN, "nothing")
            return self.errors.pop(0)  # type: ignore[no-any-return]
        data, peer = self._next()
        return data[:size], list(self.ancillary), 0, peer

    def _send(self, *what: Any) -> int:
        failure = self.failures.pop(0) if self.failures else 0
        if isinstance(failure, Exception):
            raise failure
        if failure:
            raise OSError(failure, "scripted")
        self.sent.append(what)
        return 0

    def sendto(self, data: bytes, peer: Any) -> int:
        """
        Keep it, unless a failure is due.
        """
        return self._send(data, peer)

    def sendmsg(self, parts: Any, ancillary: Any, flags: int, peer: Any) -> int:
        """
        Keep it, unless a failure is due.
        """
        return self._send(b"".join(parts), peer, ancillary)

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """
        Keep it.
        """
        self.options[level, option] = value

    def getsockopt(self, level: int, option: int) -> int:
        """
        What was set, or 0.
        """
        return self.options.get((level, option), 0)

    def getsockname(self) -> tuple[Any, ...]:
        """
        Where it is bound.
        """
        return self.host

    def setblocking(self, flag: bool) -> None:
        """
        It never blocks.
        """

    def fileno(self) -> int:
        """
        Any number.
        """
        return 99

    def close(self) -> None:
        """
        Note it.
        """
        self.closed = True
