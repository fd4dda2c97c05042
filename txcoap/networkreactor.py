"""
L{NetworkReactor}: the reactor of those who live on a network in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.task import Clock
from zope.interface import implementer

from .addresses import addressOf

__all__ = ["NetworkReactor"]


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
