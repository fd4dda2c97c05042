"""
What a cache may keep, and what it then answers (RFC 7252 5.6): the key of a request, and which responses are
stored under it. For how long one is fresh is said in L{txcoap.sansio.freshness}.

Two things are narrower than they could be. An error is kept only where it says for how long: 60 seconds of a
5.00 that said nothing would please nobody. And a change concerns all that was stored for the path, whatever
the query: in CoAP a query often is but an argument of a change.
"""

from __future__ import annotations

from ..codes import Code
from ..definitions import Pair
from ..message import Request, Response
from ..options import DEFINITIONS, PROXY_OPTIONS, URI_OPTIONS
from ..uri import URI

__all__ = ["NOT_STORED", "Key", "Place", "isStorable", "keyOf", "placeOf", "placeOfKey"]

Key = tuple[str, str, int, int, tuple[Pair, ...], bytes]
"""What requests have in common that one response can answer: scheme, host, port, method, options, body."""

Place = tuple[str, str, int, tuple[bytes, ...]]
"""What a change concerns: scheme, host, port and path."""

_CACHEABLE_METHODS = frozenset({Code.GET, Code.FETCH})

_URI_PATH, _ETAG, _MAX_AGE, _HOP_LIMIT = 11, 4, 14, 16

# And Content-Format and Accept: most requests have no others.
_ALWAYS_IN_KEY = URI_OPTIONS | {12, 17}

# If-Match, If-None-Match, OSCORE, EDHOC: the response is for the one who asked.
_FOR_ONE = frozenset({1, 5, 9, 21})

# ETag and Hop-Limit are heeded here, and so do not tell requests apart (RFC 7252 5.6).
_HEEDED = frozenset({_ETAG, _HOP_LIMIT})

# Observe, Max-Age, Block2, Block1, Size2, Size1, Echo, Request-Tag; and the parts of a URI, of which none
# belongs in a response.
NOT_STORED = URI_OPTIONS | PROXY_OPTIONS | {6, _MAX_AGE, 23, 27, 28, 60, 252, 292}
"""The options of a message that are not of the representation, by number."""

# 4.08, 4.13, 4.29 and 5.08 are about the request or who made it, not about the resource.
_NEVER_STORED = frozenset(
    {
        Code.REQUEST_ENTITY_INCOMPLETE,
        Code.REQUEST_ENTITY_TOO_LARGE,
        Code.TOO_MANY_REQUESTS,
        Code.HOP_LIMIT_REACHED,
    }
)


def keyOf(request: Request, target: URI) -> Key | None:
    """
    The key of a request (RFC 7252 5.6; of FETCH the body is part of it, RFC 8132 2.1).

    @param request: With the options that its target makes.
    @param target: Whom it is for; only scheme, host and port matter.
    @return: None if no stored response can answer it: for another method, a condition, an observation, a
        block, No-Response, or an option that is unsafe to forward and means something unknown here.
    """
    if request.code not in _CACHEABLE_METHODS:
        return None
    pairs: tuple[Pair, ...] | None = request.options.pairs
    for number, _ in request.options.pairs:
        if number not in _ALWAYS_IN_KEY:
            pairs = _inKey(request.options.pairs)
            break
    if pairs is None:
        return None
    return (target.scheme, target.host, target.port, request.code, pairs, request.payload)


def _inKey(pairs: tuple[Pair, ...]) -> tuple[Pair, ...] | None:
    """The options that are part of a key; None if there can be no key."""
    kept = []
    for pair in pairs:
        number = pair[0]
        if number in _ALWAYS_IN_KEY:
            kept.append(pair)
        elif number in _FOR_ONE or number & 2:
            return None
        elif not (number in _HEEDED or number & 0x1E == 0x1C):
            kept.append(pair)
    return tuple(kept)


def placeOf(request: Request, target: URI) -> Place:
    """What a request changes, if it changes anything."""
    return (target.scheme, target.host, target.port, request.options.get(_URI_PATH))


def placeOfKey(key: Key) -> Place:
    """What a change would concern that changes what is stored under this key."""
    return (*key[:3], tuple([data for number, data in key[4] if number == _URI_PATH]))


def isStorable(response: Response) -> bool:
    """Whether a response can be kept (RFC 7252 5.9, 5.6: all of its unsafe options have to be known)."""
    code = response.code
    if code != Code.CONTENT and not (
        code.isError and code not in _NEVER_STORED and response.options.maxAge is not None
    ):
        return False
    for number, _ in response.options.pairs:
        if number & 2 and number not in NOT_STORED:
            definition = DEFINITIONS.get(number)
            if definition is None or not definition.recognized:
                return False
    return True
