"""
Bodies of any length, as an L{Agent<txcoap.client.Agent>} sends and fetches them (RFC 7959): the loop around
L{Asking<txcoap.sansio.fetching.Asking>}, and the ends of it that meet producers, protocols and consumers.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IProtocol, IPushProducer
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.iweb import UNKNOWN_LENGTH
from zope.interface import implementer

from .block import MAX_EXPONENT, Block
from .errors import MalformedResponse
from .message import Request, Response
from .parameters import Parameters, checked
from .protocol import CoAPProtocol
from .received import ReceivedResponse
from .sansio.datagrams import Datagram
from .sansio.fetching import Asking, Stage

__all__ = ["BodySource", "Conversation", "Manner", "Progress", "StreamedResponse", "askingFor", "converse"]

Progress = Callable[[str, int, "int | None"], None]
"""Is called with C{"sent"} or C{"received"}, the bytes so far, and the bytes in all, None while unknown."""

Ask = Callable[[Request], Deferred["ReceivedResponse | None"]]


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
        self._producing = self._producer.startProducing(self)
        self._producing.addCallbacks(lambda _: self._finish(None), self._finish)

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


class Conversation:
    """
    One request and its response, in as many messages as their bodies need.

    @param asking: What to send next.
    @param ask: Sends one message.
    @param producer: Where the request's body comes from, if it is not in the request.
    @param progress: Told after each message.
    """

    def __init__(
        self, asking: Asking, ask: Ask, producer: Any = None, progress: Progress | None = None
    ) -> None:
        self.asking = asking
        self._ask = ask
        self._progress = progress
        self._source = None if producer is None else BodySource(producer, asking)
        self._peer: ReceivedResponse | None = None
        self._isTelling = False
        self._isCancelled = False

    @classmethod
    def of(cls, asking: Asking, manner: Manner, protocol: CoAPProtocol, peer: Any) -> Conversation:
        """A conversation with a peer."""
        return cls(asking, _asker(manner, protocol, peer, None))

    async def untilBody(self) -> ReceivedResponse | None:
        """Send the request's body; the first message of the response."""
        source = self._source
        try:
            if source is not None:
                source.start()
            while self.asking.stage is Stage.SENDING:
                if source is not None:
                    await source.fill()
                if not await self.step():
                    return None
        finally:
            if source is not None:
                source.stop()
        return self._peer

    async def step(self) -> bool:
        """Send one message, and take the response to it; whether there was one."""
        asking = self.asking
        received = await self._ask(asking.next())
        if received is None:
            return False
        self.take(received)
        return True

    def take(self, received: ReceivedResponse) -> None:
        """
        A response came.

        @raise CancelledError: if who was told of the progress cancelled the request.
        """
        asking, progress = self.asking, self._progress
        self._peer = received
        sent = asking.sent
        asking.answered(received)
        if progress is not None:
            self._isTelling = True
            if asking.sent != sent:
                progress("sent", asking.sent, asking.total)
            if asking.stage is not Stage.SENDING:
                progress("received", asking.received, asking.expected)
            self._isTelling = False
            if self._isCancelled:
                raise CancelledError()

    def run(self, talking: Coroutine[Any, Any, ReceivedResponse | None]) -> Deferred[Any]:
        """
        Run L{whole} or L{streamed}.

        @return: A Deferred of its result, which can be cancelled at any time.
        """
        running = Deferred.fromCoroutine(talking)
        if self._progress is None:
            return running
        # A coroutine's Deferred cannot be cancelled by what the coroutine itself calls.
        asked: Deferred[Any] = Deferred(lambda _: self._cancel(running))

        def done(result: Any) -> None:
            if not asked.called:
                asked.callback(result)

        running.addBoth(done)
        return asked

    def _cancel(self, running: Deferred[Any]) -> None:
        if self._isTelling:
            self._isCancelled = True
        else:
            running.cancel()

    async def whole(self) -> ReceivedResponse | None:
        """The response with all of its body."""
        return None if await self.untilBody() is None else await self.rest()

    async def rest(self) -> ReceivedResponse:
        """
        The response, of which something is here, with all of its body.

        @raise MalformedResponse: if the peer stops to answer amid it.
        """
        while self.asking.stage is not Stage.DONE:
            if not await self.step():
                raise MalformedResponse("the peer stopped to answer amid a body")
        return self.response(self.asking.takePart())

    async def streamed(self) -> ReceivedResponse | None:
        """The response with the start of its body."""
        return None if await self.untilBody() is None else StreamedResponse(self)

    def response(self, payload: bytes) -> ReceivedResponse:
        """The response with this body."""
        assert self._peer is not None
        assert self.asking.response is not None
        head = self.asking.response
        return self._peer.carrying(Response(head.code, payload, head.options))


