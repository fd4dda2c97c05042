"""
What is sent: a datagram and where it goes; a L{Transmission} where its fate matters; what became of that.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

from ..errors import RequestError
from .deadlines import Deadline
from .peers import Peer

__all__ = ["MAX_DATAGRAM", "Chance", "Ended", "Outgoing", "Transmission"]

# The bits of the first byte that say the type: 0 for a confirmable message.
_TYPE = 0x30

MAX_DATAGRAM = 65507
"""Bytes that a UDP datagram can carry."""

Outgoing = tuple[bytes, Hashable, Hashable]


class Chance(Protocol):
    """What is needed of C{random.Random}; in production a C{random.SystemRandom}."""

    def random(self) -> float:
        """A float from 0 up to 1."""

    def getrandbits(self, k: int, /) -> int:
        """A number of so many bits."""


class Transmission:
    """
    A message of ours whose fate matters.

    @ivar owner: What it belongs to: an L{OutgoingRequest}, an L{IncomingRequest}, a
        L{Relation<txcoap.sansio.observations.Relation>}, or None for a ping.
    @ivar peer: To whom it goes.
    @ivar local: From which of our addresses; the transport's own matter.
    @ivar messageID: Its ID.
    @ivar data: Its bytes.
    @ivar confirmable: Whether it is to be acknowledged, and repeated until then.
    @ivar isUnderWay: Whether it may still be acknowledged or rejected.
    @ivar remaining: How often it can be repeated.
    @ivar attempts: How often it could be repeated at first.
    @ivar renew: Called before it is repeated; it may L{Transmissions.reissue} it.
    @ivar timeout: How long the next repetition is waited for, in seconds.
    @ivar deadline: When that is due.
    @ivar expiry: When it is given up, however often it could still be repeated; None if only then.
    """

    __slots__ = (
        "attempts",
        "confirmable",
        "data",
        "deadline",
        "expiry",
        "isUnderWay",
        "local",
        "messageID",
        "owner",
        "peer",
        "remaining",
        "renew",
        "timeout",
    )

    def __init__(
        self,
        owner: Any,
        peer: Peer,
        local: Hashable,
        messageID: int,
        data: bytes,
        attempts: int = 0,
        timeout: float = 0.0,
    ) -> None:
        self.owner = owner
        self.peer = peer
        self.local = local
        self.messageID = messageID
        self.data = data
        self.confirmable = not data[0] & _TYPE
        self.isUnderWay = True
        self.remaining = self.attempts = attempts
        self.timeout = timeout
        self.renew: Callable[[Transmission, float], None] | None = None
        self.deadline: Deadline | None = None
        self.expiry: Deadline | None = None

    def isMissed(self, due: float, now: float) -> bool:
        """
        Whether it is too late for a repetition that was due while nothing was done (RFC 7252 4.2): the
        next is at hand, or MAX_TRANSMIT_SPAN is over.
        """
        last = self.timeout
        first = last / (1 << self.attempts - self.remaining)
        began = due - (2 * last - first)
        span = first * ((1 << self.attempts) - 0.5)
        return due + 2 * last < now + first or now > began + span


class Ended:
    """
    A message of ours came to its end, neither acknowledged nor answered.

    @ivar owner: What it belonged to.
    @ivar error: Why.
    @ivar transmission: The message; None if it was never sent.
    """

    __slots__ = ("error", "owner", "transmission")

    def __init__(self, owner: Any, error: RequestError, transmission: Transmission | None = None) -> None:
        self.owner = owner
        self.transmission = transmission
        self.error = error
