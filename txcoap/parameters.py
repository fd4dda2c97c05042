"""
The transmission parameters of RFC 7252 4.8, and the times that follow from them (4.8.2).

All are one immutable value. Times are in seconds, rates in bytes per second. Which value is meant where
none is given can be set for the whole process, by L{setDefault}.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

__all__ = [
    "DEFAULT_PARAMETERS",
    "LAN_PARAMETERS",
    "PRESETS",
    "SLOW_PARAMETERS",
    "Parameters",
    "checked",
    "getDefault",
    "setDefault",
    "usingDefault",
]


@dataclass(frozen=True, slots=True)
class Parameters:
    """
    How a message is repeated, how many are under way at once, and how long it can live.

    The names are the RFC's. L{evolve} makes another value with some of them changed.

    @ivar ACK_TIMEOUT: Least time before the first retransmission.
    @ivar ACK_RANDOM_FACTOR: The first time-out is drawn between ACK_TIMEOUT and this times it.
    @ivar MAX_RETRANSMIT: How often a confirmable message is repeated.
    @ivar NSTART: Confirmable messages under way at once to one peer: requests, separate responses and
        notifications together. More of them wait their turn (4.7). That of a request is its own, that of what
        peers are told is the socket's.
    @ivar DEFAULT_LEISURE: The span over which answers to a multicast are spread (8.2).
    @ivar PROBING_RATE: Bytes per second that requests may send to a peer that does not answer (4.7);
        None for no limit.
    @ivar PROBING_ALLOWANCE: Bytes that they may send to it before that rate begins to count. The RFC
        knows no such allowance; without it no peer could be sent a second request at once.
    @ivar MAX_LATENCY: The longest time that a datagram can be under way.
    @ivar PIGGYBACK_DELAY: How long a server waits for a response before it acknowledges a request
        with an empty message, and sends the response apart (5.2.2). 0 has it acknowledge at the end of the
        turn, C{math.inf} never: the client repeats its request until there is an answer.
    """

    ACK_TIMEOUT: float = 2.0
    ACK_RANDOM_FACTOR: float = 1.5
    MAX_RETRANSMIT: int = 4
    NSTART: int = 1
    DEFAULT_LEISURE: float = 5.0
    PROBING_RATE: float | None = 1.0
    PROBING_ALLOWANCE: int = 8 * 1152
    MAX_LATENCY: float = 100.0
    PIGGYBACK_DELAY: float = 0.05

    def __post_init__(self) -> None:
        for name, (least, most, isWhole) in _BOUNDS.items():
            value = getattr(self, name)
            if value is None and name == "PROBING_RATE":
                continue
            if not isinstance(value, int if isWhole else (int, float)):
                kind = "a whole number" if isWhole else "a number"
                raise TypeError(f"{name} is {kind}; got {value!r}")
            if not least <= value <= most:
                raise ValueError(f"{name} is from {least} to {most}; got {value!r}")

    @classmethod
    def fromText(cls, text: str) -> Parameters:
        """
        Read parameters: a name of L{PRESETS}, changes, or both, as in C{"slow,NSTART=4"}. Without a preset
        the changes are to the default.

        @raise ValueError: if there is no such preset or parameter, or it cannot have that value.
        """
        first, *rest = (each.strip() for each in text.split(","))
        if "=" in first:
            rest = [first, *rest]
            parameters = getDefault()
        elif first in PRESETS:
            parameters = PRESETS[first]
        else:
            raise ValueError(f"{first!r} is none of {', '.join(PRESETS)}, nor a change such as ACK_TIMEOUT=3")
        return parameters.evolve(**dict(_readChange(each) for each in rest))

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
    def PROCESSING_DELAY(self) -> float:
        """The longest time before a confirmable message is acknowledged; the RFC has it be ACK_TIMEOUT."""
        return self.ACK_TIMEOUT

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


# Least, most, and whether it is a whole number.
_BOUNDS: dict[str, tuple[float, float, bool]] = {
    "ACK_TIMEOUT": (0.001, 86400, False),
    "ACK_RANDOM_FACTOR": (1.0, 100, False),
    "MAX_RETRANSMIT": (0, 20, True),
    "NSTART": (1, 65535, True),
    "DEFAULT_LEISURE": (0, 86400, False),
    "PROBING_RATE": (0.001, 1e12, False),
    "PROBING_ALLOWANCE": (0, 1 << 40, True),
    # Nothing may have a lifetime of 0: it would end at the moment in which it begins.
    "MAX_LATENCY": (0.001, 86400, False),
    "PIGGYBACK_DELAY": (0, math.inf, False),
}


def _readChange(text: str) -> tuple[str, float | None]:
    name, _, value = (each.strip() for each in text.partition("="))
    name = name.upper()
    if name not in _BOUNDS:
        raise ValueError(f"there is no parameter {name!r}, only {', '.join(_BOUNDS)}")
    if name == "PROBING_RATE" and value.lower() == "none":
        return name, None
    isWhole = _BOUNDS[name][2]
    try:
        return name, int(value) if isWhole else float(value)
    except ValueError:
        raise ValueError(f"{name} is a {'whole ' if isWhole else ''}number; got {value!r}") from None


assert {field.name for field in fields(Parameters)} == set(_BOUNDS)

DEFAULT_PARAMETERS = Parameters()
"""What RFC 7252 4.8 gives: right for the Internet at large, and for all whose peers are not known."""

LAN_PARAMETERS = Parameters(
    ACK_TIMEOUT=0.2,
    NSTART=16,
    DEFAULT_LEISURE=0.5,
    PROBING_RATE=None,
    MAX_LATENCY=1.0,
    PIGGYBACK_DELAY=0.02,
)
"""
A network of one's own where a round trip takes milliseconds, and tests. What is lost is repeated at once,
a silent peer is given up after 9.3 seconds, and message IDs come again after 6.7. There is no congestion
control below one second: RFC 7252 4.8.1 forbids that on any network shared with others.
"""

SLOW_PARAMETERS = Parameters(
    ACK_TIMEOUT=12.0,
    MAX_RETRANSMIT=3,
    DEFAULT_LEISURE=60.0,
    PROBING_RATE=0.2,
    PIGGYBACK_DELAY=2.0,
)
"""
A slow radio link such as NB-IoT, where ten seconds for a round trip are usual: what is only late is not
repeated, which would make it later still. One retransmission less than by default, for each costs the
device's battery; PIGGYBACK_DELAY saves the message apart, for two more do as much. A silent peer is given
up after 270 seconds.
"""

PRESETS = {"default": DEFAULT_PARAMETERS, "lan": LAN_PARAMETERS, "slow": SLOW_PARAMETERS}
"""The parameters that have a name."""

_default = DEFAULT_PARAMETERS


def getDefault() -> Parameters:
    """What applies where no parameters are given."""
    return _default


def setDefault(parameters: Parameters | None) -> Parameters:
    """
    Have these apply from now on where none are given, in the whole process: to every request that is made,
    and to every socket that is opened. What is open keeps what it was opened with.

    @param parameters: None for L{DEFAULT_PARAMETERS}.
    @return: Those that applied before.
    """
    global _default
    before, _default = _default, checked(parameters) or DEFAULT_PARAMETERS
    return before


def checked(parameters: Parameters | None) -> Parameters | None:
    """
    What was given, which may be None.

    @raise TypeError: if it is something else.
    """
    if not (parameters is None or isinstance(parameters, Parameters)):
        raise TypeError(f"give parameters as Parameters(ACK_TIMEOUT=3) and the like; got {parameters!r}")
    return parameters


@contextmanager
def usingDefault(parameters: Parameters) -> Iterator[None]:
    """L{setDefault} for the time of a C{with} block, in tests say: what else runs meanwhile has it too."""
    before = setDefault(parameters)
    try:
        yield
    finally:
        setDefault(before)
