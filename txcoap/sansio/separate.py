"""
Responses in messages of their own (RFC 7252 5.2.2, 5.2.3).

A confirmable one waits for its turn with the client like every other confirmable message to it: no more than
NSTART are under way (RFC 7252 4.7). Whether it waits or is under way, it is on its host's account.
"""

from __future__ import annotations

from ..errors import NoAcknowledgement, RequestError, TooManyPeers
from ..options import Options
from ..spelling import writePeer
from .datagrams import CON, NON, encode
from .events import IncomingRequest
from .peers import Peer
from .transmission import Ended
from .transmissions import Transmissions

__all__ = ["Answer", "Separate"]

Answer = tuple[int, Options, bytes]
"""The code, options and payload of a response."""


class Separate:
    """
    Those of one socket.

    @param transmissions: What sends.
    """

    def __init__(self, transmissions: Transmissions) -> None:
        self._transmissions = transmissions
        # Those that wait for their turn, each with the time at which it began to.
        self._queued: dict[IncomingRequest, tuple[Answer, float]] = {}

    def sendOnce(self, request: IncomingRequest, answer: Answer, now: float) -> bool:
        """Send a response that is not to be acknowledged; False if there is no message ID for it."""
        transmissions = self._transmissions
        messageID = transmissions.takeID(request.peer, now)
        if messageID is None:
            return False
        code, options, payload = answer
        data = encode(NON, code, messageID, request.token, options, payload)
        transmissions.send((data, request.peer, request.local))
        return True

    def confirm(self, request: IncomingRequest, answer: Answer, now: float) -> bool:
        """
        Send a response until it is acknowledged, when it is its turn.

        @return: False if it is its turn now, and there is no message ID for it.
        """
        transmissions = self._transmissions
        peer = transmissions.use(request.peer, now)
        transmissions.separate += 1
        transmissions.shares.take(transmissions.hostOf(request.peer))
        if peer is None or peer.mayTell(transmissions.parameters.NSTART):
            return self._send(request, answer, peer, now)
        self._queued[request] = answer, now
        peer.tellLater(request, self)
        return True

    def tell(self, request: IncomingRequest, now: float) -> None:
        """It is the turn of the response to this request."""
        answer, queuedAt = self._queued.pop(request)
        waited = now - queuedAt
        if waited > self._transmissions.parameters.EXCHANGE_LIFETIME:
            # The client awaits it no longer.
            self._leave(request)
            self._report(request, NoAcknowledgement.after(waited, writePeer(request.peer)), now)
        elif not self._send(request, answer, self._transmissions.use(request.peer, now), now):
            self._report(request, TooManyPeers("no message ID is free for the response"), now)

    def abandon(self, request: IncomingRequest, error: RequestError, now: float) -> None:
        """The response to this request waits no longer: the client acknowledges none."""
        del self._queued[request]
        self._leave(request)
        self._report(request, error, now)

    def _send(self, request: IncomingRequest, answer: Answer, peer: Peer | None, now: float) -> bool:
        transmissions = self._transmissions
        messageID = None if peer is None else peer.messageIDs.take(now)
        if peer is None or messageID is None:
            self._leave(request)
            transmissions.counters.unsent += 1
            return False
        code, options, payload = answer
        data = encode(CON, code, messageID, request.token, options, payload)
        transmissions.transmit(request, peer, request.local, messageID, data, transmissions.parameters, now)
        return True

    def _leave(self, request: IncomingRequest) -> None:
        self._transmissions.separate -= 1
        self._transmissions.shares.give(self._transmissions.hostOf(request.peer))

    def _report(self, request: IncomingRequest, error: RequestError, now: float) -> None:
        self._transmissions.deadlines.report(Ended(request, error), now)
