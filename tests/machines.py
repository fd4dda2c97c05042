"""
One machine on a bench: hand-written datagrams in, what it says and sends out, at times we choose.
"""

from __future__ import annotations

from collections.abc import Hashable
from random import Random
from typing import Any

from txcoap.codes import Code
from txcoap.limits import DEFAULT_LIMITS, Limits
from txcoap.message import Request
from txcoap.options import NO_OPTIONS, Options
from txcoap.parameters import DEFAULT_PARAMETERS, Parameters
from txcoap.sansio.datagrams import Datagram, Type, decode, encode
from txcoap.sansio.events import Event, IncomingRequest
from txcoap.sansio.exchanges import Exchanges
from txcoap.sansio.shares import HostOf, hostOf

__all__ = ["PEER", "STEADY", "Machine", "get"]

PEER = ("192.0.2.1", 5683)
"""Whom the machine talks to, where it does not matter."""

STEADY = DEFAULT_PARAMETERS.evolve(ACK_RANDOM_FACTOR=1.0)
"""Time-outs without jitter, so that times can be told."""

LOCAL = "our address"


def get(**values: Any) -> Request:
    """A GET."""
    return Request(Code.GET, b"", **values)


class Machine(Exchanges):
    """
    L{Exchanges} with a clock to turn.

    @ivar now: The time.
    @ivar log: Every datagram sent, as (time, L{Datagram}, peer).
    @ivar raw: The same as bytes.
    """

    def __init__(
        self,
        parameters: Parameters = STEADY,
        limits: Limits = DEFAULT_LIMITS,
        seed: int = 1,
        hostOf: HostOf = hostOf,
        forwards: bool = False,
    ) -> None:
        super().__init__(Random(seed), parameters, limits, hostOf=hostOf, forwards=forwards)
        self.now = 1000.0
        self.log: list[tuple[float, Datagram, Hashable]] = []
        self.raw: list[bytes] = []
        self._told = 0

    def receiveDatagram(
        self, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> IncomingRequest | Event | None:
        """A datagram comes; a request is never answered at once."""
        report = super().receiveDatagram(data, peer, local, now)
        if isinstance(report, IncomingRequest):
            self.defer(report, now)
        return report

    def receiveGroupDatagram(
        self, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> IncomingRequest | None:
        """A datagram comes that was sent to a group; likewise."""
        request = super().receiveGroupDatagram(data, peer, local, now)
        if request is not None:
            self.defer(request, now)
        return request

    def arrive(self, data: bytes, peer: Hashable = PEER) -> IncomingRequest | Event | None:
        """Some bytes come; what the machine says to that."""
        report = self.receiveDatagram(data, peer, LOCAL, self.now)
        self._collect()
        return report

    def receive(
        self,
        type: Type,
        code: int,
        messageID: int,
        token: bytes = b"",
        options: Options = NO_OPTIONS,
        payload: bytes = b"",
        peer: Hashable = PEER,
    ) -> IncomingRequest | Event | None:
        """A message comes; what the machine says to that."""
        return self.arrive(encode(type, code, messageID, token, options, payload), peer)

    def asked(
        self,
        type: Type,
        code: int,
        messageID: int,
        token: bytes = b"",
        options: Options = NO_OPTIONS,
        payload: bytes = b"",
        peer: Hashable = PEER,
    ) -> IncomingRequest:
        """A request comes that the machine passes on."""
        report = self.receive(type, code, messageID, token, options, payload, peer)
        assert isinstance(report, IncomingRequest), report
        return report

    def answer(
        self,
        request: IncomingRequest,
        code: Code = Code.CONTENT,
        payload: bytes = b"",
        confirmable: bool | None = None,
        options: Options = NO_OPTIONS,
    ) -> bool:
        """Respond to a request."""
        return self.respond(request, code, options, payload, self.now, confirmable)

    def sent(self) -> list[Datagram]:
        """What was sent since this was last asked."""
        self._collect()
        datagrams = [datagram for _, datagram, _ in self.log[self._told :]]
        self._told = len(self.log)
        return datagrams

    def sentOne(self) -> Datagram:
        """The one datagram that was sent since this was last asked."""
        (datagram,) = self.sent()
        return datagram

    def times(self) -> list[float]:
        """When datagrams were sent, from the first of them on."""
        self._collect()
        return [round(when - self.log[0][0], 6) for when, _, _ in self.log]

    def advance(self, seconds: float) -> list[Event]:
        """Let time pass, each deadline at its time; what happened."""
        self._collect()
        until = self.now + seconds
        events: list[Event] = []
        while self.next() <= until:
            self.now = max(self.now, self.next())
            events += self.expire(self.now)
            self._collect()
        self.now = until
        return events

    def _collect(self) -> None:
        for data, peer, _ in self.datagramsToSend():
            self.raw.append(data)
            self.log.append((self.now, decode(data), peer))
