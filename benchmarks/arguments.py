"""
What the command lines of the benchmarks take: lists of names, numbers within bounds, files to be written.
What is wrong is said before anything is measured. And how they end: with all that they started.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

__all__ = ["asProgram", "bounded", "choice", "directory", "output"]

Number = TypeVar("Number", int, float)


def choice(known: Iterable[str]) -> Callable[[str], list[str]]:
    """
    Reads a list as C{a,b,c} of what is known.
    """
    names = list(known)

    def read(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in names]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there is {', '.join(names)}")
        return [name for name in names if name in text.split(",")]

    return read


def bounded(least: Number, most: float = math.inf) -> Callable[[str], Number]:
    """
    Reads a number of the type of C{least}.

    @param most: As many at most.
    """
    bounds = f"of {least} or more" if most == math.inf else f"from {least} to {most:g}"

    def read(text: str) -> Number:
        try:
            value = type(least)(text)
        except ValueError:
            value = None
        # What is no number at all compares as false with any.
        if value is None or not least <= value <= most or value == math.inf:
            raise argparse.ArgumentTypeError(f"give a number {bounds}, not {text}")
        return value

    return read


def output(text: str) -> Path:
    """
    A file that can be written: to learn otherwise after ten minutes of load would be late.
    """
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a directory")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written")
    return path


def directory(text: str) -> Path:
    """
    A directory that can be written to. It is made, if it is not there.
    """
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise argparse.ArgumentTypeError(f"{text}: {e.strerror}") from None
    if not os.access(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written")
    return path


def asProgram(main: Callable[[list[str]], int]) -> NoReturn:
    """
    Run what measures with the words of the command line, and end with its status. Ctrl-C and SIGTERM end it
    without a traceback, and not without the servers and loads that it started.
    """

    def terminated(*ignored: Any) -> NoReturn:
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, terminated)
    try:
        status = main(sys.argv[1:])
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    sys.exit(status)
