"""
A datagram port that survives: what the UDP port and the Unix port have in common.

L{DatagramPort} is Twisted's C{udp.Port}, read and written otherwise: whatever receiving or sending
fails with, the port stays open and nothing is raised into the protocol or the reactor; a turn ends
after L{DatagramPort.datagramsPerTurn} datagrams, so that the reactor gets to its timers under load;
and what the network reports about one datagram is told to the protocol, instead of closing the port
as the epoll and poll reactors would.

A subclass opens the socket, and reads a turn: that loop is its own, since every look at a datagram
costs.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet import base, udp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableDescriptor
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..interfaces import ITransport
from ..logs import Sparing
from . import sockets
from .ancillary import LocalAddress

__all__ = ["MAX_DATAGRAM", "MAX_ERRORS", "RECEIVE_BUFFER", "DatagramPort"]

MAX_DATAGRAM = 0xFFFF
"""The longest payload that is accepted; UDP carries no longer one."""

RECEIVE_BUFFER = 1 << 20
"""
What is asked of the kernel for datagrams that wait, in bytes. Linux's usual 208 KiB hold 256 small ones.
"""

MAX_ERRORS = 64
"""How many errors are read from the error queue at once, and how many may wait to be told."""

_NOTHING_TO_READ = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR})
# The datagram is lost as it might have been on the way; the next may get through.
_LOST = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR, errno.ENOBUFS, errno.ENOMEM})


@implementer(ITransport, IHalfCloseableDescriptor)
class DatagramPort(udp.Port):
    """
    A port which delivers to a L{txcoap.interfaces.IDatagramReceiver}.

    @cvar datagramsPerTurn: How many datagrams are read before other descriptors and timers get their turn.
    @ivar protocol: What it delivers to.
    @ivar truncated: How many datagrams were refused because they are longer than C{maxPacketSize}.
    @ivar unanswerable: How many were dropped because their source cannot be answered.
    @ivar receiveErrors: How often receiving failed other than for want of a datagram.
    """

    datagramsPerTurn = 64
    truncated = 0
    unanswerable = 0
    receiveErrors = 0

    # The errors after which a datagram counts as lost on the way, rather than as pointless.
    _lost = _LOST
    _where: Any = None
    _telling: IDelayedCall | None = None
    _preexistingSocket: Any = None

    def __init__(
        self,
        port: Any,
        protocol: DatagramProtocol,
        interface: str,
        maxPacketSize: int,
        reactor: Any,
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            port, protocol, interface, maxPacketSize, reactor
        )
        self._clock: Any = self.reactor
        self._untold: list[tuple[bytes, Any, int]] = []
        self._stopping: list[Deferred[None]] = []
        self._log = Sparing(Logger())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {type(self.protocol).__name__} on {self._where}>"

    def counted(self) -> dict[str, int]:
        """
        @return: What was counted, by name; C{"dropped"} is how many datagrams the kernel had no room for.
        """
        return {
            "truncated": self.truncated,
            "unanswerable": self.unanswerable,
            "receiveErrors": self.receiveErrors,
            "dropped": sockets.dropped(self.socket),
        }

    # Opening

    def _bindSocket(self) -> None:
        skt = self._preexistingSocket
        self._preexistingSocket = None
        if skt is None:
            skt = self._openSocket()
        skt.setblocking(False)
        self._prepare(skt)
        self._say(f"{self._getLogPrefix(self.protocol)} starting on {self._where}")
        self.connected = 1
        self.disconnecting = False
        self.socket = skt
        self.fileno = skt.fileno  # type: ignore[method-assign]
        self._receive = skt.recvfrom
        self._receiveMessage = skt.recvmsg
        self._sendTo = skt.sendto
        self._sendMessage = skt.sendmsg

    def _openSocket(self) -> socket.socket:
        """
        @return: A bound socket.
        @raise CannotListenError: it cannot be had.
        """
        raise NotImplementedError

    def _prepare(self, skt: socket.socket) -> None:
        """
        Ask the kernel for what this port wants beyond payloads, and note what this port is in
        C{_where}.
        """
        raise NotImplementedError

    # Reading

    def doRead(self) -> None:
        """Deliver what has arrived, up to L{datagramsPerTurn} datagrams."""
        try:
            self._readTurn()
        finally:
            self._endTurn()

    def _readTurn(self) -> None:
        raise NotImplementedError

    def _deliverFailed(self) -> None:
        """The protocol raised: a bug above, which must not close the port."""
        self._log.failure("{port}: its protocol failed on a datagram", port=self)

    def _nothingToRead(self, failure: OSError, turn: int) -> bool:
        """Receiving failed: find out whether the turn is over."""
        if failure.errno in _NOTHING_TO_READ:
            # Where a pending error counts as readable (select, asyncio) it is what woke us. If
            # datagrams came first, it will wake us again.
            if not turn:
                self._tellErrors(self._takeErrors())
            return True
        reported = self._takeErrors()
        if not reported:
            # Else it failed with what the network said of a datagram of ours, which is told apart.
            self.receiveErrors += 1
        self._tellErrors(reported)
        return bool(self.disconnecting)

    def _refuse(self, data: bytes) -> None:
        if len(data) > self.maxPacketSize:
            self.truncated += 1
        else:
            self.unanswerable += 1

    def _endTurn(self) -> None:
        try:
            self.protocol.turnEnded()
        except Exception:
            self._log.failure("{port}: its protocol failed at the end of a turn", port=self)

    # Errors that the network reported

    def readConnectionLost(self, reason: Failure) -> None:
        """
        The epoll and poll reactors saw an error and nothing to read. To them a descriptor in error
        has lost its connection; to a UDP socket it is ICMP's message about one datagram. Take it
        and go on.
        """
        # Where the error queue had no room, only the socket's error is set, and reading it clears
        # it.
        self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._tellErrors(self._takeErrors())
        self._endTurn()
        if self.connected and not self.disconnecting:
            self.startReading()  # type: ignore[no-untyped-call]

    def writeConnectionLost(self, reason: Failure) -> None:
        """Nothing waits to be written: there is nothing to lose."""

    def _takeErrors(self) -> list[tuple[bytes, Any, int]]:
        """
        @return: What the network reported since: the datagram's start, its destination, the errno.
        """
        return []

    def _tellErrors(self, errors: list[tuple[bytes, Any, int]]) -> None:
        for data, peer, number in errors:
            try:
                self.protocol.datagramUnreachable(data, peer, number)
            except Exception:
                self._log.failure(
                    "{port}: its protocol failed on the news that {peer} cannot be reached",
                    port=self,
                    peer=peer,
                )

    def _tellUntold(self) -> None:
        self._telling = None
        errors, self._untold = self._untold, []
        self._tellErrors(errors)
        self._endTurn()

    # Writing

    def send(self, data: bytes, peer: Any, local: LocalAddress | None = None) -> int | None:
        """Send a datagram: see L{ITransport.send}."""
        try:
            if local is None:
                self._sendTo(data, peer)
            else:
                self._sendMessage((data,), local.ancillary, 0, peer)
        except (OSError, ValueError, OverflowError) as failure:
            return self._sendAgain(data, peer, local, failure)
        return None

    def _sendAgain(
        self, data: bytes, peer: Any, local: LocalAddress | None, failure: Exception
    ) -> int | None:
        """
        Sending failed. The error may be about an earlier datagram to somebody else: Linux reports a
        pending one once, and sends nothing. Take it out of the way and try once more.
        """
        if getattr(failure, "errno", None) in _LOST:
            return None
        errors = self._takeErrors()
        if errors:
            self._tellLater(errors)
        try:
            if local is None:
                self._sendTo(data, peer)
            else:
                self._sendMessage((data,), local.ancillary, 0, peer)
        except OSError as second:
            # A negative one is getaddrinfo's: an address of the other family.
            number = second.errno if second.errno and second.errno > 0 else errno.EINVAL
            return None if number in self._lost else number
        except (ValueError, OverflowError):
            return errno.EINVAL
        return None

    def toPeer(self, host: str, port: int) -> Any:
        """Write an address as this socket gives and takes it: see L{ITransport.toPeer}."""
        raise NotImplementedError

    def _tellLater(self, errors: list[tuple[bytes, Any, int]]) -> None:
        """
        The protocol is in the middle of sending: what it hears about another exchange must wait for
        it.
        """
        self._untold += errors[: MAX_ERRORS - len(self._untold)]
        if self._telling is None:
            self._telling = self._clock.callLater(0, self._tellUntold)

    # Closing

    def stopListening(self) -> Deferred[None] | None:
        """
        Deliver nothing more, and close.

        @return: A Deferred that fires when the socket is closed, also when asked a second time;
            None when it was closed already.
        """
        if not self.connected:
            return None
        done: Deferred[None] = Deferred()
        self._stopping.append(done)
        if not self.disconnecting:
            self.disconnecting = True
            self._loseConnection()  # type: ignore[no-untyped-call]
        return done

    def connectionLost(self, reason: Failure | None = None) -> None:
        """
        Close the socket and stop the protocol. Called once, by the reactor or after
        L{stopListening}.
        """
        if not self.connected:
            return
        self._say(f"({self.logstr} Port {self._where} Closed)")
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        self._untold = []
        # A protocol that sends as it stops finds the socket still open.
        base.BasePort.connectionLost(self, reason)
        self.protocol.doStop()
        self.socket.close()
        del self.fileno
        stopping, self._stopping = self._stopping, []
        for done in stopping:
            done.callback(None)

    def _say(self, text: str) -> None:
        if getattr(self.protocol, "noisy", True):
            self._log.info("{text}", text=text)
