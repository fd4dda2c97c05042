"""
What a socket's machines counted: plain numbers, always on.

What every datagram adds to is kept in the form that costs least, and put in order on reading; see
L{Health<txcoap.sansio.health.Health>}.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

__all__ = ["BOUNDS", "Counters", "Histogram", "Traffic"]

BOUNDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
)
"""The upper bounds of a histogram's buckets, in seconds: from a network nearby to EXCHANGE_LIFETIME."""


class Traffic:
    """
    Messages that went one way.

    @ivar byType: For each type, how many had each code.
    @ivar byHead: The same for each byte that a message may begin with, which holds the type (RFC 7252 3).
    """

    __slots__ = ("byHead", "byType")

    def __init__(self) -> None:
        self.byType = [[0] * 256 for _ in range(4)]
        self.byHead = [self.byType[head >> 4 & 3] for head in range(256)]

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(map(sum, self.byType))


class Histogram:
    """
    How long something took, by buckets.

    @ivar counts: How many took at most each of L{BOUNDS}, and more than the one below; the last, how many
        took longer than all.
    @ivar total: How long all took together, in seconds.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """One took so long."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Counters:
    """
    Counts since the socket was opened.

    @ivar incoming: Messages that came, copies too.
    @ivar outgoing: Messages handed to the transport, repeated ones too.
    @ivar roundTrips: From when a request of ours was submitted until its response came.
    @ivar answerTimes: From when a request was rendered until it was answered, of those that were not
        answered at once.
    @ivar retransmissions: Confirmable messages sent once more.
    @ivar duplicates: Messages that had come before.
    @ivar formatErrors: Datagrams that are no CoAP messages.
    @ivar ignored: Messages that meant nothing: acknowledgements of nothing, unasked-for responses.
    @ivar resetsReceived: Resets that concerned something of ours.
    @ivar resetsSent: Messages rejected with a Reset.
    @ivar timeouts: Confirmable messages given up.
    @ivar refused: Requests answered 5.03 because a limit was reached.
    @ivar throttled: Requests answered 4.29 because their host held its share of a limit.
    @ivar echoesDemanded: Requests answered 4.01 with Echo, since the answer would be too large for an address
        that is not proven, or the request had to be fresh.
    @ivar evicted: Messages forgotten before their time, to make room for others.
    @ivar peersRefused: Times that there was no place for one more peer.
    @ivar bodiesRefused: Bodies answered 4.13.
    @ivar uploadsRefused: Bodies in blocks answered 5.03 because a limit was reached.
    @ivar uploadsEvicted: Bodies of which only a first block came, forgotten to make room for others.
    @ivar downloadsEvicted: Bodies that were being fetched in blocks, forgotten to make room for others.
    @ivar observersRefused: Requests to observe answered without, because a limit was reached.
    @ivar groupResponsesIgnored: Responses to requests of ours to groups, beyond the limit.
    @ivar unanswered: Requests forgotten, since their method did not answer within EXCHANGE_LIFETIME.
    @ivar unsent: Responses not sent, and notifications that had to wait, for lack of a message ID or of a
        place for the peer.
    """

    incoming: Traffic = field(default_factory=Traffic)
    outgoing: Traffic = field(default_factory=Traffic)
    roundTrips: Histogram = field(default_factory=Histogram)
    answerTimes: Histogram = field(default_factory=Histogram)
    retransmissions: int = 0
    duplicates: int = 0
    formatErrors: int = 0
    ignored: int = 0
    resetsReceived: int = 0
    resetsSent: int = 0
    timeouts: int = 0
    refused: int = 0
    throttled: int = 0
    echoesDemanded: int = 0
    evicted: int = 0
    peersRefused: int = 0
    bodiesRefused: int = 0
    uploadsRefused: int = 0
    uploadsEvicted: int = 0
    downloadsEvicted: int = 0
    observersRefused: int = 0
    groupResponsesIgnored: int = 0
    unanswered: int = 0
    unsent: int = 0

    @property
    def received(self) -> int:
        """Datagrams that came."""
        return self.incoming.total + self.formatErrors

    @property
    def sent(self) -> int:
        """Datagrams handed to the transport."""
        return self.outgoing.total
