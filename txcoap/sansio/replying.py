"""
How a peer's request is answered (RFC 7252 5.2): once. Until then copies of it are met as L{Reception} says::

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
"""

from __future__ import annotations

from ..errors import MessageTooLarge
from ..limits import Limits
from ..options import Options
from ..parameters import Parameters
from . import optionlist
from .counters import Counters
from .datagrams import ACK, CON, NON, RST, Type, empty, encode
from .duplicates import Duplicates
from .events import ACKNOWLEDGED, ANSWERED, FORGOTTEN, UNANSWERED, GroupInquiry, IncomingRequest
from .separate import Answer, Separate
from .shares import HostOf
from .transmission import MAX_DATAGRAM, Chance
from .transmissions import Transmissions
from .waiting import Waiting

__all__ = ["Replying", "isUnwanted"]

_NO_RESPONSE = 258


class Replying:
    """
    What L{Messaging<txcoap.sansio.messaging.Messaging>} stands on; see there for the parameters.

    @ivar counters: What was counted so far.
    @ivar transmissions: What goes out.
    """

    def __init__(self, parameters: Parameters, limits: Limits, chance: Chance, hostOf: HostOf) -> None:
        self.counters = Counters()
        self.parameters = parameters
        self.transmissions = Transmissions(parameters, limits, chance, self.counters, hostOf)
        self._deadlines = self.transmissions.deadlines
        self._send = self.transmissions.send
        self._duplicates = Duplicates(
            parameters.EXCHANGE_LIFETIME,
            parameters.NON_LIFETIME,
            limits.rememberedBytes,
            limits.rememberedReply,
            self._deadlines,
            self.counters,
        )
        self._waiting = Waiting(parameters, limits, self.transmissions)
        self._separate = Separate(self.transmissions)

    def defer(self, request: IncomingRequest, now: float) -> None:
        """
        Have a request wait for its answer; to be called for each that is not answered at once. It is
        acknowledged when PIGGYBACK_DELAY is over.
        """
        if request.state is UNANSWERED:
            self._waiting.enter(request, now)

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
        Answer a request: in the acknowledgement if that is still due, else in a message of its own; not at
        all if its No-Response option asks for silence (RFC 7967).

        @param confirmable: Whether a message of its own is confirmable; by default as the request was.
        @return: Whether it took the answer: a request that was answered or forgotten does not.
        @raise MessageTooLarge: if it does not fit a datagram.
        """
        asked = request.options
        if not asked.isPlain and asked.pairs[-1][0] >= _NO_RESPONSE and isUnwanted(asked, code):
            return self.silence(request)
        isConfirmable = request.type is CON
        if request.state is not UNANSWERED or (
            not isConfirmable and (confirmable or isinstance(request, GroupInquiry))
        ):
            return self._respondApart(request, code, options, payload, now, confirmable)
        type, messageID = ACK, request.messageID
        if not isConfirmable:
            taken = self.transmissions.takeID(request.peer, now)
            if taken is None:
                self._answered(request)
                return False
            type, messageID = NON, taken
        data = encode(type, code, messageID, request.token, options, payload)
        if len(data) > MAX_DATAGRAM:
            raise MessageTooLarge(f"a message of {len(data)} bytes does not fit a datagram")
        request.state = ANSWERED
        if self._waiting.count:
            self._waiting.leave(request)
        if isConfirmable and request.key is not None:
            self._duplicates.settle(request.key, request.code, data)
        send = self._send
        send((data, request.peer, request.local))
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
        state = request.state
        if state is ANSWERED or state is FORGOTTEN:
            return False
        wire = options.wire or optionlist.encode(options)
        if 5 + len(request.token) + len(wire) + len(payload) > MAX_DATAGRAM:
            raise MessageTooLarge(f"a body of {len(payload)} bytes does not fit a datagram")
        self._answered(request)
        answer = (code, options, payload)
        if isinstance(request, GroupInquiry) and now < request.notBefore:
            self._waiting.linger(request.peer)
            self._deadlines.set(request.notBefore, self._leisureOver, (request, answer))
            return True
        if request.type is CON if confirmable is None else confirmable:
            return self._separate.confirm(request, answer, now)
        return self._separate.sendOnce(request, answer, now)

    def _leisureOver(self, inquiry: tuple[GroupInquiry, Answer], now: float) -> None:
        request, answer = inquiry
        self._waiting.depart(request.peer)
        self._separate.sendOnce(request, answer, now)

    def acknowledge(self, request: IncomingRequest, now: float) -> None:
        """Acknowledge a confirmable request now; the response comes apart."""
        if request.state is not UNANSWERED:
            return
        request.state = ACKNOWLEDGED
        self._waiting.part(request, now)
        if request.confirmable:
            self._sendEmpty(ACK, request)

    def silence(self, request: IncomingRequest) -> bool:
        """
        Send no response, beyond the acknowledgement of a confirmable request (RFC 7967 2).

        @return: False if it was answered or forgotten before.
        """
        state = request.state
        if state is ANSWERED or state is FORGOTTEN:
            return False
        if state is UNANSWERED and request.confirmable:
            self._sendEmpty(ACK, request)
        self._answered(request)
        return True

    def resetRequest(self, request: IncomingRequest) -> None:
        """Reject a request with a Reset (RFC 7252 4.2, 4.3); nothing if it was acknowledged or answered."""
        if request.state is UNANSWERED:
            self.counters.resetsSent += 1
            self._sendEmpty(RST, request)
            self._answered(request)

    def _answered(self, request: IncomingRequest) -> None:
        request.state = ANSWERED
        if self._waiting.count:
            self._waiting.leave(request)

    def _sendEmpty(self, type: Type, request: IncomingRequest) -> None:
        data = empty(type, request.messageID)
        self._duplicates.settle(request.key, request.code, data)
        self._send((data, request.peer, request.local))


def isUnwanted(options: Options, code: int) -> bool:
    """Whether a request with such options does not want a response of that class (RFC 7967 2.1)."""
    unwanted = options.noResponse
    return unwanted is not None and unwanted >> (code >> 5) - 1 & 1 == 1
