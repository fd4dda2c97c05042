"""
L{Request}: what a resource is given to answer, with the names that users of C{twisted.web} look for.

What is asked stands in L{txcoap.asked}, how it is answered in L{txcoap.answered}. Here is what lasts: the
answer that is written piece by piece, the observation, and what becomes of them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from .answered import AnsweredRequest
from .blockwise import RangedResponse
from .errors import RequestError
from .logs import Sparing
from .message import Response
from .options import NO_OPTIONS
from .produced import ProducedBody
from .sansio.events import Reception
from .sansio.observations import Relation

__all__ = ["NOT_DONE_YET", "Request"]

_log = Sparing(Logger())

NOT_DONE_YET = 1
"""What a render method returns to answer later, with C{request.write} and C{request.finish}."""

# RFC 7641 4.5: of a kept request's non-confirmable notifications one in so many is confirmable.
_CONFIRM_EVERY = 10


class Request(AnsweredRequest):
    """
    A request of a peer, until it is answered.

    @ivar code: The method as a L{Code}; C{method} is its name.
    @ivar options: The L{Options}.
    @ivar payload: The whole body, as bytes.
    @ivar prepath: The path's segments that led to the resource, as C{str}.
    @ivar postpath: The segments beyond it; none unless the resource is a leaf.
    @ivar site: The L{Site} that serves it.
    @ivar resource: What is rendered, once that is found.
    @ivar consumer: What the resource opened for the body, once the body is whole; see
        L{Resource.openBody<txcoap.resource.Resource.openBody>}.
    @ivar protocol: The L{CoAPProtocol} that it came by.
    @ivar exchange: The L{IncomingRequest}.
    @ivar block1: The block of the body that came last, to be answered, if it came in blocks.
    @ivar isMulticast: Whether it was sent to a group that the server is in (RFC 7252 8).
    @ivar finished: Whether it is answered, or nobody waits for the answer.
    """

    # What most requests never change stands in the class.
    consumer: Any = None
    _chunks: list[bytes] | None = None
    _relation: Relation | None = None
    _state: Response | None = None
    _produced: ProducedBody | None = None
    _isLost = False

    # In one

    def respond(self, response: Response) -> None:
        """Answer, for good."""
        site = self.site
        asked = self.options
        isPlain = asked.isPlain and not asked.mayHaveAccept
        if self.stateAge is not None:
            response = self.withStateAge(response)
        isPlain = isPlain and type(response) is Response and self.block1 is None
        if isPlain and len(response.payload) <= site.blockwise.size and site.accessLog is None:
            # What most responses are: there is nothing to judge, to cut, or to note.
            if not self.finished:
                self.answer(response)
        else:
            site.respond(self, response)

    # Written piece by piece

    def write(self, data: bytes) -> None:
        """
        Add to the body of the answer, which L{finish} ends for a method that returned L{NOT_DONE_YET}.
        One that returns text, bytes or None ends it by that.

        @raise RuntimeError: after L{finish}.
        @raise TypeError: for anything but C{bytes}.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"a body is written as bytes; got {data!r}")
        if self._hasFinished:
            raise RuntimeError("the request is finished; write before calling finish")
        if self._produced is not None:
            self._produced.write(data)
        elif self._chunks is None:
            self._chunks = [data]
            self.hasWritten, self._isBare = True, False
        else:
            self._chunks.append(data)

    def completing(self, result: Any) -> Any:
        """
        What a method that has written comes to by what it returns: the body goes on with that, as in
        C{twisted.web}.

        @param result: What it returned; what is no body stands for itself.
        """
        if self._produced is not None or not (result is None or isinstance(result, (bytes, str))):
            return result
        if isinstance(result, str):
            self._options = self.textResponse(result).options
            result = result.encode("utf-8")
        self.hasWritten = False
        return b"".join([*(self._chunks or ()), result or b""])

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Let a producer write the body: of any length, a block for each request of the peer. It calls
        L{write}, then L{unregisterProducer} and L{finish}.

        @param producer: An C{IPushProducer}, or an C{IPullProducer}.
        @param streaming: True for a push producer.
        @raise RuntimeError: if one is registered.
        """
        if self._produced is not None:
            raise RuntimeError("a producer is registered already")
        if self.finished:
            producer.stopProducing()
            return
        self._produced = ProducedBody(self, producer, streaming)
        for chunk in self._chunks or ():
            self._produced.write(chunk)
        self._produced.begin()

    def unregisterProducer(self) -> None:
        """The producer has written all."""
        if self._produced is not None:
            self._produced.unregister()

    def finish(self) -> None:
        """
        Answer with what was written; for a method that returned L{NOT_DONE_YET}. If nobody waits any
        more, nothing happens.

        @raise RuntimeError: if the request was answered before, or this was called.
        """
        if self._isForgotten:
            return
        if self._hasFinished:
            raise RuntimeError("the request is finished already")
        if self._produced is not None:
            self._produced.end()
            return
        if self._relation is not None:
            # The observer may not have the newest state yet, and is to learn that it is the last.
            state = self.toResponse(b"".join(self._chunks)) if self._chunks else self._state
            assert state is not None
            self._tell(self._relation, state, isLast=True)
            return
        self.respond(self.toResponse(b"".join(self._chunks or ())))

    def discardAnswer(self) -> None:
        """Forget the code and the options that were set for the answer, and what was written of it."""
        self._code, self._options, self._chunks = None, NO_OPTIONS, None
        self.hasWritten = False
        self._isBare = not self._notifications

    # State by state

    def notify(self, result: bytes | str | Response, *, isLast: bool = False) -> None:
        """
        Answer, and stay open if the request observes: each further call tells the observer a new state
        (RFC 7641). Call L{finish} to end it: the observer is told the newest state, or what was written
        since, as the last one. L{notifyFinish} fails when the observer leaves. If the
        request does not observe, the first call answers it for good. For a method that returned
        L{NOT_DONE_YET}, or returns it afterwards.

        @param result: The state: the body, as a method may return it, or a L{Response}. One that is no
            success ends the observation.
        @param isLast: End the observation with this state.
        @raise TypeError: if it is a response that has not its body with it.
        """
        if self.finished:
            return
        if isinstance(result, RangedResponse):
            raise TypeError(f"a state that is told has its body with it; got {result!r}")
        if isinstance(result, Response):
            response = result
        else:
            response = self.textResponse(result) if isinstance(result, str) else self.toResponse(result)
        isLast = isLast or not response.code.isSuccess
        if self._relation is not None:
            self._tell(self._relation, response, isLast)
        elif isLast:
            self.respond(response)
        else:
            self._beginRelation(response)

    def _beginRelation(self, response: Response) -> None:
        relation = None
        if self.asksToObserve:
            relation = self.protocol.register(self.exchange, self.isConfirmable, _CONFIRM_EVERY)
        if relation is None:
            self.respond(response)
            return
        relation.owner = self
        self._relation, self._state = relation, response
        part = self.site.blockwise.stateBlock(self, self.exchange.client, self.token, self.protocol, response)
        self.send(Response(part.code, part.payload, part.options.evolve(observe=relation.sequence)))
        self.protocol.turnEnded()

    def _tell(self, relation: Relation, response: Response, isLast: bool) -> None:
        self._state = response
        part = self.site.blockwise.stateBlock(self, self.exchange.client, self.token, self.protocol, response)
        self.protocol.notify([relation], part.code, part.options, part.payload, isLast=isLast)
        if isLast:
            self._relation = self._state = None
            self.concluded()

    def observerLeft(self, relation: Relation, error: RequestError | None) -> None:
        """The observer is gone; see L{CoAPProtocol.deregister}."""
        if self._relation is relation:
            self._relation = None
            self.connectionLost(error or RequestError("the observer has cancelled"))

    # What becomes of it

    @property
    def isLasting(self) -> bool:
        """Whether it is answered and goes on: as an observation, or with a body that is made as it goes."""
        return self._relation is not None or (self._produced is not None and self._produced.hasBegun)

    def acknowledge(self) -> None:
        """Acknowledge a confirmable request now, for it will take long; the response comes apart."""
        self.protocol.acknowledge(self.exchange)

    def reset(self) -> None:
        """
        Reject the request with a Reset (RFC 7252 4.2).

        @raise RuntimeError: if it was acknowledged or answered before: then it cannot be rejected.
        """
        if self.exchange.state is not Reception.UNANSWERED:
            raise RuntimeError("the request is acknowledged or answered already")
        self.protocol.resetRequest(self.exchange)
        self.concluded()

    def notifyFinish(self) -> Deferred[None]:
        """
        Learn what becomes of the answer.

        @return: A Deferred of its own for each call. It fires with None when the request is answered,
            and fails with a L{RequestError} if that is no longer of use: the socket was closed, or
            EXCHANGE_LIFETIME is over.
        """
        notification: Deferred[None] = Deferred()
        self._notifications += (notification,)
        self._isBare = False
        return notification

    @property
    def _isForgotten(self) -> bool:
        return self.finished and (self._isLost or self.exchange.state is not Reception.ANSWERED)

    @property
    def _hasFinished(self) -> bool:
        """Whether all of the answer was given, though the peer may not have fetched all of it."""
        if self._isForgotten:
            return False
        return self.finished or (self._produced is not None and self._produced.hasEnded)

    def connectionLost(self, reason: RequestError) -> None:
        """Nobody waits for the answer any more."""
        self.finished = self._isLost = True
        notifications, self._notifications = self._notifications, ()
        for notification in notifications:
            notification.errback(reason)
        if self._produced is not None:
            self._produced.stop()
        rendering, self._rendering = self._rendering, None
        if rendering is not None:
            try:
                rendering.cancel()
            except Exception:
                _log.of(self.site).failure("{request} could not be cancelled", request=self)
