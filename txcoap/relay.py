"""
L{Relay}: a resource that asks another server, which is what forward and reverse proxies are. What may pass is
said in L{txcoap.sansio.relaying}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from .codes import Code
from .errors import (
    CoAPError,
    HopLimitReached,
    NoResponse,
    ObservationEnded,
    RequestError,
    ServiceUnavailable,
    SocketClosed,
    Unreachable,
)
from .interfaces import IResource
from .logs import Sparing
from .message import Response
from .options import Options
from .request import NOT_DONE_YET, Request
from .sansio.relaying import DEFAULT_HOP_LIMIT, gatewayError, onward, passBack
from .uri import URI

__all__ = ["Relay"]

_log = Sparing(Logger())


@implementer(IResource)
class Relay:
    """
    A resource that asks another server, and passes its responses on.

    @ivar agent: What asks: an L{IAgent<txcoap.interfaces.IAgent>}. If it has C{observe}, observing goes
        through.
    @ivar maximumRequests: How many requests may wait for another server's answer; one more is answered 5.03.
    @ivar maximumObservations: How many observations go through at once; one more request to observe gets its
        answer, and does not observe.
    @ivar timeout: Seconds until a request is answered 5.04; None for the agent's default.
    @ivar hopLimit: What is inserted where a request has no Hop-Limit (RFC 8768); None for nothing.
    @ivar name: By which the proxy calls itself in the diagnostic payload of a 5.08: a word.
    @ivar maximumBody: Bytes of the largest body of a request; None for the site's C{Limits.bodyBytes}.
    @ivar underWay: How many requests wait for an answer now.
    @ivar observations: How many observations go through now.
    @cvar heedsConditions: What a request is conditional on is for the other server to judge.
    @cvar isRelay: What it answers passes as it is, also where the client asked for another format.
    """

    isLeaf = True
    isRelay = True
    heedsConditions = True

    def __init__(
        self,
        agent: Any,
        *,
        maximumRequests: int = 1_000,
        maximumObservations: int = 10_000,
        timeout: float | None = None,
        hopLimit: int | None = DEFAULT_HOP_LIMIT,
        name: str = "txcoap",
        maximumBody: int | None = None,
    ) -> None:
        if hopLimit is not None and not 0 < hopLimit < 256:
            raise ValueError(f"a Hop-Limit is from 1 to 255; got {hopLimit!r}")
        if not name or any(each.isspace() for each in name):
            raise ValueError(f"a proxy's name is a word (RFC 8768 4); got {name!r}")
        self.agent = agent
        self.maximumRequests = maximumRequests
        self.maximumObservations = maximumObservations
        self.timeout = timeout
        self.hopLimit = hopLimit
        self.name = name
        self.maximumBody = maximumBody
        self.underWay = 0
        self.observations = 0
        self._passed: tuple[Response | None, Response] = (None, Response(Code.CONTENT))

    def getChildWithDefault(self, segment: str, request: Any) -> Any:
        """All that is below it is the other server's; see L{IResource}."""
        return self

    def getLinks(self, path: str) -> Any:
        """What is behind it is not listed; see L{IResource}."""
        return ()

    def render(self, request: Request) -> Deferred[Any]:
        """
        Ask the other server; see L{IResource}.

        @raise ServiceUnavailable: if too many requests are under way.
        @raise HopLimitReached: if it has passed too many proxies, and that is logged.
        """
        if self.underWay >= self.maximumRequests:
            raise ServiceUnavailable("the proxy is busy", maxAge=1)
        options = request.options
        if not options.isPlain and request.protocol.freshness(request.exchange) is not None:
            # RFC 9175 2.3: it is an Echo of our own.
            options = options.without(Options.echo.number)
        try:
            options = onward(options, self.hopLimit, self.name)
        except HopLimitReached:
            # RFC 8768 3: it is for who runs the proxies to learn of a loop.
            _log.of(request.site).info(
                "{request} has passed too many proxies: do they ask each other?", request=request
            )
            raise
        return Deferred.fromCoroutine(self._render(request, options))

    async def _render(self, request: Request, options: Options) -> Any:
        self.underWay += 1
        try:
            hops = await self.findHops(request)
            return await self._askAny(request, hops, options)
        except CoAPError as e:
            raise gatewayError(e) from None
        finally:
            self.underWay -= 1

    async def findHops(self, request: Request) -> Sequence[tuple[URI, Options]]:
        """
        Whom to ask for what.

        @return: URIs, each with options to add to the request; one is tried after the other, as long as the
            network says that they cannot be reached.
        @raise ResponseError: if nobody is to be asked.
        """
        raise NotImplementedError

    def adapt(self, request: Request, response: Response) -> Response:
        """A response as it is to be seen where the request was made."""
        passed, back = self._passed
        if passed is not response:
            # Many who observe the same are told the same, one after the other.
            back = passBack(response, self.name)
            self._passed = (response, back)
        return back

    def close(self) -> Deferred[None]:
        """Close what the agent has open. A later request opens it anew."""
        close = getattr(self.agent, "close", None)
        return maybeDeferred(close) if close is not None else maybeDeferred(lambda: None)

    async def _askAny(
        self, request: Request, hops: Sequence[tuple[URI, Options]], options: Options
    ) -> Response | int:
        for uri, added in hops[:-1]:
            try:
                return await self._ask(request, uri, options.adding(*added))
            except Unreachable:
                # Nobody was asked.
                continue
        uri, added = hops[-1]
        return await self._ask(request, uri, options.adding(*added))

    async def _ask(self, request: Request, uri: URI, options: Options) -> Response | int:
        how = {"options": options, "confirmable": request.isConfirmable, "relaying": True}
        if self._isToBeObserved(request):
            return await self._observe(request, uri, how)
        response = await self.agent.request(request.code, uri, request.payload, timeout=self.timeout, **how)
        if response is None:
            # As its No-Response asked for (RFC 7967).
            request.silence()
            return NOT_DONE_YET
        return self.adapt(request, response)

    async def _observe(self, request: Request, uri: URI, how: dict[str, Any]) -> int:
        # Those that are being asked for count too: many may be before the first is answered.
        self.observations += 1
        try:
            observing = self.agent.observe(uri, request.payload, method=request.code, **how)
            if self.timeout is not None:
                observing.addTimeout(self.timeout, request.protocol.reactor, _tooLate)
            observation = await observing
        except BaseException:
            self.observations -= 1
            raise
        _Relayed(self, request, observation).begin()
        return NOT_DONE_YET

    def _isToBeObserved(self, request: Request) -> bool:
        return (
            request.asksToObserve
            and self.observations < self.maximumObservations
            and hasattr(self.agent, "observe")
        )


