"""
Bodies in blocks, as a L{Site<txcoap.server.Site>} serves them (RFC 7959).

Between the site and a resource: a request that comes in blocks is rendered once, when it is whole, or its
blocks go to what the resource opened for them; a response larger than a block is cut, and the later
blocks come from the same representation as the first. The rules are in L{txcoap.sansio.blocks}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from .block import MAX_BLOCKS, Block, exponentFor
from .codes import WITHOUT_PAYLOAD, Code
from .consumed import BodySink
from .errors import (
    BadOption,
    BadRequest,
    MethodNotAllowed,
    NotFound,
    RequestEntityIncomplete,
    RequestEntityTooLarge,
    ServiceUnavailable,
)
from .interfaces import IRange
from .message import Response
from .options import NO_OPTIONS, Options
from .sansio.blocks import Stored, Upload, cut, etagOf, transferKey

if TYPE_CHECKING:
    from .protocol import CoAPProtocol
    from .request import Request
    from .sansio.events import IncomingRequest

__all__ = ["Blockwise", "RangedResponse", "requireMethod"]

_SAFE = frozenset({Code.GET, Code.FETCH})
_BARE = frozenset({Code.VALID, Code.CONTINUE})
_BLOCK2 = 23
_BLOCK1 = 27
_SIZE1 = 60


class RangedResponse(Response):
    """
    A response whose body is read where it is needed, a block at a time: for what is large and can be read
    at any place. A request for each block renders the resource anew; give it an C{etag}, so that the
    client notices when the representation changes between two blocks.

    @param code: The response code.
    @param source: An L{IRange}.
    @param options: Options to start from.
    @param values: More options by accessor name, as for L{Options}.
    """

    __slots__ = ("source",)

    def __init__(self, code: Code, source: Any, options: Options = NO_OPTIONS, **values: object) -> None:
        super().__init__(code, b"", options, **values)
        self.source = source


class Blockwise:
    """
    The blocks of one site.

    @param blockSize: Bytes in the largest block that we send, or ask for; 16 to 1024.
    @ivar exponent: Its size as SZX.
    @ivar size: Its size in bytes.
    """

    def __init__(self, blockSize: int) -> None:
        self.exponent = exponentFor(blockSize)
        self.size = 16 << self.exponent

    # Requests

    def admit(self, request: Request, resource: Any) -> bool:
        """
        Judge a request that has a body or a Block option, or that is for a resource that opens bodies.

        @return: Whether it is whole, and to be rendered; else it is answered, or will be.
        @raise ResponseError: if it cannot be taken.
        """
        options = request.options
        opensBody = getattr(resource, "openBody", None) is not None
        isPlain = options.isPlain
        block1 = None if isPlain else options.block1
        if block1 is not None:
            return self._receive(request, resource, block1, opensBody)
        if opensBody and request.code not in _SAFE and request.code != Code.DELETE:
            return self._receive(request, resource, Block(0, False, self.exponent), opensBody)
        limit = _limitOf(resource, request)
        if len(request.payload) > limit:
            raise RequestEntityTooLarge(f"at most {limit} bytes", size1=limit)
        block2 = None if isPlain else options.block2
        if block2 is not None and block2.number:
            return self._continue(request, block2)
        return True

    def _receive(self, request: Request, resource: Any, block: Block, opensBody: bool) -> bool:
        requireMethod(request, resource)
        if request.code in WITHOUT_PAYLOAD:
            # RFC 7252 5.4: an option that is not defined for a method counts as unrecognized.
            raise BadOption(f"Block1 is for a body, which {request.method} has not")
        protocol = request.protocol
        isCut = request.options.block1 is not None
        upload, stored = self._store(request, block, None if opensBody else _limitOf(resource, request))
        if opensBody:
            self._pass(request, resource, upload, stored)
        if stored is Stored.LAST:
            if isCut:
                request.block1 = Block(block.number, False, block.exponent)
            request.payload = b"" if opensBody else protocol.transfers.take(upload)
            request.options = request.options.without(_BLOCK1, _SIZE1)
            return True
        go = Response(
            Code.CONTINUE, b"", block1=Block(block.number, block.more, min(block.exponent, self.exponent))
        )
        if upload.sink is None:
            request.respond(go)
        elif stored is Stored.AGAIN and upload.sink.isHolding:
            request.silence()
        else:
            upload.sink.hold(lambda: request.respond(go))
        return False

    def _store(self, request: Request, block: Block, limit: int | None) -> tuple[Upload, Stored]:
        """The body that a block belongs to, and what became of the block there."""
        protocol = request.protocol
        options = request.options
        if options.block1 is None:
            # The whole of a small body, which may be larger than a block of ours.
            upload = Upload(None, b"", limit, protocol.now())
            upload.parts.append(request.payload)
            return upload, Stored.LAST
        key = transferKey(request.exchange.client, request.code, options)
        upload, stored = protocol.transfers.receive(
            key, request.token, block, request.payload, options.size1, limit, protocol.now()
        )
        if block.number == 0:
            upload.ifNoneMatch = options.ifNoneMatch
        elif upload.ifNoneMatch and stored is Stored.LAST:
            # RFC 7959 2.10: the first block alone may say so, and it holds for the whole.
            request.options = options.evolve(ifNoneMatch=True)
        return upload, stored

    def _pass(self, request: Request, resource: Any, upload: Upload, stored: Stored) -> None:
        """Hand what came on to what the resource opened for it."""
        transfers = request.protocol.transfers
        try:
            if upload.sink is None:
                upload.sink = BodySink(resource.openBody(request), request.site)
                upload.abandoned = upload.sink.abandon
            sink = upload.sink
            request.consumer = sink.consumer
            if sink.isHolding and stored is not Stored.AGAIN:
                # Else a peer that does not wait would fill what has paused.
                raise RequestEntityIncomplete("a block came before the one before it was answered")
            if stored is not Stored.AGAIN:
                sink.write(transfers.take(upload))
            if stored is Stored.LAST:
                sink.finish()
        except BaseException:
            transfers.forget(upload)
            if stored is Stored.LAST and upload.sink is not None:
                upload.sink.abandon()
            raise

    def _continue(self, request: Request, block: Block) -> bool:
        """
        A later block of a response is asked for: answer from the one that the first came from. Without it
        a safe request is rendered again; any other must not be (RFC 7252 4.5).
        """
        key = transferKey(request.exchange.client, request.code, request.options)
        protocol = request.protocol
        download = protocol.transfers.find(key, request.token, protocol.now())
        if download is None:
            if request.code in _SAFE:
                return True
            raise RequestEntityIncomplete("the response is kept no longer")
        if isinstance(download.body, bytes):
            part, body = cut(download.body, block, self.exponent)
            options = download.serve(part)
            if request.options.size2 is not None:
                options = options.evolve(size2=len(download.body))
            request.answer(Response(Code.fromByte(download.code), body, options))
        else:
            download.body.ask(request, block)
        return False

    def proceed(self, protocol: CoAPProtocol, exchange: IncomingRequest) -> bool:
        """
        Answer a request for a later block of a response from the one that the first came from, if that is
        kept whole: its resource has said all there is to say.

        @return: Whether it is answered.
        """
        options = exchange.options
        block = options.read.get(_BLOCK2) or options.block2
        if block is None or not block.number:
            return False
        # Of most requests it is the last option; through a proxy the URI comes after it.
        if options.pairs[-1][0] != _BLOCK2 and (options.block1 is not None or options.size2 is not None):
            return False
        key = transferKey(exchange.client, exchange.code, options)
        clock, answer = protocol.now, protocol.answerAtOnce
        now = clock()
        download = protocol.transfers.find(key, exchange.token, now)
        if download is None or not isinstance(download.body, bytes):
            return False
        try:
            part, body = cut(download.body, block, self.exponent)
        except BadRequest:
            return False
        answer(exchange, download.code, download.serve(part), body, now)
        return True

    # Responses

    def firstBlock(self, request: Request, response: Response) -> Response | Deferred[Response]:
        """
        What to send of a response: all of it, or the block that was asked for.

        @raise BadRequest: if there is no such block.
        """
        asked = request.options.block2 if _isPresent(request.options) else None
        if isinstance(response, RangedResponse):
            return self._ofRange(request, response, asked)
        payload = response.payload
        # What is no representation answers a request for any block.
        isWhole = asked is None or response.code.isError or response.code in _BARE
        if isWhole and len(payload) <= self.size:
            return response
        block, part = cut(payload, asked, self.exponent)
        options = response.options
        if block.more or block.number:
            if response.etag is None and response.code.isSuccess:
                options = options.evolve(etag=etagOf(payload))
            if block.more and request.wants(response):
                client = request.exchange.client
                self.keep(request.protocol, client, request.token, request, response.code, options, payload)
        return Response(response.code, part, _withBlock(options, block, self._size2(request, len(payload))))

    def stateBlock(
        self, request: Request, client: Any, token: bytes, protocol: CoAPProtocol, response: Response
    ) -> Response:
        """
        What a notification carries of a state: all of it, or its first block; the peer fetches the others
        by GET (RFC 7959 2.6).
        """
        payload, options = response.payload, response.options
        asked = request.options.block2
        exponent = self.exponent if asked is None else min(self.exponent, asked.exponent)
        if len(payload) <= 16 << exponent:
            return response
        if response.etag is None:
            options = options.evolve(etag=etagOf(payload))
        self.keep(protocol, client, token, request, response.code, options, payload)
        part = payload[: 16 << exponent]
        return Response(response.code, part, options.evolve(block2=Block(0, True, exponent)))

    def _ofRange(
        self, request: Request, response: RangedResponse, asked: Block | None
    ) -> Response | Deferred[Response]:
        source = IRange(response.source)
        length = source.length
        if asked is not None and not asked.isValid:
            raise BadRequest("a block size exponent of 7 is reserved over UDP")
        exponent = self.exponent if asked is None else min(asked.exponent, self.exponent)
        start = 0 if asked is None else asked.start
        if start >= length and start:
            raise BadRequest(f"the body ends after {length} bytes")
        block = Block(start >> exponent + 4, start + (16 << exponent) < length, exponent)
        if block.number >= MAX_BLOCKS:
            raise BadRequest("a body has at most 2 ** 20 blocks")
        options = response.options
        if asked is not None or block.more:
            options = _withBlock(options, block, self._size2(request, length))

        def complete(data: bytes) -> Response:
            if len(data) != min(block.size, length - start):
                raise ServiceUnavailable("the body changed while it was read", maxAge=1)
            return Response(response.code, data, options)

        data = source.read(start, block.size)
        return data.addCallback(complete) if isinstance(data, Deferred) else complete(data)

    def keep(
        self,
        protocol: CoAPProtocol,
        client: Any,
        token: bytes,
        request: Request,
        code: int,
        options: Options,
        body: bytes,
    ) -> None:
        """Keep the body of a response to such a request, for the blocks that its peer will ask for."""
        key = transferKey(client, request.code, request.options)
        protocol.transfers.offer(key, token, code, options, body, len(body), protocol.now())

    def _size2(self, request: Request, length: int) -> int | None:
        """RFC 7959 4: a request with Size2 asks for the length."""
        return length if request.options.size2 is not None else None


def requireMethod(request: Request, resource: Any) -> None:
    """
    See that a resource has a request's method, if it tells which it has.

    @raise MethodNotAllowed: if not.
    @raise NotFound: if it has none at all.
    """
    allowed = getattr(resource, "allowedMethods", None)
    if allowed is not None and request.method not in allowed:
        if not allowed:
            raise NotFound()
        raise MethodNotAllowed(f"allowed: {', '.join(allowed)}")


def _limitOf(resource: Any, request: Request) -> int:
    limit = getattr(resource, "maximumBody", None)
    return request.site.limits.bodyBytes if limit is None else int(limit)


def _isPresent(options: Options) -> bool:
    pairs = options.pairs
    return bool(pairs) and pairs[-1][0] >= _BLOCK2


def _withBlock(options: Options, block: Block, size2: int | None = None) -> Options:
    value = block.toUint()
    pair = (_BLOCK2, value.to_bytes((value.bit_length() + 7) // 8, "big"))
    added = options.adding(pair)
    return added if size2 is None else added.evolve(size2=size2)
