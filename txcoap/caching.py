"""
L{CachingAgent}: an agent that keeps responses, and gives them again while they are fresh (RFC 7252 5.6).

What is stored, and what it is good for, is said in L{txcoap.sansio.freshness}. Here requests that are the
same share one to the origin; observations are shared in L{txcoap.sharing}.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from .clocks import clockOf
from .codes import Code
from .definitions import OptionDefinition
from .errors import (
    CoAPError,
    MalformedResponse,
    NameNotFound,
    NoAcknowledgement,
    NoResponse,
    ResetReceived,
    Unreachable,
)
from .interfaces import IAgent
from .message import Request, Response
from .options import NO_OPTIONS, Options, nameOf
from .outgoing import makeRequest
from .sansio.cacheable import Key, keyOf, placeOf
from .sansio.freshness import Cache, CacheCounters, Fetch, Stored
from .sharing import CachedResponse, SharedObservation, Source
from .uri import URI
from .verbs import PARTS, Verbs, located, uriOf

__all__ = ["CachedResponse", "CachingAgent", "SharedObservation"]

# What is of the request, beside options by accessor name; all else is how it is sent.
_OF_THE_REQUEST = frozenset({*PARTS, "params", "json", "options", "headers", "method"})

_OUT_OF_REACH = (NameNotFound, NoAcknowledgement, NoResponse, ResetReceived, Unreachable)

# What a proxy on the way says then (RFC 7252 5.9.3).
_REACHES_NONE = frozenset({Code.BAD_GATEWAY, Code.GATEWAY_TIMEOUT})


class _Asked:
    """
    What a caller asks, in the words of L{Agent.request<txcoap.client.Agent.request>}.

    @ivar target: The URI.
    @ivar request: The request.
    @ivar key: Under which its response is stored; None if it is to pass by the cache.
    @ivar sharingKey: What requests have in common that can share one to the origin; None for one alone.
    """

    def __init__(
        self, method: Code | str | int, uri: str | URI | None, payload: Any, how: dict[str, Any]
    ) -> None:
        self.target = uriOf(located(uri, **{name: how[name] for name in PARTS if name in how}))
        values = {name: value for name, value in how.items() if _isOption(name)}
        self.request, producer = makeRequest(
            method,
            self.target,
            payload,
            how.get("params", ()),
            how.get("json"),
            how.get("options", NO_OPTIONS),
            how.get("headers", {}),
            values,
            how.get("relaying", False),
        )
        isPart = how.get("stream") or how.get("byteRange") is not None
        self.key = None if isPart or producer is not None else keyOf(self.request, self.target)
        manner = [
            (name, how[name]) for name in sorted(how) if name not in _OF_THE_REQUEST and name not in values
        ]
        self.sharingKey: Hashable = (self.key, self.request.options.etag, tuple(manner))
        try:
            hash(self.sharingKey)
        except TypeError:
            self.sharingKey = None


def _given(stored: Stored, now: float, known: tuple[bytes, ...], how: dict[str, Any]) -> CachedResponse:
    """
    What is stored, for one who asks.

    @raise MalformedResponse: for a response that was to be relayed, and has a critical option that whoever
        takes it himself has to understand (RFC 7252 5.4.1).
    """
    unknown = stored.response(now).options.unrecognizedInResponse
    if unknown and not how.get("relaying"):
        raise MalformedResponse(
            f"the stored response needs {', '.join(map(nameOf, unknown))}, not understood"
        )
    return CachedResponse.of(stored, now, known)


def _isOption(name: str) -> bool:
    return isinstance(getattr(Options, name, None), OptionDefinition)


class _Asking:
    """A request to the origin, and all who wait for its response."""

    def __init__(self, fetch: Fetch) -> None:
        self.fetch = fetch
        self.asking: Deferred[Any] | None = None
        self.waiting: dict[Deferred[Any], None] = {}

    def join(self) -> Deferred[Any]:
        """A Deferred of the response for one more; whoever cancels it leaves the others theirs."""
        waiter: Deferred[Any] = Deferred(self._leave)
        self.waiting[waiter] = None
        return waiter

    def _leave(self, waiter: Deferred[Any]) -> None:
        self.waiting.pop(waiter, None)
        if not self.waiting and self.asking is not None:
            self.asking.cancel()

    def answered(self, result: Response | Failure) -> None:
        """Give all the same."""
        waiting, self.waiting = self.waiting, {}
        for waiter in waiting:
            waiter.callback(result)


@implementer(IAgent)
class CachingAgent(Verbs):
    """
    Asks through another agent, and keeps what it is answered: C{CachingAgent(Agent(reactor))}.

    A response to GET or FETCH that is fresh (Max-Age, 60 seconds if it does not say) answers for the origin.
    It is a L{CachedResponse}, its Max-Age what is left of it. A stale one is validated by its ETag. Requests
    that are the same and made at the same time are asked once; so are observations, and while a resource is
    observed its states answer requests too. A change that goes through this agent makes what is stored for
    its path stale.

    Nothing is stored of what is asked with C{stream}, C{byteRange}, a condition, a block or No-Response.

    @param agent: What asks: an L{Agent<txcoap.client.Agent>}, or another L{IAgent
        <txcoap.interfaces.IAgent>}.
    @param maximumBytes: Bytes that all stored responses may take. What was used longest ago goes first.
    @param maximumEntries: How many requests may have a response stored.
    @param largest: Bytes of the largest response that is stored, options and overhead counted.
    @param staleIfError: For how many seconds after it was fresh a response still answers if the origin cannot
        be reached: there is no answer, or a proxy says 5.02 or 5.04. By default it does not.
    @ivar reactor: The other agent's.
    @ivar cache: The L{Cache<txcoap.sansio.freshness.Cache>}.
    """

    def __init__(
        self,
        agent: Any,
        *,
        maximumBytes: int = 16 * 2**20,
        maximumEntries: int = 10_000,
        largest: int = 2**20,
        staleIfError: float = 0.0,
    ) -> None:
        self.reactor = agent.reactor
        self.cache = Cache(maximumBytes, maximumEntries, largest)
        self.staleIfError = staleIfError
        self._agent = agent
        self._now = clockOf(agent.reactor)
        self._askings: dict[Hashable, _Asking] = {}
        self._sources: dict[Hashable, Source] = {}

    @property
    def counters(self) -> CacheCounters:
        """What happened since the agent was made."""
        return self.cache.counters

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._agent!r} with {self.cache!r}>"

    # Asking

    def find(self, request: Request, target: URI) -> Response | None:
        """
        What is stored for a request, at once and without asking anybody.

        @param request: With the options that its target makes.
        @param target: Whom it is for; only scheme, host and port matter.
        @return: A fresh response with the Max-Age that is left of it; None if there is none.
        """
        key = keyOf(request, target)
        return None if key is None else self.findByKey(key)

    def findByKey(self, key: Key) -> Response | None:
        """As L{find}, for who keeps the key (L{keyOf<txcoap.sansio.cacheable.keyOf>})."""
        now = self._now()
        stored = self.cache.find(key, now)
        return None if stored is None else stored.response(now)

    def request(
        self, method: Code | str | int, uri: str | URI | None = None, payload: Any = b"", **how: Any
    ) -> Deferred[Any]:
        """
        Ask for something, or give what is stored.

        Who waits for a response that was asked for by somebody else waits no longer than they do.

        @param how: As for L{Agent.request<txcoap.client.Agent.request>}.
        @return: A Deferred of a response, as from there; one that was stored is a L{CachedResponse}.
        """
        try:
            asked = _Asked(method, uri, payload, how)
        except (CoAPError, TypeError, ValueError):
            return fail()
        if asked.key is None:
            return self._pass(asked, method, uri, payload, how)
        now = self._now()
        stored = self.cache.find(asked.key, now)
        if stored is not None:
            try:
                return succeed(_given(stored, now, asked.request.options.etag, how))
            except MalformedResponse:
                return fail()
        asking = self._askings.get(asked.sharingKey)
        if asking is not None and asking.fetch.isCurrent:
            self.counters.joined += 1
            return asking.join()
        asking = _Asking(self.cache.begin(asked.key, asked.request.options.etag))
        if asked.sharingKey is not None:
            self._askings[asked.sharingKey] = asking
        waiter = asking.join()
        asking.asking = Deferred.fromCoroutine(self._askOrigin(asking.fetch, method, uri, payload, how))
        asking.asking.addBoth(self._answered, asked.sharingKey, asking)
        return waiter

    def _pass(self, asked: _Asked, method: Any, uri: Any, payload: Any, how: dict[str, Any]) -> Deferred[Any]:
        """Ask past the cache, which has to know of changes."""
        asking: Deferred[Any] = self._agent.request(method, uri, payload, **how)
        if asked.request.code in (Code.GET, Code.FETCH):
            return asking
        place = placeOf(asked.request, asked.target)

        def answered(response: Any) -> Any:
            if response is None:
                self.cache.invalidate(place)
            else:
                self.cache.changed(place, response)
            return response

        def failed(failure: Failure) -> Failure:
            # It may have been done all the same.
            self.cache.invalidate(place)
            return failure

        return asking.addCallbacks(answered, failed)

    async def _askOrigin(self, fetch: Fetch, method: Any, uri: Any, payload: Any, how: dict[str, Any]) -> Any:
        """Ask the origin: validate what is stored, or take what comes."""
        own = fetch.own
        while True:
            sent = {**how, "etag": own + fetch.etags} if fetch.etags else how
            try:
                response = await self._agent.request(method, uri, payload, **sent)
            except _OUT_OF_REACH:
                stale = self._findStale(fetch.key)
                if stale is None:
                    raise
                return _given(stale, self._now(), own, how)
            now = self._now()
            if response.code in _REACHES_NONE:
                stale = self._findStale(fetch.key)
                if stale is not None:
                    return _given(stale, now, own, how)
            answer = fetch.answered(response, now)
            if isinstance(answer, Stored):
                return _given(answer, now, own, how)
            if answer is not None:
                return answer
            fetch.etags = ()

    def _findStale(self, key: Key) -> Stored | None:
        if not self.staleIfError:
            return None
        return self.cache.findStale(key, self._now(), self.staleIfError)

    def _answered(self, result: Any, sharingKey: Hashable, asking: _Asking) -> None:
        self.cache.end(asking.fetch)
        if self._askings.get(sharingKey) is asking:
            del self._askings[sharingKey]
        asking.answered(result)

    # Observing

    def observe(self, uri: str | URI | None = None, payload: bytes = b"", **how: Any) -> Deferred[Any]:
        """
        Observe a resource; all who observe the same share one observation of the origin, which ends with the
        last of them.

        @param how: As for L{Agent.observe<txcoap.client.Agent.observe>}. What has a token of its own, ETags
            or a condition is not shared.
        @return: A Deferred of a L{SharedObservation}, which has the states as they come, the newest always.
        """
        # By which kind of message it is asked for, and how soon, does not matter to who has the states, and a
        # client registers once for a resource (RFC 7641 3.1).
        common = {name: value for name, value in how.items() if name not in ("confirmable", "timeout")}
        try:
            asked = _Asked(how.get("method", Code.GET), uri, payload, common)
        except (CoAPError, TypeError, ValueError):
            return fail()
        key, sharingKey = asked.key, asked.sharingKey
        isForOne = key is None or sharingKey is None or asked.request.options.etag
        if isForOne or how.get("token") is not None:
            observing: Deferred[Any] = self._agent.observe(uri, payload, **how)
            return observing
        assert key is not None
        source = self._sources.get(sharingKey)
        if source is None:
            source = self._sources[sharingKey] = Source(self.cache, key, sharingKey, self._now, self._forget)
            return source.begin(lambda: self._agent.observe(uri, payload, **how))
        return source.join()

    def _forget(self, source: Source) -> None:
        """Nobody can join it any more."""
        if self._sources.get(source.sharingKey) is source:
            del self._sources[source.sharingKey]

    # The rest

    def ping(self, uri: str | URI, *, timeout: float | None = None) -> Deferred[None]:
        """See L{Agent.ping<txcoap.client.Agent.ping>}."""
        pinging: Deferred[None] = self._agent.ping(uri, timeout=timeout)
        return pinging

    def close(self, *, grace: float | None = 0.0) -> Deferred[None]:
        """
        Close what the agent below has open. What is stored stays.

        @param grace: As for L{Agent.close<txcoap.client.Agent.close>}.
        """
        closing: Deferred[None] = self._agent.close(grace=grace)
        return closing

    async def __aenter__(self) -> CachingAgent:  # noqa: PYI034
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
