"""
All that the benchmarks measure, as one run: a line for each section, with how it is measured, what that comes
to, and how it is told.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import client, codec, endurance, memory, run, scaling, shares, startup, stream, workers
from benchmarks.figures import Figure
from benchmarks.modes import MODES
from benchmarks.peers import SERVERS, installed

__all__ = ["SECTIONS", "Section", "machine"]

#: Rounds of each section in a run that is not C{--quick}.
ROUNDS = 3


@dataclass(frozen=True)
class Section:
    """
    A part of the run.

    @ivar about: What is measured.
    @ivar measure: Measures it, given how often to start anew. What it gives can be written as JSON.
    @ivar figures: What came of it, beside the goals.
    @ivar lines: The same for people.
    @ivar isLong: It takes minutes: it is measured only where it is named.
    """

    about: str
    measure: Callable[[int], Any]
    figures: Callable[[Any], Iterable[Figure]]
    lines: Callable[[Any], Iterable[str]]
    isLong: bool = False


def _servers(rounds: int) -> dict[str, Any]:
    """
    All servers, under each kind of load; the one that shows how fast the load itself is, under one.
    """
    names = [name for name in installed() if name != "bare"]
    others = [mode for mode in MODES if mode != "get"]
    results = run.measureModes(["get"], [*names, "bare"], rounds + 1, 3, seconds=0.3)
    results |= run.measureModes(others, names, rounds, 2, seconds=0.3)
    return run.summaries(results)


def _scaling(rounds: int) -> dict[str, Any]:
    sizes = scaling.SIZES if rounds > 1 else (0, 10_000)
    peers = scaling.PEERS if rounds > 1 else (1, 1_000)
    return {
        "peers": scaling.measurePeers(peers, turns=2 * rounds),
        "tables": scaling.measureTables(sizes=sizes, turns=2 * rounds),
    }


def _streams(rounds: int) -> list[dict[str, Any]]:
    made = stream.measure(long=8 if rounds > 1 else 1, short=1)
    return [stream.summary(each) for each in made if not isinstance(each, str)]


def _streamLines(measured: list[dict[str, Any]]) -> Iterable[str]:
    yield f"{'client':8} {'server':8} {'way':5}{'MiB':>5}{'MiB/s':>8}"
    for each in measured:
        start = f"{each['client']:8} {each['server']:8} {each['way']:5}{each['length'] / stream.MIB:>5.0f}"
        yield start + (each["wrong"] or f"{each['length'] / stream.MIB / each['seconds']:>8.2f}")


#: By name, in the order in which they are measured.
SECTIONS = {
    "servers": Section("CPU time per request of servers", _servers, run.figures, run.lines),
    "clients": Section(
        "CPU time per request of clients",
        lambda rounds: client.summaries(client.measure(rounds, 2, 2_000)),
        client.figures,
        client.table,
    ),
    "codec": Section(
        "the codec alone",
        lambda rounds: codec.summaries(codec.compare(rounds, 20_000, 8_000)),
        codec.figures,
        codec.lines,
    ),
    "shares": Section(
        "where the time goes",
        lambda rounds: shares.measure(seconds=3.0 if rounds > 1 else 1.0),
        lambda measured: (),
        shares.lines,
    ),
    "scaling": Section("many peers, and full tables", _scaling, scaling.figures, scaling.lines),
    "memory": Section("memory", lambda rounds: memory.measure(), memory.figures, memory.lines),
    "startup": Section("start-up", startup.measure, startup.figures, startup.lines),
    "workers": Section(
        "several workers",
        lambda rounds: workers.measure(2 * rounds + 1, 20_000, 1_000, 64),
        workers.figures,
        workers.lines,
    ),
    "streams": Section("long bodies", _streams, stream.figures, _streamLines),
    "floods": Section(
        "floods", endurance.measureFloods, endurance.floodFigures, endurance.floodLines, isLong=True
    ),
    "day": Section(
        "a simulated day", endurance.measureDay, endurance.dayFigures, endurance.dayLines, isLong=True
    ),
    "soak": Section("a soak", endurance.measureSoak, endurance.soakFigures, endurance.soakLines, isLong=True),
}


def _versionOf(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def machine() -> dict[str, str]:
    """
    What it was measured on, and with.
    """
    cpus = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", cpus.read_text(), re.M) if cpus.exists() else None
    others = {name: _versionOf(name) for name in ("txcoap", "twisted", "aiocoap") if _versionOf(name)}
    return {
        "processor": f"{found[1] if found else platform.machine()}, {len(os.sched_getaffinity(0))} used",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **others,
        "beside": ", ".join(name for name in installed() if name in SERVERS and name not in {"bare"}),
    }
