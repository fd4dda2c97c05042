"""
A mixed load over the loopback interface for a long time, with 5 % of all datagrams lost and 1 % malformed
ones among them: does anything grow? Memory, tables and errors over time, as CSV and, with matplotlib
(C{pip install txcoap[bench]}), as a picture::

    python -m benchmarks.soak --seconds 600 --csv soak.csv --png soak.png

Server and clients are one process, so that what either leaks shows. What is remembered of messages grows
until EXCHANGE_LIFETIME has passed, 247 s; after that all must be flat, which is judged in runs of at least
400 s.
"""

from __future__ import annotations

import argparse
import csv
import socket
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.task import deferLater, react

from fuzz.spoiling import Spoiler, corpus
from txcoap import Agent, CoAPProtocol, Site
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.transports import udp

from .arguments import bounded, output
from .memory import resident
from .mixed import Mixed, Tree

__all__ = ["ALLOWED", "JUDGED", "Row", "Soak", "draw", "growth", "soak"]

MIB = 2**20
LOSS = 0.05
MALFORMED = 0.01
CLIENTS = 40
PAUSE = 0.2
SETTLED = DEFAULT_PARAMETERS.EXCHANGE_LIFETIME + 30
#: What is judged.
JUDGED = ("memory", "remembered", "peers", "clients")
#: By how much more than in the third before the last third may be, before the run is not flat.
ALLOWED = 0.05

Row = dict[str, float]


class Lossy(CoAPProtocol):
    """Does not hear some of what comes."""

    hears = Random(1)

    def datagramReceived(self, data: bytes, peer: Any, local: Any = None) -> None:
        """Hear it, or not."""
        if self.hears.random() >= LOSS:
            super().datagramReceived(data, peer, local)


