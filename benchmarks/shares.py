"""
Where the time of a request goes: which part of the server's CPU time each stage of its path takes.

The server runs with a timer of CPU time (C{SIGPROF}), which interrupts it some hundred times per second,
between two of Python's instructions; each time the innermost function says which stage it was in. What the
system does within a call, such as to send, counts as the caller's. So it is not slower than without, unlike
under a tracing profiler; a figure is good to a few per cent.

From the command line, C{python -m benchmarks.shares}. C{python -m benchmarks.shares --serve PORT} is
the server alone, which has C{/samples}: how many were taken in each stage since that was last asked for, as
JSON.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from benchmarks.arguments import asProgram, bounded
from benchmarks.filled import Told
from benchmarks.loadgen import NoCompiler, load, socketsFor
from benchmarks.modes import MODES
from benchmarks.peers import HERE, ROOT, Server, placement, running
from benchmarks.scaling import fetch
from benchmarks.server import tree
from txcoap import Site, endpoints

__all__ = ["STAGES", "lines", "measure", "stageOf"]

#: The modes that are looked at.
SAMPLED = ("get", "post", "block", "observe")

#: Requests of a load: of what must not run twice one host may fill half of the memory, and no more.
MOST = 120_000

#: Seconds of CPU time between two samples; the system may have none that are so short.
INTERVAL = 0.001

_TXCOAP = f"{ROOT}/txcoap/"

#: What a stage is, by the beginning of a module's path and, after a colon, of a function's name. The first
#: that fits counts; what fits none is the caller's.
STAGES: tuple[tuple[str, str], ...] = (
    (_TXCOAP + "transports/port.py:send", "send"),
    (_TXCOAP + "transports/", "receive"),
    (_TXCOAP + "driver.py:_write", "send"),
    (_TXCOAP + "driver.py:_flush", "send"),
    (_TXCOAP + "sansio/datagrams.py:encode", "encode"),
    (_TXCOAP + "sansio/optionlist.py:encode", "encode"),
    (_TXCOAP + "sansio/datagrams.py", "decode"),
    (_TXCOAP + "sansio/optionlist.py", "decode"),
    (_TXCOAP + "sansio/duplicates.py", "duplicates"),
    (_TXCOAP + "sansio/deadlines.py", "deadlines"),
    (_TXCOAP + "sansio/notifying.py", "observers"),
    (_TXCOAP + "sansio/observations.py", "observers"),
    (_TXCOAP + "observe.py", "observers"),
    (_TXCOAP + "sansio/blocks.py", "blocks"),
    (_TXCOAP + "sansio/transfers.py", "blocks"),
    (_TXCOAP + "blockwise.py", "blocks"),
    (_TXCOAP + "block.py", "blocks"),
    (_TXCOAP + "sansio/", "messages"),
    (_TXCOAP + "options.py", "options"),
    (_TXCOAP + "definitions.py", "options"),
    (_TXCOAP, "dispatch"),
    (f"{HERE}/server.py", "render"),
)

#: What no function of txcoap was in: Twisted's reactor, and what it waits with.
REACTOR = "reactor"

#: The stages in the order of a request's way.
ORDER = (
    REACTOR,
    *("receive", "decode", "options", "duplicates", "messages", "deadlines"),
    *("dispatch", "render", "blocks", "observers", "encode", "send"),
)


def stageOf(frame: FrameType | None) -> str:
    """
    The stage that a frame, or the next of its callers that tells, is in.
    """
    while frame is not None:
        code = frame.f_code
        place = f"{code.co_filename}:{code.co_name}"
        for start, stage in STAGES:
            if place.startswith(start):
                return stage
        frame = frame.f_back
    return REACTOR


class Samples:
    """
    What was sampled.
    """

    def __init__(self) -> None:
        self._frames: Counter[str] = Counter()

    def take(self, number: int, frame: FrameType | None) -> None:
        """
        As a signal's handler.
        """
        self._frames[stageOf(frame)] += 1

    def tell(self) -> dict[str, int]:
        """
        How many in each stage, which are not told again.
        """
        told, self._frames = self._frames, Counter()
        return dict(told)


async def serve(reactor: Any, port: str) -> None:
    """
    What C{benchmarks/server.py} serves, sampled, until the process is ended.
    """
    samples, root = Samples(), tree()
    root.putChild("samples", Told(samples.tell))
    await endpoints.serverFromString(reactor, f"udp:{port}:interface=127.0.0.1").listen(Site(root))
    signal.signal(signal.SIGPROF, samples.take)
    signal.siginterrupt(signal.SIGPROF, False)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    await Deferred()


SERVER = Server(lambda port: [sys.executable, "-m", "benchmarks.shares", "--serve", port])


def measure(modes: Iterable[str] = SAMPLED, seconds: float = 3.0) -> dict[str, dict[str, float]]:
    """
    Put loads on the server.

    @return: For each mode the share of each stage, of 1; those that are left out had none.
    @raise RuntimeError: if an answer was wrong.
    """
    result: dict[str, dict[str, float]] = {}
    own, other = placement(0)
    for mode in modes:
        # Each begins with empty tables.
        with running(SERVER, own) as (port, _):
            fetch(port, "samples")
            requests = int(min(seconds * 100_000, MOST))
            options = {"sockets": socketsFor(requests), **MODES[mode].options, "port": port, "cpu": other}
            report = load(MODES[mode].source, **options, requests=requests, warmup=0, seconds=seconds)
            if report.errors:
                raise RuntimeError(f"{mode}: {report.errors} errors: {report.outcomes}")
            taken = fetch(port, "samples")
            total = sum(taken.values())
            result[mode] = {stage: taken[stage] / total for stage in ORDER if stage in taken}
    return result


def lines(measured: dict[str, dict[str, float]]) -> Iterator[str]:
    """
    What L{measure} found as lines of text.
    """
    yield "CPU time by stage, in per cent"
    yield f"  {'':12}" + "".join(f"{mode:>9}" for mode in measured)
    for stage in ORDER:
        if any(stage in shares for shares in measured.values()):
            figures = "".join(f"{shares.get(stage, 0.0) * 100:>9.0f}" for shares in measured.values())
            yield f"  {stage:12}{figures}"


def main(words: list[str]) -> int:
    """
    Measure and print.

    @return: 1 if nothing could be measured.
    """
    p = argparse.ArgumentParser(prog="benchmarks.shares", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--serve", metavar="PORT", help="be the server")
    p.add_argument("--seconds", type=bounded(0.01, 3600), default=3.0, help="for each kind of load")
    given = p.parse_args(words)
    if given.serve is not None:
        react(serve, [given.serve])
    try:
        print("\n".join(lines(measure(seconds=given.seconds))))
    except NoCompiler as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    asProgram(main)
