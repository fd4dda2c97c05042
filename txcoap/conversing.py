"""
One request of an L{Agent<txcoap.client.Agent>} and its response, in as many messages as their bodies need
(RFC 7959): the loop around L{Asking<txcoap.sansio.fetching.Asking>}.

Most need one message each way: these are sent and taken as they are, and the loop begins when the answer says
that there is more to it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.web.iweb import UNKNOWN_LENGTH

from .block import MAX_EXPONENT, Block, exponentFor
from .bodies import BodySource, StreamedResponse
from .errors import MalformedResponse
from .message import Request, Response
from .parameters import Parameters, checked
from .protocol import CoAPProtocol
from .received import ReceivedResponse
from .sansio.datagrams import Datagram
from .sansio.fetching import Asking, Stage

__all__ = ["Conversation", "Manner", "Progress", "askingFor", "converse"]

Progress = Callable[[str, int, "int | None"], None]
"""Is called with C{"sent"} or C{"received"}, the bytes so far, and the bytes in all, None while unknown."""

Ask = Callable[[Request], Deferred["ReceivedResponse | None"]]

_BLOCK2 = 23
_NOTHING_SPECIAL = (None, None, None, None, None)


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
    def begun(
        cls,
        request: Request,
        manner: Manner,
        protocol: CoAPProtocol,
        peer: Any,
        timeout: float | None = None,
    ) -> Conversation:
        """
        A conversation of which the first message was sent in another way; its response is for L{take}.

        @param timeout: Seconds for what is left of it, or None.
        """
        asking = askingFor(request, None, manner, protocol)
        asking.next()
        return cls(asking, _asker(manner, protocol, peer, timeout))

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

    def goOn(self, received: ReceivedResponse) -> Deferred[Any]:
        """The response with all of its body, of one that is L{begun} and got this first response."""
        self.take(received)
        return self.run(self.whole())

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

    @property
    def isPlain(self) -> bool:
        """Whether nothing is asked for that a single message each way could not give."""
        isWhole = not self.stream and self.byteRange is None
        return isWhole and self.progress is None and self.exponent == MAX_EXPONENT

    def evolve(self, **changes: Any) -> Manner:
        """The same manner with some of it changed."""
        return replace(self, **changes)

    def of(
        self,
        confirmable: bool,
        token: bytes | None,
        parameters: Parameters | None,
        blockSize: int | None,
        byteRange: tuple[int, int | None] | None,
        stream: bool,
        progress: Progress | None,
        relaying: bool,
    ) -> Manner:
        """The manner of one request, where this is its agent's."""
        special = (token, parameters, blockSize, byteRange, progress)
        if confirmable and special == _NOTHING_SPECIAL and not stream and not relaying:
            return self
        return Manner(
            confirmable=confirmable,
            token=token,
            parameters=parameters or self.parameters,
            exponent=self.exponent if blockSize is None else exponentFor(blockSize),
            maximum=self.maximum,
            sendRequestTag=self.sendRequestTag,
            freshTokens=self.freshTokens,
            byteRange=byteRange,
            stream=stream,
            progress=progress,
            relaying=relaying,
        )


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
    isWhole = producer is None
    if isWhole and manner.isPlain and _fitsMessage(request):
        end = None if timeout is None else protocol.now() + timeout
        asked = protocol.request(
            request,
            peer,
            confirmable=manner.confirmable,
            token=manner.token,
            parameters=manner.parameters,
            timeout=timeout,
            relaying=manner.relaying,
        )
        return asked.addCallback(_wholeOf, request, manner, protocol, peer, end)
    ask = _asker(manner, protocol, peer, timeout)
    given = request.options.block1
    if isWhole and given is not None and len(request.payload) <= given.size:
        return ask(request)
    asking = askingFor(request, producer, manner, protocol)
    conversation = Conversation(asking, ask, producer, manner.progress)
    return conversation.run(conversation.streamed() if manner.stream else conversation.whole())


def _fitsMessage(request: Request) -> bool:
    """Whether a request needs no block options, and has none."""
    options = request.options
    if len(request.payload) > 16 << MAX_EXPONENT:
        return False
    return options.isPlain or (options.block1 is None and options.block2 is None)


def _wholeOf(
    datagram: Datagram | None,
    request: Request,
    manner: Manner,
    protocol: CoAPProtocol,
    peer: Any,
    end: float | None,
) -> Any:
    """The response to a request of one message with all of its body, once that is here."""
    if datagram is None:
        return None
    received = ReceivedResponse(datagram, peer, protocol.getHost())
    pairs = datagram.options.pairs
    mayBePart = pairs and pairs[-1][0] >= _BLOCK2
    isTooLarge = manner.maximum is not None and len(datagram.payload) > manner.maximum
    if not mayBePart and not isTooLarge:
        return received
    if not manner.freshTokens:
        manner = manner.evolve(token=datagram.token)
    remaining = None if end is None else max(0.0, end - protocol.now())
    return Conversation.begun(request, manner, protocol, peer, remaining).goOn(received)


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
