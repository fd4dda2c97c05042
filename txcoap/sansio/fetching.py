r"""
Bodies in blocks, the client's side (RFC 7959): what to send next, and what to make of the answer.

An L{Asking} is one request of ours with a body of any length, answered by one of any length. It does not
wait or send: L{Asking.next} gives the next message to send, L{Asking.answered} takes the response to it::

    SENDING ---- 2.31, or a 2.xx to a block that others follow ----> SENDING, the next block
        |  \---- 4.08, or 4.13 with a smaller size: once ----------> SENDING, from the start
        |
        | the response to the last block, or an error
        v
    RECEIVING -- Block2 says that others follow ------------------> RECEIVING, the next block
        |  \---- another ETag, or 4.08: once ---------------------> RECEIVING, from the start
        v
    DONE
"""

from __future__ import annotations

from enum import Enum

from ..block import MAX_BLOCKS, MAX_EXPONENT, Block
from ..codes import Code
from ..errors import BodyChanged, BodyTooLarge, MalformedResponse, ResponseError
from ..message import Request, Response
from ..options import Options

__all__ = ["Asking", "Stage"]

_TOO_MANY_BLOCKS = "a body has at most 2 ** 20 blocks (RFC 7959 2.2)"


class Stage(Enum):
    """Where an exchange of bodies is."""

    SENDING = "the request's body"
    RECEIVING = "the response's body"
    DONE = "the response is whole"