_DELIVERED = object()


@implementer(IPushProducer)
class StreamedResponse(ReceivedResponse):
    """
    A response whose body comes as it is taken: its first block is here, the others are fetched while
    L{deliverBody} delivers.

    C{twisted.web.client.readBody} and C{treq.collect} work on it. C{payload} is empty.

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


@dataclass(frozen=True)
class Manner:
    """How a request is to be sent, and its response to be taken; see L{Agent.request}."""

    confirmable: bool = True
    token: bytes | None = None
    parameters: Parameters | None = None
    exponent: int = MAX_EXPONENT
    maximum: int | None = None
    sendRequestTag: bool = True
    freshTokens: bool = False
    byteRange: tuple[int, int | None] | None = None
    stream: bool = False
    progress: Progress | None = None
    relaying: bool = False

    def __post_init__(self) -> None:
        checked(self.parameters)

    def evolve(self, **changes: Any) -> Manner:
        """The same manner with some of it changed."""
        return replace(self, **changes)


def converse(
    request: Request,
    producer: Any,
    manner: Manner,
    protocol: CoAPProtocol,
    peer: Any,
    timeout: float | None,
) -> Deferred[Any]:
    """
    Ask a peer, in as many messages as the bodies need.

    @param producer: The C{IBodyProducer} of the request's body, or None if that is in the request.
    @param timeout: Seconds for all of it, or None.
    @return: A Deferred of the L{ReceivedResponse}, or of None where No-Response asked for none.
    """
    given = request.options.block1
    if given is not None and producer is None and len(request.payload) <= given.size:
        return _asker(manner, protocol, peer, timeout)(request)
    asking = askingFor(request, producer, manner, protocol)
    ask = _asker(manner, protocol, peer, timeout)
    conversation = Conversation(asking, ask, producer, manner.progress)
    return conversation.run(conversation.streamed() if manner.stream else conversation.whole())


def _asker(manner: Manner, protocol: CoAPProtocol, peer: Any, timeout: float | None) -> Ask:
    """Sends each message of a conversation with one token, and in the time that is left."""
    token = protocol.freeToken(peer) if manner.token is None and not manner.freshTokens else manner.token
    end = None if timeout is None else protocol.now() + timeout

    def ask(message: Request) -> Deferred[ReceivedResponse | None]:
        return protocol.request(
            message,
            peer,
            confirmable=manner.confirmable,
            token=token,
            parameters=manner.parameters,
            timeout=None if end is None else max(0.0, end - protocol.now()),
            relaying=manner.relaying,
        ).addCallback(_received, peer, protocol)

    return ask


def askingFor(request: Request, producer: Any, manner: Manner, protocol: CoAPProtocol) -> Asking:
    """
    What is to be sent for a request in this manner.

    @raise ValueError: if it is for a range that is none.
    """
    options = request.options
    exponent = manner.exponent
    first, length = options.block2, None
    if options.block1 is not None:
        exponent = min(exponent, options.block1.exponent)
        request = Request(request.code, request.payload, options.evolve(block1=None))
    if manner.byteRange is not None:
        start, length = manner.byteRange
        if start < 0 or (length is not None and length < 1):
            raise ValueError(f"a range is (start, length), of at least one byte; got {manner.byteRange!r}")
        if start % (16 << exponent):
            raise ValueError(f"a range begins at a multiple of the block size, {16 << exponent}; not {start}")
        first = Block(start >> exponent + 4, False, exponent)
        request = Request(request.code, request.payload, request.options.evolve(block2=first))
    return Asking(
        request,
        exponent=exponent,
        requestTag=protocol.freeTag() if manner.sendRequestTag else None,
        maximum=None if manner.stream else manner.maximum,
        isWhole=producer is None,
        total=None if producer is None else _lengthOf(producer),
        first=first,
        length=length,
    )


def _received(datagram: Datagram | None, peer: Any, protocol: CoAPProtocol) -> ReceivedResponse | None:
    return None if datagram is None else ReceivedResponse(datagram, peer, protocol.getHost())


def _lengthOf(producer: Any) -> int | None:
    length = producer.length
    return None if length is UNKNOWN_LENGTH else int(length)
