"""
What a server keeps of each confirmable request that it answered, so that a repeated one is known
(RFC 7252 4.5): bytes, from the machines alone, without sockets. And what it keeps of each observer of a
resource (RFC 7641), once it was told a state.

Once all requests come from one peer, once from 10,000. Two measures: what Python allocated
(tracemalloc), and how much the process grew (RSS, in a process of its own, Linux only). Tables grow
by doubling, so the figures are taken just after tables grew, where they are highest.

From the command line, C{python -m benchmarks.memory}.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from benchmarks.arguments import asProgram
from benchmarks.figures import Figure
from txcoap.codes import Code
from txcoap.limits import Limits
from txcoap.observe import ObservableResource
from txcoap.options import Options
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.protocol import CoAPProtocol
from txcoap.sansio.datagrams import ACK, CON, RST, Type, encode
from txcoap.sansio.events import IncomingRequest
from txcoap.sansio.exchanges import Exchanges
from txcoap.server import Site

ROOT = Path(__file__).resolve().parent.parent
PAGE = 4096
SIZES = (22_000, 88_000)
PEERS = (1, 10_000)
OBSERVERS = 22_000

#: Bytes for each at most.
REQUEST_GOAL = 400
OBSERVER_GOAL = 1500

#: Room for all of them: what is measured is an entry, not the bound.
LIMITS = Limits(rememberedBytes=2**30, peers=10**6, observers=10**6)

#: Requests for each simulated second.
RATE = 1_000


def answer(exchanges: Exchanges, count: int, peers: int, first: int = 0) -> float:
    """
    Let a machine receive confirmable GETs and answer them.

    @param peers: How many peers send them, in turn.
    @param first: The number of the first of them; no two numbers give the same request.
    @return: The time of the last.
    """
    path = Options(uriPath=("hello",))
    plain = Options(contentFormat=0)
    now = 0.0
    for n in range(first, first + count):
        now = n / RATE
        data = encode(CON, Code.GET, n // peers & 0xFFFF, n.to_bytes(4, "big"), path)
        address = (f"10.0.{n % peers >> 8}.{n % peers & 255}", 5683)
        request = exchanges.receiveDatagram(data, address, None, now)
        assert isinstance(request, IncomingRequest)
        exchanges.respond(request, Code.CONTENT, plain, b"Hello, world!", now)
        assert len(exchanges.datagramsToSend()) == 1
        # As its driver does after every call.
        if exchanges.next() <= now:
            exchanges.expire(now)
    return now


def machine() -> Exchanges:
    """
    A machine that has answered a few requests: what is made once does not count.
    """
    exchanges = Exchanges(random.Random(1), limits=LIMITS)
    answer(exchanges, 100, 10)
    gc.collect()
    return exchanges


def allocated(count: int, peers: int) -> tuple[float, float]:
    """
    By tracemalloc.

    @return: Bytes for each request, and bytes still kept for each when EXCHANGE_LIFETIME is over.
    """
    exchanges = machine()
    tracemalloc.start()
    try:
        begin = tracemalloc.get_traced_memory()[0]
        last = answer(exchanges, count, peers, 100)
        gc.collect()
        full = tracemalloc.get_traced_memory()[0] - begin
        for wait in (1, 2):
            exchanges.expire(last + wait * (DEFAULT_PARAMETERS.EXCHANGE_LIFETIME + 1))
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - begin
    finally:
        tracemalloc.stop()
    return full / count, left / count


class Lamp(ObservableResource):
    """
    What is observed.
    """

    isLeaf = True

    def render_GET(self, request: object) -> bytes:
        """
        Always the same.
        """
        return b"on"


class Observed:
    """
    A server without a socket, and its observers, each at an address of its own.

    @ivar lamp: What they observe.
    @ivar told: How many notifications were sent.
    """

    def __init__(self, confirmable: bool) -> None:
        self.clock = Clock()
        self.lamp = Lamp()
        self.lamp.confirmable = confirmable
        self.protocol = CoAPProtocol(Site(self.lamp), self.clock, limits=LIMITS, chance=random.Random(1))
        self.protocol.transport = self  # type: ignore[assignment]
        self.protocol.startProtocol()
        self.told = 0
        self._request = Options(observe=0)
        self._sent: list[tuple[int, object]] = []

    def write(self, data: bytes, peer: object) -> None:
        """
        As a transport: note what is to be answered.
        """
        if data[1] and data[0] >> 4 & 3 != ACK:
            self.told += 1
            self._sent.append((int.from_bytes(data[2:4], "big"), peer))

    def observe(self, numbers: range) -> None:
        """
        Let observers with these numbers begin.
        """
        for n in numbers:
            data = encode(CON, Code.GET, n & 0xFFFF, n.to_bytes(4, "big"), self._request)
            self.protocol.datagramReceived(data, (f"10.0.{n >> 8}.{n & 255}", 5683))

    def change(self, reply: Type) -> None:
        """
        Tell them all, and let each answer.
        """
        self.lamp.notifyObservers()
        for _ in range(10_000):
            sent, self._sent = self._sent, []
            for messageID, peer in sent:
                self.protocol.datagramReceived(encode(reply, Code.EMPTY, messageID, b""), peer)
            if not self._sent:
                self.clock.advance(0.02)
            if not self._sent:
                return


def observers(count: int, confirmable: bool) -> tuple[float, float]:
    """
    By tracemalloc.

    @return: Bytes for each observer that was told a state, what was remembered of its request gone; and
        bytes still kept for each when all have left.
    """
    observed = Observed(confirmable)
    observed.observe(range(100))
    observed.change(ACK)
    gc.collect()
    tracemalloc.start()
    try:
        begin = tracemalloc.get_traced_memory()[0]
        observed.observe(range(100, 100 + count))
        for _ in range(3):
            observed.clock.advance(DEFAULT_PARAMETERS.EXCHANGE_LIFETIME)
        told = observed.told
        observed.change(ACK)
        assert observed.told == told + count + 100
        gc.collect()
        full = tracemalloc.get_traced_memory()[0] - begin
        observed.clock.advance(4.0)
        observed.change(RST)
        assert not observed.lamp.observerCount
        for _ in range(3):
            observed.clock.advance(DEFAULT_PARAMETERS.EXCHANGE_LIFETIME)
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - begin
    finally:
        tracemalloc.stop()
    return full / count, left / count


def resident() -> int:
    """
    The memory of this process in bytes.
    """
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def grown(count: int, peers: int) -> float:
    """
    By the growth of this process, which should be young.

    @return: Bytes for each request.
    """
    exchanges = machine()
    begin = resident()
    answer(exchanges, count, peers, 100)
    gc.collect()
    return (resident() - begin) / count


def grownApart(count: int, peers: int) -> float:
    """
    L{grown}, in a new process.
    """
    command = [sys.executable, "-m", "benchmarks.memory", "--grown", str(count), str(peers)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def measure() -> dict[str, Any]:
    """
    All of it.

    @return: C{remembered} and C{observers}, a list of cases each; C{rss} is None where there is no C{/proc}.
    """
    isLinux = os.path.exists("/proc/self")
    requests = [(peers, count, allocated(count, peers)) for peers in PEERS for count in SIZES]
    told = [(confirmable, observers(OBSERVERS, confirmable)) for confirmable in (True, False)]
    return {
        "remembered": [
            {
                "peers": peers,
                "requests": count,
                "bytes": full,
                "rss": grownApart(count, peers) if isLinux else None,
                "left": left,
            }
            for peers, count, (full, left) in requests
        ],
        "observers": [
            {"confirmable": confirmable, "observers": OBSERVERS, "bytes": full, "left": left}
            for confirmable, (full, left) in told
        ],
    }


def figures(measured: dict[str, Any]) -> Iterator[Figure]:
    """
    What L{measure} comes to: the worst cases.
    """
    worst = max(each["bytes"] for each in measured["remembered"])
    yield Figure("memory of a remembered request", worst, "bytes", REQUEST_GOAL)
    worst = max(each["bytes"] for each in measured["observers"])
    yield Figure("memory of an observer", worst, "bytes", OBSERVER_GOAL)


def lines(measured: dict[str, Any]) -> Iterator[str]:
    """
    What L{measure} found as lines of text.
    """
    yield "bytes kept for each remembered CON GET with its reply"
    yield f"  {'peers':>7}{'requests':>10}{'allocated':>11}{'RSS':>8}{'after EXCHANGE_LIFETIME':>25}"
    for each in measured["remembered"]:
        rss = "-" if each["rss"] is None else f"{each['rss']:.0f}"
        yield (
            f"  {each['peers']:>7}{each['requests']:>10}{each['bytes']:>11.0f}{rss:>8}{each['left']:>25.1f}"
        )
    yield "bytes kept for each observer that was told a state"
    yield f"  {'observers':>10}  {'notifications':16}{'allocated':>11}{'when all have left':>20}"
    for each in measured["observers"]:
        kind = "confirmable" if each["confirmable"] else "not confirmable"
        yield f"  {each['observers']:>10}  {kind:16}{each['bytes']:>11.0f}{each['left']:>20.1f}"


def main(words: list[str]) -> int:
    """
    Measure and print.
    """
    p = argparse.ArgumentParser(prog="benchmarks.memory", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--grown", type=int, nargs=2, metavar=("COUNT", "PEERS"), help="one RSS figure")
    given = p.parse_args(words)
    if given.grown:
        print(grown(*given.grown))
        return 0
    print("\n".join(lines(measure())))
    return 0


if __name__ == "__main__":
    asProgram(main)
