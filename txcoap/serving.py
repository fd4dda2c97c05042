"""
L{Serving}: what a L{Site<txcoap.server.Site>} and its resources say to one socket.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from .driver import Driver
from .errors import RequestError
from .options import Options
from .sansio.events import IncomingRequest, Reception, RelationEnded, RequestForgotten, ResponseFailed
from .sansio.observations import Relation

__all__ = ["Serving"]


class Serving(Driver):
    """
    The server's side of L{CoAPProtocol<txcoap.protocol.CoAPProtocol>}; see there for the parameters.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # Whom to tell when a peer's request, not answered at once, no longer needs an answer; and since when
        # it waits.
        self._served: dict[IncomingRequest, tuple[Callable[[RequestError], None], float]] = {}

    # What happened

    def _relationEnded(self, event: RelationEnded) -> None:
        event.relation.owner.observerLeft(event.relation, event.error)

    def _requestForgotten(self, event: RequestForgotten) -> None:
        waiting = self._served.pop(event.exchange, None)
        if waiting is not None:
            tell, _ = waiting
            tell(RequestError("the request was not answered within EXCHANGE_LIFETIME"))

    def _responseFailed(self, event: ResponseFailed) -> None:
        relation = self.findRelation(event.exchange.peer, event.exchange.token)
        if relation is not None and relation.messageID == event.exchange.messageID:
            # The response that began it came apart: it is a notification like any other (RFC 7641 3.6).
            self.endRelation(relation)
            relation.owner.observerLeft(relation, event.error)

    def _serveNoMore(self, error: RequestError, now: float) -> None:
        """The socket is closed: whoever waits for an answer, or observes, is given up."""
        self._exchanges.transfers.forgetAll()
        while self._served:
            served, (tell, _) = self._served.popitem()
            served.state = Reception.FORGOTTEN
            tell(error)
        for relation in self._exchanges.notifier.endAll(now):
            relation.owner.observerLeft(relation, error)

    # What peers asked: for Site

    def respond(self, exchange: IncomingRequest, code: int, options: Options, payload: bytes) -> bool:
        """
        Answer a peer's request.

        @return: Whether it took the answer: one that is answered or forgotten does not.
        @raise MessageTooLarge: if it does not fit a datagram.
        """
        now = self.now()
        taken = self._exchanges.respond(exchange, code, options, payload, now)
        if self._served:
            waiting = self._served.pop(exchange, None)
            if waiting is not None:
                self.counters.answerTimes.add(now - waiting[1])
                self.sendSoon()
        return taken

    def awaitAnswer(self, exchange: IncomingRequest, tell: Callable[[RequestError], None]) -> None:
        """A request is not answered at once: tell this if nobody waits for the answer any more."""
        self._served[exchange] = tell, self.now()

    def acknowledge(self, exchange: IncomingRequest) -> None:
        """Acknowledge a request now; its response comes apart."""
        self._exchanges.acknowledge(exchange, self.now())
        self.turnEnded()

    def silence(self, exchange: IncomingRequest) -> None:
        """Acknowledge a request, if it asks for that, and answer nothing more."""
        self._exchanges.silence(exchange)
        self._served.pop(exchange, None)
        self.sendSoon()

    def resetRequest(self, exchange: IncomingRequest) -> None:
        """Reject a request with a Reset."""
        self._exchanges.resetRequest(exchange)
        self._served.pop(exchange, None)
        self.sendSoon()

    # Who observes: for ObservableResource

    def register(self, exchange: IncomingRequest, confirmable: bool, confirmEvery: int) -> Relation | None:
        """
        A peer observes from now on.

        @return: The relation, whose C{owner} is to be set; None if there is no place for one more.
        """
        old = self.findRelation(exchange.peer, exchange.token)
        relation = self._exchanges.notifier.register(exchange, confirmable, confirmEvery, self.now())
        if old is not None:
            old.owner.observerLeft(old, None)
        return relation

    def findRelation(self, peer: Hashable, token: bytes) -> Relation | None:
        """What a peer observes by a token."""
        return self._exchanges.notifier.find(peer, token)

    def deregister(self, peer: Hashable, token: bytes) -> None:
        """A peer does not observe any more what it observed by this token; nothing if it did not."""
        relation = self.findRelation(peer, token)
        if relation is not None:
            self.endRelation(relation)
            relation.owner.observerLeft(relation, None)

    def dismissObservers(self, code: int, options: Options, payload: bytes) -> None:
        """Tell whoever observes anything at this socket that this is over, and why."""
        told = [each for each in self._exchanges.notifier.relations() if not each.isLast]
        if told:
            self.notify(told, code, options, payload, isLast=True)
            error = RequestError("the server has ended the observation")
            for relation in told:
                relation.owner.observerLeft(relation, error)

    def endRelation(self, relation: Relation) -> None:
        """Tell an observer nothing more."""
        self._exchanges.notifier.end(relation, self.now())

    def notify(
        self,
        relations: Iterable[Relation],
        code: int,
        options: Options,
        payload: bytes,
        *,
        isLast: bool = False,
    ) -> None:
        """Tell observers a new state."""
        now = self.now()
        self._exchanges.notifier.notify(relations, code, options, payload, now, isLast)
        self._exchanges.notifier.pump(now)
        self.sendSoon()
