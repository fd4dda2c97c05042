"""
The long runs, as sections of the whole: floods, a simulated day, a soak. They take twenty minutes, and are
measured only where they are named::

    python -m benchmarks --only floods,day,soak --into docs/figures
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import day, flood, soak
from benchmarks.figures import Figure
from benchmarks.peers import ROOT, environment

__all__ = [
    "FLOODS",
    "dayFigures",
    "dayLines",
    "floodFigures",
    "floodLines",
    "measureDay",
    "measureFloods",
    "measureSoak",
    "soakFigures",
    "soakLines",
    "soaked",
]

MIB = 2**20

#: The words for C{benchmarks.flood}, by what the flood is called.
FLOODS = {
    "1.5 times the capacity, 60 s": ("--seconds", "60"),
    "the same from 100,000 addresses, 20 s": ("--seconds", "20", "--sources", "100000"),
    "as fast as it goes, 20 s": ("--seconds", "20", "--factor", "0"),
}

#: What L{soak.JUDGED} are called where people read it.
GROWING = {
    "memory": "memory",
    "remembered": "messages that the server remembers",
    "peers": "peers of the server",
    "clients": "tables of the clients",
}
#: What of a soak is kept: enough to draw it.
KEPT = ("seconds", "memory", "remembered", "clients", "peers", "observers", "ended", "failed")
#: Of so many rows of a soak one is kept.
THINNED = 4


def _run(file: Path, module: str, *words: str) -> None:
    """
    Run one of the programs to its end.

    @param file: Where it writes what came of it.
    @raise RuntimeError: if it wrote nothing.
    """
    file.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *words],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    # It ends with 1 where something was not as it must be, which the figures tell.
    if not file.exists():
        raise RuntimeError(done.stderr)


def measureFloods(rounds: int) -> dict[str, Any]:
    """
    Each of L{FLOODS}; the first alone, and short, if there is but one round.
    """
    measured = {}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "flood.json"
        for name, words in list(FLOODS.items())[: None if rounds > 1 else 1]:
            _run(file, "flood", *words, *(() if rounds > 1 else ("--seconds", "2")), "--json", str(file))
            measured[name] = json.loads(file.read_text())
    return measured


def floodFigures(measured: dict[str, Any]) -> Iterator[Figure]:
    """
    What the floods come to: the worst.
    """
    floods = measured.values()
    yield Figure(
        "floods: requests of one who asks among them",
        min(100 * each["answered"] / each["asked"] for each in floods),
        "% answered",
        99.0,
        isLeast=True,
    )
    growth = max(each["memory"]["peak"] - each["memory"]["before"] for each in floods)
    yield Figure("floods: the server grew by", growth / MIB, "MiB", flood.ALLOWED / MIB)
    worst = max(each["recovered"] for each in floods)
    yield Figure("floods: normal service again after", worst, "s", flood.RECOVERY)


def floodLines(measured: dict[str, Any]) -> Iterator[str]:
    """
    The same for people.
    """
    for name, each in measured.items():
        yield f"  {name:40} {each['flood']['sent']:,.0f} sent, {each['answered']} of {each['asked']} answered"


def measureDay(rounds: int) -> dict[str, Any]:
    """
    A day of 10,000 clients; an hour of 100 if there is but one round.
    """
    clients, hours, pause = (10_000, 24.0, 1800.0) if rounds > 1 else (100, 1.0, 300.0)
    past = day.live(clients, hours * day.HOUR, 0.1, pause)
    load = past.load
    return {
        "clients": clients,
        "hours": hours,
        "begun": dict(load.begun),
        "ended": dict(load.ended),
        "failed": dict(load.failed),
        "open": load.open,
        "states": load.states,
        "datagrams": past.datagrams,
        "lost": past.lost,
        "twice": past.twice,
        "left": past.left,
    }


def dayFigures(measured: dict[str, Any]) -> Iterator[Figure]:
    """
    What must not be.
    """
    yield Figure("day: requests that never ended", measured["open"], "", 0.0)
    yield Figure("day: requests done twice", measured["twice"], "", 0.0)
    yield Figure("day: entries left in tables", measured["left"], "", 0.0)


def dayLines(measured: dict[str, Any]) -> Iterator[str]:
    """
    The same for people.
    """
    yield (
        f"  {measured['clients']:,} clients, {measured['hours']:g} h: {measured['datagrams']:,} datagrams, "
        f"{measured['lost']:,} lost, {sum(measured['begun'].values()):,} requests"
    )


def measureSoak(rounds: int) -> dict[str, Any]:
    """
    Ten minutes of a mixed load; three seconds if there is but one round.
    """
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "soak.csv"
        words = ("--seconds", "600") if rounds > 1 else ("--seconds", "3", "--every", "0.5")
        _run(file, "soak", *words, "--csv", str(file))
        return soaked(file)


def soaked(file: Path) -> dict[str, Any]:
    """
    What came of a soak.

    @param file: What it wrote, as CSV.
    """
    with file.open(newline="") as text:
        rows: list[soak.Row] = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(text)]
    return {
        "twice": rows[-1]["twice"],
        "growth": {name: soak.growth(rows, name) for name in soak.JUDGED},
        "over": {name: [row[name] for row in rows[::THINNED]] for name in KEPT},
    }


def soakFigures(measured: dict[str, Any]) -> Iterator[Figure]:
    """
    What must be flat, and what must not be.
    """
    for name, growth in measured["growth"].items():
        if growth is not None:
            yield Figure(f"soak: growth, {GROWING[name]}", 100 * growth, "%", 100 * soak.ALLOWED)
    yield Figure("soak: requests done twice", measured["twice"], "", 0.0)


def soakLines(measured: dict[str, Any]) -> Iterator[str]:
    """
    The same for people.
    """
    over = measured["over"]
    yield f"  {over['ended'][-1]:,.0f} requests ended, {over['memory'][-1] / MIB:.0f} MiB"
