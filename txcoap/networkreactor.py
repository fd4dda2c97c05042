"""
L{NetworkReactor}: the reactor of those who live on a network in memory, and its time.
"""

from __future__ import annotations

from bisect import bisect_left, insort_right
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.internet.task import Clock
from zope.interface import implementer

from .addresses import addressOf

__all__ = ["NetworkClock", "NetworkReactor"]


class NetworkClock(Clock):
    """
    Twisted's C{Clock} for a crowd. That one sorts all its calls for each that is made or done, and a thousand
    devices have thousands; here each is put in its place.
    """

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        """Call something when time was advanced by so many seconds."""
        call = _Call(
            self.rightNow + delay, callable, args, kw, self._remove, lambda _: self._sort(), self.seconds
        )
        insort_right(self.calls, call, key=DelayedCall.getTime)
        return call

    def advance(self, amount: float) -> None:
        """Let time pass at a stroke, and do what is due by then."""
        self.rightNow += amount
        calls = self.calls
        while calls and calls[0].getTime() <= self.rightNow:
            call = calls.pop(0)
            call.called = 1
            call.func(*call.args, **call.kw)

    def _remove(self, call: DelayedCall) -> None:
        index = bisect_left(self.calls, call.getTime(), key=DelayedCall.getTime)
        del self.calls[self.calls.index(call, index)]

    def _sort(self) -> None:
        self.calls.sort(key=DelayedCall.getTime)


class _Call(DelayedCall):
    """One that tells of each change: Twisted's keeps to itself that it was put off."""

    def reset(self, secondsFromNow: float) -> None:
        """Have it so many seconds from now."""
        super().reset(secondsFromNow)
        self.resetter(self)

    def delay(self, secondsLater: float) -> None:
        """Have it so many seconds later."""
        super().delay(secondsLater)
        self.resetter(self)


@implementer(IHostnameResolver, IHostResolution)
class NetworkReactor:
    """
    What agents and protocols need of a reactor: a network's time, and its names.

    @param clock: The time.
    @param names: The addresses of host names.
    """

    name = ""

    def __init__(self, clock: Clock, names: dict[str, str]) -> None:
        self._clock = clock
        self._names = names
        self.nameResolver = self

    def seconds(self) -> float:
        """The time."""
        return self._clock.seconds()

    def callLater(self, delay: float, call: Callable[..., object], *args: Any, **keywords: Any) -> Any:
        """Call something later."""
        return self._clock.callLater(delay, call, *args, **keywords)

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Look a name up among the network's."""
        resolutionReceiver.resolutionBegan(self)
        try:
            host = self._names[hostName]
        except KeyError:
            pass
        else:
            resolutionReceiver.addressResolved(addressOf((host, portNumber)))
        resolutionReceiver.resolutionComplete()
        return self

    def cancel(self) -> None:
        """There is nothing to cancel: a look-up takes no time."""
