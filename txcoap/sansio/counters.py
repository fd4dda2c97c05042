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
    @ivar unanswered: Requests forgotten, since their handler did not answer within EXCHANGE_LIFETIME.
    @ivar unsent: Responses not sent for lack of a message ID or of a place for the peer.
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
    unanswered: int = 0
    unsent: int = 0