def _tooLate(result: object, seconds: float) -> NoReturn:
    raise NoResponse(f"no reply in {seconds:.4g} seconds")


class _Relayed:
    """An observation of another server's resource, for one of our clients (RFC 7641 5)."""

    def __init__(self, relay: Relay, request: Request, observation: Any) -> None:
        self._relay = relay
        self._request = request
        self._observation = observation

    def begin(self) -> None:
        """Pass on what comes, until either side ends it."""
        self._request.notifyFinish().addBoth(self._left)
        self._observation.subscribe(self._passOn)
        self._observation.notifyEnd().addCallback(self._ended)

    def _passOn(self, state: Response) -> None:
        request, observation = self._request, self._observation
        if request.finished:
            return
        try:
            response = self._relay.adapt(request, state)
        except CoAPError as e:
            response = Response.fromError(gatewayError(e))
        request.notify(response, isLast=observation.reason is not None or not observation.isEstablished)

    def _ended(self, reason: RequestError | None) -> None:
        """The other server has ended it, or the proxy's own agent has."""
        if self._request.finished or not self._observation.isEstablished:
            return
        reason = reason or SocketClosed("the proxy observes no more")
        last = getattr(reason, "response", None) if isinstance(reason, ObservationEnded) else None
        if last is None:
            self._request.notify(Response.fromError(gatewayError(reason)))
        else:
            self._passOn(last)

    def _left(self, result: object) -> None:
        """Our client has all that it wanted."""
        self._relay.observations -= 1
        self._observation.cancel()
