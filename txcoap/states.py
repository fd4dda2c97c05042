"""
L{States}: the states of a resource, given to who observes it, the newest always.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from .errors import RequestError
from .logs import Sparing
from .received import ReceivedResponse

__all__ = ["States"]


@implementer(IPushProducer)
class States:
    """
    The states of a resource as they come, whole representations, the newest always.

    It is an async iterator of L{Response<txcoap.message.Response>}: C{async for state in observation}. While
    the reader is slow newer states take the place of older ones. C{async with} cancels it at the end. It
    can also be given a callback with L{subscribe}, or a consumer with L{deliverTo}.

    @param endpoint: In whose log it is written; see L{Sparing.of<txcoap.logs.Sparing.of>}.
    @ivar isEstablished: Whether the server took the observation. If not, its one response is the only
        state.
    @ivar reason: Why it has ended: an L{ObservationEnded<txcoap.errors.ObservationEnded>}, or another
        L{RequestError}; None while it lasts, and after it was cancelled.
    """

    _log = Sparing(Logger())

    def __init__(self, endpoint: Any = None) -> None:
        self._endpoint = endpoint
        self.isEstablished = False
        self.reason: RequestError | None = None
        self._hasEnded = False
        self._isPaused = False
        self._newest: ReceivedResponse | None = None
        self._waiting: Deferred[None] | None = None
        self._callbacks: list[Callable[[ReceivedResponse], Any]] = []
        self._notifications: list[Deferred[RequestError | None]] = []

    def _state(self) -> str:
        """How far it is, in a word or a few."""
        if not self._hasEnded:
            return "established" if self.isEstablished else "not established"
        return "cancelled" if self.reason is None else f"ended ({self.reason})"

    def __aiter__(self) -> States:
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

    async def __aenter__(self) -> States:  # noqa: PYI034
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.cancel()

    @property
    def isFresh(self) -> bool:
        """
        Whether the newest state still holds, by its Max-Age (RFC 7641 3.3.1). If not, the server has been
        silent for longer than it said: it may be gone.
        """
        raise NotImplementedError

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

    def cancel(self, *, lazily: bool = False) -> Deferred[None]:
        """
        Observe no more.

        @param lazily: Tell nobody, if that can be left out.
        @return: A Deferred that fires with None when that is done.
        """
        raise NotImplementedError

    # For who has the states

    def _take(self, state: ReceivedResponse) -> None:
        """There is a new one."""
        self._newest = state
        self._offer()

    def _offer(self) -> None:
        if self._callbacks:
            if not self._isPaused and self._newest is not None:
                newest, self._newest = self._newest, None
                for callback in list(self._callbacks):
                    try:
                        callback(newest)
                    except Exception:
                        self._log.of(self._endpoint).failure(
                            "an observer's callback failed on {state}", state=newest
                        )
        else:
            self._wake()

    def _wake(self) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.called:
            waiting.callback(None)

    def _tellEnd(self) -> None:
        """There will be no other state."""
        self._wake()
        notifications, self._notifications = self._notifications, []
        for notification in notifications:
            notification.callback(self.reason)
