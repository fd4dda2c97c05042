"""
The message layer (RFC 7252 4): acknowledgement, retransmission, duplicates, message IDs, and how many
requests are under way at once.

One L{Messaging} serves one socket, with all its peers and in both roles. What comes is judged by its
type and the kind of its code::

                 EMPTY             REQUEST          RESPONSE          RESERVED, malformed
    CON          ping: Reset       a request        a response        Reset
    NON          (nothing)         a request        a response        (nothing)
    ACK          acknowledged      (nothing)        a response        (nothing)
    RST          rejected          (nothing)        (nothing)         (nothing)

A request is to be answered once. Until then its copies are met as L{Reception} says::

    UNANSWERED ----- respond ------------> ANSWERED       copies: the response again (CON), or nothing
        |                                      ^
        | PIGGYBACK_DELAY passed:              | respond: sent apart, in a message of its own
        | empty acknowledgement (CON)          |
        v                                      |
    ACKNOWLEDGED --------------------------> ANSWERED     copies: the empty acknowledgement again (CON)
        |
        | EXCHANGE_LIFETIME passed
        v
    FORGOTTEN

A confirmable message of ours, a L{Transmission}, is repeated until it is acknowledged, rejected,
answered or cancelled, or until MAX_RETRANSMIT is used up (4.2).

The verbs: L{Messaging.receiveDatagram} and L{Messaging.expire} report what happened,
L{Messaging.datagramsToSend} gives what is to be sent since it was last called, L{Messaging.next} when
to call C{expire}; the last two may change after every other call.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from os import strerror
from typing import Any, Protocol

from ..codes import Code
from ..errors import (
    FormatError,
    MessageTooLarge,
    NoAcknowledgement,
    ProbingRateExceeded,
    RequestError,
    RequestQueueFull,
    ResetReceived,
    TooManyPeers,
    Unreachable,
)
from ..limits import Limits
from ..options import Options
from ..parameters import Parameters
from . import optionlist
from .blocks import isContinuation
from .counters import Counters
from .datagrams import ACK, CON, NON, RST, Datagram, Type, decode, empty, encode
from .deadlines import NEVER, Deadline, Deadlines
from .duplicates import Duplicates
from .events import IncomingRequest, OutgoingRequest, Progress, Reception, RequestForgotten
from .peers import Peer, Peers

__all__ = ["Arrival", "Chance", "Ended", "Messaging", "Transmission"]

MAX_DATAGRAM = 65507
"""Bytes that a UDP datagram can carry."""

# For how long a peer is asked to wait when a limit is reached, in seconds.
_BUSY = Options(maxAge=5)

Outgoing = tuple[bytes, Hashable, Hashable]


class Chance(Protocol):
    """What is needed of C{random.Random}; in production a C{random.SystemRandom}."""

    def random(self) -> float:
        """A float from 0 up to 1."""

    def getrandbits(self, k: int, /) -> int:
        """A number of so many bits."""


class Transmission:
    """
    A message of ours whose fate matters.

    @ivar owner: What it belongs to: an L{OutgoingRequest}, an L{IncomingRequest}, a
        L{Relation<txcoap.sansio.observations.Relation>}, or None for a ping.
    @ivar peer: To whom it goes.
    @ivar messageID: Its ID.
    @ivar data: Its bytes.
    @ivar confirmable: Whether it is to be acknowledged, and repeated until then.
    @ivar remaining: How often it can be repeated.
    @ivar attempts: How often it could be repeated at first.
    @ivar renew: Called before it is repeated; it may L{Messaging.reissue} it.
    @ivar timeout: How long the next repetition is waited for, in seconds.
    """

    __slots__ = (
        "attempts",
        "confirmable",
        "data",
        "deadline",
        "expiry",
        "local",
        "messageID",
        "owner",
        "peer",
        "remaining",
        "renew",
        "timeout",
    )

    def __init__(self, owner: Any, peer: Peer, local: Hashable, messageID: int, data: bytes) -> None:
        self.owner = owner
        self.peer = peer
        self.local = local
        self.messageID = messageID
        self.data = data
        self.confirmable = data[0] >> 4 & 3 == CON
        self.remaining = self.attempts = 0
        self.timeout = 0.0
        self.renew: Callable[[Transmission, float], None] | None = None
        self.deadline: Deadline | None = None
        self.expiry: Deadline | None = None


class Arrival:
    """
    A response came; whether anyone waits for it is for the layer above to say, with
    L{Messaging.accept} or L{Messaging.reject}.

    @ivar datagram: The message.
    @ivar peer: From whom.
    @ivar local: At which of our addresses.
    @ivar key: By which its repetitions are known; None for one that acknowledges.
    @ivar transmission: What it acknowledges, if it does.
    """

    __slots__ = ("datagram", "key", "local", "peer", "transmission")

    def __init__(
        self,
        datagram: Datagram,
        peer: Hashable,
        local: Hashable,
        key: int | None,
        transmission: Transmission | None,
    ) -> None:
        self.datagram = datagram
        self.peer = peer
        self.local = local
        self.key = key
        self.transmission = transmission


class Ended:
    """
    A message of ours came to its end without a response.

    @ivar owner: What it belonged to.
    @ivar error: Why, or None if it was acknowledged.
    @ivar transmission: The message; None if it was never sent.
    """

    __slots__ = ("error", "owner", "transmission")

    def __init__(
        self, owner: Any, error: RequestError | None, transmission: Transmission | None = None
    ) -> None:
        self.owner = owner
        self.transmission = transmission
        self.error = error


Report = IncomingRequest | Arrival | Ended | RequestForgotten


class Messaging:
    """
    The message layer of one socket.

    @param parameters: For what peers send, and for what is sent in answer.
    @param limits: See L{Limits}.
    @param chance: For message IDs and time-outs.
    """

    def __init__(self, parameters: Parameters, limits: Limits, chance: Chance) -> None:
        self.counters = Counters()
        self.parameters = parameters
        self._limits = limits
        self._chance = chance
        self._lifetimes = (parameters.EXCHANGE_LIFETIME, parameters.NON_LIFETIME)
        self._piggybackDelay = parameters.PIGGYBACK_DELAY
        self._duplicates = Duplicates(*self._lifetimes, limits.rememberedBytes, limits.rememberedReply)
        self._peers = Peers(parameters, limits.peers, chance)
        self._transmissions: dict[tuple[Hashable, int], Transmission] = {}
        # Requests to answer: all of them until PIGGYBACK_DELAY has passed, then those that wait on.
        self._due: deque[tuple[float, IncomingRequest]] = deque()
        self._pending: OrderedDict[IncomingRequest, float] = OrderedDict()
        self._forgetting: Deadline | None = None
        # What Limits.pendingRequests counts.
        self._toAnswer = 0
        self.deadlines = Deadlines()
        self._sweep: Deadline | None = None
        self._sweepAt = NEVER
        self._outbox: list[Outgoing] = []

    # What comes

    def receiveDatagram(self, data: bytes, peer: Hashable, local: Hashable, now: float) -> Report | None:
        """
        A datagram came.

        @param peer: From whom; a hashable address that the transport understands.
        @param local: At which of our addresses, for the transport to answer from; None if it is clear.
        @return: What it means, if anything.
        """
        self.counters.received += 1
        try:
            datagram = decode(data)
        except FormatError as e:
            self.counters.formatErrors += 1
            if e.messageType == CON and e.messageID is not None:
                self._reset(e.messageID, peer, local)
            return None
        return _RULES[datagram.type][datagram.code](self, datagram, data, peer, local, now)

    def _request(
        self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> IncomingRequest | None:
        key = None if isContinuation(datagram.options) else hash((peer, data))
        if key in self._duplicates.replies:
            self._repeat(key, datagram.type, peer, local)
            return None
        full = self._toAnswer >= self._limits.pendingRequests
        if full or not (key is None or self._remember(key, datagram, now)):
            self._refuse(datagram, peer, local)
            return None
        request = IncomingRequest(datagram, peer, local, key)
        self._toAnswer += 1
        self._due.append((now + self._piggybackDelay, request))
        return request

    def _response(
        self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> Arrival | None:
        key = hash((peer, data))
        if key in self._duplicates.replies:
            self._repeat(key, datagram.type, peer, local)
            return None
        if not self._remember(key, datagram, now):
            # Not acknowledged, it comes again; by then there may be room.
            self.counters.ignored += 1
            return None
        return Arrival(datagram, peer, local, key, None)

    def _piggybacked(
        self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> Arrival | None:
        transmission = self._transmissions.get((peer, datagram.messageID))
        if transmission is None:
            self.counters.ignored += 1
            return None
        return Arrival(datagram, peer, local, None, transmission)

    def _acknowledged(
        self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> Ended | None:
        transmission = self._transmissions.get((peer, datagram.messageID))
        if transmission is None or not transmission.confirmable:
            self.counters.ignored += 1
            return None
        transmission.peer.heard(self.parameters)
        self.finish(transmission, now)
        return _ended(transmission, None)

    def _rejected(
        self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> Ended | None:
        transmission = self._transmissions.get((peer, datagram.messageID))
        if transmission is None:
            self.counters.ignored += 1
            return None
        self.counters.resetsReceived += 1
        transmission.peer.heard(self.parameters)
        self.finish(transmission, now)
        return _ended(transmission, ResetReceived("the peer rejected the message with a Reset"))

    def _provoked(self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float) -> None:
        # RFC 7252 4.2, 4.3: a confirmable message that is empty, or of a reserved class, provokes a Reset.
        self._reset(datagram.messageID, peer, local)

    def _ignore(self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float) -> None:
        self.counters.ignored += 1

    def _remember(self, key: int, datagram: Datagram, now: float) -> bool:
        """Know a message when it comes again, if there is room."""
        duplicates = self._duplicates
        if not duplicates.add(key, datagram.code, datagram.type, now):
            return False
        if now + self._lifetimes[datagram.type] < self._sweepAt:
            self._sweepBy(duplicates.next())
        return True

    def _repeat(self, key: int | None, type: int, peer: Hashable, local: Hashable) -> None:
        """RFC 7252 4.2, 4.3: acknowledge each copy of a confirmable message alike; ignore other copies."""
        self.counters.duplicates += 1
        reply = self._duplicates.replies[key]  # type: ignore[index]
        if reply and type == CON:
            self._send(reply, peer, local)

    def _refuse(self, datagram: Datagram, peer: Hashable, local: Hashable) -> None:
        self.counters.refused += 1
        if datagram.type == CON:
            code = Code.SERVICE_UNAVAILABLE
            self._send(encode(ACK, code, datagram.messageID, datagram.token, _BUSY), peer, local)

    def receiveUnreachable(self, data: bytes, peer: Hashable, error: int, now: float) -> Ended | None:
        """
        The network returned a datagram of ours.

        RFC 7252 4.2 lets ICMP errors give up a transmission. They can be forged: only one that holds
        the message itself counts.

        @param data: The start of the datagram.
        @param error: The system's error number.
        """
        transmission = self._transmissions.get((peer, int.from_bytes(data[2:4], "big")))
        if transmission is None or not data or not transmission.data.startswith(data[:1152]):
            return None
        self.finish(transmission, now)
        return _ended(transmission, Unreachable(error, f"{peer} cannot be reached: {strerror(error)}"))

    # What peers asked

    def respond(
        self,
        request: IncomingRequest,
        code: int,
        options: Options,
        payload: bytes,
        now: float,
        confirmable: bool | None = None,
    ) -> bool:
        """
        Answer a request: in the acknowledgement if that is still due, else in a message of its own.

        @param confirmable: Whether a message of its own is confirmable; by default as the request was.
        @return: Whether it was sent: a request that was answered or forgotten takes no answer.
        @raise MessageTooLarge: if it does not fit a datagram.
        """
        state = request.state
        if state is not Reception.UNANSWERED or not request.confirmable:
            return self._respondApart(request, code, options, payload, now, confirmable)
        data = encode(ACK, code, request.messageID, request.token, options, payload)
        if len(data) > MAX_DATAGRAM:
            raise MessageTooLarge(f"{len(data)} bytes do not fit a datagram")
        request.state = Reception.ANSWERED
        self._toAnswer -= 1
        self._duplicates.settle(request.key, request.code, data)
        self._outbox.append((data, request.peer, request.local))
        return True

    def _respondApart(
        self,
        request: IncomingRequest,
        code: int,
        options: Options,
        payload: bytes,
        now: float,
        confirmable: bool | None,
    ) -> bool:
        if request.state is Reception.ANSWERED or request.state is Reception.FORGOTTEN:
            return False
        if 5 + len(request.token) + len(optionlist.encode(options)) + len(payload) > MAX_DATAGRAM:
            raise MessageTooLarge(f"a body of {len(payload)} bytes does not fit a datagram")
        self._answered(request)
        peer = self.use(request.peer, now)
        messageID = None if peer is None else peer.messageIDs.take(now)
        if peer is None or messageID is None:
            self.counters.unsent += 1
            return False
        if confirmable is None:
            confirmable = request.confirmable
        type = CON if confirmable else NON
        data = encode(type, code, messageID, request.token, options, payload)
        if confirmable:
            self.transmit(request, peer, request.local, messageID, data, self.parameters, now)
        else:
            self._send(data, request.peer, request.local)
        return True

    def acknowledge(self, request: IncomingRequest, now: float) -> None:
        """Acknowledge a confirmable request now; the response comes apart."""
        if request.state is not Reception.UNANSWERED:
            return
        request.state = Reception.ACKNOWLEDGED
        self._pending[request] = deadline = now + self.parameters.EXCHANGE_LIFETIME
        if self._forgetting is None:
            self._forgetting = self.deadlines.set(deadline, self._forget, None)
        if request.confirmable:
            self._sendEmpty(ACK, request)

    def silence(self, request: IncomingRequest) -> bool:
        """
        Send no response, beyond the acknowledgement of a confirmable request (RFC 7967 2).

        @return: False if it was answered or forgotten before.
        """
        state = request.state
        if state is Reception.ANSWERED or state is Reception.FORGOTTEN:
            return False
        if state is Reception.UNANSWERED and request.confirmable:
            self._sendEmpty(ACK, request)
        self._answered(request)
        return True

    def resetRequest(self, request: IncomingRequest) -> None:
        """Reject a request with a Reset (RFC 7252 4.2, 4.3); nothing if it was acknowledged or answered."""
        if request.state is Reception.UNANSWERED:
            self.counters.resetsSent += 1
            self._sendEmpty(RST, request)
            self._answered(request)

    def _answered(self, request: IncomingRequest) -> None:
        request.state = Reception.ANSWERED
        self._toAnswer -= 1
        self._pending.pop(request, None)

    def _sendEmpty(self, type: Type, request: IncomingRequest) -> None:
        data = empty(type, request.messageID)
        self._duplicates.settle(request.key, request.code, data)
        self._send(data, request.peer, request.local)

    def _forget(self, _: None, now: float) -> RequestForgotten | None:
        """Of the requests that wait for an answer, forget the one that waits longest, if it is time."""
        forgotten = self._forgetting = None
        for request, deadline in self._pending.items():
            if deadline <= now:
                forgotten = RequestForgotten(request)
            break
        if forgotten is not None:
            del self._pending[forgotten.exchange]
            forgotten.exchange.state = Reception.FORGOTTEN
            self._toAnswer -= 1
            self.counters.unanswered += 1
        for deadline in self._pending.values():
            self._forgetting = self.deadlines.set(deadline, self._forget, None)
            break
        return forgotten

    # What we ask

    def submit(self, request: OutgoingRequest, now: float) -> None:
        """
        Send a request, now or when it is its turn (RFC 7252 4.7).

        @raise RequestError: if a limit stands against it; then nothing has changed.
        @raise MessageTooLarge: likewise.
        """
        if _sizeOf(request) > MAX_DATAGRAM:
            raise MessageTooLarge(f"{_sizeOf(request)} bytes do not fit a datagram")
        peer = self.use(request.peer, now)
        if peer is None:
            raise TooManyPeers(f"{len(self._peers)} peers are remembered, and all of them are busy")
        if len(peer.waiting) >= self._limits.queuedRequests:
            raise RequestQueueFull(f"{len(peer.waiting)} requests to {request.peer} wait for their turn")
        queued = request.confirmable and peer.waiting
        if queued or not self._dispatch(request, peer, now):
            peer.waiting.append(request)

    def withdraw(self, request: OutgoingRequest, now: float) -> None:
        """Send a request no more: it is answered, failed or cancelled."""
        transmission = request.transmission
        if transmission is not None:
            self.finish(transmission, now)
        elif request.progress is Progress.WAITING:
            peer = self._peers.get(request.peer)
            if peer is not None and request in peer.waiting:
                peer.waiting.remove(request)
                if not peer.waiting:
                    self.deadlines.cancel(peer.resumption)
                    peer.resumption = None
        request.progress = Progress.DONE

    def ping(
        self, address: Hashable, parameters: Parameters, now: float, timeout: float | None
    ) -> Transmission:
        """
        Send an empty confirmable message, which a peer that is there answers with a Reset (4.3).

        @raise RequestError: if a limit stands against it.
        """
        peer = self.use(address, now)
        messageID = None if peer is None else peer.messageIDs.take(now)
        if peer is None or messageID is None:
            raise TooManyPeers("no message ID is free for the ping")
        ping = self.transmit(None, peer, None, messageID, empty(CON, messageID), parameters, now)
        if timeout is not None:
            ping.expiry = self.deadlines.set(now + timeout, self._giveUp, ping)
        return ping

    def _dispatch(self, request: OutgoingRequest, peer: Peer, now: float) -> bool:
        """
        Send a request if it is its turn; whether it was.

        @raise ProbingRateExceeded: if it is, but its peer is silent.
        """
        parameters = request.parameters
        # RFC 7252 4.7 leaves open when a client stops to expect the response to a non-confirmable
        # request: at once here, as PROBING_RATE bounds what a silent peer is sent.
        if request.confirmable and peer.active >= parameters.NSTART:
            return False
        if not peer.mayProbe(_sizeOf(request), parameters, now):
            raise _tooMuch(request)
        messageID = peer.messageIDs.take(now)
        if messageID is None:
            if peer.resumption is None:
                freeAt = peer.messageIDs.freeAt()
                peer.resumption = self.deadlines.set(freeAt, self._resumeAgain, peer)
            return False
        message = request.request
        type = CON if request.confirmable else NON
        data = encode(type, message.code, messageID, request.token, message.options, message.payload)
        request.progress = Progress.SENT
        if request.confirmable:
            peer.active += 1
            request.transmission = self.transmit(
                request, peer, request.local, messageID, data, parameters, now
            )
        else:
            request.transmission = self.sendOnce(request, peer, request.local, messageID, data)
        return True

    def _resume(self, peer: Peer, now: float) -> None:
        """Send what waits and may now be sent."""
        waiting = peer.waiting
        while waiting:
            try:
                if not self._dispatch(waiting[0], peer, now):
                    return
            except ProbingRateExceeded:
                self.deadlines.set(now, self._overdrawn, waiting[0])
            waiting.popleft()

    def _overdrawn(self, request: OutgoingRequest, now: float) -> Ended:
        """It was a request's turn, but its peer is silent."""
        return Ended(request, _tooMuch(request))

    def _resumeAgain(self, peer: Peer, now: float) -> None:
        """A message ID is free again."""
        peer.resumption = None
        self._resume(peer, now)

    def accept(self, arrival: Arrival, now: float) -> None:
        """A response was awaited: acknowledge it, and stop repeating what it answers."""
        datagram = arrival.datagram
        if datagram.type == CON:
            self._conclude(arrival, empty(ACK, datagram.messageID))

    def reject(self, arrival: Arrival, now: float) -> None:
        """
        A response was not awaited, or cannot be taken: reject it (RFC 7252 4.2, 4.3).

        A non-confirmable one is rejected only if it is a notification, which its sender would else
        repeat for ever; the rest may be late copies, and are ignored.
        """
        datagram = arrival.datagram
        if datagram.type == CON or (datagram.type == NON and datagram.options.observe is not None):
            self.counters.resetsSent += 1
            self._conclude(arrival, empty(RST, datagram.messageID))
        else:
            self.counters.ignored += 1

    def _conclude(self, arrival: Arrival, reply: bytes) -> None:
        assert arrival.key is not None
        self._duplicates.settle(arrival.key, arrival.datagram.code, reply)
        self._send(reply, arrival.peer, arrival.local)

    def heardFrom(self, address: Hashable) -> None:
        """A peer answered: PROBING_RATE counts anew."""
        peer = self._peers.get(address)
        if peer is not None:
            peer.heard(self.parameters)

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
        spread = (parameters.ACK_RANDOM_FACTOR - 1) * self._chance.random()
        transmission = Transmission(owner, peer, local, messageID, data)
        transmission.remaining = transmission.attempts = parameters.MAX_RETRANSMIT
        transmission.timeout = timeout = parameters.ACK_TIMEOUT * (1 + spread)
        self._transmissions[peer.address, messageID] = transmission
        if isinstance(owner, IncomingRequest):
            self._toAnswer += 1
        transmission.deadline = self.deadlines.set(now + timeout, self._retransmit, transmission)
        self._send(data, peer.address, local)
        return transmission

    def _retransmit(self, transmission: Transmission, now: float) -> Ended | None:
        if not transmission.remaining:
            return self._giveUp(transmission, now)
        if transmission.renew is not None:
            transmission.renew(transmission, now)
        transmission.remaining -= 1
        transmission.timeout *= 2
        transmission.deadline = self.deadlines.set(now + transmission.timeout, self._retransmit, transmission)
        self.counters.retransmissions += 1
        self._send(transmission.data, transmission.peer.address, transmission.local)
        return None

    def sendOnce(self, owner: Any, peer: Peer, local: Hashable, messageID: int, data: bytes) -> Transmission:
        """Send a non-confirmable message, and heed a Reset of it until L{finish}."""
        transmission = Transmission(owner, peer, local, messageID, data)
        self._transmissions[peer.address, messageID] = transmission
        self._send(data, peer.address, local)
        return transmission

    def reissue(self, transmission: Transmission, messageID: int, data: bytes) -> None:
        """From now on repeat this message in place of the other."""
        address = transmission.peer.address
        del self._transmissions[address, transmission.messageID]
        transmission.messageID = messageID
        transmission.data = data
        self._transmissions[address, messageID] = transmission

    def _giveUp(self, transmission: Transmission, now: float) -> Ended:
        self.counters.timeouts += 1
        self.finish(transmission, now)
        return _ended(transmission, NoAcknowledgement(f"{transmission.peer.address} did not answer"))

    def finish(self, transmission: Transmission, now: float) -> None:
        """Repeat a message no more, nor heed what the peer says about it; let the next request go."""
        peer = transmission.peer
        key = (peer.address, transmission.messageID)
        if self._transmissions.get(key) is not transmission:
            return
        del self._transmissions[key]
        self.deadlines.cancel(transmission.deadline)
        self.deadlines.cancel(transmission.expiry)
        owner = transmission.owner
        if isinstance(owner, OutgoingRequest):
            owner.transmission = None
            if transmission.confirmable:
                peer.active -= 1
        elif isinstance(owner, IncomingRequest):
            self._toAnswer -= 1
        self.use(peer.address, now)
        if peer.waiting:
            self._resume(peer, now)

    # Time, and what goes out

    def next(self) -> float:
        """When L{expire} has something to do, or infinity."""
        due = self._due
        while due and due[0][1].state is not Reception.UNANSWERED:
            due.popleft()
        soonest = self.deadlines.next()
        return min(soonest, due[0][0]) if due else soonest

    def expire(self, now: float) -> list[Report]:
        """Do what is due; what happened by that."""
        due = self._due
        while due and due[0][0] <= now:
            self.acknowledge(due.popleft()[1], now)
        return self.deadlines.expire(now)

    def datagramsToSend(self) -> list[Outgoing]:
        """What is to be sent since the last call: (bytes, peer, local address) each."""
        outbox = self._outbox
        if outbox:
            self._outbox = []
            self.counters.sent += len(outbox)
        return outbox

    def sizes(self) -> dict[str, int]:
        """How much is in each table."""
        return {
            "remembered": len(self._duplicates.replies),
            "rememberedBytes": self._duplicates.size,
            "peers": len(self._peers),
            "transmissions": len(self._transmissions),
            "pendingRequests": self._toAnswer,
            "deadlines": len(self.deadlines),
        }

    def use(self, address: Hashable, now: float) -> Peer | None:
        """A peer that is about to be sent something; None if there is no place for it."""
        peer = self._peers.use(address, now)
        if now + self._lifetimes[0] < self._sweepAt:
            self._sweepBy(self._peers.next())
        return peer

    def _sweepBy(self, when: float) -> None:
        """Look for what is to be forgotten at this time, or sooner."""
        if when < self._sweepAt:
            self.deadlines.cancel(self._sweep)
            self._sweepAt = when
            self._sweep = self.deadlines.set(when, self._forgetOld, None)

    def _forgetOld(self, _: None, now: float) -> None:
        self._duplicates.expire(now)
        self._peers.expire(now)
        self._sweepAt = NEVER
        upcoming = min(self._duplicates.next(), self._peers.next())
        if upcoming < NEVER:
            self._sweepBy(upcoming)

    def _send(self, data: bytes, peer: Hashable, local: Hashable) -> None:
        self._outbox.append((data, peer, local))

    def _reset(self, messageID: int, peer: Hashable, local: Hashable) -> None:
        self.counters.resetsSent += 1
        self._send(empty(RST, messageID), peer, local)


