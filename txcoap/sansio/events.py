"""
What the machines report, and the two kinds of exchange that they report on.

A request of a peer is reported as itself, an L{IncomingRequest}. The rest are events about an
L{OutgoingRequest}, a ping, or a response on its way.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import TYPE_CHECKING

from ..errors import RequestError
from ..message import Request
from ..parameters import Parameters
from .datagrams import CON, Datagram

if TYPE_CHECKING:
    from .deadlines import Deadline
    from .observations import Relation
    from .transmission import Transmission

__all__ = [
    "Event",
    "GroupInquiry",
    "GroupOver",
    "GroupRequest",
    "GroupResponse",
    "IncomingRequest",
    "OutgoingRequest",
    "PingAnswered",
    "PingFailed",
    "Progress",
    "Reception",
    "RelationEnded",
    "RequestFailed",
    "RequestForgotten",
    "ResponseFailed",
    "ResponseReceived",
]


class Reception(Enum):
    """How far the answer to a peer's request is (RFC 7252 5.2)."""

    UNANSWERED = "nothing sent yet"
    ACKNOWLEDGED = "an empty acknowledgement sent, or none due; the response is to come"
    ANSWERED = "the response sent"
    FORGOTTEN = "no longer waited for"


# To look a member up in its class takes longer than most of what is done for a datagram.
UNANSWERED, ACKNOWLEDGED, ANSWERED, FORGOTTEN = Reception


class IncomingRequest(Datagram):
    """
    A request that a peer sent, to be answered once: its message, and what belongs to that.

    @ivar peer: Who asks.
    @ivar client: The peer, or its name (L{txcoap.sansio.clients}): by this its bodies in blocks are known.
    @ivar local: Through which of our addresses; the transport's own matter.
    @ivar state: A L{Reception}.
    @ivar key: By which its repetitions are known; None if they need not be.
    @ivar room: Bytes that the answer may have; None for as many as it has.
    """

    __slots__ = ("client", "key", "local", "peer", "room", "state")

    # Two messages with the same bytes are two requests.
    __eq__ = object.__eq__
    __hash__ = object.__hash__  # type: ignore[assignment]

    peer: Hashable
    client: Hashable
    local: Hashable
    key: int | None
    room: int | None
    state: Reception

    @property
    def confirmable(self) -> bool:
        """Whether it came in a confirmable message."""
        return self.type is CON


class GroupInquiry(IncomingRequest):
    """
    A request that a peer sent to a group which we are in (RFC 7252 8).

    @ivar notBefore: The time before which the answer is not sent.
    """

    __slots__ = ("notBefore",)

    notBefore: float

    @classmethod
    def of(cls, request: IncomingRequest, notBefore: float) -> GroupInquiry:
        """A request that came to a group."""
        inquiry = cls.__new__(cls)
        for name in (*Datagram.__slots__, *IncomingRequest.__slots__):
            setattr(inquiry, name, getattr(request, name))
        inquiry.notBefore = notBefore
        return inquiry


class Progress(Enum):
    """How far one of our requests is."""

    WAITING = "for its turn with the peer (NSTART)"
    SENT = "and neither acknowledged nor answered"
    ACKNOWLEDGED = "by an empty message; the response is to come"
    LASTING = "answered, and more responses may come: it observes"
    DONE = "answered, failed or cancelled"


# For what is done for every request; see L{Reception}'s.
WAITING, SENT, _, LASTING, DONE = Progress


class OutgoingRequest:
    """
    A request of ours.

    @ivar peer: Who is asked.
    @ivar local: From which of our addresses; the transport's own matter.
    @ivar request: What is asked.
    @ivar confirmable: Whether it goes in a confirmable message.
    @ivar token: Its token.
    @ivar parameters: Its transmission parameters.
    @ivar lasting: Whether it stays open for more responses, as long as they carry Observe (RFC 7641).
    @ivar renewing: Whether it asks again for what is observed by its token: notifications may come before
        its own response.
    @ivar timeout: Seconds for all of it; None where it ends by its parameters.
    @ivar relaying: Whether the response goes on to someone else: options that are safe to forward may be in
        it unrecognized (RFC 7252 5.7.1).
    @ivar echo: The Echo that it carries, unless that is the user's.
    @ivar hasProven: Whether it was repeated with an Echo that the peer asked for.
    @ivar size: Bytes of the message it makes.
    @ivar progress: A L{Progress}.
    @ivar began: When it was submitted.
    @ivar transmission: Its message, while the fate of that matters; else None.
    @ivar deadline: When it fails without an answer; None for as long as that follows from its message.
    """

    __slots__ = (
        "began",
        "confirmable",
        "deadline",
        "echo",
        "hasProven",
        "lasting",
        "local",
        "parameters",
        "peer",
        "progress",
        "relaying",
        "renewing",
        "request",
        "size",
        "timeout",
        "token",
        "transmission",
    )

    size: int

    def __init__(
        self,
        request: Request,
        peer: Hashable,
        local: Hashable,
        confirmable: bool,
        token: bytes,
        parameters: Parameters,
    ) -> None:
        self.request = request
        self.peer = peer
        self.local = local
        self.confirmable = confirmable
        self.token = token
        self.parameters = parameters
        self.progress = WAITING
        self.transmission: Transmission | None = None
        self.deadline: Deadline | None = None
        self.timeout: float | None = None
        self.lasting = False
        self.renewing = False
        self.echo: bytes | None = None
        self.hasProven = False
        self.began = 0.0
        self.relaying = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.request!r} to {self.peer}, {self.progress.name.lower()}>"

    def carry(self, echo: bytes) -> None:
        """From now on it is sent with this Echo, which is not the user's."""
        request = self.request
        self.echo = echo
        self.request = Request(request.code, request.payload, request.options.evolve(echo=echo))


