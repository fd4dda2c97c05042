"""
How the parts of a URI are written (RFC 3986, RFC 7252 6.4): told apart, checked, decoded, and brought to one
form. Together they are a L{URI<txcoap.uri.URI>}.

Two liberties are taken with what is read: characters beyond ASCII stand for their UTF-8 (RFC 3987 3.1), and
the zone of an IPv6 address may follow a bare C{%}.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import quote, unquote_to_bytes

from .errors import InvalidURI

__all__ = [
    "SUB_DELIMS",
    "canonicalHost",
    "isEncodable",
    "literalOf",
    "parseAuthority",
    "parsePath",
    "parseQuery",
    "split",
    "writePath",
    "writePeer",
]

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

SUB_DELIMS = "!$&'()*+,;="
_SAFE_IN_SEGMENT = SUB_DELIMS + ":@"
_BEYOND_ASCII = "\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000efffd"


def _spelling(extra: str) -> re.Pattern[str]:
    """Matches text of unreserved characters, sub-delims, some more, and percent-encodings."""
    characters = re.escape(SUB_DELIMS + extra)
    return re.compile(rf"(?:[A-Za-z0-9\-._~{characters}{_BEYOND_ASCII}]|%[0-9A-Fa-f]{{2}})*")


_HOST_SPELLING = _spelling("")
_PATH_SPELLING = _spelling(":@/")
_QUERY_SPELLING = _spelling(":@/?")


def split(text: str) -> dict[str, str | None]:
    """The components of a URI reference; those that are not there are None."""
    # Every text is a match from end to end, so there is a first one.
    return next(_REFERENCE.finditer(text)).groupdict()


def parseAuthority(authority: str, text: str) -> tuple[str, int]:
    """
    Host and port; the port is 0 where none is given (RFC 7252 6.1).

    @param text: All of the URI, for errors; likewise below.
    @raise InvalidURI: if it is none; likewise below.
    """
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
    if ":" not in address or literalOf(address) is None:
        raise InvalidURI(f"{literal!r} in {text!r} is no IPv6 address")
    return address, number


def parsePath(path: str, text: str) -> tuple[str, ...]:
    """The segments of an absolute path, decoded, and without those that are dots."""
    _check(_PATH_SPELLING, path, "path", text)
    return tuple([_decode(segment) for segment in _segments(path)])


def parseQuery(query: str, text: str) -> tuple[str, ...]:
    """The arguments of a query, decoded."""
    _check(_QUERY_SPELLING, query, "query", text)
    return tuple([_decode(argument) for argument in query.split("&")])


def writePath(segments: Iterable[str]) -> str:
    """Segments as a path, percent-encoded where need be, a slash before each."""
    return "".join(["/" + quote(each, safe=_SAFE_IN_SEGMENT) for each in segments])


def writePeer(peer: Hashable) -> str:
    """
    Who was asked, for the text of an error: C{192.0.2.1:5683}, C{[fe80::1%2]:5683}, or a path.

    @param peer: An address as a socket writes it, or whatever else a transport calls its peers.
    """
    if isinstance(peer, bytes):
        return peer.decode("utf-8", "replace")
    if not (isinstance(peer, tuple) and len(peer) >= 2 and isinstance(peer[0], str)):
        return str(peer)
    host, port, *more = peer
    if ":" not in host:
        return f"{host}:{port}"
    if host.startswith("::ffff:") and "." in host:
        return f"{host[7:]}:{port}"
    scope = more[1] if len(more) == 2 and "%" not in host else 0
    return f"[{host}%{scope}]:{port}" if scope else f"[{host}]:{port}"


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


def isEncodable(part: str) -> bool:
    """Whether it has a form in UTF-8: single surrogates have none."""
    try:
        part.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def canonicalHost(host: str) -> str:
    """Names in lower case, addresses in the form of RFC 5952, Unix paths as they are."""
    if host.startswith("/"):
        return host
    address = literalOf(host)
    return host.translate(_LOWER) if address is None else address


@lru_cache(maxsize=256)
def literalOf(host: str) -> str | None:
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
