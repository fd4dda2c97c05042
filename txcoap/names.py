"""
Host names to addresses, by the reactor's resolver.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHostResolution, IResolutionReceiver
from zope.interface import implementer

from .errors import NameNotFound

__all__ = ["resolve"]


@implementer(IResolutionReceiver)
class _Collector:
    """Gathers the addresses of one name, each once."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._found: list[str] = []
        self.waiting: Deferred[list[str]] = Deferred(self._cancel)
        self._resolution: IHostResolution | None = None
        self._call: Any = None

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        self._resolution = resolution

    def addressResolved(self, address: Any) -> None:
        if address.host not in self._found:
            self._found.append(address.host)

    def resolutionComplete(self) -> None:
        if not self.waiting.called:
            if self._found:
                self._end().callback(self._found)
            else:
                self._end().errback(
                    NameNotFound(f"{self._host!r} has no address; check the name, or give the address itself")
                )

    def limit(self, reactor: Any, timeout: float) -> None:
        """Fail when the name is not found in so many seconds."""
        if not self.waiting.called:
            self._call = reactor.callLater(timeout, self._tooLate)

    def _tooLate(self) -> None:
        self._call = None
        self._stop()
        self._end().errback(NameNotFound(f"the address of {self._host!r} was not found in time"))

    def _end(self) -> Deferred[list[str]]:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        return self.waiting

    def _cancel(self, waiting: Deferred[list[str]]) -> None:
        self._stop()
        self._end().errback(CancelledError())

    def _stop(self) -> None:
        if self._resolution is not None:
            # Twisted's threaded resolver cannot stop; its answer comes too late, and is ignored.
            with suppress(NotImplementedError):
                self._resolution.cancel()


def resolve(reactor: Any, host: str, timeout: float | None = None) -> Deferred[list[str]]:
    """
    Look a name up.

    @param timeout: Seconds; None for the resolver's own.
    @return: A Deferred of its addresses as literals, IPv4 and IPv6, in the resolver's order. It fails
        with L{NameNotFound}.
    """
    collector = _Collector(host)
    try:
        host.encode("idna")
    except UnicodeError:
        # Twisted's resolver would never end (26.10).
        collector.resolutionComplete()
        return collector.waiting
    reactor.nameResolver.resolveHostName(collector, host, 0, [IPv6Address, IPv4Address], "UDP")
    if timeout is not None:
        collector.limit(reactor, timeout)
    return collector.waiting
