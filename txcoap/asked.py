"""
L{AskedRequest}: what is asked, and by whom; what stands below L{Request<txcoap.request.Request>}.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress

from .addresses import addressOf, describeAddress
from .errors import InvalidURI, PreconditionFailed, Unauthorized, UnreadableBody, UnsupportedContentFormat
from .formats import contentFormat, formatName
from .message import Message
from .options import Options
from .sansio.events import IncomingRequest
from .sansio.observations import OBSERVABLE
from .uri import URI

if TYPE_CHECKING:
    from .protocol import CoAPProtocol
    from .server import Site

__all__ = ["AskedRequest"]

# What need not be percent-encoded in path and query alike (RFC 3986 3.3, 3.4).
_SAFE = "!$'()*+,;=:@"

_REGISTER = 0


class AskedRequest(Message):
    """
    What a request asks; see L{Request<txcoap.request.Request>} for the attributes.
    """

    isMulticast = False

    def __init__(self, site: Site, protocol: CoAPProtocol, exchange: IncomingRequest) -> None:
        self.site = site
        self.protocol = protocol
        self.exchange = exchange
        self.code = exchange.code
        self.options = exchange.options
        self.payload = exchange.payload
        self.prepath: list[str] = []
        self.postpath: list[str] = []
        # Whether nothing was set for the answer, and nobody wants to know what becomes of it.
        self._isBare = True

    def text(self) -> str:
        """
        The body as text.

        @raise UnreadableBody: if it is not UTF-8; not caught, it is answered 4.00.
        """
        try:
            return super().text()
        except ValueError:
            raise UnreadableBody("the body is not UTF-8") from None

    def json(self) -> Any:
        """
        The body read as JSON.

        @raise UnreadableBody: if it is none, or nested too deeply; not caught, it is answered 4.00.
        """
        try:
            return super().json()
        except (ValueError, RecursionError):
            raise UnreadableBody("the body is not JSON") from None

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

    def getHeader(self, name: str) -> Any:
        """An option's value by its name, as L{headers} has it; None if the request has none such."""
        return self.headers.get(name)

    @property
    def asksToObserve(self) -> bool:
        """
        Whether it asks to be told of changes (RFC 7641 2). What is observed is the whole of a resource: with
        a request for a later block of it Observe is ignored (RFC 7959 2.6).
        """
        options = self.options
        if options.observe != _REGISTER or self.code not in OBSERVABLE:
            return False
        block2 = options.block2
        return block2 is None or not block2.number

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

    def getClientURI(
        self,
        path: str | Iterable[str] = (),
        query: str | Mapping[str, object] | Iterable[str | tuple[str, object]] = (),
    ) -> URI:
        """
        Where to ask who asks, if that is a server too: on the path by which it came, so also behind a network
        address translator, by C{Agent(reactor, protocol=request.protocol)}.

        @param path: What to ask it for, as L{URI.fromParts} takes it; so is C{query}.
        @raise InvalidURI: if a part cannot be one, or the client has no address that can be asked.
        """
        address: Any = addressOf(self.exchange.peer)
        if isinstance(address, UNIXAddress):
            if not address.name:
                raise InvalidURI("who asks by a socket without a name cannot be asked")
            return URI.fromParts(os.fsdecode(address.name), 0, path, query)
        # A link-local address is one of a link (RFC 4007 11).
        zone = getattr(address, "scopeID", 0)
        host = f"{address.host}%{zone}" if zone and "%" not in address.host else address.host
        return URI.fromParts(host, address.port, path, query)

    def getHost(self) -> IAddress:
        """
        The address that was asked, of all that the server listens at; where the socket cannot tell, the
        one that it is bound to.
        """
        host: Any = self.protocol.getHost()
        local: Any = self.exchange.local
        return host if local is None else addressOf((local.address, host.port))

    # Whether it can be served

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

    def requireFresh(self, seconds: float = 60.0) -> None:
        """
        See that the request was made just now, and by the address that it bears: for what must not happen
        late, such as opening a lock (RFC 9175 2). It has to carry an Echo that this server gave to that
        address; a client that knows Echo gets one by the error, and asks again by itself.

        @param seconds: How old the request may be.
        @raise Unauthorized: if it could be older: a 4.01 with a new Echo.
        """
        age = self.protocol.freshness(self.exchange)
        if age is None or age > seconds:
            raise Unauthorized(echo=self.protocol.newEcho(self.exchange.peer))

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.reference} from {describeAddress(self.getClientAddress())}>"
