"""
The transmission parameters of RFC 7252 4.8, and the times that follow from them (4.8.2).

All are one immutable value. Times are in seconds, rates in bytes per second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

__all__ = ["DEFAULT_PARAMETERS", "Parameters"]


@dataclass(frozen=True, slots=True)
class Parameters:
    """
    How a message is repeated, how many are under way at once, and how long it can live.

    The names are the RFC's. L{evolve} makes another value with some of them changed.

    @ivar ACK_TIMEOUT: Least time before the first retransmission.
    @ivar ACK_RANDOM_FACTOR: The first time-out is drawn between ACK_TIMEOUT and this times it.
    @ivar MAX_RETRANSMIT: How often a confirmable message is repeated.
    @ivar NSTART: Requests under way at once to one peer; more of them wait their turn (4.7).
    @ivar DEFAULT_LEISURE: The span over which answers to a multicast are spread (8.2).
    @ivar PROBING_RATE: Bytes per second that requests may send to a peer that does not answer (4.7);
        None for no limit.
    @ivar PROBING_ALLOWANCE: Bytes that they may send to it before that rate begins to count. The RFC
        knows no such allowance; without it no peer could be sent a second request at once.
    @ivar MAX_LATENCY: The longest time that a datagram can be under way.
    @ivar PROCESSING_DELAY: The longest time before a confirmable message is acknowledged.
    @ivar PIGGYBACK_DELAY: How long a server waits for a response before it acknowledges a request
        with an empty message, and sends the response apart (5.2.2).
    """

    ACK_TIMEOUT: float = 2.0
    ACK_RANDOM_FACTOR: float = 1.5
    MAX_RETRANSMIT: int = 4
    NSTART: int = 1
    DEFAULT_LEISURE: float = 5.0
    PROBING_RATE: float | None = 1.0
    PROBING_ALLOWANCE: int = 8 * 1152
    MAX_LATENCY: float = 100.0
    PROCESSING_DELAY: float = 2.0
    PIGGYBACK_DELAY: float = 0.05

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"{name} is at least {least}; got {value!r}")
        if self.PROBING_RATE is not None and self.PROBING_RATE <= 0:
            raise ValueError(f"PROBING_RATE is above 0, or None for no limit; got {self.PROBING_RATE!r}")

    def evolve(self, **changes: Any) -> Parameters:
        """These parameters with some changed, by name."""
        return replace(self, **changes)

    @property
    def MAX_TRANSMIT_SPAN(self) -> float:
        """From the first transmission of a confirmable message to its last."""
        return self.ACK_TIMEOUT * ((1 << self.MAX_RETRANSMIT) - 1) * self.ACK_RANDOM_FACTOR

    @property
    def MAX_TRANSMIT_WAIT(self) -> float:
        """From the first transmission of a confirmable message until its sender gives up."""
        return self.ACK_TIMEOUT * ((2 << self.MAX_RETRANSMIT) - 1) * self.ACK_RANDOM_FACTOR

    @property
    def MAX_RTT(self) -> float:
        """The longest round trip."""
        return 2 * self.MAX_LATENCY + self.PROCESSING_DELAY

    @property
    def EXCHANGE_LIFETIME(self) -> float:
        """From sending a confirmable message until its message ID can be used again."""
        return self.MAX_TRANSMIT_SPAN + self.MAX_RTT

    @property
    def NON_LIFETIME(self) -> float:
        """From sending a non-confirmable message until its message ID can be used again."""
        return self.MAX_TRANSMIT_SPAN + self.MAX_LATENCY


_LEAST: dict[str, float] = {
    "ACK_TIMEOUT": 0.001,
    "ACK_RANDOM_FACTOR": 1.0,
    "MAX_RETRANSMIT": 0,
    "NSTART": 1,
    "DEFAULT_LEISURE": 0,
    "PROBING_ALLOWANCE": 0,
    # Nothing may have a lifetime of 0: it would end at the moment in which it begins.
    "MAX_LATENCY": 0.001,
    "PROCESSING_DELAY": 0,
    "PIGGYBACK_DELAY": 0,
}

DEFAULT_PARAMETERS = Parameters()
"""What RFC 7252 4.8 gives."""
