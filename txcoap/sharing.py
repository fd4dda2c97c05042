"""
One observation of the origin, and all who observe by it (RFC 7641 5); a response that answers for the origin.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from .codes import Code
from .errors import RequestError
from .message import Response
from .received import ReceivedResponse
from .sansio.cacheable import Key
from .sansio.freshness import Cache, Stored
from .states import States

__all__ = ["CachedResponse", "SharedObservation", "Source"]


class CachedResponse(ReceivedResponse):
    """
    A response that was stored, with the Max-Age that is left of it: 0 if it is stale.

    @ivar age: For how many seconds it has been stored, or since the origin said that it still has it.
    """

    __slots__ = ("age",)

    isFromCache = True

    @classmethod
    def of(cls, stored: Stored, now: float, known: tuple[bytes, ...] = ()) -> CachedResponse:
        """
        What is stored, for one who asks.

        @param known: The ETags of what they have already: then it is a 2.03 (RFC 7252 5.10.6.2).
        """
        self = cls.__new__(cls)
        response, source = stored.response(now), stored.source
        self.code, self.options, self.payload = response.code, response.options, response.payload
        if stored.etag in known and self.code == Code.CONTENT:
            self.code, self.options, self.payload = Code.VALID, self.options.evolve(contentFormat=None), b""
        self.age = stored.age(now)
        # An agent made by a user may give plain responses.
        self.peer = getattr(source, "peer", None)
        self.host = getattr(source, "host", None)
        self.isConfirmable = getattr(source, "isConfirmable", False)
        return self


class SharedObservation(States):
    """
    The states of a resource for one of those who observe it together; how to take them is said in L{States}.

    It begins with the newest state that there is. Where that came a while ago it is a L{CachedResponse}.
    """

    def __init__(self, source: Source, isEstablished: bool) -> None:
        super().__init__()
        self.isEstablished = isEstablished
        self._source = source

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state()}>"

    @property
    def isFresh(self) -> bool:
        """See L{States.isFresh<txcoap.states.States.isFresh>}."""
        return self._source.isFresh

    def cancel(self, *, lazily: bool = False) -> Deferred[None]:
        """
        Observe no more; the last who does so ends the observation of the origin.

        @param lazily: As for L{Observation.cancel<txcoap.observation.Observation.cancel>}.
        @return: A Deferred that fires with None when the origin has heard of it, or need not.
        """
        if self._hasEnded:
            return succeed(None)
        self.ended(None)
        return self._source.left(self, lazily)

    def take(self, state: ReceivedResponse) -> None:
        """There is a new state."""
        self._take(state)

    def ended(self, reason: RequestError | None) -> None:
        """There will be no other state."""
        self._hasEnded = True
        self.reason = reason
        self._tellEnd()


class Source:
    """
    An observation of the origin, and who has its states.

    @param cache: Where each state is stored.
    @param key: Under which.
    @param sharingKey: What they have in common.
    @param now: The time.
    @param over: Called with this when nobody can join any more.
    """

    def __init__(
        self,
        cache: Cache,
        key: Key,
        sharingKey: Hashable,
        now: Callable[[], float],
        over: Callable[[Source], None],
    ) -> None:
        self.sharingKey = sharingKey
        self._cache = cache
        self._key = key
        self._now = now
        self._over = over
        self._observation: Any = None
        self._asking: Deferred[Any] | None = None
        self._newest: Stored | None = None
        self._waiting: dict[Deferred[SharedObservation], None] = {}
        self._members: dict[SharedObservation, None] = {}

    def begin(self, observe: Callable[[], Deferred[Any]]) -> Deferred[SharedObservation]:
        """Observe the origin, for the first who wants to."""
        waiter = self.join()
        self._asking = observe()
        self._asking.addCallbacks(self._begun, self._failed)
        return waiter

    @property
    def isFresh(self) -> bool:
        """Whether the newest state still holds."""
        return self._observation is not None and bool(self._observation.isFresh)

    def join(self) -> Deferred[SharedObservation]:
        """One more; a Deferred of what they get, which fires when there is a state. It can be cancelled."""
        if self._observation is not None:
            assert self._newest is not None
            return succeed(self._admit(CachedResponse.of(self._newest, self._now())))
        waiter: Deferred[SharedObservation] = Deferred(self._cancelled)
        self._waiting[waiter] = None
        return waiter

    def left(self, member: SharedObservation, lazily: bool) -> Deferred[None]:
        """One less."""
        self._members.pop(member, None)
        if self._members or self._waiting or self._observation is None:
            return succeed(None)
        self._over(self)
        cancelling: Deferred[None] = self._observation.cancel(lazily=lazily)
        return cancelling

    def _cancelled(self, waiter: Deferred[SharedObservation]) -> None:
        self._waiting.pop(waiter, None)
        if not self._waiting and self._observation is None:
            self._over(self)
            if self._asking is not None:
                self._asking.cancel()

    def _admit(self, state: ReceivedResponse) -> SharedObservation:
        member = SharedObservation(self, self._observation.isEstablished)
        self._members[member] = None
        member.take(state)
        return member

    def _begun(self, observation: Any) -> None:
        """The first state is here."""
        self._observation = observation
        observation.subscribe(self._took)
        assert self._newest is not None
        first: Any = self._newest.source
        waiting, self._waiting = list(self._waiting), {}
        # All are members before the first learns of it: it may leave at once.
        admitted = [(waiter, self._admit(first)) for waiter in waiting]
        for waiter, member in admitted:
            waiter.callback(member)
        observation.notifyEnd().addCallback(self._ended)

    def _failed(self, failure: Failure) -> None:
        """There is none."""
        self._over(self)
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            waiter.errback(failure)

    def _took(self, state: Response) -> None:
        now = self._now()
        self._newest = self._cache.store(self._key, state, now) or Stored(self._key, state, now)
        taken: Any = state
        for member in list(self._members):
            # It is not None if this is the last.
            member.reason = self._observation.reason
            member.take(taken)

    def _ended(self, reason: RequestError | None) -> None:
        self._over(self)
        members, self._members = self._members, {}
        for member in members:
            member.ended(reason)
