"""
L{Site}: from a peer's request to the resource it is for. What that returns goes on in L{txcoap.responding}.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from twisted.python.failure import Failure
from zope.interface import implementer

from .answered import DEFAULT_CODES
from .blockwise import requireMethod
from .closing import UNAVAILABLE
from .codes import WITHOUT_PAYLOAD
from .discovery import WellKnownCore
from .errors import (
    BadOption,
    MethodNotAllowed,
    ProxyingNotSupported,
)
from .interfaces import ISite
from .limits import DEFAULT_LIMITS, Limits
from .linkformat import WELL_KNOWN_CORE
from .message import Response
from .multicast import MulticastRequest
from .options import Options
from .parameters import Parameters, checked
from .protocol import CoAPProtocol
from .request import NOT_DONE_YET, Request
from .responding import Responding
from .sansio.clients import ClientOf
from .sansio.events import IncomingRequest
from .sansio.health import Health
from .sansio.shares import HostOf, hostOf

__all__ = ["NOT_DONE_YET", "Request", "Site"]

_URI_PATH = 11
_DEREGISTER = 1
# All classes of response (RFC 7967 2.1).
_NO_RESPONSE = 2 | 8 | 16

Answers = Callable[[Hashable, Options], bool]
"""Tells whether a request is answered, from its client's address and its options."""