class GroupRequest(OutgoingRequest):
    """
    A request of ours to a group (RFC 7252 8).

    @ivar responses: How many responses were taken.
    """

    __slots__ = ("responses",)

    def __init__(
        self,
        request: Request,
        peer: Hashable,
        local: Hashable,
        confirmable: bool,
        token: bytes,
        parameters: Parameters,
    ) -> None:
        super().__init__(request, peer, local, confirmable, token, parameters)
        self.responses = 0


class Event:
    """Something that happened to an exchange."""

    __slots__: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(repr(getattr(self, name)) for name in self.__slots__)}>"


class ResponseReceived(Event):
    """
    Our request was answered.

    @ivar exchange: The L{OutgoingRequest}.
    @ivar datagram: The message with the response; None if none is to come, as No-Response asked for.
    """

    __slots__ = ("datagram", "exchange")

    def __init__(self, exchange: OutgoingRequest, datagram: Datagram | None) -> None:
        self.exchange = exchange
        self.datagram = datagram


class GroupResponse(Event):
    """
    Somebody in a group answered.

    @ivar exchange: The L{GroupRequest}.
    @ivar datagram: The message with the response.
    @ivar peer: Who answered.
    """

    __slots__ = ("datagram", "exchange", "peer")

    def __init__(self, exchange: GroupRequest, datagram: Datagram, peer: Hashable) -> None:
        self.exchange = exchange
        self.datagram = datagram
        self.peer = peer


class GroupOver(Event):
    """
    The time of a request to a group is over: no response to it is taken any more.

    @ivar exchange: The L{GroupRequest}.
    """

    __slots__ = ("exchange",)

    def __init__(self, exchange: GroupRequest) -> None:
        self.exchange = exchange


class RequestFailed(Event):
    """
    Our request will not be answered.

    @ivar exchange: The L{OutgoingRequest}.
    @ivar error: Why.
    """

    __slots__ = ("error", "exchange")

    def __init__(self, exchange: OutgoingRequest, error: RequestError) -> None:
        self.exchange = exchange
        self.error = error


class RequestForgotten(Event):
    """
    A peer's request was not answered within EXCHANGE_LIFETIME: an answer would not be awaited.

    @ivar exchange: The L{IncomingRequest}.
    """

    __slots__ = ("exchange",)

    def __init__(self, exchange: IncomingRequest) -> None:
        self.exchange = exchange


class ResponseFailed(Event):
    """
    A separate response of ours was rejected, or never acknowledged.

    @ivar exchange: The L{IncomingRequest}.
    @ivar error: Why.
    """

    __slots__ = ("error", "exchange")

    def __init__(self, exchange: IncomingRequest, error: RequestError) -> None:
        self.exchange = exchange
        self.error = error


class RelationEnded(Event):
    """
    An observer rejected a notification, or did not acknowledge it: it observes no more.

    @ivar relation: The L{Relation<txcoap.sansio.observations.Relation>}.
    @ivar error: Why.
    """

    __slots__ = ("error", "relation")

    def __init__(self, relation: Relation, error: RequestError) -> None:
        self.relation = relation
        self.error = error


class PingAnswered(Event):
    """
    The peer is there.

    @ivar ping: What L{Exchanges.ping<txcoap.sansio.exchanges.Exchanges.ping>} returned.
    """

    __slots__ = ("ping",)

    def __init__(self, ping: Transmission) -> None:
        self.ping = ping


class PingFailed(Event):
    """
    The peer did not answer.

    @ivar ping: What L{Exchanges.ping<txcoap.sansio.exchanges.Exchanges.ping>} returned.
    @ivar error: Why.
    """

    __slots__ = ("error", "ping")

    def __init__(self, ping: Transmission, error: RequestError) -> None:
        self.ping = ping
        self.error = error
