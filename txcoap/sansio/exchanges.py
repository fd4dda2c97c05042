"""
Requests and responses (RFC 7252 5): which response belongs to which request, in both roles.

One L{Exchanges} stands on one L{Messaging<txcoap.sansio.messaging.Messaging>}. A response belongs to the
open request of ours with its token, to the peer that it comes from; one that acknowledges must
acknowledge that request's own message too (5.3.2).

What asks for options that are not understood is met as RFC 7252 5.4.1 says::

                  a request                     a response
    CON           4.02                          Reset, and our request fails
    NON           nothing                       nothing
    ACK                                         our request fails

A proxy passes on what it does not know, if that is safe to forward (5.7.1): such options of requests to it,
and of responses that it relays, are left to it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ..codes import Code
from ..errors import (
    MalformedResponse,
    MessageTooLarge,
    NoAcknowledgement,
    NoResponse,
    RequestError,
    ResetReceived,
    TokenInUse,
)
from ..limits import DEFAULT_LIMITS, Limits
from ..message import Request
from ..options import NO_OPTIONS, Options, nameOf
from ..parameters import DEFAULT_PARAMETERS, Parameters
from .clients import ClientOf, NamingMessaging
from .counters import Counters
from .datagrams import ACK, MAX_TOKEN_LENGTH, NON, Datagram
from .echo import EchoKey, ForAWhile
from .events import (
    Event,
    GroupRequest,
    IncomingRequest,
    OutgoingRequest,
    PingAnswered,
    PingFailed,
    Progress,
    RequestFailed,
    ResponseFailed,
    ResponseReceived,
)
from .groups import Groups
from .health import Health, healthOf
from .messaging import Arrival, Messaging, Report
from .notifying import Notifier
from .observations import Relation
from .shares import HostOf, hostOf
from .transfers import Transfers
from .transmissions import Chance, Ended, Transmission

__all__ = ["Exchanges", "wantsNothing"]

# RFC 7252 5.3.1 asks for at least 32 random bits where an answer could be forged from afar.
TOKEN_LENGTH = 4

_WHY_NO_RESPONSE = {
    Progress.WAITING: "waited for its turn",
    Progress.SENT: "was sent non-confirmable, and not answered",
    Progress.ACKNOWLEDGED: "was acknowledged, but not answered",
}

# RFC 7967 2.1: the classes of response that a client does not care for, as bits of No-Response.
_ALL_CLASSES = 2 | 8 | 16


class Exchanges:
    """
    All exchanges over one socket, those that peers begin and our own.

    @param chance: C{random.SystemRandom()}, or in tests a seeded C{random.Random}.
    @param parameters: For requests that do not say otherwise, and all that peers ask.
    @param limits: The bounds of what peers can make grow.
    @param epoch: Seconds to add to C{now} for the time of day.
    @param hostOf: Whose share of a limit a peer uses.
    @param forwards: Whether what is served includes a forward proxy.
    @param clientOf: Tells clients by name; None for by their addresses.
    """

    def __init__(
        self,
        chance: Chance,
        parameters: Parameters = DEFAULT_PARAMETERS,
        limits: Limits = DEFAULT_LIMITS,
        epoch: float = 0.0,
        hostOf: HostOf = hostOf,
        forwards: bool = False,
        clientOf: ClientOf | None = None,
    ) -> None:
        self.parameters = parameters
        self.limits = limits
        self._forwards = forwards
        self._chance = chance
        self._highest: dict[str, int] = {}
        self._messaging = (
            Messaging(parameters, limits, chance, hostOf)
            if clientOf is None
            else NamingMessaging(parameters, limits, chance, hostOf, clientOf)
        )
        self._transmissions = self._messaging.transmissions
        self.transfers = Transfers(
            limits, parameters.EXCHANGE_LIFETIME, self._transmissions.deadlines, self.counters, hostOf
        )
        self.notifier = Notifier(self._transmissions, limits.observers, epoch)
        self._groups = Groups(self._messaging, limits)
        self._open: dict[tuple[Hashable, bytes], OutgoingRequest] = {}
        self._echoKey: EchoKey | None = None
        # The newest that each peer gave us.
        self._echoes: ForAWhile[bytes] = ForAWhile(
            limits.echoes, parameters.EXCHANGE_LIFETIME, self._transmissions.deadlines
        )
        # The rest of the face is that of the layers below.
        self.datagramsToSend = self._transmissions.datagramsToSend
        self.next = self._messaging.next
        self.defer = self._messaging.defer
        self.respond = self._messaging.respond
        self.acknowledge = self._messaging.acknowledge
        self.resetRequest = self._messaging.resetRequest
        self.silence = self._messaging.silence

    @property
    def counters(self) -> Counters:
        """What was counted so far."""
        return self._messaging.counters

    def sizes(self) -> dict[str, int]:
        """How much is in each table."""
        return {
            "openRequests": len(self._open),
            "groupRequests": len(self._groups),
            **self._messaging.sizes(),
            **self.transfers.sizes(),
            "observers": len(self.notifier),
            "echoes": len(self._echoes),
            "provenAddresses": 0,
        }

    def noteSizes(self) -> None:
        """Remember for L{health} how large the tables are; to be called now and then."""
        highest = self._highest
        for name, size in self.sizes().items():
            if size > highest.get(name, 0):
                highest[name] = size

    def health(self) -> Health:
        """What was counted, and the tables, as they are now."""
        self.noteSizes()
        return healthOf(self.counters, self.sizes(), self._highest, self.limits)

    # What comes

    def receiveDatagram(
        self, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> IncomingRequest | Event | None:
        """
        A datagram came.

        @param peer: From whom; a hashable address that the transport understands.
        @param local: At which of our addresses, for the transport to answer from; None if it is clear.
        @return: A request to respond to, at once, or L{defer}; something that happened; or None.
        """
        report = self._messaging.receiveDatagram(data, peer, local, now)
        if report is None:
            return None
        if type(report) is IncomingRequest:
            options = report.options
            if (
                not options.isUnderstood
                and options.unrecognized
                and not (self._forwards and _isToBeForwarded(options))
            ):
                self._refuse(report, now)
                return None
            return report
        if type(report) is Transmission:
            return self._ended(report.owner, report, None, now)
        return self._translate(report, now)

    def receiveGroupDatagram(
        self, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> IncomingRequest | None:
        """
        A datagram came that was sent to a group: it can be a request to answer, and nothing else.

        @return: The request, of L{GroupInquiry<txcoap.sansio.events.GroupInquiry>}, or None.
        """
        request = self._messaging.receiveGroupDatagram(data, peer, local, now)
        if request is not None and request.options.unrecognized:
            self._messaging.silence(request)
            return None
        return request

    def receiveUnreachable(self, data: bytes, peer: Hashable, error: int, now: float) -> Event | None:
        """
        The network returned a datagram of ours.

        @param data: The start of that datagram.
        @param error: The system's error number.
        """
        ended = self._transmissions.receiveUnreachable(data, peer, error, now)
        return None if ended is None else self._translate(ended, now)

    def expire(self, now: float) -> list[Event]:
        """Do what is due at this time; what happened by that."""
        events = [self._translate(report, now) for report in self._messaging.expire(now)]
        return [event for event in events if event is not None]

    def _translate(self, report: Report | Event, now: float) -> Event | None:
        if isinstance(report, Ended):
            return self._ended(report.owner, report.transmission, report.error, now)
        if isinstance(report, Arrival):
            return self._arrived(report, now)
        assert isinstance(report, Event)
        return report

    def _refuse(self, request: IncomingRequest, now: float) -> None:
        """Refuse a request for its critical options."""
        if request.confirmable:
            names = ", ".join(map(nameOf, request.options.unrecognized))
            text = f"not understood: {names}".encode()
            self.respond(request, Code.BAD_OPTION, NO_OPTIONS, text, now)
        else:
            self._messaging.silence(request)

    def _arrived(self, arrival: Arrival, now: float) -> Event | None:
        datagram = arrival.datagram
        exchange = self._open.get((arrival.peer, datagram.token))
        if (
            exchange is None
            or exchange.progress is Progress.WAITING
            or (datagram.type == ACK and exchange.transmission is not arrival.transmission)
        ):
            if exchange is None and datagram.token in self._groups:
                return self._groups.arrived(arrival, now)
            self._messaging.reject(arrival, now)
            return None
        self._transmissions.heardFrom(arrival.peer)
        if datagram.options.unrecognized and (not exchange.relaying or datagram.options.unforwardable):
            self._messaging.reject(arrival, now)
            if datagram.type == NON:
                return None
            names = ", ".join(map(nameOf, datagram.options.unrecognized))
            text = f"the response {datagram.code!s} needs {names}, not understood"
            return self._fail(exchange, MalformedResponse(text), now)
        self._messaging.accept(arrival, now)
        if not datagram.options.isPlain and self._proveTo(exchange, datagram, now):
            return None
        isNotification = exchange.lasting and datagram.code.isSuccess and datagram.options.observe is not None
        if (
            isNotification
            and exchange.renewing
            and exchange.confirmable
            and exchange.progress is Progress.SENT
            and datagram.type != ACK
        ):
            return ResponseReceived(exchange, datagram)
        if exchange.progress is not Progress.LASTING:
            self.counters.roundTrips.add(now - exchange.began)
        self._close(exchange, now)
        if isNotification:
            exchange.progress = Progress.LASTING
            self._open[exchange.peer, exchange.token] = exchange
        return ResponseReceived(exchange, datagram)

    def _ended(
        self, owner: Any, transmission: Transmission | None, error: RequestError | None, now: float
    ) -> Event | None:
        """A message of ours was acknowledged, or ended otherwise: its owner knows what that means."""
        if type(owner) is Relation:
            return self.notifier.ended(owner, transmission, error, now)
        if owner is None and transmission is not None:
            # An empty message is answered with a Reset; some peers acknowledge it instead.
            if error is None or isinstance(error, ResetReceived):
                return PingAnswered(transmission)
            return PingFailed(transmission, error)
        if isinstance(owner, IncomingRequest):
            return None if error is None else ResponseFailed(owner, error)
        if error is not None:
            return self._fail(owner, error, now)
        return self._acknowledged(owner, now)

    # What peers asked

    def newEcho(self, peer: Hashable, now: float) -> bytes:
        """An Echo for a peer to return (RFC 9175 2)."""
        if self._echoKey is None:
            self._echoKey = EchoKey(self._chance.getrandbits(256).to_bytes(32, "big"))
        return self._echoKey.make(peer, now)

    def freshness(self, request: IncomingRequest, now: float) -> float | None:
        """How many seconds old a request is at most, by the Echo of ours that it returns; None without."""
        if self._echoKey is None or request.options.isPlain:
            return None
        echo = request.options.echo
        return None if echo is None else self._echoKey.age(echo, request.peer, now)

    # What we ask

    def request(
        self,
        request: Request,
        peer: Hashable,
        now: float,
        *,
        confirmable: bool = True,
        token: bytes | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
        local: Hashable = None,
        lasting: bool = False,
        renewing: bool = False,
        relaying: bool = False,
    ) -> OutgoingRequest:
        """
        Ask a peer.

        @param token: 0 to 8 bytes; by default random ones.
        @param timeout: Seconds until it fails, waiting for its turn included. By default it fails when
            no transmission was acknowledged, EXCHANGE_LIFETIME after an empty acknowledgement, and
            MAX_TRANSMIT_WAIT after a non-confirmable request was sent.
        @param lasting: Whether it stays open for more responses, as long as they carry Observe.
        @param renewing: Whether a response may be a notification from before this request; then only one
            in the acknowledgement ends its repetition.
        @param relaying: Whether the response goes on to someone else, with the options that are safe to
            forward.
        @return: The exchange, to know its events by.
        @raise RequestError: if a limit stands against it; then nothing has changed.
        @raise ValueError: if the token is too long; likewise.
        """
        token = self._tokenFor(peer, token)
        parameters = parameters or self.parameters
        exchange = OutgoingRequest(request, peer, local, confirmable, token, parameters)
        exchange.lasting = lasting
        exchange.renewing = renewing
        exchange.began = now
        exchange.relaying = relaying
        if self._echoes and not relaying:
            self._addEcho(exchange, now)
        self._transmissions.submit(exchange, now)
        self._open[peer, token] = exchange
        if timeout is not None:
            exchange.timeout = timeout
            self._expect(exchange, now + timeout)
        elif not confirmable:
            self._expect(exchange, now + parameters.MAX_TRANSMIT_WAIT)
        return exchange

    def requestGroup(
        self,
        request: Request,
        group: Hashable,
        seconds: float,
        now: float,
        *,
        token: bytes | None = None,
        parameters: Parameters | None = None,
        local: Hashable = None,
    ) -> GroupRequest:
        """
        Ask a group (RFC 7252 8), by a message that is not confirmable.

        @param seconds: For how long responses are taken.
        @param token: As for L{request}. It is used for nothing else until no late response can come.
        @param local: From which of our addresses, by which interface; the transport's own matter.
        @return: The exchange, to know its events by; L{cancel} ends it early.
        @raise RequestError: if a limit stands against it; then nothing has changed.
        """
        token = self._tokenFor(group, token)
        return self._groups.ask(request, group, token, parameters or self.parameters, seconds, local, now)

    def _addEcho(self, exchange: OutgoingRequest, now: float) -> None:
        echo = self._echoes.get(exchange.peer, now)
        if echo is not None and exchange.request.options.echo is None:
            exchange.carry(echo)

    def _proveTo(self, exchange: OutgoingRequest, datagram: Datagram, now: float) -> bool:
        """
        A peer gave us an Echo: keep it, and if its request was refused for want of one, repeat that with
        it, once (RFC 9175 2.3). An Echo that the user gave is the user's matter, and one for a request that
        is relayed its client's, who alone can make the request anew.

        @return: Whether the request goes out again.
        """
        echo = datagram.options.echo
        request = exchange.request
        isForOthers = exchange.relaying or (request.options.echo is not None and exchange.echo is None)
        if echo is None or isForOthers:
            return False
        self._echoes.set(exchange.peer, echo, now)
        if datagram.code != Code.UNAUTHORIZED or exchange.hasProven:
            return False
        deadline = None if exchange.deadline is None else exchange.deadline.when
        self._close(exchange, now)
        exchange.hasProven = True
        exchange.progress = Progress.WAITING
        exchange.carry(echo)
        try:
            self._transmissions.submit(exchange, now)
        except (RequestError, MessageTooLarge):
            exchange.progress = Progress.DONE
            return False
        self._open[exchange.peer, exchange.token] = exchange
        if exchange.timeout is not None and deadline is not None:
            self._expect(exchange, deadline)
        elif not exchange.confirmable:
            self._expect(exchange, now + exchange.parameters.MAX_TRANSMIT_WAIT)
        return True

    def cancel(self, exchange: OutgoingRequest, now: float) -> None:
        """Give a request up: nothing more is sent for it, and nothing of it is left in any table."""
        if exchange.progress is not Progress.DONE:
            self._close(exchange, now)

    def isSettled(self, exchange: OutgoingRequest) -> bool:
        """
        Whether a request that was just sent wants no response at all and is not confirmable: nothing
        will be heard of it (RFC 7967 2).
        """
        return not exchange.confirmable and wantsNothing(exchange.request.options)

    def ping(
        self,
        peer: Hashable,
        now: float,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> Transmission:
        """
        Ask whether a peer is there (RFC 7252 4.3).

        @param timeout: Seconds until it fails; by default MAX_TRANSMIT_WAIT.
        @return: The ping, to know its event by.
        @raise RequestError: if a limit stands against it.
        """
        return self._transmissions.ping(peer, parameters or self.parameters, now, timeout)

    def cancelPing(self, ping: Transmission, now: float) -> None:
        """Send a ping no more."""
        self._transmissions.finish(ping, now)

    def freeTag(self) -> bytes:
        """A Request-Tag that no request under way is likely to have (RFC 9175 3)."""
        return self._chance.getrandbits(32).to_bytes(4, "big")

    def freeToken(self, peer: Hashable) -> bytes:
        """A token that no open request to a peer has."""
        while True:
            token = self._chance.getrandbits(8 * TOKEN_LENGTH).to_bytes(TOKEN_LENGTH, "big")
            if (peer, token) not in self._open and token not in self._groups:  # pragma: no branch - by chance
                return token

    def _tokenFor(self, peer: Hashable, token: bytes | None) -> bytes:
        """The token that was asked for, if it can be had, or else a free one."""
        if token is None:
            return self.freeToken(peer)
        if not isinstance(token, bytes):
            raise TypeError(f"a token is bytes; got {token!r}")
        if len(token) > MAX_TOKEN_LENGTH:
            raise ValueError(f"a token has at most {MAX_TOKEN_LENGTH} bytes; got {token.hex()!r}")
        if (peer, token) in self._open or token in self._groups:
            raise TokenInUse(f"a request with token {token.hex()!r} to {peer} is still open")
        return token

    def _expect(self, exchange: OutgoingRequest, when: float) -> None:
        deadlines = self._transmissions.deadlines
        deadlines.cancel(exchange.deadline)
        exchange.deadline = deadlines.set(when, self._tooLate, exchange)

    def _acknowledged(self, exchange: OutgoingRequest, now: float) -> Event | None:
        """The response will come apart; if any is wanted."""
        exchange.progress = Progress.ACKNOWLEDGED
        if wantsNothing(exchange.request.options):
            self._close(exchange, now)
            return ResponseReceived(exchange, None)
        if exchange.timeout is None:
            self._expect(exchange, now + exchange.parameters.EXCHANGE_LIFETIME)
        return None

    def _tooLate(self, exchange: OutgoingRequest, now: float) -> Event:
        progress = exchange.progress
        arrived = progress is Progress.ACKNOWLEDGED or (
            progress is Progress.SENT and not exchange.confirmable
        )
        if arrived and exchange.request.options.noResponse:
            # Silence is what was asked for.
            self._close(exchange, now)
            return ResponseReceived(exchange, None)
        peer, parameters = exchange.peer, exchange.parameters
        seconds = exchange.timeout
        if seconds is None:
            seconds = parameters.EXCHANGE_LIFETIME if exchange.confirmable else parameters.MAX_TRANSMIT_WAIT
        if exchange.confirmable and progress is Progress.SENT:
            return self._fail(exchange, NoAcknowledgement.after(seconds, peer), now)
        why = _WHY_NO_RESPONSE[progress]
        return self._fail(exchange, NoResponse.after(seconds, peer, why), now)

    def _fail(self, exchange: OutgoingRequest, error: RequestError, now: float) -> Event:
        self._close(exchange, now)
        return RequestFailed(exchange, error)

    def _close(self, exchange: OutgoingRequest, now: float) -> None:
        self._transmissions.deadlines.cancel(exchange.deadline)
        exchange.deadline = None
        self._open.pop((exchange.peer, exchange.token), None)
        self._transmissions.withdraw(exchange, now)


def wantsNothing(options: Options) -> bool:
    """Whether No-Response asks for no response of any class (RFC 7967 2.1)."""
    unwanted = options.noResponse
    return unwanted is not None and unwanted & _ALL_CLASSES == _ALL_CLASSES


def _isToBeForwarded(options: Options) -> bool:
    """Whether what is not recognized in a request is for a proxy to pass on."""
    isForProxy = Options.proxyUri.number in options or Options.proxyScheme.number in options
    return isForProxy and not options.unforwardable
