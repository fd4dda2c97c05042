"""
Whether a request costs more the more there is: CPU time for each GET from few peers and from many, and with
few and many entries in each table of the server. It must stay the same, and so must the slowest answer.

The servers of a table run at the same time and have short loads in turn, so that a turn compares what was
measured within a second. With many peers the machine itself takes longer for each datagram: what it takes
longer for Twisted's canned reply is not txcoap's, and is subtracted.

From the command line, C{python -m benchmarks.scaling}; C{--help} tells the options.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any

from benchmarks.arguments import asProgram, bounded, choice
from benchmarks.figures import Figure, linesOf
from benchmarks.filled import FILLS
from benchmarks.loadgen import NoCompiler, load
from benchmarks.modes import MODES
from benchmarks.peers import SERVERS, YARDSTICK, Server, placement, running

__all__ = ["errors", "figures", "lines", "measurePeers", "measureTable", "measureTables"]

#: The servers that many peers ask.
PAIR = (YARDSTICK, "txcoap")

#: How many peers ask, and how many entries are in a table.
PEERS = (1, 100, 10_000)
SIZES = (0, 100, 10_000, 100_000)

#: How much more a request may cost, and how much longer the slowest answer may take, at the most of all.
FLAT = 1.1
SLOWEST = 3.0

#: A GET of the path that follows, of less than 13 bytes.
_GET = b"\x40\x01\x00\x00"


def filled(table: str, size: int) -> Server:
    """
    The server with so many entries in a table.
    """
    return Server(
        lambda port: [sys.executable, "-m", "benchmarks.filled", port, table, str(size)], patience=90.0
    )


def fetch(port: int, path: str) -> Any:
    """
    What a resource of L{benchmarks.filled} tells.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(20)
        asking.connect(("127.0.0.1", port))
        asking.send(_GET + bytes([0xB0 | len(path)]) + path.encode())
        return json.loads(asking.recv(2048).partition(b"\xff")[2])


def measureTable(
    table: str, sizes: Iterable[int] = SIZES, turns: int = 4, requests: int = 8_000, number: int = 0
) -> dict[str, dict[str, Any]]:
    """
    Put loads on servers with so much in a table.

    @param number: For L{placement}.
    @return: For each size, as text: C{micros} and C{slowest}, the microseconds of CPU time for each request
        and those that the slowest answer took, a figure for each turn; C{errors}, how many were not answered
        rightly; C{entries}, how many there were in fact; and C{collected}, the milliseconds that collecting
        garbage takes.
    """
    own, other = placement(number)
    result: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        at = {size: stack.enter_context(running(filled(table, size), own)) for size in sizes}
        for size, (port, _) in at.items():
            entries = fetch(port, "sizes")[table]
            result[str(size)] = {"entries": entries, "micros": [], "slowest": [], "errors": 0}
        for _ in range(turns):
            for size, (port, pid) in at.items():
                options = {**MODES["get"].options, "port": port, "pid": pid, "cpu": other}
                report = load(**options, requests=requests, warmup=500, seconds=1.0)
                into = result[str(size)]
                into["micros"].append(report.serverMicros)
                into["slowest"].append(report.slowest)
                into["errors"] += report.errors
        for size, (port, _) in at.items():
            result[str(size)]["collected"] = fetch(port, "collect")
    return result