class Asking:
    """
    A request and its response, bodies of any length.

    The request's body is given with it, or fed bit by bit.

    @param request: The request; its payload is the body, or the start of it.
    @param exponent: The size of the blocks that we send, and ask for, as SZX.
    @param requestTag: Sent with every block of a body that needs more than one (RFC 9175 3); None not
        to send it.
    @param maximum: Bytes of a response's body that are taken; None for no limit, for a body that is
        taken block by block.
    @param isWhole: Whether the payload is all of the body.
    @param total: The length of the body, if it is known.
    @param first: The block of the response to begin with, and the largest size to ask for.
    @param length: Bytes of the response's body to stop after; None for all.

    @ivar stage: A L{Stage}.
    @ivar sent: Bytes of the request's body that the peer has.
    @ivar received: Bytes of the response's body that came.
    @ivar total: Bytes of the request's body, or None while that is open.
    @ivar expected: Bytes of the response's body as the peer announced, or None.
    @ivar response: What has come of the response: its code, its options, and what of its body was not
        taken.
    """

    def __init__(
        self,
        request: Request,
        *,
        exponent: int = MAX_EXPONENT,
        requestTag: bytes | None = None,
        maximum: int | None = None,
        isWhole: bool = True,
        total: int | None = None,
        first: Block | None = None,
        length: int | None = None,
    ) -> None:
        self.stage = Stage.SENDING
        self.sent = 0
        self.received = 0
        self.total = len(request.payload) if isWhole else total
        self.expected: int | None = None
        self.response: Response | None = None
        self._request = request
        self._body = bytearray(request.payload)
        # Where in the body the buffer begins. A body that was given whole stays, to begin anew.
        self._bodyStart = 0
        self._isKept = isWhole
        self._isWhole = isWhole
        self._exponent = self._preferred = exponent
        self._requestTag = requestTag
        self._maximum = maximum
        self._inBlocks = not isWhole or len(request.payload) > 16 << exponent
        self._length = length
        self._restarted = False
        self._under: Block | None = None
        self._parts: list[bytes] = []
        self._etag: bytes | None = None
        self._begin = first.start if first is not None else 0
        if first is not None:
            self._preferred = min(exponent, first.exponent)

    # The request's body

    @property
    def wants(self) -> bool:
        """Whether more of the request's body is needed before L{next} can be called."""
        return self.stage is Stage.SENDING and not self._isWhole and self._buffered <= self._blockSize

    def feed(self, data: bytes) -> None:
        """More of the request's body."""
        self._body += data

    def end(self) -> None:
        """That was all of the request's body."""
        self._isWhole = True
        self.total = self._bodyStart + len(self._body)
        if not self.sent and self.total <= self._blockSize:
            self._inBlocks = False

    @property
    def _blockSize(self) -> int:
        return 16 << self._exponent

    @property
    def _buffered(self) -> int:
        return self._bodyStart + len(self._body) - self.sent

    # Back and forth

    def next(self) -> Request:
        """
        The message to send now.

        @raise BodyTooLarge: if it would be block 2 ** 20 (RFC 7959 2.2).
        """
        if self.stage is Stage.RECEIVING:
            return self._nextRequest()
        if not self._inBlocks:
            return self._plainRequest()
        start = self.sent
        offset = start - self._bodyStart
        part = bytes(self._body[offset : offset + self._blockSize])
        more = not (self._isWhole and offset + len(part) == len(self._body))
        number = start >> self._exponent + 4
        if number >= MAX_BLOCKS:
            raise BodyTooLarge(_TOO_MANY_BLOCKS)
        self._under = Block(number, more, self._exponent)
        tags = {} if self._requestTag is None else {"requestTag": (self._requestTag,)}
        size = {"size1": self.total} if number == 0 and self.total is not None else {}
        options = self._request.options.evolve(block1=self._under, **tags, **size)
        if number:
            # RFC 7959 2.10: the first block alone says so.
            options = options.without(Options.ifNoneMatch.number)
        if more:
            # The size of the response's blocks is a matter of the last message (RFC 7959 3.3), and so is its
            # silence: until then the peer has to answer.
            options = options.without(Options.block2.number, Options.noResponse.number)
        return Request(self._request.code, part, options)

    def answered(self, response: Response) -> None:
        """
        The response to the message that L{next} gave.

        @raise RequestError: if no body can be made of what the peer sends.
        @raise ResponseError: if the peer answers with an error amid a body of which parts were taken.
        """
        if self.stage is Stage.SENDING:
            if self._under is not None and self._goesOn(response, self._under):
                return
            if self._under is None and response.code == Code.REQUEST_ENTITY_TOO_LARGE:
                theirs = response.options.block1
                if theirs is not None and len(self._body) > theirs.size and self._shrink(theirs):
                    self._inBlocks = True
                    return
            self._under = None
            if response.code.isSuccess and self.total is not None:
                self.sent = self.total
        self._receive(response)

    def _goesOn(self, response: Response, under: Block) -> bool:
        """Whether there is more of the request's body to send after this response."""
        theirs = response.options.block1
        if response.code == Code.REQUEST_ENTITY_TOO_LARGE:
            return self._shrink(theirs)
        if response.code == Code.REQUEST_ENTITY_INCOMPLETE:
            return self._restart()
        if not under.more:
            if response.code == Code.CONTINUE:
                raise MalformedResponse("the peer answered 2.31 to the last block")
            return False
        if not response.code.isSuccess:
            return False
        if theirs is None:
            if response.code == Code.CONTINUE:
                raise MalformedResponse("the peer answered 2.31 without saying to which block")
            return False
        if theirs.number << theirs.exponent != under.number << under.exponent and (
            theirs.number != under.number
        ):
            raise MalformedResponse(f"the peer answered to block {theirs.number}, not {under.number}")
        self._advance(under)
        # RFC 7959 2.3: the peer may ask for smaller blocks from now on; it has this one whole.
        self._exponent = min(self._exponent, theirs.exponent, MAX_EXPONENT)
        return True

    def _advance(self, under: Block) -> None:
        self.sent = under.start + under.size
        if not self._isKept:
            del self._body[: self.sent - self._bodyStart]
            self._bodyStart = self.sent

    def _shrink(self, theirs: Block | None) -> bool:
        """4.13: begin anew with smaller blocks, once, if the peer hints that these would do."""
        if theirs is None or not (theirs.exponent < self._exponent or not self._inBlocks):
            return False
        if self.sent and not self._isKept:
            return False
        self._exponent = theirs.exponent
        return self._restart()

    def _restart(self) -> bool:
        if self._restarted or (self.sent and not self._isKept):
            return False
        self._restarted = True
        self.sent = 0
        return True

    def _plainRequest(self) -> Request:
        request = self._request
        options = request.options
        if self._preferred < MAX_EXPONENT and options.block2 is None:
            # RFC 7959 2.4: early negotiation of the size.
            options = options.evolve(block2=Block(0, False, self._preferred))
        elif self._isKept:
            return request
        return Request(request.code, bytes(self._body), options)

    # The response's body

    def takePart(self) -> bytes:
        """What of the response's body came since this was last called; it is kept no longer."""
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def _nextRequest(self) -> Request:
        number = self._begin + self.received >> self._exponent + 4
        if number >= MAX_BLOCKS:
            raise BodyTooLarge(_TOO_MANY_BLOCKS)
        # RFC 7959 2.8 leaves open whether a FETCH repeats its payload; the payload is part of its cache
        # key (RFC 8132 2), and peers that look for it there find it.
        request = self._request
        repeated = request.payload if request.code == Code.FETCH and not self._inBlocks else b""
        options = request.options.evolve(
            block2=Block(number, False, self._exponent), block1=None, size1=None, observe=None, size2=None
        )
        if self._inBlocks:
            # As the last block of the request had it.
            options = options.without(Options.ifNoneMatch.number)
            if self._requestTag is not None:
                options = options.evolve(requestTag=(self._requestTag,))
        return Request(request.code, repeated, options)

    def _receive(self, response: Response) -> None:
        block = response.options.block2
        if block is None or not response.code.isSuccess:
            self._receiveWhole(response)
            return
        size = len(response.payload)
        if not block.isValid or size > block.size or (block.more and size != block.size):
            raise MalformedResponse(f"block {block.number} has {size} bytes, of {block.size}")
        if self.response is None:
            if block.start != self._begin:
                raise MalformedResponse(f"the body begins at byte {block.start}, not {self._begin}")
            self._accept(response)
            self._exponent = self._preferred
        elif block.start != self._begin + self.received or block.exponent > self._exponent:
            raise MalformedResponse(f"block {block.number} came out of turn, or is larger than asked for")
        elif response.etag != self._etag:
            self._beginAgain()
            return
        self.stage = Stage.RECEIVING
        self._exponent = min(self._exponent, block.exponent)
        self._add(response.payload)
        if not block.more or self.received == self._length:
            self._finish()

    def _receiveWhole(self, response: Response) -> None:
        """A response without blocks: all there is, or, amid blocks, the end of them."""
        if self.response is not None and response.code == Code.REQUEST_ENTITY_INCOMPLETE:
            self._beginAgain()
            return
        if self.response is not None and response.code.isSuccess:
            raise MalformedResponse("the peer stopped to send blocks amid a body")
        if not self._isComplete:
            raise ResponseError.forCode(response.code, response.payload.decode("utf-8", "replace"))
        self._accept(response)
        self.received = 0
        self._parts = []
        payload = response.payload
        if response.code.isSuccess:
            # Without Block2 it is the whole, whatever part was asked for.
            self._add(payload[self._begin :])
        else:
            self.received = len(payload)
            self._parts = [payload]
        self._finish()

    def _beginAgain(self) -> None:
        """
        The representation changed between two blocks: fetch it from its start, once (RFC 7959 2.4).

        Only what can be asked again without harm is, and only while no part was handed on.
        """
        safe = self._request.code in (Code.GET, Code.FETCH) and not self._inBlocks
        if self._restarted or not safe or not self._isComplete:
            raise BodyChanged("the representation changed while it was fetched; ask again")
        self._restarted = True
        # What the caller has is not valid: the first response told. libcoap 4.3 takes an ETag in a request
        # for a later block as that of the body that is being fetched.
        request = self._request
        self._request = Request(request.code, request.payload, request.options.evolve(etag=None))
        self.response = None
        self.received = 0
        self._parts = []

    @property
    def _isComplete(self) -> bool:
        """Whether every part that came is still here."""
        return sum(map(len, self._parts)) == self.received

    def _accept(self, response: Response) -> None:
        self._etag = response.etag
        self.expected = response.options.size2
        self.response = Response(response.code, b"", _withoutBlocks(response.options))

    def _add(self, payload: bytes) -> None:
        self.received += len(payload)
        if self._maximum is not None and self.received > self._maximum:
            raise BodyTooLarge(
                f"the response's body is larger than the limit of {self._maximum} bytes; raise maximumBody, "
                "or take it as it comes, by stream=True"
            )
        if self._length is not None and self.received > self._length:
            payload = payload[: len(payload) - (self.received - self._length)]
            self.received = self._length
        self._parts.append(payload)

    def _finish(self) -> None:
        self.stage = Stage.DONE
        self.expected = self.received


def _withoutBlocks(options: Options) -> Options:
    return options.without(23, 27) if 23 in options or 27 in options else options
