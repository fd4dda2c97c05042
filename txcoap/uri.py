"""
CoAP URIs, to and from text and options (RFC 7252 6, RFC 8323 8, RFC 3986, RFC 6874).

A L{URI} holds what its text means, percent-decoded and split up: that is what travels in options.
No Unicode normalization takes place, as RFC 7252 3.2 wants it: a segment is sent as it was written.

How the text is read, with its liberties, stands in L{txcoap.spelling}; in what is written there are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from .errors import InvalidURI
from .options import Options
from .spelling import (
    SUB_DELIMS,
    canonicalHost,
    isEncodable,
    literalOf,
    parseAuthority,
    parsePath,
    parseQuery,
    split,
    writePath,
)

__all__ = ["DEFAULT_PORTS", "URI", "argumentsOf"]

DEFAULT_PORTS = {
    "coap": 5683,
    "coaps": 5684,
    "coap+tcp": 5683,
    "coaps+tcp": 5684,
    "coap+ws": 80,
    "coaps+ws": 443,
}
"""Every scheme of CoAP, with its default port (RFC 7252 6.1, 6.2, RFC 8323 8)."""

MAXIMUM_PART = 255
"""Bytes of the longest Uri-Host, Uri-Path or Uri-Query (RFC 7252 5.10)."""

# The slash in a query needs no encoding, but RFC 7252 appendix B shows it encoded.
_SAFE_IN_HOST = SUB_DELIMS
_SAFE_IN_ARGUMENT = SUB_DELIMS.replace("&", "") + ":@?"


@dataclass(frozen=True, slots=True)
class URI:
    """
    A CoAP URI.

    @ivar scheme: One of L{DEFAULT_PORTS}.
    @ivar host: A name in lower case; an IP address without brackets, with its zone after a C{%}
        (C{"fe80::1%eth0"}); or the path of a Unix socket, which begins with a slash.
    @ivar port: 1 to 65535; the scheme's own if 0 is given.
    @ivar path: The segments: C{("a", "b")} for C{/a/b}, empty for C{/}.
    @ivar query: The arguments: C{("x=1", "y")} for C{?x=1&y}.
    @raise InvalidURI: if a part cannot be one.
    @raise TypeError: for a port that is no number.
    """

    scheme: str
    host: str
    port: int = 0
    path: tuple[str, ...] = ()
    query: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.scheme not in DEFAULT_PORTS:
            raise InvalidURI(f"{self.scheme!r} is no scheme of CoAP; those are {', '.join(DEFAULT_PORTS)}")
        if not self.host:
            raise InvalidURI("the host is missing: write coap://HOST/...")
        if not isinstance(self.port, int):
            raise TypeError(f"a port is a number, not {self.port!r}")
        if not 0 <= self.port <= 0xFFFF:
            raise InvalidURI(f"a port is a number from 1 to 65535, not {self.port}")
        for part in (self.host, *self.path, *self.query):
            if not isEncodable(part):
                raise InvalidURI(f"{part!r} has no form in UTF-8")
        for segment in self.path:
            if segment in (".", ".."):  # RFC 7252 5.10.1: it must not be sent as a segment
                raise InvalidURI(f"a path segment cannot be {segment!r}, not even percent-encoded")
        object.__setattr__(self, "host", canonicalHost(self.host))
        object.__setattr__(self, "port", self.port or DEFAULT_PORTS[self.scheme])
        if self.path == ("",):
            # Its text ends in a single slash, which means no segment at all (RFC 7252 6.4 step 8).
            object.__setattr__(self, "path", ())

    @staticmethod
    def fromText(text: str) -> URI:
        """
        Read a URI (RFC 7252 6.4): C{"coap://[2001:db8::1]:61616/a/b?x=1"}.

        The host may be a name, an IP address, or the percent-encoded path of a Unix socket, as in
        C{"coap://%2Frun%2Fx.sock/a"}.

        @raise InvalidURI: if it is no absolute URI of CoAP; the text says what to change.
        """
        return _parse(text)

    @classmethod
    def fromParts(
        cls,
        host: str,
        port: int = 0,
        path: str | Iterable[str] = (),
        query: str | Mapping[str, object] | Iterable[str | tuple[str, object]] = (),
        scheme: str = "coap",
    ) -> URI:
        """
        A URI of parts that stand as they read, not percent-encoded: C{fromParts("::1", path="/a b")}.

        @param host: A name, an IP address, also in brackets, or the path of a Unix socket.
        @param port: 0 for the scheme's own.
        @param path: Text, C{"/a/b"}, or its segments.
        @param query: Text, C{"x=1&y"}; a mapping of names to values; or the arguments, each as text or as
            name and value.
        @raise InvalidURI: if a part cannot be one.
        @raise TypeError: for a query of another form.
        """
        if isinstance(path, str):
            if "?" in path or "#" in path:
                raise InvalidURI(f"the path {path!r} has a query or fragment: give that as query=")
            path = path.removeprefix("/").split("/")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        return cls(
            scheme,
            host,
            port,
            tuple(path),
            argumentsOf(query),
        )

    def toText(self) -> str:
        """
        Write the URI (RFC 7252 6.5); it reads back equal. The scheme's own port is left out.
        """
        return f"{self.scheme}://{self.authority}{self.resourceName}"

    def __str__(self) -> str:
        return self.toText()

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port, as they stand in the text."""
        name = quote(self.host, safe=_SAFE_IN_HOST)
        if ":" in self.host and self.isLiteral:
            address, mark, zone = self.host.partition("%")
            name = f"[{address}%25{quote(zone, safe='')}]" if mark else f"[{address}]"
        return name if self.port == DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def resourceName(self) -> str:
        """Path and query as they stand in the text: C{"/a/b?x=1"} (RFC 7252 6.5 steps 6 to 8)."""
        path = writePath(self.path) or "/"
        query = "&".join(quote(argument, safe=_SAFE_IN_ARGUMENT) for argument in self.query)
        return f"{path}?{query}" if self.query else path

    @property
    def isLiteral(self) -> bool:
        """Whether the host is an IP address, so that no name needs to be looked up."""
        return literalOf(self.host) is not None

    @property
    def isUnixPath(self) -> bool:
        """Whether the host is the path of a Unix socket."""
        return self.host.startswith("/")

    def toOptions(self, destinationHost: str | None = None, destinationPort: int = 0) -> Options:
        """
        The options of a request for this URI (RFC 7252 6.4 steps 5 to 9).

        @param destinationHost: The IP address it goes to, if that is not the URI's own host;
            without it an IP address as host makes no Uri-Host. A Unix path never makes one.
        @param destinationPort: The port it goes to; 0 for the URI's own, then there is no Uri-Port.
        @raise InvalidURI: if a part is too long for its option.
        """
        return _optionsOf(self, destinationHost, destinationPort)

    @classmethod
    def fromOptions(cls, options: Options, scheme: str, defaultHost: str, defaultPort: int = 0) -> URI:
        """
        The URI that a request is for (RFC 7252 6.5). Proxy-Uri and Proxy-Scheme are not looked at.

        @param options: The request's.
        @param scheme: What it came by.
        @param defaultHost: The address it was sent to, for want of a Uri-Host.
        @param defaultPort: The port it was sent to, for want of a Uri-Port; 0 is the scheme's own.
        @raise InvalidURI: if the options make none, such as with a segment C{..}.
        @raise MalformedOption: if an option is not UTF-8.
        """
        host, port = options.uriHost, options.uriPort
        if port == 0:
            raise InvalidURI("Uri-Port is 0, which is no port")
        if host is not None and host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            if literalOf(host) is None:
                raise InvalidURI(f"Uri-Host {host!r} is no IPv6 address")
        return cls(scheme, host or defaultHost, port or defaultPort, options.uriPath, options.uriQuery)

    def resolve(self, reference: str) -> URI:
        """
        The URI that a reference means where it was found in this one's representation (RFC 3986 5),
        as with a Location or the target of a link.

        A fragment is dropped: it points into a representation, and is never sent (RFC 3986 3.5).

        @raise InvalidURI: if that is no URI of CoAP.
        """
        parts = split(reference)
        if parts["scheme"] is not None:
            return _parse(reference.partition("#")[0])
        if parts["authority"] is not None:
            return _parse(f"{self.scheme}:{reference.partition('#')[0]}")
        path, query = parts["path"] or "", parts["query"]
        base, mark, ownQuery = self.resourceName.partition("?")
        if not path:
            path, query = base, ownQuery if query is None and mark else query
        elif not path.startswith("/"):
            path = base[: base.rindex("/") + 1] + path
        name = path if query is None else f"{path}?{query}"
        return _parse(f"{self.scheme}://{self.authority}{name}")


