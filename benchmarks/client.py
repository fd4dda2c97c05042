"""
The client's side: CPU time for each request that is asked, of txcoap and others, against bare Twisted.

All ask the same server, which is in C and answers at once. Each round starts every client afresh, then lets
each ask in turn, several times over (A B C, A B C, …): with 64 requests in flight, and one after the other.
A client's ratio is taken to the bare one's of the same turn.

From the command line, C{python -m benchmarks.client}; C{--help} tells the options.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

from benchmarks.arguments import asProgram, bounded
from benchmarks.figures import Figure
from benchmarks.loadgen import NoCompiler, compiled
from benchmarks.peers import HERE, Server, environment, node, placement, running, script

__all__ = ["CLIENTS", "figures", "measure", "summaries"]

#: How many are in flight, by what that is called.
WINDOWS = {"64 in flight": 64, "sequential": 1}

#: What all others are divided by, and the most that txcoap may cost in times of it.
YARDSTICK = "twisted"
GOAL = 4.0

SERVER = Server(lambda port: [str(compiled("servers/echoing.c")), port])


def _nodeClient(port: str) -> list[str] | None:
    found = node(port)
    return None if found is None else [found[0], str(HERE / "clients" / "asking_node.js"), port]


#: The command line of each client, given the port to ask; None where it is not installed.
CLIENTS: dict[str, Callable[[str], list[str] | None]] = {
    YARDSTICK: script("clients/asking_twisted.py", "twisted"),
    "txcoap": script("clients/asking_txcoap.py", "txcoap.client"),
    "node": _nodeClient,
    "aiocoap": script("clients/asking_aiocoap.py", "aiocoap"),
}

#: What each client did in one turn: what it printed.
Turn = dict[str, dict[str, float]]


@contextmanager
def asking(command: list[str], cpu: int | None) -> Iterator[subprocess.Popen[str]]:
    """
    A client for as long as the block lasts.

    @param cpu: The processor to keep it on; None for any.
    """

    def place() -> None:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment(), stdin=pipe, stdout=pipe, text=True, preexec_fn=place
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], count: int, window: int) -> dict[str, float]:
    """
    Let a client ask.

    @return: What it printed.
    @raise RuntimeError: if it ended instead.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{count} {window}\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended")
    answer: dict[str, float] = json.loads(line)
    return answer


def measure(
    rounds: int = 3, turns: int = 3, requests: int = 2_000, names: list[str] | None = None
) -> dict[str, list[Turn]]:
    """
    Let all clients ask.

    @param requests: How many a turn with many in flight has, and the warm-up; half as many one by one.
        Over all turns of a round they must be below the 65,536 message IDs that there are.
    @param names: Which clients; by default all that are installed.
    @return: What each did, by the names of L{WINDOWS}.
    @raise NoCompiler: if the server cannot be compiled.
    """
    results: dict[str, list[Turn]] = {window: [] for window in WINDOWS}
    for number in range(rounds):
        own, other = placement(number)
        with ExitStack() as stack:
            port, _ = stack.enter_context(running(SERVER, other))
            commands = {name: CLIENTS[name](str(port)) for name in names or CLIENTS}
            clients = {
                name: stack.enter_context(asking(command, own))
                for name, command in commands.items()
                if command is not None
            }
            for process in clients.values():
                ask(process, requests, 64)
            for _ in range(turns):
                for window, size in WINDOWS.items():
                    count = requests if size > 1 else -(-requests // 2)
                    results[window].append({name: ask(each, count, size) for name, each in clients.items()})
    return results


def summaries(results: dict[str, list[Turn]]) -> dict[str, Any]:
    """
    Medians over all turns by window and client: C{micros}, C{ratio} to the yardstick's in the same turn,
    C{rate}; and the C{errors} of all turns.
    """

    def summarize(turns: list[Turn], name: str) -> dict[str, float]:
        return {
            "micros": median(turn[name]["micros"] for turn in turns),
            "ratio": median(turn[name]["micros"] / turn[YARDSTICK]["micros"] for turn in turns),
            "rate": median(turn[name]["rate"] for turn in turns),
            "errors": sum(turn[name]["errors"] for turn in turns),
        }

    return {window: {name: summarize(turns, name) for name in turns[0]} for window, turns in results.items()}


def figures(measured: dict[str, Any]) -> Iterator[Figure]:
    """
    What L{summaries} come to.
    """
    for window, clients in measured.items():
        yield Figure(f"client, {window}: CPU", clients["txcoap"]["ratio"], "x Twisted", GOAL)
        yield Figure(f"client, {window}: errors", clients["txcoap"]["errors"], "", 0.0)


def table(measured: dict[str, Any]) -> Iterator[str]:
    """
    L{summaries} as lines of text.
    """
    for window, clients in measured.items():
        yield f"asking a server in C, {window}"
        yield f"  {'':8}{'CPU us':>9}{'ratio':>8}{'req/s':>10}{'errors':>8}"
        for name, each in clients.items():
            yield (
                f"  {name:8}{each['micros']:>9.2f}{each['ratio']:>8.2f}{each['rate']:>10.0f}"
                f"{each['errors']:>8.0f}"
            )


def main(words: list[str]) -> int:
    """
    Measure and print.

    @return: 1 if an answer of txcoap's was wrong, or nothing could be measured.
    """
    p = argparse.ArgumentParser(prog="benchmarks.client", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--rounds", type=bounded(1), default=4, help="how often to start the clients")
    p.add_argument("--turns", type=bounded(1), default=3, help="how often each asks in a round")
    p.add_argument("--requests", type=bounded(1), default=3_000, help="in a turn")
    given = p.parse_args(words)
    try:
        measured = summaries(measure(given.rounds, given.turns, given.requests))
    except NoCompiler as e:
        print(e, file=sys.stderr)
        return 1
    print("\n".join(table(measured)))
    return int(any(clients["txcoap"]["errors"] for clients in measured.values()))


if __name__ == "__main__":
    asProgram(main)
