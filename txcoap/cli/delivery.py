"""
A response's body, from block to block to where it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed

__all__ = ["Delivery"]


class Delivery(Protocol):
    """
    Gives each part of a body to a function, and ends with the error that it raises, if it raises one.

    @param write: Called with each part.
    @ivar done: Fires with None once the body is whole, or fails. Cancelling it stops the transfer.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._failure: Failure | None = None
        self.done: Deferred[None] = Deferred(lambda _: self._stop())

    @classmethod
    def of(cls, response: Any, write: Callable[[bytes], None]) -> Deferred[None]:
        """
        Deliver a response's body.

        @return: See L{done}.
        """
        delivery = cls(write)
        response.deliverBody(delivery)
        return delivery.done

    def dataReceived(self, data: bytes) -> None:
        """A part came."""
        if self._failure is None:
            try:
                self._write(data)
            except Exception:
                self._failure = Failure()
        if self._failure is not None:
            # The first part comes before there is something to stop.
            self._stop()

    def _stop(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = ResponseDone) -> None:  # type: ignore[assignment]
        """The body is whole, or no more of it comes."""
        failure = self._failure
        if failure is None and not reason.check(ResponseDone):
            cause = reason.value
            failure = cause.reasons[0] if isinstance(cause, ResponseFailed) else reason
        if failure is None:
            self.done.callback(None)
        else:
            self.done.errback(failure)
