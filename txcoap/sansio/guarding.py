"""
The server that does not amplify (RFC 9175 2.4, RFC 7252 11.3): over UDP a source address can be forged, and
what answers with more bytes than it was asked with makes a small attack on that address a large one.

An address is proven when a request from it carries an Echo that was sent there. Until then::

    a request                           answer
    that observes                       4.01 with Echo: it would be answered again and again
    that changes something, and is      4.01 with Echo, before anything is done
        so small that hardly anything
        fits the answer
    any other                           in blocks so small that each keeps the factor (RFC 7959), where they
                                        are needed and can; else, if it was safe, 4.01 with Echo

What was asked of a group is not answered where the answer would be too large: many would answer. Its Observe
makes no difference, for it will be ignored. Whatever is sent apart is not confirmable, so that it is not
repeated. The 4.01 itself, 18 bytes and the token, is sent whatever the factor: with the headers of IP and
UDP it is less than twice the smallest request.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from ..block import MAX_BLOCKS, MAX_EXPONENT, Block
from ..codes import Code
from ..options import NO_OPTIONS, Options
from . import optionlist
from .duplicates import RANKS, SAFE
from .echo import ForAWhile, subjectOf
from .events import ACKNOWLEDGED, Event, GroupInquiry, IncomingRequest
from .exchanges import Exchanges
from .requesting import wantsNothing

__all__ = ["GuardedExchanges", "exchangesFor"]

# What stands around a block in a message: header, ETag, Content-Format, Max-Age, Block2, payload marker.
_AROUND = 25
# What may stand there if something was changed: options with the place of what was created, above all.
_AROUND_CHANGES = 60
_SMALLEST = 16
_ACKNOWLEDGEMENT = 4


class GuardedExchanges(Exchanges):
    """
    L{Exchanges} that send an address that is not proven at most so many times the bytes of its request.

    @param amplification: How many times, 1 or more.
    @param arguments: As for L{Exchanges}.
    """

    def __init__(self, amplification: float, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._amplification = amplification
        self._respond, self.respond = self.respond, self._respondWithin
        self._room = 0
        self._lifetime = self.parameters.EXCHANGE_LIFETIME
        self._proven: ForAWhile[bool] = ForAWhile(
            self.limits.provenAddresses, self._lifetime, self._transmissions.deadlines
        )

    def sizes(self) -> dict[str, int]:
        """How much is in each table."""
        return {**super().sizes(), "provenAddresses": len(self._proven)}

    def receiveDatagram(
        self, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> IncomingRequest | Event | None:
        """A datagram came; see L{Exchanges.receiveDatagram}."""
        self._room = int(self._amplification * len(data))
        report = super().receiveDatagram(data, peer, local, now)
        if not isinstance(report, IncomingRequest) or self._isProven(report, now):
            return report
        report.room = self._room
        if self._admit(report):
            return report
        self._demand(report, now)
        return None

    def receiveGroupDatagram(
        self, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> IncomingRequest | None:
        """A datagram came to a group; see L{Exchanges.receiveGroupDatagram}."""
        inquiry = super().receiveGroupDatagram(data, peer, local, now)
        if inquiry is not None and not self._isProven(inquiry, now):
            inquiry.room = int(self._amplification * len(data))
            if not self._admit(inquiry):
                self.silence(inquiry)
                return None
        return inquiry

    def _refuse(self, request: IncomingRequest, now: float) -> None:
        if not self._isProven(request, now):
            request.room = self._room
        super()._refuse(request, now)

    def _isProven(self, request: IncomingRequest, now: float) -> bool:
        if not isinstance(request.peer, tuple):
            # The path of a Unix socket cannot be forged.
            return True
        address = subjectOf(request.peer)
        age = self.freshness(request, now)
        if age is not None and age <= self._lifetime:
            self._proven.set(address, True, now)
            return True
        return self._proven.get(address, now) is not None

    def _admit(self, request: IncomingRequest) -> bool:
        """Whether a request from an address that is not proven is passed on; if so, with smaller blocks."""
        options = request.options
        assert request.room is not None
        isSafe = RANKS[request.code] is SAFE
        if wantsNothing(options):
            return True
        if options.observe == 0 and isSafe and not isinstance(request, GroupInquiry):
            return False
        around = len(request.token) + (_AROUND if isSafe else _AROUND_CHANGES)
        room = request.room - around
        if room < _SMALLEST:
            return isSafe
        exponent = min(MAX_EXPONENT, room.bit_length() - 5)
        asked = options.block2
        if asked is None:
            request.options = options.evolve(block2=Block(0, False, exponent))
        elif asked.isValid and asked.exponent > exponent:
            number = asked.start >> exponent + 4
            if number >= MAX_BLOCKS:
                return False
            request.options = options.evolve(block2=Block(number, False, exponent))
        return True

    def _demand(self, request: IncomingRequest, now: float) -> bool:
        """Answer 4.01 with Echo; whether the request took the answer."""
        self.counters.echoesDemanded += 1
        request.room = None
        echo = self.newEcho(request.peer, now)
        return self._respond(request, Code.UNAUTHORIZED, Options(echo=echo), b"", now, confirmable=False)

    def _respondWithin(
        self,
        request: IncomingRequest,
        code: int,
        options: Options,
        payload: bytes,
        now: float,
        confirmable: bool | None = None,
    ) -> bool:
        """Answer a peer's request; see L{Messaging.respond<txcoap.sansio.messaging.Messaging.respond>}."""
        room = request.room
        if room is None:
            return self._respond(request, code, options, payload, now, confirmable)
        if request.state is ACKNOWLEDGED:
            confirmable = False
            room -= _ACKNOWLEDGEMENT
        around = 5 + len(request.token)
        if around + len(optionlist.encode(options)) + len(payload) > room:
            if isinstance(request, GroupInquiry):
                return self._messaging.silence(request)
            if RANKS[request.code] is SAFE and code >> 5 == 2:
                return self._demand(request, now)
            # It was done, or has failed: the code says so.
            payload = b""
            if around + len(optionlist.encode(options)) > room:
                options = NO_OPTIONS
        return self._respond(request, code, options, payload, now, confirmable)


def exchangesFor(amplification: float | None) -> Callable[..., Exchanges]:
    """
    What makes the exchanges of a socket; it takes what L{Exchanges} does.

    @param amplification: See L{GuardedExchanges}; None for no limit.
    """
    return Exchanges if amplification is None else partial(GuardedExchanges, amplification)