def _ended(transmission: Transmission, error: RequestError | None) -> Ended:
    return Ended(transmission.owner, error, transmission)


def _tooMuch(request: OutgoingRequest) -> ProbingRateExceeded:
    return ProbingRateExceeded(f"{request.peer} has not answered; more would exceed PROBING_RATE")


def _sizeOf(request: OutgoingRequest) -> int:
    """Bytes of the datagram that a request makes, payload marker included."""
    message = request.request
    return 5 + len(request.token) + len(optionlist.encode(message.options)) + len(message.payload)


Rule = Callable[[Messaging, Datagram, bytes, Hashable, Hashable, float], Report | None]


def _rulesFor(empty: Rule, request: Rule, response: Rule, reserved: Rule) -> tuple[Rule, ...]:
    """The rule for each code byte (RFC 7252 12.1)."""
    return tuple(
        empty if code == 0 else request if code < 0x20 else response if 0x40 <= code < 0xC0 else reserved
        for code in range(256)
    )


_M = Messaging
_RULES: tuple[tuple[Rule, ...], ...] = (
    # CON
    _rulesFor(_M._provoked, _M._request, _M._response, _M._provoked),
    # NON
    _rulesFor(_M._ignore, _M._request, _M._response, _M._ignore),
    # ACK
    _rulesFor(_M._acknowledged, _M._ignore, _M._piggybacked, _M._ignore),
    # RST
    _rulesFor(_M._rejected, _M._ignore, _M._ignore, _M._ignore),
)