def argumentsOf(query: str | Mapping[str, object] | Iterable[str | tuple[str, object]]) -> tuple[str, ...]:
    """
    The arguments of a query, each for one Uri-Query.

    @param query: See L{URI.fromParts}.
    @raise TypeError: if it has another form.
    """
    if isinstance(query, str):
        return tuple(query.removeprefix("?").split("&")) if query else ()
    arguments = []
    try:
        for each in query.items() if isinstance(query, Mapping) else query:
            if not isinstance(each, str):
                name, value = each
                each = f"{name}={value}"
            arguments.append(each)
    except (TypeError, ValueError):
        raise TypeError(
            "a query is text, a mapping of names to values, or a sequence of texts and of pairs of name and "
            f"value; got {query!r}"
        ) from None
    return tuple(arguments)


# A client asks for few URIs again and again; their options, once written, keep their wire form too.
@lru_cache(maxsize=256)
def _optionsOf(uri: URI, destinationHost: str | None, destinationPort: int) -> Options:
    host = port = None
    if not uri.isUnixPath:
        if not uri.isLiteral:
            host = uri.host
        elif destinationHost is not None and canonicalHost(destinationHost) != uri.host:
            # The zone means something on this machine alone (RFC 6874 1).
            address = uri.host.partition("%")[0]
            host = f"[{address}]" if ":" in address else address
        if destinationPort not in (0, uri.port):
            port = uri.port
    for part in (host or "", *uri.path, *uri.query):
        size = len(part.encode("utf-8"))
        if size > MAXIMUM_PART:
            raise InvalidURI(
                f"a host, path segment or query argument has at most {MAXIMUM_PART} bytes; "
                f"{part[:20]!r}... has {size}"
            )
    return Options(uriHost=host, uriPort=port, uriPath=uri.path, uriQuery=uri.query)


@lru_cache(maxsize=256)
def _parse(text: str) -> URI:
    parts = split(text)
    scheme, authority = parts["scheme"], parts["authority"]
    if scheme is None or authority is None:
        raise InvalidURI(f"{text!r} is not absolute: write it as coap://HOST/PATH")
    if parts["fragment"] is not None:
        raise InvalidURI(f"{text!r} has a fragment, which CoAP cannot send: leave out the # part")
    if "@" in authority:
        raise InvalidURI(f"{text!r} names a user, which CoAP has not: leave out the part to the @")
    scheme = scheme.lower()
    host, port = parseAuthority(authority, text)
    query = parts["query"]
    return URI(
        scheme,
        host,
        port,
        parsePath(parts["path"] or "", text),
        () if query is None else parseQuery(query, text),
    )
