"""
Whatever datagrams come, in whatever order: no exception leaves the machines; every datagram that they
send can be read and is one that may be sent; every table stays within its limit; and when all has been
silent for EXCHANGE_LIFETIME, every table is empty.

Valid messages are spoiled (bits flipped, ends cut off, two of them spliced, lengths exaggerated) and
given to L{Exchanges}, which serves those that it takes for requests, and has requests of its own open,
whose IDs and tokens some of the datagrams know::

    python -m fuzz.datagrams --count 1000000 --seed 1
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, deque
from random import Random

from txcoap.codes import Code
from txcoap.errors import CoAPError, RequestError
from txcoap.limits import Limits
from txcoap.message import Request
from txcoap.options import DEFINITIONS, Options
from txcoap.sansio.datagrams import Datagram, decode
from txcoap.sansio.events import IncomingRequest, OutgoingRequest
from txcoap.sansio.exchanges import Exchanges

from .soundness import PARAMETERS, SENDABLE, Unsound
from .spoiling import Spoiler, corpus

__all__ = ["Fuzzer", "Unsound", "main"]

LIMITS = Limits(
    rememberedBytes=50_000,
    rememberedReply=256,
    peers=20,
    queuedRequests=5,
    pendingRequests=20,
    uploads=5,
    uploadBytes=5_000,
    bodyBytes=3_000,
    downloads=5,
    downloadBytes=5_000,
)
PEERS = [(f"192.0.2.{number // 2}", number) for number in range(40)]

# Requests of our own that are open at any time.
OURS = 30
LARGEST_REPLY = 1200


class Fuzzer:
    """
    A machine, and what happens to it.

    @param seed: What chance begins with: the same seed gives the same run.
    @ivar counts: What came of the datagrams.
    """

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.machine = Exchanges(Random(seed + 1), PARAMETERS, LIMITS)
        self.now = 0.0
        self.counts: Counter[str] = Counter()
        self._corpus = corpus(self.chance)
        self._spoiler = Spoiler(self.chance, self._corpus)
        self._recent: deque[tuple[Datagram, object]] = deque(maxlen=50)
        self._unanswered: deque[IncomingRequest] = deque(maxlen=5)
        self._asked: deque[OutgoingRequest] = deque()

    def run(self, count: int) -> None:
        """
        Give the machine so many datagrams, and then silence.

        @raise Unsound: if the invariant does not hold.
        """
        for number in range(count):
            data, peer = self._next()
            try:
                self._step(data, peer)
            except Exception as e:
                raise Unsound(f"datagram {number}, {data.hex()} from {peer}: {e!r}") from e
        self._silence()

    def _step(self, data: bytes, peer: object) -> None:
        machine, chance = self.machine, self.chance
        self.now += chance.random() * chance.choice((0.01, 0.1, 1.0))
        if chance.random() < 0.02:
            report: object = machine.receiveUnreachable(data, peer, 111, self.now)
        else:
            report = machine.receiveDatagram(data, peer, None, self.now)
        self.counts[type(report).__name__] += 1
        if isinstance(report, IncomingRequest):
            self._serve(report)
            machine.defer(report, self.now)
        if machine.next() <= self.now:
            for event in machine.expire(self.now):
                self.counts[type(event).__name__] += 1
        if chance.random() < 0.05:
            self._ask()
        self._checkSent()
        self._checkSizes()

    def _serve(self, request: IncomingRequest) -> None:
        """Look at a request as a resource would; answer it, or one that waits, or none."""
        for definition in DEFINITIONS.values():
            try:
                getattr(request.options, definition.attribute)
            except CoAPError:
                self.counts["unreadable options"] += 1
        what = self.chance.random()
        if what < 0.7:
            self._answer(request)
        elif what < 0.75:
            self.machine.resetRequest(request)
        else:
            self._unanswered.append(request)
            if what < 0.97:
                self._answer(self._unanswered.popleft())

    def _answer(self, request: IncomingRequest) -> None:
        body = bytes(self.chance.choice((0, 1, 20, 300, 1100)))
        code = self.chance.choice((Code.CONTENT, Code.CHANGED, Code.NOT_FOUND))
        self.machine.respond(request, code, Options(maxAge=3), body, self.now)

    def _ask(self) -> None:
        """Begin a request of our own, and end the oldest one if there are many."""
        peer = self.chance.choice(PEERS)
        try:
            self._asked.append(
                self.machine.request(
                    Request(Code.GET, uriPath=("a",)), peer, self.now, confirmable=self.chance.random() < 0.7
                )
            )
        except RequestError as e:
            self.counts[type(e).__name__] += 1
        if len(self._asked) > OURS:
            self.machine.cancel(self._asked.popleft(), self.now)

    def _checkSent(self) -> None:
        for data, peer, _ in self.machine.datagramsToSend():
            datagram = decode(data)
            codeClass = datagram.code.codeClass if datagram.code else -1
            if codeClass not in SENDABLE[datagram.type]:
                raise Unsound(f"sent {datagram}")
            self.counts["sent"] += 1
            self._recent.append((datagram, peer))

    def _checkSizes(self) -> None:
        sizes = self.machine.sizes()
        bounds = {
            "openRequests": OURS + 1,
            "rememberedBytes": LIMITS.rememberedBytes + LARGEST_REPLY,
            "peers": LIMITS.peers,
            "pendingRequests": LIMITS.pendingRequests,
            "transmissions": OURS + 1 + LIMITS.pendingRequests,
            "deadlines": 2 * (OURS + 1) + LIMITS.pendingRequests + LIMITS.peers + 4,
        }
        for name, size in sizes.items():
            bound = bounds.get(name) or getattr(LIMITS, name, None)
            if bound is not None and size > bound:
                raise Unsound(f"{name} is {size}, beyond {bound}")

    def _silence(self) -> None:
        """Nothing comes any more: all is forgotten."""
        for exchange in self._asked:
            self.machine.cancel(exchange, self.now)
        # What is unanswered, or unacknowledged, has its own time before EXCHANGE_LIFETIME begins.
        end = self.now + 3 * PARAMETERS.EXCHANGE_LIFETIME
        while self.machine.next() <= end:
            self.now = max(self.now, self.machine.next())
            self.machine.expire(self.now)
            self._checkSent()
            self._checkSizes()
        if any(self.machine.sizes().values()):
            raise Unsound(f"left at the end: {self.machine.sizes()}")

    # What comes

    def _next(self) -> tuple[bytes, object]:
        """A datagram, and whom it comes from."""
        chance = self.chance
        if self._recent and chance.random() < 0.3:
            sent, peer = chance.choice(self._recent)
            data = self._spoiler.reply(sent)
        else:
            peer = chance.choice(PEERS)
            data = chance.choice(self._corpus)
        return self._spoiler.spoil(data, chance.choice((0, 1, 1, 2, 5))), peer


def main(arguments: list[str] | None = None) -> int:
    """
    Run from the command line.

    @return: The exit code: 0 if the invariant held.
    """
    parser = argparse.ArgumentParser(description="Give spoiled datagrams to the machines.")
    parser.add_argument("--count", type=int, default=1_000_000, help="how many (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with (default 1)")
    options = parser.parse_args(arguments)
    fuzzer = Fuzzer(options.seed)
    began = time.perf_counter()
    try:
        fuzzer.run(options.count)
    except Unsound as e:
        print(f"unsound: {e}", file=sys.stderr)
        return 1
    for name, count in sorted(fuzzer.counts.items()):
        print(f"{count:10,} {name}")
    print(f"{options.count:,} datagrams in {time.perf_counter() - began:.1f} s: sound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
