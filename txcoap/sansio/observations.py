"""
Observing resources (RFC 7641): the rules of both roles.

A server keeps a L{Relation} for each observer. One notification of it is under way at most. A newer
state that comes meanwhile waits, and takes the place of one that waits already; when a notification has
to be repeated the repetition carries the newest state, under a new message ID, and keeps the count of
attempts and the back-off (4.5.2)::

                notify                       acknowledged, none waits
    IDLE -----------------> UNDER WAY ----------------------------------> IDLE
                             |  ^  |  acknowledged, one waits: send it
                      notify |  |  +------------------------------> UNDER WAY
                  (it waits) +--+  |
                                   |  Reset, or given up, or the last one was an error
                                   v
                                 ENDED

A non-confirmable notification is not acknowledged: the next may follow after a round trip, or after 3
seconds while that is not known (4.5.1). From time to time one is confirmable, so that an observer that
is gone is noticed (4.5).

Notifications to many are spread: a burst of them would come back as a burst of acknowledgements, larger
than the receive buffer. At most L{BURST} go at once; for each of them one more goes when it is
acknowledged, or else after L{BURST_INTERVAL}.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Any

from ..codes import Code
from ..options import Options

__all__ = ["OBSERVABLE", "Relation", "Sequence", "Spread", "isNewer", "sequenceAt"]

OBSERVABLE = frozenset({Code.GET, Code.FETCH})
"""The methods that can observe (RFC 7641 2, RFC 8132 2.4)."""

_NUMBERS = 1 << 24
_HALF = 1 << 23

REORDERING_TIME = 128.0
"""Seconds after which any notification is newer than the one before (RFC 7641 3.4)."""

NON_INTERVAL = 3.0
"""Seconds between non-confirmable notifications while the round trip is not known (RFC 7641 4.5.1)."""

CONFIRM_INTERVAL = 24 * 3600.0
"""Seconds after which a notification has to be confirmable (RFC 7641 4.5)."""

BURST = 100
"""Notifications that go out at once."""

BURST_INTERVAL = 0.02
"""Seconds after which as many go out again, though nobody has acknowledged any."""

# The clock that sequence numbers come from: ticks per second. RFC 7641 4.4 wants fewer than 2 ** 23 in
# 256 seconds; a server restarted within its clock's accuracy goes on counting.
_TICKS = 1024


def isNewer(new: int, newAt: float, old: int, oldAt: float) -> bool:
    """Whether a notification is newer than another, by their numbers and times (RFC 7641 3.4)."""
    return (
        (old < new and new - old < _HALF)
        or (old > new and old - new > _HALF)
        or (newAt > oldAt + REORDERING_TIME)
    )


def sequenceAt(now: float, last: int | None) -> int:
    """
    The number of a notification (RFC 7641 4.4): the clock's, so that it is newer even than those from
    before the server was restarted, or one above the last if the clock has not gone on since.
    """
    number = int(now * _TICKS) % _NUMBERS
    if last is None or 0 < (number - last) % _NUMBERS < _HALF:
        return number
    return (last + 1) % _NUMBERS


class Sequence:
    """Tells a client which notifications are news, as they come in whatever order."""

    __slots__ = ("_at", "_number")

    def __init__(self) -> None:
        self._number: int | None = None
        self._at = 0.0

    def accepts(self, number: int, now: float) -> bool:
        """Whether this one is newer than all that were accepted; if so it is accepted."""
        if self._number is not None and not isNewer(number, now, self._number, self._at):
            return False
        self._number = number
        self._at = now
        return True

    def restart(self) -> None:
        """The relation begins anew: whatever comes next is news."""
        self._number = None


class Relation:
    """
    An observer of a resource, on the server's side.

    @ivar peer: Who observes.
    @ivar client: By whom bodies in blocks are known: the peer, or its name.
    @ivar local: Through which of our addresses.
    @ivar token: The token of the request that began it, and of every notification.
    @ivar messageID: The ID of the message of that request.
    @ivar confirmable: Whether notifications are confirmable, all of them.
    @ivar confirmEvery: One in so many is, where not all are.
    @ivar waiting: The code, options and payload of the notification to send next; None if there is none.
    @ivar isLast: Whether the relation ends with the one that waits.
    @ivar isQueued: Whether it is in a queue for that one, or waits until a time.
    @ivar hasEnded: Whether the observer is told nothing more.
    @ivar sequence: The number of the notification sent last.
    @ivar transmission: That one, while its fate matters; else None.
    @ivar sentAt: When it was sent.
    @ivar roundTrip: Seconds until it was acknowledged; None while that is not known.
    @ivar acknowledgedAt: When one was acknowledged last.
    @ivar unconfirmed: How many were sent since that were not confirmable.
    @ivar owner: What the application keeps for it; the shell's own.
    """

    __slots__ = (
        "acknowledgedAt",
        "client",
        "confirmEvery",
        "confirmable",
        "hasEnded",
        "isLast",
        "isQueued",
        "local",
        "messageID",
        "owner",
        "peer",
        "roundTrip",
        "sentAt",
        "sequence",
        "token",
        "transmission",
        "unconfirmed",
        "waiting",
    )

    def __init__(
        self,
        peer: Hashable,
        local: Hashable,
        token: bytes,
        confirmable: bool,
        confirmEvery: int,
        now: float,
    ) -> None:
        self.peer = self.client = peer
        self.local = local
        self.token = token
        self.messageID: int | None = None
        self.confirmable = confirmable
        self.confirmEvery = confirmEvery
        self.waiting: tuple[int, Options, bytes] | None = None
        self.isLast = False
        self.isQueued = False
        self.hasEnded = False
        self.sequence = sequenceAt(now, None)
        self.owner: Any = None
        self.transmission: Any = None
        self.sentAt = now
        self.acknowledgedAt = now
        self.roundTrip: float | None = None
        self.unconfirmed = 0

    def needsConfirmation(self, now: float) -> bool:
        """Whether the next notification is to be confirmable (RFC 7641 4.5)."""
        return (
            self.confirmable
            or self.isLast
            or self.unconfirmed + 1 >= self.confirmEvery
            or now - self.acknowledgedAt >= CONFIRM_INTERVAL
        )

    def nextAt(self) -> float:
        """When a non-confirmable notification may follow the one before (RFC 7641 4.5.1)."""
        return self.sentAt + (NON_INTERVAL if self.roundTrip is None else self.roundTrip)


class Spread:
    """
    The relations that have something to send.

    @ivar queue: Those, in the order of their turn.
    """

    __slots__ = ("_allowance", "_at", "queue")

    def __init__(self) -> None:
        self.queue: deque[Relation] = deque()
        self._allowance = BURST
        self._at = -BURST_INTERVAL

    def add(self, relation: Relation) -> None:
        """It has something to send, when it is its turn."""
        if not relation.isQueued:
            relation.isQueued = True
            self.queue.append(relation)

    def earn(self, sentAt: float) -> None:
        """What was sent then was acknowledged: one more may go, unless time has let it go already."""
        if sentAt >= self._at and self._allowance < BURST:
            self._allowance += 1

    def take(self, now: float) -> list[Relation]:
        """Those whose turn has come."""
        if now >= self._at + BURST_INTERVAL:
            self._at = now
            self._allowance = BURST
        count = min(len(self.queue), self._allowance)
        self._allowance -= count
        taken = [self.queue.popleft() for _ in range(count)]
        for relation in taken:
            relation.isQueued = False
        return taken

    def nextAt(self) -> float | None:
        """When L{take} may have more, or None if nobody waits."""
        return self._at + BURST_INTERVAL if self.queue else None
