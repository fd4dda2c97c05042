"""
What went wrong, as one line and an exit code.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from enum import IntEnum

from ..codes import Code
from ..errors import (
    CoAPError,
    MessageTooLarge,
    NoAcknowledgement,
    NoResponse,
    ResetReceived,
    Unreachable,
)
from ..uri import URI

__all__ = ["EXITS", "Exit", "exitFor", "explain"]


class Exit(IntEnum):
    """The exit codes of C{txcoap}."""

    SUCCESS = 0
    FAILURE = 1
    USAGE = 2
    CLIENT_ERROR = 4
    SERVER_ERROR = 5
    INTERRUPTED = 130
    BROKEN_PIPE = 141


EXITS = {
    Exit.SUCCESS: "a response 2.xx came, or none was asked for; every ping was answered",
    Exit.FAILURE: "no response, or none that can be used: time-out, network, unknown name, Reset; "
    "what was to be observed cannot be; or the output could not be written",
    Exit.USAGE: "nothing was sent: wrong arguments or URI, unreadable file, request too large",
    Exit.CLIENT_ERROR: "a response 4.xx came",
    Exit.SERVER_ERROR: "a response 5.xx came",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
    Exit.BROKEN_PIPE: "whoever read the output went away",
}
"""Every exit code, and what it says."""

_EXITS_BY_CLASS = {2: Exit.SUCCESS, 4: Exit.CLIENT_ERROR, 5: Exit.SERVER_ERROR}


def exitFor(code: Code) -> Exit:
    """The exit code for a response code."""
    return _EXITS_BY_CLASS.get(code.codeClass, Exit.FAILURE)


def _unreachable(error: Unreachable, server: str) -> str:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.ECONNREFUSED:
        return f"nobody listens at {server}; check the port, and that the server runs"
    what = "the path, and that a server runs there" if server.startswith("/") else "address and network"
    return f"{server} cannot be reached: {reason}; check {what}"


def _patience(error: NoAcknowledgement | NoResponse) -> str:
    """How long was waited, if that is known."""
    return "in time" if error.seconds is None else f"in {error.seconds:.3g} s"


_EXPLANATIONS: dict[type[CoAPError], Callable[..., str]] = {
    NoAcknowledgement: lambda error, server: (
        f"{server} did not answer {_patience(error)}; check address and port, and that a server runs there"
    ),
    NoResponse: lambda error, server: (
        f"no response from {server} {_patience(error)}; allow more by --timeout, or ask without --non"
    ),
    ResetReceived: lambda error, server: (
        f"{server} rejected the request with a Reset; check that a CoAP server has this port, or try again"
    ),
    MessageTooLarge: lambda error, server: (
        "the request does not fit a datagram; send a smaller body, or fewer options"
    ),
    Unreachable: _unreachable,
}


def explain(error: CoAPError, uri: URI, source: str = "") -> str:
    """
    What an error means for whoever asked for a URI, and what to do, in one line.

    @param source: The address that was to be sent from, if one was chosen.
    """
    if source and isinstance(error, Unreachable) and error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no address {source} to send from; give one of its own by --bind, or none"
    server = uri.host if uri.isUnixPath else _server(uri)
    explanation = next((each for kind, each in _EXPLANATIONS.items() if isinstance(error, kind)), None)
    return str(error) if explanation is None else explanation(error, server)


def _server(uri: URI) -> str:
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    return f"{host}:{uri.port}"
