"""
L{ProducedBody}: a response's body that a producer makes as it goes, a block for each request (RFC 7959).
"""

from __future__ import annotations

from os import urandom
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from .block import Block
from .errors import BadRequest, RequestEntityIncomplete, RequestError
from .logs import Sparing
from .message import Response
from .options import Options
from .sansio.blocks import transferKey

if TYPE_CHECKING:
    from .request import Request

__all__ = ["ProducedBody"]

_log = Sparing(Logger())


class ProducedBody:
    """
    Between a producer that a resource registered and the blocks that a peer asks for.

    A block is kept until the next one is asked for. A pull producer is resumed while a block that is asked
    for is not full; a push producer is paused while more than a block is waiting to be asked for.

    @param request: What is answered with it.
    @param producer: An C{IPullProducer} or C{IPushProducer}.
    @param isPush: Which of them.
    @ivar hasEnded: Whether there will be no more of it, because that was all or nobody wants it.
    """

    def __init__(self, request: Request, producer: Any, isPush: bool) -> None:
        asked = request.options.block2
        self._request = request
        self._producer = producer
        self._isPush = isPush
        self._isPaused = False
        self._isPulling = False
        self._pulling: IDelayedCall | None = None
        self.hasEnded = False
        self._exponent = request.site.blockwise.exponent
        if asked is not None:
            self._exponent = min(self._exponent, asked.exponent)
        self._head: Response | None = None
        self._buffer = bytearray()
        self._start = 0
        self._sent: tuple[Block, bytes] | None = None
        self._waiting: Request | None = request

    @property
    def hasBegun(self) -> bool:
        """Whether the first block is sent."""
        return self._head is not None

    def begin(self) -> None:
        """Let a pull producer produce; a push producer does so by itself."""
        self._pull()

    def write(self, data: bytes) -> None:
        """More of the body."""
        if self.hasEnded:
            return
        self._buffer += data
        self._serve()
        if self._isPush and not self._isPaused and self._producer is not None and self._isFull:
            self._isPaused = True
            self._producer.pauseProducing()
        if not (self._isPush or self._isPulling or self._pulling or self.hasEnded):
            # It wrote some time after it was resumed, and may be about to say that this was all.
            self._pulling = self._request.protocol.reactor.callLater(0, self._pull)

    def unregister(self) -> None:
        """The producer has nothing more to say."""
        self._producer = None

    def end(self) -> None:
        """That was all of the body."""
        if not self.hasEnded:
            self.hasEnded = True
            self._producer = None
            self._forgetPulling()
            self._serve()

    def stop(self) -> None:
        """The body is no longer wanted: the peer asked for no more of it for too long, or is gone."""
        if not self._request.finished:
            # Which comes back here: a producer that is stopped may write and finish all the same.
            self._request.connectionLost(RequestError("the peer did not fetch all of the body"))
            return
        producer, self._producer = self._producer, None
        self._forgetPulling()
        if not self.hasEnded:
            self.hasEnded = True
            self._waiting = None
            if producer is not None:
                try:
                    producer.stopProducing()
                except Exception:
                    _log.of(self._request.site).failure("{producer} failed to stop", producer=producer)

    def ask(self, request: Request, block: Block) -> None:
        """
        A later block is asked for.

        @raise BadRequest: if it is neither the next one nor the one before.
        @raise RequestEntityIncomplete: if the body ended before it was whole.
        """
        if self._sent is not None and block.start == self._sent[0].start:
            self._answer(request, *self._sent)
            return
        if block.start != self._start or not block.isValid:
            raise BadRequest("this body is made as it goes: only its next block can be asked for")
        if self.hasEnded and not self._buffer:
            raise RequestEntityIncomplete("the body is kept no longer")
        self._exponent = min(self._exponent, block.exponent)
        waiting, self._waiting = self._waiting, request
        if waiting is not None:
            waiting.silence()
        self._serve()
        if self._isPaused and self._producer is not None and not self._isFull:
            self._isPaused = False
            self._producer.resumeProducing()
        self._pull()

    @property
    def _isFull(self) -> bool:
        """Whether there is a block, and it is known that it is not the last."""
        return len(self._buffer) > 16 << self._exponent

    def _pull(self) -> None:
        self._isPulling = True
        self._forgetPulling()
        try:
            while not self._isPush and self._waiting is not None and self._producer is not None:
                before = len(self._buffer), self._start
                self._producer.resumeProducing()
                if before == (len(self._buffer), self._start):
                    # It writes later: L{write} goes on.
                    return
        finally:
            self._isPulling = False

    def _forgetPulling(self) -> None:
        pulling, self._pulling = self._pulling, None
        if pulling is not None and pulling.active():
            pulling.cancel()

    def _serve(self) -> None:
        """Send the block that is waited for, if it is there."""
        waiting = self._waiting
        if waiting is None or not (self.hasEnded or self._isFull):
            return
        self._waiting = None
        size = 16 << self._exponent
        part = bytes(self._buffer[:size])
        block = Block(self._start >> self._exponent + 4, self._isFull, self._exponent)
        if self._head is None:
            self._head = self._headOf(part)
            if not block.more:
                self._request.respond(self._head)
                return
            if not self._request.wants(self._head):
                self._request.send(self._head)
                self._request.connectionLost(RequestError("the body is not wanted"))
                return
            self._keep(self._head)
        del self._buffer[:size]
        self._start += len(part)
        self._sent = (block, part)
        self._answer(waiting, block, part)
        if not block.more:
            self._request.concluded()

    def _headOf(self, part: bytes) -> Response:
        response = self._request.toResponse(part)
        if self._isFull and response.etag is None:
            options = response.options.evolve(etag=urandom(8))
            return Response(response.code, response.payload, options)
        return response

    def _keep(self, head: Response) -> None:
        request = self._request
        protocol = request.protocol
        key = transferKey(request.exchange.client, request.code, request.options)
        download = protocol.transfers.offer(
            key, request.token, head.code, head.options, self, 2 << self._exponent + 4, protocol.now()
        )
        download.withdrawn = self.stop

    def _answer(self, request: Request, block: Block, part: bytes) -> None:
        assert self._head is not None
        options: Options = self._head.options.evolve(block2=block)
        response = Response(self._head.code, part, options)
        if request is self._request:
            request.send(response)
        else:
            request.answer(response)
