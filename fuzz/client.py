"""
A client under spoiled datagrams: an L{Agent<txcoap.client.Agent>} with requests of every kind under way,
bodies in blocks both ways, streams, observations and pings. What its servers say is right for the most
part, so that all of them get somewhere, and spoiled now and then. Beside what L{fuzz.soundness} says,
each request must end exactly once, and with an error of ours if with any::

    python -m fuzz.client --count 1000000 --seed 1
"""

from __future__ import annotations

import sys
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.errors import CoAPError
from txcoap.options import Options
from txcoap.protocol import CoAPProtocol

from . import running
from .origins import PEERS, Origins
from .soundness import PARAMETERS, Subject, Unsound

__all__ = ["Client", "Fuzzer"]

# Requests, pings and observations under way at a time.
OURS = 20


class Client(Subject):
    """
    A client.

    @ivar open: What is under way, by a number: its kind, and its Deferred.
    """

    BEGINS = frozenset({-1, 0})

    # How a request of each kind is made, and how often each is made.
    beginnings: dict[str, Any]
    kinds: tuple[str, ...]

    def newProtocol(self) -> CoAPProtocol:
        """With the agent on it, and nothing that serves."""
        protocol = CoAPProtocol(
            None, self.clock, parameters=PARAMETERS, limits=self.limits, chance=Random(self.chance.random())
        )
        self.open: dict[int, tuple[str, Deferred[Any]]] = {}
        self._begun = 0
        self._observations: list[Any] = []
        self.agent = Agent(self.clock, protocol=protocol, blockSize=256, maximumBody=20_000)
        return protocol

    def stir(self) -> None:
        """A request begins, or one is cancelled."""
        if len(self.open) >= OURS:
            self._drop()
        kind = self.chance.choice(self.kinds)
        _, port = self.chance.choice(PEERS)
        uri = f"coap://192.0.2.9:{port}/a/b"
        self._begin(kind, self.beginnings[kind](self, uri))
        self._look(None)

    def _begin(self, kind: str, asking: Deferred[Any]) -> None:
        number = self._begun = self._begun + 1
        self.open[number] = (kind, asking)
        asking.addBoth(self._ended, number, kind)
        if kind == "observe":
            asking.addCallback(self._observe)
        elif kind == "stream":
            asking.addCallback(self._stream)
        asking.addErrback(self._failed)

    def _ended(self, result: Any, number: int, kind: str) -> Any:
        if self.open.pop(number, None) is None:
            raise Unsound(f"{kind} ended twice")
        self.counts[f"{kind} {'failed' if isinstance(result, Failure) else 'ended'}"] += 1
        return result

    def _failed(self, failure: Failure) -> None:
        failure.trap(CoAPError, CancelledError)

    def _observe(self, observation: Any) -> None:
        if observation is None:
            return
        self._observations.append(observation)
        observation.subscribe(lambda state: self.counts.update(["states"]))
        observation.notifyEnd().addCallback(lambda _: self.counts.update(["observations ended"]))

    def _stream(self, response: Any) -> None:
        if response is not None:
            response.deliverBody(_Taker(self))

    def _drop(self) -> None:
        """Give one up, or stop observing."""
        if self._observations and self.chance.random() < 0.5:
            at = self.chance.randrange(len(self._observations))
            stopping = self._observations.pop(at).cancel(lazily=self.chance.random() < 0.3)
            stopping.addErrback(self._failed)
        elif self.open:
            _, asking = self.open[self.chance.choice(list(self.open))]
            asking.cancel()

    def finish(self) -> None:
        """No observation goes on."""
        while self._observations:
            self._observations.pop().cancel().addErrback(self._failed)
        self.elapse(5 * PARAMETERS.EXCHANGE_LIFETIME)
        # One that had not begun yet.
        while self._observations:
            self._observations.pop().cancel(lazily=True).addErrback(self._failed)

    def end(self) -> None:
        """All have ended."""
        super().end()
        if self.open:
            raise Unsound(f"never ended: {self.open}")


class _Taker(Protocol):
    """Takes a body that is streamed, and pauses at times."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._isOver = False

    def dataReceived(self, data: bytes) -> None:
        """Some of it."""
        if self._isOver:
            raise Unsound("more after the end")
        if self._client.chance.random() < 0.1:
            transport: Any = self.transport
            transport.pauseProducing()
            self._client.clock.callLater(1.0, self._resume)

    def _resume(self) -> None:
        if not self._isOver:
            transport: Any = self.transport
            transport.resumeProducing()

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        """It is over."""
        if self._isOver:
            raise Unsound("it ended twice")
        self._isOver = True
        self._client.counts["streams over"] += 1


def _ask(client: Client, uri: str, code: Code = Code.GET, payload: Any = b"", **how: Any) -> Deferred[Any]:
    return client.agent.request(code, uri, payload, **how)


Client.beginnings = {
    "get": _ask,
    "unconfirmed": partial(_ask, confirmable=False),
    "timed": partial(_ask, timeout=5.0),
    "post": partial(_ask, code=Code.POST, payload=b"p" * 20),
    "large": partial(_ask, code=Code.PUT, payload=b"l" * 1500),
    "silent": partial(_ask, code=Code.PUT, options=Options(noResponse=26)),
    "stream": partial(_ask, stream=True),
    "observe": lambda client, uri: client.agent.observe(uri),
    "ping": lambda client, uri: client.agent.ping(uri),
}
Client.kinds = (*Client.beginnings, "get", "large", "stream", "observe")


class Fuzzer(running.Fuzzer):
    """A L{Client}, and what happens to it."""

    makes: type[Client] = Client
    stirred = 0.1

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._origins = Origins(self.chance)
        self._last: tuple[bytes, Any] = (b"", PEERS[0])

    def next(self) -> tuple[bytes, Any]:
        """A datagram, and whom it comes from."""
        chance = self.chance
        what = chance.random()
        times = chance.choice((0, 0, 0, 0, 0, 0, 1, 2))
        if chance.random() < 0.03:
            return self._last
        if what < 0.75 and self.subject.recent:
            # What was asked last is the likeliest to be answered.
            at = min(len(self.subject.recent), 1 + int(chance.expovariate(0.3)))
            sent, peer = self.subject.recent[-at]
            data = self._origins.reply(sent, peer)
        elif what < 0.9 and self._origins.observed:
            data, peer = self._origins.notification()
        else:
            peer, data, times = chance.choice(PEERS), chance.choice(self._spoiler.corpus), chance.randrange(3)
        self._last = (self._spoiler.spoil(data, times), peer)
        return self._last


main = partial(running.main, "Give spoiled datagrams to a client.", Fuzzer)
"""Run from the command line; see L{running.main}."""


if __name__ == "__main__":
    sys.exit(main())
