"""
What a server keeps of each confirmable request that it answered, so that a repeated one is known
(RFC 7252 4.5): bytes, from the machines alone, without sockets.

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
from collections.abc import Callable
from pathlib import Path

from txcoap.codes import Code
from txcoap.limits import Limits
from txcoap.options import Options
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.sansio.datagrams import CON, encode
from txcoap.sansio.events import IncomingRequest
from txcoap.sansio.exchanges import Exchanges

ROOT = Path(__file__).resolve().parent.parent
PAGE = 4096
SIZES = (22_000, 88_000)
PEERS = (1, 10_000)

#: Room for all of them: what is measured is an entry, not the bound.
LIMITS = Limits(rememberedBytes=2**30)

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
    apart: Callable[[int, int], float] | None = grownApart if os.path.exists("/proc/self") else None
    print("bytes kept for each remembered CON GET with its reply")
    print(f"  {'peers':>7}{'requests':>10}{'allocated':>11}{'RSS':>8}{'after EXCHANGE_LIFETIME':>25}")
    for peers in PEERS:
        for count in SIZES:
            full, left = allocated(count, peers)
            rss = f"{apart(count, peers):.0f}" if apart else "-"
            print(f"  {peers:>7}{count:>10}{full:>11.0f}{rss:>8}{left:>25.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
