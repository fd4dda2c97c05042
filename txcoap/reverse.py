"""
L{ReverseProxy}: another server as a part of the tree (RFC 7252 5.7.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from .client import Agent
from .codes import Code
from .errors import BadRequest, InvalidURI
from .formats import LINK_FORMAT
from .groups import isGroup
from .linkformat import Link
from .message import Response
from .options import NO_OPTIONS, Options
from .relay import Relay
from .request import Request
from .spelling import writePath
from .uri import URI
from .verbs import coreOf, linksOf, uriOf

__all__ = ["ReverseProxy"]


class ReverseProxy(Relay):
    """
    Another server as a part of the tree: C{root.putChild("inner", ReverseProxy("coap://[fd00::5]/base"))}. To
    clients it looks like any resource. What follows its own path is appended to the base's, and so is the
    query.

    A Location of the other server is rewritten to where it is seen here; one outside the base, which cannot
    be seen here, is left out. The same is done with links that L{discover} finds, but not with what stands in
    payloads. A critical option that is not recognized is refused, as by any resource.

    @param base: The other server's URI, with a path and a query to begin with.
    @param agent: What asks; by default an L{Agent<txcoap.client.Agent>} of its own, made with the first
        request.
    @param bounds: As for L{Relay}: C{maximumRequests}, C{maximumObservations}, C{timeout}, C{hopLimit},
        C{name}, C{maximumBody}.
    @raise ValueError: for a base that is no URI, or that of a group.
    @ivar links: The other server's L{Link}s below the base, their targets relative to it; see L{discover}.
    """

    def __init__(self, base: str | URI, agent: Any = None, **bounds: Any) -> None:
        super().__init__(agent, **bounds)
        self.base = uriOf(base)
        if isGroup(self.base.host):
            raise ValueError(f"{self.base.host} is a multicast address; a reverse proxy asks one server")
        # A base that ends in a slash means the same as one that does not.
        self._path = self.base.path[:-1] if self.base.path[-1:] == ("",) else self.base.path
        self.links: tuple[Link, ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.base}>"

    def render(self, request: Request) -> Deferred[Any]:
        """See L{IResource<txcoap.interfaces.IResource>}."""
        if self.agent is None:
            self.agent = Agent(request.protocol.reactor)
        return super().render(request)

    async def findHops(self, request: Request) -> Sequence[tuple[URI, Options]]:
        """See L{Relay.findHops}."""
        base = self.base
        path = (*self._path, *request.postpath) if request.postpath else base.path
        try:
            uri = URI(base.scheme, base.host, base.port, path, (*base.query, *request.query))
        except InvalidURI:
            # Such as with a segment "..", which would lead out of the base.
            raise BadRequest("the path is none") from None
        return [(uri, NO_OPTIONS)]

    def adapt(self, request: Request, response: Response) -> Response:
        """See L{Relay.adapt}."""
        passed = super().adapt(request, response)
        location = passed.options.locationPath
        if not location:
            return passed
        options = passed.options.without(Options.locationPath.number, Options.locationQuery.number)
        if location[: len(self._path)] == self._path:
            seen = (*request.prepath, *location[len(self._path) :])
            options = options.evolve(locationPath=seen, locationQuery=passed.options.locationQuery)
        return Response(passed.code, passed.payload, options)

    def discover(self) -> Deferred[tuple[Link, ...]]:
        """
        Ask the other server what it has, so that C{/.well-known/core} here lists it too, from now on.

        @return: A Deferred of L{links}; it fails with a L{RequestError<txcoap.errors.RequestError>}, a
            L{ResponseError<txcoap.errors.ResponseError>} or a L{LinkFormatError
            <txcoap.errors.LinkFormatError>}.
        @raise RuntimeError: if there is no agent yet.
        """
        if self.agent is None:
            raise RuntimeError("give the reverse proxy an agent to discover with")
        asking: Deferred[Any] = self.agent.request(Code.GET, coreOf(self.base), accept=LINK_FORMAT)
        return asking.addCallback(self._found)

    def _found(self, response: Response) -> tuple[Link, ...]:
        self.links = tuple(self._below(linksOf(response)))
        return self.links

    def _below(self, links: Sequence[Link]) -> Iterator[Link]:
        """Those below the base, their targets relative to it."""
        for link in links:
            try:
                target = self.base.resolve(link.target)
            except InvalidURI:
                continue
            isOurs = (target.scheme, target.authority) == (self.base.scheme, self.base.authority)
            if isOurs and target.path[: len(self._path)] == self._path:
                rest = target.path[len(self._path) :]
                yield Link(writePath(rest), link.attributes)

    def getLinks(self, path: str) -> Iterator[Link]:
        """The links that L{discover} found, as they are seen here; see L{IResource}."""
        for link in self.links:
            yield Link(f"{path}{link.target}" or "/", link.attributes)
