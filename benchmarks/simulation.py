"""
A network and a reactor in memory, for very many sockets and long times: nothing takes real time but the
work, and each event costs the same however many are to come. L{txcoap.testing} has the same for tests, with
a record of what passed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress
from zope.interface import implementer

from txcoap.interfaces import ITransport

__all__ = ["Simulation"]


class _Call:
    """A delayed call."""

    __slots__ = ("_simulation", "arguments", "call", "keywords", "time")

    def __init__(self, simulation: Simulation, time: float, call: Any, arguments: Any, keywords: Any) -> None:
        self._simulation = simulation
        self.time = time
        self.call: Callable[..., Any] | None = call
        self.arguments = arguments
        self.keywords = keywords

    def cancel(self) -> None:
        """It is not called."""
        self.call = None
        self._simulation.cancelled()

    def active(self) -> bool:
        """Whether it is still to come."""
        return self.call is not None

    def getTime(self) -> float:
        """When."""
        return self.time


class Simulation:
    """
    The time, and the network.

    @param loss: The probability that a datagram is lost.
    @param latency: Seconds that one takes at least; at most it takes twice as many.
    @ivar sent: How many were sent.
    @ivar lost: How many of them were lost.
    """

    def __init__(self, chance: Random, loss: float, latency: float = 0.02) -> None:
        self.chance = chance
        self.loss = loss
        self.latency = latency
        self.sent = self.lost = 0
        self._now = 0.0
        self._order = count()
        self._agenda: list[tuple[float, int, _Call]] = []
        self._cancelled = 0
        self._protocols: dict[Any, Any] = {}

    # As a reactor

    def seconds(self) -> float:
        """The time."""
        return self._now

    def callLater(self, delay: float, call: Callable[..., Any], *arguments: Any, **keywords: Any) -> _Call:
        """Call something later."""
        called = _Call(self, self._now + delay, call, arguments, keywords)
        heappush(self._agenda, (called.time, next(self._order), called))
        return called

    def cancelled(self) -> None:
        """One more of the calls is not to be made; when they are the most, they go."""
        self._cancelled += 1
        if self._cancelled > 1000 and self._cancelled > len(self._agenda) // 2:
            self._agenda = [each for each in self._agenda if each[2].call is not None]
            heapify(self._agenda)
            self._cancelled = 0

    def run(self, until: float = math.inf) -> None:
        """Do all that is to be done, up to a time or until nothing is left."""
        while self._agenda and self._agenda[0][0] <= until:
            self._now, _, called = heappop(self._agenda)
            call, called.call = called.call, None
            if call is not None:
                call(*called.arguments, **called.keywords)
        if until < math.inf:
            self._now = until

    # As a network

    def open(self, protocol: Any, host: str, port: int) -> None:
        """Open a socket for a protocol."""
        self._protocols[host, port] = protocol
        protocol.makeConnection(_Socket(self, (host, port)))

    def carry(self, data: bytes, source: Any, target: Any) -> None:
        """Lose a datagram, or deliver it."""
        self.sent += 1
        if self.chance.random() < self.loss:
            self.lost += 1
        else:
            self.callLater(self.latency * (1 + self.chance.random()), self._arrive, data, source, target)

    def _arrive(self, data: bytes, source: Any, target: Any) -> None:
        protocol = self._protocols.get(target)
        if protocol is not None:
            protocol.datagramReceived(data, source)
            protocol.turnEnded()


@implementer(ITransport)
class _Socket:
    """One end."""

    def __init__(self, simulation: Simulation, address: tuple[str, int]) -> None:
        self._simulation = simulation
        self._address = address

    def send(self, data: bytes, peer: Any, local: Any = None) -> int | None:
        self._simulation.carry(data, self._address, peer)
        return None

    def toPeer(self, host: str, port: int) -> Any:
        return (host, port)

    def getHost(self) -> IAddress:
        return IPv4Address("UDP", *self._address)
