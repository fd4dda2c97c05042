"""
What several workers cost and gain: C{twistd coap --workers} with one and with two, in turn, under the load of
many peers.

CPU time for each request is that of the workers, user and system, by C{/proc}; how many each answered is what
it says itself, by C{--prometheus}. The load needs a processor too, so two workers are twice as fast only
where there are three.

From the command line: C{python -m benchmarks.workers}.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

from benchmarks.loadgen import NoCompiler, Report, load
from benchmarks.peers import GET_HELLO, ROOT, ask, freePort
from benchmarks.server import tree
from txcoap import Resource

COST_GOAL = 1.15
"""CPU time for each request by two workers, to that by one, at most."""

SHARE_GOAL = (40.0, 60.0)
"""Per cent of the requests that each of two answers."""

ANSWERED = re.compile(rb'^txcoap_responses_sent_total\{worker="(\d+)",code="2.05"\} (\d+)$', re.MULTILINE)


def resources(reactor: Any) -> Resource:
    """
    What each worker serves.
    """
    return tree()


@dataclass(frozen=True)
class Turn:
    """
    One load.

    @ivar micros: CPU time of all workers for each request, in microseconds.
    @ivar shares: How many of the requests each worker answered, in per cent.
    @ivar report: What the load says.
    """

    micros: float
    shares: list[float]
    report: Report


class Workers:
    """
    A server with workers that runs.
    """

    def __init__(self, supervisor: int, port: int, webPort: int) -> None:
        self._port = port
        self._figures = f"http://127.0.0.1:{webPort}/"
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text()
        self._workers = children.split()

    def answered(self) -> list[int]:
        """
        How many requests each has answered.
        """
        with urlopen(self._figures, timeout=5) as answer:
            return [int(number) for _, number in ANSWERED.findall(answer.read())]

    def _cpu(self) -> float:
        """
        CPU time of all workers in microseconds.
        """
        spent = [Path(f"/proc/{each}/schedstat").read_text().split()[0] for each in self._workers]
        return sum(map(int, spent)) / 1000

    def measure(self, requests: int, sockets: int, window: int) -> Turn:
        """
        Put a load on it.
        """
        options: dict[str, str | float | bool | None] = {
            "port": self._port,
            "expect": "Hello, world!",
            "sockets": sockets,
            "window": window,
        }
        load(**options, requests=requests // 10, warmup=0)
        before, spent = self.answered(), self._cpu()
        report = load(**options, requests=requests, warmup=0)
        spent = self._cpu() - spent
        counts = [now - then for now, then in zip(self.answered(), before, strict=True)]
        return Turn(spent / sum(counts), [100 * each / sum(counts) for each in counts], report)


@contextmanager
def running(count: int) -> Iterator[Workers]:
    """
    C{twistd coap --workers} for as long as the block lasts.
    """
    port = freePort()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        webPort = probe.getsockname()[1]
    command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]
    command += ["coap", "--workers", str(count), "--resources", "benchmarks.workers.resources"]
    command += ["--listen", f"udp:{port}:interface=127.0.0.1", "--grace", "0"]
    command += ["--prometheus", f"tcp:{webPort}:interface=127.0.0.1"]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    )
    try:
        # Different sockets, until each worker has answered one.
        while True:
            ask(port, process, GET_HELLO)
            workers = Workers(process.pid, port, webPort)
            if len(workers.answered()) == count:
                break
        yield workers
    finally:
        process.terminate()
        process.wait()


def compare(rounds: int, requests: int, sockets: int, window: int) -> dict[int, list[Turn]]:
    """
    One worker and two, in turn.

    @return: The turns of each.
    """
    turns: dict[int, list[Turn]] = {1: [], 2: []}
    with running(1) as one, running(2) as two:
        for _ in range(rounds):
            turns[1].append(one.measure(requests, sockets, window))
            turns[2].append(two.measure(requests, sockets, window))
    return turns


def main(words: list[str]) -> int:
    """
    Measure and print.

    @return: 1 if an answer was wrong.
    """
    p = argparse.ArgumentParser(prog="benchmarks.workers", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--requests", type=int, default=20_000, help="in a turn")
    p.add_argument("--sockets", type=int, default=1000, help="peers that the server sees")
    p.add_argument("--window", type=int, default=64, help="requests in flight")
    given = p.parse_args(words)
    try:
        turns = compare(given.rounds, given.requests, given.sockets, given.window)
    except NoCompiler as e:
        print(e, file=sys.stderr)
        return 1
    print(f"confirmable GET by workers; medians of {given.rounds} turns, {given.sockets} peers")
    print(f"  {'workers':8}{'CPU us':>9}{'req/s':>9}{'p99 us':>9}{'errors':>9}   share of each, %")
    for count, own in turns.items():
        shares = [median(column) for column in zip(*(turn.shares for turn in own), strict=True)]
        print(
            f"  {count:<8}{median(turn.micros for turn in own):>9.2f}"
            f"{median(turn.report.rate for turn in own):>9.0f}{median(turn.report.p99 for turn in own):>9.0f}"
            f"{sum(turn.report.errors for turn in own):>9}   {', '.join(f'{each:.1f}' for each in shares)}"
        )
    ratio = median(two.micros / one.micros for one, two in zip(turns[1], turns[2], strict=True))
    least, most = SHARE_GOAL
    print(f"  two to one, CPU for each request: {ratio:.2f} (goal: at most {COST_GOAL})")
    worst = max((share for turn in turns[2] for share in turn.shares), key=lambda share: abs(share - 50))
    print(f"  furthest from half in a turn: {worst:.1f} % (goal: {least:.0f} to {most:.0f})")
    return int(any(turn.report.errors for own in turns.values() for turn in own))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
