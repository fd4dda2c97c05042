"""
L{AnsweredRequest}: what a request is answered, and the way there; what stands below
L{Request<txcoap.request.Request>}.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from twisted.internet.defer import Deferred

from .asked import AskedRequest
from .block import Block
from .codes import Code
from .errors import NotAcceptable
from .formats import contentFormat, formatName
from .headers import fromHeaders, withHeader
from .message import Response
from .options import NO_OPTIONS, Options
from .registration import rereadByRegistration
from .sansio.replying import isUnwanted

__all__ = ["DEFAULT_CODES", "AnsweredRequest"]

# RFC 7252 5.8, RFC 8132 2.3, 3.2: what a method's success is called.
DEFAULT_CODES: Mapping[int, Code] = {
    Code.GET: Code.CONTENT,
    Code.FETCH: Code.CONTENT,
    Code.POST: Code.CHANGED,
    Code.PUT: Code.CHANGED,
    Code.PATCH: Code.CHANGED,
    Code.IPATCH: Code.CHANGED,
    Code.DELETE: Code.DELETED,
}


_TEXT = Options(contentFormat=0)


@rereadByRegistration
@lru_cache(256)
def _formatOptions(form: int | str) -> Options:
    return Options(contentFormat=form)


class AnsweredRequest(AskedRequest):
    """
    How a request is answered, once; see L{Request<txcoap.request.Request>} for the attributes.
    """

    # What most requests never change stands in the class.
    resource: Any = None
    finished = False
    hasWritten = False
    stateAge: int | None = None
    block1: Block | None = None
    _code: Code | None = None
    _options = NO_OPTIONS
    _notifications: tuple[Deferred[None], ...] = ()
    _rendering: Deferred[Any] | None = None

    # What the answer says

    def setResponseCode(self, code: Code | int | str) -> None:
        """
        Answer with this code, where the method returns no L{Response}.

        @param code: Whatever makes a L{Code}.
        @raise ValueError: if that is none of a response.
        """
        self._code = Response(code).code
        self._isBare = False

    def setOption(self, **values: object) -> None:
        """Answer with these options, where the method returns no L{Response}; by accessor name."""
        self._options = self._options.evolve(**values)
        self._isBare = False

    def setStateAge(self, seconds: int) -> None:
        """Say for how long a representation holds, where neither the method nor its response does."""
        self.stateAge = seconds
        self._isBare = False

    def withStateAge(self, response: Response) -> Response:
        """A response with what L{setStateAge} said, unless it says it itself or is no representation."""
        options = response.options
        isState = response.code == Code.CONTENT and type(response) is Response
        if self.stateAge is None or not isState or options.maxAge is not None:
            return response
        return Response(response.code, response.payload, options.evolve(maxAge=self.stateAge))

    def setHeader(self, name: str | int, value: Any) -> None:
        """
        Answer with this option, where the method returns no L{Response}; by name, as in
        C{setHeader("Content-Type", "application/json")}.

        @param name: See L{withHeader<txcoap.headers.withHeader>}; likewise for the value and errors.
        """
        self._options = withHeader(self._options, name, value)
        self._isBare = False

    def writeHead(self, code: Code | int | str, headers: Mapping[str, Any] | None = None) -> None:
        """
        Answer with this code and these options, where the method returns no L{Response}.

        @param code: As for L{setResponseCode}: C{"4.04"}, or 404.
        @param headers: Options by name, as for L{setHeader}. Those set before stay, if they are not named.
        @raise ValueError: for a code, name or value that is none; then nothing is set.
        """
        options = fromHeaders(headers or {}, self._options)
        self.setResponseCode(code)
        self._options = options
        self._isBare = False

    def negotiate(self, *formats: int | str) -> int:
        """
        Choose the content format to answer in (RFC 7252 5.10.4), and set it.

        @param formats: What the resource has, by name or number, the one it likes best first.
        @return: The chosen one's number.
        @raise NotAcceptable: if the client accepts none of them.
        @raise TypeError: if there is nothing to choose from.
        """
        if not formats:
            raise TypeError('negotiate takes what the resource has, such as "application/json"')
        numbers = [contentFormat(each) for each in formats]
        wanted = self.accept
        if wanted is not None and wanted not in numbers:
            raise NotAcceptable(f"there is {', '.join(map(formatName, numbers))}")
        chosen = numbers[0] if wanted is None else wanted
        self.setOption(contentFormat=chosen)
        return chosen

    def setETag(self, etag: bytes) -> bool:
        """
        Set the entity tag of the representation to answer with (RFC 7252 5.10.6).

        @param etag: 1 to 8 bytes.
        @return: Whether the client has this representation. Then it is answered 2.03 without a body,
            and what the method returns does not matter.
        """
        self.setOption(etag=etag)
        return etag in self.options.etag

    def toResponse(self, body: bytes) -> Response:
        """A body as a response, with the code and options that were set, or that go without saying."""
        options = self._options
        if body and (options is NO_OPTIONS or options.contentFormat is None):
            form = getattr(self.resource, "contentFormat", None)
            if form is not None:
                options = options.evolve(contentFormat=form) if options else _formatOptions(form)
        return Response(self._code or DEFAULT_CODES[self.code], body, options)

    def textResponse(self, text: str) -> Response:
        """Text as a response, in UTF-8."""
        options = self._options
        if options is NO_OPTIONS:
            options = _TEXT
        elif options.contentFormat is None:
            options = options.evolve(contentFormat=0)
        return Response(self._code or DEFAULT_CODES[self.code], text.encode("utf-8"), options)

    # The answer

    def answersAtOnce(self, result: Any) -> bool:
        """
        Answer a plain request with a small body, if that is all there is to it. What most requests come to
        goes this short way; it must give what L{Site.rendered} gives.

        @return: Whether it did.
        """
        if not self._isBare:
            return False
        kind = result.__class__
        if kind is Response:
            code, body, options = result.code, result.payload, result.options
        elif kind is str:
            code, body, options = DEFAULT_CODES[self.code], result.encode("utf-8"), _TEXT
        elif kind is bytes:
            form = getattr(self.resource, "contentFormat", None) if result else None
            options = NO_OPTIONS if form is None else _formatOptions(form)
            code, body = DEFAULT_CODES[self.code], result
        else:
            return False
        site = self.site
        if site.accessLog is not None or len(body) > site.blockwise.size:
            return False
        if self.options.mayHaveAccept and not self._isAcceptable(options):
            return False
        protocol = self.protocol
        answer, clock = protocol.answerAtOnce, protocol.now
        answer(self.exchange, code, options, body, clock())
        self.finished = True
        return True

    def _isAcceptable(self, options: Options) -> bool:
        """Whether a response with these options is sure to be in the format that the client accepts."""
        return self.accept in (None, options.contentFormat)

    def wants(self, response: Response) -> bool:
        """Whether a response is sent, once it is there, or kept back (RFC 7967 2)."""
        return not isUnwanted(self.options, response.code)

    def send(self, response: Response) -> bool:
        """Hand the answer to the protocol; whether it was still wanted."""
        return self.protocol.respond(self.exchange, response.code, response.options, response.payload)

    def answer(self, response: Response) -> None:
        """Send a response as it is."""
        self.protocol.respond(self.exchange, response.code, response.options, response.payload)
        self.finished = True
        if self._rendering is not None or self._notifications:
            self.concluded()

    def silence(self) -> None:
        """Let another request be answered instead of this one; it is only acknowledged."""
        self.protocol.silence(self.exchange)
        self.concluded()

    def awaits(self, rendering: Deferred[Any]) -> None:
        """The answer comes from this Deferred."""
        self._rendering = rendering

    def concluded(self) -> None:
        """The request is answered."""
        self.finished = True
        self._rendering = None
        if self._notifications:
            notifications, self._notifications = self._notifications, ()
            for notification in notifications:
                notification.callback(None)
