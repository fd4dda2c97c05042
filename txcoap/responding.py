"""
L{Responding}: from what a resource returns to the response, and that on its way; what stands below
L{Site<txcoap.server.Site>}.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from .addresses import describeAddress
from .blockwise import Blockwise
from .codes import Code
from .coroutines import begin
from .errors import (
    BadRequest,
    InternalServerError,
    MalformedOption,
    MessageTooLarge,
    NotAcceptable,
    ResponseError,
)
from .formats import formatName
from .logs import Sparing
from .message import Response
from .observe import withMaxAge
from .options import NO_OPTIONS
from .request import NOT_DONE_YET, Request

__all__ = ["Responding"]


class Responding:
    """
    How a site answers; see L{Site<txcoap.server.Site>} for the parameters.

    @ivar blockwise: What cuts bodies, and puts them together.
    """

    def __init__(self, blockSize: int, accessLog: Callable[[Request, Response], None] | None) -> None:
        self.accessLog = accessLog
        self.blockwise = Blockwise(blockSize)
        self._log = Sparing(Logger())
        # A line for each request is what was asked for.
        self._accesses = Logger()

    def rendered(self, result: Any, request: Request) -> None:
        """A render method, or the Deferred that it returned, gave its result."""
        if request.hasWritten:
            result = request.completing(result)
        if result.__class__ is CoroutineType:
            result = begin(result)
            if not (request.options.isPlain and request.answersAtOnce(result)):
                self.rendered(result, request)
        elif result.__class__ is bytes:
            request.respond(request.toResponse(result))
        elif isinstance(result, Response):
            request.respond(result)
        elif isinstance(result, str):
            request.respond(request.textResponse(result))
        elif result is None:
            request.respond(request.toResponse(b""))
        elif isinstance(result, (Deferred, Coroutine)):
            self._awaitResult(result, request)
        elif isinstance(result, bytes):
            request.respond(request.toResponse(bytes(result)))
        elif result is not NOT_DONE_YET:
            self._log.error(
                "{resource} returned {result!r} to {request}; a render method returns bytes, str, a "
                "Response, None, NOT_DONE_YET, or a Deferred or coroutine of one of the first four",
                resource=request.resource,
                result=result,
                request=request,
            )
            request.respond(Response.fromError(InternalServerError()))

    def _awaitResult(self, result: Any, request: Request) -> None:
        rendering = result if isinstance(result, Deferred) else Deferred.fromCoroutine(result)
        request.awaits(rendering)
        rendering.addCallback(self.rendered, request)
        rendering.addErrback(self.failed, request)

    def failed(self, failure: Failure, request: Request) -> None:
        """A render method, or the Deferred that it returned, failed."""
        error = failure.value
        if isinstance(error, CancelledError) and request.finished:
            return
        if isinstance(error, MalformedOption):
            error = BadRequest(str(error))
        if not isinstance(error, ResponseError):
            self._log.failure("while rendering {request}", failure=failure, request=request)
            error = InternalServerError()
        request.respond(Response.fromError(error))

    def respond(self, request: Request, response: Response) -> None:
        """
        Answer a request, for good.

        A representation in another format than the client accepts becomes a 4.06 (RFC 7252 5.10.4); one that
        it has, by the entity tags that it sent, a 2.03 without a body (5.10.6.2).
        """
        if request.finished:
            return
        options = response.options
        if options is not NO_OPTIONS and response.code == Code.CONTENT:
            etag = response.etag
            form = options.contentFormat
            if form is not None and request.accept not in (None, form) and not _isRelay(request.resource):
                response = Response.fromError(NotAcceptable(f"there is {formatName(form)}"))
            elif etag is not None and etag in request.options.etag:
                response = Response(Code.VALID, b"", options.evolve(contentFormat=None))
        try:
            sent = self.blockwise.firstBlock(request, response)
        except ResponseError as e:
            sent = Response.fromError(e)
        if isinstance(sent, Deferred):
            sent.addCallbacks(self._send, self.failed, (request,), errbackArgs=(request,))
            request.awaits(sent)
        else:
            self._send(sent, request)

    def _send(self, response: Response, request: Request) -> None:
        """Send a response, cut if need be, and have done with its request."""
        if request.block1 is not None:
            options = response.options.evolve(block1=request.block1)
            response = Response(response.code, response.payload, options)
        # A 2.31 is for a part of what is asked: the whole of it may be observed.
        if not request.options.isPlain and response.code != Code.CONTINUE and request.asksToObserve:
            response = self._observe(request, response)
        try:
            request.answer(response)
        except MessageTooLarge:
            self._log.failure("the answer to {request} is too large", request=request)
            response = Response.fromError(InternalServerError())
            request.answer(response)
        if self.accessLog is not None and response.code != Code.CONTINUE:
            self._logAccess(request, response)

    def _logAccess(self, request: Request, response: Response) -> None:
        assert self.accessLog is not None
        try:
            self.accessLog(request, response)
        except Exception:
            self._log.failure("the access log failed on {request}", request=request)

    def _observe(self, request: Request, response: Response) -> Response:
        """A request asks to observe (RFC 7641 2); where nothing can be observed the option is ignored."""
        observe = getattr(request.resource, "observe", None)
        relation = None
        if observe is not None and response.code.isSuccess:
            relation = observe(request, response)
        if relation is None:
            # An answer without Observe says that nothing is observed by this token, any longer.
            request.protocol.deregister(request.peer, request.token)
            return response
        options = response.options
        if options.maxAge is None:
            options = withMaxAge(options, request.resource.maxAge)
        return Response(response.code, response.payload, options.evolve(observe=relation.sequence))

    def logAccess(self, request: Request, response: Response) -> None:
        """Write a line to Twisted's log; to be given as C{accessLog}."""
        self._accesses.info(
            '{client} "{method} {uri}" {code} {size}',
            client=describeAddress(request.getClientAddress()),
            method=request.method,
            uri=request.reference,
            code=response.code.dotted,
            size=len(response.payload),
        )


def _isRelay(resource: Any) -> bool:
    """Whether what a resource answers is another server's word, which passes as it is."""
    return getattr(resource, "isRelay", False)
