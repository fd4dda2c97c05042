"""
Notifications to observers (RFC 7641 4): who observes, and whose turn it is to be told.

One L{Notifier} serves one socket; the rules are those of L{txcoap.sansio.observations}. It stands on
L{Transmissions<txcoap.sansio.transmissions.Transmissions>} beside the exchanges: a notification is a response
without a request of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from ..errors import RequestError
from ..options import Options
from .datagrams import CON, NON, encode
from .deadlines import NEVER, Deadline
from .events import IncomingRequest, RelationEnded
from .observations import NON_INTERVAL, Relation, Spread, sequenceAt
from .peers import Peer
from .shares import Shares
from .transmission import Transmission
from .transmissions import Transmissions

__all__ = ["Notifier"]

_OBSERVE = 6
# Roughly what a notification takes besides its body, in bytes.
_AROUND = 32

# RFC 7641 4.4: within so many seconds numbers count up. After that they are the clock's, even if that is
# more than half a round ahead of the last: else they were not the clock's any more, and after a restart
# not newer than before.
_COUNTING_TIME = 256.0


class Notifier:
    """
    The observers behind one socket.

    @param transmissions: What sends.
    @param maximum: How many there can be.
    @param epoch: Seconds to add to C{now} for the time of day, from which notifications are numbered.
    """

    def __init__(self, transmissions: Transmissions, maximum: int, epoch: float = 0.0) -> None:
        self._transmissions = transmissions
        self._epoch = epoch
        self._maximum = maximum
        self._relations: dict[tuple[Hashable, bytes], Relation] = {}
        self._shares = Shares(maximum)
        self._spread = Spread()
        self._turn: Deadline | None = None
        # The options of the notification sent last, with its number: the next observer's are the same.
        self._last: tuple[Options | None, int, Options] = (None, 0, Options())
        # Likewise the number, by the time and the number before.
        self._counted: tuple[float, int | None, int] = (-NEVER, None, 0)
        self._NSTART = transmissions.parameters.NSTART
        # For each confirmable notification, not to be bound anew.
        self._renewal = self._renew

    def __len__(self) -> int:
        return len(self._relations)

    def register(
        self, request: IncomingRequest, confirmable: bool, confirmEvery: int, now: float
    ) -> Relation | None:
        """
        A request asked to observe. One of the same peer with the same token takes the place of an older
        relation (RFC 7641 4.1).

        @return: The relation; None if there is no place for one more.
        """
        key = (request.peer, request.token)
        old = self._relations.get(key)
        if old is not None:
            self.end(old, now)
        host = self._transmissions.hostOf(request.peer)
        used = len(self._relations)
        if used >= self._maximum or not self._shares.allows(host, used):
            self._transmissions.counters.observersRefused += 1
            return None
        self._shares.take(host)
        relation = Relation(request.peer, request.local, request.token, confirmable, confirmEvery, now)
        relation.client = request.client
        relation.messageID = request.messageID
        relation.sequence = sequenceAt(now + self._epoch, None if old is None else old.sequence)
        self._relations[key] = relation
        return relation

    def find(self, peer: Hashable, token: bytes) -> Relation | None:
        """The relation that a peer began with a token."""
        return self._relations.get((peer, token))

    def relations(self) -> list[Relation]:
        """Who is told."""
        return list(self._relations.values())

    def end(self, relation: Relation, now: float) -> None:
        """Tell an observer nothing more."""
        if relation.hasEnded:
            return
        relation.hasEnded = True
        relation.waiting = None
        del self._relations[relation.peer, relation.token]
        self._shares.give(self._transmissions.hostOf(relation.peer))
        if relation.isQueued:
            self._transmissions.tellNoMore(relation.peer, relation)
        transmission, relation.transmission = relation.transmission, None
        if transmission is not None:
            self._transmissions.finish(transmission, now)

    def endAll(self, now: float) -> list[Relation]:
        """Tell nobody anything more; those who were told until now."""
        relations = self.relations()
        for relation in relations:
            relation.waiting = None
        for relation in relations:
            self.end(relation, now)
        return relations

    def notify(
        self,
        relations: Iterable[Relation],
        code: int,
        options: Options,
        payload: bytes,
        now: float,
        isLast: bool,
    ) -> None:
        """
        Tell observers, each from the next L{pump} on when it is its turn; what waited for its turn is not
        sent any more.

        @param options: Without Observe, which is added.
        @param isLast: Whether the relations end with this one, which then goes without Observe.
        """
        state = (code, options, payload)
        for relation in relations:
            if relation.hasEnded or relation.isLast:
                continue
            relation.waiting = state
            relation.isLast = isLast
            transmission = relation.transmission
            if transmission is None:
                self._spread.add(relation)
            elif not transmission.confirmable:
                self._follow(relation, now)

    def _follow(self, relation: Relation, now: float) -> None:
        """A non-confirmable notification may still be under way."""
        if relation.confirmable or now >= relation.nextAt():
            self._spread.add(relation)
        elif not relation.isQueued:
            relation.isQueued = True
            self._transmissions.deadlines.set(relation.nextAt(), self._itIsTime, relation)

    def ended(
        self, relation: Relation, transmission: Transmission | None, error: RequestError | None, now: float
    ) -> RelationEnded | None:
        """A notification was acknowledged, or came to its end otherwise."""
        if relation.transmission is not transmission:
            return None
        relation.transmission = None
        if error is not None:
            self.end(relation, now)
            return RelationEnded(relation, error)
        relation.acknowledgedAt = now
        relation.unconfirmed = 0
        if transmission is not None and transmission.remaining == transmission.attempts:
            relation.roundTrip = now - relation.sentAt
        self._spread.earn(relation.sentAt)
        if relation.waiting is not None:
            self._spread.add(relation)
        elif relation.isLast:
            self.end(relation, now)
        if self._spread.queue:
            self.pump(now)
        return None

    def pump(self, now: float) -> None:
        """Send what is to be sent and whose turn has come."""
        spread = self._spread
        if not spread.queue:
            return
        for relation in spread.take(now):
            if relation.waiting is not None and not relation.hasEnded:
                self._send(relation, now)
        upcoming = spread.nextAt()
        if upcoming is not None and self._turn is None:
            self._turn = self._transmissions.deadlines.set(upcoming, self._pumpAgain, None)

    def _pumpAgain(self, _: None, now: float) -> None:
        self._turn = None
        self.pump(now)

    def _itIsTime(self, relation: Relation, now: float) -> None:
        relation.isQueued = False
        if relation.waiting is not None and not relation.hasEnded:
            self._spread.add(relation)
            self.pump(now)

    def tell(self, relation: Relation, now: float) -> None:
        """It is a relation's turn with its client."""
        relation.isQueued = False
        if relation.waiting is not None:
            self._send(relation, now, isInTurn=True)

    def abandon(self, relation: Relation, error: RequestError, now: float) -> None:
        """A relation waited for its turn with a client that does not answer: it ends too, and at once."""
        relation.isQueued = False
        self.end(relation, now)
        self._transmissions.deadlines.report(RelationEnded(relation, error), now)

    def _send(self, relation: Relation, now: float, isInTurn: bool = False) -> None:
        transmissions = self._transmissions
        confirmable = relation.confirmable or relation.needsConfirmation(now)
        peer = transmissions.use(relation.peer, now)
        if not confirmable and peer is not None and not self._mayProbe(relation, peer, now):
            # RFC 7252 4.7: whether it is still there is to be known before more is sent.
            confirmable = True
        if confirmable and peer is not None and not isInTurn and not peer.mayTell(self._NSTART):
            # RFC 7641 4.5.1: no more are under way to a client than NSTART, over all that it observes.
            relation.isQueued = True
            peer.tellLater(relation, self)
            return
        if relation.transmission is not None:
            # A non-confirmable one, which was heeded in case of a Reset.
            transmissions.finish(relation.transmission, now)
            relation.transmission = None
        messageID = None if peer is None else peer.messageIDs.take(now)
        if peer is None or messageID is None:
            # What waits must not be lost: the observer would take an old state for the present one.
            transmissions.counters.unsent += 1
            relation.isQueued = True
            transmissions.deadlines.set(now + NON_INTERVAL, self._itIsTime, relation)
            return
        data = self._encode(relation, messageID, confirmable, now)
        relation.sentAt = now
        if confirmable:
            transmission = transmissions.transmit(
                relation, peer, relation.local, messageID, data, transmissions.parameters, now
            )
            transmission.renew = self._renewal
        else:
            relation.unconfirmed += 1
            transmission = transmissions.sendOnce(relation, peer, relation.local, messageID, data)
        relation.transmission = transmission
        if relation.isLast and not confirmable:
            self.end(relation, now)

    def _mayProbe(self, relation: Relation, peer: Peer, now: float) -> bool:
        assert relation.waiting is not None
        size = len(relation.waiting[2]) + _AROUND
        return peer.mayProbe(size, self._transmissions.parameters, now)

    def _renew(self, transmission: Transmission, now: float) -> None:
        """
        A notification is to be repeated: with the newest state, if there is a newer one (RFC 7641 4.5.2).
        """
        relation: Relation = transmission.owner
        if relation.waiting is not None:
            messageID = transmission.peer.messageIDs.take(now)
            if messageID is not None:
                data = self._encode(relation, messageID, True, now)
                self._transmissions.reissue(transmission, messageID, data)

    def _encode(self, relation: Relation, messageID: int, confirmable: bool, now: float) -> bytes:
        """The notification that waits, as bytes; it waits no longer."""
        assert relation.waiting is not None
        code, options, payload = relation.waiting
        relation.waiting = None
        if not relation.isLast:
            last = relation.sequence if now < relation.sentAt + _COUNTING_TIME else None
            countedAt, countedFrom, number = self._counted
            if now != countedAt or last != countedFrom:
                number = sequenceAt(now + self._epoch, last)
                self._counted = now, last, number
            relation.sequence = number
            known, knownNumber, numbered = self._last
            if known is not options or knownNumber != number:
                value = number.to_bytes((number.bit_length() + 7) // 8, "big")
                numbered = options.adding((_OBSERVE, value))
                self._last = (options, number, numbered)
            options = numbered
        return encode(CON if confirmable else NON, code, messageID, relation.token, options, payload)
