"""
The loads that the server benchmarks put on a server: C{load.c}, which asks, and C{crowd.c}, which
observes; compiled when first needed.

Each is a process of its own, in C, so that what is measured is the server and not the one who asks. They
need the system's C compiler (C{cc}, or the one that C{CC} names) and Linux; without these
L{compiled} says so.

From the command line, C{python -m benchmarks.loadgen --port 5683 --path hello}: the options are
those of the table C{OPTIONS} in C{settings.h}, the output one line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NoCompiler", "Report", "compiled", "load", "socketsFor"]

HERE = Path(__file__).resolve().parent
BUILD = HERE / ".build"

#: Requests that one socket may carry: below the 65,536 message IDs, so that none is used twice.
REQUESTS_PER_SOCKET = 60_000


class NoCompiler(Exception):
    """
    The load cannot be compiled here; the message says why and what to do.
    """


@dataclass(frozen=True)
class Report:
    """
    What a load measured. Times are in microseconds unless they say otherwise.

    @ivar requests: How many answers, or notifications, came within the measured window.
    @ivar seconds: How long the measured window was.
    @ivar rate: Answers per second.
    @ivar serverMicros: CPU time of the server for each request, user and system, all threads; None
        if no process was named.
    @ivar loadMicros: CPU time of the load itself for each request.
    @ivar p50: Half of all answers came within this.
    @ivar p99: 99 % of all answers came within this.
    @ivar slowest: The slowest answer.
    @ivar separate: How many responses to confirmable requests came apart from the acknowledgement.
    @ivar errors: How many requests went wrong, and answers nobody asked for, warm-up included.
    @ivar bodies: How many bodies in blocks came whole, warm-up included.
    @ivar outcomes: The errors, and what is right, by kind: C{ok}, C{wrongToken}, C{timedOut}, and so on.
    """

    requests: int
    seconds: float
    rate: float
    serverMicros: float | None
    loadMicros: float
    p50: float
    p99: float
    slowest: float
    separate: int
    errors: int
    outcomes: dict[str, int]
    bodies: int = 0


def compiled(source: str) -> Path:
    """
    The program compiled from a C file of this directory, compiled again whenever it has changed.

    @param source: The file's name, relative to C{benchmarks/}.
    @raise NoCompiler: if there is no C compiler, or it refuses.
    """
    path = HERE / source
    compiler = shutil.which(os.environ.get("CC", "cc"))
    text = b"".join(p.read_bytes() for p in [path, *sorted(HERE.glob("*.h"))])
    program = BUILD / f"{path.stem}-{hashlib.sha256(text).hexdigest()[:12]}"
    if program.exists():
        return program
    if compiler is None:
        raise NoCompiler(
            "The load is a C program, compiled on first use, but there is no C "
            "compiler here. Install one (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf "
            "install gcc; Alpine: apk add gcc musl-dev), or name yours in the variable CC."
        )
    BUILD.mkdir(exist_ok=True)
    # Another process may be compiling the same: each writes its own file, the last rename stands.
    scratch = program.with_name(f"{program.name}.{os.getpid()}")
    command = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(scratch), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NoCompiler(f"{' '.join(command)} failed:\n{done.stderr}")
    scratch.rename(program)
    return program


def socketsFor(requests: int, least: int = 64) -> int:
    """
    How many sockets to use for so many requests without using a message ID twice.
    """
    return max(least, -(-requests // REQUESTS_PER_SOCKET))


def arguments(options: dict[str, str | float | bool | None]) -> list[str]:
    """
    Keyword arguments as the options of the load: C{expectClass=4} is C{--expect-class 4}.
    """
    words = []
    for name, value in options.items():
        flag = "--" + "".join("-" + c.lower() if c.isupper() else c for c in name)
        if value is not None and value is not False:
            words += [flag] if value is True else [flag, str(value)]
    return words


def load(source: str = "load.c", /, **options: str | float | bool | None) -> Report:
    """
    Put a load on a server and wait for the end of it.

    @param source: Which load.
    @param options: As in the table C{OPTIONS} of C{settings.h}, in mixedCase: C{port}, C{path},
        C{code}, C{non}, C{payload}, C{expect}, C{size}, C{window}, C{sockets}, C{requests}, C{warmup},
        C{seconds}, C{timeout}, C{pid}, C{canned}, … None and False leave an option out.
    @raise NoCompiler: if it cannot be compiled.
    @raise RuntimeError: if it could not run. Wrong answers are counted in the report.
    """
    command = [str(compiled(source)), *arguments(options)]
    done = subprocess.run(command, capture_output=True, text=True)
    if not done.stdout:
        raise RuntimeError(done.stderr.strip() or f"load ended with {done.returncode}")
    return Report(**json.loads(done.stdout))


def main() -> None:
    """
    Become the load, with the arguments given.
    """
    try:
        program = compiled("load.c")
    except NoCompiler as e:
        sys.exit(str(e))
    os.execv(program, [str(program), *sys.argv[1:]])


if __name__ == "__main__":
    main()
