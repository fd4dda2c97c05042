"""
L{ObservableResource}: a resource that tells its observers when it changes (RFC 7641).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from twisted.python.failure import Failure

from .block import Block
from .blockwise import RangedResponse
from .codes import Code
from .errors import NotAcceptable, NotFound, RequestError, ResponseError
from .message import DEFAULT_MAX_AGE, Response
from .options import Options
from .registration import rereadByRegistration
from .request import Request
from .resource import Resource
from .sansio.observations import OBSERVABLE, Relation

if TYPE_CHECKING:
    from .protocol import CoAPProtocol

__all__ = ["ObservableResource", "withMaxAge"]

# Observe, Block2, Size2, Echo, No-Response: no matter of the representation. Nor is ETag: a notification
# is the whole state, whatever the client had at first.
_NOT_OF_THE_REPRESENTATION = frozenset({4, 6, 23, 28, 252, 258})


class ObservableResource(Resource):
    """
    A resource that clients can observe: after each change call L{notifyObservers}. C{render_GET}, and
    C{render_FETCH}, give the state to those who observe as to all others; each is rendered once for all
    observers who asked for the same.

    @cvar confirmable: Whether notifications are confirmable. True: all of them. False: only now and then,
        so that observers who are gone are noticed. None: as each observer's request was.
    @cvar confirmEvery: Of notifications that are not all confirmable, one in so many is; at least one in
        24 hours anyway (RFC 7641 4.5).
    @cvar maxAge: For how many seconds a representation is fresh, if the method does not say: so long a cache
        gives it again, and an observer who hears nothing for that long asks again (RFC 7641 4.3.1).
    @cvar maximumObservers: How many there can be; None for the limit of the socket alone. Beyond it a
        client gets its answer, and is not observing.
    """

    confirmable: bool | None = None
    confirmEvery: int = 10
    maxAge: int = DEFAULT_MAX_AGE
    maximumObservers: int | None = None

    _groups: dict[Hashable, _Group] | None = None
    # How often it has changed.
    _changes: int = 0

    @property
    def observerCount(self) -> int:
        """How many observers there are."""
        return sum(len(group.relations) for group in (self._groups or {}).values())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {self.observerCount} observers>"

    def notifyObservers(self) -> None:
        """
        Tell the observers that the state has changed. Each gets the newest state; a slow one may miss
        states in between.
        """
        self._changes += 1
        for group in list((self._groups or {}).values()):
            group.refresh()

    def dismissObservers(self, error: ResponseError | None = None) -> None:
        """
        Send every observer a last notification, an error, and have none any more.

        @param error: By default 4.04: the resource is gone.
        """
        groups, self._groups = self._groups or {}, None
        for group in groups.values():
            group.dismiss(Response.fromError(error or NotFound()))

    def render(self, request: Any) -> Any:
        """Answer a request; see L{IResource<txcoap.interfaces.IResource>}."""
        request.changesBefore = self._changes
        if self.maxAge != DEFAULT_MAX_AGE and request.code in OBSERVABLE:
            request.setStateAge(self.maxAge)
        return super().render(request)

    def observe(self, request: Request, response: Response) -> Relation | None:
        """
        A request asked to observe, and got this response; for L{Site<txcoap.server.Site>}.

        @return: The relation, or None if there is no place for one more.
        """
        if self._isFull and not self._isObservedBy(request):
            return None
        confirmable = request.isConfirmable if self.confirmable is None else self.confirmable
        relation = request.protocol.register(request.exchange, confirmable, self.confirmEvery)
        if relation is not None:
            if self._groups is None:
                self._groups = {}
            key = _representationKey(request)
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = _Group(self, key, request, response)
            relation.owner = group
            group.relations[relation] = request.protocol
            if getattr(request, "changesBefore", self._changes) != self._changes:
                # It changed while it was rendered: what is now answered is the old state.
                request.notifyFinish().addCallbacks(lambda _: group.refresh(), lambda _: None)
        return relation

    @property
    def _isFull(self) -> bool:
        return self.maximumObservers is not None and self.observerCount >= self.maximumObservers

    def _isObservedBy(self, request: Request) -> bool:
        """Whether a request asks again for what it began."""
        relation = request.protocol.findRelation(request.peer, request.token)
        return relation is not None and any(
            relation in group.relations for group in (self._groups or {}).values()
        )

    def getLinks(self, path: str) -> Any:
        """The links, this one marked as observable (RFC 7641 6)."""
        for link in super().getLinks(path):
            yield link.adding(obs=True) if link.target == (path or "/") else link

    def _dropGroup(self, group: _Group) -> None:
        if self._groups is not None and self._groups.get(group.key) is group:
            del self._groups[group.key]


def _representationKey(request: Request) -> Hashable:
    """What two observers have in common who get the same notifications."""
    pairs = [pair for pair in request.options.pairs if pair[0] not in _NOT_OF_THE_REPRESENTATION]
    asked, largest = request.options.block2, request.site.blockwise.exponent
    exponent = largest if asked is None else min(largest, asked.exponent)
    return request.code, tuple(pairs), request.payload, exponent, request.site


@rereadByRegistration
@lru_cache(256)
def _optionsOfState(options: Options) -> Options:
    """The options that ask for the whole of a state, from those that asked to observe it."""
    asked = options.block2
    others = options.without(4, 6, 23)
    return others if asked is None else others.evolve(block2=Block(0, False, asked.exponent))


@lru_cache(256)
def withMaxAge(options: Options, maxAge: int) -> Options:
    """Options with a Max-Age; one that goes without saying is not said (RFC 7252 5.4.4)."""
    return options if maxAge == DEFAULT_MAX_AGE else options.evolve(maxAge=maxAge)


class _Rendering(Request):
    """The request of a group's first observer, made once more: its response goes to all of the group."""

    __slots__ = ("_group",)

    def __init__(self, group: _Group, origin: Request) -> None:
        super().__init__(origin.site, origin.protocol, origin.exchange)
        self.prepath, self.postpath = list(origin.prepath), list(origin.postpath)
        self.payload, self.options = origin.payload, _optionsOfState(origin.options)
        self.resource = origin.resource
        self._group = group

    def respond(self, response: Response) -> None:
        """Tell the group; of a body that is read where it is needed, the first block."""
        if self.finished:
            return
        if isinstance(response, RangedResponse):
            self.site.rendered(self.site.blockwise.firstBlock(self, response), self)
        else:
            self.concluded()
            self._group.rendered(response)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        A state is told to many, each with a block size of its own.

        @raise RuntimeError: always.
        """
        raise RuntimeError("a state that is observed is not produced bit by bit: return all of its body")


class _Group:
    """
    The observers who asked for the same representation.

    @ivar relations: Each with the protocol that it came by.
    """

    def __init__(
        self, resource: ObservableResource, key: Hashable, request: Request, response: Response
    ) -> None:
        self.relations: dict[Relation, CoAPProtocol] = {}
        self.key = key
        self._resource = resource
        self._request = request
        # A 2.03 does not tell it.
        self._knowsFormat = response.code == Code.CONTENT
        self._contentFormat = response.contentFormat
        self._isRendering = False
        self._isStale = False

    def refresh(self) -> None:
        """Render the resource, and tell all; once more afterwards if it changes meanwhile."""
        if self._isRendering:
            self._isStale = True
            return
        self._isRendering = True
        request = _Rendering(self, self._request)
        site = request.site
        try:
            site.rendered(self._resource.render(request), request)
        except Exception:
            site.failed(Failure(), request)

    def rendered(self, response: Response) -> None:
        """The new state, or an error: then nobody observes any more (RFC 7641 4.2)."""
        self._isRendering = False
        isStale, self._isStale = self._isStale, False
        if not self._knowsFormat and response.code == Code.CONTENT:
            self._knowsFormat, self._contentFormat = True, response.contentFormat
        if not response.code.isSuccess:
            self.dismiss(response)
        elif response.code == Code.CONTENT and response.contentFormat != self._contentFormat:
            self.dismiss(Response.fromError(NotAcceptable("the content format has changed")))
        else:
            self._tell(response)
            if isStale:
                self.refresh()

    def _tell(self, response: Response) -> None:
        options = response.options
        if options.maxAge is None:
            options = withMaxAge(options, self._resource.maxAge)
        response = part = Response(response.code, response.payload, options)
        blockwise = self._request.site.blockwise
        for relation, protocol in self.relations.items():
            part = blockwise.stateBlock(self._request, relation.client, relation.token, protocol, response)
            if part is response:
                break
        self._send(part.code, part.options, part.payload, isLast=False)

    def dismiss(self, response: Response) -> None:
        """Send all a last notification."""
        self._resource._dropGroup(self)
        self._send(response.code, response.options, response.payload, isLast=True)
        self.relations.clear()

    def _send(self, code: int, options: Options, payload: bytes, isLast: bool) -> None:
        told: defaultdict[CoAPProtocol, list[Relation]] = defaultdict(list)
        for relation, protocol in self.relations.items():
            told[protocol].append(relation)
        for protocol, relations in told.items():
            protocol.notify(relations, code, options, payload, isLast=isLast)

    def observerLeft(self, relation: Relation, error: RequestError | None) -> None:
        """An observer is gone; see L{CoAPProtocol.deregister<txcoap.protocol.CoAPProtocol.deregister>}."""
        self.relations.pop(relation, None)
        if not self.relations:
            self._resource._dropGroup(self)
