"""
L{CoAPProtocol}: the machines of L{txcoap.sansio} driven by a reactor.

One protocol serves one socket, in both roles. It gives the machines each datagram with the time, hands
requests to a L{Site<txcoap.server.Site>}, fires the Deferreds of our own requests, sends what the
machines want sent, and keeps one delayed call for whatever is due next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from random import SystemRandom
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

from .errors import RequestError, SocketClosed
from .interfaces import IDatagramReceiver, ISite, ITransport
from .limits import DEFAULT_LIMITS, Limits
from .message import Request
from .options import Options
from .parameters import DEFAULT_PARAMETERS, Parameters
from .sansio.blocks import Transfers
from .sansio.counters import Counters
from .sansio.datagrams import Datagram
from .sansio.deadlines import NEVER
from .sansio.events import (
    Event,
    IncomingRequest,
    OutgoingRequest,
    PingAnswered,
    PingFailed,
    Progress,
    Reception,
    RelationEnded,
    RequestFailed,
    RequestForgotten,
    ResponseFailed,
    ResponseReceived,
)
from .sansio.exchanges import Exchanges
from .sansio.observations import Relation
from .sansio.transmissions import Chance, Transmission

__all__ = ["CoAPProtocol", "Trace"]

Trace = Callable[[str, bytes, Hashable], None]
"""Is called with C{"received"} or C{"sent"}, a datagram's bytes and the peer's address."""


class Observer(Protocol):
    """What takes the responses to a request that observes."""

    def received(self, datagram: Datagram) -> None:
        """One came."""

    def failed(self, error: RequestError) -> None:
        """There will be none."""


@implementer(IDatagramReceiver)
class CoAPProtocol(DatagramProtocol):
    """
    CoAP over one socket: C{reactor.listenUDP(5683, CoAPProtocol(Site(root)))}.

    On the ports of L{txcoap.transports.udp} it does everything that txcoap offers; on Twisted's own
    port the limits of that one hold: no link-local peers, and no word of closed ports.

    @param site: What peers' requests go to; without one they are rejected with a Reset.
    @param reactor: For the time, and one delayed call; by default the installed one.
    @param parameters: The transmission parameters.
    @param limits: The bounds of what peers can make grow.
    @param chance: For message IDs, tokens and time-outs; not guessable, but in tests.
    @param trace: Sees every datagram.
    @ivar now: Gives the time by which the machines go, in seconds.
    """

    noisy = False

    def __init__(
        self,
        site: ISite | None = None,
        reactor: Any = None,
        *,
        parameters: Parameters = DEFAULT_PARAMETERS,
        limits: Limits = DEFAULT_LIMITS,
        chance: Chance | None = None,
        trace: Trace | None = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        self.site = site
        self.reactor = reactor
        self.now: Callable[[], float] = reactor.seconds
        self.trace = trace
        self.isOpen = False
        self.chance: Chance = chance or SystemRandom()
        self._newExchanges = partial(Exchanges, self.chance, parameters, limits)
        self._exchanges = self._newExchanges()
        self._wasOpen = False
        # Those of our requests and pings that are under way.
        self._asked: dict[OutgoingRequest, Deferred[Datagram | None]] = {}
        self._pings: dict[Transmission, Deferred[None]] = {}
        # Those that observe: what takes the responses, and what takes the end.
        self._observing: dict[OutgoingRequest, Observer] = {}
        # All of them, those too that wait to ask again.
        self._observers: set[Observer] = set()
        # Whom to tell when a peer's request, not answered at once, no longer needs an answer.
        self._served: dict[IncomingRequest, Callable[[RequestError], None]] = {}
        self._send: Callable[[bytes, Any, Any], int | None] = self._write
        self._endsTurns = False
        self._call: IDelayedCall | None = None
        self._callAt = NEVER

    @property
    def parameters(self) -> Parameters:
        """The transmission parameters."""
        return self._exchanges.parameters

    @property
    def counters(self) -> Counters:
        """What was counted since the socket was opened."""
        return self._exchanges.counters

    @property
    def transfers(self) -> Transfers:
        """The bodies that peers send and fetch in blocks."""
        return self._exchanges.transfers

    def freeTag(self) -> bytes:
        """A Request-Tag that no request under way is likely to have (RFC 9175 3)."""
        return self._exchanges.freeTag()

    def freeToken(self, peer: Hashable) -> bytes:
        """A token that no open request to a peer has."""
        return self._exchanges.freeToken(peer)

    def sizes(self) -> dict[str, int]:
        """How much is in each table."""
        return self._exchanges.sizes()

    def getHost(self) -> IAddress:
        """The address of the socket."""
        address: IAddress = self._open.getHost()
        return address

    def toPeer(self, host: str, port: int) -> Any:
        """
        An address as L{request} and L{ping} take it.

        @param host: A literal, or a path where the socket is a Unix socket.
        @raise ValueError: if this socket cannot reach it.
        """
        toPeer = getattr(self._open, "toPeer", None)
        return (host, port) if toPeer is None else toPeer(host, port)

    @property
    def _open(self) -> Any:
        if self.transport is None:
            raise SocketClosed("the socket is not open")
        return self.transport

    # The transport's side

    def startProtocol(self) -> None:
        """The socket is open; if there was another before, nothing is known of its peers."""
        self.isOpen = True
        if self._wasOpen:
            self._exchanges = self._newExchanges()
        self._wasOpen = True
        transport: Any = self.transport
        if ITransport.providedBy(transport):
            self._send = transport.send
            self._endsTurns = True

    def stopProtocol(self) -> None:
        """The socket is closed: what waits for anything fails."""
        self.isOpen = False
        self._endsTurns = False
        self._send = self._write
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        self._callAt = NEVER
        now = self.now()
        error = SocketClosed("the socket was closed")
        # What is told may answer by cancelling others: each is taken out before it hears.
        while self._asked:
            exchange, asked = self._asked.popitem()
            self._exchanges.cancel(exchange, now)
            asked.errback(error)
        while self._pings:
            ping, pinged = self._pings.popitem()
            self._exchanges.cancelPing(ping, now)
            pinged.errback(error)
        while self._observing:
            exchange, observer = self._observing.popitem()
            self._exchanges.cancel(exchange, now)
            observer.failed(error)
        while self._observers:
            self._observers.pop().failed(error)
        self._exchanges.transfers.forgetAll()
        while self._served:
            served, tell = self._served.popitem()
            served.state = Reception.FORGOTTEN
            tell(error)
        for relation in self._exchanges.notifier.endAll(now):
            relation.owner.observerLeft(relation, error)
        # Those that waited for their turn had it by then.
        self._exchanges.datagramsToSend()

    def datagramReceived(self, data: bytes, peer: Any, local: Any = None) -> None:
        """A datagram came; see L{IDatagramReceiver}."""
        if self.trace is not None:
            self.trace("received", data, peer)
        event = self._exchanges.receiveDatagram(data, peer, local, self.now())
        if isinstance(event, IncomingRequest):
            if self.site is None:
                self._exchanges.resetRequest(event)
            else:
                self.site.requestReceived(self, event)
        elif event is not None:
            self._deliver(event)
        if not self._endsTurns:
            self.turnEnded()

    def datagramUnreachable(self, data: bytes, peer: Any, error: int) -> None:
        """The network returned a datagram of ours; see L{IDatagramReceiver}."""
        event = self._exchanges.receiveUnreachable(data, peer, error, self.now())
        if event is not None:
            self._deliver(event)

    def turnEnded(self) -> None:
        """Send what is to be sent, and see that the next deadline is met; see L{IDatagramReceiver}."""
        try:
            self._flush()
        finally:
            # Whatever fails, a trace say, time goes on for the rest.
            self._schedule()

    def _schedule(self) -> None:
        due = self._exchanges.next()
        if due < self._callAt and self.isOpen:
            if self._call is not None:
                self._call.cancel()
            self._callAt = due
            self._call = self.reactor.callLater(max(0.0, due - self.now()), self._expire)

    def _expire(self) -> None:
        # A call can come a rounding error early; the machines must not find that nothing is due.
        now = max(self._callAt, self.now())
        self._call = None
        self._callAt = NEVER
        try:
            for event in self._exchanges.expire(now):
                self._deliver(event)
        finally:
            self.turnEnded()

    def _flush(self) -> None:
        """Send what the machines want sent."""
        for data, peer, local in self._exchanges.datagramsToSend():
            if self.trace is not None:
                self.trace("sent", data, peer)
            error = self._send(data, peer, local)
            if error is not None:
                event = self._exchanges.receiveUnreachable(data, peer, error, self.now())
                if event is not None:
                    self._deliver(event)
                    self._flush()

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

    # What happened

    def _deliver(self, event: Event) -> None:
        # Of several events at once, whoever is told of the first may cancel what the others are about.
        _DELIVERIES[type(event)](self, event)

    def _responseReceived(self, event: ResponseReceived) -> None:
        exchange = event.exchange
        observer = self._observing.get(exchange)
        if observer is None:
            asked = self._asked.pop(exchange, None)
            if asked is not None:
                asked.callback(event.datagram)
            return
        if exchange.progress is Progress.DONE:
            del self._observing[exchange]
        assert event.datagram is not None
        observer.received(event.datagram)

    def _requestFailed(self, event: RequestFailed) -> None:
        observer = self._observing.pop(event.exchange, None)
        if observer is None:
            asked = self._asked.pop(event.exchange, None)
            if asked is not None:
                asked.errback(event.error)
        else:
            observer.failed(event.error)

    def _relationEnded(self, event: RelationEnded) -> None:
        event.relation.owner.observerLeft(event.relation, event.error)

    def _requestForgotten(self, event: RequestForgotten) -> None:
        tell = self._served.pop(event.exchange, None)
        if tell is not None:
            tell(RequestError("the request was not answered within EXCHANGE_LIFETIME"))

    def _responseFailed(self, event: ResponseFailed) -> None:
        relation = self.findRelation(event.exchange.peer, event.exchange.token)
        if relation is not None and relation.messageID == event.exchange.messageID:
            # The response that began it came apart: it is a notification like any other (RFC 7641 3.6).
            self.endRelation(relation)
            relation.owner.observerLeft(relation, event.error)

    def _pingAnswered(self, event: PingAnswered) -> None:
        pinged = self._pings.pop(event.ping, None)
        if pinged is not None:
            pinged.callback(None)

    def _pingFailed(self, event: PingFailed) -> None:
        pinged = self._pings.pop(event.ping, None)
        if pinged is not None:
            pinged.errback(event.error)

    # What peers asked: for Site

    def respond(self, exchange: IncomingRequest, code: int, options: Options, payload: bytes) -> bool:
        """
        Answer a peer's request.

        @return: Whether it took the answer: one that is answered or forgotten does not.
        @raise MessageTooLarge: if it does not fit a datagram.
        """
        taken = self._exchanges.respond(exchange, code, options, payload, self.now())
        if self._served and self._served.pop(exchange, None) is not None:
            self.turnEnded()
        return taken

    def awaitAnswer(self, exchange: IncomingRequest, tell: Callable[[RequestError], None]) -> None:
        """A request is not answered at once: tell this if nobody waits for the answer any more."""
        self._served[exchange] = tell

    def acknowledge(self, exchange: IncomingRequest) -> None:
        """Acknowledge a request now; its response comes apart."""
        self._exchanges.acknowledge(exchange, self.now())
        self.turnEnded()

    def silence(self, exchange: IncomingRequest) -> None:
        """Acknowledge a request, if it asks for that, and answer nothing more."""
        self._exchanges.silence(exchange)
        self._served.pop(exchange, None)
        self._flush()

    def resetRequest(self, exchange: IncomingRequest) -> None:
        """Reject a request with a Reset."""
        self._exchanges.resetRequest(exchange)
        self._served.pop(exchange, None)
        self._flush()

    # Who observes: for ObservableResource

    def register(self, exchange: IncomingRequest, confirmable: bool, confirmEvery: int) -> Relation | None:
        """
        A peer observes from now on.

        @return: The relation, whose C{owner} is to be set; None if there is no place for one more.
        """
        old = self.findRelation(exchange.peer, exchange.token)
        relation = self._exchanges.notifier.register(exchange, confirmable, confirmEvery, self.now())
        if old is not None:
            old.owner.observerLeft(old, None)
        return relation

    def findRelation(self, peer: Hashable, token: bytes) -> Relation | None:
        """What a peer observes by a token."""
        return self._exchanges.notifier.find(peer, token)

    def deregister(self, peer: Hashable, token: bytes) -> None:
        """A peer does not observe any more what it observed by this token; nothing if it did not."""
        relation = self.findRelation(peer, token)
        if relation is not None:
            self.endRelation(relation)
            relation.owner.observerLeft(relation, None)

    def endRelation(self, relation: Relation) -> None:
        """Tell an observer nothing more."""
        self._exchanges.notifier.end(relation, self.now())

    def notify(
        self, relation: Relation, code: int, options: Options, payload: bytes, *, isLast: bool = False
    ) -> None:
        """Tell an observer; L{settle} is to be called afterwards."""
        now = self.now()
        self._exchanges.notifier.notify(relation, code, options, payload, now, isLast)

    def settle(self) -> None:
        """Send what is to be sent, and see that the next deadline is met."""
        self.turnEnded()

    # What we ask: for Agent

    def request(
        self,
        request: Request,
        peer: Hashable,
        *,
        confirmable: bool = True,
        token: bytes | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> Deferred[Datagram | None]:
        """
        Ask a peer.

        @param peer: Its address as the transport takes it: C{transport.toPeer(host, port)}.
        @param timeout: Seconds until the request fails; see
            L{Exchanges.request<txcoap.sansio.exchanges.Exchanges.request>}.
        @return: A Deferred of the message with the response, or of None if No-Response asked for
            none. It fails with a L{RequestError}. Cancelling it takes the request back.
        @raise RequestError: if the socket is not open, or a limit stands against it.
        @raise ValueError: if the token is longer than 8 bytes, or the message than a datagram.
        """
        self._requireOpen()
        exchange = self._exchanges.request(
            request,
            peer,
            self.now(),
            confirmable=confirmable,
            token=token,
            parameters=parameters,
            timeout=timeout,
        )
        waiting: Deferred[Datagram | None] = Deferred(lambda _: self._cancel(exchange))
        self._asked[exchange] = waiting
        self._flush()
        if self._exchanges.isSettled(exchange) and exchange in self._asked:
            self._cancel(exchange)
            waiting.callback(None)
        self.turnEnded()
        return waiting

    def _requireOpen(self) -> None:
        if not self.isOpen:
            raise SocketClosed("the socket is not open")

    def observe(
        self,
        request: Request,
        peer: Hashable,
        observer: Observer,
        *,
        token: bytes,
        confirmable: bool = True,
        parameters: Parameters | None = None,
        renewing: bool = False,
    ) -> OutgoingRequest:
        """
        Ask a peer, and stay open for more responses as long as they carry Observe (RFC 7641).

        @param observer: What takes the responses, and the failure; also that the socket is closed, until
            it is given to L{unobserve}.
        @param renewing: Whether this token observes already.
        @return: The exchange, for L{forget}.
        @raise RequestError: if the socket is not open, or a limit stands against it.
        """
        self._requireOpen()
        exchange = self._exchanges.request(
            request,
            peer,
            self.now(),
            confirmable=confirmable,
            token=token,
            parameters=parameters,
            lasting=True,
            renewing=renewing,
        )
        self._observers.add(observer)
        self._observing[exchange] = observer
        self.settle()
        return exchange

    def unobserve(self, observer: Observer) -> None:
        """Tell it nothing more."""
        self._observers.discard(observer)

    def forget(self, exchange: OutgoingRequest) -> None:
        """Take no more responses: what comes is rejected with a Reset."""
        self._observing.pop(exchange, None)
        self._exchanges.cancel(exchange, self.now())
        self.settle()

    def _cancel(self, exchange: OutgoingRequest) -> None:
        self._asked.pop(exchange, None)
        self._exchanges.cancel(exchange, self.now())
        self._flush()
        # The next request may have its turn.
        self.turnEnded()

    def ping(
        self, peer: Hashable, *, parameters: Parameters | None = None, timeout: float | None = None
    ) -> Deferred[None]:
        """
        Ask whether a peer is there (RFC 7252 4.3).

        @param timeout: Seconds until it fails; by default MAX_TRANSMIT_WAIT.
        @return: A Deferred that fires with None once the peer answers, and fails with
            L{NoAcknowledgement<txcoap.errors.NoAcknowledgement>} if it does not.
        @raise RequestError: if the socket is not open, or a limit stands against it.
        """
        self._requireOpen()
        ping = self._exchanges.ping(peer, self.now(), parameters, timeout)
        waiting: Deferred[None] = Deferred(lambda _: self._cancelPing(ping))
        self._pings[ping] = waiting
        self.turnEnded()
        return waiting

    def _cancelPing(self, ping: Transmission) -> None:
        self._pings.pop(ping, None)
        self._exchanges.cancelPing(ping, self.now())


_DELIVERIES: dict[type, Callable[[CoAPProtocol, Any], None]] = {
    ResponseReceived: CoAPProtocol._responseReceived,
    RequestFailed: CoAPProtocol._requestFailed,
    RequestForgotten: CoAPProtocol._requestForgotten,
    ResponseFailed: CoAPProtocol._responseFailed,
    PingAnswered: CoAPProtocol._pingAnswered,
    PingFailed: CoAPProtocol._pingFailed,
    RelationEnded: CoAPProtocol._relationEnded,
}
