"""
The requests of peers that wait for an answer (RFC 7252 5.2): at first for one that goes with the
acknowledgement, for at most PIGGYBACK_DELAY, then for one that comes apart, for at most EXCHANGE_LIFETIME.

What is answered at once never comes here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from ..codes import Code
from ..limits import Limits
from ..parameters import Parameters
from .deadlines import NEVER, Deadline
from .events import IncomingRequest, Reception, RequestForgotten
from .transmissions import Transmissions

__all__ = ["Waiting"]


class Waiting:
    """
    Those of one socket.

    @param parameters: For what peers ask.
    @param limits: C{pendingRequests} is how many there can be, the responses counted that were sent apart and
        are not acknowledged yet.
    @param transmissions: What sends their responses.
    @ivar count: How many there are, without those responses.
    @ivar crowd: From so many on, with those responses, the hosts' shares matter.
    """

    def __init__(self, parameters: Parameters, limits: Limits, transmissions: Transmissions) -> None:
        # After MAX_TRANSMIT_WAIT the client has given up, and whether it is acknowledged no longer matters.
        self._delay = min(parameters.PIGGYBACK_DELAY, parameters.MAX_TRANSMIT_WAIT)
        self._lifetime = parameters.EXCHANGE_LIFETIME
        self._maximum = limits.pendingRequests
        self._transmissions = transmissions
        self._shares = transmissions.shares
        self._hostOf = transmissions.hostOf
        self._deadlines = transmissions.deadlines
        # Each with the time until which it waits; the one that waits longest comes first.
        self._due: OrderedDict[IncomingRequest, float] = OrderedDict()
        self._apart: OrderedDict[IncomingRequest, float] = OrderedDict()
        self._forgetting: Deadline | None = None
        self.count = 0
        self.crowd = limits.pendingRequests + 1 >> 1

    def refusal(self, peer: Hashable) -> Code | None:
        """The code to refuse one more request with, or None if there is room for it."""
        used = self.count + self._transmissions.separate
        if used >= self._maximum:
            return Code.SERVICE_UNAVAILABLE
        return None if self._shares.allows(self._hostOf(peer), used) else Code.TOO_MANY_REQUESTS

    def enter(self, request: IncomingRequest, now: float) -> None:
        """A request waits from now on."""
        self._due[request] = now + self._delay
        self.count += 1

    def takeDue(self, now: float | None = None) -> IncomingRequest | None:
        """
        One that is to be acknowledged now, to be given to L{part}.

        @param now: None for any that is not acknowledged.
        """
        for request, when in self._due.items():
            if now is None or when <= now:
                del self._due[request]
                self.count -= 1
                return request
            break
        return None

    def part(self, request: IncomingRequest, now: float) -> None:
        """The answer to a request will come apart: from now on it is on its host's account."""
        if self._due.pop(request, None) is None:
            self.count += 1
        self._shares.take(self._hostOf(request.peer))
        self._apart[request] = deadline = now + self._lifetime
        if self._forgetting is None:
            self._forgetting = self._deadlines.set(deadline, self._forget, None)

    def leave(self, request: IncomingRequest) -> None:
        """A request is answered, if it waited at all."""
        if self._due.pop(request, None) is not None:
            self.count -= 1
        elif self._apart.pop(request, None) is not None:
            self.count -= 1
            self._shares.give(self._hostOf(request.peer))

    def linger(self, peer: Hashable) -> None:
        """An answer is there, and is not sent before its leisure is over: until L{depart} it counts."""
        self.count += 1
        self._shares.take(self._hostOf(peer))

    def depart(self, peer: Hashable) -> None:
        """An answer that lingered is sent."""
        self.count -= 1
        self._shares.give(self._hostOf(peer))

    def next(self) -> float:
        """When one is to be acknowledged, or L{NEVER}."""
        for when in self._due.values():
            return when
        return NEVER

    def _forget(self, _: None, now: float) -> RequestForgotten | None:
        """Forget the one that waits longest, if it is time."""
        forgotten = self._forgetting = None
        for request, deadline in self._apart.items():
            if deadline <= now:
                forgotten = RequestForgotten(request)
            break
        if forgotten is not None:
            self.leave(forgotten.exchange)
            forgotten.exchange.state = Reception.FORGOTTEN
            self._transmissions.counters.unanswered += 1
        for deadline in self._apart.values():
            self._forgetting = self._deadlines.set(deadline, self._forget, None)
            break
        return forgotten
