"""
The message layer (RFC 7252 4): what comes, and how it is acknowledged; what goes out is the matter of
L{Transmissions}, on which it stands.

One L{Messaging} serves one socket, with all its peers and in both roles. What comes is judged by its
type and the kind of its code::

                 EMPTY             REQUEST          RESPONSE          RESERVED, malformed
    CON          ping: Reset       a request        a response        Reset
    NON          (nothing)         a request        a response        (nothing)
    ACK          acknowledged      (nothing)        a response        (nothing)
    RST          rejected          (nothing)        (nothing)         (nothing)

Of what is malformed a response is reported all the same, if its token can be read: there is no use in waiting
for another (RFC 7252 5.7.1).

How a request is answered is the matter of L{txcoap.sansio.replying}.

L{Messaging.receiveDatagram} and L{Messaging.expire} report what happened; L{Messaging.next} gives when to
call C{expire}, and may change after every other call.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from ..codes import Code
from ..errors import FormatError, ResetReceived
from ..limits import Limits
from ..options import Options
from ..parameters import Parameters
from ..spelling import writePeer
from .blocks import isContinuation
from .datagrams import ACK, CON, MAX_TOKEN_LENGTH, NON, RST, Datagram, Type, decode, empty, encode
from .duplicates import OTHER_BITS, PATCH, POST, SHARD, Accounts
from .events import UNANSWERED, GroupInquiry, IncomingRequest, OutgoingRequest, RequestForgotten
from .replying import Replying
from .shares import HostOf, hostOf
from .transmission import Chance, Ended, Transmission

__all__ = ["Arrival", "Garbled", "Messaging"]

# For how long a peer is asked to wait when a limit is reached, in seconds.
_BUSY = Options(maxAge=5)

# The first bytes of what acknowledges a message and says no more: it needs no decoding.
_EMPTY_ACKNOWLEDGEMENT = empty(ACK, 0)[:2]


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


class Garbled(Arrival):
    """
    A response came that cannot be read beyond its token, and is rejected already.

    @ivar reason: What is wrong with it.
    """

    __slots__ = ("reason",)

    def __init__(
        self,
        datagram: Datagram,
        peer: Hashable,
        local: Hashable,
        transmission: Transmission | None,
        reason: str,
    ) -> None:
        super().__init__(datagram, peer, local, None, transmission)
        self.reason = reason


Report = IncomingRequest | Arrival | Transmission | Ended | RequestForgotten
"""What happened; a L{Transmission} was acknowledged."""


class Messaging(Replying):
    """
    The message layer of one socket.

    @param parameters: For what peers send, and for what is sent in answer.
    @param limits: See L{Limits}.
    @param chance: For message IDs and time-outs.
    @param hostOf: Whose share of a limit a peer uses.
    """

    def __init__(
        self, parameters: Parameters, limits: Limits, chance: Chance, hostOf: HostOf = hostOf
    ) -> None:
        super().__init__(parameters, limits, chance, hostOf)
        self._incoming = self.counters.incoming.byHead
        self._chance = chance
        self._hostOf = self.transmissions.hostOf
        self._accounts = Accounts(self._hostOf)

    # What comes

    def receiveDatagram(self, data: bytes, peer: Hashable, local: Hashable, now: float) -> Report | None:
        """
        A datagram came.

        @param peer: From whom; a hashable address that the transport understands.
        @param local: At which of our addresses, for the transport to answer from; None if it is clear.
        @return: What it means, if anything.
        """
        if len(data) == 4 and data.startswith(_EMPTY_ACKNOWLEDGEMENT):
            self._incoming[data[0]][data[1]] += 1
            return self.transmissions.receiveAcknowledgement(int.from_bytes(data[2:], "big"), peer, now)
        try:
            datagram = decode(data, _KINDS)
        except FormatError as e:
            self.counters.formatErrors += 1
            if e.messageType == CON and e.messageID is not None:
                self._reset(e.messageID, peer, local)
            return self._garbled(data, peer, local, e)
        head, code = data[0], data[1]
        self._incoming[head][code] += 1
        return _RULES[head >> 4 & 3][code](self, datagram, data, peer, local, now)

    def receiveGroupDatagram(
        self, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> GroupInquiry | None:
        """
        A datagram came that was sent to a group (RFC 7252 8.1): unless it is a non-confirmable request it
        means nothing, and nothing is said to that.
        """
        try:
            datagram = decode(data, _KINDS)
        except FormatError:
            self.counters.formatErrors += 1
            return None
        self._incoming[data[0]][data[1]] += 1
        if datagram.type != NON or not datagram.code.isRequest:
            self.counters.ignored += 1
            return None
        request = _RULES[NON][datagram.code](self, datagram, data, peer, local, now)
        if not isinstance(request, IncomingRequest):
            return None
        # RFC 7252 8.2: a random moment within the leisure, so that not everybody answers at once.
        notBefore = now + self.parameters.DEFAULT_LEISURE * self._chance.random()
        return GroupInquiry.of(request, notBefore)

    def _request(
        self, request: IncomingRequest, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> IncomingRequest | None:
        options = request.options
        key = None
        if options.isPlain or not isContinuation(options):
            key = hash((peer, data))
            code = request.code
            if code is POST or code is PATCH:
                # What must not run twice is on its host's account, which the key tells.
                key = key & OTHER_BITS | self._accounts[peer]
            duplicates = self._duplicates
            if key in duplicates.shards[key & SHARD]:
                self._repeat(key, request.type, peer, local)
                return None
            refusal = duplicates.add(key, code, request.type, now)
            if refusal is not None:
                self._refuse(request, key, refusal, peer, local)
                return None
        waiting = self._waiting
        if waiting.count + self.transmissions.separate >= waiting.crowd and not self._mayWait(
            request, key, peer, local, now
        ):
            return None
        request.peer = request.client = peer
        request.local = local
        request.key = key
        request.room = None
        request.state = UNANSWERED
        return request

    def _mayWait(
        self, datagram: Datagram, key: int | None, peer: Hashable, local: Hashable, now: float
    ) -> bool:
        """Whether one more request may wait for its answer, among many; else it is refused."""
        # What is acknowledged is on its host's account.
        while self._hostOf(peer) is not None and (request := self._waiting.takeDue()) is not None:
            self.acknowledge(request, now)
        refusal = self._waiting.refusal(peer)
        if refusal is not None:
            self._refuse(datagram, key, refusal, peer, local)
        return refusal is None

    def _response(
        self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> Arrival | None:
        key = hash((peer, data))
        if key in self._duplicates.shards[key & SHARD]:
            self._repeat(key, datagram.type, peer, local)
            return None
        if self._duplicates.add(key, datagram.code, datagram.type, now) is not None:
            # Not acknowledged, it comes again; by then there may be room.
            self.counters.ignored += 1
            return None
        return Arrival(datagram, peer, local, key, None)

    def _piggybacked(
        self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> Arrival | Transmission | None:
        transmission = self.transmissions.find(peer, datagram.messageID)
        if transmission is None:
            self.counters.ignored += 1
            return None
        if type(transmission.owner) is not OutgoingRequest:
            # RFC 7252 5.2.2: what acknowledges a response is heeded as such; what else it says is not.
            return self._acknowledged(datagram, data, peer, local, now)
        return Arrival(datagram, peer, local, None, transmission)

    def _acknowledged(
        self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> Transmission | None:
        return self.transmissions.receiveAcknowledgement(datagram.messageID, peer, now)

    def _rejected(
        self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> Ended | None:
        transmission = self.transmissions.find(peer, datagram.messageID)
        if transmission is None:
            self.counters.ignored += 1
            return None
        self.counters.resetsReceived += 1
        transmission.peer.heard(self.parameters)
        self.transmissions.finish(transmission, now)
        error = ResetReceived(f"{writePeer(peer)} rejected the message with a Reset")
        return Ended(transmission.owner, error, transmission)

    def _garbled(self, data: bytes, peer: Hashable, local: Hashable, error: FormatError) -> Garbled | None:
        type, messageID = error.messageType, error.messageID
        if type is None or messageID is None or type == RST:
            return None
        code, length = Code.fromByte(data[1]), data[0] & 15
        token = data[4 : 4 + length]
        if not code.isResponse or len(token) < length or length > MAX_TOKEN_LENGTH:
            return None
        acknowledged = self.transmissions.find(peer, messageID) if type == ACK else None
        datagram = Datagram(Type(type), code, messageID, token)
        return Garbled(datagram, peer, local, acknowledged, error.reason)

    def _provoked(self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float) -> None:
        # RFC 7252 4.2, 4.3: a confirmable message that is empty, or of a reserved class, provokes a Reset.
        self._reset(datagram.messageID, peer, local)

    def _ignore(self, datagram: Datagram, data: bytes, peer: Hashable, local: Hashable, now: float) -> None:
        self.counters.ignored += 1

    def _repeat(self, key: int, type: int, peer: Hashable, local: Hashable) -> None:
        """RFC 7252 4.2, 4.3: acknowledge each copy of a confirmable message alike; ignore other copies."""
        self.counters.duplicates += 1
        reply = self._duplicates.find(key)
        if reply and type == CON:
            self._send((reply, peer, local))

    def _refuse(
        self, datagram: Datagram, key: int | None, code: Code, peer: Hashable, local: Hashable
    ) -> None:
        """
        Answer 5.03, or 4.29 where it is the host's own fault (RFC 8516), and, where there is room to
        remember it, every copy alike, however late.
        """
        if code is Code.TOO_MANY_REQUESTS:
            self.counters.throttled += 1
        else:
            self.counters.refused += 1
        if datagram.type == CON:
            reply = encode(ACK, code, datagram.messageID, datagram.token, _BUSY)
            self._duplicates.settle(key, datagram.code, reply)
            self._send((reply, peer, local))

    # What we asked

    def accept(self, arrival: Arrival) -> None:
        """A response was awaited: acknowledge it, and stop repeating what it answers."""
        datagram = arrival.datagram
        if datagram.type == CON:
            self._conclude(arrival, empty(ACK, datagram.messageID))

    def reject(self, arrival: Arrival) -> None:
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
        self._send((reply, arrival.peer, arrival.local))

    # Time, and what goes out

    def next(self) -> float:
        """When L{expire} has something to do, or infinity."""
        soonest = self._deadlines.next()
        return min(soonest, self._waiting.next()) if self._waiting.count else soonest

    def expire(self, now: float) -> list[Report]:
        """Do what is due; what happened by that."""
        while (request := self._waiting.takeDue(now)) is not None:
            self.acknowledge(request, now)
        return self._deadlines.expire(now)

    def sizes(self) -> dict[str, int]:
        """How much is in each table."""
        return {
            "remembered": len(self._duplicates),
            "rememberedBytes": self._duplicates.size,
            "pendingRequests": self._waiting.count + self.transmissions.separate,
            **self.transmissions.sizes(),
        }

    def _reset(self, messageID: int, peer: Hashable, local: Hashable) -> None:
        self.counters.resetsSent += 1
        self._send((empty(RST, messageID), peer, local))


# What decode makes of each code, and what is done with that, for each type.
_KINDS = (Datagram,) + 0x1F * (IncomingRequest,) + 0xE0 * (Datagram,)
Rule = Callable[[Messaging, Any, bytes, Hashable, Hashable, float], Report | None]


def _rulesFor(empty: Rule, request: Rule, response: Rule, reserved: Rule) -> tuple[Rule, ...]:
    """The rule for each code byte (RFC 7252 12.1)."""
    return (empty, *0x1F * [request], *0x20 * [reserved], *0x80 * [response], *0x40 * [reserved])


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