class Soak:
    """
    A server, its clients, and who sends them rubbish.

    @ivar rows: What was seen, a row each time.
    """

    def __init__(self, reactor: Any, clients: int = CLIENTS, pause: float = PAUSE) -> None:
        self.rows: list[Row] = []
        self._reactor = reactor
        self._chance = chance = Random(1)
        self._tree = Tree(reactor, 1.0)
        self._server = Lossy(Site(self._tree.root), reactor)
        self._ports = [self._open(self._server)]
        self._host = self._ports[0].getHost()
        protocols = [Lossy(None, reactor) for _ in range(clients)]
        self._ports += [self._open(protocol) for protocol in protocols]
        agents = [Agent(reactor, protocol=protocol) for protocol in protocols]
        uri = f"coap://127.0.0.1:{self._host.port}"
        self._load = Mixed(reactor, chance, agents, uri, pause, clients // 2)
        self._clients = protocols
        self._spoiler = Spoiler(chance, corpus(chance))
        self._rubbish = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._rubbish.setblocking(False)
        self._spoiled = 0

    def _open(self, protocol: CoAPProtocol) -> Any:
        port: Any = udp.Port(0, protocol, "127.0.0.1", reactor=self._reactor)
        port.startListening()
        return port

    def spoil(self) -> None:
        """Send as much rubbish as is its share of what the server was sent so far."""
        wanted = int(self._server.counters.received * MALFORMED)
        while self._spoiled < wanted:
            self._spoiled += 1
            data = self._spoiler.spoil(self._chance.choice(self._spoiler.corpus), 2)
            self._rubbish.sendto(data, ("127.0.0.1", self._host.port))

    def look(self, at: float) -> Row:
        """How it is now; kept as a row."""
        load, counters = self._load, self._server.counters
        sizes = self._server.sizes()
        row: Row = {
            "seconds": round(at, 1),
            "memory": resident(),
            "begun": sum(load.begun.values()),
            "ended": sum(load.ended.values()),
            "failed": sum(load.failed.values()),
            "open": load.open,
            "states": load.states,
            "twice": self._tree.once.twice,
            "received": counters.received,
            "spoiled": self._spoiled,
            "formatErrors": counters.formatErrors,
            "duplicates": counters.duplicates,
            "clients": sum(sum(protocol.sizes().values()) for protocol in self._clients),
            **sizes,
        }
        self.rows.append(row)
        return row

    async def stop(self) -> None:
        """End all of it."""
        self._load.stop()
        self._tree.stop()
        await deferLater(self._reactor, 0.5, lambda: None)
        for port in self._ports:
            await port.stopListening()
        self._rubbish.close()


async def soak(reactor: Any, seconds: float, every: float, progress: Any = None, **how: Any) -> list[Row]:
    """
    Run it.

    @param every: Seconds between two rows.
    @param progress: Called with each row.
    """
    running = Soak(reactor, **how)
    began = reactor.seconds()
    due = every
    while (at := reactor.seconds() - began) < seconds:
        await deferLater(reactor, 0.1, lambda: None)
        running.spoil()
        if at >= due:
            due += every
            row = running.look(at)
            if progress is not None:
                progress(row)
    running.look(reactor.seconds() - began)
    await running.stop()
    return running.rows


def growth(rows: Sequence[Row], name: str) -> float | None:
    """
    By how much of itself something is larger, on average, in the last third of what came after all had
    settled than in the third before; None if the run was too short to tell.
    """
    settled = [row[name] for row in rows if row["seconds"] > SETTLED]
    third = len(settled) // 3
    if third < 3:
        return None
    before, after = (sum(part) / third for part in (settled[-2 * third : -third], settled[-third:]))
    return (after - before) / max(before, 1.0)


def draw(rows: Sequence[Row], path: Path | str) -> None:
    """Draw the rows as a PNG file."""
    from matplotlib.figure import Figure

    panels = {
        "memory (MiB)": {"memory": 1 / MIB},
        "remembered by the server": {"remembered": 1.0, "rememberedBytes": 1 / 1024},
        "tables": dict.fromkeys(("peers", "pendingRequests", "transmissions", "observers", "open"), 1.0),
        "bodies in blocks": {"uploads": 1.0, "downloads": 1.0},
        "errors": {"failed": 1.0, "twice": 1.0, "formatErrors": 1.0},
    }
    figure = Figure(figsize=(9, 3 * len(panels)), layout="constrained")
    seconds = [row["seconds"] for row in rows]
    for axes, (title, lines) in zip(figure.subplots(len(panels), sharex=True), panels.items(), strict=True):
        for name, scale in lines.items():
            label = f"{name} (KiB)" if name == "rememberedBytes" else name
            axes.plot(seconds, [row[name] * scale for row in rows], label=label)
        axes.set_title(title)
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower right")
        axes.grid(alpha=0.3)
    figure.savefig(path, format="png")


def _write(rows: Sequence[Row], path: Path) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


async def main(reactor: Any, *words: str) -> None:
    """
    Run from the command line; exits with 1 if something grew, or was done twice.
    """
    p = argparse.ArgumentParser(prog="benchmarks.soak", description="A mixed load for a long time.")
    p.add_argument("--seconds", type=bounded(1.0), default=600.0, help="how long (default 600)")
    p.add_argument("--every", type=bounded(0.1), default=5.0, help="seconds between two rows (default 5)")
    p.add_argument("--csv", type=output, default="soak.csv", help="where the rows go (default soak.csv)")
    p.add_argument("--png", type=output, help="where the picture goes (default nowhere)")
    given = p.parse_args(words)
    if given.png and find_spec("matplotlib") is None:
        p.error("--png needs matplotlib: pip install txcoap[bench]")

    def tell(row: Row) -> None:
        memory, begun, failed = row["memory"] / MIB, row["begun"], row["failed"]
        print(f"{row['seconds']:7.1f} s {memory:7.1f} MiB {begun:,} begun, {failed:,} failed", flush=True)

    rows = await soak(reactor, given.seconds, given.every, tell)
    _write(rows, given.csv)
    if given.png:
        draw(rows, given.png)
    grown = {name: growth(rows, name) for name in JUDGED}
    print(
        "growth:", ", ".join(f"{name} {g:+.1%}" for name, g in grown.items() if g is not None) or "not judged"
    )
    wrong = [name for name, g in grown.items() if g is not None and g > ALLOWED]
    if rows[-1]["twice"] or wrong:
        print(f"wrong: {wrong}, {rows[-1]['twice']} done twice")
        raise SystemExit(1)


if __name__ == "__main__":
    react(main, sys.argv[1:])
