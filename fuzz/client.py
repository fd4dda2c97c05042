"""
A client under spoiled datagrams: an L{Agent<txcoap.client.Agent>} with requests of every kind under way,
bodies in blocks both ways, streams, observations and pings. What its servers say is right for the most
part, so that all of them get somewhere, and spoiled now and then. Beside what L{fuzz.soundness} says,
each request must end exactly once, and with an error of ours if with any::

    python -m fuzz.client --count 1000000 --seed 1
"""

from __future__ import annotations

import sys
from collections import deque
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from txcoap.block import Block
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.errors import CoAPError
from txcoap.options import NO_OPTIONS, Options
from txcoap.protocol import CoAPProtocol
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, empty, encode

from . import running
from .soundness import LIMITS, PARAMETERS, Subject, Unsound
from .spoiling import Spoiler, corpus, written

__all__ = ["Client", "Fuzzer"]

PEERS = [("192.0.2.9", port) for port in range(5683, 5689)]

# Requests, pings and observations under way at a time.
OURS = 20


class Client(Subject):
    """
    A client.

    @ivar open: What is under way, by a number: its kind, and its Deferred.
    """

    BEGINS = frozenset({-1, 0})

    def newProtocol(self) -> CoAPProtocol:
        """With the agent on it, and nothing that serves."""
        protocol = CoAPProtocol(
            None, self.clock, parameters=PARAMETERS, limits=LIMITS, chance=Random(self.chance.random())
        )
        self.open: dict[int, tuple[str, Deferred[Any]]] = {}
        self._begun = 0
        self._observations: list[Any] = []
        self._agent = Agent(self.clock, protocol=protocol, blockSize=256, maximumBody=20_000)
        return protocol

    def stir(self) -> None:
        """A request begins, or one is cancelled."""
        if len(self.open) >= OURS:
            self._drop()
        kind = self.chance.choice(KINDS)
        _, port = self.chance.choice(PEERS)
        uri = f"coap://192.0.2.9:{port}/a/b"
        self._begin(kind, _BEGINNINGS[kind](self, uri))
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
    return client._agent.request(code, uri, payload, **how)


_BEGINNINGS: dict[str, Any] = {
    "get": _ask,
    "unconfirmed": partial(_ask, confirmable=False),
    "timed": partial(_ask, timeout=5.0),
    "post": partial(_ask, code=Code.POST, payload=b"p" * 20),
    "large": partial(_ask, code=Code.PUT, payload=b"l" * 1500),
    "silent": partial(_ask, code=Code.PUT, options=Options(noResponse=26)),
    "stream": partial(_ask, stream=True),
    "observe": lambda client, uri: client._agent.observe(uri),
    "ping": lambda client, uri: client._agent.ping(uri),
}
KINDS = (*_BEGINNINGS, "get", "large", "stream", "observe")


