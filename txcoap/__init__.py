"""
CoAP (RFC 7252 and its family) for Twisted.

A server is a tree of L{Resource} under a L{Site}; a client is an L{Agent}. These are the names of everyday
use; the rest is in the modules: L{txcoap.errors}, L{txcoap.options}, L{txcoap.parameters},
L{txcoap.limits}, L{txcoap.endpoints}, L{txcoap.linkformat}, L{txcoap.testing}, …
"""

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

__version__ = "0.1.0.dev0"
