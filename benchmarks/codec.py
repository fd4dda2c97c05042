"""
The codec alone: decode a GET and encode its 2.05, beside the CPU time of a canned reply.

The request has two Uri-Path, one Uri-Query, Accept and a token of 4 bytes; the response has
Content-Format and 64 bytes of payload. Once they are the same each time, as from devices that poll,
and once no two are alike, so that nothing remembered of earlier ones helps.

From the command line, C{python -m benchmarks.codec}.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import process_time
from typing import Any

from benchmarks.arguments import asProgram, bounded
from benchmarks.figures import Figure
from benchmarks.loadgen import NoCompiler
from benchmarks.peers import YARDSTICK, placement
from benchmarks.run import measure
from txcoap.codes import Code
from txcoap.options import Options
from txcoap.sansio.datagrams import ACK, CON, decode, encode

PAYLOAD = bytes(range(64, 128))
TOKEN = b"\x01\x02\x03\x04"

#: What it may cost, in times of the canned reply, where the options are those of another request before: so
#: it is of devices that poll.
SAME = "the same each time"
GOAL = 0.45

#: Distinct requests: far more than any memory of parsed options would hold.
DISTINCT = 20_000


def request(number: int) -> bytes:
    """
    A GET as bytes; another number gives other bytes of the same length.
    """
    query = f"n={number:06}"
    options = Options(uriPath=("sensors", "temperature"), uriQuery=(query,), accept=60)
    return encode(CON, Code.GET, number & 0xFFFF, TOKEN, options)


def same(count: int) -> float:
    """
    The same request and response each time.

    @return: Seconds of CPU for all of them.
    """
    data = request(0)
    options = Options(contentFormat=60)
    begin = process_time()
    for _ in range(count):
        got = decode(data)
        encode(ACK, Code.CONTENT, got.messageID, got.token, options, PAYLOAD)
    return process_time() - begin


def different(count: int) -> float:
    """
    Each request other than all before it, and each response's options made anew.

    @return: Seconds of CPU for all of them.
    """
    requests = [request(n) for n in range(min(count, DISTINCT))]
    begin = process_time()
    for n in range(count):
        got = decode(requests[n % DISTINCT])
        options = Options(contentFormat=n & 0xFF)
        encode(ACK, Code.CONTENT, got.messageID, got.token, options, PAYLOAD)
    return process_time() - begin


def differentAndRead(count: int) -> float:
    """
    As L{different}, and path, query and Accept are read from each request, as a server would.

    @return: Seconds of CPU for all of them.
    """
    requests = [request(n) for n in range(min(count, DISTINCT))]
    begin = process_time()
    for n in range(count):
        got = decode(requests[n % DISTINCT])
        _ = got.options.uriPath, got.options.uriQuery, got.options.accept
        options = Options(contentFormat=n & 0xFF)
        encode(ACK, Code.CONTENT, got.messageID, got.token, options, PAYLOAD)
    return process_time() - begin


CASES: dict[str, Callable[[int], float]] = {
    SAME: same,
    "each different": different,
    "each different, read": differentAndRead,
}


@contextmanager
def keptOn(cpu: int | None) -> Iterator[None]:
    """
    The measuring process on one processor for as long as the block lasts; None lets it be.
    """
    before = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def compare(rounds: int, count: int, requests: int) -> dict[str, list[tuple[float, float]]]:
    """
    Measure each case, and a canned reply right before it on the same processor, in turn.

    @param count: Requests for the codec in a round.
    @param requests: Requests for the canned reply in a round; 0 leaves it out.
    @return: For each case and round microseconds for each request, and the ratio to the canned
        reply, or 0.
    @raise NoCompiler: if there is to be a canned reply, but the load cannot be compiled.
    """
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for number in range(rounds):
        for name, case in CASES.items():
            canned = measure(YARDSTICK, "get", number=number, requests=requests) if requests else None
            with keptOn(placement(number)[0]):
                micros = case(count) / count * 1e6
            yardstick = canned.serverMicros if canned else None
            results[name].append((micros, micros / yardstick if yardstick else 0.0))
    return results


def summaries(results: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """
    Medians over all rounds by case: C{micros}, and C{ratio} to the canned reply, or 0.
    """
    return {
        name: dict(zip(("micros", "ratio"), map(median, zip(*rounds, strict=True)), strict=True))
        for name, rounds in results.items()
    }


def figures(measured: dict[str, Any]) -> Iterator[Figure]:
    """
    What L{summaries} come to.
    """
    for name, each in measured.items():
        if each["ratio"]:
            yield Figure(f"codec, {name}: CPU", each["ratio"], "x canned", GOAL if name == SAME else None)


def lines(measured: dict[str, Any]) -> Iterator[str]:
    """
    L{summaries} as lines of text.
    """
    yield "decode a GET, encode a 2.05"
    yield f"  {'':22}{'CPU us':>9}{'ratio to canned':>17}"
    for name, each in measured.items():
        ratio = f"{each['ratio']:.2f}" if each["ratio"] else "-"
        yield f"  {name:22}{each['micros']:>9.2f}{ratio:>17}"


def main(words: list[str]) -> int:
    """
    Measure and print.
    """
    p = argparse.ArgumentParser(prog="benchmarks.codec", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--rounds", type=bounded(1), default=6)
    p.add_argument("--count", type=bounded(1), default=40_000, help="requests for the codec in a round")
    p.add_argument("--requests", type=bounded(0), default=10_000, help="for the canned reply; 0: none")
    given = p.parse_args(words)
    try:
        results = compare(given.rounds, given.count, given.requests)
    except NoCompiler as e:
        print(e, file=sys.stderr)
        results = compare(given.rounds, given.count, 0)
    print("\n".join(lines(summaries(results))))
    return 0


if __name__ == "__main__":
    asProgram(main)
