"""
C{/.well-known/core}: what a server has, in the CoRE link format (RFC 6690, RFC 7252 7.2).
"""

from __future__ import annotations

from typing import Any

from .formats import LINK_FORMAT
from .linkformat import filterLinks, write
from .resource import Resource

__all__ = ["WellKnownCore"]


class WellKnownCore(Resource):
    """
    Names the resources of a tree, those that the request's query asks for (RFC 6690 4.1).

    @param root: The tree's root, an L{IResource<txcoap.interfaces.IResource>}.
    """

    isLeaf = True
    contentFormat = LINK_FORMAT

    def __init__(self, root: Any) -> None:
        self._root = root

    def render_GET(self, request: Any) -> bytes:
        """The links; none of them is no error (RFC 6690 4.1)."""
        request.negotiate(LINK_FORMAT)
        links = filterLinks(self._root.getLinks(""), request.options.uriQuery)
        return write(links).encode("utf-8")
