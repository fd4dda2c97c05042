"""
The memory of messages received, so that none is processed twice (RFC 7252 4.5).

A repeated message comes from the same peer, with the same ID, and is the same byte for byte; other
bytes under an old ID are a new message, from a peer that lost count. What is kept is a hash of peer and
bytes, and the reply to repeat: no object of its own, nothing for the garbage collector to visit.

Memory is bounded in bytes. When it is full the oldest replies to safe requests make room, whose
repetition does no harm, then those to idempotent ones. The others are kept for their time, whatever
comes: rather than run one of them twice, new requests are refused. Only they can crowd others out, so
they are what is shared out among the hosts they come from; see L{txcoap.sansio.shares}.

The memory lies in many small tables: to enlarge one great one would stop everything for milliseconds.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import IntEnum

from ..codes import Code
from .counters import Counters
from .deadlines import NEVER, Ages, Deadline, Deadlines
from .shares import HostOf

__all__ = ["OTHER_BITS", "SHARD", "Accounts", "Duplicates", "Rank"]


class Rank(IntEnum):
    """What processing a message twice would do, least harm first (RFC 7252 5.1, RFC 8132 2.2, 3)."""

    SAFE = 0
    IDEMPOTENT = 1
    OTHER = 2


SAFE, _, OTHER = Rank
POST, PATCH = Code.POST, Code.PATCH

_IDEMPOTENT = {Code.PUT, Code.DELETE, Code.IPATCH}
_OTHER = {Code.POST, Code.PATCH}
RANKS = tuple(
    Rank.OTHER if code in _OTHER else Rank.IDEMPOTENT if code in _IDEMPOTENT else Rank.SAFE
    for code in range(256)
)
"""The rank of each code. A response is safe: it finds no open request the second time."""

# A dict's share for an entry, its key, the place in its age's bucket, and the head of the reply.
ENTRY_SIZE = 176
# What stays of an entry until its time is over if it was removed before that: key and place.
TRACE_SIZE = 48

SHARD = 15
"""The bits of a key that say which table it belongs to."""

# The next bits of the key of a message that must not run twice say on which account it is: 0 is that of hosts
# that may take what they like.
_SHIFT = 8
_ACCOUNT = 1023

OTHER_BITS = ~(_ACCOUNT << _SHIFT)
"""The bits of a key that its message gives; of one that must not run twice the others tell its account."""


class Accounts(dict[Hashable, int]):
    """
    The accounts of hosts: for each peer the bits of its host's. Hosts of which there are too many for the
    bits have one together.

    @param hostOf: Tells the host of a peer; None for one that may take what it likes.
    """

    # How many peers are remembered, so that their hosts need not be asked for with each message.
    _REMEMBERED = 4096

    def __init__(self, hostOf: HostOf) -> None:
        self._hostOf = hostOf

    def __missing__(self, peer: Hashable) -> int:
        if len(self) >= self._REMEMBERED:
            self.clear()
        host = self._hostOf(peer)
        self[peer] = account = 0 if host is None else (hash(host) % _ACCOUNT + 1) << _SHIFT
        return account


class Duplicates:
    """
    The messages of the last EXCHANGE_LIFETIME, or NON_LIFETIME, and their replies.

    @param exchangeLifetime: For how many seconds a confirmable message is remembered.
    @param nonLifetime: For how many one that is not.
    @param maximum: Bytes that all may take.
    @param maximumSafeReply: Bytes of the largest reply to a safe request that is kept.
    @param deadlines: Where to note when some are to be forgotten.
    @ivar shards: The reply to repeat for each message by its key; empty if there is none to repeat. Each
        key is in the shard that its lowest bits say.
    @ivar size: Bytes in use.
    @ivar counters: What counts those that went before their time.
    """

    def __init__(
        self,
        exchangeLifetime: float,
        nonLifetime: float,
        maximum: int,
        maximumSafeReply: int,
        deadlines: Deadlines,
        counters: Counters,
    ) -> None:
        self.shards: list[dict[int, bytes]] = [{} for _ in range(SHARD + 1)]
        self.size = 0
        self.counters = counters
        self._maximum = maximum
        self._half = maximum >> 1
        self._maximumSafeReply = maximumSafeReply
        self._deadlines = deadlines
        self._sweep: Deadline | None = None
        self._shorterLifetime = min(exchangeLifetime, nonLifetime)
        # By type of message (confirmable first), then by rank.
        self._ages: list[list[Ages[int]]] = [
            [Ages(lifetime) for _ in Rank] for lifetime in (exchangeLifetime, nonLifetime)
        ]
        # The same by type and code.
        self._agesOf = [[ages[rank] for rank in RANKS] for ages in self._ages]
        # Bytes of the messages that never make room, of all hosts and of each.
        self._kept = 0
        self._keptOf = [0] * (_ACCOUNT + 1)

    def find(self, key: int) -> bytes | None:
        """The reply to a message that came before, or None."""
        return self.shards[key & SHARD].get(key)

    def __len__(self) -> int:
        return sum(map(len, self.shards))

    def add(self, key: int, code: int, type: int, now: float) -> Code | None:
        """
        Remember a message that asks to be processed, without a reply so far. What one takes that must not run
        twice is on its host's account.

        @param key: C{hash((peer, bytes))}; of a POST or PATCH the bits of its account are in it
            (L{Accounts}).
        @param type: 0 for a confirmable message, 1 for a non-confirmable one.
        @return: The code to refuse it with if there is no room, or none for this host.
        """
        isKept = code is POST or code is PATCH
        if isKept:
            kept = self._kept + ENTRY_SIZE
            account = key >> _SHIFT & _ACCOUNT
            if kept > self._half and account:
                held = self._keptOf[account]
                if held and held + kept > self._maximum:
                    return Code.TOO_MANY_REQUESTS
        size = self.size + ENTRY_SIZE
        if size > self._maximum:
            if not self._makeRoom():
                return Code.SERVICE_UNAVAILABLE
            size = self.size + ENTRY_SIZE
        self.size = size
        if isKept:
            self._kept = kept
            self._keptOf[account] += ENTRY_SIZE
        self.shards[key & SHARD][key] = b""
        # As ages.add does; this is done for every message.
        ages = self._agesOf[type][code]
        if now > ages.closes:
            ages.open(now)
        ages.newest.append(key)
        if self._sweep is None:
            self._sweep = self._deadlines.set(now + self._shorterLifetime, self._forgetOld, None)
        return None

    def settle(self, key: int | None, code: int, reply: bytes) -> None:
        """From now on repeat this reply to a message. A large one to a safe request is made again."""
        if key is None:
            return
        replies = self.shards[key & SHARD]
        old = replies.get(key)
        if old is None:
            return
        length = len(reply)
        growth = length - len(old)
        # To compare two members takes less time than to look one up by the other.
        if code is POST or code is PATCH:
            self._kept += growth
            self._keptOf[key >> _SHIFT & _ACCOUNT] += growth
        elif length > self._maximumSafeReply and RANKS[code] is SAFE:
            del replies[key]
            self.size -= ENTRY_SIZE - TRACE_SIZE + len(old)
            return
        replies[key] = reply
        self.size += growth

    def _forgetOld(self, _: None, now: float) -> None:
        self.expire(now)
        upcoming = self.next()
        # What comes from now on is not due before the shorter lifetime is over.
        when = min(upcoming, now + self._shorterLifetime)
        self._sweep = None if upcoming == NEVER else self._deadlines.set(when, self._forgetOld, None)

    def expire(self, now: float) -> None:
        """Forget those whose time is over."""
        for ages in self._ages:
            for rank in Rank:
                for key in ages[rank].expire(now):
                    size = self._remove(key)
                    if rank is OTHER:
                        self._kept -= size
                        self._keptOf[key >> _SHIFT & _ACCOUNT] -= size

    def next(self) -> float:
        """When L{expire} has something to do."""
        return min(rank.next() for ages in self._ages for rank in ages)

    def _remove(self, key: int) -> int:
        reply = self.shards[key & SHARD].pop(key, None)
        size = TRACE_SIZE if reply is None else ENTRY_SIZE + len(reply)
        self.size -= size
        return size

    def _makeRoom(self) -> bool:
        for rank in (Rank.SAFE, Rank.IDEMPOTENT):
            for ages in self._ages:
                while self.size + ENTRY_SIZE > self._maximum:
                    key = ages[rank].popOldest()
                    if key is None:
                        break
                    self._remove(key)
                    self.counters.evicted += 1
        return self.size + ENTRY_SIZE <= self._maximum
