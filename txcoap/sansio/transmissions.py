"""
What we send: messages that are repeated until their fate is known, as many at once as each peer may be sent
(RFC 7252 4.2, 4.4, 4.7).

A confirmable message, a L{Transmission}, is repeated until it is acknowledged, rejected, answered or
cancelled, or until MAX_RETRANSMIT is used up. It waits while NSTART others to its peer are neither
acknowledged nor answered: requests in one queue, responses and notifications in another. When a message from
the one side ends, its place goes to the other side first, so that neither waits for ever. What it says, and
what becomes of it when its turn has come, is the matter of who sends it: L{txcoap.sansio.submissions},
L{txcoap.sansio.separate}, L{txcoap.sansio.notifying}.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from os import strerror
from typing import Any

from ..errors import NoAcknowledgement, RequestError, Unreachable
from ..limits import Limits
from ..parameters import Parameters
from ..spelling import writePeer
from .counters import Counters
from .deadlines import Deadline, Deadlines
from .events import IncomingRequest, OutgoingRequest
from .peers import GRAIN, Peer, Peers
from .shares import HostOf, Shares, hostOf
from .transmission import Chance, Ended, Outgoing, Transmission

__all__ = ["Transmissions"]

# How many numbers are drawn at once for the first time-outs, and what they are below.
_DRAWN = 64
_DRAWN_BELOW = 1 << 16

# A repetition that comes later than by this many seconds is one that may have been missed.
_LATE = 0.1


class Transmissions:
    """
    What goes out by one socket.

    @param parameters: For what is sent in answer.
    @param limits: See L{Limits}.
    @param chance: For message IDs and time-outs.
    @param counters: Where it is counted.
    @param hostOf: Whose share of a limit a peer uses.
    @ivar deadlines: When something is due.
    @ivar send: Sends a datagram: its bytes, the peer, the local address.
    @ivar separate: Responses sent apart that are not acknowledged yet, or wait for their turn.
    @ivar shares: What each host holds of C{Limits.pendingRequests}: they are, and the requests that wait
        for their answers.
    """

    def __init__(
        self,
        parameters: Parameters,
        limits: Limits,
        chance: Chance,
        counters: Counters,
        hostOf: HostOf = hostOf,
    ) -> None:
        self.parameters = parameters
        self.counters = counters
        self._outgoing = counters.outgoing.byHead
        self.deadlines = Deadlines()
        self.separate = 0
        self.shares = Shares(limits.pendingRequests)
        self.hostOf = hostOf
        self._chance = chance
        self._peers = Peers(parameters, limits.peers, chance)
        # Called by a local name, as send is: an attribute that is no method is found faster so.
        self._find = self._peers.byAddress.get
        self._underWay: dict[tuple[Hashable, int], Transmission] = {}
        self._sweep: Deadline | None = None
        self._drawn: list[int] = []
        self._outbox: list[Outgoing] = []
        self.send: Callable[[Outgoing], None] = self._outbox.append
        # For each confirmable message, not to be bound anew.
        self._repeat = self._retransmit

    def datagramsToSend(self) -> list[Outgoing]:
        """What is to be sent since the last call: (bytes, peer, local address) each."""
        outbox = self._outbox
        if not outbox:
            return []
        toSend = outbox[:]
        outbox.clear()
        outgoing = self._outgoing
        for data, _, _ in toSend:
            outgoing[data[0]][data[1]] += 1
        return toSend

    def find(self, peer: Hashable, messageID: int) -> Transmission | None:
        """The message under way to a peer that has this ID."""
        return self._underWay.get((peer, messageID))

    def isUnderWay(self, messageID: int) -> bool:
        """Whether a message with this ID is under way, to whichever peer."""
        return any(each == messageID for _, each in self._underWay)

    def sizes(self) -> dict[str, int]:
        """How much is in each table."""
        return {
            "peers": len(self._peers),
            "transmissions": len(self._underWay),
            "deadlines": len(self.deadlines),
        }

    def use(self, address: Hashable, now: float) -> Peer | None:
        """A peer that is about to be sent something; None if there is no place for it."""
        find = self._find
        peer = find(address)
        if peer is None:
            return self._meet(address, now)
        if now > peer.usedAt + GRAIN:
            self._peers.touch(peer, now)
        return peer

    def takeID(self, address: Hashable, now: float) -> int | None:
        """The ID of a message that is to be sent a peer once; None, and it counts as unsent, without one."""
        find = self._find
        peer = find(address)
        if peer is None or now > peer.usedAt + GRAIN:
            peer = self.use(address, now)
        messageID = None if peer is None else peer.messageIDs.take(now)
        if messageID is None:
            self.counters.unsent += 1
        return messageID

    def _meet(self, address: Hashable, now: float) -> Peer | None:
        """A peer that was not sent anything lately."""
        peer = self._peers.use(address, now)
        if peer is None:
            self.counters.peersRefused += 1
        if self._sweep is None and len(self._peers):
            self._sweep = self.deadlines.set(self._peers.next(), self._forgetIdle, None)
        return peer

    def _forgetIdle(self, _: None, now: float) -> None:
        self._peers.expire(now)
        self._sweep = self.deadlines.set(self._peers.next(), self._forgetIdle, None) if self._peers else None

    def heardFrom(self, address: Hashable) -> None:
        """A peer answered: PROBING_RATE counts anew."""
        peer = self._peers.get(address)
        if peer is not None:
            peer.heard(self.parameters)

    # Whose turn it is

    def askNoMore(self, address: Hashable, request: Any) -> None:
        """A request waits for its turn no more."""
        peer = self._peers.get(address)
        if peer is not None and peer.waiting and request in peer.waiting:
            peer.waiting.remove(request)
            if not peer.waiting:
                self.deadlines.cancel(peer.resumption)
                peer.resumption = None

    def tellNoMore(self, address: Hashable, owner: Any) -> None:
        """Likewise what belongs to an owner."""
        peer = self._peers.get(address)
        if peer is not None and peer.untold:
            peer.untold.pop(owner, None)

    def _ask(self, peer: Peer, active: int, now: float) -> None:
        """
        Have the requests sent that wait and may now be sent.

        @param active: How many messages stand against the first.
        """
        waiting = peer.waiting
        while waiting:
            if not waiting.asker.ask(waiting[0], peer, active, now):
                return
            waiting.popleft()
            active = peer.active

    def _tell(self, peer: Peer, active: int, now: float) -> None:
        """Likewise the responses and notifications."""
        untold = peer.untold
        while untold and active < self.parameters.NSTART:
            owner, teller = untold.popitem(last=False)
            teller.tell(owner, now)
            active = peer.active - peer.overdue

    def resumeLater(self, peer: Peer) -> None:
        """No message ID is free for the requests that wait: they are looked at again when one is."""
        if peer.resumption is None:
            peer.resumption = self.deadlines.set(peer.messageIDs.freeAt(), self._resume, peer)

    def _resume(self, peer: Peer, now: float) -> None:
        peer.resumption = None
        self._ask(peer, peer.active, now)

    # Transmissions

    def transmit(
        self,
        owner: Any,
        peer: Peer,
        local: Hashable,
        messageID: int,
        data: bytes,
        parameters: Parameters,
        now: float,
    ) -> Transmission:
        """Send a confirmable message until it is acknowledged, rejected, cancelled or given up."""
        drawn = self._drawn or self._draw()
        spread = (parameters.ACK_RANDOM_FACTOR - 1) * drawn.pop() / _DRAWN_BELOW
        timeout = parameters.ACK_TIMEOUT * (1 + spread)
        attempts = parameters.MAX_RETRANSMIT
        transmission = Transmission(owner, peer, local, messageID, data, attempts, timeout)
        self._underWay[peer.address, messageID] = transmission
        if owner is None:
            peer.pings += 1
        else:
            peer.active += 1
            if type(owner) is not OutgoingRequest:
                peer.told += 1
        transmission.deadline = self.deadlines.set(now + timeout, self._repeat, transmission)
        send = self.send
        send((data, peer.address, local))
        return transmission

    def _draw(self) -> list[int]:
        # Each draw may ask the operating system: so many numbers are drawn at once.
        bits = self._chance.getrandbits(16 * _DRAWN).to_bytes(2 * _DRAWN, "big")
        self._drawn = drawn = list(memoryview(bits).cast("H"))
        return drawn

    def _retransmit(self, transmission: Transmission, now: float) -> Ended | None:
        if not transmission.remaining:
            return self.giveUp(transmission, now)
        assert transmission.deadline is not None
        due = transmission.deadline.when
        isMissed = now - due > _LATE and transmission.isMissed(due, now)
        if transmission.renew is not None and not isMissed:
            transmission.renew(transmission, now)
        isFirst = transmission.remaining == transmission.attempts
        transmission.remaining -= 1
        transmission.timeout *= 2
        transmission.deadline = self.deadlines.set(due + transmission.timeout, self._repeat, transmission)
        if not isMissed:
            self.counters.retransmissions += 1
            self.send((transmission.data, transmission.peer.address, transmission.local))
        if isFirst and type(transmission.owner) is OutgoingRequest:
            peer = transmission.peer
            peer.overdue += 1
            self._tell(peer, peer.active - peer.overdue, now)
        return None

    def sendOnce(self, owner: Any, peer: Peer, local: Hashable, messageID: int, data: bytes) -> Transmission:
        """Send a non-confirmable message, and heed a Reset of it until L{finish}."""
        transmission = Transmission(owner, peer, local, messageID, data)
        self._underWay[peer.address, messageID] = transmission
        self.send((data, peer.address, local))
        return transmission

    def reissue(self, transmission: Transmission, messageID: int, data: bytes) -> None:
        """From now on repeat this message in place of the other."""
        address = transmission.peer.address
        del self._underWay[address, transmission.messageID]
        transmission.messageID = messageID
        transmission.data = data
        self._underWay[address, messageID] = transmission

    def giveUp(self, transmission: Transmission, now: float) -> Ended:
        """Send a message no more: its peer does not acknowledge it."""
        self.counters.timeouts += 1
        deadline, last = transmission.deadline, transmission.timeout
        assert deadline is not None
        # The first time-out, and its double for each repetition, end at the deadline.
        repeated = transmission.attempts - transmission.remaining
        began = deadline.when - (2 * last - last / (1 << repeated))
        return self._fail(
            transmission, NoAcknowledgement.after(now - began, writePeer(transmission.peer.address)), now
        )

    def _fail(self, transmission: Transmission, error: RequestError, now: float) -> Ended:
        """A peer cannot be reached by a message: those like it that it was to be told need not be tried."""
        kind = type(transmission.owner)
        untold = transmission.peer.untold
        if untold and kind is not OutgoingRequest:
            for owner in [each for each in untold if type(each) is kind]:
                untold.pop(owner).abandon(owner, error, now)
        self.finish(transmission, now)
        return Ended(transmission.owner, error, transmission)

    def finish(self, transmission: Transmission, now: float) -> None:
        """Repeat a message no more, nor heed what the peer says about it; let the next request go."""
        if not transmission.isUnderWay:
            return
        transmission.isUnderWay = False
        peer = transmission.peer
        del self._underWay[peer.address, transmission.messageID]
        self.deadlines.cancel(transmission.deadline)
        if transmission.expiry is not None:
            self.deadlines.cancel(transmission.expiry)
        owner = transmission.owner
        kind = type(owner)
        if kind is OutgoingRequest:
            owner.transmission = None
            if transmission.confirmable:
                peer.active -= 1
                if transmission.remaining != transmission.attempts:
                    peer.overdue -= 1
                if peer.untold:
                    self._tell(peer, peer.told, now)
                if peer.waiting:
                    self._ask(peer, peer.active, now)
        elif owner is None:
            peer.pings -= 1
        elif transmission.confirmable:
            peer.active -= 1
            peer.told -= 1
            if kind is IncomingRequest:
                self.separate -= 1
                self.shares.give(self.hostOf(peer.address))
            if peer.waiting:
                self._ask(peer, peer.active - peer.told, now)
            if peer.untold:
                self._tell(peer, peer.active - peer.overdue, now)

    def receiveAcknowledgement(self, messageID: int, peer: Hashable, now: float) -> Transmission | None:
        """
        A peer acknowledged a message by its ID; its response, if that was a request, comes apart.

        @return: What was acknowledged.
        """
        transmission = self._underWay.get((peer, messageID))
        if transmission is None or not transmission.confirmable:
            self.counters.ignored += 1
            return None
        transmission.peer.heard(self.parameters)
        self.finish(transmission, now)
        return transmission

    def receiveUnreachable(self, data: bytes, peer: Hashable, error: int, now: float) -> Ended | None:
        """
        The network returned a datagram of ours.

        RFC 7252 4.2 lets ICMP errors give up a transmission. They can be forged: only one that holds
        the message itself counts.

        @param data: The start of the datagram.
        @param error: The system's error number.
        """
        transmission = self._underWay.get((peer, int.from_bytes(data[2:4], "big")))
        if transmission is None or not data or not transmission.data.startswith(data[:1152]):
            return None
        return self._fail(
            transmission, Unreachable(error, f"{writePeer(peer)} cannot be reached: {strerror(error)}"), now
        )