class Fuzzer:
    """
    A L{Client}, and what happens to it.

    @param seed: What chance begins with: the same seed gives the same run.
    @ivar subject: The client.
    """

    def __init__(self, seed: int) -> None:
        self.chance = chance = Random(seed)
        self.subject = Client(seed + 1)
        self._spoiler = Spoiler(chance, corpus(chance))
        self._observed: deque[tuple[Any, bytes]] = deque(maxlen=10)
        self._last: tuple[bytes, Any] = (b"", PEERS[0])
        self._sequence = 0
        self._messageID = 0

    def step(self) -> None:
        """One datagram, or what else may happen."""
        chance, subject = self.chance, self.subject
        what = chance.random()
        if what < 0.1:
            subject.stir()
        if what > 0.99 and subject.recent:
            sent, peer = chance.choice(subject.recent)
            subject.returned(written(sent), peer)
        else:
            data, peer = self._next()
            subject.receive(data, peer)
        subject.elapse(chance.random() * chance.choice((0.0, 0.01, 0.1, 0.1, 1.0)))
        if what > 0.999:
            subject.elapse(chance.choice((10.0, 100.0, 300.0)))

    def _next(self) -> tuple[bytes, Any]:
        chance = self.chance
        what = chance.random()
        times = chance.choice((0, 0, 0, 0, 0, 0, 1, 2))
        if chance.random() < 0.03:
            return self._last
        if what < 0.75 and self.subject.recent:
            # What was asked last is the likeliest to be answered.
            at = min(len(self.subject.recent), 1 + int(chance.expovariate(0.3)))
            sent, peer = self.subject.recent[-at]
            data = self.reply(sent, peer)
        elif what < 0.9 and self._observed:
            peer, token = chance.choice(self._observed)
            data = self._notification(token)
        else:
            peer, data, times = chance.choice(PEERS), chance.choice(self._spoiler.corpus), chance.randrange(3)
        self._last = (self._spoiler.spoil(data, times), peer)
        return self._last

    def reply(self, sent: Datagram, peer: Any) -> bytes:
        """What a server says to what it was sent."""
        chance = self.chance
        if not sent.code or chance.random() < 0.02:
            return empty(RST, sent.messageID)
        if sent.type == CON and chance.random() < 0.1:
            return empty(ACK, sent.messageID)
        if sent.type == CON and chance.random() < 0.8:
            type, messageID = ACK, sent.messageID
        else:
            type, messageID = chance.choice((CON, NON)), self._newID()
        code, options, payload = self._answerTo(sent)
        if sent.options.observe == 0 and chance.random() < 0.7:
            self._sequence = (self._sequence + 1) & 0xFFFFFF
            options = options.evolve(observe=self._sequence)
            self._observed.append((peer, sent.token))
        return encode(type, code, messageID, sent.token, options, payload)

    def _answerTo(self, sent: Datagram) -> tuple[Code, Options, bytes]:
        chance = self.chance
        what = chance.random()
        if what < 0.1:
            errors = (
                Code.NOT_FOUND,
                Code.UNAUTHORIZED,
                Code.REQUEST_ENTITY_INCOMPLETE,
                Code.TOO_MANY_REQUESTS,
            )
            echo = chance.randbytes(8) if chance.random() < 0.5 else None
            return chance.choice(errors), Options(maxAge=chance.choice((None, 1)), echo=echo), b"no"
        block1 = sent.options.block1
        exponent = chance.choice((0, 2, 4, 4, 4, 6))
        if block1 is not None and block1.more:
            if what < 0.15:
                return Code.REQUEST_ENTITY_TOO_LARGE, Options(block1=Block(0, False, exponent), size1=64), b""
            number = block1.number if what < 0.95 else chance.randrange(4)
            smaller = min(exponent, block1.exponent) if what < 0.5 else block1.exponent
            return Code.CONTINUE, Options(block1=Block(number, True, smaller)), b""
        options = NO_OPTIONS if block1 is None else Options(block1=block1)
        block2 = sent.options.block2
        code = Code.CONTENT if sent.code == Code.GET else Code.CHANGED
        if block2 is None and what < 0.4:
            return code, options, b"small"
        number = 0 if block2 is None or what > 0.95 else block2.number
        exponent = exponent if block2 is None else min(block2.exponent, 6)
        more = chance.random() < 0.8
        options = options.evolve(
            block2=Block(number, more, exponent),
            etag=(b"same",) if what < 0.9 else (chance.randbytes(2),),
            size2=chance.choice((None, None, 700)),
        )
        return code, options, bytes((16 << exponent) if more else chance.randint(0, 16 << exponent))

    def _notification(self, token: bytes) -> bytes:
        chance = self.chance
        self._sequence = (self._sequence + chance.choice((1, 1, 1, -1, 5, 2**23))) & 0xFFFFFF
        options = Options(
            observe=self._sequence if chance.random() < 0.95 else None,
            maxAge=chance.choice((None, 0, 5, 60)),
        )
        if chance.random() < 0.3:
            options = options.evolve(block2=Block(0, True, 2), etag=(chance.randbytes(2),))
        code = Code.CONTENT if chance.random() < 0.95 else Code.NOT_FOUND
        payload = bytes(64 if options.block2 else 5)
        return encode(chance.choice((CON, NON)), code, self._newID(), token, options, payload)

    def _newID(self) -> int:
        self._messageID = (self._messageID + 1) & 0xFFFF
        return self._messageID


def main(arguments: list[str] | None = None) -> int:
    """
    Run from the command line.

    @return: The exit code: 0 if all that must hold held.
    """
    return running.main("Give spoiled datagrams to a client.", Fuzzer, arguments)


if __name__ == "__main__":
    sys.exit(main())
