"""
L{BodySink}: a body that comes in blocks, on its way to what a resource opened for it (RFC 7959).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from .errors import ServiceUnavailable
from .logs import Sparing

__all__ = ["BodySink"]

_log = Sparing(Logger())


@implementer(IPushProducer)
class BodySink:
    """
    Between the blocks that a peer sends and what a resource opened for them.

    To a consumer it is the push producer, to a protocol the transport: while that has paused it, the
    peer's last block is not answered, and a peer sends no block before the one before it is answered.

    @param endpoint: In whose log it is written; see L{Sparing.of<txcoap.logs.Sparing.of>}.
    @ivar consumer: What the resource gave: an C{IConsumer}, or an C{IProtocol}.
    """

    disconnecting = False

    def __init__(self, consumer: Any, endpoint: Any = None) -> None:
        self.consumer = consumer
        self._endpoint = endpoint
        self._isPaused = False
        self._isStopped = False
        self._hasEnded = False
        self._held: Callable[[], None] | None = None
        self._isConsumer = IConsumer.providedBy(consumer)
        if self._isConsumer:
            consumer.registerProducer(self, True)
            self._write = consumer.write
        else:
            consumer.makeConnection(self)
            self._write = consumer.dataReceived

    @property
    def isHolding(self) -> bool:
        """Whether a block is not answered yet."""
        return self._held is not None

    def write(self, data: bytes) -> None:
        """
        A block came.

        @raise ServiceUnavailable: if the consumer stopped.
        """
        if self._isStopped:
            raise ServiceUnavailable("the body is no longer wanted")
        if data:
            self._write(data)

    def hold(self, go: Callable[[], None]) -> None:
        """Call this once the consumer takes more."""
        if self._isPaused:
            self._held = go
        else:
            go()

    def finish(self) -> None:
        """The body is whole."""
        self._hasEnded = True
        if self._isConsumer:
            self.consumer.unregisterProducer()
        else:
            self.consumer.connectionLost(Failure(ConnectionDone("the body is whole")))

    def abandon(self) -> None:
        """The body will not be whole. A consumer has no way to learn that; a protocol has."""
        self._held = None
        if self._hasEnded:
            return
        self._hasEnded = True
        try:
            if self._isConsumer:
                self.consumer.unregisterProducer()
            else:
                self.consumer.connectionLost(Failure(ConnectionLost("the peer did not send all of the body")))
        except Exception:
            _log.of(self._endpoint).failure(
                "{consumer} failed when its body was abandoned", consumer=self.consumer
            )

    def pauseProducing(self) -> None:
        """Let the peer wait."""
        self._isPaused = True

    def resumeProducing(self) -> None:
        """Let the peer go on."""
        self._isPaused = False
        held, self._held = self._held, None
        if held is not None:
            held()

    def stopProducing(self) -> None:
        """Take no more: the peer's next block is answered 5.03."""
        self._isStopped = True
        self.resumeProducing()

    loseConnection = abortConnection = stopProducing
