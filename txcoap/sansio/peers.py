"""
What is remembered of a peer to whom messages of our own go: their IDs, and how much it was sent
without an answer (RFC 7252 4.4, 4.7).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Any, Protocol

from ..errors import RequestError
from ..parameters import Parameters
from .deadlines import NEVER, Deadline

__all__ = ["GRAIN", "Asker", "MessageIDs", "Peer", "Peers", "Queue", "Teller"]

GRAIN = 0.2
"""Seconds within which it is not noted anew that a peer is sent something."""

_SPAN = 1024
_IDS = 65536


class MessageIDs:
    """
    The message IDs for one peer: they count up from a given start, and none comes again within
    EXCHANGE_LIFETIME (RFC 7252 4.4).

    When each was used is kept for spans of 1,024 of them.
    """

    __slots__ = ("_left", "_lifetime", "_next")

    def __init__(self, start: int, lifetime: float) -> None:
        self._next = start
        self._lifetime = lifetime
        # When each span was last used.
        self._left: dict[int, float] = {}

    def take(self, now: float) -> int | None:
        """The next message ID, or None if it was used too recently; see L{freeAt}."""
        number = self._next
        if number % _SPAN == 0:
            if now < self.freeAt():
                return None
            self._left[(number - 1) % _IDS // _SPAN] = now
        self._next = (number + 1) % _IDS
        return number

    def freeAt(self) -> float:
        """When L{take} has one again after it had none."""
        return self._left.get(self._next // _SPAN, -NEVER) + self._lifetime


class Asker(Protocol):
    """Who has something to ask peers."""

    def ask(self, request: Any, peer: Peer, active: int, now: float) -> bool:
        """
        Send the request that is the next of those that wait, if it is its turn.

        @param active: How many messages stand against it.
        @return: Whether it waits no longer.
        """


class Queue(deque[Any]):
    """
    Requests that wait for their turn with a peer, the next one first.

    @ivar asker: Who sends them.
    """

    __slots__ = ("asker",)

    def __init__(self, asker: Asker) -> None:
        super().__init__()
        self.asker = asker


class Teller(Protocol):
    """Who has something to tell peers: responses that come apart, notifications."""

    def tell(self, owner: Any, now: float) -> None:
        """It is the turn of what belongs to this owner: send it, if that is still to be done."""

    def abandon(self, owner: Any, error: RequestError, now: float) -> None:
        """It is not to be sent any more."""


class Peer:
    """
    One peer.

    RFC 7252 4.7 lets NSTART confirmable messages be under way to it, whatever they are: our requests, and
    what it is told, which is separate responses and notifications.

    @ivar address: As its transport names it.
    @ivar messageIDs: The IDs of what we send it.
    @ivar active: How many confirmable messages to it are neither acknowledged nor answered, pings aside.
    @ivar told: How many of them are responses and notifications.
    @ivar overdue: How many of them are requests that were repeated already.
    @ivar waiting: Our requests that wait until fewer are active; None if none ever did.
    @ivar untold: Whose responses and notifications wait for the same, each with who sends them; None if none
        ever did.
    @ivar pings: How many pings are under way.
    @ivar resumption: When they are looked at again, where they wait for a free message ID.
    @ivar usedAt: When it was last sent something, or up to L{GRAIN} earlier.
    """

    __slots__ = (
        "_allowance",
        "_measuredAt",
        "active",
        "address",
        "messageIDs",
        "overdue",
        "pings",
        "resumption",
        "told",
        "untold",
        "usedAt",
        "waiting",
    )

    def __init__(self, address: Hashable, messageIDs: MessageIDs, now: float, allowance: float) -> None:
        self.address = address
        self.messageIDs = messageIDs
        self.active = self.told = self.overdue = self.pings = 0
        # Most peers never have these: they would take memory, and the garbage collector's time.
        self.waiting: Queue | None = None
        self.untold: OrderedDict[Any, Teller] | None = None
        self.resumption: Deadline | None = None
        self.usedAt = now
        self._allowance = allowance
        self._measuredAt = now

    @property
    def isBusy(self) -> bool:
        """
        Whether something is under way to it, or waits for that: forgotten now, its message IDs could begin
        anew at one that is still in use (RFC 7252 4.4).
        """
        return bool(self.active or self.waiting or self.pings)

    def mayTell(self, NSTART: int) -> bool:
        """
        Whether it may be told something now.

        Not while our requests wait for their first acknowledgement. One that was repeated already holds
        nothing up: it may be that the peer acknowledges it only when it has our answer.
        """
        return self.active - self.overdue < NSTART

    def askLater(self, request: Any, asker: Asker) -> None:
        """Ask it something when it is its turn."""
        if self.waiting is None:
            self.waiting = Queue(asker)
        self.waiting.append(request)

    def tellLater(self, owner: Any, teller: Teller) -> None:
        """Tell it something when it is its turn."""
        if self.untold is None:
            self.untold = OrderedDict()
        self.untold[owner] = teller

    def mayProbe(self, size: int, parameters: Parameters, now: float) -> bool:
        """
        Whether a request of this many bytes keeps PROBING_RATE; if so it is counted (RFC 7252 4.7).

        "An endpoint does not exceed an average data rate of PROBING_RATE in sending to another
        endpoint that does not respond": whatever comes from the peer clears the account.
        """
        if parameters.PROBING_RATE is None:
            return True
        earned = (now - self._measuredAt) * parameters.PROBING_RATE
        allowance = min(parameters.PROBING_ALLOWANCE, self._allowance + earned)
        if size > allowance:
            return False
        self._allowance = allowance - size
        self._measuredAt = now
        return True

    def heard(self, parameters: Parameters) -> None:
        """The peer answered something."""
        self._allowance = parameters.PROBING_ALLOWANCE


class Peers:
    """
    The peers.

    @param parameters: For how long one is remembered, and how much it may be sent without an answer.
    @param maximum: How many there can be.
    @param chance: For where their message IDs begin.
    @ivar byAddress: Each by its address, those used longest ago first.
    """

    # How many busy ones are passed over in the search for one that can go.
    _PATIENCE = 16

    def __init__(self, parameters: Parameters, maximum: int, chance: Any) -> None:
        self._parameters = parameters
        self._maximum = maximum
        self._chance = chance
        self.byAddress: OrderedDict[Hashable, Peer] = OrderedDict()

    def get(self, address: Hashable) -> Peer | None:
        """The peer of an address, if it is remembered."""
        return self.byAddress.get(address)

    def use(self, address: Hashable, now: float) -> Peer | None:
        """The peer of an address, about to be sent something; None if there is no place for it."""
        peer = self.byAddress.get(address)
        if peer is None:
            if len(self.byAddress) >= self._maximum and not self._makeRoom():
                return None
            ids = MessageIDs(self._chance.getrandbits(16), self._parameters.EXCHANGE_LIFETIME)
            peer = self.byAddress[address] = Peer(address, ids, now, self._parameters.PROBING_ALLOWANCE)
        else:
            self.touch(peer, now)
        return peer

    def touch(self, peer: Peer, now: float) -> None:
        """A peer is sent something: it is remembered for EXCHANGE_LIFETIME from now."""
        peer.usedAt = now
        self.byAddress.move_to_end(peer.address)

    def expire(self, now: float) -> None:
        """Forget those that were idle for EXCHANGE_LIFETIME: all of their message IDs are free."""
        while self.byAddress:
            peer = next(iter(self.byAddress.values()))
            if peer.usedAt + GRAIN + self._parameters.EXCHANGE_LIFETIME > now:
                return
            if peer.isBusy:
                self.touch(peer, now)
            else:
                del self.byAddress[peer.address]

    def next(self) -> float:
        """When L{expire} has something to do."""
        for peer in self.byAddress.values():
            return peer.usedAt + GRAIN + self._parameters.EXCHANGE_LIFETIME
        return NEVER

    def _makeRoom(self) -> bool:
        for _ in range(min(self._PATIENCE, len(self.byAddress))):
            peer = next(iter(self.byAddress.values()))
            if not peer.isBusy:
                del self.byAddress[peer.address]
                return True
            self.byAddress.move_to_end(peer.address)
        return False

    def __len__(self) -> int:
        return len(self.byAddress)
