"""
L{Resource}: what a server is made of, a tree of them, as in C{twisted.web}.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from .codes import Code
from .errors import MethodNotAllowed, NotFound
from .formats import contentFormat
from .groups import Answering
from .interfaces import IResource
from .linkformat import Link
from .logs import Sparing
from .spelling import writePath

__all__ = ["NoResource", "Resource", "getChildForRequest"]

_log = Sparing(Logger())

_RENDER: dict[Code, str] = {code: f"render_{code.phrase}" for code in Code if code.isRequest}
_SLASH = "a slash in a segment is asked for as %2F; for a path, put one resource below another"
_NOTHING: Mapping[str, Any] = {}


@implementer(IResource)
class Resource:
    """
    A resource, and those below it.

    To make one, write a C{render_} method for each method it has: C{render_GET}, C{render_PUT}, …,
    C{render_iPATCH}. Each takes a L{Request<txcoap.server.Request>} and returns C{bytes}, C{str},
    a L{Response<txcoap.message.Response>}, C{None}, or a Deferred or coroutine of one of these; or
    C{NOT_DONE_YET}, to call C{request.write} and C{request.finish} later.

    @cvar isLeaf: True if this resource also stands for every path below it; what is left of the path
        is in C{request.postpath}.
    @cvar contentFormat: The content format, by name or number, of C{bytes} that a method returns. Text
        has its own, C{text/plain}.
    @cvar attributes: What C{/.well-known/core} says of this resource (RFC 6690 3): C{rt}, C{if},
        C{title}, C{sz}, … to text, a number, several of either, or True for an attribute without a value.
    @cvar isVisible: Whether C{/.well-known/core} names it.
    @cvar maximumBody: The largest body that a request may have, in bytes; larger ones are answered 4.13.
        None for the site's C{Limits.bodyBytes}.
    @cvar openBody: A method for resources that take a request's body, of whatever length, as it comes:
        called with the L{Request<txcoap.server.Request>} when a body begins, it returns an C{IConsumer} or
        C{IProtocol} for it. That may pause and resume its producer, or transport: the peer waits. When
        the body is whole the render method is called, with an empty C{payload} and what was returned here
        as C{request.consumer}. A body that stays incomplete is told to a protocol's C{connectionLost},
        with C{ConnectionLost} in place of C{ConnectionDone}.
    @cvar heedsConditions: Whether the methods judge If-Match and If-None-Match, by
        L{checkPreconditions<txcoap.asked.AskedRequest.checkPreconditions>}. If not, a request with one of
        them is answered 4.02: what was asked on a condition is not done without it (RFC 7252 5.4.1, 5.10.8).
    @cvar multicastAnswers: What is answered to a request that came by multicast (RFC 7252 8.2): by default
        neither errors, nor a 2.05 without a body. C{Answering.NEVER} keeps such requests away.
    @ivar children: The resources right below this one, by segment.
    """

    isLeaf: bool = False
    multicastAnswers: Answering = Answering.USEFUL
    contentFormat: int | str | None = None
    attributes: Mapping[str, str | int | bool | Sequence[str | int]] = _NOTHING
    isVisible: bool = True
    children: Mapping[str, Any] = _NOTHING
    maximumBody: int | None = None
    heedsConditions: bool = False
    openBody: Callable[[Any], Any] | None = None

    def putChild(self, segment: str, child: Any) -> None:
        """
        Put a resource below this one.

        @param segment: Its path segment, as it reads before percent-encoding: C{str}, for a URI's path
            is text in CoAP (RFC 7252 5.10.1); C{""} for the path that ends in a slash. One with a slash in
            it is warned of: a request reaches it as C{%2F} alone.
        @param child: An L{IResource}.
        @raise TypeError: if the segment is no C{str}, or the child a class or None.
        """
        if not isinstance(segment, str):
            raise TypeError(f"a path segment is text (str) in CoAP; got {segment!r}")
        if child is None or isinstance(child, type):
            raise TypeError(f"a child is a resource, an instance; got {child!r}")
        if "/" in segment:
            # The text is always the same: each that is not is kept for ever, and peers may choose segments.
            warnings.warn(_SLASH, stacklevel=2)
        if self.children is _NOTHING:
            self.children = {}
        assert isinstance(self.children, dict)
        self.children[segment] = child

    def removeChild(self, segment: str) -> Any:
        """
        Take away what L{putChild} put there. Who observes it is told nothing by that: do so with
        C{removeChild(segment).dismissObservers()}.

        @return: The resource that was there.
        @raise KeyError: if there is none.
        """
        if segment not in self.children:
            raise KeyError(segment)
        assert isinstance(self.children, dict)
        return self.children.pop(segment)

    def getChildWithDefault(self, segment: str, request: Any) -> Any:
        """The child that was put there, else what L{getChild} makes; see L{IResource}."""
        child = self.children.get(segment)
        return self.getChild(segment, request) if child is None else child

    def getChild(self, segment: str, request: Any) -> Any:
        """
        Make the resource for a segment that no child was put at; override it for paths that are not
        known beforehand.

        @return: An L{IResource}; by default one that is not there.
        """
        return NoResource()

    def render(self, request: Any) -> Any:
        """
        Answer a request with the method of its name; see L{IResource}.

        @raise MethodNotAllowed: if there is none.
        @raise NotFound: if there is no method at all: the resource is only part of a path.
        """
        method = getattr(self, _RENDER.get(request.code, ""), None)
        if method is None:
            allowed = self.allowedMethods
            if not allowed:
                raise NotFound()
            raise MethodNotAllowed(f"allowed: {', '.join(allowed)}")
        return method(request)

    @property
    def allowedMethods(self) -> tuple[str, ...]:
        """The names of the methods that this resource has."""
        return tuple(code.phrase for code, name in _RENDER.items() if hasattr(self, name))

    def getLinks(self, path: str) -> Iterator[Link]:
        """The links to this resource and to all below it; see L{IResource}."""
        if self.isVisible and self.allowedMethods:
            attributes = dict(self.attributes)
            if self.contentFormat is not None:
                attributes.setdefault("ct", contentFormat(self.contentFormat))
            yield Link.of(path or "/", **attributes)
        for segment, child in self.children.items():
            where = path + writePath([segment])
            try:
                yield from child.getLinks(where)
            except Exception:
                # The others are to be found all the same.
                _log.failure("{resource} at {path} has no links to show", resource=child, path=where)

    def __repr__(self) -> str:
        below = f" with {len(self.children)} below" if self.children else ""
        return f"<{type(self).__name__}{below}>"


class NoResource(Resource):
    """What is not there: 4.04, whatever the method."""

    isLeaf = True

    def render(self, request: Any) -> Any:
        """Raise L{NotFound}."""
        raise NotFound()


def getChildForRequest(resource: Any, request: Any) -> Any:
    """
    The resource that a request is for, from one that its path leads through.

    Moves the segments on the way from C{request.postpath} to C{request.prepath}.
    """
    postpath = request.postpath
    while postpath and not resource.isLeaf:
        segment = postpath.pop(0)
        request.prepath.append(segment)
        resource = resource.getChildWithDefault(segment, request)
    return resource
