"""
CoAP URIs, to and from text and options (RFC 7252 6, RFC 8323 8, RFC 3986, RFC 6874).

A L{URI} holds what its text means, percent-decoded and split up: that is what travels in options.
No Unicode normalization takes place, as RFC 7252 3.2 wants it: a segment is sent as it was written.

Two liberties with what is read, none with what is written: characters beyond ASCII stand for their
UTF-8 (RFC 3987 3.1), and the zone of an IPv6 address may follow a bare C{%}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import quote, unquote_to_bytes

from .errors import InvalidURI
from .options import Options

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

# RFC 3986 appendix B, with a scheme that is one.
_REFERENCE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?"
    r"(?://(?P<authority>[^/?#]*))?"
    r"(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?"
    r"(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
_AUTHORITY = re.compile(r"(?:\[(?P<literal>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]*))?")

# RFC 7252 6.4 step 5 lowers ASCII letters alone.
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)

_SUB_DELIMS = "!$&'()*+,;="
_BEYOND_ASCII = "\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000efffd"


def _spelling(extra: str) -> re.Pattern[str]:
    """Matches text of unreserved characters, sub-delims, some more, and percent-encodings."""
    characters = re.escape(_SUB_DELIMS + extra)
    return re.compile(rf"(?:[A-Za-z0-9\-._~{characters}{_BEYOND_ASCII}]|%[0-9A-Fa-f]{{2}})*")


_HOST_SPELLING = _spelling("")
_PATH_SPELLING = _spelling(":@/")
_QUERY_SPELLING = _spelling(":@/?")

# The slash in a query needs no encoding, but RFC 7252 appendix B shows it encoded.
_SAFE_IN_HOST = _SUB_DELIMS
_SAFE_IN_SEGMENT = _SUB_DELIMS + ":@"
_SAFE_IN_ARGUMENT = _SUB_DELIMS.replace("&", "") + ":@?"


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
            if not _isEncodable(part):
                raise InvalidURI(f"{part!r} has no form in UTF-8")
        for segment in self.path:
            if segment in (".", ".."):  # RFC 7252 5.10.1: it must not be sent as a segment
                raise InvalidURI(f"a path segment cannot be {segment!r}, not even percent-encoded")
        object.__setattr__(self, "host", _canonicalHost(self.host))
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
        path = "/".join(quote(segment, safe=_SAFE_IN_SEGMENT) for segment in self.path)
        query = "&".join(quote(argument, safe=_SAFE_IN_ARGUMENT) for argument in self.query)
        return f"/{path}?{query}" if self.query else f"/{path}"

    @property
    def isLiteral(self) -> bool:
        """Whether the host is an IP address, so that no name needs to be looked up."""
        return _addressOf(self.host) is not None

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
            if _addressOf(host) is None:
                raise InvalidURI(f"Uri-Host {host!r} is no IPv6 address")
        return cls(scheme, host or defaultHost, port or defaultPort, options.uriPath, options.uriQuery)

    def resolve(self, reference: str) -> URI:
        """
        The URI that a reference means where it was found in this one's representation (RFC 3986 5),
        as with a Location or the target of a link.

        A fragment is dropped: it points into a representation, and is never sent (RFC 3986 3.5).

        @raise InvalidURI: if that is no URI of CoAP.
        """
        parts = _split(reference)
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
        elif destinationHost is not None and _canonicalHost(destinationHost) != uri.host:
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


def _split(text: str) -> dict[str, str | None]:
    """The components of a URI reference; those that are not there are None."""
    # Every text is a match from end to end, so there is a first one.
    return next(_REFERENCE.finditer(text)).groupdict()


@lru_cache(maxsize=256)
def _parse(text: str) -> URI:
    parts = _split(text)
    scheme, authority = parts["scheme"], parts["authority"]
    if scheme is None or authority is None:
        raise InvalidURI(f"{text!r} is not absolute: write it as coap://HOST/PATH")
    if parts["fragment"] is not None:
        raise InvalidURI(f"{text!r} has a fragment, which CoAP cannot send: leave out the # part")
    if "@" in authority:
        raise InvalidURI(f"{text!r} names a user, which CoAP has not: leave out the part to the @")
    scheme = scheme.lower()
    host, port = _parseAuthority(authority, text)
    path, query = parts["path"] or "", parts["query"]
    _check(_PATH_SPELLING, path, "path", text)
    _check(_QUERY_SPELLING, query or "", "query", text)
    return URI(
        scheme,
        host,
        port,
        tuple(_decode(segment) for segment in _segments(path)),
        () if query is None else tuple(_decode(argument) for argument in query.split("&")),
    )


def _parseAuthority(authority: str, text: str) -> tuple[str, int]:
    """Host and port; the port is 0 where none is given (RFC 7252 6.1)."""
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise InvalidURI(f"{authority!r} in {text!r} is no host and port; an IPv6 address goes in [brackets]")
    literal, name, port = match.group("literal", "name", "port")
    number = _parsePort(port or "")
    if literal is None:
        _check(_HOST_SPELLING, name, "host", text)
        return _decode(name), number
    address, mark, zone = literal.partition("%")
    if mark:
        # RFC 6874 has the zone's own % encoded; people copy it bare from other tools.
        zone = zone[2:] if zone.startswith("25") and len(zone) > 2 else zone
        _check(_HOST_SPELLING, zone, "zone", text)
        address = f"{address}%{_decode(zone)}"
    if ":" not in address or _addressOf(address) is None:
        raise InvalidURI(f"{literal!r} in {text!r} is no IPv6 address")
    return address, number


def _parsePort(port: str) -> int:
    digits = port.lstrip("0")
    if port and (not digits or len(digits) > 5 or int(digits) > 0xFFFF):
        raise InvalidURI(f"a port is a number from 1 to 65535, not {port[:20]}")
    return int(digits or 0)


def _check(spelling: re.Pattern[str], part: str, what: str, text: str) -> None:
    match = spelling.match(part)
    position = match.end() if match else 0
    if position < len(part):
        wrong = part[position]
        hint = (
            "% goes before two hexadecimal digits, or is written %25"
            if wrong == "%"
            else f"write it as {quote(wrong, safe='', errors='replace')}"
        )
        raise InvalidURI(f"{wrong!r} cannot stand in the {what} of {text!r}: {hint}")


def _decode(part: str) -> str:
    try:
        return unquote_to_bytes(part).decode("utf-8") if "%" in part else part
    except UnicodeDecodeError:
        raise InvalidURI(f"{part!r} is no percent-encoded UTF-8") from None


def _segments(path: str) -> list[str]:
    """
    The segments of an absolute path, without those that are dots (RFC 3986 5.2.4).

    None for C{""} and C{"/"} (RFC 7252 6.4 step 8).
    """
    given = path.split("/")[1:]
    segments: list[str] = []
    for segment in given:
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    if given and given[-1] in (".", ".."):
        segments.append("")
    return [] if segments == [""] else segments


def _isEncodable(part: str) -> bool:
    try:
        part.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _canonicalHost(host: str) -> str:
    """Names in lower case, addresses in the form of RFC 5952, Unix paths as they are."""
    if host.startswith("/"):
        return host
    address = _addressOf(host)
    return host.translate(_LOWER) if address is None else address


@lru_cache(maxsize=256)
def _addressOf(host: str) -> str | None:
    """An IP address in its canonical form, with its zone; None for anything else."""
    try:
        if ":" not in host:
            return str(IPv4Address(host))
        address, mark, zone = host.partition("%")
        if mark and not zone:
            return None
        parsed = IPv6Address(address)
        # RFC 5952 5; Python writes it so from 3.13 on.
        mapped = parsed.ipv4_mapped
        text = f"::ffff:{mapped}" if mapped else str(parsed)
    except ValueError:
        return None
    return f"{text}%{zone}" if zone else text
