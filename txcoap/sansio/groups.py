"""
Our requests to groups: one message, and the responses of whoever is in the group (RFC 7252 8).

Such a request is not confirmable, is sent once, and nothing is waited for before it is sent. A response
belongs to it by its token alone, as it comes from an address that nobody could foresee (8.2). It is open for
a time that the asker gives::

    SENT ---- its time is over, or it is cancelled ----> DONE ---- MIN_TOKEN_REUSE_TIME ----> forgotten

What comes while it is DONE is late, not unasked for: a confirmable response is acknowledged, and then ignored
like the others.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..errors import MessageTooLarge, RequestQueueFull, TooManyPeers
from ..limits import Limits
from ..message import Request
from ..parameters import Parameters
from ..spelling import writePeer
from .counters import Counters
from .datagrams import NON, encode
from .events import Event, GroupOver, GroupRequest, GroupResponse, Progress
from .messaging import Arrival, Messaging
from .transmission import MAX_DATAGRAM

__all__ = ["Groups"]

# RFC 7390 2.5: how long a server may take before it answers; part of MIN_TOKEN_REUSE_TIME.
_MAX_SERVER_RESPONSE_DELAY = 250.0


class Groups:
    """
    The requests of ours to groups, by token.

    @param messaging: The message layer of the socket.
    @param limits: See L{Limits}.
    """

    def __init__(self, messaging: Messaging, limits: Limits) -> None:
        self._messaging = messaging
        self._transmissions = messaging.transmissions
        self._deadlines = messaging.transmissions.deadlines
        self._counters: Counters = messaging.counters
        self._maximum = limits.groupResponses
        self._asked: dict[bytes, GroupRequest] = {}

    def __contains__(self, token: bytes) -> bool:
        """Whether a request has this token, be it open or over."""
        return token in self._asked

    def __len__(self) -> int:
        return len(self._asked)

    def ask(
        self,
        request: Request,
        group: Hashable,
        token: bytes,
        parameters: Parameters,
        seconds: float,
        local: Hashable,
        now: float,
    ) -> GroupRequest:
        """
        Ask a group.

        @param seconds: For how long responses are taken.
        @raise RequestError: if there is no place for the group among the peers, or no message ID.
        @raise MessageTooLarge: if the request does not fit a datagram.
        """
        peer = self._transmissions.use(group, now)
        if peer is None:
            raise TooManyPeers(
                "there is no place for the group among the peers, all of which are busy (Limits.peers)"
            )
        messageID = peer.messageIDs.take(now)
        # RFC 7252 8.1: a Reset of this message must not be taken for one of a message to its sender alone.
        while messageID is not None and self._transmissions.isUnderWay(messageID):
            messageID = peer.messageIDs.take(now)
        if messageID is None:
            raise RequestQueueFull(
                f"no message ID is free for {writePeer(group)}, so much was sent there lately"
            )
        data = encode(NON, request.code, messageID, token, request.options, request.payload)
        if len(data) > MAX_DATAGRAM:
            raise MessageTooLarge(f"a message of {len(data)} bytes does not fit a datagram")
        exchange = GroupRequest(request, group, local, False, token, parameters)
        exchange.progress = Progress.SENT
        exchange.transmission = self._transmissions.sendOnce(exchange, peer, local, messageID, data)
        exchange.deadline = self._deadlines.set(now + seconds, self._over, exchange)
        self._asked[token] = exchange
        # RFC 7252 5.3.1, RFC 7390 2.5: a late response must not be taken for one to another request.
        reuse = parameters.NON_LIFETIME + parameters.MAX_LATENCY + _MAX_SERVER_RESPONSE_DELAY
        self._deadlines.set(now + max(seconds, reuse), self._forget, token)
        return exchange

    def arrived(self, arrival: Arrival) -> Event | None:
        """A response has the token of such a request."""
        datagram = arrival.datagram
        exchange = self._asked[datagram.token]
        if datagram.options.unrecognizedInResponse:
            self._messaging.reject(arrival)
            return None
        self._messaging.accept(arrival)
        if exchange.progress is Progress.DONE:
            self._counters.ignored += 1
            return None
        if exchange.responses >= self._maximum:
            self._counters.groupResponsesIgnored += 1
            return None
        exchange.responses += 1
        return GroupResponse(exchange, datagram, arrival.peer)

    def _over(self, exchange: GroupRequest, now: float) -> Event:
        exchange.deadline = None
        exchange.progress = Progress.DONE
        assert exchange.transmission is not None
        self._transmissions.finish(exchange.transmission, now)
        return GroupOver(exchange)

    def _forget(self, token: bytes, now: float) -> None:
        self._asked.pop(token, None)