@implementer(ISite)
class Site(Responding):
    """
    A server: C{reactor.listenUDP(5683, CoAPProtocol(Site(root)))}, or
    C{endpoints.serverFromString(reactor, "udp:5683").listen(Site(root))}.

    A resource that raises a L{ResponseError} answers with its code. For any other exception the peer
    gets a bare 5.00; the traceback goes to the log alone.

    @param root: The L{IResource<txcoap.interfaces.IResource>} at the path's root. C{/.well-known/core} is
        answered from its tree, unless the tree has a resource there.
    @param proxy: An L{IProxy<txcoap.interfaces.IProxy>} for requests with Proxy-Uri or Proxy-Scheme, such as
        L{ForwardProxy<txcoap.proxy.ForwardProxy>}; without it they are answered 5.05.
    @param parameters: Transmission parameters, for the protocols that L{buildProtocol} makes; by default
        those of L{txcoap.parameters.getDefault} when a socket is opened.
    @param limits: Likewise.
    @param hostOf: Likewise: whose share of a limit a peer uses.
    @param clientOf: Likewise: called with the address and the options of each request, it gives the name by
        which its client is known, something hashable; None for the address. By the name a message that
        comes again is known as such (RFC 7252 4.5), and a body in blocks goes on, also from another
        address: behind a NAT ports change. Whoever knows a name can take its bearer's place in these.
    @param answersNonConfirmable: Whether non-confirmable requests are answered; or a function that tells it,
        called like C{clientOf}. One that is not answered is carried out all the same.
    @param amplification: Likewise: how many times the bytes of its request an address is sent that has not
        proven that it is its own (RFC 9175 2.4), 3 say; None, the default, for no limit, since many clients
        know no Echo.
    @param whileStopping: What new requests are answered while a service stops, and observers are told at
        last (L{windDown<txcoap.closing.windDown>}): an error. By default 5.03 with Max-Age 30.
    @param blockSize: Bytes in the largest block of a body: 16 to 1024, a power of two.
    @param accessLog: Called with each L{Request} and its L{Response} once that is sent; for a body in blocks
        once. L{logAccess<txcoap.responding.Responding.logAccess>} writes a line to Twisted's log.
    @raise TypeError: for a root that is a class, text or None, and for parameters that are none.
    @ivar resource: The root.
    @ivar protocols: Those of the open sockets that this site serves.
    """

    def __init__(
        self,
        root: Any,
        *,
        proxy: Any = None,
        parameters: Parameters | None = None,
        limits: Limits = DEFAULT_LIMITS,
        hostOf: HostOf = hostOf,
        clientOf: ClientOf | None = None,
        answersNonConfirmable: bool | Answers = True,
        whileStopping: Response = UNAVAILABLE,
        amplification: float | None = None,
        blockSize: int = 1024,
        accessLog: Callable[[Request, Response], None] | None = None,
    ) -> None:
        if amplification is not None and amplification < 1:
            raise ValueError(f"amplification is at least 1, or None for no limit; got {amplification!r}")
        if not whileStopping.code.isError:
            raise ValueError(f"whileStopping is an error, such as 5.03; got {whileStopping.code}")
        if root is None or isinstance(root, (str, type)):
            raise TypeError(f"a site serves a resource, an instance; got {root!r}")
        super().__init__(blockSize, accessLog)
        self.resource = root
        self.whileStopping = whileStopping
        self.proxy = proxy
        self.parameters = checked(parameters)
        self.limits = limits
        self.hostOf = hostOf
        self.clientOf = clientOf
        # None where all are answered, for that is looked at with each request.
        self._answers = None if answersNonConfirmable is True else answersNonConfirmable
        self.amplification = amplification
        self.protocols: list[CoAPProtocol] = []
        self._wellKnownCore = WellKnownCore(root)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.resource!r}>"

    @property
    def forwards(self) -> bool:
        """Whether requests for other servers are taken; see L{ISite}."""
        return self.proxy is not None

    def buildProtocol(self, reactor: Any) -> CoAPProtocol:
        """A protocol that serves this site, for one socket."""
        return CoAPProtocol(self, reactor, **self.settings)

    @property
    def settings(self) -> dict[str, Any]:
        """What the protocols of this site are made with, by the names that L{CoAPProtocol} has for it."""
        return {
            "parameters": self.parameters,
            "limits": self.limits,
            "hostOf": self.hostOf,
            "amplification": self.amplification,
            "clientOf": None if self.clientOf is None else self._safeClientOf,
        }

    def health(self) -> Health:
        """What was counted at the open sockets, all together, and how full their tables are."""
        return Health.ofAll(protocol.health() for protocol in self.protocols)

    def socketOpened(self, protocol: CoAPProtocol) -> None:
        """It serves a socket more; see L{ISite}."""
        self.protocols.append(protocol)

    def socketClosed(self, protocol: CoAPProtocol) -> None:
        """It serves a socket less; see L{ISite}."""
        self.protocols.remove(protocol)

    def requestReceived(self, protocol: CoAPProtocol, exchange: IncomingRequest) -> None:
        """
        A peer asks for something; see L{ISite}. A payload where none is defined to be is left out of account
        (RFC 7252 5.5).
        """
        if self._answers is not None and not exchange.confirmable:
            self._muteUnlessAnswered(exchange)
        # Without a key it is within a body.
        if exchange.key is None and self.blockwise.proceed(protocol, exchange):
            return
        request = Request(self, protocol, exchange)
        try:
            isPlain = request.options.isPlain
            if not isPlain:
                if self.proxy is not None and self.proxy.answersAtOnce(request):
                    return
                if request.options.observe == _DEREGISTER:
                    protocol.deregister(request.peer, request.token)
            request.resource = resource = self.getResourceFor(request)
            isWhole = isPlain and getattr(resource, "openBody", None) is None
            if exchange.payload:
                if exchange.code in WITHOUT_PAYLOAD:
                    request.payload = b""
                elif isWhole:
                    limit = getattr(resource, "maximumBody", None)
                    isWhole = len(exchange.payload) <= (self.limits.bodyBytes if limit is None else limit)
            if isWhole or self._admit(request, resource):
                result = resource.render(request)
                if not (isPlain and request.answersAtOnce(result)):
                    self.rendered(result, request)
        except Exception:
            self.failed(Failure(), request)
        if not request.finished and not request.isLasting:
            protocol.awaitAnswer(exchange, request.connectionLost)

    def groupRequestReceived(self, protocol: CoAPProtocol, exchange: IncomingRequest) -> None:
        """A peer asks a group that we are in for something (RFC 7252 8)."""
        if self._answers is not None:
            self._muteUnlessAnswered(exchange)
        request = MulticastRequest(self, protocol, exchange)
        try:
            request.check()
            request.resource = resource = self.getResourceFor(request)
            if exchange.code in WITHOUT_PAYLOAD:
                request.payload = b""
            if not request.isForResource:
                request.silence()
            elif self._admit(request, resource):
                self.rendered(resource.render(request), request)
        except Exception:
            self.failed(Failure(), request)
        if not request.finished and not request.isLasting:
            protocol.awaitAnswer(exchange, request.connectionLost)

    def _admit(self, request: Request, resource: Any) -> bool:
        """
        Judge a request that is not plain, or has a large body.

        @return: Whether it is whole, and to be rendered.
        @raise BadOption: if it has conditions, and the resource would do what is asked without heeding them:
            there they are not recognized (RFC 7252 5.4.1, 5.10.8).
        """
        options = request.options
        isConditional = not options.isPlain and (options.ifMatch or options.ifNoneMatch)
        if isConditional and not getattr(resource, "heedsConditions", False):
            requireMethod(request, resource)
            raise BadOption("this resource does not heed If-Match and If-None-Match")
        return self.blockwise.admit(request, resource)

    def _safeClientOf(self, peer: Hashable, options: Options) -> Hashable:
        """What C{clientOf} says; its mistakes do not keep a request from being answered."""
        assert self.clientOf is not None
        try:
            client = self.clientOf(peer, options)
            hash(client)
        except Exception:
            self._log.failure("clientOf failed on a request from {peer}", peer=peer)
            return None
        return client

    def _muteUnlessAnswered(self, exchange: IncomingRequest) -> None:
        """Have a request that is not to be answered go on as if it asked for that (RFC 7967)."""
        answers = self._answers
        try:
            isAnswered = answers(exchange.peer, exchange.options) if callable(answers) else answers
        except Exception:
            self._log.failure("answersNonConfirmable failed on a request from {peer}", peer=exchange.peer)
            isAnswered = True
        if not isAnswered:
            exchange.options = exchange.options.evolve(noResponse=_NO_RESPONSE)

    def getResourceFor(self, request: Request) -> Any:
        """
        The resource that a request is for.

        @raise ResponseError: if the request can be answered by none.
        """
        if request.code not in DEFAULT_CODES:
            raise MethodNotAllowed(f"no method is called {request.code.dotted}")
        options = request.options
        if not options.isPlain and not (options.proxyUri is None and options.proxyScheme is None):
            if self.proxy is None:
                raise ProxyingNotSupported()
            own = self.proxy.ownOptions(request)
            if own is None:
                return self.proxy
            request.options = options = own
        path = options.read.get(_URI_PATH)
        if path is None:
            path = options.uriPath
        request.postpath = postpath = list(path)
        # As getChildForRequest does; this is done for every request.
        resource = self.resource
        while postpath and not resource.isLeaf:
            segment = postpath.pop(0)
            request.prepath.append(segment)
            resource = resource.getChildWithDefault(segment, request)
        if path == WELL_KNOWN_CORE and not getattr(resource, "allowedMethods", True):
            return self._wellKnownCore
        return resource
