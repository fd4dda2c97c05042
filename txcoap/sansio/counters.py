"""
What a socket's machines counted: plain numbers, always on.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """
    Counts since the socket was opened.

    @ivar received: Datagrams that came.
    @ivar sent: Datagrams handed to the transport, repeated ones too.
    @ivar retransmissions: Confirmable messages sent once more.
    @ivar duplicates: Messages that had come before.
    @ivar formatErrors: Datagrams that are no CoAP messages.
    @ivar ignored: Messages that meant nothing: acknowledgements of nothing, unasked-for responses.
    @ivar resetsReceived: Resets that concerned something of ours.
    @ivar resetsSent: Messages rejected with a Reset.
    @ivar timeouts: Confirmable messages given up.
    @ivar refused: Requests answered 5.03 because a limit was reached.
    @ivar evicted: Messages forgotten before their time, to make room for others.
    @ivar peersRefused: Times that there was no place for one more peer.
    @ivar bodiesRefused: Bodies answered 4.13.
    @ivar uploadsRefused: Bodies in blocks answered 5.03 because a limit was reached.
    @ivar uploadsEvicted: Bodies of which only a first block came, forgotten to make room for others.
    @ivar downloadsEvicted: Bodies that were being fetched in blocks, forgotten to make room for others.
    @ivar observersRefused: Requests to observe answered without, because a limit was reached.
    @ivar unanswered: Requests forgotten, since their handler did not answer within EXCHANGE_LIFETIME.
    @ivar unsent: Responses not sent, and notifications that had to wait, for lack of a message ID or of a
        place for the peer.
    """

    received: int = 0
    sent: int = 0
    retransmissions: int = 0
    duplicates: int = 0
    formatErrors: int = 0
    ignored: int = 0
    resetsReceived: int = 0
    resetsSent: int = 0
    timeouts: int = 0
    refused: int = 0
    evicted: int = 0
    peersRefused: int = 0
    bodiesRefused: int = 0
    uploadsRefused: int = 0
    uploadsEvicted: int = 0
    downloadsEvicted: int = 0
    observersRefused: int = 0
    unanswered: int = 0
    unsent: int = 0
