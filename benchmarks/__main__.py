"""
All benchmarks, as C{make bench} runs them: C{python -m benchmarks}.

What was measured goes into C{measured.json} in a directory, and tables and plots made of it beside that. With
C{--only} the other sections stay as they were; C{--draw} measures nothing and makes the tables and plots
again.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.arguments import asProgram, bounded, choice, directory
from benchmarks.figures import failed, linesOf
from benchmarks.loadgen import BUILD, NoCompiler, compiled
from benchmarks.pages import writePages
from benchmarks.peers import SERVERS, installed
from benchmarks.plots import NoPlots, writePlots
from benchmarks.sections import ROUNDS, SECTIONS, machine

__all__ = ["SECTIONS", "main"]


#: All that is in C.
PROGRAMS = ("load.c", "crowd.c", "flood.c", "servers/bare.c", "servers/echoing.c")


def parser() -> argparse.ArgumentParser:
    """
    The command line.
    """
    p = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure all, and make tables and plots of it."
    )
    p.add_argument("--rounds", type=bounded(1), default=ROUNDS, help="how often each is started anew")
    p.add_argument("--quick", action="store_true", help="one round and small tables: whether it works")
    usual = [name for name in SECTIONS if not SECTIONS[name].isLong]
    p.add_argument(
        "--only",
        type=choice(SECTIONS),
        default=usual,
        help=f"of {','.join(SECTIONS)}; by default all but the long ones at the end",
    )
    p.add_argument(
        "--into", type=directory, default=str(BUILD / "figures"), help="directory for what is written"
    )
    p.add_argument("--draw", action="store_true", help="measure nothing")
    return p


def obstacle() -> str | None:
    """
    Why nothing can be measured here, or None.
    """
    if platform.system() != "Linux":
        return "The benchmarks read CPU times from /proc, and need Linux."
    try:
        for source in PROGRAMS:
            compiled(source)
    except NoCompiler as e:
        return str(e)
    return None


def measure(names: list[str], rounds: int, into: Path) -> tuple[dict[str, Any], bool]:
    """
    Measure sections, tell each, and write it. One that fails is left as it was.

    @return: All that was measured, what was there of other sections included; and whether none failed.
    """
    file = into / "measured.json"
    measured: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    measured["machine"] = machine()
    for name in sorted(set(SERVERS).difference(installed())):
        print(f"({name} is not installed: left out)")
    isWhole = True
    for name in names:
        section = SECTIONS[name]
        begin = time.monotonic()
        print(f"== {section.about}", flush=True)
        try:
            measured[name] = section.measure(rounds)
        except RuntimeError as e:
            print(f"could not be measured: {e}\n", file=sys.stderr)
            isWhole = False
            continue
        print("\n".join(section.lines(measured[name])))
        print(f"   ({time.monotonic() - begin:.0f} s)\n", flush=True)
        file.write_text(json.dumps(measured, indent=1) + "\n")
    return measured, isWhole


def main(words: list[str]) -> int:
    """
    Measure, tell, write.

    @return: 1 if something could not be measured, or an answer of txcoap's was wrong. A goal that was missed
        is told, and is no failure: another machine has other figures.
    """
    given = parser().parse_args(words)
    file = given.into / "measured.json"
    why = None if given.draw else obstacle()
    if given.draw and not file.exists():
        why = f"There is no {file}: measure first."
    if why is not None:
        print(why, file=sys.stderr)
        return 1
    if given.draw:
        measured, isWhole = json.loads(file.read_text()), True
    else:
        measured, isWhole = measure(given.only, 1 if given.quick else given.rounds, given.into)
    figures = [
        each for name in SECTIONS if name in measured for each in SECTIONS[name].figures(measured[name])
    ]
    print("\n".join(linesOf(figures)))
    writePages(measured, given.into)
    try:
        writePlots(measured, given.into)
    except NoPlots as e:
        print(e)
    print(f"written: {given.into}")
    return int(not isWhole or any(each.goal == 0 for each in failed(figures)))


if __name__ == "__main__":
    asProgram(main)
