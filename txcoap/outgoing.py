"""
From what a user asks for to a L{Request<txcoap.message.Request>}.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.web.iweb import IBodyProducer

from .codes import WITHOUT_PAYLOAD, Code
from .formats import JSON, OCTET_STREAM, TEXT
from .headers import fromHeaders
from .message import Request
from .options import NO_OPTIONS, URI_OPTIONS, Options
from .uri import DEFAULT_PORTS, URI, argumentsOf

__all__ = ["makeRequest", "throughProxy"]


def makeRequest(
    method: Code | str | int,
    target: URI,
    payload: Any,
    params: str | Mapping[str, object] | Iterable[str | tuple[str, object]],
    json: Any,
    options: Any,
    headers: Mapping[str, Any] | None,
    values: dict[str, Any],
    relaying: bool = False,
) -> tuple[Request, Any]:
    """
    A request; see L{Agent.request<txcoap.client.Agent.request>} for the parameters.

    @param relaying: Whether it is made for someone else, who has said all there is to say.
    @return: The request, and the C{IBodyProducer} of its body, or None if that is in the request.
    @raise ValueError: for a value that the request cannot have; C{TypeError} likewise.
    """
    if options is None:
        options = NO_OPTIONS
    elif not isinstance(options, Options):
        raise TypeError(f"give options as Options(accept=50) and the like; got {options!r}")
    options = fromHeaders(headers, options)
    producer = None
    if payload.__class__ is not bytes or json is not None:
        payload, producer, form = _bodyOf(payload, json)
        if form is not None:
            values = {"contentFormat": form, **values}
    if params:
        options = options.adding(*Options(uriQuery=argumentsOf(params)).pairs)
    own = target.toOptions()
    asked = own.adding(*options.pairs) if options else own
    code = method if isinstance(method, Code) else Code(method)
    if (payload or producer is not None) and code in WITHOUT_PAYLOAD:
        raise ValueError(f"{code} has no body (RFC 7252 5.5); FETCH and POST have")
    request = Request(code, payload, asked, **values)
    if code == Code.FETCH and not relaying and request.contentFormat is None:
        # RFC 8132 2.3.1: a FETCH says what its body is. Bytes of which nothing is known are just that.
        request = Request(code, payload, request.options.evolve(contentFormat=OCTET_STREAM))
    return request, producer


def _bodyOf(payload: Any, json: Any) -> tuple[bytes, Any, int | None]:
    """A body as bytes, or what produces it; and its content format where that goes without saying."""
    if json is not None:
        if payload is not None and payload != b"":
            raise TypeError("give a body as payload or as json, not both")
        return jsonlib.dumps(json).encode("utf-8"), None, JSON
    if isinstance(payload, str):
        return payload.encode("utf-8"), None, TEXT
    if payload is None:
        return b"", None, None
    if IBodyProducer.providedBy(payload):
        return b"", payload, None
    if not isinstance(payload, bytes):
        hint = "; json= sends it as JSON" if isinstance(payload, (dict, list)) else ""
        raise TypeError(f"a body is bytes, str or an IBodyProducer; got {payload!r}{hint}")
    return payload, None, None


def throughProxy(request: Request, target: URI, useScheme: bool) -> Request:
    """
    A request as it goes to a forward proxy (RFC 7252 5.7.2): the URI in Proxy-Uri, which most proxies take;
    where it is too long, in Proxy-Scheme and the options that it is made of.

    @param target: The URI that the request was made for; the options of its path and query count.
    @param useScheme: Whether it is to be Proxy-Scheme in any case.
    @raise InvalidURI: if the options make none.
    """
    options = request.options
    uri = URI.fromOptions(options, target.scheme, target.host, target.port)
    text = uri.toText()
    if len(text) <= Options.proxyUri.maximum and not useScheme:
        whole = options.without(*URI_OPTIONS).evolve(proxyUri=text)
    else:
        port = None if uri.port == DEFAULT_PORTS[uri.scheme] else uri.port
        host = f"[{uri.host}]" if ":" in uri.host else uri.host
        whole = options.evolve(proxyScheme=uri.scheme, uriHost=host, uriPort=port)
    return Request(request.code, request.payload, whole)
