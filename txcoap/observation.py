"""
L{Observation}: what C{agent.observe} gives, the states of a resource as they come (RFC 7641 3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from .bodies import Conversation, Manner, askingFor
from .codes import Code
from .errors import BodyChanged, MalformedResponse, ObservationEnded, RequestError
from .message import Request
from .protocol import CoAPProtocol
from .received import ReceivedResponse
from .sansio.datagrams import ACK, Datagram
from .sansio.events import OutgoingRequest
from .sansio.observations import Sequence

__all__ = ["Observation"]

# RFC 7641 3.3.1: a random time after Max-Age, so that observers do not all ask again at once.
_PATIENCE = (5.0, 15.0)


@implementer(IPushProducer)
class Observation:
    """
    The states of a resource as they come, whole representations, the newest always.

    It is an async iterator of L{Response<txcoap.message.Response>}: C{async for state in observation}. While
    the reader is slow newer states take the place of older ones. C{async with} cancels it at the end. It
    can also be given a callback with L{subscribe}, or a consumer with L{deliverTo}.

    An observation lasts until it is cancelled, or the server ends it. If nothing is heard for longer than
    the last state is fresh, it asks again by itself, and goes on asking while the server is silent.

    @ivar isEstablished: Whether the server took the observation. If not, its one response is the only
        state.
    @ivar reason: Why it has ended: an L{ObservationEnded}, or another L{RequestError}; None while it lasts,
        and after it was cancelled.
    @ivar whenOver: A Deferred that fires with None when it needs its socket no more.
    """

    _log = Logger()

    def __init__(self, request: Request, manner: Manner, protocol: CoAPProtocol, peer: Any) -> None:
        self.isEstablished = False
        self.reason: RequestError | None = None
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
        self._hasEnded = False
        self._hasBegun = False
        self._isPaused = False
        self._newest: ReceivedResponse | None = None
        self._waiting: Deferred[None] | None = None
        self._callbacks: list[Callable[[ReceivedResponse], Any]] = []
        self._notifications: list[Deferred[RequestError | None]] = []
        self._begun: Deferred[Observation] = Deferred(lambda _: self._abandon())

    # Taking the states

    def __aiter__(self) -> Observation:
        return self

    async def __anext__(self) -> ReceivedResponse:
        while self._newest is None:
            if self._hasEnded:
                if self.reason is not None and self.isEstablished:
                    raise self.reason
                raise StopAsyncIteration
            if self._waiting is not None:
                raise RuntimeError("an observation has one reader; it waits already")
            self._waiting = Deferred()
            try:
                await self._waiting
            finally:
                self._waiting = None
        newest, self._newest = self._newest, None
        return newest

    async def __aenter__(self) -> Observation:  # noqa: PYI034
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.cancel()

    def subscribe(self, callback: Callable[[ReceivedResponse], Any]) -> None:
        """Call this with each state, from the newest that is here on; instead of reading them."""
        self._callbacks.append(callback)
        self._offer()

    def deliverTo(self, consumer: Any) -> None:
        """Write the payload of each state to an C{IConsumer}, which may pause, resume and stop this."""
        consumer.registerProducer(self, True)
        self.notifyEnd().addCallback(lambda _: consumer.unregisterProducer())
        self.subscribe(lambda state: consumer.write(state.payload))

    def notifyEnd(self) -> Deferred[RequestError | None]:
        """A Deferred of its own for each call, which fires with L{reason} when the observation ends."""
        notification: Deferred[RequestError | None] = Deferred()
        if self._hasEnded:
            notification.callback(self.reason)
        else:
            self._notifications.append(notification)
        return notification

    def pauseProducing(self) -> None:
        """Call no callbacks for now; only the newest state is kept."""
        self._isPaused = True

    def resumeProducing(self) -> None:
        """Call callbacks again, with the newest state first."""
        self._isPaused = False
        self._offer()

    def stopProducing(self) -> None:
        """Cancel."""
        self.cancel()

    # Ending

    def cancel(self, *, lazily: bool = False) -> Deferred[None]:
        """
        Observe no more.

        @param lazily: Only forget it: the next notification is answered with a Reset. Else the server is
            told at once (RFC 7641 3.6).
        @return: A Deferred that fires with None once the server has heard of it, or cannot be reached.
        """
        told: Deferred[None] = Deferred()
        if self._hasEnded or lazily or not self.isEstablished:
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
        self._wake()
        notifications, self._notifications = self._notifications, []
        for notification in notifications:
            notification.callback(reason)
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

    def begin(self) -> Deferred[Observation]:
        """Ask; a Deferred that fires with this when the first response is here."""
        self._register()
        return self._begun

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
                renewing=self.isEstablished,
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
        if self._hasBegun and self._protocol.isOpen:
            # The server may be back later.
            self._registerLater(0)
        else:
            self._end(error)

    def _last(self, response: ReceivedResponse) -> None:
        """The server does not take the observation, or not any longer."""
        if response.code == Code.SERVICE_UNAVAILABLE and self.isEstablished:
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
        asking = askingFor(self._request, None, manner, self._protocol)
        asking.next()
        conversation = Conversation.of(asking, manner, self._protocol, self._peer)

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
        if not self._hasBegun:
            self._hasBegun = True
            self._begun.callback(self)
        self._offer()

    def _offer(self) -> None:
        if self._callbacks:
            if not self._isPaused and self._newest is not None:
                newest, self._newest = self._newest, None
                for callback in list(self._callbacks):
                    try:
                        callback(newest)
                    except Exception:
                        self._log.failure("an observer's callback failed on {state}", state=newest)
        else:
            self._wake()

    def _wake(self) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.called:
            waiting.callback(None)
