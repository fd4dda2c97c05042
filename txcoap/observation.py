"""
L{Observation}: what C{agent.observe} gives, the states of a resource as they come (RFC 7641 3).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from .addresses import addressOf, describeAddress
from .codes import Code
from .conversing import Conversation, Manner
from .errors import BodyChanged, MalformedResponse, ObservationEnded, RequestError
from .message import Request
from .protocol import CoAPProtocol
from .received import ReceivedResponse
from .sansio.datagrams import ACK, Datagram
from .sansio.events import OutgoingRequest
from .sansio.observations import Sequence
from .states import States

__all__ = ["Observation"]

# RFC 7641 3.3.1: a random time after Max-Age, so that observers do not all ask again at once.
_PATIENCE = (5.0, 15.0)

# The server may be there again when Max-Age is over, or the one behind a proxy.
_BACK_LATER = frozenset({Code.SERVICE_UNAVAILABLE, Code.GATEWAY_TIMEOUT})


class Observation(States):
    """
    The states of a resource as they come; how to take them is said in L{States}.

    An observation lasts until it is cancelled, or the server ends it. If nothing is heard for longer than
    the last state is fresh, it asks again by itself, and goes on asking while the server is silent; that of a
    proxy, which asks in the name of others, ends then.

    @ivar whenOver: A Deferred that fires with None when it needs its socket no more.
    """

    def __init__(self, request: Request, manner: Manner, protocol: CoAPProtocol, peer: Any) -> None:
        super().__init__(protocol)
        self.whenOver: Deferred[None] = Deferred()
        self._request = request
        self._manner = manner
        self._protocol = protocol
        self._peer = peer
        self._token = manner.token or protocol.freeToken(peer)
        self._sequence = Sequence()
        # Whether there was news since we asked last.
        self._heardSince = False
        self._exchange: OutgoingRequest | None = None
        self._fetching: Deferred[Any] | None = None
        self._again: IDelayedCall | None = None
        self._hasBegun = False
        # Until when the newest state holds.
        self._freshUntil = 0.0
        # When there has to be a first state.
        self._until: float | None = None
        self._begun: Deferred[Observation] = Deferred(lambda _: self._abandon())

    def __repr__(self) -> str:
        peer = describeAddress(addressOf(self._peer))
        return f"<{type(self).__name__} {self._state()}, of {self._request!r} at {peer}>"

    @property
    def isFresh(self) -> bool:
        """See L{States.isFresh}."""
        return self._protocol.now() < self._freshUntil

    # Ending

    def cancel(self, *, lazily: bool = False) -> Deferred[None]:
        """
        Observe no more.

        @param lazily: Only forget it: the next notification is answered with a Reset. Else the server is
            told at once (RFC 7641 3.6).
        @return: A Deferred that fires with None once the server has heard of it, or cannot be reached.
        """
        told: Deferred[None] = Deferred()
        if self._hasEnded or lazily or not self.isEstablished or self.reason is not None:
            # With a reason already, the server has ended it, and the last state is being shown.
            self._end(None)
            told.callback(None)
            return told
        self._end(None, isTelling=True)
        options = self._request.options.evolve(observe=1)
        request = Request(self._request.code, self._request.payload, options)
        # What the answer says does not matter: a large one is not fetched.
        telling = maybeDeferred(
            self._protocol.request,
            request,
            self._peer,
            token=self._token,
            confirmable=self._manner.confirmable,
            parameters=self._manner.parameters,
        )
        telling.addBoth(lambda result: self.whenOver.callback(None))
        telling.addBoth(lambda result: told.callback(None))
        return told

    def _abandon(self) -> None:
        """Its Deferred was cancelled before the first response came."""
        self._end(None)

    def _end(self, reason: RequestError | None, *, isTelling: bool = False) -> None:
        if self._hasEnded:
            return
        self._hasEnded = True
        self.reason = reason or self.reason
        self._quieten()
        self._protocol.unobserve(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._protocol.forget(exchange)
        self._tellEnd()
        if not self._hasBegun and reason is not None:
            self._begun.errback(reason)
        if not isTelling:
            self.whenOver.callback(None)

    def _quieten(self) -> None:
        """Leave no timer, and fetch nothing."""
        again, self._again = self._again, None
        if again is not None:
            again.cancel()
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            fetching.cancel()

    # Asking

    def begin(self, timeout: float | None) -> Deferred[Observation]:
        """
        Ask.

        @param timeout: Seconds for the first state, with all of its blocks; None for no end.
        @return: A Deferred that fires with this when that is here.
        """
        if timeout is not None:
            self._until = self._protocol.now() + timeout
        self._register()
        return self._begun

    def _patience(self) -> float | None:
        """Seconds that are left for the first state; None where nothing bounds it, as for any other."""
        if self._hasBegun or self._until is None:
            return None
        return max(0.0, self._until - self._protocol.now())

    def _register(self) -> None:
        self._again = None
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._protocol.forget(exchange)
        self._heardSince = False
        options = self._request.options.evolve(observe=0)
        request = Request(self._request.code, self._request.payload, options)
        try:
            self._exchange = self._protocol.observe(
                request,
                self._peer,
                self,
                token=self._token,
                confirmable=self._manner.confirmable,
                parameters=self._manner.parameters,
                timeout=self._patience(),
                renewing=self.isEstablished,
                relaying=self._manner.relaying,
            )
        except RequestError as e:
            self.failed(e)

    def _registerLater(self, freshness: float) -> None:
        if self._again is not None:
            self._again.cancel()
        least, most = _PATIENCE
        delay = freshness + least + (most - least) * self._protocol.chance.random()
        self._again = self._protocol.reactor.callLater(delay, self._register)

    # What comes

    def received(self, datagram: Datagram) -> None:
        """A response, or a notification; see L{Observer<txcoap.protocol.Observer>}."""
        response = ReceivedResponse(datagram, self._peer, self._protocol.getHost())
        number = datagram.options.observe
        if number is None or not datagram.code.isSuccess:
            self._exchange = None
            self._last(response)
            return
        if datagram.type == ACK and not self._heardSince:
            # It answers our last request, whatever the server's numbers are by now. Any other may be from
            # before that, and it may have been overtaken by one from after it.
            self._sequence.restart()
        if not self._sequence.accepts(number, self._protocol.now()):
            if self._again is None:
                self._registerLater(response.maxAge)
            return
        self.isEstablished = True
        self._heardSince = True
        self._quieten()
        self._registerLater(response.maxAge)
        block = datagram.options.block2
        if block is not None and block.more:
            self._fetchRest(response)
        else:
            self._take(response)

    def failed(self, error: RequestError) -> None:
        """No response came; see L{Observer<txcoap.protocol.Observer>}."""
        self._exchange = None
        if self._hasEnded:
            return
        if self._hasBegun and self._protocol.isOpen and not self._manner.relaying:
            # The server may be back later. Who observes by a proxy is told, and asks again if still there:
            # else what a client left behind would go on for as long as the server is silent.
            self._registerLater(0)
        else:
            self._end(error)

    def _last(self, response: ReceivedResponse) -> None:
        """The server does not take the observation, or not any longer."""
        if response.code in _BACK_LATER and self.isEstablished:
            self._registerLater(response.maxAge)
            return
        reason = ObservationEnded(f"the server answered {response.code} without Observe", response)
        self._quieten()
        if not response.code.isSuccess and self.isEstablished:
            self._end(reason)
            return
        block = response.options.block2
        if block is not None and block.more:
            self._fetchRest(response, reason)
        else:
            # Who is told of this state may ask at once why there will be no other.
            self.reason = reason
            self._take(response)
            self._end(reason)

    def _fetchRest(self, response: ReceivedResponse, reason: ObservationEnded | None = None) -> None:
        """Fetch the other blocks of a state (RFC 7959 2.6), unless a newer one comes first."""
        manner = self._manner.evolve(token=None)
        conversation = Conversation.begun(self._request, manner, self._protocol, self._peer, self._patience())

        async def fetch() -> ReceivedResponse:
            conversation.take(response)
            return await conversation.rest()

        def fetched(whole: ReceivedResponse) -> None:
            self._fetching = None
            self.reason = reason
            self._take(whole)
            if reason is not None:
                self._end(reason)

        def failed(failure: Failure) -> None:
            self._fetching = None
            if failure.check(CancelledError):
                return
            failure.trap(RequestError)
            error = failure.value
            assert isinstance(error, RequestError)
            if not (self._hasBegun or isinstance(error, BodyChanged)):
                self._end(error)
            elif reason is not None:
                self._end(reason)
            elif not (self._hasEnded or isinstance(error, MalformedResponse)):
                # The state changed again, or the server is gone: ask for the newest.
                self._registerLater(-_PATIENCE[0])

        self._fetching = Deferred.fromCoroutine(fetch())
        self._fetching.addCallbacks(fetched, failed)

    def _take(self, response: ReceivedResponse) -> None:
        """A whole state is here."""
        self._newest = response
        self._freshUntil = self._protocol.now() + response.maxAge
        if not self._hasBegun:
            self._hasBegun = True
            self._begun.callback(self)
        self._offer()
