"""
What passes through an intermediary, and what does not (RFC 7252 5.7, RFC 8768): the rules that forward and
reverse proxies share.

Each leg has its own URI options, blocks, observation and Hop-Limit. Everything else goes on, unless it is
unsafe to forward and not recognized: such a request is answered 4.02, such a response becomes 5.02 (RFC 7252
5.7.1). Of what went wrong behind the proxy a client learns the kind, and nothing of the inside.
"""

from __future__ import annotations

from ..codes import Code
from ..errors import (
    BadGateway,
    BadOption,
    BadRequest,
    CoAPError,
    GatewayTimeout,
    HopLimitReached,
    NameNotFound,
    NoAcknowledgement,
    NoResponse,
    ProbingRateExceeded,
    ProxyingNotSupported,
    RequestQueueFull,
    ResetReceived,
    ResponseError,
    ServiceUnavailable,
    SocketClosed,
    TooManyPeers,
    Unreachable,
    UnsupportedScheme,
)
from ..message import Response
from ..options import PROXY_OPTIONS, URI_OPTIONS, Options, nameOf

__all__ = ["DEFAULT_HOP_LIMIT", "gatewayError", "onward", "passBack"]

DEFAULT_HOP_LIMIT = 16
"""What a proxy inserts where a request has no Hop-Limit (RFC 8768 3)."""

_URI = URI_OPTIONS | PROXY_OPTIONS

# RFC 7641 5, RFC 7959 2.11, RFC 9175 3.4: observing and blocks are matters of each leg. Echo is not: only the
# client can make its request anew (RFC 9175 2.3).
_TRANSFER = frozenset(
    each.number
    for each in (
        Options.observe,
        Options.block1,
        Options.block2,
        Options.size2,
        Options.requestTag,
    )
)
_HOP_LIMIT = Options.hopLimit.number
_NOT_ONWARD = _URI | _TRANSFER | {Options.size1.number, _HOP_LIMIT}

# Size1 stays: with 4.13 it tells how large a body may be.
_NOT_BACK = _URI | _TRANSFER

_BUSY = {"maxAge": 1}

# The first that fits counts.
_ERRORS: tuple[tuple[type[CoAPError], type[ResponseError], str, dict[str, int]], ...] = (
    (UnsupportedScheme, ProxyingNotSupported, "this scheme is not served here", {}),
    (NameNotFound, BadGateway, "the server's name was not found", {}),
    (Unreachable, BadGateway, "the server cannot be reached", {}),
    (ResetReceived, BadGateway, "the server rejected the request", {}),
    (NoAcknowledgement, GatewayTimeout, "the server did not acknowledge the request", {}),
    (NoResponse, GatewayTimeout, "the server did not answer in time", {}),
    (RequestQueueFull, ServiceUnavailable, "too many requests wait for the server", _BUSY),
    (ProbingRateExceeded, ServiceUnavailable, "the server has not answered so far", _BUSY),
    (TooManyPeers, ServiceUnavailable, "the proxy is busy", _BUSY),
    (SocketClosed, ServiceUnavailable, "the proxy is closing", _BUSY),
    (CoAPError, BadGateway, "the server gave no valid response", {}),
)


def onward(options: Options, hopLimit: int | None, name: str) -> Options:
    """
    The options of a request that go on to the next server.

    @param hopLimit: What to insert where there is no Hop-Limit; None for nothing.
    @param name: The proxy's name in the diagnostic payload of a 5.08.
    @raise BadOption: for an option that is unsafe to forward and not recognized.
    @raise BadRequest: if Hop-Limit is none.
    @raise HopLimitReached: if the request has passed too many proxies.
    """
    unknown = options.unforwardable
    if unknown:
        raise BadOption(f"not understood, nor safe to forward: {', '.join(map(nameOf, unknown))}")
    limits = options.get(_HOP_LIMIT)
    if limits:
        hopLimit = _nextHopLimit(limits[0], name)
    passing = [pair for pair in options.pairs if pair[0] not in _NOT_ONWARD]
    if hopLimit is not None:
        passing.append((_HOP_LIMIT, bytes((hopLimit,))))
    return Options.fromPairs(passing)


def _nextHopLimit(value: bytes, name: str) -> int:
    """RFC 8768 3: one less, and never 0."""
    if len(value) != 1 or value == b"\0":
        raise BadRequest("Hop-Limit is a single byte from 1 to 255")
    if value == b"\1":
        raise HopLimitReached(name)
    return value[0] - 1


def passBack(response: Response, name: str) -> Response:
    """
    A response of the next server, as the client gets it.

    @param name: The proxy's name, which it puts before that of the one that found a loop (RFC 8768 4).
    @raise BadGateway: for an option that is unsafe to forward and not recognized.
    """
    unknown = response.options.unforwardableInResponse
    if unknown:
        raise BadGateway(f"the response needs {', '.join(map(nameOf, unknown))}, not understood")
    payload = response.payload
    if response.code == Code.HOP_LIMIT_REACHED:
        payload = b"%s %s" % (name.encode("utf-8"), payload) if payload else name.encode("utf-8")
    return Response(response.code, payload, response.options.without(*_NOT_BACK))


def gatewayError(error: CoAPError) -> ResponseError:
    """What a client is told of a request to the next server that got no response (RFC 7252 5.7.2)."""
    if isinstance(error, ResponseError):
        return error
    made, text, options = next(row[1:] for row in _ERRORS if isinstance(error, row[0]))
    return made(text, **options)
