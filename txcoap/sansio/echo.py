"""
Echo (RFC 9175 2): proof that a request was made just now, by the one whose address it bears.

A server gives out values that only it can make; a client that got one repeats its request with it. Nothing is
kept of them: a value tells when it was made and for whom, and a code over that which only this server can
make. It is the address that is proven, not the port, which may change behind a translator.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from .deadlines import Deadline, Deadlines

__all__ = ["EchoKey", "ForAWhile", "subjectOf"]

V = TypeVar("V")

# The time is 32 bits of sixteenths of a second: a value means something else only after eight years.
_TICKS = 16
_TIME_SIZE = 4
_SPAN = 1 << 8 * _TIME_SIZE
_CODE_SIZE = 8


def subjectOf(peer: Hashable) -> Hashable:
    """What an Echo proves of a peer: its address without the port; what has no port, whole."""
    return peer[0] if isinstance(peer, tuple) else peer


class EchoKey:
    """
    Makes Echo values, and knows those that it made.

    @param secret: At least 16 bytes that nobody can guess.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, peer: Hashable, now: float) -> bytes:
        """A value for a peer: 12 bytes."""
        time = (int(now * _TICKS) % _SPAN).to_bytes(_TIME_SIZE, "big")
        return time + self._codeOf(time, peer)

    def age(self, value: bytes, peer: Hashable, now: float) -> float | None:
        """How many seconds ago a value was made for the peer that returns it; None if it was not."""
        time, code = value[:_TIME_SIZE], value[_TIME_SIZE:]
        if not hmac.compare_digest(code, self._codeOf(time, peer)):
            return None
        return (int(now * _TICKS) - int.from_bytes(time, "big")) % _SPAN / _TICKS

    def _codeOf(self, time: bytes, peer: Hashable) -> bytes:
        subject = time + repr(subjectOf(peer)).encode("utf-8", "surrogateescape")
        return hmac.digest(self._secret, subject, "sha256")[:_CODE_SIZE]


class ForAWhile(Generic[V]):
    """
    What is known of peers, each for so long after it was last set; the oldest makes room for one more.

    @param maximum: Of how many something is known at most.
    @param lifetime: For how long, in seconds.
    @param deadlines: Where to note when that is over.
    """

    __slots__ = ("_deadline", "_deadlines", "_known", "_lifetime", "_maximum")

    def __init__(self, maximum: int, lifetime: float, deadlines: Deadlines) -> None:
        self._maximum = maximum
        self._lifetime = lifetime
        self._deadlines = deadlines
        self._known: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()
        self._deadline: Deadline | None = None

    def get(self, key: Hashable, now: float) -> V | None:
        """What is known of it, or None."""
        known = self._known.get(key)
        return known[1] if known is not None and now < known[0] else None

    def set(self, key: Hashable, value: V, now: float) -> None:
        """From now on this is known of it."""
        self._known[key] = (now + self._lifetime, value)
        self._known.move_to_end(key)
        if len(self._known) > self._maximum:
            self._known.popitem(last=False)
        self._watch()

    def _watch(self) -> None:
        if self._deadline is None and self._known:
            soonest = next(iter(self._known.values()))[0]
            self._deadline = self._deadlines.set(soonest, self._expire, None)

    def _expire(self, _: Any, now: float) -> None:
        self._deadline = None
        while self._known and next(iter(self._known.values()))[0] <= now:
            self._known.popitem(last=False)
        self._watch()

    def __len__(self) -> int:
        return len(self._known)
