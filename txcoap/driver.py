"""
L{Driver}: between the machines of L{txcoap.sansio} and a reactor.

It gives the machines each datagram with the time, sends what they want sent, hands requests to a
L{Site<txcoap.server.Site>} and the other events to whoever stands on it, and keeps one delayed call for
whatever is due next.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable
from functools import partial
from random import SystemRandom
from typing import Any

from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from zope.interface import implementer

from .addresses import describeAddress
from .clocks import clockOf, watchSteps
from .codes import Code
from .errors import FormatError, SocketClosed
from .interfaces import IDatagramReceiver, ISendsMany, ISite, ITransport, Unsent
from .logs import Sparing
from .options import NO_OPTIONS, Options
from .parameters import Parameters, checked, getDefault
from .sansio.counters import Counters
from .sansio.datagrams import decode
from .sansio.deadlines import NEVER
from .sansio.events import UNANSWERED, Event, IncomingRequest
from .sansio.exchanges import Exchanges
from .sansio.health import Health
from .sansio.transfers import Transfers
from .sansio.transmission import Chance, Outgoing

__all__ = ["Driver", "Trace"]

PORT_COUNTERS = ("truncated", "unanswerable", "receiveErrors", "dropped")
"""What a port counts, as L{Driver.health} names it; 0 where it does not tell."""

# How much too early a call may come, and how often the sizes of the tables are noted, in seconds.
_EARLY = 0.01
_NOTE_EVERY = 1.0

Trace = Callable[[str, bytes, Hashable], None]
"""Is called with C{"received"} or C{"sent"}, a datagram's bytes and the peer's address."""


def _unheard(data: bytes, peer: Any, local: Any = None) -> None:
    """A datagram that comes after the end."""


@implementer(IDatagramReceiver)
class Driver(DatagramProtocol):
    """
    What L{CoAPProtocol<txcoap.protocol.CoAPProtocol>} stands on; see there for the other parameters.

    @param machines: Makes the exchanges anew for each socket: takes what L{Exchanges} does.
    @ivar now: Gives the time by which the machines go, in seconds.
    @ivar isOpen: Whether the socket is open.
    @ivar transfers: The bodies that peers send and fetch in blocks.
    @ivar answerAtOnce: As L{Messaging.respond<txcoap.sansio.messaging.Messaging.respond>}; for a request that
        nobody was told to wait for.
    """

    transfers: Transfers
    answerAtOnce: Callable[[IncomingRequest, int, Options, bytes, float], bool]
    noisy = False

    def __init__(
        self,
        site: ISite | None,
        reactor: Any,
        parameters: Parameters | None,
        chance: Chance | None,
        trace: Trace | None,
        machines: Callable[..., Exchanges],
    ) -> None:
        self.site = site
        self.reactor = reactor
        self.now: Callable[[], float] = clockOf(reactor)
        self.trace = trace
        self.isOpen = False
        # Every response is told it; the socket is asked once.
        self._host: IAddress | None = None
        self.chance: Chance = chance or SystemRandom()
        self._parameters = checked(parameters)
        self._makeExchanges = partial(
            machines,
            self.chance,
            epoch=reactor.seconds() - self.now(),
            forwards=bool(getattr(site, "forwards", False)),
        )
        self._begin()
        self._wasOpen = False
        self._send: Callable[[bytes, Any, Any], int | None] = self._write
        self._sendAll: Callable[[list[Outgoing]], list[Unsent]] = self._sendEach
        self._endsTurns = False
        # Whether the transport is about to end its turn.
        self._isAmidTurn = False
        self._call: IDelayedCall | None = None
        self._callAt = NEVER
        self._notedAt = -NEVER
        self._unwatch: Callable[[], None] = lambda: None
        self._log = Sparing(Logger(), seconds=self.now)
        self._rare = Sparing(Logger(), burst=1, seconds=self.now)

    @property
    def parameters(self) -> Parameters:
        """
        The transmission parameters of what we ask: those that were given, or the default. What peers ask
        goes by those of the time when the socket was opened.
        """
        return self._parameters or getDefault()

    def _begin(self) -> None:
        """Nothing is known of any peer."""
        self._exchanges = self._makeExchanges(parameters=self.parameters)
        # What is looked at with each datagram.
        self._counted = self._exchanges.counters
        self.transfers = self._exchanges.transfers
        self.answerAtOnce = self._exchanges.respond
        self._formatErrors = 0

    @property
    def counters(self) -> Counters:
        """What was counted since the socket was opened."""
        return self._exchanges.counters

    def freeTag(self) -> bytes:
        """A Request-Tag that no request under way is likely to have (RFC 9175 3)."""
        return self._exchanges.freeTag()

    def freeToken(self, peer: Hashable) -> bytes:
        """A token that no open request to a peer has."""
        return self._exchanges.freeToken(peer)

    def newEcho(self, peer: Hashable) -> bytes:
        """An Echo for a peer to return (RFC 9175 2)."""
        self.counters.echoesDemanded += 1
        return self._exchanges.newEcho(peer, self.now())

    def freshness(self, exchange: IncomingRequest) -> float | None:
        """How many seconds old a request is at most, by the Echo of ours that it returns; None without."""
        return self._exchanges.freshness(exchange, self.now())

    def sizes(self) -> dict[str, int]:
        """How much is in each table."""
        return self._exchanges.sizes()

    def health(self) -> Health:
        """What was counted since the socket was opened, and how full the tables are."""
        counted = getattr(self.transport, "counted", dict)
        return self._exchanges.health().counting({**dict.fromkeys(PORT_COUNTERS, 0), **counted()})

    def getHost(self) -> IAddress:
        """The address of the socket."""
        host = self._host
        if host is None:
            host = self._host = self._open.getHost()
        return host

    def __repr__(self) -> str:
        where = f"at {describeAddress(self.getHost())}" if self.isOpen else "without a socket"
        return f"<{type(self).__name__} {where}>"

    def toPeer(self, host: str, port: int) -> Any:
        """
        An address as the transport takes and gives it.

        @param host: A literal, or a path where the socket is a Unix socket.
        @raise ValueError: if this socket cannot reach it.
        """
        toPeer = getattr(self._open, "toPeer", None)
        return (host, port) if toPeer is None else toPeer(host, port)

    @property
    def _open(self) -> Any:
        if self.transport is None:
            raise SocketClosed("the socket is not open: nobody listens by it yet, or it was closed")
        return self.transport

    # The transport's side

    def startProtocol(self) -> None:
        """The socket is open; if there was another before, nothing is known of its peers."""
        self.isOpen = True
        if self.__dict__.get("datagramReceived") is _unheard:
            del self.datagramReceived
        if self.site is not None:
            self.site.socketOpened(self)
        if self._wasOpen or self._exchanges.parameters is not self.parameters:
            self._begin()
        self._wasOpen = True
        self._unwatch = watchSteps(self.reactor, self.clockStepped)
        transport: Any = self.transport
        if ITransport.providedBy(transport):
            self._send = transport.send
            if ISendsMany.providedBy(transport):
                self._sendAll = transport.sendAll
            self._endsTurns = True

    def stopProtocol(self) -> None:
        """The socket is closed."""
        if self._isAmidTurn:
            # What was put off until the turn ends goes now, or never.
            self._isAmidTurn = False
            self._flush()
        self.isOpen = False
        # A transport of the user's own may go on: it is no longer listened to.
        self.datagramReceived = _unheard  # type: ignore[method-assign]
        self._host = None
        self._unwatch()
        if self.site is not None:
            self.site.socketClosed(self)
        self._endsTurns = False
        self._send = self._write
        self._sendAll = self._sendEach
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        self._callAt = NEVER

    def datagramReceived(self, data: bytes, peer: Any, local: Any = None) -> None:
        """A datagram came; see L{IDatagramReceiver}."""
        if self.trace is not None:
            self._show("received", data, peer)
        self._isAmidTurn = self._endsTurns
        if local is not None and local.isMulticast:
            self._groupDatagramReceived(data, peer, local)
            return
        # An attribute that is no method is found faster where it is not called at once.
        clock = self.now
        now = clock()
        event = self._exchanges.receiveDatagram(data, peer, local, now)
        if isinstance(event, IncomingRequest):
            if self.site is None:
                self._exchanges.resetRequest(event)
            else:
                try:
                    self.site.requestReceived(self, event)
                except Exception:
                    self._siteFailed(event)
                if event.state is UNANSWERED:
                    self._exchanges.defer(event, now)
        elif event is not None:
            self._deliver(event)
        elif self._counted.formatErrors != self._formatErrors:
            self._malformed(data, peer)
        if not self._endsTurns:
            self.turnEnded()

    def _groupDatagramReceived(self, data: bytes, peer: Any, local: Any) -> None:
        """A datagram came that was sent to a group (RFC 7252 8)."""
        request = self._exchanges.receiveGroupDatagram(data, peer, local, self.now())
        if request is not None:
            if self.site is None:
                self._exchanges.silence(request)
            else:
                try:
                    self.site.groupRequestReceived(self, request)
                except Exception:
                    self._log.failure("the site failed on a request from {peer}", peer=peer)
                    self._exchanges.silence(request)
                self._exchanges.defer(request, self.now())
        if not self._endsTurns:
            self.turnEnded()

    def _show(self, way: str, data: bytes, peer: Any) -> None:
        assert self.trace is not None
        try:
            self.trace(way, data, peer)
        except Exception:
            self._log.failure("the trace failed on what was {way}", way=way, peer=peer)

    def _siteFailed(self, event: IncomingRequest) -> None:
        self._log.failure("the site failed on a request from {peer}", peer=event.peer)
        self._exchanges.respond(event, Code.INTERNAL_SERVER_ERROR, NO_OPTIONS, b"", self.now())

    def _malformed(self, data: bytes, peer: Any) -> None:
        self._formatErrors = count = self._counted.formatErrors
        try:
            decode(data)
        except FormatError as e:
            self._rare.info(
                "a datagram from {peer} is no CoAP message: {error}",
                peer=peer,
                error=str(e),
                formatErrors=count,
            )

    def datagramUnreachable(self, data: bytes, peer: Any, error: int) -> None:
        """The network returned a datagram of ours; see L{IDatagramReceiver}."""
        event = self._exchanges.receiveUnreachable(data, peer, error, self.now())
        if event is not None:
            self._deliver(event)

    def turnEnded(self) -> None:
        """Send what is to be sent, and see that the next deadline is met; see L{IDatagramReceiver}."""
        self._isAmidTurn = False
        try:
            self._flush()
        finally:
            # Whatever fails, a trace say, time goes on for the rest.
            self._schedule()

    def sendSoon(self) -> None:
        """
        Send what is to be sent; amid a turn of the transport's once that ends, all together: who is sent one
        datagram after the other may be woken for each.
        """
        if not self._isAmidTurn:
            self.turnEnded()

    def clockStepped(self) -> None:
        """The clock by which the reactor keeps its calls was set: no time has passed by that."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._callAt = NEVER
        self._schedule()

    def _schedule(self) -> None:
        due = self._exchanges.next()
        if due < self._callAt and self.isOpen:
            if self._call is not None:
                self._call.cancel()
            self._callAt = due
            self._call = self.reactor.callLater(max(0.0, due - self.now()), self._expire)

    def _expire(self) -> None:
        due, now = self._callAt, self.now()
        self._call = None
        self._callAt = NEVER
        if now < due - _EARLY:
            # The clock by which the reactor keeps its calls was set forward: no time has passed by that.
            self._schedule()
            return
        # A call can come a rounding error early; the machines must not find that nothing is due.
        now = max(due, now)
        if now >= self._notedAt + _NOTE_EVERY:
            self._notedAt = now
            self._exchanges.noteSizes()
        try:
            for event in self._exchanges.expire(now):
                self._deliver(event)
        finally:
            self.turnEnded()

    def _flush(self) -> None:
        """Send what the machines want sent."""
        datagrams = self._exchanges.datagramsToSend()
        send = self._sendAll if self.trace is None else self._sendEach
        for data, peer, error in send(datagrams):
            event = self._exchanges.receiveUnreachable(data, peer, error, self.now())
            if event is not None:
                self._deliver(event)
                self._flush()

    def _sendEach(self, datagrams: list[Outgoing]) -> list[Unsent]:
        """As L{ISendsMany.sendAll}, by a transport that is no such one, and where they are watched."""
        unsent = []
        for data, peer, local in datagrams:
            if self.trace is not None:
                self._show("sent", data, peer)
            error = self._send(data, peer, local)
            if error is not None:
                unsent.append((data, peer, error))
        return unsent

    def _write(self, data: bytes, peer: Any, local: Any) -> int | None:
        """Send by a transport of Twisted's own; see L{ITransport.send}."""
        if self.transport is not None:
            try:
                self.transport.write(data, peer)
            except BlockingIOError:
                return None
            except OSError as e:
                return e.errno
            except (MessageLengthError, ValueError):
                return 1
        return None

    @abstractmethod
    def _deliver(self, event: Event) -> None:
        """Something happened that is no request of a peer."""
