"""
The server benchmark: CPU time per request, of txcoap and others, against Twisted's canned reply.

Each round starts every server afresh, then puts a short load on each in turn, several times over
(A B C, A B C, …), so that what else the machine does falls on all of them. A server's ratio is
taken to the canned reply of the same turn, and the median over all turns is shown.

From the command line, C{python -m benchmarks.run}; C{--help} tells the options. As a library,
L{measure} gives the figures.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any

from benchmarks.arguments import asProgram, bounded, choice
from benchmarks.figures import Figure
from benchmarks.loadgen import NoCompiler, Report, compiled, load, socketsFor
from benchmarks.modes import MODES
from benchmarks.peers import OURS, SERVERS, YARDSTICK, installed, placement, running

__all__ = ["YARDSTICK", "Summary", "choice", "figures", "lines", "measure", "measureModes", "summaries"]

#: What each server did in one turn.
Turn = dict[str, Report]


def measure(name: str, mode: str, *, number: int = 0, **options: float | None) -> Report:
    """
    Start a server, put a load on it, end it.

    @param name: One of L{SERVERS}.
    @param mode: One of L{MODES}.
    @param number: For L{placement}.
    @param options: More for L{load}: C{requests}, C{window}, C{sockets}, C{warmup}, C{seconds}, ….
    """
    return next(measureRound(mode, [name], 1, number, **options))[name]


def measureRound(
    mode: str, names: list[str], turns: int, number: int, **options: float | None
) -> Iterator[Turn]:
    """
    Start servers, put a load on one after the other, so many times, and end them.

    A server that waits for its turn uses no CPU.

    @param number: The round's number, for L{placement}.
    """
    own, other = placement(number)
    with ExitStack() as stack:
        at = {name: stack.enter_context(running(SERVERS[name], own)) for name in names}
        for _ in range(turns):
            yield {
                name: put(mode, name, port=port, pid=pid, cpu=other, **options)
                for name, (port, pid) in at.items()
            }


def put(mode: str, name: str, **options: float | None) -> Report:
    """
    Put a load on a server that runs.
    """
    if SERVERS[name].canned:
        return load(**{**MODES[mode].options, **options}, canned=True)
    return load(MODES[mode].source, **{**options, **MODES[mode].options})


def measureModes(
    modes: Iterable[str], names: Iterable[str], rounds: int, turns: int, **options: Any
) -> dict[str, list[Turn]]:
    """
    Put several loads on servers, one after the other.

    @param names: Which servers, of those that are installed; each has the loads that it can do.
    @param rounds: How often to start the servers for each load.
    @param turns: How many loads each has in a round.
    @param options: More for L{load}.
    @raise NoCompiler: if the load cannot be compiled.
    """
    compiled("load.c")
    options["sockets"] = socketsFor(
        (options.get("requests", 6_000) + options.get("warmup", 1_000)) * turns, options.get("sockets", 64)
    )
    return {
        mode: [
            turn
            for number in range(rounds)
            for turn in measureRound(
                mode, [name for name in names if mode in SERVERS[name].modes], turns, number, **options
            )
        ]
        for mode in modes
    }


def ratios(turns: list[Turn], name: str, yardstick: str = YARDSTICK) -> list[float]:
    """
    A server's CPU time for each request to the yardstick's in the same turn.
    """
    pairs = [(turn[name].serverMicros, turn[yardstick].serverMicros) for turn in turns]
    return [own / other for own, other in pairs if own is not None and other]


@dataclass(frozen=True)
class Summary:
    """
    What a server did in all its turns: medians, but for what is named otherwise.

    @ivar micros: Microseconds of CPU time for each request.
    @ivar least: The least of these.
    @ivar ratio: To the canned reply's in the same turn.
    @ivar low: A quarter of all ratios is below.
    @ivar high: A quarter of all ratios is above.
    @ivar ours: To txcoap's in the same turn; 0 without txcoap.
    @ivar rate: Answers per second.
    @ivar p50: Microseconds within which half of the answers came.
    @ivar p99: The same for 99 % of them.
    @ivar slowest: The slowest of all.
    @ivar outcomes: How many answers were wrong, in all turns, by kind.
    """

    micros: float
    least: float
    ratio: float
    low: float
    high: float
    ours: float
    rate: float
    p50: float
    p99: float
    slowest: float
    outcomes: dict[str, int]

    @property
    def errors(self) -> int:
        """
        How many answers were wrong.
        """
        return sum(self.outcomes.values())


def summarize(turns: list[Turn], name: str) -> Summary:
    """
    All turns of one server.
    """
    own = [turn[name] for turn in turns]
    micros = [r.serverMicros or 0.0 for r in own]
    low, middle, high = quantiles(ratios(turns, name) * 2, n=4)
    ours = ratios(turns, name, "txcoap") if "txcoap" in turns[0] else []
    wrong = sum((Counter(r.outcomes) for r in own), Counter())
    del wrong["ok"]
    return Summary(
        micros=median(micros),
        least=min(micros),
        ratio=middle,
        low=low,
        high=high,
        ours=median(ours) if ours else 0.0,
        rate=median(r.rate for r in own),
        p50=median(r.p50 for r in own),
        p99=median(r.p99 for r in own),
        slowest=max(r.slowest for r in own),
        outcomes={kind: count for kind, count in wrong.items() if count},
    )


def table(mode: str, servers: dict[str, Summary]) -> Iterator[str]:
    """
    The figures of one mode as lines of text.
    """
    yield MODES[mode].about
    yield f"  {'':8}{'CPU us':>9}{'least':>8}{'ratio':>8} {'(quartiles)':>14}" + "".join(
        f"{head:>10}" for head in ("req/s", "p50 us", "p99 us", "slowest", "errors")
    )
    for name, own in servers.items():
        yield (
            f"  {name:8}{own.micros:>9.2f}{own.least:>8.2f}"
            f"{own.ratio:>8.2f} {f'({own.low:.2f}-{own.high:.2f})':>14}"
            f"{own.rate:>10.0f}{own.p50:>10.0f}{own.p99:>10.0f}{own.slowest:>10.0f}{own.errors:>10}"
        )
        if own.outcomes:
            yield f"  {name:8} errors: " + ", ".join(f"{n} {kind}" for kind, n in own.outcomes.items())


def summaries(results: dict[str, list[Turn]]) -> dict[str, Any]:
    """
    The figures of all modes by mode and server, as JSON holds them.
    """
    return {
        mode: {name: asdict(summarize(turns, name)) for name in turns[0]} for mode, turns in results.items()
    }


def lines(measured: dict[str, Any]) -> Iterator[str]:
    """
    L{summaries} as lines of text, a table for each mode.
    """
    for mode, servers in measured.items():
        yield from table(mode, {name: Summary(**each) for name, each in servers.items()})
        yield ""


def figures(measured: dict[str, Any]) -> Iterator[Figure]:
    """
    What L{summaries} come to.
    """
    for name, mode in MODES.items():
        servers = {server: Summary(**each) for server, each in measured.get(name, {}).items()}
        if "txcoap" not in servers:
            continue
        yield Figure(f"{name}: CPU", servers["txcoap"].ratio, "x canned", mode.goal)
        for other, goal in mode.ahead.items():
            if other in servers:
                yield Figure(f"{name}: CPU of {other}", servers[other].ours, "x txcoap", goal, isLeast=True)
        if "bare" in servers:
            faster = servers["bare"].rate / servers["txcoap"].rate
            yield Figure(f"{name}: the load against bare C", faster, "x rate", 2.0, isLeast=True)
        yield Figure(f"{name}: errors", servers["txcoap"].errors, "", 0.0)


def parser() -> argparse.ArgumentParser:
    """
    The command line.
    """
    p = argparse.ArgumentParser(prog="benchmarks.run", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--rounds", type=bounded(1), default=4, help="how often to start the servers")
    p.add_argument("--turns", type=bounded(1), default=3, help="loads on each server in a round")
    p.add_argument("--requests", type=bounded(1, 50e6), default=6_000, help="measured in a turn")
    p.add_argument("--warmup", type=bounded(0, 50e6), default=1_000, help="requests before these, each turn")
    p.add_argument("--seconds", type=bounded(0.01, 3600), default=0.3, help="at most, per server and turn")
    p.add_argument("--window", type=bounded(1, 65535), default=32, help="requests in flight")
    p.add_argument(
        "--sockets", type=bounded(1, 65535), default=64, help="peers that the server sees, at least"
    )
    p.add_argument(
        "--pause", type=bounded(0, 999999), help="microseconds that the load sleeps between rounds"
    )
    p.add_argument("--modes", type=choice(MODES), default=list(MODES), help=",".join(MODES))
    p.add_argument(
        "--servers",
        type=choice(SERVERS),
        default=[name for name in SERVERS if name != "bare"],
        help=f"{','.join(SERVERS)}; the canned reply always runs; what is not installed is left out",
    )
    return p


def main(words: list[str]) -> int:
    """
    Measure and print.

    @return: 1 if any answer of ours was wrong, or nothing could be measured.
    """
    given = vars(parser().parse_args(words))
    rounds, each, modes = (given.pop(name) for name in ("rounds", "turns", "modes"))
    asked = {YARDSTICK, *given.pop("servers")}
    try:
        names = installed(asked)
        for name in asked.difference(names):
            print(f"({name} is not installed: left out)")
        failed = False
        for mode in modes:
            turns = measureModes([mode], names, rounds, each, **given)[mode]
            failed |= any(turn[name].errors for turn in turns for name in OURS.intersection(turn))
            print("\n".join(lines(summaries({mode: turns}))), flush=True)
    except NoCompiler as e:
        print(e, file=sys.stderr)
        return 1
    return int(failed)


if __name__ == "__main__":
    asProgram(main)
