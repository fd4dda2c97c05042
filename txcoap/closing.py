"""
How a server's socket comes to its end: those who observe are told, what was begun is answered, and what is
asked anew is refused; then it may be closed.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from .codes import Code
from .interfaces import ISite
from .message import Response
from .options import Options
from .protocol import CoAPProtocol
from .sansio.events import IncomingRequest

__all__ = ["UNAVAILABLE", "windDown"]

UNAVAILABLE = Response(Code.SERVICE_UNAVAILABLE, maxAge=30)
"""What is answered meanwhile, unless a site says otherwise."""

# What a socket that is about to close waits for, and how often it looks, in seconds.
_AWAITED = ("pendingRequests", "uploads", "observers")
_LOOK_EVERY = 0.05


def windDown(protocol: CoAPProtocol, grace: float, answer: Response = UNAVAILABLE) -> Deferred[None]:
    """
    Bring what goes on at a server's socket to its end. Observers get this answer as their last notification
    (RFC 7641 4.2), confirmable ones until they acknowledge it. What was asked before is answered, and bodies
    that are under way go on; all else that is asked gets this answer.

    @param grace: For how many seconds at most; with 0, observers are told once.
    @return: A Deferred that fires with None when nothing is left to be done, or the time is over. Then the
        socket is to be closed, which fails what is still open.
    """
    if not protocol.isOpen or protocol.site is None:
        return succeed(None)
    return _Ending(protocol, protocol.site, grace, answer).begin()


class _Ending:
    def __init__(self, protocol: CoAPProtocol, site: Any, grace: float, answer: Response) -> None:
        self._protocol = protocol
        self._site = site
        self._answer = answer
        self._until = protocol.now() + grace
        self._call: IDelayedCall | None = None
        self._done: Deferred[None] = Deferred(self._cancel)

    def begin(self) -> Deferred[None]:
        self._protocol.site = _ClosingSite(self._site, self._answer)
        self._look()
        return self._done

    def _look(self) -> None:
        self._call = None
        protocol, answer = self._protocol, self._answer
        # A request that was under way may have begun to observe since.
        protocol.dismissObservers(answer.code, answer.options, answer.payload)
        left = self._until - protocol.now()
        sizes = protocol.sizes()
        if left > 0 and protocol.isOpen and any(sizes[each] for each in _AWAITED):
            self._call = protocol.reactor.callLater(min(left, _LOOK_EVERY), self._look)
        else:
            self._done.callback(None)

    def _cancel(self, _: Deferred[None]) -> None:
        if self._call is not None:
            self._call.cancel()
        self._protocol.site = self._site


@implementer(ISite)
class _ClosingSite:
    """A site that takes nothing new."""

    def __init__(self, site: Any, answer: Response) -> None:
        self._site = site
        self._answer = answer
        self.socketOpened = site.socketOpened
        self.socketClosed = site.socketClosed

    def requestReceived(self, protocol: CoAPProtocol, exchange: IncomingRequest) -> None:
        """See L{ISite}."""
        answer = self._answer
        if _isWithinBody(exchange.options):
            self._site.requestReceived(protocol, exchange)
        else:
            protocol.respond(exchange, answer.code, answer.options, answer.payload)

    def groupRequestReceived(self, protocol: CoAPProtocol, exchange: Any) -> None:
        """See L{ISite}; who asks a group is not told that we are leaving (RFC 7252 8.2)."""
        protocol.silence(exchange)


def _isWithinBody(options: Options) -> bool:
    """Whether a request goes on with a body, its own or that of a response, which was begun before."""
    return not options.isPlain and any(block and block.number for block in (options.block1, options.block2))
