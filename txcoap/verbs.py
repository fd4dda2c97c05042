"""
L{Verbs}: what every agent can be asked by name, whatever is between it and the network.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail

from .codes import Code
from .errors import CoAPError, UnsupportedScheme
from .formats import LINK_FORMAT
from .linkformat import Link, parse
from .message import Response
from .uri import URI

__all__ = ["Verbs", "targetOf"]


class Verbs:
    """
    The methods by name, and discovery: all that is made of C{request} alone.
    """

    def request(
        self, method: Code | str | int, uri: str | URI, payload: Any = b"", **how: Any
    ) -> Deferred[Any]:
        """Ask for something; see L{IAgent<txcoap.interfaces.IAgent>}."""
        raise NotImplementedError

    def get(self, uri: str | URI, **how: Any) -> Deferred[Any]:
        """GET; see L{request}."""
        return self.request(Code.GET, uri, **how)

    def post(self, uri: str | URI, payload: Any = b"", **how: Any) -> Deferred[Any]:
        """POST; see L{request}."""
        return self.request(Code.POST, uri, payload, **how)

    def put(self, uri: str | URI, payload: Any = b"", **how: Any) -> Deferred[Any]:
        """PUT; see L{request}."""
        return self.request(Code.PUT, uri, payload, **how)

    def delete(self, uri: str | URI, **how: Any) -> Deferred[Any]:
        """DELETE; see L{request}."""
        return self.request(Code.DELETE, uri, **how)

    def fetch(self, uri: str | URI, payload: Any = b"", **how: Any) -> Deferred[Any]:
        """FETCH (RFC 8132 2); see L{request}."""
        return self.request(Code.FETCH, uri, payload, **how)

    def patch(self, uri: str | URI, payload: Any = b"", **how: Any) -> Deferred[Any]:
        """PATCH (RFC 8132 3); see L{request}."""
        return self.request(Code.PATCH, uri, payload, **how)

    def iPatch(self, uri: str | URI, payload: Any = b"", **how: Any) -> Deferred[Any]:
        """The idempotent PATCH, iPATCH (RFC 8132 3); see L{request}."""
        return self.request(Code.IPATCH, uri, payload, **how)

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
        core = URI(base.scheme, base.host, base.port, (".well-known", "core"), queries)

        def read(response: Response) -> tuple[Link, ...]:
            response.raiseForCode()
            return parse(response.payload.decode("utf-8", "replace"), lenient=True)

        return self.get(core, **{"accept": LINK_FORMAT, **how}).addCallback(read)


def targetOf(uri: str | URI) -> URI:
    """
    Whom to ask for what.

    @raise UnsupportedScheme: for a scheme that is not served here; never is a URI asked over a transport
        weaker than it says (RFC 7252 6.2).
    """
    target = uriOf(uri)
    if target.scheme != "coap":
        raise UnsupportedScheme(f"{target.scheme} is not served here, only coap; {target} was not asked")
    return target


def uriOf(uri: str | URI) -> URI:
    if not isinstance(uri, (str, URI)):
        raise TypeError(f"a URI is text (str) in CoAP; got {uri!r}")
    return uri if isinstance(uri, URI) else URI.fromText(uri)
