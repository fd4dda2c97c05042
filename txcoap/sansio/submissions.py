"""
Our requests as messages, and pings: sent when it is their turn (RFC 7252 4.3, 4.7).

A confirmable request waits while NSTART messages to its peer are neither acknowledged nor answered, or while
no message ID is free; one that would exceed PROBING_RATE fails.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..errors import MessageTooLarge, ProbingRateExceeded, RequestQueueFull, TooManyPeers
from ..parameters import Parameters
from ..spelling import writePeer
from . import optionlist
from .datagrams import CON, NON, empty, encode
from .events import DONE, SENT, WAITING, OutgoingRequest
from .peers import Peer
from .transmission import MAX_DATAGRAM, Ended, Transmission
from .transmissions import Transmissions

__all__ = ["Submissions"]

_PING_SIZE = 4


class Submissions:
    """
    Those of one socket.

    @param transmissions: What sends.
    @param maximum: How many requests can wait for their turn with each peer.
    """

    def __init__(self, transmissions: Transmissions, maximum: int) -> None:
        self._transmissions = transmissions
        self._maximum = maximum

    def submit(self, request: OutgoingRequest, now: float) -> None:
        """
        Send a request, now or when it is its turn.

        @raise RequestError: if a limit stands against it; then nothing has changed.
        @raise MessageTooLarge: likewise.
        """
        request.size = size = _sizeOf(request)
        if size > MAX_DATAGRAM:
            raise MessageTooLarge(f"a message of {size} bytes does not fit a datagram")
        peer = self._transmissions.use(request.peer, now)
        if peer is None:
            raise TooManyPeers(
                f"{self._transmissions.sizes()['peers']} peers are remembered, and all of them are busy "
                "(Limits.peers)"
            )
        waiting = peer.waiting or ()
        if len(waiting) >= self._maximum:
            raise RequestQueueFull(
                f"{len(waiting)} requests to {writePeer(request.peer)} wait for their turn: ask more slowly, "
                "or raise NSTART or Limits.queuedRequests"
            )
        queued = request.confirmable and waiting
        if queued or not self._send(request, peer, peer.active, now):
            peer.askLater(request, self)

    def withdraw(self, request: OutgoingRequest, now: float) -> None:
        """Send a request no more: it is answered, failed or cancelled."""
        transmission = request.transmission
        if transmission is not None:
            self._transmissions.finish(transmission, now)
        elif request.progress is WAITING:
            self._transmissions.askNoMore(request.peer, request)
        request.progress = DONE

    def ping(
        self, address: Hashable, parameters: Parameters, now: float, timeout: float | None
    ) -> Transmission:
        """
        Send an empty confirmable message, which a peer that is there answers with a Reset (4.3).

        @raise RequestError: if a limit stands against it.
        """
        transmissions = self._transmissions
        peer = transmissions.use(address, now)
        if peer is not None and not peer.mayProbe(_PING_SIZE, parameters, now):
            raise _tooMuch(address)
        messageID = None if peer is None else peer.messageIDs.take(now)
        if peer is None or messageID is None:
            raise TooManyPeers(
                f"no message ID is free for a ping of {writePeer(address)}, so much was sent there lately"
            )
        ping = transmissions.transmit(None, peer, None, messageID, empty(CON, messageID), parameters, now)
        if timeout is not None:
            ping.expiry = transmissions.deadlines.set(now + timeout, transmissions.giveUp, ping)
        return ping

    def ask(self, request: OutgoingRequest, peer: Peer, active: int, now: float) -> bool:
        """
        A request is the next that waits: send it if it is its turn.

        @param active: How many messages stand against it.
        @return: Whether it waits no longer.
        """
        try:
            return self._send(request, peer, active, now)
        except ProbingRateExceeded:
            self._transmissions.deadlines.set(now, _overdrawn, request)
            return True

    def _send(self, request: OutgoingRequest, peer: Peer, active: int, now: float) -> bool:
        """Likewise, but it raises ProbingRateExceeded if it is its turn and the peer is silent."""
        parameters = request.parameters
        # RFC 7252 4.7 leaves open when a client stops to expect the response to a non-confirmable
        # request: at once here, as PROBING_RATE bounds what a silent peer is sent.
        if request.confirmable and active >= parameters.NSTART:
            return False
        if not peer.mayProbe(request.size, parameters, now):
            raise _tooMuch(request.peer)
        transmissions = self._transmissions
        messageID = peer.messageIDs.take(now)
        if messageID is None:
            transmissions.resumeLater(peer)
            return False
        message = request.request
        type = CON if request.confirmable else NON
        data = encode(type, message.code, messageID, request.token, message.options, message.payload)
        request.progress = SENT
        if request.confirmable:
            request.transmission = transmissions.transmit(
                request, peer, request.local, messageID, data, parameters, now
            )
        else:
            request.transmission = transmissions.sendOnce(request, peer, request.local, messageID, data)
        return True


def _overdrawn(request: OutgoingRequest, now: float) -> Ended | None:
    """It was a request's turn, but its peer is silent; unless it was cancelled since."""
    return None if request.progress is DONE else Ended(request, _tooMuch(request.peer))


def _tooMuch(address: Hashable) -> ProbingRateExceeded:
    return ProbingRateExceeded(f"{writePeer(address)} has not answered; more would exceed PROBING_RATE")


def _sizeOf(request: OutgoingRequest) -> int:
    """Bytes of the datagram that a request makes, payload marker included."""
    message = request.request
    return 5 + len(request.token) + len(optionlist.encode(message.options)) + len(message.payload)
