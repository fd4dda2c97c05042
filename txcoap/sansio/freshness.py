"""
A cache of responses (RFC 7252 5.6): for how long one is fresh, what a stale one is still good for, and which
goes when there is no room. What can be kept, and under which key, is said in L{txcoap.sansio.cacheable}::

    stored                   Max-Age is over, or its target was changed
    ------> FRESH --------------------------------------------------------> STALE ----> gone
             |  ^ ^                                                           |
             +--+ |        2.03 with its ETag: it is what the origin has      |
     answers for  +-----------------------------------------------------------+
     the origin                                             its ETag goes along when the origin is asked

Under one key there may be several responses with different ETags, the newest first. That one alone may
answer; the others wait for the origin to choose one of them again (5.6.2).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ..codes import Code
from ..message import Response
from ..options import Options
from .cacheable import NOT_STORED, Key, Place, isStorable, placeOfKey

__all__ = ["Cache", "CacheCounters", "Fetch", "Stored"]

OVERHEAD = 1536
"""Bytes that a stored response takes beside its body and options: the objects and tables that hold it."""

REPRESENTATIONS = 4
"""Stored responses under one key, and so the most ETags that are sent along."""

_MAX_AGE = 14

_NEVER = float("-inf")


@dataclass(slots=True)
class CacheCounters:
    """
    Counts since the cache was made.

    @ivar hits: Requests that a stored response answered, without the origin.
    @ivar misses: Requests that the origin was asked, since no stored response could answer.
    @ivar validations: Stored responses that the origin said are what it has (2.03).
    @ivar stores: Responses stored.
    @ivar evictions: Stored responses that went to make room.
    @ivar invalidations: Stored responses no longer fresh since their target was changed through this cache.
    @ivar joined: Requests that waited for the response to one of those.
    @ivar stale: Times that a stale response answered as the origin could not be reached.
    """

    hits: int = 0
    misses: int = 0
    validations: int = 0
    stores: int = 0
    evictions: int = 0
    invalidations: int = 0
    joined: int = 0
    stale: int = 0


class Stored:
    """
    A response that is kept.

    @ivar key: What it answers.
    @ivar source: The response as it came.
    @ivar etag: Its entity tag, or None.
    @ivar size: Bytes that it counts for.
    @ivar storedAt: When it came, or was said to be still what the origin has.
    @ivar expiresAt: Until when it is fresh.
    """

    __slots__ = ("_left", "_pairs", "_response", "etag", "expiresAt", "key", "size", "source", "storedAt")

    def __init__(self, key: Key, response: Response, now: float) -> None:
        self.key = key
        self.source = response
        self.etag = response.etag
        self._pairs = [pair for pair in response.options.pairs if pair[0] not in NOT_STORED]
        self._renew(response, now)
        taken = sum(len(data) for _, data in (*key[4], *self._pairs))
        self.size = OVERHEAD + taken + len(key[5]) + len(response.payload)

    def _renew(self, response: Response, now: float) -> None:
        self.storedAt = now
        self.expiresAt = now + response.maxAge
        self._left = -1

    def validated(self, response: Response, now: float) -> None:
        """A 2.03 says that this is what the origin has, and what of its options is new (RFC 7252 5.9.1.3)."""
        news = [each for each in response.options.pairs if each[0] not in NOT_STORED and not each[0] & 2]
        told = {number for number, _ in news}
        self._pairs = [pair for pair in self._pairs if pair[0] not in told] + news
        self._renew(response, now)

    def response(self, now: float) -> Response:
        """
        What to answer, with as much Max-Age as is left of it (RFC 7252 5.7.1); 0 once it is stale. Those who
        ask within the same second get the same.
        """
        left = self.expiresAt - now
        left = int(left) if left > 0 else 0
        if left != self._left:
            age = (_MAX_AGE, left.to_bytes((left.bit_length() + 7) // 8, "big"))
            source = self.source
            self._response = Response(source.code, source.payload, Options.fromPairs([*self._pairs, age]))
            self._left = left
        return self._response

    def age(self, now: float) -> float:
        """Seconds since the origin last said that this is what it has."""
        return now - self.storedAt


class Fetch:
    """
    What the origin is being asked, as the cache could not answer.

    @ivar key: The request's key.
    @ivar own: The ETags that the request has of itself.
    @ivar etags: Of the stored responses that the origin may say it still has, to be sent along.
    @ivar isCurrent: Whether the target was not changed since. The response to one that is not may be older
        than the change: it answers who asked, and is not stored.
    """

    __slots__ = ("_cache", "_stored", "etags", "isCurrent", "key", "own")

    def __init__(self, cache: Cache, key: Key, own: tuple[bytes, ...], stored: list[Stored]) -> None:
        self.key = key
        self.isCurrent = True
        self.etags = tuple([each.etag for each in stored if each.etag is not None and each.etag not in own])
        self._cache = cache
        self.own = own
        self._stored = stored

    def answered(self, response: Response, now: float) -> Stored | Response | None:
        """
        The origin answered.

        @return: What to answer: a stored response that is fresh again, or what came; None if that is a 2.03
            for no ETag that was sent, which is no answer: ask again without L{etags}.
        """
        cache = self._cache
        if response.code != Code.VALID:
            cache.end(self)
            if self.isCurrent:
                cache.store(self.key, response, now)
            return response
        stored = self._chosen(response.etag)
        if stored is not None:
            cache.end(self)
            cache.validated(stored, response, now, isCurrent=self.isCurrent)
            return stored
        if response.etag in self.own or not self.etags:
            cache.end(self)
            return response
        return None

    def _chosen(self, etag: bytes | None) -> Stored | None:
        sent = self.own + self.etags
        if etag is None and len(sent) == 1:
            # RFC 7252 5.9.1.3 wants the ETag there; some leave it out, and there is no doubt which it is.
            etag = sent[0]
        return next((each for each in self._stored if etag is not None and each.etag == etag), None)


class Cache:
    """
    Stored responses, within bounds: beyond them what was used longest ago goes.

    @param maximumBytes: Bytes that all may take, their bodies, options and L{OVERHEAD} counted.
    @param maximumEntries: How many keys there may be.
    @param largest: Bytes of the largest response that is stored.
    @ivar maximumBytes: The same.
    @ivar counters: What happened.
    @ivar size: Bytes in use.
    """

    def __init__(
        self, maximumBytes: int = 16 * 2**20, maximumEntries: int = 10_000, largest: int = 2**20
    ) -> None:
        for name, value in (("maximumBytes", maximumBytes), ("maximumEntries", maximumEntries)):
            if value < 1:
                raise ValueError(f"{name} is at least 1; got {value!r}")
        self.counters = CacheCounters()
        self.size = 0
        self.maximumBytes = maximumBytes
        self._maximumEntries = maximumEntries
        self._largest = min(largest, maximumBytes)
        # In order of use, the one used longest ago first; of each key the newest response first.
        self._entries: OrderedDict[Key, list[Stored]] = OrderedDict()
        self._places: dict[Place, set[Key]] = {}
        self._fetches: dict[Place, set[Fetch]] = {}

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Cache of {len(self)} requests in {self.size:,} of {self.maximumBytes:,} bytes>"

    # Asking

    def find(self, key: Key, now: float) -> Stored | None:
        """A stored response that answers for the origin, or None."""
        entry = self._entries.get(key)
        if entry is not None and now < entry[0].expiresAt:
            self._entries.move_to_end(key)
            self.counters.hits += 1
            return entry[0]
        return None

    def findStale(self, key: Key, now: float, seconds: float) -> Stored | None:
        """A stored response that was fresh so many seconds ago or later, for want of anything better."""
        entry = self._entries.get(key, ())
        newest = next((each for each in entry if each.source.code == Code.CONTENT), None)
        if newest is None or now >= newest.expiresAt + seconds:
            return None
        self.counters.stale += 1
        return newest

    def begin(self, key: Key, own: tuple[bytes, ...] = ()) -> Fetch:
        """
        The origin is asked.

        @param own: ETags that the request has of itself.
        @return: To be told of the response, or else given to L{end}.
        """
        self.counters.misses += 1
        entry = self._entries.get(key, [])
        stored = [each for each in entry if each.etag is not None and each.source.code == Code.CONTENT]
        fetch = Fetch(self, key, own, stored)
        self._fetches.setdefault(placeOfKey(key), set()).add(fetch)
        return fetch

    def end(self, fetch: Fetch) -> None:
        """It was answered, or nobody waits for it any more."""
        place = placeOfKey(fetch.key)
        fetches = self._fetches.get(place)
        if fetches is not None:
            fetches.discard(fetch)
            if not fetches:
                del self._fetches[place]

    # Changing

    def store(self, key: Key, response: Response, now: float) -> Stored | None:
        """
        The origin answered so.

        @return: What was stored; None for what cannot be. What was there before is out of date, unless the
            origin only failed.
        """
        if not response.code.isServerError:
            self._expire(key)
        stored = Stored(key, response, now) if isStorable(response) else None
        if stored is None or stored.size > self._largest:
            return None
        self.counters.stores += 1
        self._insert(stored)
        return stored

    def validated(self, stored: Stored, response: Response, now: float, *, isCurrent: bool = True) -> None:
        """The origin said that it has what is stored."""
        self.counters.validations += 1
        stored.validated(response, now)
        if isCurrent:
            self._insert(stored)
        else:
            stored.expiresAt = _NEVER

    def invalidate(self, place: Place) -> None:
        """What is there was changed, or may have been: nothing stored for it is fresh (RFC 7252 5.9.1)."""
        for fetch in self._fetches.get(place, ()):
            fetch.isCurrent = False
        for key in self._places.get(place, ()):
            self.counters.invalidations += self._expire(key)

    def changed(self, place: Place, response: Response) -> None:
        """A request that may change something was answered so: see L{invalidate}."""
        if response.code.isError:
            return
        self.invalidate(place)
        location = response.options.get(Options.locationPath.number)
        if location:
            # RFC 7252 5.8.2, 5.9.1.1: what was created is not what was stored for its URI.
            self.invalidate((*place[:3], location))

    def clear(self) -> None:
        """Forget all that is stored."""
        self._entries.clear()
        self._places.clear()
        self.size = 0

    def _expire(self, key: Key) -> int:
        """Nothing of a key is fresh any more, nor good for want of better; how much of it was."""
        expired = [each for each in self._entries.get(key, ()) if each.expiresAt != _NEVER]
        for each in expired:
            each.expiresAt = _NEVER
        return len(expired)

    def _insert(self, stored: Stored) -> None:
        """Store as the newest of its key, in place of what it replaces."""
        key = stored.key
        entry = self._entries.get(key, [])
        others = [
            each
            for each in entry
            if each is not stored
            and each.etag not in (None, stored.etag)
            and each.source.code == Code.CONTENT
        ]
        kept = [stored, *others[: REPRESENTATIONS - 1]]
        self.size += sum(each.size for each in kept) - sum(each.size for each in entry)
        self._entries[key] = kept
        self._entries.move_to_end(key)
        self._places.setdefault(placeOfKey(key), set()).add(key)
        while self.size > self.maximumBytes or len(self._entries) > self._maximumEntries:
            self._evict()

    def _evict(self) -> None:
        """Let go of what was used longest ago; of the last key left, of its oldest response."""
        key, entry = next(iter(self._entries.items()))
        if len(self._entries) == 1 and len(entry) > 1:
            gone = [entry.pop()]
        else:
            gone = self._entries.pop(key)
            place = placeOfKey(key)
            keys = self._places[place]
            keys.discard(key)
            if not keys:
                del self._places[place]
        self.size -= sum(each.size for each in gone)
        self.counters.evictions += len(gone)
