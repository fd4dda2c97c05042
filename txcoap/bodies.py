"""
The ends of a body in blocks that meet Twisted (RFC 7959): a producer's, which an
L{Agent<txcoap.client.Agent>} sends, and a response's, which it delivers as it is taken. What goes between
them stands in L{txcoap.conversing}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IProtocol, IPushProducer
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.iweb import UNKNOWN_LENGTH
from zope.interface import implementer

from .received import ReceivedResponse
from .sansio.fetching import Asking, Stage

if TYPE_CHECKING:
    from .conversing import Conversation

__all__ = ["BodySource", "StreamedResponse"]


@implementer(IConsumer)
class BodySource:
    """
    The body of a request, from an C{IBodyProducer}: it is paused while there is more than a block of it.
    """

    def __init__(self, producer: Any, asking: Asking) -> None:
        self._producer = producer
        self._asking = asking
        self._isPaused = False
        self._waiting: Deferred[None] | None = None
        self._failure: Failure | None = None
        self._isDone = False

    def start(self) -> None:
        """Let the producer produce."""
        producing = self._producer.startProducing(self)
        producing.addCallbacks(lambda _: self._finish(None), self._finish)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See C{IConsumer}; for a body producer that calls it C{RuntimeError} is raised."""
        raise RuntimeError("a body producer is registered by who starts it")

    def unregisterProducer(self) -> None:
        """See C{IConsumer}."""

    def write(self, data: bytes) -> None:
        """More of the body."""
        if self._isDone:
            return
        self._asking.feed(data)
        if not self._asking.wants:
            if not self._isPaused:
                self._isPaused = True
                self._producer.pauseProducing()
            self._wake()

    def _finish(self, failure: Failure | None) -> None:
        if self._isDone:
            return
        self._isDone = True
        self._failure = failure
        if failure is None:
            self._asking.end()
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def fill(self) -> None:
        """Wait until there is enough for a block, or the body has ended."""
        while self._asking.wants and not self._isDone:
            waiting: Deferred[None] = Deferred()
            self._waiting = waiting
            if self._isPaused:
                self._isPaused = False
                self._producer.resumeProducing()
            await waiting
        if self._failure is not None:
            self._failure.raiseException()

    def stop(self) -> None:
        """The body is no longer wanted."""
        if not self._isDone:
            self._isDone = True
            self._producer.stopProducing()


_DELIVERED = object()


@implementer(IPushProducer)
class StreamedResponse(ReceivedResponse):
    """
    A response whose body comes as it is taken: its first block is here, the others are fetched while
    L{deliverBody} delivers.

    C{twisted.web.client.readBody} and C{treq.collect} work on it. C{payload} is empty.

    @param conversation: What fetches it.
    @ivar length: Bytes of the body, if the peer said so, else C{UNKNOWN_LENGTH}.
    @ivar whenOver: A Deferred that fires with None when nothing more is to be fetched.
    """

    __slots__ = (
        "_conversation",
        "_delivering",
        "_isInProtocol",
        "_isPaused",
        "_isStopped",
        "_protocol",
        "_resumed",
        "whenOver",
    )

    def __init__(self, conversation: Conversation) -> None:
        head = conversation.response(b"")
        self.code, self.options, self.payload = head.code, head.options, b""
        self.peer, self.isConfirmable = head.peer, head.isConfirmable
        self._conversation = conversation
        self._protocol: Any = None
        self._isPaused = False
        self._isStopped = False
        self._isInProtocol = False
        self._resumed: Deferred[None] | None = None
        self._delivering: Deferred[None] | None = None
        self.whenOver: Deferred[None] = Deferred()
        if conversation.asking.stage is Stage.DONE:
            self.whenOver.callback(None)

    @property
    def length(self) -> Any:
        """The body's length in bytes, or C{UNKNOWN_LENGTH}."""
        expected = self._conversation.asking.expected
        return UNKNOWN_LENGTH if expected is None else expected

    def deliverBody(self, protocol: IProtocol) -> None:
        """
        Deliver the body to a protocol's C{dataReceived}, block by block; then its C{connectionLost} is
        called with C{ResponseDone}, or with C{ResponseFailed}. While the protocol has paused its
        transport no block is asked for.

        @raise RuntimeError: if that was done before.
        """
        if self._protocol is not None:
            raise RuntimeError("the body is delivered once only")
        self._protocol = protocol
        protocol.makeConnection(self)  # type: ignore[arg-type]
        self._delivering = Deferred.fromCoroutine(self._deliver())
        self._delivering.addCallbacks(
            lambda _: self._end(Failure(ResponseDone())),
            lambda failure: self._end(Failure(ResponseFailed([failure]))),
        )

    async def _deliver(self) -> None:
        asking = self._conversation.asking
        while True:
            await self._go()
            part = asking.takePart()
            if part:
                self._isInProtocol = True
                self._protocol.dataReceived(part)
                self._isInProtocol = False
            if asking.stage is Stage.DONE:
                return
            await self._go()
            await self._conversation.step()

    async def _go(self) -> None:
        """Wait while the protocol has paused us; see whether it stopped us."""
        if self._isStopped:
            raise CancelledError()
        while self._isPaused:
            self._resumed = Deferred()
            await self._resumed

    def _end(self, reason: Failure) -> None:
        self._delivering = None
        if not self.whenOver.called:
            self.whenOver.callback(None)
        # The protocol holds this, its transport: no cycle is to stay.
        protocol, self._protocol = self._protocol, _DELIVERED
        protocol.connectionLost(reason)

    def pauseProducing(self) -> None:
        """Ask for no more blocks."""
        self._isPaused = True

    def resumeProducing(self) -> None:
        """Ask for blocks again."""
        self._isPaused = False
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)

    def stopProducing(self) -> None:
        """Ask for no more blocks, for good."""
        self._isStopped = True
        # Within dataReceived nothing is under way that could be cancelled.
        if self._delivering is not None and not self._isInProtocol:
            self._delivering.cancel()

    loseConnection = abortConnection = stopProducing
