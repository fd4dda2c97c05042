"""
L{Request}: what a resource is given to answer, with the names that users of C{twisted.web} look for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from .block import Block
from .blockwise import RangedResponse
from .codes import Code
from .errors import NotAcceptable, PreconditionFailed, RequestError, UnsupportedContentFormat
from .formats import contentFormat, formatName
from .message import Message, Response
from .options import NO_OPTIONS, Options
from .produced import ProducedBody
from .sansio.events import IncomingRequest, Reception
from .sansio.observations import Relation

if TYPE_CHECKING:
    from .protocol import CoAPProtocol
    from .server import Site

__all__ = ["NOT_DONE_YET", "Request", "addressOf", "describeAddress"]

_log = Logger()

NOT_DONE_YET = 1
"""What a render method returns to answer later, with C{request.write} and C{request.finish}."""

# What need not be percent-encoded in path and query alike (RFC 3986 3.3, 3.4).
_SAFE = "!$'()*+,;=:@"

# RFC 7641 4.5: of a handler's non-confirmable notifications one in so many is confirmable.
_CONFIRM_EVERY = 10

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


def addressOf(peer: Any) -> IAddress:
    """A peer's address as Twisted writes it; an IPv4 address mapped into IPv6 as IPv4."""
    if not isinstance(peer, tuple):
        return UNIXAddress(peer)
    host, port = peer[0], peer[1]
    if ":" not in host:
        return IPv4Address("UDP", host, port)
    if host.startswith("::ffff:") and "." in host:
        return IPv4Address("UDP", host[7:], port)
    return IPv6Address("UDP", host, port, *peer[2:])


def describeAddress(address: Any) -> str:
    """An address for people: C{"127.0.0.1:5683"}, C{"[::1]:5683"}, or a path."""
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, UNIXAddress):
        return os.fsdecode(address.name or "an unnamed socket")
    return str(address)


_TEXT = Options(contentFormat=0)


@lru_cache(256)
def _formatOptions(form: int | str) -> Options:
    return Options(contentFormat=form)


