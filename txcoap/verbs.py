"""
L{Verbs}: what every agent can be asked by name, whatever is between it and the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail

from .codes import Code
from .errors import CoAPError, InvalidURI, UnsupportedScheme
from .formats import LINK_FORMAT
from .groups import isGroup
from .linkformat import WELL_KNOWN_CORE, Link, parse
from .message import Response
from .uri import URI

__all__ = ["PARTS", "Verbs", "coreOf", "groupOf", "linksOf", "located", "targetOf", "uriOf"]

PARTS = ("host", "port", "path", "query")
"""The parts of a URI that can be given instead of it, by name; see L{located}."""


class Verbs:
    """
    The methods by name, and discovery: all that is made of C{request} alone.
    """

    def request(
        self, method: Code | str | int, uri: str | URI, payload: Any = b"", **how: Any
    ) -> Deferred[Any]:
        """Ask for something; see L{IAgent<txcoap.interfaces.IAgent>}."""
        raise NotImplementedError

    def _ask(self, method: Code, uri: str | URI | None, payload: Any, how: dict[str, Any]) -> Deferred[Any]:
        """An agent that stands around another need not know of hosts, paths and queries."""
        if uri is None:
            try:
                uri = located(uri, **{name: how.pop(name) for name in PARTS if name in how})
            except (CoAPError, TypeError, ValueError):
                return fail()
        return self.request(method, uri, payload, **how)

    def get(self, uri: str | URI | None = None, **how: Any) -> Deferred[Any]:
        """GET; see L{request}."""
        return self._ask(Code.GET, uri, b"", how)

    def post(self, uri: str | URI | None = None, payload: Any = b"", **how: Any) -> Deferred[Any]:
        """POST; see L{request}."""
        return self._ask(Code.POST, uri, payload, how)

    def put(self, uri: str | URI | None = None, payload: Any = b"", **how: Any) -> Deferred[Any]:
        """PUT; see L{request}."""
        return self._ask(Code.PUT, uri, payload, how)

    def delete(self, uri: str | URI | None = None, **how: Any) -> Deferred[Any]:
        """DELETE; see L{request}."""
        return self._ask(Code.DELETE, uri, b"", how)

    def fetch(self, uri: str | URI | None = None, payload: Any = b"", **how: Any) -> Deferred[Any]:
        """FETCH (RFC 8132 2); see L{request}."""
        return self._ask(Code.FETCH, uri, payload, how)

    def patch(self, uri: str | URI | None = None, payload: Any = b"", **how: Any) -> Deferred[Any]:
        """PATCH (RFC 8132 3); see L{request}."""
        return self._ask(Code.PATCH, uri, payload, how)

    def iPatch(self, uri: str | URI | None = None, payload: Any = b"", **how: Any) -> Deferred[Any]:
        """The idempotent PATCH, iPATCH (RFC 8132 3); see L{request}."""
        return self._ask(Code.IPATCH, uri, payload, how)

    def discover(self, uri: str | URI, *queries: str, **how: Any) -> Deferred[tuple[Link, ...]]:
        """
        Ask a server what it has (RFC 6690, RFC 7252 7.2).

        @param uri: The server's URI; its path and query do not matter.
        @param queries: What to ask for, such as C{"rt=temperature*"} (RFC 6690 4.1).
        @param how: As for L{request}.
        @return: A Deferred of a tuple of L{Link}, whose targets are percent-encoded, also where the server
            left that out; it fails as L{request} does, with a L{ResponseError
            <txcoap.errors.ResponseError>}, or with L{LinkFormatError<txcoap.errors.LinkFormatError>}.
        """
        try:
            base = uriOf(uri)
        except (CoAPError, TypeError):
            return fail()
        return self.get(coreOf(base, queries), **{"accept": LINK_FORMAT, **how}).addCallback(linksOf)


def located(
    uri: str | URI | None,
    host: str | None = None,
    port: int = 0,
    path: str | Iterable[str] = (),
    query: str | Mapping[str, object] | Iterable[str | tuple[str, object]] = (),
) -> str | URI:
    """
    The URI, or one made of its parts; see L{URI.fromParts}.

    @raise TypeError: if both are given, or neither.
    @raise InvalidURI: if the parts make none.
    """
    if host is not None:
        if uri is not None:
            raise TypeError(f"give a URI or host=, not both; got {uri!s} and {host!r}")
        return URI.fromParts(host, port, path, query)
    if port or path or query:
        raise TypeError("port=, path= and query= go with host=; a URI has them in it")
    if uri is None:
        raise TypeError("whom to ask? Give a URI, or host=")
    return uri


def targetOf(uri: str | URI) -> URI:
    """
    Whom to ask for what.

    @raise InvalidURI: if its host is a group, where many would answer.
    @raise UnsupportedScheme: for a scheme that is not served here; never is a URI asked over a transport
        weaker than it says (RFC 7252 6.2).
    """
    target = _schemed(uri)
    if target.isLiteral and isGroup(target.host):
        raise InvalidURI(
            f"{target.host} is a multicast address, which takes no confirmable request and may give many "
            "responses (RFC 7252 8.1); ask it by Agent.multicast"
        )
    return target


def groupOf(uri: str | URI) -> URI:
    """
    Which group to ask for what.

    @raise InvalidURI: if its host is an address, but no group.
    @raise UnsupportedScheme: see L{targetOf}.
    """
    target = _schemed(uri)
    if target.isUnixPath or (target.isLiteral and not isGroup(target.host)):
        raise InvalidURI(f"{target.host} is no multicast address; ask it by Agent.request")
    return target


def _schemed(uri: str | URI) -> URI:
    target = uriOf(uri)
    if target.scheme != "coap":
        raise UnsupportedScheme(f"{target.scheme} is not served here, only coap; {target} was not asked")
    return target


def coreOf(base: URI, queries: tuple[str, ...] = ()) -> URI:
    """Where a server says what it has."""
    return URI(base.scheme, base.host, base.port, WELL_KNOWN_CORE, queries)


def linksOf(response: Response) -> tuple[Link, ...]:
    """
    The links in a response.

    @raise ResponseError: if it is an error.
    @raise LinkFormatError: if it is no list of links.
    """
    response.raiseForCode()
    return parse(response.payload.decode("utf-8", "replace"), lenient=True)


def uriOf(uri: str | URI) -> URI:
    """
    A URI, from itself or its text.

    @raise InvalidURI: if the text is none.
    @raise TypeError: for anything else, such as C{bytes}.
    """
    if not isinstance(uri, (str, URI)):
        raise TypeError(f"a URI is text (str) in CoAP; got {uri!r}")
    return uri if isinstance(uri, URI) else URI.fromText(uri)
