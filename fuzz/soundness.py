"""
What holds whatever comes: L{Subject} puts a L{CoAPProtocol} between a socket and a clock of its own, and
sees after each datagram that

  - no exception left the protocol, and nothing was logged as an error;
  - what was sent can be read strictly, and is of a type and class that may be sent (RFC 7252 table 1);
  - each acknowledgement and each Reset answers a message that came, with its ID and, where it carries a
    response, its token, and no message more often than it came; none answers an acknowledgement or a
    Reset (RFC 7252 4.2, 4.3), nor what came by multicast (8.1);
  - each table is within its limit;

and at the end, when all has been silent, that every request was answered and every table is empty.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Hashable
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from zope.interface import implementer

from txcoap.errors import FormatError
from txcoap.interfaces import ITransport
from txcoap.limits import Limits
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.protocol import CoAPProtocol
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, decode
from txcoap.transports.ancillary import LocalAddress

__all__ = ["GROUP", "LIMITS", "PARAMETERS", "SENDABLE", "Subject", "Unsound", "letPass"]

# What each type may carry; codes by class, an empty message being -1 (RFC 7252 table 1).
SENDABLE = {CON: {-1, 0, 2, 3, 4, 5}, NON: {0, 2, 3, 4, 5}, ACK: {-1, 2, 3, 4, 5}, RST: {-1}}

# Small enough that a round fills them.
LIMITS = Limits(
    rememberedBytes=60_000,
    rememberedReply=256,
    peers=25,
    queuedRequests=5,
    pendingRequests=20,
    uploads=5,
    uploadBytes=5_000,
    bodyBytes=3_000,
    downloads=5,
    downloadBytes=9_000,
    observers=12,
)
PARAMETERS = DEFAULT_PARAMETERS.evolve(NSTART=3)
LARGEST_REPLY = 1_300

#: Where a datagram was sent to that many hear.
GROUP = LocalAddress("224.0.1.187", True, 1, ())


class Unsound(Exception):
    """An invariant does not hold."""


def letPass(clock: Clock, seconds: float) -> None:
    """Let time pass from each delayed call to the next, as a real reactor does."""
    end = clock.seconds() + seconds
    while clock.calls and clock.calls[0].getTime() <= end:
        clock.advance(max(0.0, clock.calls[0].getTime() - clock.seconds()))
    clock.advance(max(0.0, end - clock.seconds()))


@implementer(ITransport)
class _Socket:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Hashable]] = []

    def send(self, data: bytes, peer: Any, local: Any = None) -> int | None:
        self.sent.append((data, peer))
        return None

    def toPeer(self, host: str, port: int) -> Any:
        return (host, port)

    def getHost(self) -> IAddress:
        return IPv4Address("UDP", "192.0.2.1", 5683)


class _Heard:
    """
    What came from a peer under one message ID.

    @ivar count: How many messages that are no replies themselves.
    @ivar confirmable: How many of these are to be acknowledged or rejected.
    @ivar requests: How many of them were confirmable requests.
    @ivar tokens: The tokens of these.
    @ivar replies: How many acknowledgements and Resets went back.
    """

    __slots__ = ("confirmable", "count", "replies", "requests", "tokens")

    def __init__(self) -> None:
        self.count = self.confirmable = self.requests = self.replies = 0
        self.tokens: set[bytes] = set()


class Subject:
    """
    One protocol, and all that is known of what it was sent and what it said.

    @param seed: What chance begins with: the same seed gives the same run.
    @ivar clock: The time.
    @ivar counts: What came of the datagrams.
    @ivar recent: What was sent last, and to whom.
    """

    # Which classes of code it sends of its own accord, empty messages being -1.
    BEGINS: frozenset[int] = frozenset({0, 2, 4, 5})
    # Those of its protocol.
    limits = LIMITS

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.clock = Clock()
        self.counts: Counter[str] = Counter()
        self.recent: deque[tuple[Datagram, Any]] = deque(maxlen=50)
        self._socket = _Socket()
        self._heard: defaultdict[tuple[Hashable, int], _Heard] = defaultdict(_Heard)
        self._tokens: set[tuple[Hashable, bytes]] = set()
        self._logged: list[Any] = []
        observer: Any = self._observeLog
        self._observer = observer
        globalLogPublisher.addObserver(observer)
        self.protocol = self.newProtocol()
        transport: Any = self._socket
        self.protocol.makeConnection(transport)

    def newProtocol(self) -> CoAPProtocol:
        """What is tried."""
        raise NotImplementedError

    # What happens

    def receive(self, data: bytes, peer: Hashable, local: LocalAddress | None = None) -> None:
        """A datagram comes, to one of our addresses or to a L{GROUP}."""
        came = self._note(data, peer, local)
        self.protocol.datagramReceived(data, peer, local)
        self.protocol.turnEnded()
        self._look(peer if came is not None and came.type in (ACK, RST) else None)

    def returned(self, data: bytes, peer: Hashable) -> None:
        """The network returns a datagram."""
        self.protocol.datagramUnreachable(data, peer, 111)
        self.protocol.turnEnded()
        self._look(None)

    def elapse(self, seconds: float) -> None:
        """Time passes."""
        letPass(self.clock, seconds)
        self._look(None)

    def stir(self) -> None:
        """Something happens on our side: a state changes, a request begins."""

    def end(self) -> None:
        """
        Nothing comes any more: all is forgotten.

        @raise Unsound: if not.
        """
        self.finish()
        # What is unanswered, or unacknowledged, has its own time before EXCHANGE_LIFETIME begins.
        self.elapse(3 * PARAMETERS.EXCHANGE_LIFETIME)
        for key, heard in self._heard.items():
            if heard.requests and not heard.replies:
                raise Unsound(f"never answered: {key}")
        sizes = self.protocol.sizes()
        if any(sizes.values()):
            raise Unsound(f"left at the end: {sizes}")
        if self.clock.getDelayedCalls():
            raise Unsound(f"still to come: {self.clock.getDelayedCalls()}")
        self._look(None)

    def finish(self) -> None:
        """End what only we can end."""

    def close(self) -> None:
        """Have done with it, sound or not."""
        globalLogPublisher.removeObserver(self._observer)

    # What must hold

    def _observeLog(self, event: Any) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            self._logged.append(event)

    def _note(self, data: bytes, peer: Hashable, local: LocalAddress | None) -> Datagram | None:
        """Remember what may be answered, and how."""
        try:
            came = decode(data)
        except FormatError as e:
            if local is not None:
                return None
            if e.messageType == CON and e.messageID is not None:
                self._heard[peer, e.messageID].count += 1
                self._heard[peer, e.messageID].confirmable += 1
            return None
        isRequest = 0 < came.code < 0x20
        # What came by multicast is neither acknowledged nor rejected (RFC 7252 8.1).
        if came.type in (CON, NON) and local is None:
            heard = self._heard[peer, came.messageID]
            heard.count += 1
            heard.confirmable += came.type == CON
            if isRequest and came.type == CON:
                heard.requests += 1
                heard.tokens.add(came.token)
        if isRequest:
            self._tokens.add((peer, came.token))
        return came

    def _look(self, silent: Hashable | None) -> None:
        """
        Judge what was sent.

        @param silent: The peer that must not be given an acknowledgement or a Reset now.
        """
        sent, self._socket.sent = self._socket.sent, []
        for data, peer in sent:
            datagram = decode(data)
            self.counts[datagram.type.name] += 1
            codeClass = datagram.code.codeClass if datagram.code else -1
            if codeClass not in SENDABLE[datagram.type]:
                raise Unsound(f"sent {datagram}")
            if datagram.type in (ACK, RST):
                if silent is not None and peer == silent:
                    raise Unsound(f"an answer to what is never answered: {datagram}")
                self._judgeReply(datagram, peer)
            else:
                self._judgeOwn(datagram, peer, codeClass)
                self.recent.append((datagram, peer))
        self._checkSizes()
        if self._logged:
            raise Unsound(f"logged: {self._logged}")

    def _judgeReply(self, datagram: Datagram, peer: Hashable) -> None:
        heard = self._heard.get((peer, datagram.messageID))
        if heard is None or (datagram.type == ACK and not heard.confirmable):
            raise Unsound(f"a reply to nothing: {datagram}")
        heard.replies += 1
        if heard.replies > heard.count:
            raise Unsound(f"{heard.replies} replies to {heard.count} messages: {datagram}")
        if datagram.code and datagram.token not in heard.tokens:
            raise Unsound(f"a reply with a foreign token: {datagram}")

    def _judgeOwn(self, datagram: Datagram, peer: Hashable, codeClass: int) -> None:
        if codeClass not in self.BEGINS:
            raise Unsound(f"sent {datagram}")
        if codeClass > 0 and (peer, datagram.token) not in self._tokens:
            raise Unsound(f"a response that nobody asked for: {datagram}")

    def require(self, holds: bool, what: str) -> None:
        """
        Something must hold.

        @raise Unsound: if it does not.
        """
        if not holds:
            raise Unsound(f"not so: {what}")

    def _checkSizes(self) -> None:
        for name, size in self.protocol.sizes().items():
            bound: int | None = getattr(self.limits, name, None)
            if bound is not None and size > bound + LARGEST_REPLY * (name == "rememberedBytes"):
                raise Unsound(f"{name} is {size}, beyond {bound}")
