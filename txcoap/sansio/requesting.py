"""
Requests of ours (RFC 7252 5.2, 5.3), until each is answered or has failed.

A response belongs to the open request with its token, to the peer that it comes from; one that
acknowledges must acknowledge that request's own message too (5.3.2).
"""

from __future__ import annotations

from collections.abc import Hashable

from ..codes import Code
from ..errors import (
    MalformedResponse,
    MessageTooLarge,
    NoAcknowledgement,
    NoResponse,
    RequestError,
    TokenInUse,
)
from ..limits import Limits
from ..message import Request
from ..options import Options, nameOf
from ..parameters import Parameters
from ..spelling import writePeer
from .datagrams import ACK, MAX_TOKEN_LENGTH, Datagram
from .echo import ForAWhile
from .events import (
    DONE,
    LASTING,
    SENT,
    WAITING,
    Event,
    GroupRequest,
    OutgoingRequest,
    Progress,
    RequestFailed,
    ResponseReceived,
)
from .groups import Groups
from .messaging import Arrival, Garbled, Messaging
from .submissions import Submissions
from .transmission import Chance, Transmission

__all__ = ["Requesting", "wantsNothing"]

# RFC 7252 5.3.1 asks for at least 32 random bits where an answer could be forged from afar.
TOKEN_LENGTH = 4
_DRAWN = 64

_WHY_NO_RESPONSE = {
    WAITING: "waited for its turn",
    SENT: "was sent non-confirmable, and not answered",
    Progress.ACKNOWLEDGED: "was acknowledged, but not answered",
}

# RFC 7967 2.1: the classes of response that a client does not care for, as bits of No-Response.
_ALL_CLASSES = 2 | 8 | 16


