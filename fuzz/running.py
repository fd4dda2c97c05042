"""
Runs a fuzzer in rounds: each begins with a new subject, and ends with a silence in which it forgets all.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Protocol

from .soundness import Subject, Unsound

__all__ = ["Steps", "main", "run"]

ROUND = 20_000


class Steps(Protocol):
    """A fuzzer."""

    @property
    def subject(self) -> Subject:
        """What is tried."""

    def step(self) -> None:
        """One datagram, or what else may happen."""


def run(make: Callable[[int], Steps], seed: int, count: int) -> Subject:
    """
    One round.

    @param make: Makes a fuzzer from a seed.
    @return: What was tried, for its counts.
    @raise Unsound: if an invariant did not hold; it says when.
    """
    fuzzer = make(seed)
    number = 0
    try:
        try:
            while number < count:
                fuzzer.step()
                number += 1
            fuzzer.subject.end()
            # A Deferred whose failure nobody took says so when it goes.
            gc.collect()
            fuzzer.subject.elapse(0)
        except Exception as e:
            raise Unsound(f"seed {seed}, step {number}: {e!r}") from e
    finally:
        fuzzer.subject.close()
    return fuzzer.subject


def main(
    description: str, make: Callable[[int], Steps], arguments: Sequence[str] | None = None, size: int = ROUND
) -> int:
    """
    Run from the command line.

    @return: The exit code: 0 if all that must hold held.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=1_000_000, help="how many steps (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with (default 1)")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    counts: Counter[str] = Counter()
    done, seed = 0, options.seed
    while done < options.count:
        try:
            subject = run(make, seed, min(size, options.count - done))
        except Unsound as e:
            print(f"unsound: {e}", file=sys.stderr)
            return 1
        counts += subject.counts
        counted = subject.protocol.counters
        values = {field.name: getattr(counted, field.name) for field in fields(counted)}
        counts += Counter({name: value for name, value in values.items() if isinstance(value, int)})
        done += size
        seed += 1
    for name, count in sorted(counts.items()):
        print(f"{count:12,} {name}")
    print(f"{options.count:,} steps in {time.perf_counter() - began:.1f} s: sound")
    return 0
