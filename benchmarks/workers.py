"""
What several workers cost and gain: C{twistd coap --workers} with one and with two, in turn, under the load of
many peers.

CPU time for each request is that of the workers, user and system, by C{/proc}; how many each answered is what
it says itself, by C{--prometheus}. The load needs a processor too, so two workers are twice as fast only
where there are three. What the machine takes for a second process, whatever it does, is told by two of
Twisted's canned replies that share a port, to one.

From the command line: C{python -m benchmarks.workers}.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any
from urllib.request import urlopen

from benchmarks.arguments import asProgram, bounded
from benchmarks.figures import Figure, linesOf
from benchmarks.loadgen import NoCompiler, Report, load
from benchmarks.peers import GET_HELLO, ROOT, ask, freePort
from benchmarks.server import tree
from txcoap import Resource

COST_GOAL = 1.15
"""CPU time for each request by two workers, to that by one, at most."""

SHARE_GOAL = 60.0
"""Per cent of the requests that either of two answers, at most."""

ANSWERED = re.compile(rb'^txcoap_responses_sent_total\{worker="(\d+)",code="2.05"\} (\d+)$', re.MULTILINE)


def resources(reactor: Any) -> Resource:
    """
    What each worker serves.
    """
    return tree()


def cpuOf(processes: Iterable[object]) -> float:
    """
    CPU time of processes, by their numbers, in microseconds.
    """
    spent = [Path(f"/proc/{each}/schedstat").read_text().split()[0] for each in processes]
    return sum(map(int, spent)) / 1000


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
        before, spent = self.answered(), cpuOf(self._workers)
        report = load(**options, requests=requests, warmup=0)
        spent = cpuOf(self._workers) - spent
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


@contextmanager
def canned(count: int) -> Iterator[Callable[[int, int, int], float]]:
    """
    So many of Twisted's canned replies that share a port, for as long as the block lasts.

    @return: What puts a load of so many requests by so many sockets on them, so many of them in flight; the
        CPU time for each request in microseconds.
    """
    port = freePort()
    command = [sys.executable, str(ROOT / "benchmarks" / "servers" / "canned.py"), str(port), "shared"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    numbers = [process.pid for process in processes]

    def cost(requests: int, sockets: int, window: int) -> float:
        spent = cpuOf(numbers)
        load(port=port, canned=True, requests=requests, warmup=0, sockets=sockets, window=window)
        return (cpuOf(numbers) - spent) / requests

    try:
        until = monotonic() + 20
        while listening(port) < count:
            if monotonic() > until:
                raise RuntimeError("a canned reply does not listen")
            ask(port, processes[0], GET_HELLO)
        cost(2_000, count * 500, count)
        yield cost
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def listening(port: int) -> int:
    """
    How many sockets are bound to a UDP port.
    """
    rows = Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(row.split()[1].endswith(f":{port:04X}") for row in rows)


def control(rounds: int, requests: int, sockets: int, window: int) -> float:
    """
    How many times as much CPU time a canned reply takes by two processes as by one: what the machine takes
    for the second.
    """
    ratios = []
    with canned(1) as one, canned(2) as two:
        for _ in range(rounds):
            own = one(requests, sockets, window)
            ratios.append(two(requests, sockets, window) / own)
    return median(ratios)


def measure(rounds: int, requests: int, sockets: int, window: int) -> dict[str, Any]:
    """
    What L{summaries} give, with C{canned}, which L{control} gives, beside the two.
    """
    measured = summaries(compare(rounds, requests, sockets, window))
    measured["2"]["canned"] = control(rounds, requests, sockets, window)
    return measured


def summaries(turns: dict[int, list[Turn]]) -> dict[str, Any]:
    """
    Medians over all turns by how many workers there are: C{micros}, C{rate}, C{p99}, C{shares}; C{ratio} to
    one worker's in the same turn; C{errors} in all turns; and C{furthest}, the share of a worker in a turn
    that was furthest from an equal one.
    """

    def summarize(own: list[Turn]) -> dict[str, Any]:
        equal = 100 / len(own[0].shares)
        return {
            "micros": median(turn.micros for turn in own),
            "ratio": median(turn.micros / one.micros for turn, one in zip(own, turns[1], strict=True)),
            "rate": median(turn.report.rate for turn in own),
            "p99": median(turn.report.p99 for turn in own),
            "errors": sum(turn.report.errors for turn in own),
            "shares": [median(column) for column in zip(*(turn.shares for turn in own), strict=True)],
            "furthest": max(
                (share for turn in own for share in turn.shares), key=lambda share: abs(share - equal)
            ),
        }

    return {str(count): summarize(own) for count, own in turns.items()}


def figures(measured: dict[str, Any]) -> Iterator[Figure]:
    """
    What L{summaries} come to.
    """
    two = measured["2"]
    yield Figure("two workers: CPU", two["ratio"], "x one", COST_GOAL)
    if "canned" in two:
        yield Figure("two canned replies that share a port: CPU", two["canned"], "x one")
    yield Figure(
        "two workers: the larger share", max(two["furthest"], 100 - two["furthest"]), "%", SHARE_GOAL
    )
    yield Figure("two workers: errors", two["errors"], "", 0.0)


def lines(measured: dict[str, Any]) -> Iterator[str]:
    """
    L{summaries} as lines of text.
    """
    yield "confirmable GET by workers"
    yield f"  {'workers':8}{'CPU us':>9}{'ratio':>8}{'req/s':>9}{'p99 us':>9}{'errors':>9}   share of each, %"
    for count, each in measured.items():
        shares = ", ".join(f"{share:.1f}" for share in each["shares"])
        yield (
            f"  {count:8}{each['micros']:>9.2f}{each['ratio']:>8.2f}{each['rate']:>9.0f}{each['p99']:>9.0f}"
            f"{each['errors']:>9}   {shares}"
        )


def main(words: list[str]) -> int:
    """
    Measure and print.

    @return: 1 if an answer was wrong, or nothing could be measured.
    """
    p = argparse.ArgumentParser(prog="benchmarks.workers", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--rounds", type=bounded(1), default=7)
    p.add_argument("--requests", type=bounded(1, 50e6), default=20_000, help="in a turn")
    p.add_argument("--sockets", type=bounded(1, 65535), default=1000, help="peers that the server sees")
    p.add_argument("--window", type=bounded(1, 65535), default=64, help="requests in flight")
    given = p.parse_args(words)
    try:
        measured = measure(given.rounds, given.requests, given.sockets, given.window)
    except NoCompiler as e:
        print(e, file=sys.stderr)
        return 1
    print("\n".join([*lines(measured), *linesOf(figures(measured))]))
    return int(any(each["errors"] for each in measured.values()))


if __name__ == "__main__":
    asProgram(main)