class Requesting:
    """
    What L{Exchanges<txcoap.sansio.exchanges.Exchanges>} stands on: those that we began.

    @param messaging: What sends, and knows what comes.
    @param parameters: For requests that do not say otherwise.
    @param limits: The bounds of what peers can make grow.
    @param chance: For tokens.
    @ivar counters: What was counted so far.
    """

    def __init__(self, messaging: Messaging, parameters: Parameters, limits: Limits, chance: Chance) -> None:
        self.parameters = parameters
        self.limits = limits
        self.counters = messaging.counters
        self._chance = chance
        self._messaging = messaging
        self._transmissions = messaging.transmissions
        self._submissions = Submissions(messaging.transmissions, limits.queuedRequests)
        self._groups = Groups(messaging, limits)
        self._tokens: list[bytes] = []
        self._open: dict[tuple[Hashable, bytes], OutgoingRequest] = {}
        # The newest that each peer gave us.
        self._echoes: ForAWhile[bytes] = ForAWhile(
            limits.echoes, parameters.EXCHANGE_LIFETIME, self._transmissions.deadlines
        )

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
            MAX_TRANSMIT_WAIT after a non-confirmable request was made.
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
        self._submissions.submit(exchange, now)
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
        exchange.progress = WAITING
        exchange.carry(echo)
        try:
            self._submissions.submit(exchange, now)
        except (RequestError, MessageTooLarge):
            exchange.progress = DONE
            return False
        self._open[exchange.peer, exchange.token] = exchange
        if exchange.timeout is not None and deadline is not None:
            self._expect(exchange, deadline)
        elif not exchange.confirmable:
            self._expect(exchange, now + exchange.parameters.MAX_TRANSMIT_WAIT)
        return True

    def cancel(self, exchange: OutgoingRequest, now: float) -> None:
        """Give a request up: nothing more is sent for it, and nothing of it is left in any table."""
        if exchange.progress is not DONE:
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
        return self._submissions.ping(peer, parameters or self.parameters, now, timeout)

    def cancelPing(self, ping: Transmission, now: float) -> None:
        """Send a ping no more."""
        self._transmissions.finish(ping, now)

    def freeTag(self) -> bytes:
        """A Request-Tag that no request under way is likely to have (RFC 9175 3)."""
        return self._chance.getrandbits(32).to_bytes(4, "big")

    def freeToken(self, peer: Hashable) -> bytes:
        """A token that no open request to a peer has."""
        while True:
            token = (self._tokens or self._drawTokens()).pop()
            if (peer, token) not in self._open and token not in self._groups:  # pragma: no branch - by chance
                return token

    def _drawTokens(self) -> list[bytes]:
        # Each draw may ask the operating system: so many tokens are drawn at once.
        size = _DRAWN * TOKEN_LENGTH
        drawn = self._chance.getrandbits(8 * size).to_bytes(size, "big")
        self._tokens = [drawn[at : at + TOKEN_LENGTH] for at in range(0, size, TOKEN_LENGTH)]
        return self._tokens

    def _tokenFor(self, peer: Hashable, token: bytes | None) -> bytes:
        """The token that was asked for, if it can be had, or else a free one."""
        if token is None:
            return self.freeToken(peer)
        if not isinstance(token, bytes):
            raise TypeError(f"a token is bytes; got {token!r}")
        if len(token) > MAX_TOKEN_LENGTH:
            raise ValueError(f"a token has at most {MAX_TOKEN_LENGTH} bytes; got {token.hex()!r}")
        if (peer, token) in self._open or token in self._groups:
            raise TokenInUse(f"a request with token {token.hex()!r} to {writePeer(peer)} is still open")
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
        arrived = progress is Progress.ACKNOWLEDGED or (progress is SENT and not exchange.confirmable)
        if arrived and exchange.request.options.noResponse:
            # Silence is what was asked for.
            self._close(exchange, now)
            return ResponseReceived(exchange, None)
        peer, parameters = writePeer(exchange.peer), exchange.parameters
        seconds = exchange.timeout
        if seconds is None:
            seconds = parameters.EXCHANGE_LIFETIME if exchange.confirmable else parameters.MAX_TRANSMIT_WAIT
        if exchange.confirmable and progress is SENT:
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
        self._submissions.withdraw(exchange, now)

    # What comes of it

    def _refused(self, exchange: OutgoingRequest, arrival: Arrival, now: float) -> Event | None:
        """A response has critical options that are not understood (RFC 7252 5.4.1)."""
        self._messaging.reject(arrival)
        datagram = arrival.datagram
        names = ", ".join(map(nameOf, datagram.options.unrecognizedInResponse))
        text = f"the response {datagram.code!s} needs {names}, not understood"
        return self._fail(exchange, MalformedResponse(text), now)

    def _cameGarbled(self, garbled: Garbled, now: float) -> Event | None:
        """
        A response came that nobody can read: there is no use in waiting for another (RFC 7252 5.7.1). But of
        notifications the next may be better.
        """
        datagram = garbled.datagram
        exchange = self._open.get((garbled.peer, datagram.token))
        if exchange is None or exchange.progress in (WAITING, LASTING):
            return None
        if datagram.type == ACK and exchange.transmission is not garbled.transmission:
            return None
        self._transmissions.heardFrom(garbled.peer)
        text = f"the response {datagram.code!s} cannot be read: {garbled.reason}"
        return self._fail(exchange, MalformedResponse(text), now)

    def _arrived(self, arrival: Arrival, now: float) -> Event | None:
        datagram = arrival.datagram
        exchange = self._open.get((arrival.peer, datagram.token))
        if (
            exchange is None
            or exchange.progress is WAITING
            or (datagram.type == ACK and exchange.transmission is not arrival.transmission)
        ):
            if exchange is None and datagram.token in self._groups:
                return self._groups.arrived(arrival)
            self._messaging.reject(arrival)
            return None
        self._transmissions.heardFrom(arrival.peer)
        options = datagram.options
        if options.unrecognizedInResponse and (not exchange.relaying or options.unforwardableInResponse):
            return self._refused(exchange, arrival, now)
        self._messaging.accept(arrival)
        if not options.isPlain and self._proveTo(exchange, datagram, now):
            return None
        isNotification = exchange.lasting and datagram.code.isSuccess and options.observe is not None
        if (
            isNotification
            and exchange.renewing
            and exchange.confirmable
            and exchange.progress is SENT
            and datagram.type != ACK
        ):
            return ResponseReceived(exchange, datagram)
        if exchange.progress is not LASTING:
            self.counters.roundTrips.add(now - exchange.began)
        self._close(exchange, now)
        if isNotification:
            exchange.progress = LASTING
            self._open[exchange.peer, exchange.token] = exchange
        return ResponseReceived(exchange, datagram)


def wantsNothing(options: Options) -> bool:
    """Whether No-Response asks for no response of any class (RFC 7967 2.1)."""
    unwanted = options.noResponse
    return unwanted is not None and unwanted & _ALL_CLASSES == _ALL_CLASSES
