"""
L{CoAPProtocol}: CoAP over one socket, in both roles.

What peers ask goes to a L{Site<txcoap.server.Site>}, and its answers back; what we ask becomes Deferreds,
and what is observed, calls. The machines are driven by L{txcoap.driver}.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from .driver import Trace
from .errors import RequestError, SocketClosed
from .interfaces import ISite
from .limits import DEFAULT_LIMITS, Limits
from .message import Request
from .parameters import Parameters
from .sansio.clients import ClientOf
from .sansio.datagrams import Datagram
from .sansio.events import (
    Event,
    GroupOver,
    GroupRequest,
    GroupResponse,
    OutgoingRequest,
    PingAnswered,
    PingFailed,
    Progress,
    RelationEnded,
    RequestFailed,
    RequestForgotten,
    ResponseFailed,
    ResponseReceived,
)
from .sansio.guarding import exchangesFor
from .sansio.shares import HostOf, hostOf
from .sansio.transmission import Chance, Transmission
from .serving import Serving

__all__ = ["CoAPProtocol", "Gatherer", "Observer", "Trace"]


class Observer(Protocol):
    """What takes the responses to a request that observes."""

    def received(self, datagram: Datagram) -> None:
        """One came."""

    def failed(self, error: RequestError) -> None:
        """There will be none."""


class Gatherer(Protocol):
    """What takes the responses to a request to a group."""

    def received(self, datagram: Datagram, peer: Hashable) -> None:
        """One came from this peer."""

    def over(self) -> None:
        """The time is over: there will be no more."""

    def failed(self, error: RequestError) -> None:
        """There will be none, for this reason."""


class CoAPProtocol(Serving):
    """
    CoAP over one socket: C{reactor.listenUDP(5683, CoAPProtocol(Site(root)))}.

    On the ports of L{txcoap.transports.udp} it does everything that txcoap offers; on Twisted's own
    port the limits of that one hold: no link-local peers, and no word of closed ports.

    @param site: What peers' requests go to; without one they are rejected with a Reset.
    @param reactor: For the time, and one delayed call; by default the installed one.
    @param parameters: The transmission parameters; by default L{txcoap.parameters.getDefault}'s, as they are
        when the socket is opened, and for what we ask when we ask it.
    @param limits: The bounds of what peers can make grow.
    @param chance: For message IDs, tokens and time-outs; not guessable, but in tests.
    @param trace: Sees every datagram.
    @param hostOf: Whose share of a limit a peer uses, by its address; None for a peer that may take what
        it likes. By default the address without the port, of IPv6 its first 64 bits.
    @param clientOf: By which name a client is known, see L{Site<txcoap.server.Site>}.
    @param amplification: How many times the bytes of its request an address is sent that has not proven
        that it is its own (RFC 9175 2.4); None for no limit.
    """

    def __init__(
        self,
        site: ISite | None = None,
        reactor: Any = None,
        *,
        parameters: Parameters | None = None,
        limits: Limits = DEFAULT_LIMITS,
        chance: Chance | None = None,
        trace: Trace | None = None,
        hostOf: HostOf = hostOf,
        clientOf: ClientOf | None = None,
        amplification: float | None = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        machines = partial(exchangesFor(amplification), limits=limits, hostOf=hostOf, clientOf=clientOf)
        super().__init__(site, reactor, parameters, chance, trace, machines)
        # Those of our requests and pings that are under way.
        self._asked: dict[OutgoingRequest, Deferred[Datagram | None]] = {}
        self._pings: dict[Transmission, Deferred[None]] = {}
        # Those that observe: what takes the responses, and what takes the end.
        self._observing: dict[OutgoingRequest, Observer] = {}
        # All of them, those too that wait to ask again.
        self._observers: set[Observer] = set()
        # Our requests to groups, and what takes their responses.
        self._gathering: dict[GroupRequest, Gatherer] = {}

    def stopProtocol(self) -> None:
        """The socket is closed: what waits for anything fails."""
        super().stopProtocol()
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
        while self._gathering:
            gathered, gatherer = self._gathering.popitem()
            self._exchanges.cancel(gathered, now)
            gatherer.failed(error)
        while self._observers:
            self._observers.pop().failed(error)
        self._serveNoMore(error, now)
        # Those that waited for their turn had it by then.
        self._exchanges.datagramsToSend()

    # What happened

    def _deliver(self, event: Event) -> None:
        # Of several events at once, whoever is told of the first may cancel what the others are about.
        _DELIVERIES[type(event)](self, event)

    def _responseReceived(self, event: ResponseReceived) -> None:
        exchange = event.exchange
        observer = self._observing.get(exchange)
        if observer is None:
            asked = self._asked.pop(exchange, None)
            if asked is not None:  # pragma: no branch - see _deliver
                asked.callback(event.datagram)
            return
        if exchange.progress is Progress.DONE:
            del self._observing[exchange]
        assert event.datagram is not None
        observer.received(event.datagram)

    def _groupAnswered(self, event: GroupResponse) -> None:
        gatherer = self._gathering.get(event.exchange)
        if gatherer is not None:  # pragma: no branch - see _deliver
            gatherer.received(event.datagram, event.peer)

    def _groupOver(self, event: GroupOver) -> None:
        gatherer = self._gathering.pop(event.exchange, None)
        if gatherer is not None:
            gatherer.over()

    def _requestFailed(self, event: RequestFailed) -> None:
        if isinstance(event.exchange, GroupRequest):
            gatherer = self._gathering.pop(event.exchange, None)
            if gatherer is not None:  # pragma: no branch - see _deliver
                gatherer.failed(event.error)
            return
        observer = self._observing.pop(event.exchange, None)
        if observer is None:
            asked = self._asked.pop(event.exchange, None)
            if asked is not None:
                asked.errback(event.error)
        else:
            observer.failed(event.error)

    def _pingAnswered(self, event: PingAnswered) -> None:
        pinged = self._pings.pop(event.ping, None)
        if pinged is not None:  # pragma: no branch - see _deliver
            pinged.callback(None)

    def _pingFailed(self, event: PingFailed) -> None:
        pinged = self._pings.pop(event.ping, None)
        if pinged is not None:
            pinged.errback(event.error)

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
        relaying: bool = False,
    ) -> Deferred[Datagram | None]:
        """
        Ask a peer.

        @param peer: Its address as the transport takes it: C{transport.toPeer(host, port)}.
        @param timeout: Seconds until the request fails; see
            L{Exchanges.request<txcoap.sansio.exchanges.Exchanges.request>}.
        @param relaying: Likewise.
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
            parameters=parameters or self.parameters,
            timeout=timeout,
            relaying=relaying,
        )
        waiting: Deferred[Datagram | None] = Deferred(lambda _: self._cancel(exchange))
        self._asked[exchange] = waiting
        if self._exchanges.isSettled(exchange):
            self._flush()
            if exchange in self._asked:
                self._cancel(exchange)
                waiting.callback(None)
        self.sendSoon()
        return waiting

    def _requireOpen(self) -> None:
        if not self.isOpen:
            raise SocketClosed("the socket is not open: nobody listens by it yet, or it was closed")

    def observe(
        self,
        request: Request,
        peer: Hashable,
        observer: Observer,
        *,
        token: bytes,
        confirmable: bool = True,
        parameters: Parameters | None = None,
        timeout: float | None = None,
        renewing: bool = False,
        relaying: bool = False,
    ) -> OutgoingRequest:
        """
        Ask a peer, and stay open for more responses as long as they carry Observe (RFC 7641).

        @param observer: What takes the responses, and the failure; also that the socket is closed, until
            it is given to L{unobserve}.
        @param timeout: Seconds until it fails for want of a first response, as for L{request}.
        @param renewing: Whether this token observes already.
        @param relaying: Whether what comes goes on to someone else.
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
            parameters=parameters or self.parameters,
            timeout=timeout,
            lasting=True,
            renewing=renewing,
            relaying=relaying,
        )
        self._observers.add(observer)
        self._observing[exchange] = observer
        self.sendSoon()
        return exchange

    def unobserve(self, observer: Observer) -> None:
        """Tell it nothing more."""
        self._observers.discard(observer)

    def forget(self, exchange: OutgoingRequest) -> None:
        """Take no more responses: what comes is rejected with a Reset."""
        self._observing.pop(exchange, None)
        self._exchanges.cancel(exchange, self.now())
        self.sendSoon()

    def gather(
        self,
        request: Request,
        group: Hashable,
        gatherer: Gatherer,
        seconds: float,
        *,
        token: bytes | None = None,
        parameters: Parameters | None = None,
        local: Any = None,
    ) -> GroupRequest:
        """
        Ask a group (RFC 7252 8).

        @param group: Its address as the transport takes it.
        @param gatherer: What takes the responses, and the end.
        @param seconds: For how long responses are taken.
        @param local: What the transport is to send it by, such as its C{byInterface} gives.
        @return: The exchange, for L{release}.
        @raise RequestError: if the socket is not open, or a limit stands against it.
        """
        self._requireOpen()
        exchange = self._exchanges.requestGroup(
            request, group, seconds, self.now(), token=token, parameters=parameters, local=local
        )
        self._gathering[exchange] = gatherer
        self.sendSoon()
        if self._exchanges.isSettled(exchange) and exchange in self._gathering:
            self.release(exchange)
            gatherer.over()
        return exchange

    def release(self, exchange: GroupRequest) -> None:
        """Take no more responses from a group."""
        self._gathering.pop(exchange, None)
        self._exchanges.cancel(exchange, self.now())
        self.sendSoon()

    def _cancel(self, exchange: OutgoingRequest) -> None:
        self._asked.pop(exchange, None)
        self._exchanges.cancel(exchange, self.now())
        # The next request may have its turn.
        self.sendSoon()

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
        ping = self._exchanges.ping(peer, self.now(), parameters or self.parameters, timeout)
        waiting: Deferred[None] = Deferred(lambda _: self._cancelPing(ping))
        self._pings[ping] = waiting
        self.sendSoon()
        return waiting

    def _cancelPing(self, ping: Transmission) -> None:
        self._pings.pop(ping, None)
        self._exchanges.cancelPing(ping, self.now())


_DELIVERIES: dict[type, Callable[[CoAPProtocol, Any], None]] = {
    ResponseReceived: CoAPProtocol._responseReceived,
    GroupResponse: CoAPProtocol._groupAnswered,
    GroupOver: CoAPProtocol._groupOver,
    RequestFailed: CoAPProtocol._requestFailed,
    RequestForgotten: CoAPProtocol._requestForgotten,
    ResponseFailed: CoAPProtocol._responseFailed,
    PingAnswered: CoAPProtocol._pingAnswered,
    PingFailed: CoAPProtocol._pingFailed,
    RelationEnded: CoAPProtocol._relationEnded,
}