class Request(Message):
    """
    A request of a peer, until it is answered.

    @ivar code: The method as a L{Code}; L{method} is its name.
    @ivar options: The L{Options}.
    @ivar payload: The whole body, as bytes.
    @ivar prepath: The path's segments that led to the resource, as C{str}.
    @ivar postpath: The segments beyond it; none unless the resource is a leaf.
    @ivar site: The L{Site} that serves it.
    @ivar resource: What is rendered, once that is found.
    @ivar consumer: What the resource opened for the body, once the body is whole; see
        L{Resource.openBody<txcoap.resource.Resource.openBody>}.
    @ivar protocol: The L{CoAPProtocol} that it came by.
    @ivar exchange: The L{IncomingRequest}.
    @ivar block1: The block of the body that came last, to be answered, if it came in blocks.
    @ivar finished: Whether it is answered, or nobody waits for the answer.
    """

    # What most requests never change stands in the class.
    resource: Any = None
    finished = False
    consumer: Any = None
    block1: Block | None = None
    _code: Code | None = None
    _options = NO_OPTIONS
    _chunks: list[bytes] | None = None
    _notifications: tuple[Deferred[None], ...] = ()
    _rendering: Deferred[Any] | None = None
    _relation: Relation | None = None
    _state: Response | None = None
    _produced: ProducedBody | None = None

    def __init__(self, site: Site, protocol: CoAPProtocol, exchange: IncomingRequest) -> None:
        self.site = site
        self.protocol = protocol
        self.exchange = exchange
        self.code = exchange.code
        self.options = exchange.options
        self.payload = exchange.payload
        self.prepath: list[str] = []
        self.postpath: list[str] = []

    # What is asked

    @property
    def method(self) -> str:
        """The method's name, such as C{"GET"}."""
        return self.code.phrase

    @property
    def path(self) -> str:
        """The path, its segments joined by slashes, decoded: C{"/sensors/1"}."""
        return "/" + "/".join(self.options.uriPath)

    @property
    def query(self) -> tuple[str, ...]:
        """The query's arguments as they came, decoded: C{("unit=c", "raw")}."""
        return self.options.uriQuery

    @property
    def uri(self) -> str:
        """Path and query, decoded: C{"/sensors/1?unit=c"}."""
        query = self.query
        return f"{self.path}?{'&'.join(query)}" if query else self.path

    @property
    def reference(self) -> str:
        """Path and query, percent-encoded, for logs: a single line of ASCII, whatever a peer sends."""
        raw = self.options.get
        path = "".join("/" + quote(each, safe=_SAFE) for each in raw(Options.uriPath.number)) or "/"
        query = "&".join(quote(each, safe=_SAFE) for each in raw(Options.uriQuery.number))
        return f"{path}?{query}" if query else path

    @property
    def args(self) -> dict[str, list[str]]:
        """The query's arguments by name, each with its values; C{""} for one without a value."""
        args: dict[str, list[str]] = {}
        for each in self.query:
            name, _, value = each.partition("=")
            args.setdefault(name, []).append(value)
        return args

    @property
    def content(self) -> BytesIO:
        """The body as a file."""
        return BytesIO(self.payload)

    @property
    def accept(self) -> int | None:
        """The content format that the client asks for, by number; None if any will do."""
        return self.options.accept

    @property
    def isConfirmable(self) -> bool:
        """Whether the request came in a confirmable message."""
        return self.exchange.confirmable

    @property
    def token(self) -> bytes:
        """The request's token."""
        return self.exchange.token

    @property
    def messageID(self) -> int:
        """The ID of the message that the request came in."""
        return self.exchange.messageID

    @property
    def peer(self) -> Any:
        """Who asks, as the transport writes it."""
        return self.exchange.peer

    def getClientAddress(self) -> IAddress:
        """Who asks, as a Twisted address."""
        return addressOf(self.exchange.peer)

    def getHost(self) -> IAddress:
        """The address that the server listens at."""
        return self.protocol.getHost()

    # The right answer, made short

    def negotiate(self, *formats: int | str) -> int:
        """
        Choose the content format to answer in (RFC 7252 5.10.4), and set it.

        @param formats: What the resource has, by name or number, the one it likes best first.
        @return: The chosen one's number.
        @raise NotAcceptable: if the client accepts none of them.
        """
        numbers = [contentFormat(each) for each in formats]
        wanted = self.accept
        if wanted is not None and wanted not in numbers:
            raise NotAcceptable(f"there is {', '.join(map(formatName, numbers))}")
        chosen = numbers[0] if wanted is None else wanted
        self.setOption(contentFormat=chosen)
        return chosen

    def requireFormat(self, *formats: int | str) -> int:
        """
        See that the body is in a format that the resource takes.

        @param formats: What it takes, by name or number.
        @return: The number of the body's format.
        @raise UnsupportedContentFormat: if it is in none of them, or none is given.
        """
        numbers = [contentFormat(each) for each in formats]
        given = self.contentFormat
        if given is None or given not in numbers:
            raise UnsupportedContentFormat(f"give {' or '.join(map(formatName, numbers))}")
        return given

    def setETag(self, etag: bytes) -> bool:
        """
        Set the entity tag of the representation to answer with (RFC 7252 5.10.6).

        @param etag: 1 to 8 bytes.
        @return: Whether the client has this representation. Then it is answered 2.03 without a body,
            and what the method returns does not matter.
        """
        self.setOption(etag=etag)
        return etag in self.options.etag

    def checkPreconditions(self, etag: bytes | None) -> None:
        """
        Judge If-Match and If-None-Match, before anything is changed (RFC 7252 5.10.8).

        @param etag: The entity tag of the resource as it is, C{b""} if it has none; None if the
            resource does not exist.
        @raise PreconditionFailed: if they do not hold.
        """
        wanted = self.options.ifMatch
        if wanted and (etag is None or not (b"" in wanted or etag in wanted)):
            raise PreconditionFailed("If-Match does not hold")
        if self.options.ifNoneMatch and etag is not None:
            raise PreconditionFailed("If-None-Match does not hold: it exists")

    # The answer

    def setResponseCode(self, code: Code | int | str) -> None:
        """
        Answer with this code, where the method returns no L{Response}.

        @param code: Whatever makes a L{Code}.
        @raise ValueError: if that is none of a response.
        """
        self._code = Response(code).code

    def setOption(self, **values: object) -> None:
        """Answer with these options, where the method returns no L{Response}; by accessor name."""
        self._options = self._options.evolve(**values)

    def write(self, data: bytes) -> None:
        """
        Add to the body of the answer; for a method that returned L{NOT_DONE_YET}.

        @raise RuntimeError: after L{finish}.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"a body is written as bytes; got {data!r}")
        if self.finished and not self._isForgotten:
            raise RuntimeError("the request is finished; write before calling finish")
        if self._produced is not None:
            self._produced.write(data)
        elif self._chunks is None:
            self._chunks = [data]
        else:
            self._chunks.append(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Let a producer write the body: of any length, a block for each request of the peer. It calls
        L{write}, then L{unregisterProducer} and L{finish}.

        @param producer: An C{IPushProducer}, or an C{IPullProducer}.
        @param streaming: True for a push producer.
        @raise RuntimeError: if one is registered.
        """
        if self._produced is not None:
            raise RuntimeError("a producer is registered already")
        if self.finished:
            producer.stopProducing()
            return
        self._produced = ProducedBody(self, producer, streaming)
        for chunk in self._chunks or ():
            self._produced.write(chunk)
        self._produced.begin()

    def unregisterProducer(self) -> None:
        """The producer has written all."""
        if self._produced is not None:
            self._produced.unregister()

    def finish(self) -> None:
        """
        Answer with what was written; for a method that returned L{NOT_DONE_YET}. If nobody waits any
        more, nothing happens.

        @raise RuntimeError: if the request was answered before.
        """
        if self._isForgotten:
            return
        if self.finished:
            raise RuntimeError("the request is finished already")
        if self._produced is not None:
            self._produced.end()
            return
        if self._relation is not None:
            # The observer may not have the newest state yet, and is to learn that it is the last.
            state = self.toResponse(b"".join(self._chunks)) if self._chunks else self._state
            assert state is not None
            self._tell(self._relation, state, isLast=True)
            return
        self.respond(self.toResponse(b"".join(self._chunks or ())))

    def respond(self, response: Response) -> None:
        """Answer, for good."""
        site = self.site
        isPlain = self.options.isPlain and type(response) is Response and self.block1 is None
        if isPlain and len(response.payload) <= site.blockwise.size and site.accessLog is None:
            # What most responses are: there is nothing to judge, to cut, or to note.
            if not self.finished:
                self.answer(response)
        else:
            site.respond(self, response)

    def notify(self, result: bytes | str | Response) -> None:
        """
        Answer, and stay open if the request observes: each further call tells the observer a new state
        (RFC 7641). Call L{finish} to end it: the observer is told the newest state, or what was written
        since, as the last one. L{notifyFinish} fails when the observer leaves. If the
        request does not observe, the first call answers it for good. For a method that returned
        L{NOT_DONE_YET}, or returns it afterwards.

        @param result: The state: the body, as a method may return it, or a L{Response}. One that is no
            success ends the observation.
        @raise TypeError: if it is a response that has not its body with it.
        """
        if self.finished:
            return
        if isinstance(result, RangedResponse):
            raise TypeError(f"a state that is told has its body with it; got {result!r}")
        if isinstance(result, Response):
            response = result
        else:
            response = self.textResponse(result) if isinstance(result, str) else self.toResponse(result)
        if self._relation is None:
            self._beginRelation(response)
        else:
            self._tell(self._relation, response, isLast=not response.code.isSuccess)

    def _beginRelation(self, response: Response) -> None:
        isObserving = self.options.observe == 0 and self.code in (Code.GET, Code.FETCH)
        relation = None
        if isObserving and response.code.isSuccess:
            relation = self.protocol.register(self.exchange, self.isConfirmable, _CONFIRM_EVERY)
        if relation is None:
            self.respond(response)
            return
        relation.owner = self
        self._relation, self._state = relation, response
        part = self.site.blockwise.stateBlock(self, self.peer, self.token, self.protocol, response)
        self.send(Response(part.code, part.payload, part.options.evolve(observe=relation.sequence)))
        self.protocol.settle()

    def _tell(self, relation: Relation, response: Response, isLast: bool) -> None:
        self._state = response
        part = self.site.blockwise.stateBlock(self, self.peer, self.token, self.protocol, response)
        self.protocol.notify(relation, part.code, part.options, part.payload, isLast=isLast)
        self.protocol.settle()
        if isLast:
            self._relation = self._state = None
            self.concluded()

    def observerLeft(self, relation: Relation, error: RequestError | None) -> None:
        """The observer is gone; see L{CoAPProtocol.deregister}."""
        if self._relation is relation:
            self._relation = None
            self.connectionLost(error or RequestError("the observer has cancelled"))

    @property
    def isLasting(self) -> bool:
        """Whether it is answered and goes on: as an observation, or with a body that is made as it goes."""
        return self._relation is not None or (self._produced is not None and self._produced.hasBegun)

    def acknowledge(self) -> None:
        """Acknowledge a confirmable request now, for it will take long; the response comes apart."""
        self.protocol.acknowledge(self.exchange)

    def reset(self) -> None:
        """
        Reject the request with a Reset (RFC 7252 4.2).

        @raise RuntimeError: if it was acknowledged or answered before: then it cannot be rejected.
        """
        if self.exchange.state is not Reception.UNANSWERED:
            raise RuntimeError("the request is acknowledged or answered already")
        self.protocol.resetRequest(self.exchange)
        self.concluded()

    def notifyFinish(self) -> Deferred[None]:
        """
        Learn what becomes of the answer.

        @return: A Deferred of its own for each call. It fires with None when the request is answered,
            and fails with a L{RequestError} if that is no longer of use: the socket was closed, or
            EXCHANGE_LIFETIME is over.
        """
        notification: Deferred[None] = Deferred()
        self._notifications += (notification,)
        return notification

    # For Site

    @property
    def _isForgotten(self) -> bool:
        return self.finished and self.exchange.state is not Reception.ANSWERED

    def answersAtOnce(self, result: Any) -> bool:
        """
        Answer with a small body, if that is all there is to it: the request asks for nothing else, and
        nothing was set for the response. What most requests come to goes this short way; it must give
        what L{Site.rendered} gives.

        @return: Whether it did.
        """
        if result.__class__ is str:
            body, options = result.encode("utf-8"), _TEXT
        elif result.__class__ is bytes:
            form = getattr(self.resource, "contentFormat", None) if result else None
            body, options = result, NO_OPTIONS if form is None else _formatOptions(form)
        else:
            return False
        site = self.site
        isBare = self._options is NO_OPTIONS and self._code is None and self.block1 is None
        isQuiet = not self._notifications and site.accessLog is None and not self.finished
        if not (isBare and isQuiet and self.options.isPlain) or len(body) > site.blockwise.size:
            return False
        self.protocol.respond(self.exchange, DEFAULT_CODES[self.code], options, body)
        self.finished = True
        return True

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

    def connectionLost(self, reason: RequestError) -> None:
        """Nobody waits for the answer any more."""
        self.finished = True
        notifications, self._notifications = self._notifications, ()
        for notification in notifications:
            notification.errback(reason)
        if self._produced is not None:
            self._produced.stop()
        rendering, self._rendering = self._rendering, None
        if rendering is not None:
            try:
                rendering.cancel()
            except Exception:
                _log.failure("{request} could not be cancelled", request=self)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.reference} from {describeAddress(self.getClientAddress())}>"
