"""
CoAP (RFC 7252 and its family) for Twisted.

A server is a tree of L{Resource} under a L{Site}; a client is an L{Agent}. These are the names of everyday
use; the rest is in the modules: L{txcoap.errors}, L{txcoap.options}, L{txcoap.parameters},
L{txcoap.limits}, L{txcoap.endpoints}, L{txcoap.linkformat}, L{txcoap.testing}, …

A name's module is imported when the name is first used: a client does without the server's, and a value
without Twisted.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import Agent
    from .codes import Code
    from .errors import ResponseError
    from .limits import Limits
    from .message import Response
    from .observe import ObservableResource
    from .options import Options
    from .parameters import Parameters
    from .protocol import CoAPProtocol
    from .request import NOT_DONE_YET, Request
    from .resource import Resource
    from .router import Router
    from .server import Site
    from .uri import URI

__all__ = [
    "NOT_DONE_YET",
    "URI",
    "Agent",
    "CoAPProtocol",
    "Code",
    "Limits",
    "ObservableResource",
    "Options",
    "Parameters",
    "Request",
    "Resource",
    "Response",
    "ResponseError",
    "Router",
    "Site",
]

__version__ = "0.1.0"

_MODULES = {
    "NOT_DONE_YET": "request",
    "URI": "uri",
    "Agent": "client",
    "CoAPProtocol": "protocol",
    "Code": "codes",
    "Limits": "limits",
    "ObservableResource": "observe",
    "Options": "options",
    "Parameters": "parameters",
    "Request": "request",
    "Resource": "resource",
    "Response": "message",
    "ResponseError": "errors",
    "Router": "router",
    "Site": "server",
}

if not TYPE_CHECKING:  # To a type checker it would say that there is every name.

    def __getattr__(name: str) -> object:
        """A name that is used for the first time (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
