"""
L{Gathering}: what C{agent.multicast} gives, the responses of a group to one request as they come
(RFC 7252 8).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from .conversing import Conversation, Manner, askingFor
from .errors import BodyTooLarge, CoAPError, MalformedResponse, MessageTooLarge, RequestError
from .groups import isGroup
from .logs import Sparing
from .message import Request
from .protocol import CoAPProtocol
from .received import ReceivedResponse
from .sansio.datagrams import Datagram
from .sansio.events import GroupRequest
from .sansio.fetching import Stage

__all__ = ["Gathering"]


class Gathering:
    """
    The responses of a group to one request, as they come, each with its sender: C{response.peer} and
    C{response.getPeerAddress()}.

    It is an async iterator of L{Response<txcoap.message.Response>}: C{async for response in gathering}, which
    ends when the time is over; or L{all} gives a Deferred of the rest of them. Silence is no failure. A
    response larger than a block comes whole: what follows the first block is fetched from its sender alone
    (RFC 7959 2.8). All bodies together are as large as the agent's C{maximumBody} at most.

    @ivar failures: Whose bodies could not be had, and why: peers to exceptions. Who was not through when the
        time was over has a C{CancelledError}; who would exceed the limit, L{BodyTooLarge}.
    @ivar whenOver: A Deferred that fires with None when nothing more comes.
    """

    _log = Sparing(Logger())

    def __init__(
        self, request: Request, manner: Manner, seconds: float, interface: str = "", hops: int | None = None
    ) -> None:
        if not 0 < seconds < float("inf"):
            raise ValueError(f"the time to gather is a number of seconds above 0; got {seconds!r}")
        if hops is not None and not 0 <= hops <= 255:
            raise ValueError(f"hops are from 0 to 255; got {hops!r}")
        if request.options.etag:
            raise ValueError("a group is not asked with an ETag (RFC 7252 8.2.1)")
        if len(request.payload) > 16 << manner.exponent:
            # RFC 7959 2.8 knows no Block1 to a group.
            raise MessageTooLarge(f"a body for a group is a single block, of {16 << manner.exponent} bytes")
        self.failures: dict[Any, BaseException] = {}
        self.whenOver: Deferred[None] = Deferred()
        self._request = request
        self._manner = manner
        self._seconds = seconds
        self._interface = interface
        self._hops = hops
        self._protocol: CoAPProtocol | None = None
        self._exchange: GroupRequest | None = None
        self._looking: Deferred[Any] | None = None
        self._ready: deque[ReceivedResponse] = deque()
        # How many bytes all bodies together may still have.
        self._room = manner.maximum
        self._fetching: dict[Any, Deferred[ReceivedResponse]] = {}
        self._fetched: set[Any] = set()
        self._waiting: Deferred[None] | None = None
        self._isOver = False
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        state = "over" if self._isOver else f"for {self._seconds:g} s"
        return f"<{type(self).__name__} {state}, of {self._request!r}>"

    # Taking the responses

    def __aiter__(self) -> Gathering:
        return self

    async def __anext__(self) -> ReceivedResponse:
        while not self._ready:
            if self._isOver:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                raise StopAsyncIteration
            if self._waiting is not None:
                raise RuntimeError("a gathering has one reader; it waits already")
            self._waiting = Deferred()
            try:
                await self._waiting
            finally:
                self._waiting = None
        return self._ready.popleft()

    async def __aenter__(self) -> Gathering:  # noqa: PYI034
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.stop()

    def all(self) -> Deferred[list[ReceivedResponse]]:
        """
        Wait until the time is over.

        @return: A Deferred of all responses that were not taken yet, in the order in which they came. It
            fails with a L{RequestError} if the request could not be sent, or the socket was closed.
            Cancelling it stops the gathering.
        """
        return Deferred.fromCoroutine(self._collect())

    async def _collect(self) -> list[ReceivedResponse]:
        try:
            return [response async for response in self]
        finally:
            self.stop()

    def stop(self) -> None:
        """Take no more responses. Those that are here can still be taken."""
        self._end(None)

    # Asking

    def begin(self, ask: Callable[[Callable[..., Deferred[None]]], Deferred[None]]) -> None:
        """
        Ask.

        @param ask: Finds the group's address and a socket, and calls what it is given with the protocol, the
            peer, and None.
        """
        asking = ask(self._send)
        if self._protocol is None:
            self._looking = asking
        asking.addCallbacks(lambda _: None, self._refused)

    def _send(self, protocol: CoAPProtocol, peer: Any, timeout: float | None) -> Deferred[None]:
        self._looking = None
        self._protocol = protocol
        host = peer[0] if isinstance(peer, tuple) else ""
        if not isGroup(host):
            raise ValueError(f"{host or peer} is no multicast address; ask it by request()")
        local = None
        if self._interface or self._hops is not None:
            byInterface = getattr(protocol.transport, "byInterface", None)
            if byInterface is None:
                raise ValueError("this socket cannot choose an interface, nor hops")
            local = byInterface(peer, self._interface, self._hops)
        # The first of what each conversation would send.
        message = askingFor(self._request, None, self._manner, protocol).next()
        exchange = protocol.gather(
            message,
            peer,
            self,
            self._seconds,
            token=self._manner.token,
            parameters=self._manner.parameters,
            local=local,
        )
        if not self._isOver:
            self._exchange = exchange
        # The socket is needed until the end.
        until: Deferred[None] = Deferred()
        self.whenOver.addCallback(until.callback)
        return until

    def _refused(self, failure: Failure) -> None:
        """There is no such name, or no way to the group."""
        self._looking = None
        if failure.check(CoAPError, CancelledError, ValueError, OSError) is None:
            self._log.of(self._protocol).failure(
                "{gathering} could not be begun", gathering=self, failure=failure
            )
        self._end(failure.value)

    # What comes: see L{Gatherer<txcoap.protocol.Gatherer>}

    def received(self, datagram: Datagram, peer: Any) -> None:
        """Somebody answered."""
        assert self._protocol is not None
        response = ReceivedResponse(datagram, peer, self._protocol.getHost())
        block = datagram.options.block2
        if block is None or not block.more:
            try:
                self._use(len(response.payload))
            except BodyTooLarge as e:
                self.failures[peer] = e
            else:
                self._take(response)
        elif peer not in self._fetched:
            # One who answers twice is asked for the rest once.
            self._fetched.add(peer)
            self._fetchRest(response, peer)

    def over(self) -> None:
        """The time is over."""
        self._exchange = None
        self._end(None)

    def failed(self, error: RequestError) -> None:
        """The request could not be sent, or the socket was closed."""
        self._exchange = None
        self._end(error)

    def _fetchRest(self, response: ReceivedResponse, peer: Any) -> None:
        protocol = self._protocol
        assert protocol is not None
        manner = self._manner.evolve(token=None)
        conversation = Conversation.begun(self._request, manner, protocol, peer)
        asking = conversation.asking

        async def fetch() -> ReceivedResponse:
            conversation.take(response)
            self._use(asking.received)
            while asking.stage is not Stage.DONE:
                received = asking.received
                if not await conversation.step():
                    raise MalformedResponse("the peer stopped to answer amid a body")
                self._use(asking.received - received)
            return conversation.response(asking.takePart())

        def fetched(result: Any) -> None:
            self._fetching.pop(peer, None)
            if not isinstance(result, Failure):
                self._take(result)
                return
            error = result.value
            assert error is not None
            self.failures[peer] = error
            if not result.check(CoAPError, CancelledError):
                self._log.of(self._protocol).failure(
                    "the body of {peer} could not be fetched", failure=result, peer=peer
                )

        fetching = Deferred.fromCoroutine(fetch())
        self._fetching[peer] = fetching
        fetching.addBoth(fetched)

    def _use(self, size: int) -> None:
        """
        So many bytes more are to be kept.

        @raise BodyTooLarge: if it is too much.
        """
        if self._room is not None:
            self._room -= size
            if self._room < 0:
                raise BodyTooLarge(
                    "the bodies that the group sends are together larger than the agent's limit"
                )

    def _take(self, response: ReceivedResponse) -> None:
        self._ready.append(response)
        self._wake()

    def _end(self, error: BaseException | None) -> None:
        if self._isOver:
            return
        self._isOver = True
        self._error = error
        exchange, self._exchange = self._exchange, None
        if exchange is not None and self._protocol is not None:
            self._protocol.release(exchange)
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
        for fetching in list(self._fetching.values()):
            fetching.cancel()
        self.whenOver.callback(None)
        self._wake()

    def _wake(self) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.called:
            waiting.callback(None)