def measureTables(
    tables: Iterable[str] = FILLS, sizes: Iterable[int] = SIZES, **options: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """
    L{measureTable} for each.
    """
    return {
        table: measureTable(table, sizes, number=number, **options) for number, table in enumerate(tables)
    }


def measurePeers(
    peers: Iterable[int] = PEERS, turns: int = 4, requests: int = 10_000
) -> dict[str, dict[str, list[float]]]:
    """
    Put loads on a server, and on Twisted's canned reply, by so many peers.

    @return: For each number of peers, as text, by server, microseconds of CPU time for each request in each
        turn; and C{errors}, how many were not answered rightly in each load.
    """
    own, other = placement(0)
    result: dict[str, dict[str, list[float]]] = {
        str(count): {name: [] for name in (*PAIR, "errors")} for count in peers
    }
    with ExitStack() as stack:
        at = {name: stack.enter_context(running(SERVERS[name], own)) for name in PAIR}
        for _ in range(turns):
            for count, into in result.items():
                for name, (port, pid) in at.items():
                    options = {**MODES["get"].options, "port": port, "pid": pid, "cpu": other}
                    # Each peer is known when what is measured begins.
                    warmup = max(500, int(count))
                    report = load(
                        **options,
                        sockets=int(count),
                        requests=requests,
                        warmup=warmup,
                        seconds=2.0,
                        canned=SERVERS[name].canned,
                    )
                    into[name].append(report.serverMicros or 0.0)
                    into["errors"].append(report.errors)
    return result


def growth(measured: dict[str, dict[str, Any]]) -> float:
    """
    How many times as much a request costs with the most entries as with the fewest, in the same turn.
    """
    least, *_, most = measured.values()
    return float(median(more / less for less, more in zip(least["micros"], most["micros"], strict=True)))


def slowness(measured: dict[str, dict[str, Any]]) -> float:
    """
    How many times as long the slowest answer took with the most entries as with the fewest.
    """
    least, *_, most = measured.values()
    return float(max(most["slowest"]) / max(least["slowest"]))


def peersGrowth(measured: dict[str, dict[str, list[float]]]) -> float:
    """
    How many times as much a request costs from the most peers as from the fewest, in the same turn, without
    what the machine takes longer for the canned reply.
    """
    least, *_, most = measured.values()
    rows = zip(least["txcoap"], least[YARDSTICK], most["txcoap"], most[YARDSTICK], strict=True)
    return median((more - machineMore + machine) / less for less, machine, more, machineMore in rows)


def errors(measured: dict[str, Any]) -> int:
    """
    How many requests were not answered rightly, of all that were measured.
    """
    count = sum(sum(servers["errors"]) for servers in measured.get("peers", {}).values())
    for sizes in measured.get("tables", {}).values():
        count += sum(each["errors"] for each in sizes.values())
    return int(count)


def figures(measured: dict[str, Any]) -> Iterator[Figure]:
    """
    What was measured, of C{peers} and of C{tables}.
    """
    if "peers" in measured:
        most = list(measured["peers"])[-1]
        yield Figure(f"{int(most):,} peers: CPU", peersGrowth(measured["peers"]), "x of 1", FLAT)
    for table, sizes in measured.get("tables", {}).items():
        about = f"{int(list(sizes)[-1]):,} {table}"
        yield Figure(f"{about}: CPU", growth(sizes), "x empty", FLAT)
        yield Figure(f"{about}: slowest answer", slowness(sizes), "x empty", SLOWEST)
        yield Figure(f"{about}: garbage collected in", list(sizes.values())[-1]["collected"], "ms")


def lines(measured: dict[str, Any]) -> Iterator[str]:
    """
    The same as lines of text.
    """
    if "peers" in measured:
        yield "CPU us for each GET, by the number of peers"
        for count, servers in measured["peers"].items():
            each = ", ".join(f"{name} {median(servers[name]):.2f}" for name in PAIR)
            yield f"  {int(count):>9,}  {each}, errors {sum(servers['errors']):.0f}"
    for table, sizes in measured.get("tables", {}).items():
        yield f"CPU us for each GET, by the number of {table}"
        yield f"  {'':>9}{'CPU us':>9}{'least':>9}{'slowest':>10}{'garbage ms':>12}{'errors':>8}"
        for each in sizes.values():
            yield (
                f"  {each['entries']:>9,}{median(each['micros']):>9.2f}{min(each['micros']):>9.2f}"
                f"{max(each['slowest']):>10.0f}{each['collected']:>12.1f}{each['errors']:>8}"
            )


def main(words: list[str]) -> int:
    """
    Measure and print.

    @return: 1 if an answer was wrong, or nothing could be measured.
    """
    p = argparse.ArgumentParser(prog="benchmarks.scaling", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--turns", type=bounded(1), default=6, help="loads on each server")
    p.add_argument("--requests", type=bounded(1, 50e6), default=8_000, help="in a load")
    p.add_argument("--tables", type=choice(FILLS), default=list(FILLS), help=",".join(FILLS))
    p.add_argument("--sizes", type=bounded(0), nargs="+", default=SIZES, help="entries, from few to many")
    given = p.parse_args(words)
    measured: dict[str, Any] = {"tables": {}}
    try:
        measured["peers"] = measurePeers(turns=given.turns)
        print("\n".join(lines({"peers": measured["peers"]})), flush=True)
        for table in given.tables:
            sizes = measureTable(table, given.sizes, given.turns, given.requests)
            print("\n".join(lines({"tables": {table: sizes}})), flush=True)
            measured["tables"][table] = sizes
    except NoCompiler as e:
        print(e, file=sys.stderr)
        return 1
    print("\n".join(linesOf(figures(measured))))
    return int(errors(measured) > 0)


if __name__ == "__main__":
    asProgram(main)
