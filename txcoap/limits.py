"""
What a peer can make grow: a line for each, its default, and what happens when it is full.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The bounds of one socket.

    @ivar rememberedBytes: Bytes that remembered messages may take, so that a repeated one is known
        and gets the same reply (RFC 7252 4.5). When they are used up the oldest replies to safe
        requests go, then the oldest to idempotent ones; with only others left, a new request is
        answered 5.03 with Max-Age.
    @ivar rememberedReply: Bytes of the largest reply to a safe request that is kept; a larger one is
        made again if the request is repeated.
    @ivar peers: Peers of whom message IDs and outgoing traffic are remembered. When they are full the
        one that was idle longest goes; with none idle, a new request of ours fails with
        L{TooManyPeers<txcoap.errors.TooManyPeers>} and a response that needs an ID is not sent.
    @ivar queuedRequests: Requests of ours that wait for their turn with one peer. One more fails with
        L{RequestQueueFull<txcoap.errors.RequestQueueFull>}.
    @ivar pendingRequests: Requests of peers that are not answered yet, or whose separate response waits for
        its turn or is not acknowledged yet. One more is answered 5.03 with Max-Age.
    @ivar uploads: Bodies that peers are sending in blocks. One more takes the place of the oldest of which
        only a first block came; without such, it is answered 5.03 with Max-Age.
    @ivar uploadBytes: Bytes that all of them may take together; likewise.
    @ivar bodyBytes: Bytes of a request's body, where its resource does not say otherwise. A larger one
        is answered 4.13, with Size1 telling the limit.
    @ivar downloads: Bodies that peers are fetching in blocks. For one more, the one used longest ago
        goes; its next block comes from the resource again.
    @ivar downloadBytes: Bytes that all of them may take together; likewise.
    @ivar observers: Observers of all resources. One more is answered like a request that does not observe.
    @ivar groupResponses: Responses to one request of ours to a group. One more is ignored.
    @ivar echoes: Peers whose newest Echo is kept, for our next request to them. For one more the oldest goes;
        that peer asks for another if it needs one.
    @ivar provenAddresses: Addresses that have returned an Echo, where answers to others are limited. For one
        more the oldest goes; it has to return another.
    """

    rememberedBytes: int = 64 * 2**20
    rememberedReply: int = 512
    peers: int = 50_000
    queuedRequests: int = 1_000
    pendingRequests: int = 10_000
    uploads: int = 1_000
    uploadBytes: int = 64 * 2**20
    bodyBytes: int = 2**20
    downloads: int = 1_000
    downloadBytes: int = 64 * 2**20
    observers: int = 50_000
    groupResponses: int = 1_000
    echoes: int = 10_000
    provenAddresses: int = 50_000

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} is at least 1; got {getattr(self, field.name)!r}")

    def evolve(self, **changes: int) -> Limits:
        """These limits with some changed, by name."""
        return replace(self, **changes)


DEFAULT_LIMITS = Limits()
"""Bounds for a server in the open."""
